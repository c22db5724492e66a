//! Compaction: adjacent deltas of one actor in one document become one, under the later signature.
//!
//! The later signature covers the whole run, because each change names the one before by its hash; so
//! compaction needs no trusted party, and a merged delta is verified before it takes the place of its
//! parts. A pass looks at the documents that changed since the pass before, a bounded slice in a step:
//! at once when somebody asks, otherwise while the node is idle. A peer whose frontier lies inside a
//! merged delta is served the whole delta and skips what it knows.
//!
//! Leaves out the pages of the disk: what is freed is used again by later writes.

use std::ops::Bound;
use std::time::Duration;

use minicbor::{Decode, Encode};

use super::core::Core;
use super::effect::{Compacted, Refusal, Reply};
use super::input::RequestTicket;
use super::step::Step;
use crate::delta::VerifiedDelta;
use crate::id::{Actor, DocumentName, SpaceId};
use crate::limits::{DELTA_BYTES_MAX, DELTA_CHANGES_MAX, WAITERS_MAX};
use crate::store::tables::{DeltaRecord, SpaceIndex, changed_key, delta_key, record};
use crate::store::{KeyRange, StoreError, StoreRead, Table, after_prefix};
use crate::time::Moment;

/// Key in [`Table::Meta`] of how far compaction has come.
const COMPACTED_KEY: &[u8] = b"compacted";
/// Between two passes that nobody asked for.
const PASS_EVERY: Duration = Duration::from_secs(600);
/// How long nothing was written or received before an idle slice is done.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Between two slices that nobody waits for.
const IDLE_PAUSE: Duration = Duration::from_millis(50);
/// Deltas looked at in one slice. A run of changes that were signed one by one fits in it.
const SLICE_DELTAS: usize = DELTA_CHANGES_MAX;
/// Documents looked at in one slice.
const SLICE_DOCUMENTS: usize = 128;

/// How far compaction has come, across restarts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
struct CompactedRecord {
    /// Documents changed by later commits have not been looked at.
    #[n(0)]
    commit: u64,
    /// Deltas stored when the last pass began.
    #[n(1)]
    arrival: u64,
}

/// Compaction between steps.
pub(super) struct Compaction {
    done: CompactedRecord,
    pass: Option<Pass>,
    due: Moment,
    busy: Moment,
}

/// One pass over what changed.
struct Pass {
    begun: CompactedRecord,
    /// Documents of commits up to this one were looked at by an earlier pass.
    since: u64,
    space: Option<SpaceId>,
    /// The last row of the order of changes that was taken.
    after: Vec<u8>,
    /// The document on the way, and where in its deltas.
    document: Option<(SpaceIndex, DocumentName, Bound<Vec<u8>>)>,
    told: Compacted,
    waiting: Vec<RequestTicket>,
}

/// Consecutive deltas of one actor that fit under one signature.
struct Group {
    key: Vec<u8>,
    actor: Actor,
    first_seq: u64,
    merged: DeltaRecord,
    bytes: usize,
    /// Bytes of its rows as they were read.
    read: u64,
    parts: u64,
    /// Keys of the parts after the first, and of deltas that the others hold already.
    gone: Vec<Vec<u8>>,
}

impl Compaction {
    pub(super) fn new(now: Moment) -> Self {
        Self { done: CompactedRecord::default(), pass: None, due: now + PASS_EVERY, busy: now }
    }

    /// Reads how far it has come. A pass on the way begins anew; whoever waits for it still does.
    pub(super) fn load(
        &mut self,
        store: &dyn StoreRead,
        (commit, arrival): (u64, u64),
    ) -> Result<(), StoreError> {
        let row = store.value(Table::Meta, COMPACTED_KEY)?;
        // How far it came is worth nothing when it cannot be read: then everything is looked at again.
        self.done = row.and_then(|row| record(&row, "compaction record").ok()).unwrap_or_default();
        if let Some(pass) = self.pass.take() {
            let waiting = pass.waiting;
            self.pass = Some(Pass { waiting, ..Pass::new(0, CompactedRecord { commit, arrival }) });
        }
        Ok(())
    }

    /// A delta was stored: idle work waits.
    pub(super) fn note_work(&mut self, now: Moment) {
        self.busy = now;
    }

    fn is_wanted(&self) -> bool {
        self.pass.as_ref().is_some_and(|pass| !pass.waiting.is_empty())
    }
}

impl Pass {
    fn new(since: u64, begun: CompactedRecord) -> Self {
        Self {
            begun,
            since,
            space: None,
            after: Vec::new(),
            document: None,
            told: Compacted::default(),
            waiting: Vec::new(),
        }
    }
}

