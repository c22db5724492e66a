//! Local writes: from a request to a change, which waits for the signature at the end of its step.

use super::core::Core;
use super::effect::{Counted, Refusal, Reply, Written};
use super::input::{Condition, EntityTag, RequestTicket, Write};
use super::request;
use super::space::OwnIncarnation;
use super::step::{Run, Step, Touch};
use crate::codec;
use crate::document::{Commit, Edit, EditError, Edited, LocalChange};
use crate::id::{Actor, DocumentName, Position, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::limits::{DOCUMENT_OBJECTS_ADVISED, REQUEST_ID_BYTES_MAX, REQUEST_MEMORY};
use crate::planted::is_planted;
use crate::store::tables::{RequestRecord, record};
use crate::store::{StoreRead, Table};
use crate::time::WallTime;

impl Core {
    /// Handles one write: it is refused as a whole, or becomes one change.
    pub(super) fn write(&mut self, step: &mut Step<'_>, ticket: RequestTicket, write: &Write) {
        let reply = self.try_write(step, write);
        step.reply(ticket, reply.map(Reply::Written));
    }

    pub(super) fn try_write(&mut self, step: &mut Step<'_>, write: &Write) -> Result<Written, Refusal> {
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

    /// Where this node stands with what the step has taken in so far.
    pub(super) fn position_of(&self, step: &Step<'_>) -> Position {
        let commit = if step.transaction.is_empty() { self.last_commit() } else { step.commit };
        self.position(commit)
    }

    pub(super) fn position(&self, commit: u64) -> Position {
        Position { store: self.store_id, commit }
    }
}
