//! Deltas that wait for something: a change they rest on, a statement their author's right rests on.
//!
//! Bounded in bytes, in all and per peer; the oldest make room, and repair fetches them again. A
//! delta of which some changes were admitted is stored already, so what waits here is a copy and
//! dropping it loses nothing either: loading the document finds its rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::delta::VerifiedDelta;
use crate::id::{AuthorKey, ChangeHash, DocumentName, SpaceId, StatementId};
use crate::limits::{ORPHAN_BYTES_MAX, ORPHAN_BYTES_PER_PEER_MAX};

/// What a delta waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Waiting {
    /// A change in its document.
    Change(ChangeHash),
    /// A charter statement its incarnation cites.
    Statement(SpaceId, StatementId),
}

/// A delta that waits.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The delta.
    pub delta: VerifiedDelta,
    /// Who handed it on: charged for the room it takes.
    pub from: AuthorKey,
}

/// What an orphan takes beside its delta, estimated.
const ORPHAN_BYTES: usize = 512;
/// What a change in it takes beside its bytes, estimated: a parsed header and its allocations.
const ORPHAN_CHANGE_BYTES: usize = 256;

impl Orphan {
    /// Estimated memory.
    fn bytes(&self) -> usize {
        let name = self.delta.delta().document.as_str().len();
        ORPHAN_BYTES + 2 * name + self.delta.bytes() + ORPHAN_CHANGE_BYTES * self.delta.chunks().len()
    }

    /// What tells it from every other one.
    fn key(&self, waiting: Waiting) -> (ChangeHash, Waiting, SpaceId, DocumentName) {
        let delta = self.delta.delta();
        (self.delta.last_hash(), waiting, delta.space, delta.document.clone())
    }
}

/// Everything that waits, by arrival.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    held: BTreeMap<u64, (Waiting, Orphan)>,
    waiting: BTreeSet<(Waiting, u64)>,
    /// By document as well: an actor that makes one change in two documents which began alike gives both one hash.
    known: BTreeSet<(ChangeHash, Waiting, SpaceId, DocumentName)>,
    bytes: usize,
    per_peer: BTreeMap<AuthorKey, usize>,
    next: u64,
}

impl Orphans {
    /// Holds a delta until `waiting` comes. Returns how many older ones made room for it.
    pub fn hold(&mut self, waiting: Waiting, orphan: Orphan) -> usize {
        let size = orphan.bytes();
        if size > ORPHAN_BYTES_PER_PEER_MAX || !self.known.insert(orphan.key(waiting)) {
            return 0;
        }
        let number = self.next;
        self.next += 1;
        self.bytes += size;
        *self.per_peer.entry(orphan.from).or_default() += size;
        let from = orphan.from;
        self.waiting.insert((waiting, number));
        self.held.insert(number, (waiting, orphan));
        let mut dropped = 0;
        while self.per_peer.get(&from).is_some_and(|bytes| *bytes > ORPHAN_BYTES_PER_PEER_MAX) {
            let oldest =
                self.held.iter().find(|(_, (_, orphan))| orphan.from == from).map(|(number, _)| *number);
            dropped += usize::from(oldest.and_then(|number| self.remove(number)).is_some());
        }
        while self.bytes > ORPHAN_BYTES_MAX {
            let oldest = self.held.keys().next().copied();
            dropped += usize::from(oldest.and_then(|number| self.remove(number)).is_some());
        }
        dropped
    }

