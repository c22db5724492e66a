//! Which change of a document rests on which, from their dependencies alone.
//!
//! Every change rests on its author's previous one, so what it rests on is told by one number for
//! each actor. Changes that every node started with are left out: everything rests on them.

use std::collections::BTreeMap;

use super::chunk::Hash;
use super::ledger::{Actor, Ledger};

/// The past of every change of one document.
#[derive(Default)]
pub struct Causality {
    /// For each change: its actor, its place, and the highest place of each actor in its past, its
    /// own among them.
    pasts: BTreeMap<Hash, (Actor, u64, Past)>,
}

/// The highest sequence number of each actor.
pub type Past = BTreeMap<Actor, u64>;

impl Causality {
    /// Of one document, as far as the ledger knows it.
    pub fn of(ledger: &Ledger, document: &str) -> Self {
        let first = (document.to_owned(), [0; 16]);
        let last = (document.to_owned(), [0xff; 16]);
        let runs = ledger.runs_between(&first, &last);
        let mut changes: Vec<(u64, Actor, u64, Hash, &[Hash])> = runs
            .flat_map(|(key, run)| {
                run.iter().enumerate().map(|(place, entry)| {
                    let rests_on = entry.dependencies.as_slice();
                    (entry.number, key.1, place as u64 + 1, entry.hash, rests_on)
                })
            })
            .collect();
        // A change is first seen after what it rests on.
        changes.sort_unstable_by_key(|change| change.0);
        let mut known = Self::default();
        for (_, actor, seq, hash, dependencies) in changes {
            known.learn(actor, seq, hash, dependencies);
        }
        known
    }

    fn learn(&mut self, actor: Actor, seq: u64, hash: Hash, dependencies: &[Hash]) {
        let mut past = self.past_of(dependencies);
        past.insert(actor, seq);
        self.pasts.insert(hash, (actor, seq, past));
    }

    /// Everything that these changes rest on, and they themselves.
    pub fn past_of(&self, heads: &[Hash]) -> Past {
        let mut all = Past::new();
        for (_, _, past) in heads.iter().filter_map(|head| self.pasts.get(head)) {
            for (actor, seq) in past {
                let highest = all.entry(*actor).or_insert(0);
                *highest = (*highest).max(*seq);
            }
        }
        all
    }

    /// Whether the second change rests on the first.
    pub fn rests_on(&self, first: &Hash, second: &Hash) -> bool {
        let (Some((actor, seq, _)), Some((_, _, past))) = (self.pasts.get(first), self.pasts.get(second))
        else {
            return false;
        };
        first != second && past.get(actor).is_some_and(|highest| highest >= seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_rests_on_what_its_dependencies_rest_on_and_not_on_what_is_concurrent() {
        let (a, b) = ([1; 16], [2; 16]);
        let hash = |byte: u8| [byte; 32];
        let mut known = Causality::default();
        known.learn(a, 1, hash(1), &[]);
        known.learn(b, 1, hash(11), &[hash(1)]);
        known.learn(a, 2, hash(2), &[hash(1)]);
        known.learn(b, 2, hash(12), &[hash(11)]);
        known.learn(a, 3, hash(3), &[hash(2), hash(12)]);
        assert!(known.rests_on(&hash(1), &hash(12)) && known.rests_on(&hash(11), &hash(3)));
        assert!(!known.rests_on(&hash(2), &hash(12)) && !known.rests_on(&hash(12), &hash(2)));
        assert!(!known.rests_on(&hash(3), &hash(3)));
        assert_eq!(known.past_of(&[hash(2), hash(12)]), Past::from([(a, 2), (b, 2)]));
    }
}
