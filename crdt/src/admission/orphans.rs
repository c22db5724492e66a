//! Deltas that wait for something: a change they rest on, a statement their author's right rests on.
//!
//! Bounded in bytes, in all and per peer; the oldest make room, and repair fetches them again. A
//! delta of which some changes were admitted is stored already, so what waits here is a copy and
//! dropping it loses nothing either: loading the document finds its rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::delta::VerifiedDelta;
use crate::id::{AuthorKey, ChangeHash, SpaceId, StatementId};
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
        ORPHAN_BYTES + name + self.delta.bytes() + ORPHAN_CHANGE_BYTES * self.delta.chunks().len()
    }
}

/// Everything that waits, by arrival.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    held: BTreeMap<u64, (Waiting, Orphan)>,
    waiting: BTreeSet<(Waiting, u64)>,
    known: BTreeSet<(ChangeHash, Waiting)>,
    bytes: usize,
    per_peer: BTreeMap<AuthorKey, usize>,
    next: u64,
}

impl Orphans {
    /// Holds a delta until `waiting` comes. Returns how many older ones made room for it.
    pub fn hold(&mut self, waiting: Waiting, orphan: Orphan) -> usize {
        let size = orphan.bytes();
        if size > ORPHAN_BYTES_PER_PEER_MAX || !self.known.insert((orphan.delta.last_hash(), waiting)) {
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
        self.known.remove(&(orphan.delta.last_hash(), waiting));
        self.bytes -= size;
        if let Some(bytes) = self.per_peer.get_mut(&orphan.from) {
            *bytes -= size;
            if *bytes == 0 {
                self.per_peer.remove(&orphan.from);
            }
        }
        Some(orphan)
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
