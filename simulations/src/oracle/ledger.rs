//! The ledger: every change that was ever made, by whom, when, and who holds it.
//!
//! Filled from what nodes acknowledge, from the frontiers their stores show, and from the chunks their
//! stores hold; nothing here asks the core what it thinks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::chunk::{Change, Hash};
use crate::world::queue::Time;

/// An actor, as the frontier names it.
pub type Actor = [u8; 16];
/// A document, by its name.
pub type Document = String;
/// One actor's run in one document.
pub type RunKey = (Document, Actor);

/// Changes looked at to see whether heads rest on earlier ones.
const PAST_WALKED_MAX: usize = 4_096;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who made it: a place in the fleet.
    pub author: usize,
    /// When it was first seen at its author.
    pub born: Time,
    /// When a client was told that it is durable.
    pub acknowledged: Option<Time>,
    /// Its hash.
    pub hash: Hash,
    /// Its number among all changes.
    pub number: u64,
    /// The changes it rests on.
    pub dependencies: Vec<Hash>,
    /// How long its chunk is.
    pub bytes: u64,
    /// It went with a disk that was destroyed or set back, and no honest node holds it: nothing that
    /// Starling does could bring it back. Until somebody turns out to hold it after all.
    pub excused: bool,
}

/// What one node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The highest change of each run, with its hash.
    pub tips: BTreeMap<RunKey, (u64, Hash)>,
    /// Heads of each document it shows.
    pub heads: BTreeMap<Document, Vec<Hash>>,
    /// A hash over all heads: equal on nodes that show the same.
    pub shown: u64,
    /// Acknowledged changes it holds.
    pub acknowledged: u64,
}

/// Something about a tip that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Two different changes have one place in a run.
    Forked {
        /// Whose run.
        author: usize,
        /// Which, where that is known.
        actor: Option<Actor>,
        /// Where.
        document: Document,
        /// At which place.
        seq: u64,
    },
    /// A node holds less of a run than it did.
    Shrunk {
        /// In which document.
        document: Document,
        /// How much it held.
        from: u64,
        /// How much it holds.
        to: u64,
    },
    /// A node's frontier speaks of a change of its own that it does not store.
    Hollow {
        /// In which document.
        document: Document,
        /// Which.
        seq: u64,
    },
    /// A node holds a change without one that it rests on.
    Bare {
        /// In which document.
        document: Document,
        /// Which.
        seq: u64,
    },
    /// A run by nobody who may write: no honest node made it.
    Foreign {
        /// In which document.
        document: Document,
    },
}

/// The ledger.
#[derive(Default)]
pub struct Ledger {
    runs: BTreeMap<RunKey, Vec<Entry>>,
    /// By document and hash: one actor that makes the same change in two documents which began alike gives both one
    /// hash.
    by_hash: BTreeMap<Document, BTreeMap<Hash, (RunKey, u64)>>,
    holdings: Vec<Holding>,
    acknowledged: u64,
    /// Acknowledged changes that are excused.
    excused: u64,
    numbers: u64,
    /// Changes every node started with: nobody asked for them.
    pub(super) founding: BTreeSet<RunKey>,
}

fn mixed(document: &str, heads: &[Hash]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |byte: u8| state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    document.bytes().for_each(&mut mix);
    heads.iter().flatten().for_each(|byte| mix(*byte));
    state ^ (state >> 31)
}

impl Ledger {
    /// What a node holds.
    pub fn holding(&mut self, node: usize) -> &mut Holding {
        if self.holdings.len() <= node {
            self.holdings.resize_with(node + 1, Holding::default);
        }
        &mut self.holdings[node]
    }

    /// Whether a node holds something of everything that the fleet began with.
    pub fn holds_founding(&self, node: usize) -> bool {
        let held = self.holdings.get(node).map(|holding| &holding.tips);
        self.founding.iter().all(|key| held.is_some_and(|tips| tips.contains_key(key)))
    }

    /// What every node holds.
    pub fn holdings(&self) -> &[Holding] {
        &self.holdings
    }

    /// Every run with its changes.
    pub fn runs(&self) -> impl Iterator<Item = (&RunKey, &Vec<Entry>)> {
        self.runs.iter()
    }

