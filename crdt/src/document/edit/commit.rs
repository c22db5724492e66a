//! From an edit to its change: one transaction, its limits, and the way back.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{Change, ExpandedChange, ReadDoc};

use super::made::{Expected, Made};
use super::{Commit, Edit, EditError, LocalChange, MERGED_HEADS_MAX, steps};
use crate::chunk::{ChangeChunk, ChunkError};
use crate::document::write::Writer;
use crate::document::{DELETION_MESSAGE, Document, bridge, validate};
use crate::id::ChangeHash;
use crate::limits::OP_COUNTER_MAX;

/// How a written transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Commit,
    /// Only whether the edit changes anything was asked.
    Rollback,
}

/// An edit that changes the document; without its change when it was only tried.
pub(super) struct Outcome {
    pub(super) change: Option<LocalChange>,
    pub(super) created: bool,
}

impl Document {
    /// Writes the edit into a transaction and ends it as told. None when nothing changes.
    pub(super) fn attempt(
        &mut self,
        commit: Commit<'_>,
        edit: &Edit,
        base: Option<&[automerge::ChangeHash]>,
        finish: Finish,
    ) -> Result<Option<Outcome>, EditError> {
        let exists = self.index.heads_count() > 0 && !self.is_deleted(None);
        let settles = self.settles_deletion(edit);
        let counters_left = self.counters_left();
        self.automerge.set_actor(bridge::actor_id(commit.actor));
        let mut tx = self.automerge.transaction();
        let mut writer =
            Writer { tx: &mut tx, index: &self.index, base, value_bytes: 0, made: Made::default() };
        let Ok(written) = catch_unwind(AssertUnwindSafe(|| steps::write(&mut writer, edit))) else {
            // Dropping the transaction would roll it back, which may panic again and abort.
            std::mem::forget(tx);
            self.damaged = true;
            return Err(EditError::Crash);
        };
        let made = std::mem::take(&mut writer.made);
        let ops = tx.pending_ops();
        let created = match written {
            Ok(created) if (ops as u64) < counters_left => created,
            outcome => {
                tx.rollback();
                return Err(outcome.err().unwrap_or(EditError::Exhausted));
            }
        };
        // A document comes into being, or is gone, even by an edit that changes no member.
        let exists_after = !matches!(edit, Edit::Remove);
        if ops == 0 && exists == exists_after && !settles {
            tx.rollback();
            return Ok(None);
        }
        if finish == Finish::Rollback {
            tx.rollback();
            return Ok(Some(Outcome { change: None, created }));
        }
        let commit = Commit { message: message(commit, edit), ..commit };
        let options = options(commit);
        let hash = if ops > 0 {
            catch_unwind(AssertUnwindSafe(|| tx.commit_with(options).0)).ok().flatten()
        } else {
            tx.rollback();
            catch_unwind(AssertUnwindSafe(|| self.automerge.empty_commit(options))).ok()
        };
        let Some(hash) = hash else {
            self.damaged = true;
            return Err(EditError::Crash);
        };
        let expected = made.change(commit, ops, self.heads(), &self.index);
        let change = self.export(&hash, expected)?;
        Ok(Some(Outcome { change: Some(change), created }))
    }

    /// The bytes of a change just committed, entered into the index; or the change taken back,
    /// since nothing leaves this node that others would refuse. `expected` is the change, if it is known.
    fn export(
        &mut self,
        hash: &automerge::ChangeHash,
        expected: Option<Expected>,
    ) -> Result<LocalChange, EditError> {
        let read = match expected.filter(|expected| expected.change.hash() == *hash) {
            // It was encoded from what it says, so it is what that gives.
            Some(made) => {
                debug_assert!(is_canonical(&made.change, &made.change.decode()));
                Some((made, true))
            }
            None => self.collect(hash).map(|read| {
                let is_canonical = is_canonical(&read.change, &read.expanded);
                (read, is_canonical)
            }),
        };
        let Some((Expected { change, expanded }, is_canonical)) = read else {
            self.damaged = true;
            return Err(EditError::Crash);
        };
        let (own, bytes) = (bridge::hash(hash), change.raw_bytes().to_vec());
        let verdict = match ChangeChunk::parse(&bytes) {
            Err(error) => Err(of_limit(error)),
            Ok(_) if !is_canonical => Err(EditError::Crash),
            Ok(chunk) => validate::admit(&mut self.index, own, &expanded, bytes.len())
                .map(|()| LocalChange { chunk, bytes })
                .map_err(|_| EditError::Crash),
        };
        if verdict.is_err() {
            self.take_back(&[own]);
        }
        verdict
    }

