//! What nodes say of each other, held against who could really reach whom.
//!
//! Two nodes are *apart* while a cut lies between them or one of them does not run. Each time they part is
//! one outage; what is judged is how often a node reports that another is away or back, whether the other
//! was well when it was called away, and how soon a dead one is called away.

use std::collections::{BTreeMap, BTreeSet};

use starling_crdt::id::AuthorKey;
use starling_crdt::presence::{State, StateChange};

use super::run::Run;
use crate::world::queue::{SECOND, Time};

/// An observer and the node it speaks of.
type Pair = (usize, usize);

/// How long a node must have been within reach to be called well: a dial that began while it was not fails
/// after ten seconds, and until then nobody can know.
const WELL_AFTER: Time = 10 * SECOND;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Presences {
    /// Pairs that are apart.
    apart: BTreeSet<Pair>,
    /// Since when pairs that were apart are no longer.
    together: BTreeMap<Pair, Time>,
    /// How often each pair parted.
    outages: BTreeMap<Pair, u64>,
    /// How often each observer reported the other away or back.
    reports: BTreeMap<Pair, u64>,
    /// Reports that say away of a node that could be reached.
    false_aways: u64,
    /// Since when each observer has not noticed that the other died.
    unnoticed: BTreeMap<Pair, Time>,
    /// The longest that an observer took to notice it.
    noticed_after: Option<Time>,
}

impl Presences {
    /// Notes who is apart now.
    fn set_apart(&mut self, now: Time, pair: Pair, apart: bool) {
        if apart {
            if self.apart.insert(pair) {
                *self.outages.entry(pair).or_default() += 1;
            }
        } else if self.apart.remove(&pair) {
            self.together.insert(pair, now);
        }
    }

    /// An observer reports a change.
    fn report(&mut self, now: Time, pair: Pair, to: State) {
        *self.reports.entry(pair).or_default() += 1;
        let is_gone = matches!(to, State::Away | State::Left);
        if is_gone && let Some(since) = self.unnoticed.remove(&pair) {
            self.noticed_after = self.noticed_after.max(Some(now - since));
        }
        let since = self.together.get(&pair).copied().unwrap_or(0);
        let is_well = !self.apart.contains(&pair);
        let is_well = is_well && now - since >= WELL_AFTER;
        self.false_aways += u64::from(to == State::Away && is_well);
    }

    /// A process that ran is gone.
    fn died(&mut self, now: Time, node: usize, observers: impl Iterator<Item = usize>) {
        // What it saw itself, it has forgotten.
        self.unnoticed.retain(|(observer, _), _| *observer != node);
        let seeing: Vec<Pair> =
            observers.map(|observer| (observer, node)).filter(|pair| !self.apart.contains(pair)).collect();
        self.unnoticed.extend(seeing.into_iter().map(|pair| (pair, now)));
    }

    /// A process runs again: whoever had not noticed need not any more.
    fn started(&mut self, node: usize) {
        self.unnoticed.retain(|(_, other), _| *other != node);
    }

    /// Most reports for each outage, over all pairs; a report that a node is there after a start of the
    /// observer's is nobody's outage.
    pub(super) fn reports_per_outage(&self, starts: impl Fn(usize) -> u64) -> u64 {
        let each = self.reports.iter().map(|(pair, reports)| {
            let outages = self.outages.get(pair).copied().unwrap_or(0);
            reports.saturating_sub(starts(pair.0)).div_ceil(outages.max(1))
        });
        each.max().unwrap_or(0)
    }

    /// Times that a node was called away which could be reached.
    pub(super) fn false_aways(&self) -> u64 {
        self.false_aways
    }

    /// The longest that a node took to call a dead one away, or has not done so yet; nothing where
    /// nobody died.
    pub(super) fn away_after(&self, now: Time) -> Option<Time> {
        let open = self.unnoticed.values().map(|since| now - since).max();
        self.noticed_after.max(open)
    }
}

impl Run<'_> {
    /// Whether anything here is asked for.
    fn judges_presence(&self) -> bool {
        let expect = &self.scenario.expect;
        expect.reports_per_outage_max.is_some()
            || expect.false_aways_max.is_some()
            || expect.away_within.is_some()
    }

    /// Looks anew at who is apart, after something that may have changed it.
    pub(super) fn look_who_is_apart(&mut self) {
        if !self.judges_presence() {
            return;
        }
        let nodes = self.world.nodes().len();
        for observer in 0..nodes {
            for other in (0..nodes).filter(|other| *other != observer) {
                let apart = self.world.are_apart(observer, other);
                self.presences.set_apart(self.world.now(), (observer, other), apart);
            }
        }
    }

    /// An observer's word about a member.
    pub(super) fn member_changed(&mut self, at: Time, observer: usize, change: &StateChange) {
        if change.is_doubt() || !self.judges_presence() || !self.is_honest(observer) {
            return;
        }
        if let Some(other) = self.node_of(change.author) {
            self.presences.report(at, (observer, other), change.to);
        }
    }

    fn node_of(&self, key: AuthorKey) -> Option<usize> {
        self.world.nodes_of(key).next()
    }

    /// A process ended.
    pub(super) fn ended(&mut self, at: Time, node: usize) {
        if self.judges_presence() {
            let observers: Vec<usize> = self.sound().into_iter().filter(|other| *other != node).collect();
            self.presences.died(at, node, observers.into_iter());
            self.look_who_is_apart();
        }
    }

    /// A process started.
    pub(super) fn runs_again(&mut self, node: usize) {
        if self.judges_presence() {
            self.presences.started(node);
            self.look_who_is_apart();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Pair = (0, 1);

    #[test]
    fn reports_are_counted_for_each_outage_and_a_start_explains_one() {
        let mut seen = Presences::default();
        seen.report(1, ONE, State::Alive);
        assert_eq!(seen.reports_per_outage(|_| 1), 0);
        for _ in 0..2 {
            seen.set_apart(1, ONE, true);
            seen.set_apart(1, ONE, true);
            seen.report(2, ONE, State::Away);
            seen.set_apart(2, ONE, false);
            seen.report(3, ONE, State::Alive);
        }
        assert_eq!((seen.reports_per_outage(|_| 1), seen.false_aways()), (2, 0));
        seen.report(4, ONE, State::Away);
        assert_eq!(
            (seen.reports_per_outage(|_| 1), seen.false_aways()),
            (3, 0),
            "it is within reach only now"
        );
        seen.report(2 + WELL_AFTER, ONE, State::Away);
        assert_eq!(seen.false_aways(), 1);
    }

    #[test]
    fn a_death_counts_until_it_is_noticed_or_over() {
        let mut seen = Presences::default();
        assert_eq!(seen.away_after(9), None);
        seen.set_apart(1, (2, 1), true);
        seen.died(10, 1, [0, 2, 3].into_iter());
        assert_eq!(seen.away_after(30), Some(20), "who could not see it need not notice");
        seen.report(15, ONE, State::Away);
        seen.report(18, (3, 1), State::Left);
        assert_eq!(seen.away_after(100), Some(8));
        seen.died(200, 1, [0].into_iter());
        seen.started(1);
        assert_eq!(seen.away_after(300), Some(8), "it came back before");
    }
}