impl Core {
    /// Looks at everything, and replies when done.
    pub(super) fn compact(&mut self, step: &Step<'_>, ticket: RequestTicket) -> Result<(), Refusal> {
        let waiting = self.compaction.pass.take().map(|pass| pass.waiting).unwrap_or_default();
        let is_full = waiting.len() >= WAITERS_MAX;
        let begun = CompactedRecord { commit: step.commit - 1, arrival: self.arrival };
        let mut pass = Pass { waiting, ..Pass::new(0, begun) };
        if !is_full {
            pass.waiting.push(ticket);
        }
        self.compaction.pass = Some(pass);
        if is_full { Err(Refusal::TooMany { what: "requests that wait for compaction" }) } else { Ok(()) }
    }

    /// When the next slice is due.
    pub(super) fn compact_wakeup(&self) -> Option<Moment> {
        let compaction = &self.compaction;
        if compaction.is_wanted() {
            return Some(self.now);
        }
        let needed = compaction.pass.is_some() || self.arrival > compaction.done.arrival;
        needed.then(|| compaction.due.max(compaction.busy + IDLE_AFTER))
    }

    /// Does a slice if one is due.
    pub(super) fn compact_tick(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let now = step.now.monotonic;
        if self.compact_wakeup().is_none_or(|due| due > now) {
            return Ok(());
        }
        let begun = CompactedRecord { commit: step.commit - 1, arrival: self.arrival };
        let since = self.compaction.done.commit;
        let mut pass = self.compaction.pass.take().unwrap_or_else(|| Pass::new(since, begun));
        let outcome = self.slice(step, &mut pass);
        self.compaction.due = now + IDLE_PAUSE;
        match outcome {
            Ok(false) => self.compaction.pass = Some(pass),
            Ok(true) => {
                self.compaction.due = now + PASS_EVERY;
                self.compaction.done = pass.begun;
                step.transaction.put(Table::Meta, COMPACTED_KEY.to_vec(), &pass.begun);
                for ticket in pass.waiting {
                    step.reply(ticket, Ok(Reply::Compacted(pass.told)));
                }
            }
            Err(error) => {
                self.compaction.due = now + PASS_EVERY;
                for ticket in pass.waiting {
                    step.reply(ticket, Err(Refusal::Store(error.clone())));
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Does a bounded part of a pass; `true` when nothing is left.
    fn slice(&self, step: &mut Step<'_>, pass: &mut Pass) -> Result<bool, StoreError> {
        let mut room = SLICE_DELTAS;
        for _ in 0..SLICE_DOCUMENTS {
            if pass.document.is_none() && !self.next_document(step, pass)? {
                return Ok(true);
            }
            room = room.saturating_sub(self.compact_document(step, pass)?);
            if room == 0 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Takes the next document in the order of changes; `false` when there is none.
    fn next_document(&self, step: &Step<'_>, pass: &mut Pass) -> Result<bool, StoreError> {
        loop {
            let from = pass.space.map_or(Bound::Unbounded, Bound::Included);
            let Some((id, space)) = self.spaces.range((from, Bound::Unbounded)).next() else {
                return Ok(false);
            };
            let (all, until) = (space.index.all(), pass.begun.commit.saturating_add(1).to_be_bytes());
            if pass.space != Some(*id) || pass.after.is_empty() {
                pass.space = Some(*id);
                pass.after = [all.as_slice(), &pass.since.saturating_add(1).to_be_bytes()].concat();
            }
            let end = [all.as_slice(), &until].concat();
            let range = KeyRange { start: Bound::Excluded(&pass.after), end: Bound::Excluded(&end) };
            let Some((key, _)) = step.transaction.rows(Table::Changed, range, 1)?.pop() else {
                let Some((next, _)) = self.spaces.range((Bound::Excluded(*id), Bound::Unbounded)).next()
                else {
                    return Ok(false);
                };
                (pass.space, pass.after) = (Some(*next), Vec::new());
                continue;
            };
            let name = changed_key(&key).map(|(_, name)| name);
            pass.after = key;
            if let Some(name) = name {
                let start = Bound::Included(space.index.document_rows(&name));
                pass.document = Some((space.index, name, start));
                pass.told.documents += 1;
                return Ok(true);
            }
        }
    }

    /// Merges what it can among the next deltas of the document on the way; gives how many it looked at.
    fn compact_document(&self, step: &mut Step<'_>, pass: &mut Pass) -> Result<usize, StoreError> {
        let Some((index, name, start)) = pass.document.take() else { return Ok(0) };
        let past = after_prefix(&index.document_rows(&name));
        let end = past.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let from = match &start {
            Bound::Included(key) => Bound::Included(key.as_slice()),
            Bound::Excluded(key) => Bound::Excluded(key.as_slice()),
            Bound::Unbounded => Bound::Unbounded,
        };
        let rows = step.transaction.rows(Table::Deltas, KeyRange { start: from, end }, SLICE_DELTAS)?;
        let (looked, is_full) = (rows.len(), rows.len() == SLICE_DELTAS);
        let mut group: Option<Group> = None;
        for (key, value) in rows {
            let (actor, first_seq) =
                delta_key(&key).ok_or_else(|| StoreError::Corrupt("a delta key is malformed".into()))?;
            let stored: DeltaRecord = record(&value, "delta record")?;
            let read = (key.len() + value.len()) as u64;
            pass.told.deltas_before += 1;
            pass.told.bytes_before += read;
            match &mut group {
                Some(group) if group.takes(actor, first_seq, &stored) => {
                    group.take(key, first_seq, stored, read);
                }
                _ => {
                    let done = group.replace(Group::of(key, (actor, first_seq), stored, read));
                    self.close(step, pass, (index, &name), done)?;
                }
            }
        }
        // The last group of a full page may go on: it is begun anew, unless it filled the page.
        match group {
            Some(last) if is_full && last.parts < looked as u64 => {
                pass.told.deltas_before -= last.parts;
                pass.told.bytes_before -= last.read;
                pass.document = Some((index, name, Bound::Included(last.key)));
            }
            last => {
                let next = last.as_ref().map(Group::last_key);
                self.close(step, pass, (index, &name), last)?;
                pass.document = next.filter(|_| is_full).map(|key| (index, name, Bound::Excluded(key)));
            }
        }
        Ok(looked)
    }

    /// Puts a merged delta in the place of its parts, once its signature was checked.
    fn close(
        &self,
        step: &mut Step<'_>,
        pass: &mut Pass,
        (index, name): (SpaceIndex, &DocumentName),
        group: Option<Group>,
    ) -> Result<(), StoreError> {
        let Some(group) = group else { return Ok(()) };
        if group.gone.is_empty() {
            pass.told.deltas_after += 1;
            pass.told.bytes_after += group.read;
            return Ok(());
        }
        let (key, value) = (group.key.clone(), crate::codec::encode(&group.merged));
        if !self.is_signed(step, index, name, &group)? {
            // One of the parts is damaged: verification says which, and nothing is touched here.
            pass.told.deltas_after += group.parts;
            pass.told.bytes_after += group.read;
            pass.told.refused += 1;
            return Ok(());
        }
        pass.told.deltas_after += 1;
        pass.told.bytes_after += (key.len() + value.len()) as u64;
        group.gone.into_iter().for_each(|gone| step.transaction.remove(Table::Deltas, gone));
        step.transaction.put_bytes(Table::Deltas, key, value);
        Ok(())
    }

    fn is_signed(
        &self,
        step: &Step<'_>,
        index: SpaceIndex,
        name: &DocumentName,
        group: &Group,
    ) -> Result<bool, StoreError> {
        let space = self.spaces.values().find(|space| space.index == index);
        let Some(space) = space else { return Ok(false) };
        let Some(incarnation) = space.incarnation(&step.transaction, group.actor)? else { return Ok(false) };
        let delta = group.merged.clone().into_delta(space.id, name.clone(), group.actor, group.first_seq);
        Ok(VerifiedDelta::verify(delta, &incarnation).is_ok())
    }
}

impl Group {
    fn of(key: Vec<u8>, (actor, first_seq): (Actor, u64), stored: DeltaRecord, read: u64) -> Self {
        let bytes = stored.changes.iter().map(|change| change.len()).sum();
        Self { key, actor, first_seq, merged: stored, bytes, read, parts: 1, gone: Vec::new() }
    }

    fn next_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.merged.changes.len() as u64)
    }

    fn is_whole(stored: &DeltaRecord) -> bool {
        stored.admitted == stored.changes.len() as u64
    }

    /// The part of this group at which a later delta would lie, if it lies inside.
    fn covered(&self, first_seq: u64, stored: &DeltaRecord) -> bool {
        let at = usize::try_from(first_seq.saturating_sub(self.first_seq)).unwrap_or(usize::MAX);
        self.merged.changes.get(at..).is_some_and(|rest| rest.starts_with(&stored.changes))
    }

    fn takes(&self, actor: Actor, first_seq: u64, stored: &DeltaRecord) -> bool {
        if actor != self.actor || !Self::is_whole(&self.merged) || !Self::is_whole(stored) {
            return false;
        }
        let bytes: usize = stored.changes.iter().map(|change| change.len()).sum();
        let follows = first_seq == self.next_seq()
            && self.merged.changes.len() + stored.changes.len() <= DELTA_CHANGES_MAX
            && self.bytes + bytes <= DELTA_BYTES_MAX;
        follows || self.covered(first_seq, stored)
    }

    fn take(&mut self, key: Vec<u8>, first_seq: u64, stored: DeltaRecord, read: u64) {
        self.parts += 1;
        self.read += read;
        self.gone.push(key);
        if first_seq != self.next_seq() {
            return;
        }
        self.bytes += stored.changes.iter().map(|change| change.len()).sum::<usize>();
        self.merged.admitted += stored.admitted;
        self.merged.signature = stored.signature;
        // The place of the first part in the order of arrival: what others built on it follows.
        self.merged.arrival = self.merged.arrival.min(stored.arrival);
        self.merged.changes.extend(stored.changes);
    }

    fn last_key(&self) -> Vec<u8> {
        self.gone.last().unwrap_or(&self.key).clone()
    }
}