    /// Takes out what waited for `come`, oldest first.
    pub fn wake(&mut self, come: Waiting) -> Vec<Orphan> {
        let numbers: Vec<u64> =
            self.waiting.range((come, 0)..=(come, u64::MAX)).map(|(_, number)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    fn remove(&mut self, number: u64) -> Option<Orphan> {
        let (waiting, orphan) = self.held.remove(&number)?;
        let size = orphan.bytes();
        self.waiting.remove(&(waiting, number));
        self.known.remove(&orphan.key(waiting));
        self.bytes -= size;
        if let Some(bytes) = self.per_peer.get_mut(&orphan.from) {
            *bytes -= size;
            if *bytes == 0 {
                self.per_peer.remove(&orphan.from);
            }
        }
        Some(orphan)
    }

    /// Who handed on what waits.
    pub fn peers(&self) -> impl Iterator<Item = AuthorKey> {
        self.per_peer.keys().copied()
    }

    /// How many deltas wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Commit, Document, Edit, Json};
    use crate::identity::Identity;
    use crate::incarnation::VerifiedIncarnation;

    /// A delta of one change with about this many bytes, different for each number.
    fn orphan(number: u64, bytes: usize, from: u8) -> Orphan {
        orphan_in(&format!("d/{number}"), number, bytes, from)
    }

    fn orphan_in(name: &str, number: u64, bytes: usize, from: u8) -> Orphan {
        let author = Identity::from_seed(&[7; 32]);
        let space = SpaceId([1; 32]);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let actor = VerifiedIncarnation::sign(&author, space, nonce, Vec::new()).actor();
        let mut state = number;
        let letters = (0..bytes).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'a' + (state >> 60) as u8)
        });
        let value = Json::Map([("t".to_owned(), Json::String(letters.collect()))].into());
        let commit = Commit { actor, time_seconds: 0, message: None };
        let edited = Document::new().edit(commit, &Edit::Put { value, base: None }).unwrap();
        let changes = edited.changes.into_iter().map(|change| change.bytes).collect();
        let name = DocumentName::new(name).unwrap();
        let delta = VerifiedDelta::sign(&author, space, name, actor, changes).unwrap();
        Orphan { delta, from: AuthorKey([from; 32]) }
    }

    fn missing(number: u8) -> Waiting {
        Waiting::Change(ChangeHash([number; 32]))
    }

    fn check_sums(orphans: &Orphans) {
        let bytes: usize = orphans.held.values().map(|(_, orphan)| orphan.bytes()).sum();
        assert_eq!((orphans.bytes(), orphans.per_peer.values().sum::<usize>()), (bytes, bytes));
        assert_eq!((orphans.waiting.len(), orphans.known.len()), (orphans.len(), orphans.len()));
    }

    #[test]
    fn what_waits_is_woken_once_oldest_first() {
        let mut orphans = Orphans::default();
        for number in 0..3 {
            assert_eq!(orphans.hold(missing(1), orphan(number, 10, 1)), 0);
        }
        let statement = Waiting::Statement(SpaceId([1; 32]), StatementId([2; 32]));
        orphans.hold(statement, orphan(3, 10, 1));
        assert!(orphans.wake(missing(2)).is_empty());
        let woken = orphans.wake(missing(1));
        let names: Vec<String> =
            woken.iter().map(|orphan| orphan.delta.delta().document.to_string()).collect();
        assert_eq!(names, ["d/0", "d/1", "d/2"]);
        assert!(orphans.wake(missing(1)).is_empty());
        assert_eq!(orphans.wake(statement).len(), 1);
        assert!(orphans.is_empty() && orphans.bytes() == 0 && orphans.per_peer.is_empty());
    }

    #[test]
    fn the_same_delta_is_held_once_per_what_it_waits_for() {
        let mut orphans = Orphans::default();
        for from in [1, 2, 1] {
            orphans.hold(missing(1), orphan(0, 10, from));
        }
        assert_eq!(orphans.len(), 1);
        orphans.hold(missing(2), orphan(0, 10, 1));
        assert_eq!(orphans.len(), 2);
        check_sums(&orphans);
    }

    #[test]
    fn one_change_made_in_two_documents_is_held_for_both() {
        let mut orphans = Orphans::default();
        let [one, other] = ["d/one", "d/other"].map(|name| orphan_in(name, 0, 10, 1));
        assert_eq!(one.delta.last_hash(), other.delta.last_hash());
        orphans.hold(missing(1), one);
        orphans.hold(missing(1), other);
        check_sums(&orphans);
        let woken = orphans.wake(missing(1));
        let names: Vec<&str> = woken.iter().map(|orphan| orphan.delta.delta().document.as_str()).collect();
        assert_eq!(names, ["d/one", "d/other"]);
    }

    #[test]
    fn a_peer_above_its_share_loses_its_own_oldest() {
        let mut orphans = Orphans::default();
        orphans.hold(missing(9), orphan(1_000, 100, 2));
        let mut dropped = 0;
        for number in 0..40 {
            dropped += orphans.hold(missing(1), orphan(number, 100_000, 1));
            check_sums(&orphans);
            assert!(orphans.per_peer[&AuthorKey([1; 32])] <= ORPHAN_BYTES_PER_PEER_MAX);
        }
        assert_eq!(orphans.len(), 1 + 40 - dropped);
        assert!(dropped >= 15, "{dropped}");
        let last = orphans.wake(missing(1)).pop().unwrap();
        assert_eq!(last.delta.delta().document.as_str(), "d/39");
        assert_eq!(orphans.wake(missing(9)).len(), 1, "another peer's stays");
    }

    #[test]
    fn many_peers_together_stay_within_the_whole() {
        let mut orphans = Orphans::default();
        for number in 0..45 {
            orphans.hold(missing(1), orphan(number, 500_000, u8::try_from(number % 15).unwrap()));
            assert!(orphans.bytes() <= ORPHAN_BYTES_MAX);
        }
        check_sums(&orphans);
        assert!(orphans.len() < 45);
    }

    #[test]
    fn small_orphans_count_for_more_than_their_bytes() {
        let small = orphan(0, 1, 1);
        assert!(small.bytes() > small.delta.bytes() + 700);
    }
}
