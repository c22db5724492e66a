//! From a step's own changes to signed deltas, and the records of every document it touched.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::effect::{DocumentChange, Effect, Note, Refusal};
use super::step::{Step, Touch};
use crate::delta::VerifiedDelta;
use crate::gossip::Frame;
use crate::history::ItemKey;
use crate::id::{ChangeHash, DocumentName, SpaceId};
use crate::limits::GOSSIP_BYTES_MAX;
use crate::planted::is_planted;
use crate::store::tables::{DeltaRecord, DocumentRecord, FrontierRecord, document_record};
use crate::store::{StoreRead, Table};

/// New documents of one step that stay built after it. What single writes make is likely to be written
/// again; of a bulk import nothing is touched again soon, and its peak would stay with the process, since
/// the allocator gives little of it back.
const MADE_KEPT_MAX: usize = 16;

/// How long a new incarnation rides along with its deltas: whoever was there hears it at least once.
const INCARNATION_INLINE: Duration = Duration::from_secs(60);

impl Core {
    /// Signs the open run of a document, stores it and queues its announcement.
    pub(super) fn sign_run(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<(), Refusal> {
        let Some(run) = step.runs.remove(&(space, document.clone())) else {
            return Ok(());
        };
        let delta =
            VerifiedDelta::sign_parsed(&self.identity, space, document.clone(), run.actor, run.changes)
                .map_err(|_| Refusal::Internal)?;
        self.store_delta(step, space, &delta, delta.last_seq(), delta.last_hash());
        let space = self.space(space)?;
        let young = space.own.as_ref().filter(|own| {
            own.incarnation.actor() == run.actor && step.now.monotonic.since(own.born) < INCARNATION_INLINE
        });
        let incarnation = young.map(|own| own.incarnation.certificate().clone());
        let frame = Frame::Delta { incarnation, delta: delta.delta().clone() };
        let mut payload = frame.seal(&space.key);
        if payload.len() > GOSSIP_BYTES_MAX
            && let Frame::Delta { incarnation, .. } = frame
        {
            let announcement = delta.announcement();
            payload = Frame::Announcement { incarnation, announcement }.seal(&space.key);
        }
        step.effects.push(Effect::Publish { topic: space.topic, payload });
        Ok(())
    }

    /// Writes a delta and raises its actor's frontier to `seq`.
    pub(super) fn store_delta(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        delta: &VerifiedDelta,
        seq: u64,
        hash: ChangeHash,
    ) {
        let Some(space) = self.spaces.get_mut(&space) else { return };
        self.arrival += 1;
        self.compaction.note_work(step.now.monotonic);
        let sent = delta.delta();
        let stored = DeltaRecord {
            arrival: self.arrival,
            changes: sent.changes.clone(),
            signature: sent.signature.0,
            admitted: seq + 1 - sent.first_seq,
        };
        let document = &sent.document;
        let is_lost = is_planted("lose-last-record") && self.arrival.is_multiple_of(16);
        if !is_lost {
            let key = space.index.delta(document, sent.actor, sent.first_seq);
            step.transaction.put(Table::Deltas, key, &stored);
        }
        let tip = FrontierRecord { seq, hash };
        step.transaction.put(Table::Frontiers, space.index.actor_rows(document, sent.actor), &tip);
        let name = space
            .items
            .item(ItemKey::of(document, sent.actor))
            .map_or_else(|| Arc::new(document.clone()), |item| item.document.clone());
        let is_own = space.own.as_ref().is_some_and(|own| own.incarnation.actor() == sent.actor);
        if !(is_own && is_planted("summary-without-own")) {
            space.items.raise(&name, sent.actor, tip);
        }
    }

    /// Ends the step: every run signed, every touched document's record written.
    pub(super) fn finish(&mut self, step: &mut Step<'_>) -> Result<(), Refusal> {
        let open: Vec<(SpaceId, DocumentName)> = step.runs.keys().cloned().collect();
        for (space, document) in open {
            self.sign_run(step, space, &document)?;
        }
        for ((space, document), touch) in std::mem::take(&mut step.touched) {
            self.write_record(step, space, &document, touch)?;
        }
        let made = std::mem::take(&mut step.made);
        if made.len() > MADE_KEPT_MAX {
            for document in &made {
                self.views.remove(document);
                self.histories.remove(document);
            }
        }
        Ok(())
    }

    fn write_record(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        document: &DocumentName,
        touch: Touch,
    ) -> Result<(), Refusal> {
        let position = self.position(step.commit);
        let history = self.loaded_history(space_id, document)?;
        let (heads, deleted, changes) = (history.view_heads(), history.deleted(), history.changes());
        let (bytes, memory) = (history.change_bytes(), history.approximate_bytes());
        let cached = self.document_key(space_id, document)?;
        self.histories.resize(&cached, memory);
        let space = self.spaces.get_mut(&space_id).ok_or(Refusal::UnknownSpace(space_id))?;
        let key = space.index.document(document.as_str());
        let old = step.transaction.value(Table::Documents, &key)?;
        if old.is_none() {
            step.made.push(cached);
        }
        // What a damaged record said follows from history, and is written anew here.
        let old = old.and_then(|value| match document_record(document, &value) {
            Ok(old) => Some(old),
            Err(error) => {
                step.effects.push(Effect::Note(Note::StoreFault { error }));
                None
            }
        });
        if let Some(old) = &old {
            step.transaction.remove(Table::Changed, space.index.changed(old.commit, document));
            space.changes -= old.changes;
            space.bytes = space.bytes.saturating_sub(old.bytes.unwrap_or(0));
            space.documents -= u64::from(!old.deleted);
        }
        space.changes += changes;
        space.bytes += bytes;
        // What nothing is shown of does not exist, like what was deleted.
        let deleted = deleted || heads.is_empty();
        space.documents += u64::from(!deleted);
        let known = DocumentRecord {
            heads: heads.clone(),
            deleted,
            changes,
            commit: step.commit,
            author: touch.author,
            time: touch.time,
            bytes: Some(bytes),
        };
        step.transaction.put(Table::Documents, key, &known);
        step.transaction.put(Table::Changed, space.index.changed(step.commit, document), &());
        step.effects.push(Effect::Changed(DocumentChange {
            space: space_id,
            document: document.clone(),
            heads,
            author: touch.author,
            position,
            deleted,
        }));
        Ok(())
    }
}
