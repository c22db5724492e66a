//! The DAG of one document.

use std::collections::{BTreeMap, BTreeSet};

use crate::chunk::ChangeChunk;
use crate::id::{Actor, ChangeHash};
use crate::planted::is_planted;

/// What is kept of an admitted change.
#[derive(Clone, Debug)]
struct Node {
    actor: Actor,
    seq: u64,
    max_op: u64,
    dependencies: Vec<ChangeHash>,
    deletes: bool,
}

/// Why a change does not fit into a document's history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is there already.
    #[error("the change is known")]
    Known,
    /// It rests on changes that are not there yet: wait for them.
    #[error("{} dependencies are missing", .0.len())]
    Missing(Vec<ChangeHash>),
    /// Another change by the same actor has its number: proof of equivocation.
    #[error("the actor signed another change {known} with the same sequence number")]
    Fork {
        /// The change admitted first.
        known: ChangeHash,
    },
    /// It rests on what is not there, and not on its actor's previous change: it belongs to the other
    /// side of a fork, of which this is not the proof.
    #[error("the change does not rest on {known}, its actor's change {seq} here")]
    OtherRun {
        /// The sequence number before its own.
        seq: u64,
        /// The change that has it here.
        known: ChangeHash,
    },
    /// It does not rest on exactly its actor's previous change.
    #[error("the change does not depend on exactly its actor's previous change")]
    Sequence,
    /// Its first operation is not numbered one above the highest of its dependencies.
    #[error("the change starts at operation {found}, its dependencies make that {expected}")]
    StartOp {
        /// One above the highest operation of its dependencies.
        expected: u64,
        /// What the change says.
        found: u64,
    },
}

impl Misfit {
    /// Stable short code, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Missing(_) => "missing_dependency",
            Self::Fork { .. } => "fork",
            Self::OtherRun { .. } => "other_run",
            Self::Sequence => "sequence",
            Self::StartOp { .. } => "start_op",
        }
    }
}

/// Index of one document's changes.
#[derive(Clone, Debug, Default)]
pub struct DocumentHistory {
    nodes: BTreeMap<ChangeHash, Node>,
    by_actor: BTreeMap<(Actor, u64), ChangeHash>,
    /// Kept out of the view, with everything that rests on it.
    excluded: BTreeSet<ChangeHash>,
    view_heads: BTreeSet<ChangeHash>,
    bytes: usize,
    change_bytes: u64,
}

