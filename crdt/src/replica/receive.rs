//! What others wrote: deltas by gossip and by repair, admitted change by change.

use std::collections::VecDeque;

use super::core::Core;
use super::effect::{Counted, Note, Refusal, Verdict};
use super::space::Writer;
use super::step::{Step, Touch};
use crate::admission::{Orphan, Waiting, screen_delta};
use crate::budget::Offence;
use crate::charter::{MissingTips, Role};
use crate::codec;
use crate::delta::{Delta, VerifiedDelta};
use crate::gossip::{ScreenedDelta, ScreenedFrame};
use crate::history::{Misfit, Pending, stored_delta};
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::store::tables::{ForkRecord, FrontierRecord, QuarantineRecord, RESTS_ON_QUARANTINED, walk_prefix};
use crate::store::{StoreError, Table};
use crate::time::WallTime;

/// What became of a delta.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// All of it is in history now, or was before.
    Whole,
    /// It waits for something, at least its later part.
    Waiting,
    /// It can never be admitted, and no honest node would have passed it on.
    Refused(&'static str),
    /// A change in it can never be admitted, though an honest node may have passed it on: one that
    /// admitted its beginning keeps and serves it whole, one that saw the other side of a fork first
    /// serves that.
    AuthorsFault,
    /// This node cannot tell: it lacks what it needs to judge.
    Unknown,
}

impl Core {
    /// Handles a gossip message and judges it.
    pub(super) fn gossip(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        space: Option<SpaceId>,
        frame: ScreenedFrame,
    ) -> Result<Verdict, StoreError> {
        let verdict = match (space, frame) {
            (None, _) => Verdict::Ignore,
            (Some(_), ScreenedFrame::Refused(refused)) => {
                step.count(Counted::Refused(refused.code()), 1);
                if refused.is_offence() {
                    self.offend(step, from, Offence::Garbage, refused.code());
                    Verdict::Reject
                } else {
                    Verdict::Ignore
                }
            }
            (Some(space), ScreenedFrame::Delta(delta)) => match self.take_delta(step, space, from, delta) {
                Ok(Taken::Whole) => Verdict::Accept,
                Ok(Taken::Refused(_)) => Verdict::Reject,
                Ok(Taken::AuthorsFault) => Verdict::Ignore,
                Ok(Taken::Waiting | Taken::Unknown) if cfg!(starling_planted = "blame-the-relay") => {
                    self.offend(step, from, Offence::StructureViolation, "missing_dependency");
                    Verdict::Reject
                }
                Ok(Taken::Waiting | Taken::Unknown) => {
                    self.repair_soon(step.now.monotonic, from);
                    Verdict::Ignore
                }
                Err(error) => {
                    step.note(Note::StoreFault { error });
                    Verdict::Ignore
                }
            },
            (Some(space), ScreenedFrame::Announcement { key, seq }) => {
                let known = self.spaces.get(&space).and_then(|space| space.items.item(key));
                if known.is_none_or(|item| item.tip.seq < seq) {
                    self.repair_soon(step.now.monotonic, from);
                }
                Verdict::Accept
            }
            (Some(space), ScreenedFrame::Statement(statement)) => {
                self.take_statement(step, space, from, statement)
            }
            (Some(space), ScreenedFrame::Beacon(beacon)) => self.take_beacon(step, space, from, beacon),
        };
        Ok(verdict)
    }

    /// Takes a screened delta as far as it can be.
    pub(super) fn take_delta(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        from: AuthorKey,
        delta: ScreenedDelta,
    ) -> Result<Taken, StoreError> {
        let (delta, brought) = match delta {
            ScreenedDelta::Verified(delta, brought) => (delta, brought),
            ScreenedDelta::Unverified(delta) => match self.verify_late(step, delta)? {
                Ok(delta) => (delta, None),
                Err(taken) => return Ok(self.refused(step, from, taken, Offence::BadSignature)),
            },
            ScreenedDelta::Refused(refused) => {
                let taken = Taken::Refused(refused.code());
                return Ok(self.refused(step, from, taken, Offence::StructureViolation));
            }
        };
        if delta.delta().space != space {
            return Ok(self.refused(step, from, Taken::Refused("foreign_space"), Offence::Garbage));
        }
        let taken = self.admit(step, from, delta, brought)?;
        Ok(taken)
    }

    fn refused(&mut self, step: &mut Step<'_>, from: AuthorKey, taken: Taken, offence: Offence) -> Taken {
        if let Taken::Refused(code) = taken {
            step.count(Counted::Refused(code), 1);
            self.offend(step, from, offence, code);
        }
        taken
    }