    /// The runs from the first to the last key, both included.
    pub fn runs_between(
        &self,
        first: &RunKey,
        last: &RunKey,
    ) -> impl Iterator<Item = (&RunKey, &Vec<Entry>)> {
        self.runs.range(first..=last)
    }

    fn place(&self, document: &str, hash: &Hash) -> Option<&(RunKey, u64)> {
        self.by_hash.get(document)?.get(hash)
    }

    /// The change with this hash in a document: its run, its place in it, and the entry.
    pub fn change(&self, document: &str, hash: &Hash) -> Option<(&RunKey, u64, &Entry)> {
        let (key, seq) = self.place(document, hash)?;
        Some((key, *seq, self.runs.get(key)?.get(*seq as usize - 1)?))
    }

    /// Whether a node holds the change with this hash in a document. Of changes that nobody knows nobody holds any.
    pub fn holds(&self, node: usize, document: &str, hash: &Hash) -> bool {
        let Some((key, seq)) = self.place(document, hash) else { return false };
        let tips = self.holdings.get(node).map(|holding| &holding.tips);
        tips.and_then(|tips| tips.get(key)).is_some_and(|(held, _)| held >= seq)
    }

    /// Of the heads a document had, the first that is neither among its new heads nor in their past.
    pub fn dropped(&self, document: &str, before: &[Hash], after: &[Hash]) -> Option<Hash> {
        // Changes that every node started with are known by no hash, and everything rests on them.
        let gone = before.iter().filter(|head| !after.contains(head) && self.place(document, head).is_some());
        let mut gone: BTreeSet<Hash> = gone.copied().collect();
        let (mut next, mut seen) = (VecDeque::from(after.to_vec()), BTreeSet::new());
        while let Some(hash) = next.pop_front().filter(|_| !gone.is_empty()) {
            // What is that far away is not told any more.
            if seen.len() >= PAST_WALKED_MAX {
                return None;
            }
            gone.remove(&hash);
            let Some((_, _, entry)) = self.change(document, &hash).filter(|_| seen.insert(hash)) else {
                continue;
            };
            next.extend(&entry.dependencies);
        }
        gone.pop_first()
    }

    /// A run's changes.
    pub fn run(&self, key: &RunKey) -> Option<&Vec<Entry>> {
        self.runs.get(key)
    }

    /// Whether a run is one that every node started with.
    pub fn is_founding(&self, key: &RunKey) -> bool {
        self.founding.contains(key)
    }

    /// Acknowledged changes.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Acknowledged changes a node does not hold and could: those excused are nobody's to have.
    pub fn missing(&self, node: usize) -> u64 {
        let held = self.holdings.get(node).map_or(0, |holding| holding.acknowledged);
        (self.acknowledged - self.excused).saturating_sub(held)
    }

    /// Notes which heads a node shows of a document.
    pub fn show(&mut self, node: usize, document: &str, heads: Vec<Hash>) {
        let holding = self.holding(node);
        if let Some(old) = holding.heads.get(document) {
            holding.shown ^= mixed(document, old);
        }
        holding.shown ^= mixed(document, &heads);
        holding.heads.insert(document.to_owned(), heads);
    }

    /// Forgets what a node showed and held: its process starts anew. Gives what it held.
    pub fn forget(&mut self, node: usize) -> Holding {
        std::mem::take(self.holding(node))
    }

    /// Notes that a change was made.
    pub fn born(&mut self, key: &RunKey, change: &Change, author: usize, at: Time) -> Option<Wrong> {
        let seq = change.seq;
        let run = self.runs.entry(key.clone()).or_default();
        if let Some(known) = seq.checked_sub(1).and_then(|place| run.get(place as usize)) {
            let forked = known.hash != change.hash;
            let actor = Some(key.1);
            return forked.then(|| Wrong::Forked { author, actor, document: key.0.clone(), seq });
        }
        if seq != run.len() as u64 + 1 {
            return None;
        }
        self.numbers += 1;
        run.push(Entry {
            author,
            born: at,
            acknowledged: None,
            hash: change.hash,
            number: self.numbers,
            dependencies: change.dependencies.clone(),
            bytes: change.bytes,
            excused: false,
        });
        self.by_hash.entry(key.0.clone()).or_default().insert(change.hash, (key.clone(), seq));
        None
    }

