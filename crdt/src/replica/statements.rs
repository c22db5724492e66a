//! Authority: statements that arrive, spaces made and joined, invites, witnessing.

use super::core::Core;
use super::effect::{Counted, Effect, Note, Refusal, Reply, Verdict};
use super::input::LocalRequest;
use super::repair::Task;
use super::space::Space;
use super::step::Step;
use crate::address::Address;
use crate::budget::Offence;
use crate::charter::{
    Genesis, InsertError, Inserted, Invite, JoinRefused, JoinRequest, Label, StatementBody, Ticket,
    VerifiedStatement,
};
use crate::codec;
use crate::gossip::Frame;
use crate::id::{AuthorKey, SpaceId, StatementId};
use crate::limits::{ADDRESSES_MAX, EXCHANGE_CHUNK_BYTES, SPACES_MAX};
use crate::presence::VerifiedBeacon;
use crate::seal::EpochKey;
use crate::store::tables::SpaceIndex;
use crate::store::{StoreError, Table};
use crate::time::WallTime;

impl Core {
    /// Makes a space with this node as its founder.
    pub(super) fn create_space(
        &mut self,
        step: &mut Step<'_>,
        name: Label,
        nonce: [u8; 16],
        key: EpochKey,
    ) -> Result<Reply, Refusal> {
        let founders = vec![self.identity.key()];
        let genesis = Genesis::new(name, step.now.wall, nonce, founders)
            .map_err(|_| Refusal::TooMany { what: "founders" })?;
        let id = genesis.space_id();
        self.hold_space(step, genesis, key, None)?;
        Ok(Reply::Space(id))
    }

    fn hold_space(
        &mut self,
        step: &mut Step<'_>,
        genesis: Genesis,
        key: EpochKey,
        ticket: Option<Box<Ticket>>,
    ) -> Result<(), Refusal> {
        let id = genesis.space_id();
        if self.spaces.contains_key(&id) {
            return Err(Refusal::KnownSpace(id));
        }
        if self.spaces.len() >= SPACES_MAX {
            return Err(Refusal::TooMany { what: "spaces" });
        }
        let index = SpaceIndex(self.next_space);
        self.next_space = self.next_space.checked_add(1).ok_or(Refusal::TooMany { what: "spaces" })?;
        let own = self.identity.key();
        let space = Space::new(genesis, index, key, ticket, own, step.now);
        step.transaction.put(Table::Spaces, id.0.to_vec(), &space.record());
        self.screener.learn_space(id, space.key.clone());
        step.effects.push(Effect::Subscribe(space.topic));
        self.spaces.insert(id, space);
        self.members_changed = true;
        for (peer, spoke) in self.peers.iter().map(|(key, peer)| (*key, peer.spoke)).collect::<Vec<_>>() {
            if spoke {
                self.presence_up(step, id, peer);
            }
            self.repair_now(step.now.monotonic, peer);
        }
        Ok(())
    }

