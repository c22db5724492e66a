//! Documents that others changed and nobody has built since: built when the node rests, so that what the
//! validator refuses leaves the heads of every node, not only of those where somebody reads.
//!
//! Promises: a change of somebody else is looked at once its node has rested for a moment, and at the
//! latest after [`CHECK_WAIT_MAX`]; one step looks at few documents; a restart forgets none, since the
//! store's own row says up to which commit everything was looked at.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::core::Core;
use super::effect::{Note, Refusal};
use super::space::Space;
use super::step::Step;
use crate::store::tables::changed_key;
use crate::store::{KeyRange, StoreError, StoreRead, Table, after_prefix};
use crate::time::Moment;
use crate::view::DocumentKey;

/// How long nothing of others has been admitted when a node counts as resting.
const CHECK_QUIET: Duration = Duration::from_secs(5);
/// How long a change waits to be looked at where a node never rests.
const CHECK_WAIT_MAX: Duration = Duration::from_secs(600);
/// Between two steps that look at documents, so that whoever writes or reads gets in between.
const CHECK_PAUSE: Duration = Duration::from_millis(50);
/// Documents looked at in one step.
const CHECK_DOCUMENTS: usize = 32;
/// Changes of the documents looked at in one step, the last document not counted: building takes about
/// 10 µs a change.
const CHECK_CHANGES: u64 = 2_000;
/// A document of more changes stays built for a while after it was looked at, since building it again at
/// each change would cost more than keeping it.
const CHEAP_CHANGES: u64 = 4;
/// Rows of the change order read at once when a store is opened.
const CHANGED_ROWS: usize = 1_024;

/// What has not been looked at since others changed it.
#[derive(Default)]
pub(super) struct Unchecked {
    /// The commit with which each document came here.
    since: BTreeMap<DocumentKey, u64>,
    /// The same, oldest first; a document that left is passed over.
    queue: VecDeque<(u64, DocumentKey)>,
    due: Option<Moment>,
    /// When the oldest has waited long enough.
    overdue: Moment,
}

impl Unchecked {
    /// Somebody else's change of a document was admitted.
    pub(super) fn note(&mut self, now: Moment, commit: u64, document: DocumentKey) {
        if self.since.is_empty() {
            self.overdue = now + CHECK_WAIT_MAX;
        }
        self.due = Some((now + CHECK_QUIET).min(self.overdue.max(now + CHECK_PAUSE)));
        if !self.since.contains_key(&document) {
            self.since.insert(document.clone(), commit);
            self.queue.push_back((commit, document));
        }
    }

    /// A document was built with everything it holds.
    pub(super) fn built(&mut self, document: &DocumentKey) {
        if self.since.remove(document).is_some() {
            while self.queue.front().is_some_and(|(commit, key)| self.since.get(key) != Some(commit)) {
                self.queue.pop_front();
            }
        }
    }

    /// The last commit up to which everything was looked at, if `commit` is the present one.
    pub(super) fn checked(&self, commit: u64) -> u64 {
        self.queue.front().map_or(commit, |(oldest, _)| oldest - 1)
    }

    fn next(&self) -> Option<DocumentKey> {
        self.queue.front().map(|(_, document)| document.clone())
    }
}

impl Core {
    /// Reads from the store what has not been looked at.
    pub(super) fn load_unchecked(&mut self, store: &dyn StoreRead, checked: u64) -> Result<(), StoreError> {
        let mut changed = Vec::new();
        for space in self.spaces.values() {
            changed_since(store, space, checked, &mut changed)?;
        }
        changed.sort_unstable();
        self.unchecked = Unchecked::default();
        for (commit, document) in changed {
            self.unchecked.note(self.now, commit, document);
        }
        Ok(())
    }