    /// Notes that a client was told that the change with this hash is durable. Gives who made it.
    pub fn acknowledge(&mut self, document: &str, hash: &Hash, at: Time) -> Option<usize> {
        let (key, seq) = self.place(document, hash)?.clone();
        let entry = self.runs.get_mut(&key)?.get_mut(seq as usize - 1)?;
        let author = entry.author;
        if entry.acknowledged.is_some() {
            return Some(author);
        }
        entry.acknowledged = Some(at);
        self.acknowledged += 1;
        self.excused += u64::from(entry.excused);
        for holding in &mut self.holdings {
            if holding.tips.get(&key).is_some_and(|(held, _)| *held >= seq) {
                holding.acknowledged += 1;
            }
        }
        Some(author)
    }

    /// Notes how far a node holds a run. Gives the changes it did not hold before, by number of the
    /// first and last, or what is wrong.
    pub fn hold(&mut self, node: usize, key: &RunKey, seq: u64, hash: Hash) -> Result<(u64, u64), Wrong> {
        let run = self.runs.get(key);
        if let Some(known) = run.and_then(|run| run.get(seq as usize - 1)) {
            if known.hash != hash {
                let author = known.author;
                return Err(Wrong::Forked { author, actor: Some(key.1), document: key.0.clone(), seq });
            }
        } else if !self.founding.contains(key) {
            return Err(Wrong::Foreign { document: key.0.clone() });
        }
        let run: &[Entry] = run.map_or(&[], Vec::as_slice);
        let held = self.holdings[node].tips.get(key).map_or(0, |(held, _)| *held);
        if seq < held {
            return Err(Wrong::Shrunk { document: key.0.clone(), from: held, to: seq });
        }
        let new = run.get(held as usize..seq as usize).unwrap_or(&[]);
        let acknowledged = new.iter().filter(|entry| entry.acknowledged.is_some()).count() as u64;
        let holding = &mut self.holdings[node];
        holding.acknowledged += acknowledged;
        holding.tips.insert(key.clone(), (seq, hash));
        Ok((held + 1, seq))
    }

    /// After a disk was destroyed or set back: of what it held, the changes that nobody who is
    /// `trusted` holds any more are excused.
    pub fn excuse(&mut self, lost: &Holding, trusted: impl Fn(usize) -> bool) {
        for (key, (seq, _)) in &lost.tips {
            let holders = self.holdings.iter().enumerate().filter(|(node, _)| trusted(*node));
            let held = holders.filter_map(|(_, holding)| holding.tips.get(key)).map(|(held, _)| *held);
            let held = held.max().unwrap_or(0);
            let Some(run) = self.runs.get_mut(key) else { continue };
            for entry in run.iter_mut().take(*seq as usize).skip(held as usize).filter(|entry| !entry.excused)
            {
                entry.excused = true;
                self.excused += u64::from(entry.acknowledged.is_some());
            }
        }
    }

    /// Somebody trusted holds these changes of a run: none of them is excused any more. Says whether
    /// any acknowledged one was.
    pub fn revive(&mut self, key: &RunKey, first: u64, last: u64) -> bool {
        if self.excused == 0 {
            return false;
        }
        let Some(run) = self.runs.get_mut(key) else { return false };
        let mut revived = 0;
        let held = run.iter_mut().take(last as usize).skip(first.saturating_sub(1) as usize);
        for entry in held.filter(|entry| entry.excused) {
            entry.excused = false;
            revived += u64::from(entry.acknowledged.is_some());
        }
        self.excused -= revived;
        revived > 0
    }