    /// Takes a ticket: holds its space, dials its addresses, and asks members to witness.
    pub(super) fn join(&mut self, step: &mut Step<'_>, ticket: Box<Ticket>) -> Result<Reply, Refusal> {
        let space = ticket.genesis.space_id();
        for address in ticket.addresses.clone() {
            // A full list of seeds only means that others are tried instead.
            self.connect.add_seed(step.now.monotonic, address).ok();
        }
        match self.spaces.get_mut(&space) {
            None => {
                let (genesis, key) = (ticket.genesis.clone(), ticket.epoch_key.clone());
                self.hold_space(step, genesis, key, Some(ticket))?;
            }
            Some(held) if held.charter.is_member(self.identity.key()) && held.ticket.is_none() => {}
            Some(held) => {
                held.ticket = Some(ticket);
                held.join_refused = None;
                let record = held.record();
                step.transaction.put(Table::Spaces, space.0.to_vec(), &record);
            }
        }
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.repair_now(step.now.monotonic, peer);
        }
        let joined = self.spaces.get(&space).is_some_and(|space| space.ticket.is_none());
        Ok(Reply::Joining { space, joined })
    }

    /// Opens an invite and makes its ticket.
    pub(super) fn invite(&mut self, step: &mut Step<'_>, request: LocalRequest) -> Result<Reply, Refusal> {
        let LocalRequest::Invite { space, role, prefix, uses, expires_in, secret } = request else {
            return Err(Refusal::Internal);
        };
        let expires = expires_in.map(|within| {
            let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
            WallTime(step.now.wall.0.saturating_add(within))
        });
        let body = StatementBody::Invite(Invite { invite_key: secret.key(), role, prefix, uses, expires });
        let id = self.issue(step, space, body)?;
        let held = self.space(space)?;
        let (genesis, key) = (held.charter.genesis().clone(), held.key.clone());
        let addresses = self.announced_addresses();
        Ok(Reply::Ticket(Box::new(Ticket::new(genesis, key, id, &secret, addresses))))
    }

    fn announced_addresses(&self) -> Vec<Address> {
        self.listening.iter().take(ADDRESSES_MAX).cloned().collect()
    }

    /// Signs, stores and gossips a statement of this node.
    fn issue(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        body: StatementBody,
    ) -> Result<StatementId, Refusal> {
        let space = self.space(space_id)?;
        let statement = space.charter.issue(&self.identity, step.now.wall, body)?;
        let id = statement.id();
        let payload = Frame::Statement(statement.to_bytes().into()).seal(&space.key);
        let topic = space.topic;
        self.insert_statement(step, space_id, statement).map_err(|fault| match fault {
            StatementFault::Full => Refusal::CharterFull,
            StatementFault::Store(error) => Refusal::Store(error),
        })?;
        step.effects.push(Effect::Publish { topic, payload });
        Ok(id)
    }

    /// Handles a statement that came by gossip.
    pub(super) fn take_statement(
        &mut self,
        step: &mut Step<'_>,
        space: SpaceId,
        from: AuthorKey,
        statement: VerifiedStatement,
    ) -> Verdict {
        let inserted = self.insert_statement(step, space, statement);
        if !matches!(inserted, Ok(Inserted::Known)) {
            step.brought_by.insert(from);
        }
        match inserted {
            Ok(Inserted::New { effective, .. }) if effective.is_empty() => {
                self.offend(step, from, Offence::VoidStatement, "void_statement");
                Verdict::Ignore
            }
            Ok(Inserted::Known | Inserted::New { .. }) => Verdict::Accept,
            Ok(Inserted::Waiting { .. }) => {
                self.repair_soon(step.now.monotonic, from);
                Verdict::Ignore
            }
            Err(_) => Verdict::Ignore,
        }
    }

    /// Takes a statement into the charter and everything that follows from it.
    pub(super) fn insert_statement(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        statement: VerifiedStatement,
    ) -> Result<Inserted, StatementFault> {
        let Some(space) = self.spaces.get_mut(&space_id) else {
            return Ok(Inserted::Known);
        };
        let inserted = space.charter.insert(statement).map_err(|error| match error {
            InsertError::Full(_) => StatementFault::Full,
            InsertError::ForeignSpace(_) => StatementFault::Full,
        })?;
        let Inserted::New { effective, void } = &inserted else {
            return Ok(inserted);
        };
        for id in effective {
            if let Some(statement) = space.charter.statement(*id) {
                step.transaction.put_bytes(
                    Table::Statements,
                    space.index.statement(*id),
                    statement.to_bytes(),
                );
            }
        }
        if effective.is_empty() {
            for (_, reason) in void {
                step.count(Counted::Refused(reason.code()), 1);
                step.note(Note::VoidStatement { space: space_id, reason: *reason });
            }
            return Ok(inserted);
        }
        space.members_changed(step.now.monotonic);
        // Whoever is new has not heard this node's last beacon.
        space.presence.speak_soon(step.now.monotonic, &mut self.rng);
        let joined = space.ticket.is_some() && space.charter.is_member(self.identity.key());
        if joined {
            space.ticket = None;
            space.join_refused = None;
            step.transaction.put(Table::Spaces, space_id.0.to_vec(), &space.record());
            step.note(Note::Joined { space: space_id });
        }
        for (_, reason) in void {
            step.count(Counted::Refused(reason.code()), 1);
            step.note(Note::VoidStatement { space: space_id, reason: *reason });
        }
        let effective = effective.clone();
        for id in effective {
            self.wake_statement(step, space_id, id).map_err(StatementFault::Store)?;
        }
        self.members_changed = true;
        Ok(inserted)
    }

    /// Witnesses a join, if it may be. Returns the statements that make the joiner a member.
    pub(super) fn witness(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        request: &JoinRequest,
    ) -> Result<Vec<Vec<u8>>, WitnessFault> {
        if request.member != peer {
            return Err(WitnessFault::Refused(JoinRefused::BadSignature));
        }
        let space = self.spaces.get(&request.space).ok_or(WitnessFault::UnknownSpace)?;
        let own = self.identity.key();
        let body = space.charter.witness(request, own, step.now.wall).map_err(WitnessFault::Refused)?;
        if let Some(body) = body {
            self.issue(step, request.space, body).map_err(|_| WitnessFault::Failed)?;
        }
        let space = self.spaces.get(&request.space).ok_or(WitnessFault::UnknownSpace)?;
        let mut room = EXCHANGE_CHUNK_BYTES;
        let fitting = space.charter.statements().map(|statement| statement.to_bytes()).take_while(|bytes| {
            let fits = bytes.len() <= room;
            room = room.saturating_sub(bytes.len());
            fits
        });
        Ok(fitting.collect())
    }

    /// The request that asks `peer` to witness this node's join, while that is pending.
    pub(super) fn join_tasks(&self) -> Vec<Task> {
        let pending = self.spaces.values().filter_map(|space| space.ticket.as_deref());
        pending
            .map(|ticket| {
                let request = JoinRequest::new(ticket, &self.identity, self.options.name.clone());
                Task::Join { space: request.space, request: codec::encode(&request) }
            })
            .collect()
    }

    /// Handles a beacon that came by gossip.
    pub(super) fn take_beacon(
        &mut self,
        step: &mut Step<'_>,
        space_id: SpaceId,
        from: AuthorKey,
        beacon: VerifiedBeacon,
    ) -> Verdict {
        let Some(space) = self.spaces.get_mut(&space_id) else {
            return Verdict::Ignore;
        };
        let author = beacon.author;
        let now = step.now.monotonic;
        if author == self.identity.key() {
            space.presence.on_beacon(now, &mut self.rng, beacon);
            return Verdict::Ignore;
        }
        match space.presence.member(author) {
            // A beacon that is no news says nothing.
            Some(seen) if seen.counter() >= beacon.counter => {
                if from == author
                    && let Some(shown) = space.presence.correction(now, &beacon)
                {
                    let payload = Frame::Beacon(shown.to_bytes().into()).seal(&space.key);
                    step.effects.push(Effect::Publish { topic: space.topic, payload });
                }
                return Verdict::Ignore;
            }
            Some(_) => {}
            None => {
                // Its join may not have reached this node yet.
                self.repair_soon(now, from);
                return Verdict::Ignore;
            }
        }
        let theirs = u64::from_be_bytes(beacon.facts.documents);
        let (documents_differ, statements_differ) =
            (theirs != space.items.fingerprint(), beacon.facts.statements != space.charter.fingerprint());
        let heard = beacon.clone();
        let changes = space.presence.on_beacon(now, &mut self.rng, beacon);
        space.presence.on_clock(author, heard.time, step.now.wall);
        self.member_changes(step, space_id, changes);
        let source = crate::connect::AddressSource::Beacon;
        self.connect.on_addresses(now, &mut self.rng, author, &heard.facts.addresses, source);
        let fetches = documents_differ
            && self.fullness(space_id).is_none()
            && !self.is_standoff(now, author, space_id, theirs);
        if statements_differ || fetches {
            self.repair_later(now, author);
        }
        Verdict::Accept
    }
}

