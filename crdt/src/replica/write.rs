//! Local writes: from a request to a change, and from a step's changes to signed deltas.

use std::collections::BTreeMap;

use super::core::Core;
use super::effect::{Counted, Effect, Note, Refusal, Reply, Written};
use super::input::{Condition, EntityTag, RequestTicket, Write};
use super::request;
use super::space::OwnIncarnation;
use super::step::{Run, Step, Touch};
use crate::codec;
use crate::delta::VerifiedDelta;
use crate::document::{Commit, Edit, EditError, Edited, LocalChange, Poison, PoisonReason};
use crate::gossip::Frame;
use crate::history::ItemKey;
use crate::id::{Actor, ChangeHash, DocumentName, Position, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::limits::{DOCUMENT_OBJECTS_ADVISED, GOSSIP_BYTES_MAX, REQUEST_ID_BYTES_MAX, REQUEST_MEMORY};
use crate::planted::is_planted;
use crate::store::tables::{
    DeltaRecord, DocumentRecord, FrontierRecord, QuarantineRecord, RequestRecord, document_record, record,
};
use crate::store::{StoreError, StoreRead, Table};
use crate::time::WallTime;
use crate::view::BuiltView;

/// New documents of one step that stay built after it. What single writes make is likely to be written
/// again; of a bulk import nothing is touched again soon, and its peak would stay with the process, since
/// the allocator gives little of it back.
const MADE_KEPT_MAX: usize = 16;

/// How long a new incarnation rides along with its deltas: whoever was there hears it at least once.
const INCARNATION_INLINE: std::time::Duration = std::time::Duration::from_secs(60);

impl Core {
    /// Handles one write: it is refused as a whole, or becomes one change.
    pub(super) fn write(&mut self, step: &mut Step<'_>, ticket: RequestTicket, write: &Write) {
        let reply = self.try_write(step, write);
        step.reply(ticket, reply.map(Reply::Written));
    }

    fn try_write(&mut self, step: &mut Step<'_>, write: &Write) -> Result<Written, Refusal> {
        let space = self.space(write.space)?;
        if !space.charter.may_write(self.identity.key(), &write.document) {
            return Err(Refusal::NotAllowed { action: "write this document" });
        }
        let request = write.request_id.as_deref().map(|id| self.request_key(write, id)).transpose()?;
        if let Some((key, digest)) = &request
            && let Some(known) = self.remembered(step, key, digest, write)?
        {
            return Ok(known);
        }
        if let Some(full) = self.fullness(write.space) {
            return Err(full);
        }
        self.load(step, write.space, &write.document)?;
        self.check_condition(write)?;
        let written = self.apply_edit(step, write)?;
        if let Some((key, digest)) = request {
            let expires = WallTime(step.now.wall.0.saturating_add(REQUEST_MEMORY.as_millis() as i64));
            step.transaction.put(
                Table::Requests,
                key,
                &RequestRecord { digest, expires, reply: codec::encode(&written) },
            );
            self.remembers_request(step.now.monotonic, expires);
        }
        Ok(written)
    }

    /// The row a request id has, and what tells one write from another.
    fn request_key(&self, write: &Write, id: &str) -> Result<(Vec<u8>, [u8; 32]), Refusal> {
        if id.is_empty() || id.len() > REQUEST_ID_BYTES_MAX {
            return Err(Refusal::TooMany { what: "bytes in the request id, or none" });
        }
        let index = self.space(write.space)?.index;
        Ok(([index.all().as_slice(), id.as_bytes()].concat(), request::digest(write)))
    }

    fn remembered(
        &self,
        step: &Step<'_>,
        key: &[u8],
        digest: &[u8; 32],
        write: &Write,
    ) -> Result<Option<Written>, Refusal> {
        let Some(value) = step.transaction.value(Table::Requests, key)? else {
            return Ok(None);
        };
        let known: RequestRecord = record(&value, "request record")?;
        if known.expires < step.now.wall {
            return Ok(None);
        }
        if is_planted("forget-requests") {
            return Ok(None);
        }
        if known.digest != *digest {
            return Err(Refusal::RequestIdReused(write.request_id.clone().unwrap_or_default()));
        }
        Ok(Some(record(&known.reply, "request reply")?))
    }

    fn check_condition(&mut self, write: &Write) -> Result<(), Refusal> {
        let history = self.loaded_history(write.space, &write.document)?;
        let heads = history.view_heads();
        let exists = !heads.is_empty() && !history.deleted();
        let Condition { heads: wanted, tags, absent, present } = &write.condition;
        let heads_differ = wanted.as_ref().is_some_and(|wanted| {
            let mut wanted = wanted.clone();
            wanted.sort_unstable();
            wanted != heads
        });
        let tag_differs = tags.as_ref().is_some_and(|tags| !exists || !tags.contains(&EntityTag::of(&heads)));
        if heads_differ || tag_differs || (*absent && exists) || (*present && !exists) {
            return Err(Refusal::Precondition { heads });
        }
        let needs_document = matches!(write.edit, Edit::Remove);
        if needs_document && !exists {
            return Err(Refusal::UnknownDocument(write.document.clone()));
        }
        Ok(())
    }

    fn apply_edit(&mut self, step: &mut Step<'_>, write: &Write) -> Result<Written, Refusal> {
        let existed = {
            let history = self.loaded_history(write.space, &write.document)?;
            !history.view_heads().is_empty() && !history.deleted()
        };
        let actor = self.own_actor(step, write.space)?;
        let commit = Commit { actor, time_seconds: step.now.wall.0.div_euclid(1_000), message: None };
        let view = self.loaded_view(write.space, &write.document)?;
        let edited = view.document_mut().edit(commit, &write.edit);
        let is_large = view.document().objects() > DOCUMENT_OBJECTS_ADVISED;
        let edited = match edited {
            Ok(edited) => edited,
            Err(error) => return Err(self.edit_failed(step, write, error)),
        };
        let Edited { changes, created, .. } = edited;
        let changed = !changes.is_empty();
        for change in changes {
            self.take_own_change(step, write, actor, change)?;
        }
        step.count(Counted::Written, u64::from(changed));
        if is_large {
            self.note_large(write.space, &write.document)?;
        }
        let heads = self.loaded_history(write.space, &write.document)?.view_heads();
        let created = created || (changed && !existed && !matches!(write.edit, Edit::Remove));
        let commit = if changed { step.commit } else { step.commit - 1 };
        Ok(Written { heads, position: self.position(commit), changed, created })
    }

    fn note_large(&mut self, space: SpaceId, document: &DocumentName) -> Result<(), Refusal> {
        let key = self.document_key(space, document)?;
        if let Some(view) = self.views.touch(&key) {
            self.large.note(&key, view.document());
        }
        Ok(())
    }

    /// A document that automerge failed on is built anew next time; what was written stays.
    fn edit_failed(&mut self, step: &mut Step<'_>, write: &Write, error: EditError) -> Refusal {
        let damaged =
            self.loaded_view(write.space, &write.document).is_ok_and(|view| view.document().is_damaged());
        if !damaged {
            return Refusal::Edit(error);
        }
        if let Err(refusal) = self.sign_run(step, write.space, &write.document) {
            return refusal;
        }
        if let Ok(key) = self.document_key(write.space, &write.document) {
            self.views.remove(&key);
        }
        Refusal::Internal
    }

    fn take_own_change(
        &mut self,
        step: &mut Step<'_>,
        write: &Write,
        actor: Actor,
        change: LocalChange,
    ) -> Result<(), Refusal> {
        let chunk = &change.chunk;
        let history = self.loaded_history(write.space, &write.document)?;
        // The document checks every change it makes, so this holds unless Starling itself is at fault;
        // nothing was taken into history then.
        if history.check(chunk).is_err() {
            self.sign_run(step, write.space, &write.document)?;
            let key = self.document_key(write.space, &write.document)?;
            self.views.remove(&key);
            return Err(Refusal::Internal);
        }
        history.insert(chunk);
        self.loaded_view(write.space, &write.document)?.wrote(actor, chunk.seq);
        let touch = Touch { author: self.identity.key(), time: WallTime(chunk.time.saturating_mul(1_000)) };
        step.touch(write.space, &write.document, touch);
        let key = (write.space, write.document.clone());
        if step.runs.get(&key).is_some_and(|run| !run.fits(actor, change.bytes.len())) {
            self.sign_run(step, write.space, &write.document)?;
        }
        step.runs.entry(key).or_insert_with(|| Run::new(actor)).push(change);
        Ok(())
    }

    /// The actor this process writes as in the space: a new one at the first write, and when the own
    /// right has changed.
    fn own_actor(&mut self, step: &mut Step<'_>, space: SpaceId) -> Result<Actor, Refusal> {
        let own_key = self.identity.key();
        let rights = self.space(space)?.charter.rights_of(own_key);
        let space = self.spaces.get_mut(&space).ok_or(Refusal::UnknownSpace(space))?;
        if let Some(own) = space.own.as_ref().filter(|own| own.rights == rights) {
            return Ok(own.incarnation.actor());
        }
        let tips = space.charter.tips_for(own_key);
        let nonce = (self.nonces)();
        let nonce = if is_planted("reuse-incarnation") { [0; 16] } else { nonce };
        let incarnation = VerifiedIncarnation::sign(&self.identity, space.id, nonce, tips);
        let actor = incarnation.actor();
        step.transaction.put(Table::Incarnations, space.index.incarnation(actor), incarnation.certificate());
        space.own = Some(OwnIncarnation { incarnation, born: step.now.monotonic, rights });
        Ok(actor)
    }

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
            .map_or_else(|| std::sync::Arc::new(document.clone()), |item| item.document.clone());
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
        step.effects.push(Effect::Changed(super::effect::DocumentChange {
            space: space_id,
            document: document.clone(),
            heads,
            author: touch.author,
            position,
            deleted,
        }));
        Ok(())
    }

    /// Puts changes that cannot be applied, and what rests on them, out of the view.
    pub(super) fn quarantine(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        document: &DocumentName,
        poison: &[Poison],
    ) -> Result<(), Refusal> {
        self.load_history(step, space_id, document)?;
        // The view will be built anew from what is stored, so the own open run must be.
        self.sign_run(step, space_id, document)?;
        let index = self.space(space_id)?.index;
        let reasons: BTreeMap<ChangeHash, PoisonReason> =
            poison.iter().map(|poison| (poison.hash, poison.reason)).collect();
        let history = self.loaded_history(space_id, document)?;
        for hash in history.exclude(reasons.keys().copied()) {
            let since = Some(step.now.wall);
            let row = match reasons.get(&hash) {
                Some(PoisonReason::Dependency(_)) | None => QuarantineRecord::of_what_rests(since),
                Some(reason) => {
                    QuarantineRecord { reason: reason.to_string(), code: Some(reason.code().into()), since }
                }
            };
            step.transaction.put(Table::Quarantine, index.quarantined(document, hash), &row);
            step.count(Counted::Quarantined, 1);
            step.note(Note::Quarantined {
                space: space_id,
                document: document.clone(),
                change: hash,
                reason: row.reason,
            });
            let touch = self.last_touch(step, space_id, document)?;
            step.touch(space_id, document, touch);
        }
        // An own change may be among them: this process then goes on as another actor, since its
        // next change could not rest on its last one.
        if let Some(space) = self.spaces.get_mut(&space_id) {
            space.own = None;
        }
        Ok(())
    }

    fn last_touch(&self, step: &Step<'_>, space: SpaceId, document: &DocumentName) -> Result<Touch, Refusal> {
        let own = Touch { author: self.identity.key(), time: step.now.wall };
        if let Some(touch) = step.touched.get(&(space, document.clone())) {
            return Ok(*touch);
        }
        let key = self.space(space)?.index.document(document.as_str());
        let Some(value) = step.transaction.value(Table::Documents, &key)? else {
            return Ok(own);
        };
        let known = document_record(document, &value);
        Ok(known.map_or(own, |known| Touch { author: known.author, time: known.time }))
    }

    /// Brings history and built document of a name into memory, up to date with this step.
    pub(super) fn load(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<(), Refusal> {
        self.load_history(step, space, document)?;
        // A poisonous change makes the view differ from what history shows; once it is excluded a
        // second pass agrees. More than a few passes would mean that building is not a function.
        for _ in 0..4 {
            let poison = self.refresh_view(step, space, document)?;
            if poison.is_empty() {
                let built = self.document_key(space, document)?;
                self.unchecked.built(&built);
                return Ok(());
            }
            self.quarantine(step, space, document, &poison)?;
        }
        Err(Refusal::Internal)
    }

    fn refresh_view(
        &mut self,
        step: &Step<'_>,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<Vec<Poison>, StoreError> {
        let Some(held) = self.spaces.get(&space) else { return Ok(Vec::new()) };
        let key = (held.index, document.clone());
        let heads = self.histories.touch(&key).map(|history| history.view_heads());
        if self.views.touch(&key).is_none() {
            self.views.insert(key.clone(), BuiltView::empty(), 0);
        }
        let Some(view) = self.views.touch(&key) else { return Ok(Vec::new()) };
        let poison = if heads == Some(view.document().heads()) {
            Vec::new()
        } else {
            view.refresh(&step.transaction, held.index, document)?
        };
        self.large.note(&key, view.document());
        let bytes = view.approximate_bytes();
        self.views.resize(&key, bytes);
        Ok(poison)
    }

    /// Where this node stands with what the step has taken in so far.
    pub(super) fn position_of(&self, step: &Step<'_>) -> Position {
        let commit = if step.transaction.is_empty() { self.last_commit() } else { step.commit };
        self.position(commit)
    }

    pub(super) fn position(&self, commit: u64) -> Position {
        Position { store: self.store_id, commit }
    }
}