    /// Every change with its place: run, sequence number, entry.
    pub fn entries(&self) -> impl Iterator<Item = (&RunKey, u64, &Entry)> {
        self.runs.iter().flat_map(|(key, run)| {
            run.iter().enumerate().map(move |(place, entry)| (key, place as u64 + 1, entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seq: u64) -> Change {
        Change { hash: [seq as u8; 32], dependencies: Vec::new(), actor: vec![1; 16], seq, bytes: 100 }
    }

    /// Three changes by node 0, acknowledged; node 0 holds all of them, node 1 the first.
    fn ledger() -> (Ledger, RunKey) {
        let mut ledger = Ledger::default();
        let key = ("d".to_owned(), [1; 16]);
        ledger.holding(1);
        for seq in 1..=3 {
            assert_eq!(ledger.born(&key, &change(seq), 0, seq), None);
            ledger.acknowledge("d", &[seq as u8; 32], seq);
        }
        ledger.hold(0, &key, 3, [3; 32]).unwrap();
        ledger.hold(1, &key, 1, [1; 32]).unwrap();
        (ledger, key)
    }

    #[test]
    fn what_only_a_lost_disk_held_is_excused_until_somebody_turns_out_to_hold_it() {
        let (mut ledger, key) = ledger();
        assert_eq!((ledger.missing(0), ledger.missing(1)), (0, 2));
        let lost = ledger.forget(0);
        ledger.excuse(&lost, |_| true);
        assert_eq!((ledger.missing(0), ledger.missing(1)), (1, 0), "one is left, and node 1 has it");
        ledger.hold(1, &key, 2, [2; 32]).unwrap();
        assert!(ledger.revive(&key, 2, 2), "it was under way when the disk was lost");
        assert_eq!((ledger.missing(0), ledger.missing(1)), (2, 0));
        assert!(!ledger.revive(&key, 2, 2));
    }

    #[test]
    fn what_only_a_liar_still_holds_is_excused() {
        let (mut ledger, _) = ledger();
        let lost = ledger.forget(0);
        ledger.excuse(&lost, |node| node != 1);
        assert_eq!(ledger.missing(0), 0);
    }

    #[test]
    fn another_change_in_the_same_place_is_a_fork_and_less_of_a_run_a_loss() {
        let (mut ledger, key) = ledger();
        let other = Change { hash: [9; 32], ..change(2) };
        assert!(matches!(ledger.born(&key, &other, 0, 9), Some(Wrong::Forked { seq: 2, .. })));
        assert!(matches!(ledger.hold(1, &key, 2, [9; 32]), Err(Wrong::Forked { .. })));
        assert!(matches!(ledger.hold(0, &key, 2, [2; 32]), Err(Wrong::Shrunk { from: 3, to: 2, .. })));
        let unknown = ("d".to_owned(), [7; 16]);
        assert!(matches!(ledger.hold(0, &unknown, 1, [7; 32]), Err(Wrong::Foreign { .. })));
    }

    #[test]
    fn heads_that_went_without_a_successor_are_told_from_those_that_were_built_on() {
        let (mut ledger, _) = ledger();
        let (key, hash) = (("d".to_owned(), [2; 16]), |byte: u8| [byte; 32]);
        let on = |seq: u64, own: u8, on: &[u8]| Change {
            hash: hash(own),
            dependencies: on.iter().map(|on| hash(*on)).collect(),
            ..change(seq)
        };
        ledger.born(&key, &on(1, 21, &[1]), 1, 1);
        ledger.born(&key, &on(2, 22, &[21, 3]), 1, 2);
        assert_eq!(ledger.dropped("d", &[hash(21)], &[hash(22)]), None, "built on");
        assert_eq!(ledger.dropped("d", &[hash(21)], &[hash(21), hash(3)]), None, "still there");
        assert_eq!(ledger.dropped("d", &[hash(22)], &[hash(21)]), Some(hash(22)), "set back");
        assert_eq!(ledger.dropped("d", &[hash(77)], &[hash(21)]), None, "from the founding");
        assert!(ledger.holds(0, "d", &hash(3)) && !ledger.holds(1, "d", &hash(3)));
        assert!(!ledger.holds(0, "d", &hash(77)) && !ledger.holds(0, "e", &hash(3)));
    }

    #[test]
    fn the_same_change_in_two_documents_is_two_changes() {
        let (mut ledger, _) = ledger();
        let key = ("e".to_owned(), [1; 16]);
        assert_eq!(ledger.born(&key, &change(1), 0, 4), None);
        assert_eq!((ledger.acknowledged(), ledger.missing(1)), (3, 2));
        ledger.acknowledge("e", &[1; 32], 5);
        assert_eq!((ledger.acknowledged(), ledger.missing(1)), (4, 3));
        assert_eq!(ledger.change("d", &[1; 32]).map(|(key, ..)| key.0.as_str()), Some("d"));
        assert!(ledger.holds(1, "d", &[1; 32]) && !ledger.holds(1, "e", &[1; 32]));
    }
}
