//! What others wrote: deltas by gossip and by repair, admitted change by change.

mod announced;
mod keep;
mod without_room;

use std::collections::VecDeque;

use super::core::Core;
use super::effect::{Counted, Note, Verdict};
use super::space::Writer;
use super::step::Step;
use crate::admission::{DeltaRefused, Waiting, screen_delta};
use crate::budget::Offence;
use crate::charter::MissingTips;
use crate::delta::{Delta, VerifiedDelta};
use crate::gossip::{Refused, ScreenedDelta, ScreenedFrame};
use crate::history::Misfit;
use crate::id::{Actor, AuthorKey, ChangeHash, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::planted::is_planted;
use crate::store::StoreError;

/// Code of what an author whom the charter does not let write a document did there.
const NOT_ALLOWED: &str = "not_allowed";

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
    /// The space holds as much as this node keeps of one: wanted again once it may.
    NoRoom,
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
            (Some(_), ScreenedFrame::Refused(refused)) => self.refuse_frame(step, from, &refused),
            (Some(space), ScreenedFrame::Delta(delta)) => match self.take_delta(step, space, from, delta) {
                Ok(Taken::Whole) => Verdict::Accept,
                Ok(Taken::Refused(_)) => Verdict::Reject,
                Ok(Taken::AuthorsFault | Taken::NoRoom) => Verdict::Ignore,
                Ok(Taken::Waiting | Taken::Unknown) if is_planted("blame-the-relay") => {
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
            (Some(space), ScreenedFrame::Announcement(announced)) => {
                self.take_announcement(step, space, from, announced)?
            }
            (Some(space), ScreenedFrame::Statement(statement)) => {
                self.take_statement(step, space, from, statement)
            }
            (Some(space), ScreenedFrame::Beacon(beacon)) => self.take_beacon(step, space, from, beacon),
        };
        Ok(verdict)
    }

    /// Counts what was refused whoever looks at it, and holds it against the sender if it is an offence.
    pub(super) fn refuse_frame(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        refused: &Refused,
    ) -> Verdict {
        let offence = refused.offence();
        self.refuse(step, from, offence, refused.code());
        if offence.is_some() { Verdict::Reject } else { Verdict::Ignore }
    }

    /// Counts a refusal by its code, and holds it against `from` if it is an offence.
    pub(super) fn refuse(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        offence: Option<Offence>,
        code: &'static str,
    ) {
        step.count(Counted::Refused(code), 1);
        if let Some(offence) = offence {
            self.offend(step, from, offence, code);
        }
    }

    /// Takes a screened delta as far as it can be.
    pub(super) fn take_delta(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        from: AuthorKey,
        delta: ScreenedDelta,
    ) -> Result<Taken, StoreError> {
        let screened = match delta {
            ScreenedDelta::Verified(delta, brought) => Ok((delta, brought)),
            ScreenedDelta::Unverified(delta) => match self.verify_late(step, delta)? {
                // Nothing it could bring would be kept.
                None if self.fullness(space).is_some() => return Ok(Taken::NoRoom),
                None => return Ok(Taken::Unknown),
                Some(verified) => verified.map(|delta| (delta, None)).map_err(Refused::from),
            },
            ScreenedDelta::Refused(refused) => Err(refused),
        };
        let screened = screened.and_then(|(delta, brought)| match delta.delta().space == space {
            true => Ok((delta, brought)),
            false => Err(Refused::ForeignSpace),
        });
        match screened {
            Ok((delta, brought)) => self.admit(step, from, delta, brought),
            Err(refused) => {
                self.refuse_frame(step, from, &refused);
                Ok(Taken::Refused(refused.code()))
            }
        }
    }

    /// Verifies a delta whose incarnation only the store knows; nothing when nobody here knows it.
    fn verify_late(
        &self,
        step: &Step<'_>,
        delta: Delta,
    ) -> Result<Option<Result<VerifiedDelta, DeltaRefused>>, StoreError> {
        let incarnation = self.stored_incarnation(step, delta.space, delta.actor)?;
        Ok(incarnation.map(|incarnation| screen_delta(delta, &incarnation)))
    }

    /// An incarnation that only the store knows: from now on the screener knows it as well.
    pub(super) fn stored_incarnation(
        &self,
        step: &Step<'_>,
        space: SpaceId,
        actor: Actor,
    ) -> Result<Option<VerifiedIncarnation>, StoreError> {
        let Some(space) = self.spaces.get(&space) else { return Ok(None) };
        let incarnation = space.incarnation(&step.transaction, actor)?;
        if let Some(incarnation) = &incarnation {
            self.screener.learn_incarnation(incarnation.clone());
        }
        Ok(incarnation)
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
        let writer = match self.writer(step, space, actor, brought.as_ref())? {
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
        if !writer.may_write(&document) && !is_planted("accept-foreign-actor") {
            self.refuse(step, from, Some(Offence::NotAllowed), NOT_ALLOWED);
            return Ok(Taken::Refused(NOT_ALLOWED));
        }
        if self.fullness(space).is_some() {
            return self.judge_without_room(step, from, &delta);
        }
        self.load_history(step, space, &document)?;
        let Admission { admitted, out_of_view, begun, ended } = self.admit_changes(space, &delta);
        if let Some((last_seq, last_hash)) = admitted.last().copied() {
            step.brought_by.insert(from);
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
            Some(misfit) => self.misfit(step, from, &delta, begun, misfit),
        }
    }

    /// What follows from a change that can never be admitted here, in a delta that may have begun to be.
    fn misfit(
        &mut self,
        step: &mut Step<'_>,
        from: AuthorKey,
        delta: &VerifiedDelta,
        begun: bool,
        misfit: Misfit,
    ) -> Result<Taken, StoreError> {
        let (space, document, actor) = (delta.delta().space, &delta.delta().document, delta.delta().actor);
        match misfit {
            Misfit::Fork { known } => {
                if self.store_fork(step, space, document, actor, delta, known)? {
                    self.blame_author(step, delta.author(), Offence::Equivocation, "fork");
                }
                Ok(Taken::AuthorsFault)
            }
            Misfit::OtherRun { seq, .. } => {
                step.count(Counted::Refused("other_run"), 1);
                if !self.fork_proven(step, space, document, actor)? {
                    self.plan_contradiction(step.now.monotonic, from, space, document, actor, seq);
                }
                Ok(Taken::AuthorsFault)
            }
            misfit if begun => {
                self.blame_author(step, delta.author(), Offence::SequenceViolation, misfit.code());
                Ok(Taken::AuthorsFault)
            }
            misfit => {
                self.refuse(step, from, Some(Offence::SequenceViolation), misfit.code());
                Ok(Taken::Refused(misfit.code()))
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

    /// What an actor may do; or what must come before that can be told.
    pub(super) fn writer(
        &mut self,
        step: &Step<'_>,
        space_id: SpaceId,
        actor: Actor,
        brought: Option<&VerifiedIncarnation>,
    ) -> Result<Result<Writer, Option<Waiting>>, StoreError> {
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