    /// Verifies a delta whose incarnation only the store knows.
    fn verify_late(&self, step: &Step<'_>, delta: Delta) -> Result<Result<VerifiedDelta, Taken>, StoreError> {
        let Some(space) = self.spaces.get(&delta.space) else {
            return Ok(Err(Taken::Unknown));
        };
        let Some(incarnation) = space.incarnation(&step.transaction, delta.actor)? else {
            return Ok(Err(Taken::Unknown));
        };
        self.screener.learn_incarnation(incarnation.clone());
        Ok(screen_delta(delta, &incarnation).map_err(|refused| Taken::Refused(refused.code())))
    }

    /// Admits a verified delta and whatever waited for it.
    fn admit(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        delta: VerifiedDelta,
        brought: Option<VerifiedIncarnation>,
    ) -> Result<Taken, StoreError> {
        let mut queue = VecDeque::new();
        let first = self.admit_one(step, from, delta, brought, &mut queue)?;
        // Each round takes an orphan out for good or holds it for something else that is missing.
        while let Some(waiting) = queue.pop_front() {
            for orphan in self.orphans.wake(waiting) {
                self.admit_one(step, orphan.from, orphan.delta, None, &mut queue)?;
            }
        }
        Ok(first)
    }

    /// Lets what waited for a statement try again.
    pub(super) fn wake_statement(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        statement: crate::id::StatementId,
    ) -> Result<(), StoreError> {
        for orphan in self.orphans.wake(Waiting::Statement(space, statement)) {
            self.admit(step, orphan.from, orphan.delta, None)?;
        }
        Ok(())
    }

    /// Admits what was found in the store to wait for nothing any more.
    pub(super) fn admit_ripe(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        while let Some(delta) = self.ripe.pop() {
            self.admit(step, delta.author(), delta, None)?;
        }
        Ok(())
    }

    fn admit_one(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        delta: VerifiedDelta,
        brought: Option<VerifiedIncarnation>,
        woken: &mut VecDeque<Waiting>,
    ) -> Result<Taken, StoreError> {
        let sent = delta.delta();
        let (space, document, actor) = (sent.space, sent.document.clone(), sent.actor);
        let writer = match self.writer(step, space, &delta, brought.as_ref())? {
            Ok(writer) => writer,
            Err(Some(waiting)) => {
                // It is not stored before its author is known to be admitted, but needed again then.
                if let Some(brought) = brought {
                    self.screener.learn_incarnation(brought);
                }
                return Ok(self.hold(step, waiting, from, delta));
            }
            Err(None) => return Ok(Taken::Unknown),
        };
        let may_write = writer.rights.iter().any(|right| right.allows(Role::Writer, &document));
        if !may_write && !cfg!(starling_planted = "accept-foreign-actor") {
            let taken = Taken::Refused("not_allowed");
            return Ok(self.refused(step, from, taken, Offence::NotAllowed));
        }
        self.load_history(step, space, &document)?;
        let Admission { admitted, out_of_view, begun, ended } = self.admit_changes(space, &delta);
        if let Some((last_seq, last_hash)) = admitted.last().copied() {
            self.keep(step, space, &delta, writer.unstored, last_seq, last_hash, &out_of_view);
            step.count(Counted::Admitted, admitted.len() as u64);
            woken.extend(admitted.iter().map(|(_, hash)| Waiting::Change(*hash)));
        }
        match ended {
            None => Ok(Taken::Whole),
            Some(Misfit::Missing(missing)) => {
                let first = missing.first().copied().unwrap_or(ChangeHash([0; 32]));
                Ok(self.hold(step, Waiting::Change(first), from, delta))
            }
            Some(Misfit::Fork { known }) => {
                if self.store_fork(step, space, &document, actor, &delta, known)? {
                    self.blame_author(step, delta.author(), Offence::Equivocation, "fork");
                }
                Ok(Taken::AuthorsFault)
            }
            Some(Misfit::OtherRun { seq, .. }) => {
                step.count(Counted::Refused("other_run"), 1);
                if !self.fork_proven(step, space, &document, actor)? {
                    self.plan_contradiction(step.now.monotonic, from, space, &document, actor, seq);
                }
                Ok(Taken::AuthorsFault)
            }
            Some(misfit) if begun => {
                self.blame_author(step, delta.author(), Offence::SequenceViolation, misfit.code());
                Ok(Taken::AuthorsFault)
            }
            Some(misfit) => {
                let taken = Taken::Refused(misfit.code());
                Ok(self.refused(step, from, taken, Offence::SequenceViolation))
            }
        }
    }

    /// Notes what the author of a delta did, whoever brought it.
    fn blame_author(&mut self, step: &mut Step<'_>, author: AuthorKey, offence: Offence, code: &'static str) {
        step.count(Counted::Refused(code), 1);
        if author != self.identity.key() {
            self.offend(step, author, offence, code);
        }
    }

