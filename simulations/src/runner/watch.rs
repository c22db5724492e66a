//! Watching: every observation of the world goes to the oracle and to the properties it touches.

use starling_crdt::replica::{LocalRequest, Note};
use starling_crdt::store::StoreError;

use super::run::{Agenda, Run};
use crate::oracle::chunk::Hash;
use crate::oracle::ledger::Wrong;
use crate::properties;
use crate::world::event::{Observation, Seen};
use crate::world::founding::document_name;
use crate::world::queue::{SECOND, Time};

/// How long a node whose store does not open waits before it tries again.
const START_RETRY: Time = 5 * SECOND;

impl Run<'_> {
    /// Looks at everything that was observed.
    pub(super) fn watch(&mut self) {
        let mut seen = self.world.observations(std::mem::take(&mut self.seen));
        // What stores hold comes before what clients were told of it.
        for one in &seen {
            self.look(one);
        }
        for one in seen.drain(..) {
            self.hear(one);
        }
        self.seen = seen;
    }

    fn look(&mut self, seen: &Seen) {
        match &seen.what {
            Observation::Changed { node, change } => {
                let name = change.document.as_str();
                self.look_into(*node, Some(name));
                self.clothe(*node, seen.at);
                self.look_at_authors(*node, name);
                let heads: Vec<Hash> = change.heads.iter().map(|head| head.0).collect();
                let before = self.oracle.ledger.holding(*node).heads.get(name).cloned();
                self.went_on(*node, name, &before.unwrap_or_default(), &heads);
                self.oracle.ledger.show(*node, name, heads);
                self.count_check(4);
                self.count_check(7);
                self.count_check(8);
                self.count_anew();
                self.maybe_converged();
            }
            Observation::Started { node } => {
                self.started(*node);
                self.runs_again(*node);
            }
            // Before the refusals that come of it, or they would seem to have no reason.
            Observation::Noted { node, note: Note::StoreFault { error: StoreError::Full } } => {
                self.full(*node, seen.at);
            }
            _ => {}
        }
    }

    fn started(&mut self, node: usize) {
        self.unsound.remove(&node);
        let before = self.oracle.ledger.forget(node);
        let destroyed = self.destroyed.remove(&node);
        self.look_into(node, None);
        if !self.oracle.ledger.holds_founding(node) {
            self.bare.insert(node);
        }
        self.show_all(node);
        match destroyed {
            Some(_) => {
                let hostile = &self.oracle.hostile;
                self.oracle.ledger.excuse(&before, |node| !hostile.contains(&node));
            }
            None => {
                let now = self.oracle.ledger.holding(node).clone();
                for (document, heads) in &before.heads {
                    self.went_on(node, document, heads, now.heads.get(document).map_or(&[], Vec::as_slice));
                }
                for (key, (from, _)) in &before.tips {
                    let to = now.tips.get(key).map_or(0, |(to, _)| *to);
                    if to < *from {
                        let wrong = Wrong::Shrunk { document: key.0.clone(), from: *from, to };
                        self.wrongs(node, vec![wrong]);
                    }
                }
            }
        }
        self.count_check(8);
        self.count_check(10);
        self.sweep_store(node);
        if let Some(goal) = self.oracle.goal {
            self.set_goal(goal.since);
        }
    }

    /// Whether what a node shows of a document goes on from what it showed before.
    fn went_on(&mut self, node: usize, document: &str, before: &[Hash], after: &[Hash]) {
        if !self.is_honest(node) || self.is_rotten(node) {
            return;
        }
        let dropped = self.oracle.ledger.dropped(document, before, after);
        // What left the view for a reason is told by the reason.
        let dropped = dropped.filter(|head| !self.is_quarantined(node, document, *head));
        if let Some(found) = properties::sessions::monotonic_heads(node, document, dropped.is_some()) {
            self.find(found);
        }
    }

    /// A node that had lost its disk is whole as soon as it holds what the fleet began with.
    fn clothe(&mut self, node: usize, at: Time) {
        if self.bare.contains(&node) && self.oracle.ledger.holds_founding(node) {
            self.bare.remove(&node);
            self.harmed_until.insert(node, at);
        }
    }

    fn show_all(&mut self, node: usize) {
        for document in 0..self.scenario.workload.documents {
            let name = document_name(document);
            let Some(reader) = self.world.node(node).reader() else { return };
            if let Ok(known) = reader.document(self.founding.space, &name) {
                let heads = known.heads.iter().map(|head| head.0).collect();
                self.oracle.ledger.show(node, name.as_str(), heads);
            }
        }
    }

    pub(super) fn wrongs(&mut self, node: usize, wrongs: Vec<Wrong>) {
        if !self.is_honest(node) {
            return;
        }
        for wrong in wrongs {
            let forged = self.forged_fork(node, &wrong);
            if !forged.is_empty() {
                self.count_check(5);
                for found in forged {
                    self.find(found);
                }
                continue;
            }
            let found = properties::selffork::check(node, &wrong, |author| self.is_honest(author))
                .or_else(|| properties::sessions::monotonic(node, &wrong))
                .or_else(|| properties::closure::bare(node, &wrong).filter(|_| !self.is_rotten(node)))
                .or_else(|| properties::authenticity::foreign(node, &wrong))
                .or_else(|| {
                    let hollow = properties::integrity::hollow(node, &wrong);
                    hollow.filter(|_| !self.is_rotten(node))
                });
            if let Some(found) = found {
                self.find(found);
            }
        }
    }

    fn hear(&mut self, seen: Seen) {
        let at = seen.at;
        match seen.what {
            Observation::Replied { node, ticket, reply } => self.replied(at, node, ticket, reply),
            Observation::Panicked { node, words } => {
                self.misbehaved(node, properties::panics::Misbehaved::Panicked(words));
            }
            Observation::Spins { node } => self.misbehaved(node, properties::panics::Misbehaved::Spins),
            Observation::NotStarted { node, why } => self.not_started(node, &why),
            Observation::Fired { fault, by } => {
                if let Some(fired) = self.fired.get_mut(fault) {
                    *fired += by;
                }
            }
            Observation::Taken { node, from, message, verdict } => {
                self.took(at, node, from, message, verdict)
            }
            Observation::Offence { node, peer, .. } => {
                if let Some(charged) = self.world.nodes_of(peer).next() {
                    *self.offences.entry((node, charged)).or_default() += 1;
                }
            }
            Observation::Member { node, change } => self.member_changed(at, node, &change),
            Observation::Ended { node } => self.ended(at, node),
            Observation::Noted { node, note: Note::Fork { document, author, seq, .. } } => {
                let Some(author) = self.world.nodes_of(author).next() else { return };
                let wrong =
                    Wrong::Forked { author, actor: None, document: document.as_str().to_owned(), seq };
                self.wrongs(node, vec![wrong]);
            }
            Observation::Stepped { node, inputs, effects, .. } => {
                self.count_check(11);
                if self.is_honest(node)
                    && let Some(found) = properties::bounds::check_step(node, inputs, effects)
                {
                    self.find(found);
                }
            }
            _ => {}
        }
    }

    /// A disk took no more although no fault filled it: then its capacity did.
    fn full(&mut self, node: usize, at: Time) {
        let bounded = self.plans.get(node).is_some_and(|plan| plan.group.disk.capacity.is_some());
        if bounded && self.harmed.get(&node).is_none_or(|reasons| *reasons == 0) {
            self.filled.entry(node).or_insert(at);
        }
    }

    fn misbehaved(&mut self, node: usize, misbehaved: properties::panics::Misbehaved) {
        let found = properties::panics::check(node, &misbehaved);
        self.find(found);
        let at = self.world.now() + START_RETRY;
        self.put(at, Agenda::Start(node));
    }

    fn not_started(&mut self, node: usize, why: &str) {
        let may_fail =
            self.unsound.contains(&node) || self.harmed.get(&node).is_some_and(|reasons| *reasons > 0);
        if let Some(found) = properties::integrity::check_start(node, may_fail, why) {
            self.find(found);
        }
        if self.unsound.remove(&node) {
            // As the error says: the operator moves the store away and joins the space again.
            let empty = self.world.empty_disk(node);
            self.world.replace_disk(node, empty);
            self.destroyed.entry(node).or_default();
        }
        let at = self.world.now() + START_RETRY;
        self.put(at, Agenda::Start(node));
    }

    /// Starts a process, which joins if its disk is empty.
    pub(super) fn start(&mut self, node: usize) {
        if self.world.start(node) && self.oracle_sees_no_space(node) {
            let ticket = Box::new(self.founding.ticket.clone());
            self.world.submit(node, LocalRequest::Join { ticket });
        }
    }

    fn oracle_sees_no_space(&self, node: usize) -> bool {
        self.world.node(node).reader().is_some_and(|reader| reader.space(self.founding.space).is_err())
    }
}