    /// Looks at some documents, if it is time.
    pub(super) fn check_tick(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        if self.unchecked.due.is_none_or(|due| due > now) {
            return;
        }
        let mut changes = 0;
        for _ in 0..CHECK_DOCUMENTS {
            let Some(document) = self.unchecked.next().filter(|_| changes < CHECK_CHANGES) else { break };
            changes += match self.check(step, &document) {
                Ok(changes) => changes,
                Err(error) => {
                    step.note(Note::StoreFault { error });
                    0
                }
            };
            // What cannot be built now is built, or refused, when somebody asks for it.
            self.unchecked.built(&document);
        }
        self.unchecked.due = self.unchecked.next().map(|_| now + CHECK_PAUSE);
    }

    /// Builds one document; says of how many changes.
    fn check(&mut self, step: &mut Step<'_>, document: &DocumentKey) -> Result<u64, StoreError> {
        let space = self.spaces.values().find(|space| space.index == document.0);
        let Some(space) = space.map(|space| space.id) else { return Ok(0) };
        let (had_view, had_history) = (self.views.holds(document), self.histories.holds(document));
        match self.load(step, space, &document.1) {
            Ok(()) => {}
            Err(Refusal::Store(error)) => return Err(error),
            Err(refusal) => return Err(StoreError::Corrupt(refusal.to_string())),
        }
        let changes = self.histories.touch(document).map_or(0, |history| history.changes());
        // The record of what was put in quarantine is written at the end of the step, from history.
        if changes <= CHEAP_CHANGES && !step.touched.contains_key(&(space, document.1.clone())) {
            if !had_view {
                self.views.remove(document);
            }
            if !had_history {
                self.histories.remove(document);
            }
        }
        Ok(changes)
    }

    /// When documents are to be looked at next.
    pub(super) fn check_wakeup(&self) -> Option<Moment> {
        self.unchecked.due
    }
}

/// The documents of a space that changed after a commit, each with the commit.
fn changed_since(
    store: &dyn StoreRead,
    space: &Space,
    commit: u64,
    into: &mut Vec<(u64, DocumentKey)>,
) -> Result<(), StoreError> {
    let all = space.index.all();
    let end = after_prefix(&all);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut start = space.index.changed_from(commit.saturating_add(1));
    loop {
        let range = KeyRange { start: Bound::Included(&start), end };
        let rows = store.rows(Table::Changed, range, CHANGED_ROWS)?;
        let full = rows.len() == CHANGED_ROWS;
        for (key, _) in &rows {
            // A damaged key is for `verify` to tell of.
            into.extend(changed_key(key).map(|(commit, name)| (commit, (space.index, name))));
        }
        let Some((last, _)) = rows.into_iter().next_back().filter(|_| full) else { return Ok(()) };
        start = last;
        start.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DocumentName;
    use crate::store::tables::SpaceIndex;

    fn document(name: &str) -> DocumentKey {
        (SpaceIndex(0), DocumentName::new(name).expect("a sound name"))
    }

    #[test]
    fn what_was_checked_ends_before_the_oldest_that_was_not() {
        let mut unchecked = Unchecked::default();
        assert_eq!(unchecked.checked(7), 7);
        unchecked.note(Moment(0), 8, document("a"));
        unchecked.note(Moment(0), 9, document("b"));
        unchecked.note(Moment(0), 10, document("a"));
        assert_eq!(unchecked.checked(10), 7);
        unchecked.built(&document("b"));
        assert_eq!(unchecked.checked(10), 7);
        unchecked.built(&document("a"));
        assert_eq!((unchecked.checked(11), unchecked.next()), (11, None));
    }

    #[test]
    fn a_node_that_never_rests_looks_all_the_same() {
        let mut unchecked = Unchecked::default();
        let mut now = Moment(0);
        let end = now + CHECK_WAIT_MAX;
        while unchecked.due.is_none_or(|due| due > now) {
            unchecked.note(now, 1, document("busy"));
            now = now + Duration::from_secs(1);
            assert!(now <= end + CHECK_QUIET, "nothing is due although it is overdue");
        }
        assert!(now >= end);
    }
}
