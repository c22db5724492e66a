//! What becomes of an admitted delta, of one that waits, and of one that proves a fork; and the history
//! of a document, brought into memory.

use super::Taken;
use crate::admission::{Orphan, Waiting};
use crate::codec;
use crate::delta::VerifiedDelta;
use crate::history::{DocumentHistory, Pending, load_verified, stored_delta};
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::limits::PROOF_BYTES_WITHOUT_ROOM_MAX;
use crate::planted::is_planted;
use crate::replica::core::Core;
use crate::replica::effect::{Counted, Note, Refusal};
use crate::replica::step::{Step, Touch};
use crate::store::tables::{ForkRecord, FrontierRecord, QuarantineRecord, walk_prefix};
use crate::store::{StoreError, Table};
use crate::time::WallTime;

impl Core {
    /// Stores a delta of which at least one change was admitted.
    #[expect(clippy::too_many_arguments, reason = "one place writes all that an admission means")]
    pub(super) fn keep(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        delta: &VerifiedDelta,
        unstored: Option<VerifiedIncarnation>,
        last_seq: u64,
        last_hash: ChangeHash,
        out_of_view: &[ChangeHash],
    ) {
        let sent = delta.delta();
        if let Some(incarnation) = unstored {
            if let Some(space) = self.spaces.get_mut(&space_id) {
                let key = space.index.incarnation(incarnation.actor());
                step.transaction.put(Table::Incarnations, key, incarnation.certificate());
                space.writer_stored(incarnation.actor());
            }
            self.screener.learn_incarnation(incarnation);
        }
        self.store_delta(step, space_id, delta, last_seq, last_hash);
        if let Some(space) = self.spaces.get(&space_id) {
            for hash in out_of_view {
                let row = QuarantineRecord::of_what_rests(Some(step.now.wall));
                let key = space.index.quarantined(&sent.document, *hash);
                step.transaction.put(Table::Quarantine, key, &row);
            }
            step.count(Counted::Quarantined, out_of_view.len() as u64);
        }
        let time = delta.chunks().last().map_or(0, |chunk| chunk.time);
        let touch = Touch { author: delta.author(), time: WallTime(time.saturating_mul(1_000)) };
        step.touch(space_id, &sent.document, touch);
        if let Ok(document) = self.document_key(space_id, &sent.document) {
            self.unchecked.note(step.now.monotonic, step.commit, document);
        }
    }

    pub(super) fn hold(
        &mut self,
        step: &mut Step<'_>,
        waiting: Waiting,
        from: AuthorKey,
        delta: VerifiedDelta,
    ) -> Taken {
        step.count(Counted::Orphaned, 1);
        step.brought_by.insert(from);
        if is_planted("drop-orphan-silently") {
            // Believed to be held, it is not asked for again either.
            let sent = delta.delta();
            if let Some(space) = self.spaces.get_mut(&sent.space) {
                let tip = FrontierRecord { seq: delta.last_seq(), hash: delta.last_hash() };
                space.items.raise(&std::sync::Arc::new(sent.document.clone()), sent.actor, tip);
            }
            return Taken::Whole;
        }
        let dropped = self.orphans.hold(waiting, Orphan { delta, from });
        step.count(Counted::OrphansDropped, dropped as u64);
        Taken::Waiting
    }

    /// Keeps both signed runs: whoever sees them knows that their author equivocated. The earliest
    /// fork of a run is proof enough. Returns whether this one is news.
    pub(super) fn store_fork(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        document: &DocumentName,
        actor: Actor,
        second: &VerifiedDelta,
        known: ChangeHash,
    ) -> Result<bool, StoreError> {
        let Some(space) = self.spaces.get(&space_id) else { return Ok(false) };
        let Some(seq) = self.histories.touch(&(space.index, document.clone())).and_then(|h| h.seq_of(&known))
        else {
            return Ok(false);
        };
        let key = space.index.delta(document, actor, seq);
        let (mut proven, mut replaced) = (Vec::new(), 0);
        let rows = space.index.actor_rows(document, actor);
        walk_prefix(&step.transaction, Table::Forks, &rows, |key, row| {
            proven.push(key.to_vec());
            replaced += row.len() as u64;
            Ok(())
        })?;
        if proven.iter().any(|proven| *proven <= key) {
            return Ok(false);
        }
        let first = stored_delta(&step.transaction, space.index, document, actor, seq)?;
        let Some((first_seq, first)) = first else { return Ok(false) };
        let proof = ForkRecord {
            first: codec::encode(&first.into_delta(space_id, document.clone(), actor, first_seq)),
            second: codec::encode(second.delta()),
            since: Some(step.now.wall),
        };
        let proof = codec::encode(&proof);
        let bytes = (space.proof_bytes + proof.len() as u64).saturating_sub(replaced);
        if bytes > PROOF_BYTES_WITHOUT_ROOM_MAX && self.fullness(space_id).is_some() {
            step.count(Counted::Refused("proofs_full"), 1);
            return Ok(false);
        }
        proven.into_iter().for_each(|later| step.transaction.remove(Table::Forks, later));
        step.transaction.put_bytes(Table::Forks, key, proof);
        if let Some(space) = self.spaces.get_mut(&space_id) {
            space.proof_bytes = bytes;
        }
        step.count(Counted::Forks, 1);
        step.note(Note::Fork { space: space_id, document: document.clone(), author: second.author(), seq });
        Ok(true)
    }

    /// Brings the history of a document into memory. Stored deltas are verified again the first time.
    pub(in crate::replica) fn load_history(
        &mut self,
        step: &Step<'_>,
        space_id: SpaceId,
        document: &DocumentName,
    ) -> Result<(), StoreError> {
        let Some(space) = self.spaces.get(&space_id) else { return Ok(()) };
        let key = (space.index, document.clone());
        if self.histories.touch(&key).is_some() {
            return Ok(());
        }
        let store = &step.transaction;
        let incarnation = |actor| match self.screener.incarnation(actor) {
            Some(known) => Ok(Some(known)),
            None => space.incarnation(store, actor),
        };
        let loaded = load_verified(store, space.index, space_id, document, &incarnation);
        // Whoever reads of the damage wants to know where it is.
        let (history, pending) = loaded.map_err(|error| match error {
            StoreError::Corrupt(what) if !what.contains(document.as_str()) => {
                StoreError::Corrupt(format!("document {document:?}: {what}"))
            }
            error => error,
        })?;
        let bytes = history.approximate_bytes();
        self.histories.insert(key, history, bytes);
        for Pending { delta, missing } in pending {
            let from = delta.author();
            match missing {
                Some(missing) => {
                    self.orphans.hold(Waiting::Change(missing), Orphan { delta, from });
                }
                None => self.ripe.push(delta),
            }
        }
        Ok(())
    }

    /// The history loaded before in this step.
    pub(in crate::replica) fn loaded_history(
        &mut self,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<&mut DocumentHistory, Refusal> {
        let key = self.document_key(space, document)?;
        self.histories.touch(&key).ok_or(Refusal::Internal)
    }
}
