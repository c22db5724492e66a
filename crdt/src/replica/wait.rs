//! Waiting until other nodes hold what this one holds.
//!
//! Connected members are asked again and again; of the others the last beacon tells, when it shows
//! that they hold exactly what this node holds. Every answer comes over an authenticated link.

use std::collections::BTreeSet;
use std::time::Duration;

use super::core::Core;
use super::effect::{Refusal, Reply, Waited};
use super::input::{Nodes, RequestTicket};
use super::repair::Asked;
use super::step::Step;
use crate::exchange::{DocumentHeads, Request, Response};
use crate::gossip::ScreenedAnswer;
use crate::id::{AuthorKey, DocumentName, SpaceId};
use crate::limits::WAITERS_MAX;
use crate::presence::State;
use crate::time::Moment;

/// Between two questions to a peer that does not hold it yet.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A local request that waits for others.
pub(super) struct Waiter {
    ticket: RequestTicket,
    space: SpaceId,
    /// What is waited for: one document at these heads, or everything.
    document: Option<DocumentHeads>,
    nodes: Nodes,
    until: Moment,
    ask_at: Moment,
    holders: BTreeSet<AuthorKey>,
    asked: BTreeSet<AuthorKey>,
}

/// Which waiter a question was asked for.
#[derive(Clone, Copy)]
pub(super) struct Question(RequestTicket);

impl Core {
    /// Starts to wait.
    pub(super) fn wait(
        &mut self,
        step: &mut Step<'_>,
        ticket: RequestTicket,
        space: SpaceId,
        document: Option<DocumentName>,
        nodes: Nodes,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        self.space(space)?;
        if self.waiters.len() >= WAITERS_MAX {
            return Err(Refusal::TooMany { what: "requests that wait for other nodes" });
        }
        let document = match document {
            None => None,
            Some(document) => {
                self.load_history(step, space, &document)?;
                let heads = self.loaded_history(space, &document)?.view_heads();
                if heads.is_empty() {
                    return Err(Refusal::UnknownDocument(document));
                }
                Some(DocumentHeads { document, heads })
            }
        };
        let now = step.now.monotonic;
        self.waiters.push(Waiter {
            ticket,
            space,
            document,
            nodes,
            until: now + timeout,
            ask_at: now,
            holders: BTreeSet::new(),
            asked: BTreeSet::new(),
        });
        Ok(())
    }

    /// When a waiter has something to do next.
    pub(super) fn wait_wakeup(&self) -> Option<Moment> {
        self.waiters.iter().map(|waiter| waiter.ask_at.min(waiter.until)).min()
    }

    /// Ends the waits that are over and asks again for the others.
    pub(super) fn wait_tick(&mut self, step: &mut Step<'_>) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain_mut(|waiter| !self.wait_step(step, waiter));
        waiters.append(&mut self.waiters);
        self.waiters = waiters;
    }

    /// Lets one waiter go on; `true` when it is over.
    fn wait_step(&mut self, step: &mut Step<'_>, waiter: &mut Waiter) -> bool {
        let Some(space) = self.spaces.get(&waiter.space) else {
            step.reply(waiter.ticket, Err(Refusal::UnknownSpace(waiter.space)));
            return true;
        };
        let fingerprint = space.items.fingerprint();
        let (mut present, mut absent) = (BTreeSet::new(), Vec::new());
        for (member, seen) in space.presence.members() {
            if matches!(seen.state, State::Away | State::Left) {
                absent.push(member);
            } else {
                present.insert(member);
            }
            let in_sync = |beacon: &crate::presence::VerifiedBeacon| {
                beacon.facts.documents == fingerprint.to_be_bytes()
            };
            if seen.beacon.as_ref().is_some_and(in_sync) {
                waiter.holders.insert(member);
            }
        }
        let missing: Vec<AuthorKey> = present.difference(&waiter.holders).copied().collect();
        let satisfied = match waiter.nodes {
            Nodes::Count(count) => waiter.holders.len() >= count,
            Nodes::All => missing.is_empty(),
        };
        let now = step.now.monotonic;
        if satisfied || now >= waiter.until {
            let holders = waiter.holders.iter().copied().collect();
            let waited = Waited { satisfied, holders, missing, not_waited_for: absent };
            step.reply(waiter.ticket, Ok(Reply::Waited(waited)));
            return true;
        }
        if now >= waiter.ask_at {
            waiter.ask_at = now + ASK_AGAIN;
            let request = Request::Confirm {
                space: waiter.space,
                documents: waiter.document.iter().cloned().collect(),
                items: waiter.document.is_none().then_some(fingerprint),
            };
            for peer in missing {
                if self.peers.contains_key(&peer) && waiter.asked.insert(peer) {
                    self.ask(step, peer, Asked::Confirm(Question(waiter.ticket)), &request);
                }
            }
        }
        false
    }

    /// A question was not sent: the peer is asked again.
    pub(super) fn unasked(&mut self, peer: AuthorKey, Question(ticket): Question) {
        if let Some(waiter) = self.waiters.iter_mut().find(|waiter| waiter.ticket == ticket) {
            waiter.asked.remove(&peer);
        }
    }

    /// Takes a peer's word.
    pub(super) fn confirmed(
        &mut self,
        step: &Step<'_>,
        peer: AuthorKey,
        Question(ticket): Question,
        answer: Option<ScreenedAnswer>,
    ) {
        let Some(waiter) = self.waiters.iter_mut().find(|waiter| waiter.ticket == ticket) else { return };
        waiter.asked.remove(&peer);
        let expected = 1 + usize::from(waiter.document.is_some());
        if let Some(ScreenedAnswer::Plain(Response::Confirmed(held))) = answer
            && held.len() == expected
            && held.iter().all(|held| *held)
        {
            waiter.holders.insert(peer);
            waiter.ask_at = step.now.monotonic;
        }
    }
}
