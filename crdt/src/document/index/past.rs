//! The graph as a history: changes by prefix, by claimed time, in causal order.

use std::collections::BTreeSet;

use super::{Index, NodeRef};
use crate::id::{Actor, ChangeHash};

/// A change of a document, as its graph knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastChange {
    /// Its hash.
    pub hash: ChangeHash,
    /// The actor that made it.
    pub actor: Actor,
    /// Its place among the actor's changes of this document, from 1.
    pub seq: u64,
    /// Seconds since 1970, as its author claims.
    pub time_seconds: i64,
    /// How many changes lie, one on the other, in the longest chain that ends in it. A change has a
    /// higher one than everything it rests on.
    pub step: u32,
    /// Whether it deletes the document.
    pub deletes: bool,
}

impl Index {
    /// Up to `most` hashes that begin with these lower-case hex digits.
    pub(in crate::document) fn with_prefix(&self, digits: &str, most: usize) -> Vec<ChangeHash> {
        let padded = format!("{digits:0<64}");
        let Ok(first) = padded.parse::<ChangeHash>() else { return Vec::new() };
        let following = self.by_hash.range(first..).map(|(hash, _)| *hash);
        following.take_while(|hash| hash.to_string().starts_with(digits)).take(most).collect()
    }

    /// The changes that are in, or below, the given ones; all without any given. In no useful order.
    pub(in crate::document) fn past_changes(&self, at: Option<&[ChangeHash]>) -> Vec<PastChange> {
        let below = at.map(|heads| self.below(heads));
        let mut actors = vec![Actor([0; 16]); self.runs.len()];
        for (actor, place) in &self.actors {
            actors[*place as usize] = *actor;
        }
        let kept = |node: &NodeRef| below.as_ref().is_none_or(|below| below.contains(node));
        let nodes = self.by_hash.iter().filter(|(_, node)| kept(node));
        nodes
            .map(|(hash, place)| {
                let node = &self.nodes[*place as usize];
                PastChange {
                    hash: *hash,
                    actor: actors[node.actor as usize],
                    seq: node.seq,
                    time_seconds: node.time,
                    step: node.step,
                    deletes: node.deletion,
                }
            })
            .collect()
    }

    /// One change of the graph.
    pub(in crate::document) fn past_change(&self, hash: &ChangeHash) -> Option<PastChange> {
        let node = &self.nodes[*self.by_hash.get(hash)? as usize];
        Some(PastChange {
            hash: *hash,
            actor: self.author(hash)?,
            seq: node.seq,
            time_seconds: node.time,
            step: node.step,
            deletes: node.deletion,
        })
    }

    /// Every actor that made a change.
    pub(in crate::document) fn all_actors(&self) -> impl Iterator<Item = Actor> + '_ {
        self.actors.iter().filter(|(_, place)| self.tips[**place as usize].is_some()).map(|(actor, _)| *actor)
    }

    /// Heads of the largest part of the graph of which every change claims a time up to this one: a
    /// change with an earlier claim than something below it is not in it.
    pub(in crate::document) fn heads_up_to(&self, time_seconds: i64) -> Vec<ChangeHash> {
        // Places follow causal order: what a change rests on was added before it.
        let mut shown = vec![false; self.nodes.len()];
        let mut covered = vec![false; self.nodes.len()];
        for (place, node) in self.nodes.iter().enumerate() {
            let rests = node.dependencies.iter().all(|below| shown[*below as usize]);
            shown[place] = node.time <= time_seconds && rests;
            if shown[place] {
                node.dependencies.iter().for_each(|below| covered[*below as usize] = true);
            }
        }
        let is_head = |node: &NodeRef| shown[*node as usize] && !covered[*node as usize];
        self.by_hash.iter().filter(|(_, node)| is_head(node)).map(|(hash, _)| *hash).collect()
    }

    /// The earliest time that any change claims.
    pub(in crate::document) fn earliest_claim(&self) -> Option<i64> {
        self.nodes.iter().map(|node| node.time).min()
    }

    fn below(&self, heads: &[ChangeHash]) -> BTreeSet<NodeRef> {
        let mut walk: Vec<NodeRef> =
            heads.iter().filter_map(|hash| self.by_hash.get(hash).copied()).collect();
        let mut seen = BTreeSet::new();
        while let Some(node) = walk.pop() {
            if seen.insert(node) {
                walk.extend(self.nodes[node as usize].dependencies.iter().copied());
            }
        }
        seen
    }
}