/// Why a statement was not taken.
pub(super) enum StatementFault {
    Full,
    Store(StoreError),
}

/// Why a join was not witnessed.
pub(super) enum WitnessFault {
    UnknownSpace,
    Refused(JoinRefused),
    Failed,
}

impl Core {
    /// Makes and gossips this node's beacon in a space.
    pub(super) fn speak(&mut self, step: &mut Step<'_>, space_id: SpaceId, leaving: bool) {
        let facts = self.facts(space_id, step.commit - 1);
        let Some((space, facts)) = self.spaces.get_mut(&space_id).zip(facts) else { return };
        let beacon = if leaving {
            space.presence.farewell(step.now, &self.identity, facts)
        } else {
            space.presence.beacon(step.now, &mut self.rng, &self.identity, facts)
        };
        let payload = Frame::Beacon(beacon.to_bytes().into()).seal(&space.key);
        step.effects.push(Effect::Publish { topic: space.topic, payload });
    }

    fn facts(&self, space: SpaceId, commit: u64) -> Option<crate::presence::Facts> {
        let space = self.spaces.get(&space)?;
        Some(crate::presence::Facts {
            name: self.options.name.clone(),
            version: self.options.version.clone(),
            addresses: self.announced_addresses(),
            statements: space.charter.fingerprint(),
            documents: space.items.fingerprint().to_be_bytes(),
            document_count: space.documents,
            change_count: space.changes,
            commit,
        })
    }
}
