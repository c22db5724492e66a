//! What the answers to this node's questions bring: statements, differences, deltas.

use std::time::Duration;

use super::questions::OFFERED_ITEMS_MAX;
use super::standoff::Holdings;
use super::{Asked, Goal, Goals, Pull, REPAIR_BUSY, REPAIR_RETRY, REPAIR_RETRY_DOUBLINGS, Task};
use crate::budget::Offence;
use crate::charter::VerifiedStatement;
use crate::exchange::{OfferedItem, Reconciliation, RefusalCode, Response};
use crate::gossip::{ScreenedAnswer, ScreenedDelta};
use crate::history::ItemKey;
use crate::id::{Actor, AuthorKey, DocumentName, SpaceId};
use crate::incarnation::VerifiedIncarnation;
use crate::jitter::between;
use crate::limits::STATEMENTS_MAX;
use crate::planted::is_planted;
use crate::replica::core::Core;
use crate::replica::effect::{Counted, Note};
use crate::replica::receive::Taken;
use crate::replica::serve::UNSUPPORTED;
use crate::replica::step::Step;
use crate::store::tables::walk_prefix;
use crate::store::{StoreError, Table};
use crate::time::Moment;

impl Core {
    /// Handles the answer to a question of this node.
    pub(in crate::replica) fn answered(
        &mut self,
        step: &mut Step<'_>,
        key: AuthorKey,
        id: u64,
        answer: Result<ScreenedAnswer, String>,
    ) -> Result<(), StoreError> {
        let Some(asked) = self.peers.get_mut(&key).and_then(|peer| peer.asked.remove(&id)) else {
            return Ok(());
        };
        let asked = match asked {
            Asked::Confirm(question) => {
                self.confirmed(step, key, question, answer.ok());
                return Ok(());
            }
            Asked::Compare(question) => return self.compare_answered(step, key, question, answer),
            asked => asked,
        };
        let forgets = answer.is_err() && is_planted("forget-want-after-timeout");
        if let (Asked::Fetch { space, goals, .. }, false) = (&asked, forgets) {
            goals.keys().for_each(|item| {
                self.fetching.remove(&(*space, *item));
            });
        }
        match answer {
            Err(_) => self.dialogue_failed(step.now.monotonic, key, None),
            Ok(ScreenedAnswer::Malformed(error)) => {
                if error.is_newer() {
                    step.count(Counted::Refused(UNSUPPORTED), 1);
                } else {
                    self.offend(step, key, Offence::Garbage, "malformed_answer");
                }
                step.note(Note::ExchangeRefused { peer: key, reason: error.to_string() });
                self.dialogue_failed(step.now.monotonic, key, None);
            }
            Ok(ScreenedAnswer::Plain(Response::Busy { retry_after_ms })) => {
                self.dialogue_failed(
                    step.now.monotonic,
                    key,
                    Some(Duration::from_millis(retry_after_ms.into())),
                );
            }
            Ok(ScreenedAnswer::Plain(Response::Refused { code, reason })) => {
                self.refused_by(step, key, asked, code, reason);
            }
            Ok(answer) => {
                let went_on = match self.take_answer(step, key, asked, answer) {
                    Ok(true) => self.next_task(step, key),
                    Ok(false) => {
                        self.offend(step, key, Offence::Garbage, "unexpected_answer");
                        self.dialogue_failed(step.now.monotonic, key, None);
                        Ok(())
                    }
                    Err(error) => Err(error),
                };
                if went_on.is_err() {
                    self.dialogue_failed(step.now.monotonic, key, None);
                }
                return went_on;
            }
        }
        Ok(())
    }

    fn refused_by(
        &mut self,
        step: &mut Step<'_>,
        key: AuthorKey,
        asked: Asked,
        code: RefusalCode,
        reason: String,
    ) {
        if let Asked::Task(Task::Join { space, .. }) = asked {
            if code == RefusalCode::JoinRefused
                && let Some(space) = self.spaces.get_mut(&space).filter(|space| space.ticket.is_some())
            {
                space.join_refused = Some(reason.clone());
                step.note(Note::JoinRefused { space: space.id, peer: key, reason });
            }
            // Others may witness; what this peer shares can still be exchanged.
            if self.next_task(step, key).is_ok() {
                return;
            }
        } else {
            step.note(Note::ExchangeRefused { peer: key, reason });
        }
        self.dialogue_failed(step.now.monotonic, key, None);
    }

    /// A question was never sent, because the step that asked it is not durable.
    pub(in crate::replica) fn question_lost(&mut self, now: Moment, key: AuthorKey, id: u64) {
        match self.peers.get_mut(&key).and_then(|peer| peer.asked.remove(&id)) {
            None => return,
            Some(Asked::Confirm(question)) => return self.unasked(key, question),
            Some(Asked::Compare(question)) => return self.compare_unasked(now, question),
            Some(Asked::Fetch { space, goals, .. }) => goals.keys().for_each(|item| {
                self.fetching.remove(&(space, *item));
            }),
            Some(Asked::Task(_)) => {}
        }
        self.dialogue_failed(now, key, None);
    }