impl DocumentHistory {
    /// Whether the change fits, by the rules of DESIGN section 5, in their order.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn check(&self, chunk: &ChangeChunk) -> Result<(), Misfit> {
        if self.nodes.contains_key(&chunk.hash) {
            return Err(Misfit::Known);
        }
        if let Some(known) = self.by_actor.get(&(chunk.actor, chunk.seq)) {
            return Err(Misfit::Fork { known: *known });
        }
        let missing: Vec<ChangeHash> =
            chunk.dependencies.iter().filter(|hash| !self.nodes.contains_key(*hash)).copied().collect();
        let seq = chunk.seq.saturating_sub(1);
        let previous = self.by_actor.get(&(chunk.actor, seq));
        if !missing.is_empty() && is_planted("apply-in-arrival-order") {
            return Ok(());
        }
        if !missing.is_empty() {
            return Err(match previous.filter(|previous| !chunk.dependencies.contains(previous)) {
                Some(known) => Misfit::OtherRun { seq, known: *known },
                None => Misfit::Missing(missing),
            });
        }
        // A change's own predecessor is the one dependency by the same actor, numbered one less.
        let own: Vec<&ChangeHash> = chunk
            .dependencies
            .iter()
            .filter(|hash| self.nodes.get(*hash).is_some_and(|node| node.actor == chunk.actor))
            .collect();
        let fits = match previous {
            Some(previous) => own == [previous],
            None => chunk.seq == 1 && own.is_empty(),
        };
        if !fits {
            return Err(Misfit::Sequence);
        }
        let last_op =
            chunk.dependencies.iter().filter_map(|hash| self.nodes.get(hash)).map(|node| node.max_op).max();
        let expected = 1 + last_op.unwrap_or(0);
        if chunk.start_op != expected {
            return Err(Misfit::StartOp { expected, found: chunk.start_op });
        }
        Ok(())
    }

    /// Takes a change in that [`DocumentHistory::check`] found to fit. Returns whether it is in the view.
    pub fn insert(&mut self, chunk: &ChangeChunk) -> bool {
        let node = Node {
            actor: chunk.actor,
            seq: chunk.seq,
            max_op: chunk.max_op(),
            dependencies: chunk.dependencies.clone(),
            deletes: chunk.deletes(),
        };
        // Two map entries of about 100 bytes each, and the dependencies.
        self.bytes += 200 + ChangeHash::LEN * node.dependencies.len();
        self.change_bytes += u64::from(chunk.bytes);
        self.by_actor.insert((chunk.actor, chunk.seq), chunk.hash);
        self.nodes.insert(chunk.hash, node);
        let shown = !chunk.dependencies.iter().any(|hash| self.excluded.contains(hash));
        if shown {
            chunk.dependencies.iter().for_each(|hash| {
                self.view_heads.remove(hash);
            });
            self.view_heads.insert(chunk.hash);
        } else {
            self.excluded.insert(chunk.hash);
        }
        shown
    }

    /// Keeps changes out of the view, and everything that rests on them. Returns what left the view.
    pub fn exclude(&mut self, hashes: impl IntoIterator<Item = ChangeHash>) -> Vec<ChangeHash> {
        let hashes = hashes.into_iter().filter(|hash| self.nodes.contains_key(hash));
        let mut left: Vec<ChangeHash> = hashes.filter(|hash| self.excluded.insert(*hash)).collect();
        if left.is_empty() {
            return left;
        }
        // Dependents are rarely asked for, so they are gathered when they are: one pass, however long
        // the chain that rests on what is excluded.
        let mut dependents: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
        for (hash, node) in &self.nodes {
            for dependency in &node.dependencies {
                dependents.entry(*dependency).or_default().push(*hash);
            }
        }
        let mut next = 0;
        while let Some(hash) = left.get(next) {
            next += 1;
            let resting = dependents.remove(hash).unwrap_or_default();
            left.extend(resting.into_iter().filter(|hash| self.excluded.insert(*hash)));
        }
        self.view_heads = self.heads_of_view();
        left
    }

    fn heads_of_view(&self) -> BTreeSet<ChangeHash> {
        let shown = || self.nodes.iter().filter(|(hash, _)| !self.excluded.contains(*hash));
        let mut heads: BTreeSet<ChangeHash> = shown().map(|(hash, _)| *hash).collect();
        shown().flat_map(|(_, node)| &node.dependencies).for_each(|hash| {
            heads.remove(hash);
        });
        heads
    }

    /// Heads of the view, sorted.
    pub fn view_heads(&self) -> Vec<ChangeHash> {
        self.view_heads.iter().copied().collect()
    }

    /// Whether every head of the view is a delete change: the document is deleted.
    pub fn deleted(&self) -> bool {
        !self.view_heads.is_empty()
            && self.view_heads.iter().all(|hash| self.nodes.get(hash).is_some_and(|node| node.deletes))
    }

    /// Whether the change is in history.
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        self.nodes.contains_key(hash)
    }

    /// Whether the change is in history and in the view.
    pub fn shows(&self, hash: &ChangeHash) -> bool {
        self.contains(hash) && !self.excluded.contains(hash)
    }

    /// The change's sequence number.
    pub fn seq_of(&self, hash: &ChangeHash) -> Option<u64> {
        self.nodes.get(hash).map(|node| node.seq)
    }

    /// The actor's last change: sequence number and hash.
    pub fn tip(&self, actor: Actor) -> Option<(u64, ChangeHash)> {
        self.by_actor.range((actor, 0)..=(actor, u64::MAX)).next_back().map(|((_, seq), hash)| (*seq, *hash))
    }

    /// Number of changes.
    pub fn changes(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// Bytes of the changes as they were signed.
    pub fn change_bytes(&self) -> u64 {
        self.change_bytes
    }

    /// Estimated memory, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> ChangeHash {
        ChangeHash([number; 32])
    }

    /// A change of `ops` operations, numbered by its hash.
    fn chunk(number: u8, actor: u8, seq: u64, start_op: u64, ops: u64, dependencies: &[u8]) -> ChangeChunk {
        ChangeChunk {
            hash: hash(number),
            dependencies: dependencies.iter().map(|number| hash(*number)).collect(),
            actor: Actor([actor; 16]),
            seq,
            start_op,
            ops,
            time: 0,
            message: None,
            other_actors: Vec::new(),
            bytes: 100,
        }
    }

    fn history(chunks: &[ChangeChunk]) -> DocumentHistory {
        let mut history = DocumentHistory::default();
        for chunk in chunks {
            assert_eq!(history.check(chunk), Ok(()), "{chunk:?}");
            assert!(history.insert(chunk));
        }
        history
    }

    /// 1 by actor 1; on it 2 by actor 1 and 3 by actor 2, three operations each.
    fn small() -> DocumentHistory {
        history(&[chunk(1, 1, 1, 1, 3, &[]), chunk(2, 1, 2, 4, 3, &[1]), chunk(3, 2, 1, 4, 3, &[1])])
    }

    #[test]
    fn every_misfit_has_its_reason() {
        let history = small();
        let missing = Misfit::Missing(vec![hash(8), hash(9)]);
        let start = |expected, found| Misfit::StartOp { expected, found };
        let cases = [
            (chunk(2, 1, 2, 4, 3, &[1]), Misfit::Known, "known"),
            (chunk(9, 1, 2, 4, 3, &[1]), Misfit::Fork { known: hash(2) }, "fork"),
            // A fork is one whatever else is wrong or missing.
            (chunk(9, 1, 1, 99, 3, &[8]), Misfit::Fork { known: hash(1) }, "fork"),
            (chunk(7, 1, 3, 7, 1, &[2, 8, 9]), missing, "missing_dependency"),
            (chunk(7, 1, 3, 7, 1, &[3, 9]), Misfit::OtherRun { seq: 2, known: hash(2) }, "other_run"),
            // Without its predecessor, behind it, beside it, with one too many.
            (chunk(7, 1, 3, 7, 1, &[3]), Misfit::Sequence, "sequence"),
            (chunk(7, 1, 4, 7, 1, &[2]), Misfit::Sequence, "sequence"),
            (chunk(7, 1, 3, 4, 1, &[1]), Misfit::Sequence, "sequence"),
            (chunk(7, 1, 3, 7, 1, &[1, 2]), Misfit::Sequence, "sequence"),
            (chunk(7, 3, 2, 7, 1, &[2]), Misfit::Sequence, "sequence"),
            (chunk(7, 2, 0, 7, 1, &[3]), Misfit::Sequence, "sequence"),
            (chunk(7, 1, 3, 8, 1, &[2, 3]), start(7, 8), "start_op"),
            (chunk(7, 1, 3, 6, 1, &[2]), start(7, 6), "start_op"),
            (chunk(7, 3, 1, 2, 1, &[]), start(1, 2), "start_op"),
        ];
        for (chunk, misfit, code) in cases {
            assert_eq!(history.check(&chunk), Err(misfit.clone()), "{chunk:?}");
            assert_eq!(misfit.code(), code);
        }
        assert_eq!(history.check(&chunk(7, 1, 3, 7, 1, &[2, 3])), Ok(()));
        assert_eq!(history.check(&chunk(7, 3, 1, 1, 1, &[])), Ok(()));
    }

    #[test]
    fn a_change_without_operations_takes_no_counter() {
        let mut history = small();
        let merge = chunk(4, 1, 3, 7, 0, &[2, 3]);
        assert_eq!(history.check(&merge), Ok(()));
        history.insert(&merge);
        assert_eq!(history.check(&chunk(5, 1, 4, 7, 1, &[4])), Ok(()));
        assert_eq!(history.view_heads(), vec![hash(4)]);
    }

    #[test]
    fn heads_and_tips_follow_what_is_inserted() {
        let history = small();
        assert_eq!(history.view_heads(), vec![hash(2), hash(3)]);
        assert_eq!(history.tip(Actor([1; 16])), Some((2, hash(2))));
        assert_eq!(history.tip(Actor([9; 16])), None);
        assert_eq!((history.seq_of(&hash(3)), history.seq_of(&hash(9))), (Some(1), None));
        assert_eq!(history.changes(), 3);
        assert!(history.approximate_bytes() > 600);
    }

    #[test]
    fn what_is_excluded_leaves_with_all_that_rests_on_it() {
        let mut history = small();
        assert_eq!(history.exclude([hash(9)]), vec![]);
        assert_eq!(history.exclude([hash(1)]), vec![hash(1), hash(2), hash(3)]);
        assert_eq!((history.view_heads(), history.deleted()), (vec![], false));
        assert_eq!(history.exclude([hash(1), hash(2)]), vec![]);
        assert!(history.contains(&hash(2)) && !history.shows(&hash(2)));
        // What comes later and rests on it stays out, too.
        assert!(!history.insert(&chunk(4, 1, 3, 7, 1, &[2])));
        assert!(history.insert(&chunk(5, 3, 1, 1, 1, &[])));
        assert_eq!(history.view_heads(), vec![hash(5)]);
    }

    #[test]
    fn excluding_a_head_shows_what_it_rested_on() {
        let mut history = small();
        assert_eq!(history.exclude([hash(2)]), vec![hash(2)]);
        assert_eq!(history.view_heads(), vec![hash(3)]);
        assert_eq!(history.exclude([hash(3)]), vec![hash(3)]);
        assert_eq!(history.view_heads(), vec![hash(1)]);
    }

    #[test]
    fn a_long_chain_is_excluded_in_one_pass() {
        let mut history = DocumentHistory::default();
        let number = |n: u64| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            ChangeHash(hash)
        };
        for seq in 1..=20_000 {
            let mut next = chunk(0, 1, seq, seq, 1, &[]);
            next.hash = number(seq);
            next.dependencies = (seq > 1).then(|| number(seq - 1)).into_iter().collect();
            history.insert(&next);
        }
        assert_eq!(history.exclude([number(1)]).len(), 20_000);
        assert_eq!(history.view_heads(), vec![]);
    }

    #[test]
    fn a_document_is_deleted_when_every_head_deletes() {
        let delete = |number, actor, seq, start_op, dependencies: &[u8]| ChangeChunk {
            message: Some(crate::chunk::DELETION_MESSAGE.to_owned()),
            ..chunk(number, actor, seq, start_op, 1, dependencies)
        };
        let mut history = small();
        history.insert(&delete(4, 1, 3, 7, &[2]));
        assert!(!history.deleted());
        history.insert(&delete(5, 2, 2, 7, &[3]));
        assert!(history.deleted());
        history.exclude([hash(5)]);
        assert!(!history.deleted(), "its other head shows again");
    }
}