    fn collect(&mut self, hash: &automerge::ChangeHash) -> Option<Expected> {
        #[cfg(test)]
        {
            self.collected += 1;
        }
        let change = catch_unwind(AssertUnwindSafe(|| self.automerge.get_change_by_hash(hash))).ok()??;
        let expanded = change.decode();
        Some(Expected { change, expanded })
    }

    /// Writes empty changes over subsets of the heads until one change can have all as dependencies.
    pub(super) fn merge_heads(&mut self, commit: Commit<'_>) -> Result<Vec<LocalChange>, EditError> {
        let mut merges = Vec::new();
        while self.index.heads_count() > MERGED_HEADS_MAX {
            let tip = self.index.tip(commit.actor);
            let mut dependencies: BTreeSet<ChangeHash> =
                self.heads().into_iter().take(MERGED_HEADS_MAX).collect();
            dependencies.extend(tip.map(|tip| tip.hash));
            let start_op =
                1 + dependencies.iter().filter_map(|hash| self.index.max_op(hash)).max().unwrap_or(0);
            let expanded = ExpandedChange {
                operations: Vec::new(),
                actor_id: bridge::actor_id(commit.actor),
                hash: None,
                seq: tip.map_or(1, |tip| tip.seq + 1),
                start_op: NonZeroU64::MIN.saturating_add(u64::from(start_op) - 1),
                time: commit.time_seconds,
                message: None,
                deps: dependencies.iter().map(bridge::automerge_hash).collect(),
                extra_bytes: Vec::new(),
                author: None,
            };
            let change = Change::from(expanded);
            let bytes = change.raw_bytes().to_vec();
            let chunk = ChangeChunk::parse(&bytes).ok().filter(|_| self.apply(&[&bytes]).is_empty());
            let Some(chunk) = chunk else {
                self.take_back(&hashes(&merges));
                return Err(EditError::Crash);
            };
            merges.push(LocalChange { chunk, bytes });
        }
        Ok(merges)
    }

    /// Whether the edit decides between a deletion and edits beside it, which takes a change even when
    /// no member changes.
    fn settles_deletion(&self, edit: &Edit) -> bool {
        let at_root = matches!(edit, Edit::Resolve { pointer, .. } if pointer.is_root());
        at_root && !self.is_deleted(None) && self.heads().iter().any(|head| self.is_deleted(Some(&[*head])))
    }

    /// Operation counters left, the next change's first included.
    fn counters_left(&self) -> u64 {
        let used = self.index.heads_max_op();
        OP_COUNTER_MAX.saturating_sub(u64::from(used) + 1)
    }

    /// Builds the document anew without its last changes. Only for the rare edit that turned out
    /// too large after automerge had encoded it.
    pub(super) fn take_back(&mut self, changes: &[ChangeHash]) {
        if changes.is_empty() || self.damaged {
            return;
        }
        let gone = |change: &Change| changes.contains(&bridge::hash(&change.hash()));
        let rebuilt = catch_unwind(AssertUnwindSafe(|| {
            let mut kept = self.automerge.get_changes(&[]);
            kept.retain(|change| !gone(change));
            let mut automerge = bridge::empty();
            automerge.apply_changes(kept).ok()?;
            Some(automerge)
        }));
        match rebuilt {
            Ok(Some(automerge)) => {
                self.automerge = automerge;
                self.rebuild_index();
            }
            _ => self.damaged = true,
        }
    }
}

pub(super) fn hashes(changes: &[LocalChange]) -> Vec<ChangeHash> {
    changes.iter().map(|change| change.chunk.hash).collect()
}

/// A limit that an edit can meet, or a defect.
fn of_limit(error: ChunkError) -> EditError {
    match error {
        ChunkError::TooLong { .. }
        | ChunkError::TooManyOps
        | ChunkError::TooManyPredecessors
        | ChunkError::TooManyActors { .. } => EditError::TooLarge,
        ChunkError::OpCounter { .. } => EditError::Exhausted,
        _ => EditError::Crash,
    }
}

/// What the change of an edit says of itself.
fn message<'a>(commit: Commit<'a>, edit: &Edit) -> Option<&'a str> {
    if matches!(edit, Edit::Remove) { Some(DELETION_MESSAGE) } else { commit.message }
}

fn options(commit: Commit<'_>) -> CommitOptions {
    CommitOptions { message: commit.message.map(str::to_owned), time: Some(commit.time_seconds) }
}

/// Whether a change is what writing its content gives, as everybody checks who receives it.
fn is_canonical(change: &Change, expanded: &ExpandedChange) -> bool {
    Change::from(expanded.clone()).raw_bytes() == change.raw_bytes()
}