    /// Ends a dialogue before its time; another one follows later.
    fn dialogue_failed(&mut self, now: Moment, key: AuthorKey, retry: Option<Duration>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.running = false;
        peer.tasks.clear();
        let doubled = REPAIR_RETRY * 2_u32.pow(peer.failures.min(REPAIR_RETRY_DOUBLINGS));
        peer.failures = peer.failures.saturating_add(1);
        let delay = retry.map_or(doubled, |retry| retry.clamp(REPAIR_BUSY.0, REPAIR_BUSY.1));
        peer.due = now + between(&mut self.rng, delay, delay * 3 / 2);
    }

    /// Takes an answer that fits its question; `false` when it does not fit.
    fn take_answer(
        &mut self,
        step: &mut Step<'_>,
        key: AuthorKey,
        asked: Asked,
        answer: ScreenedAnswer,
    ) -> Result<bool, StoreError> {
        match (asked, answer) {
            (Asked::Task(Task::Hello), ScreenedAnswer::Plain(Response::Hello(greetings))) => {
                self.take_greetings(step, key, &greetings);
            }
            (Asked::Task(Task::Join { space, .. }), ScreenedAnswer::Joined(statements)) => {
                self.take_statements(step, space, key, statements);
                // The witness knows this node as a member by now, and sends what did not fit.
                if let Some(held) = self.spaces.get(&space).filter(|space| space.ticket.is_some()) {
                    let pull = Pull::new(&held.charter);
                    self.push_task(key, Task::Statements { space, pull });
                }
            }
            (
                Asked::Task(Task::Statements { space, pull }),
                ScreenedAnswer::Statements { statements, lacking, more, tips },
            ) => {
                let after = pull.after + statements.len() as u64;
                let goes_on = more && after > pull.after && after < STATEMENTS_MAX as u64;
                self.take_statements(step, space, key, statements);
                if goes_on {
                    let pull = Pull { after, ..pull };
                    self.push_task(key, Task::Statements { space, pull });
                } else if !lacking.is_empty()
                    && let Some(held) = self.spaces.get(&space)
                {
                    let ids = held.charter.beyond(&tips).map(VerifiedStatement::id).collect();
                    self.push_task(key, Task::Push { space, ids });
                }
            }
            (Asked::Task(Task::Push { space, ids }), ScreenedAnswer::Plain(Response::Done)) => {
                self.push_task(key, Task::Push { space, ids });
            }
            (
                Asked::Task(Task::Reconcile { space, holdings, mut run }),
                ScreenedAnswer::Plain(Response::Ranges(answers)),
            ) => {
                if let Some(held) = self.spaces.get(&space) {
                    run.take_answers(&held.items, answers);
                }
                self.reconcile_on(step, key, space, holdings, run)?;
            }
            (Asked::Task(Task::Offer { space, items }), ScreenedAnswer::Plain(Response::Done)) => {
                if !items.is_empty() {
                    self.push_task(key, Task::Offer { space, items });
                }
            }
            (Asked::Fetch { space, goals, rest }, ScreenedAnswer::Deltas { incarnations, deltas, more }) => {
                self.take_deltas(step, key, space, incarnations, deltas, (goals, rest, more))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_task(&mut self, key: AuthorKey, task: Task) {
        if let Some(peer) = self.peers.get_mut(&key) {
            // What was just learnt comes before what was planned earlier.
            peer.tasks.push_front(task);
        }
    }

    fn reconcile_on(
        &mut self,
        step: &Step<'_>,
        key: AuthorKey,
        space: SpaceId,
        holdings: Holdings,
        run: Box<Reconciliation>,
    ) -> Result<(), StoreError> {
        if !run.is_done() {
            self.push_task(key, Task::Reconcile { space, holdings, run });
            return Ok(());
        }
        let is_complete = run.is_complete();
        let Reconciliation { wants, offers, forked, .. } = *run;
        let now = step.now.monotonic;
        let Some(peer) = self.peers.get(&key) else { return Ok(()) };
        let takes = self.fullness(space).is_none();
        let wants =
            wants.into_iter().filter(|(item, seq)| takes && !peer.is_refused(now, (space, *item), *seq));
        let mut goals: Goals = wants.map(|(item, seq)| (item, Goal::Reach(seq))).collect();
        for item in forked {
            if let Some(seq) = self.unproven_fork(step, space, item)? {
                goals.insert(item, Goal::Contradict(seq));
            }
        }
        if goals.is_empty() && is_complete {
            self.stand_off(now, key, space, holdings);
        } else {
            self.end_standoff(key, space);
        }
        if !offers.is_empty() {
            let items = offers.into_iter().map(|offer| offer.mine).collect();
            self.push_task(key, Task::Offer { space, items });
        }
        if !goals.is_empty() {
            self.push_task(key, Task::Fetch { space, goals });
        }
        Ok(())
    }

    /// The sequence number at which an item differs, unless the fork is proven already.
    fn unproven_fork(
        &self,
        step: &Step<'_>,
        space: SpaceId,
        item: ItemKey,
    ) -> Result<Option<u64>, StoreError> {
        let Some(space) = self.spaces.get(&space) else { return Ok(None) };
        let Some(item) = space.items.item(item) else { return Ok(None) };
        let proven = self.fork_proven(step, space.id, &item.document, item.actor)?;
        Ok((!proven).then_some(item.tip.seq))
    }

    /// Whether a fork of the actor in the document is proven.
    pub(in crate::replica) fn fork_proven(
        &self,
        step: &Step<'_>,
        space: SpaceId,
        document: &DocumentName,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let Some(space) = self.spaces.get(&space) else { return Ok(false) };
        let prefix = space.index.actor_rows(document, actor);
        let mut proven = false;
        walk_prefix(&step.transaction, Table::Forks, &prefix, |_, _| {
            proven = true;
            Ok(())
        })?;
        Ok(proven)
    }

    /// Plans to ask a peer for its other change at `seq`, which proves a fork.
    pub(in crate::replica) fn plan_contradiction(
        &mut self,
        now: Moment,
        key: AuthorKey,
        space: SpaceId,
        document: &DocumentName,
        actor: Actor,
        seq: u64,
    ) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.plan_fetch(space, Goals::from([(ItemKey::of(document, actor), Goal::Contradict(seq))]));
        }
        self.repair_soon(now, key);
    }

    fn take_deltas(
        &mut self,
        step: &mut Step<'_>,
        key: AuthorKey,
        space: SpaceId,
        incarnations: Vec<VerifiedIncarnation>,
        deltas: Vec<ScreenedDelta>,
        (goals, rest, more): (Goals, Goals, bool),
    ) -> Result<(), StoreError> {
        for incarnation in incarnations {
            if incarnation.space() == space {
                self.screener.learn_incarnation(incarnation);
            }
        }
        let before = self.spaces.get(&space).map(|space| space.items.fingerprint());
        for delta in deltas {
            if let ScreenedDelta::Verified(delta, _) = &delta {
                step.count(Counted::FetchedBytes, delta.bytes() as u64);
            }
            let item = delta.item();
            match self.take_delta(step, space, key, delta) {
                Ok(Taken::Unknown) => step.count(Counted::Refused("unknown_incarnation"), 1),
                Ok(Taken::AuthorsFault | Taken::Refused(_)) => {
                    if let Some((item, Goal::Reach(seq))) =
                        item.and_then(|item| Some((item, *goals.get(&item)?)))
                        && let Some(peer) = self.peers.get_mut(&key)
                    {
                        peer.refuse(step.now.monotonic, (space, item), seq);
                    }
                }
                Ok(Taken::Whole | Taken::Waiting | Taken::NoRoom) => {}
                // One document that cannot be read does not keep the others from being repaired.
                Err(error) => step.note(Note::StoreFault { error }),
            }
        }
        let after = self.spaces.get(&space).map(|space| space.items.fingerprint());
        if !rest.is_empty() {
            self.push_task(key, Task::Fetch { space, goals: rest });
        }
        // A peer that says there is more and sends nothing that helps is not asked again.
        if more && before != after {
            self.push_task(key, Task::Fetch { space, goals });
        }
        Ok(())
    }

    /// Runs a peer offers: those that help are fetched.
    pub(in crate::replica) fn take_offer(
        &mut self,
        now: Moment,
        key: AuthorKey,
        space: SpaceId,
        items: &[OfferedItem],
    ) {
        if self.fullness(space).is_some() {
            return;
        }
        let Some(held) = self.spaces.get(&space) else { return };
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let goals: Goals = items
            .iter()
            .take(OFFERED_ITEMS_MAX)
            .filter(|offered| !peer.is_refused(now, (space, offered.key), offered.seq))
            .filter(|offered| held.items.item(offered.key).is_none_or(|item| item.tip.seq < offered.seq))
            .map(|offered| (offered.key, Goal::Reach(offered.seq)))
            .collect();
        if goals.is_empty() {
            return;
        }
        peer.plan_fetch(space, goals);
        if !peer.running {
            peer.due = now;
        }
    }

    /// Forgets a peer's dialogue.
    pub(in crate::replica) fn peer_gone(&mut self, key: AuthorKey) {
        let gone = self.peers.remove(&key);
        for asked in gone.into_iter().flat_map(|peer| peer.asked.into_values()) {
            // Should it come back at once, it is asked again.
            if let Asked::Compare(question) = asked {
                self.compare_unasked(self.now, question);
            }
        }
        self.fetching.retain(|_, by| *by != key);
    }
}