    /// Inserts the delta's changes into the loaded history until one does not fit.
    fn admit_changes(&mut self, space: SpaceId, delta: &VerifiedDelta) -> Admission {
        let mut admission = Admission::default();
        let Ok(history) = self.loaded_history(space, &delta.delta().document) else {
            return admission;
        };
        for chunk in delta.chunks() {
            match history.check(chunk) {
                Ok(()) => {
                    admission.begun = true;
                    let shown = history.insert(chunk);
                    admission.admitted.push((chunk.seq, chunk.hash));
                    if !shown {
                        admission.out_of_view.push(chunk.hash);
                    }
                }
                Err(Misfit::Known) => admission.begun = true,
                Err(misfit) => {
                    admission.ended = Some(misfit);
                    break;
                }
            }
        }
        admission
    }

    /// Stores a delta of which at least one change was admitted.
    #[expect(clippy::too_many_arguments, reason = "one place writes all that an admission means")]
    fn keep(
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
                let row = QuarantineRecord { reason: RESTS_ON_QUARANTINED.into() };
                let key = space.index.quarantined(&sent.document, *hash);
                step.transaction.put(Table::Quarantine, key, &row);
            }
            step.count(Counted::Quarantined, out_of_view.len() as u64);
        }
        let time = delta.chunks().last().map_or(0, |chunk| chunk.time);
        let touch = Touch { author: delta.author(), time: WallTime(time.saturating_mul(1_000)) };
        step.touch(space_id, &sent.document, touch);
    }

    /// What the delta's actor may do; or what must come before that can be told.
    fn writer(
        &mut self,
        step: &Step<'_>,
        space_id: SpaceId,
        delta: &VerifiedDelta,
        brought: Option<&VerifiedIncarnation>,
    ) -> Result<Result<Writer, Option<Waiting>>, StoreError> {
        let actor = delta.delta().actor;
        let Some(space) = self.spaces.get_mut(&space_id) else {
            return Ok(Err(None));
        };
        if let Some(writer) = space.writer(actor) {
            return Ok(Ok(writer.clone()));
        }
        let incarnation = match brought {
            Some(brought) => Some(brought.clone()),
            None => match self.screener.incarnation(actor) {
                Some(known) => Some(known),
                None => space.incarnation(&step.transaction, actor)?,
            },
        };
        let Some(incarnation) = incarnation else { return Ok(Err(None)) };
        match space.charter.rights_at(incarnation.author(), incarnation.tips()) {
            Ok(rights) => {
                let stored = space.incarnation(&step.transaction, actor)?.is_some();
                let writer = Writer { rights, unstored: (!stored).then_some(incarnation) };
                space.remember_writer(actor, writer.clone());
                Ok(Ok(writer))
            }
            Err(MissingTips { missing, .. }) => {
                Ok(Err(missing.first().map(|tip| Waiting::Statement(space_id, *tip))))
            }
        }
    }

    fn hold(
        &mut self,
        step: &mut Step<'_>,
        waiting: Waiting,
        from: AuthorKey,
        delta: VerifiedDelta,
    ) -> Taken {
        step.count(Counted::Orphaned, 1);
        if cfg!(starling_planted = "drop-orphan-silently") {
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
    fn store_fork(
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
        let mut proven = Vec::new();
        walk_prefix(&step.transaction, Table::Forks, &space.index.actor_rows(document, actor), |key, _| {
            proven.push(key.to_vec());
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
        };
        proven.into_iter().for_each(|later| step.transaction.remove(Table::Forks, later));
        step.transaction.put(Table::Forks, key, &proof);
        step.count(Counted::Forks, 1);
        step.note(Note::Fork { space: space_id, document: document.clone(), author: second.author(), seq });
        Ok(true)
    }

    /// Brings the history of a document into memory. Stored deltas are verified again the first time.
    pub(super) fn load_history(
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
        let (history, pending) =
            crate::history::load_verified(store, space.index, space_id, document, &|actor| match self
                .screener
                .incarnation(actor)
            {
                Some(known) => Ok(Some(known)),
                None => space.incarnation(store, actor),
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
    pub(super) fn loaded_history(
        &mut self,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<&mut crate::history::DocumentHistory, Refusal> {
        let key = self.document_key(space, document)?;
        self.histories.touch(&key).ok_or(Refusal::Internal)
    }
}

/// How far a delta came.
#[derive(Default)]
struct Admission {
    admitted: Vec<(u64, ChangeHash)>,
    out_of_view: Vec<ChangeHash>,
    /// At least one of its changes is in history.
    begun: bool,
    ended: Option<Misfit>,
}
