//! Peers that come, speak, misbehave and go.

use std::time::Duration;

use super::core::Core;
use super::effect::{Effect, Refusal, Reply};
use super::repair::Peer;
use super::step::Step;
use crate::address::Address;
use crate::budget::{Offence, OffenceAction};
use crate::connect::{AddressSource, BlockError, DialTarget, Direction};
use crate::id::{AuthorKey, SpaceId};
use crate::presence::StateChange;

impl Core {
    pub(super) fn block(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        duration: Option<Duration>,
    ) -> Result<Reply, Refusal> {
        self.connect.block(step.now.monotonic, peer, duration).map_err(|error| match error {
            BlockError::TooMany => Refusal::TooMany { what: "blocked peers" },
            BlockError::Own => Refusal::ThisNode,
        })?;
        step.effects.push(Effect::Block(peer));
        self.store_peer(step, peer);
        Ok(Reply::Done)
    }

    pub(super) fn peer_up(&mut self, step: &mut Step<'_>, peer: AuthorKey, address: Address, inbound: bool) {
        let now = step.now;
        let direction =
            if inbound { Direction::Inbound } else { Direction::Outbound(DialTarget::Peer(peer)) };
        self.connect.on_peer_up(now, &mut self.rng, peer, &direction);
        if peer == self.identity.key() {
            step.effects.push(Effect::Disconnect { peer, reason: "this_node" });
            return;
        }
        if !inbound {
            let reached = std::slice::from_ref(&address);
            self.connect.on_addresses(now.monotonic, &mut self.rng, peer, reached, AddressSource::Dialled);
        }
        self.peers.insert(peer, Peer::new(address, inbound, now.monotonic));
        self.admit_peers();
    }

    /// A connected peer spoke. A connection alone says little: one that the other side refuses stands
    /// for a moment, too, and would make a member come and go.
    pub(super) fn heard(&mut self, step: &mut Step<'_>, peer: AuthorKey) {
        let Some(known) = self.peers.get_mut(&peer).filter(|known| !known.spoke) else { return };
        known.spoke = true;
        for space in self.spaces.keys().copied().collect::<Vec<_>>() {
            self.presence_up(step, space, peer);
        }
    }

    /// A peer greeted in a space, which it does while it holds it.
    pub(super) fn greeted(&mut self, step: &mut Step<'_>, space: SpaceId, peer: AuthorKey) {
        let now = step.now.monotonic;
        let Some(connected) = self.peers.get(&peer).map(|known| now.since(known.since)) else { return };
        if let Some(held) = self.spaces.get_mut(&space) {
            let change = held.presence.on_greeting(now, peer, connected);
            self.member_changes(step, space, change);
        }
    }

    pub(super) fn presence_up(&mut self, step: &mut Step<'_>, space: SpaceId, peer: AuthorKey) {
        if let Some(held) = self.spaces.get_mut(&space) {
            let change = held.presence.on_peer_up(step.now.monotonic, peer);
            self.member_changes(step, space, change);
        }
    }

    pub(super) fn peer_down(&mut self, step: &mut Step<'_>, peer: AuthorKey) {
        let now = step.now.monotonic;
        self.connect.on_peer_down(now, &mut self.rng, peer);
        self.peer_gone(peer);
        for space in self.spaces.keys().copied().collect::<Vec<_>>() {
            if let Some(held) = self.spaces.get_mut(&space) {
                let change = held.presence.on_peer_down(now, &mut self.rng, peer);
                self.member_changes(step, space, change);
            }
        }
    }

    pub(super) fn member_changes(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        changes: impl IntoIterator<Item = StateChange>,
    ) {
        let now = step.now.monotonic;
        for change in changes {
            self.want(now, change.author);
            step.effects.push(Effect::MemberChanged { space, change });
        }
    }

    /// Notes what a peer did wrong, and does about it what the budget says.
    pub(super) fn offend(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        offence: Offence,
        code: &'static str,
    ) {
        step.effects.push(Effect::Offence { peer, offence, code });
        match self.budget.offend(step.now.monotonic, peer, offence) {
            OffenceAction::Ignore => {}
            OffenceAction::Disconnect => step.effects.push(Effect::Disconnect { peer, reason: code }),
            OffenceAction::Block(time) => {
                // A full block list leaves the disconnection.
                step.effects.push(Effect::Disconnect { peer, reason: code });
                self.block(step, peer, Some(time)).ok();
            }
        }
    }
}
