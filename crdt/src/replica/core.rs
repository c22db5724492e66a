//! Everything the replica knows besides its store, and what each input does to it.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Options;
use super::check::Unchecked;
use super::compact::Compaction;
use super::compare::{Comparing, Wish};
use super::effect::{Effect, Note, Refusal, Reply, Verdict};
use super::input::{Input, LocalRequest, RequestTicket};
use super::leave::still_leaving;
use super::repair::{Peer, Rest};
use super::space::{Room, Space};
use super::step::Step;
use super::tick::Upkeep;
use super::wait::Waiter;
use crate::address::Address;
use crate::admission::Orphans;
use crate::budget::Budget;
use crate::connect::{ConnectPolicy, Direction, PeerRecord};
use crate::delta::VerifiedDelta;
use crate::gossip::Screener;
use crate::history::{DocumentHistory, ItemKey};
use crate::id::{AuthorKey, DocumentName, SpaceId, StoreId};
use crate::identity::Identity;
use crate::limits::{DOCUMENTS_BYTES_MAX, HISTORIES_BYTES_MAX};
use crate::presence::Everybody;
use crate::store::tables::{META_KEY, MetaRecord, SpaceIndex, SpaceRecord, record, walk_prefix};
use crate::store::{StoreError, StoreRead, Table};
use crate::time::{Moment, Now};
use crate::view::{BuiltView, DocumentKey, LargeDocuments, ViewCache};

/// Where incarnation nonces come from: the operating system, through the driver.
pub type NonceSource = Box<dyn FnMut() -> [u8; 16] + Send>;

/// The state machine without its store.
pub(super) struct Core {
    pub(super) identity: Identity,
    pub(super) options: Options,
    pub(super) store_id: StoreId,
    pub(super) rng: ChaCha8Rng,
    pub(super) nonces: NonceSource,
    pub(super) screener: Screener,
    pub(super) spaces: BTreeMap<SpaceId, Space>,
    pub(super) histories: ViewCache<DocumentHistory>,
    pub(super) views: ViewCache<BuiltView>,
    pub(super) large: LargeDocuments,
    pub(super) orphans: Orphans,
    /// Stored deltas whose end waits for nothing any more, until the end of the step that found them.
    pub(super) ripe: Vec<VerifiedDelta>,
    pub(super) peers: BTreeMap<AuthorKey, Peer>,
    /// Items asked of a peer and not answered yet, so that no two peers send the same.
    pub(super) fetching: BTreeMap<(SpaceId, ItemKey), AuthorKey>,
    pub(super) questions: u64,
    /// Repair rests while the store takes nothing.
    pub(super) rest: Rest,
    /// Fingerprints of everything held, summed, as of the last step.
    pub(super) held_at_last_step: u64,
    pub(super) connect: ConnectPolicy,
    /// Who the members are has changed: everyone's place with peers and the connect policy is looked at anew.
    pub(super) members_changed: bool,
    pub(super) budget: Budget,
    pub(super) waiters: Vec<Waiter>,
    pub(super) comparisons: Vec<Comparing>,
    pub(super) listening: Vec<Address>,
    pub(super) arrival: u64,
    pub(super) now: Moment,
    pub(super) compaction: Compaction,
    pub(super) unchecked: Unchecked,
    /// Spaces that were left and of which rows remain.
    pub(super) leaving: BTreeSet<SpaceIndex>,
    /// The number the next space gets: one that this process never used, since caches go by it.
    pub(super) next_space: u32,
    commit: u64,
    pub(super) upkeep: Upkeep,
}

impl Core {
    pub(super) fn new(
        store: &dyn StoreRead,
        identity: Identity,
        options: Options,
        seed: [u8; 32],
        nonces: NonceSource,
        now: Now,
    ) -> Result<Self, StoreError> {
        let connect = ConnectPolicy::new(identity.key());
        let mut core = Self {
            identity,
            options,
            store_id: store.store_id(),
            rng: ChaCha8Rng::from_seed(seed),
            nonces,
            screener: Screener::default(),
            spaces: BTreeMap::new(),
            histories: ViewCache::new(HISTORIES_BYTES_MAX),
            views: ViewCache::new(DOCUMENTS_BYTES_MAX / 2),
            large: LargeDocuments::default(),
            orphans: Orphans::default(),
            ripe: Vec::new(),
            peers: BTreeMap::new(),
            fetching: BTreeMap::new(),
            questions: 0,
            rest: Rest::default(),
            held_at_last_step: 0,
            connect,
            members_changed: true,
            budget: Budget::new(),
            waiters: Vec::new(),
            comparisons: Vec::new(),
            listening: Vec::new(),
            arrival: 0,
            now: now.monotonic,
            compaction: Compaction::new(now.monotonic),
            unchecked: Unchecked::default(),
            leaving: BTreeSet::new(),
            next_space: 0,
            commit: 0,
            upkeep: Upkeep::new(now.monotonic),
        };
        core.load_store(store, now)?;
        walk_prefix(store, Table::Peers, &[], |key, value| {
            if let Some(peer) = AuthorKey::from_slice(key) {
                let known: PeerRecord = record(value, "peer record")?;
                core.connect.restore(now, peer, known);
            }
            Ok(())
        })?;
        Ok(core)
    }

    /// Makes memory agree with the store: at open, and after a commit of which nobody knows whether
    /// it happened. Connections and what is known of members stay.
    pub(super) fn load_store(&mut self, store: &dyn StoreRead, now: Now) -> Result<(), StoreError> {
        let meta = store.value(Table::Meta, META_KEY)?;
        let meta: MetaRecord =
            meta.map(|value| record(&value, "meta record")).transpose()?.unwrap_or_default();
        let mut spaces = BTreeMap::new();
        walk_prefix(store, Table::Spaces, &[], |key, value| {
            let stored: SpaceRecord = record(value, "space record")?;
            let space = Space::load(store, &stored, self.identity.key(), now)?;
            if key != space.id.0 {
                return Err(StoreError::Corrupt("a space lies under another id".into()));
            }
            spaces.insert(space.id, space);
            Ok(())
        })?;
        for (id, space) in &mut spaces {
            if let Some(old) = self.spaces.remove(id) {
                space.presence.resume(old.presence);
                space.join_refused = old.join_refused;
                space.members_changed(now.monotonic);
            } else {
                // One that was to be left and is still there: who is connected is known from elsewhere.
                for (peer, _) in self.peers.iter().filter(|(_, peer)| peer.spoke) {
                    space.presence.on_peer_up(now.monotonic, *peer);
                }
            }
            self.screener.learn_space(*id, space.key.clone());
        }
        self.spaces = spaces;
        self.leaving = still_leaving(store)?;
        let used = self.spaces.values().map(|space| space.index).chain(self.leaving.iter().copied());
        self.next_space = used.map(|index| index.0.saturating_add(1)).fold(self.next_space, u32::max);
        (self.commit, self.arrival) = (meta.commit, meta.arrival);
        self.now = now.monotonic;
        self.load_unchecked(store, meta.checked)?;
        self.compaction.load(store, (meta.commit, meta.arrival))?;
        self.histories.clear();
        self.views.clear();
        self.orphans = Orphans::default();
        self.ripe.clear();
        self.members_changed = true;
        Ok(())
    }

    /// Handles one input.
    pub(super) fn handle(&mut self, step: &mut Step<'_>, input: Input) -> Result<(), StoreError> {
        if let Input::Gossip { from: peer, .. }
        | Input::Asked { peer, .. }
        | Input::Answered { peer, answer: Ok(_), .. } = &input
        {
            self.heard(step, *peer);
        }
        match input {
            Input::Local { ticket, request } => {
                self.local(step, ticket, request);
                Ok(())
            }
            Input::Gossip { from, token, space, frame } => {
                let judged = self.gossip(step, from, space, frame);
                // Whatever happens, the network waits for one verdict.
                let verdict = judged.as_ref().map_or(Verdict::Ignore, |verdict| *verdict);
                step.effects.push(Effect::Verdict { token, verdict });
                judged.map(|_| ())
            }
            Input::Asked { peer, id, request } => self.asked(step, peer, id, request),
            Input::Answered { peer, id, answer } => self.answered(step, peer, id, answer),
            Input::PeerUp { peer, address, inbound } => {
                self.peer_up(step, peer, address, inbound);
                Ok(())
            }
            Input::Dialled { target, peer } => {
                self.connect.on_peer_up(step.now, &mut self.rng, peer, &Direction::Outbound(target));
                Ok(())
            }
            Input::PeerDown { peer } => {
                self.peer_down(step, peer);
                Ok(())
            }
            Input::DialFailed { target } => {
                self.connect.on_dial_failed(step.now.monotonic, &mut self.rng, &target);
                Ok(())
            }
            Input::Discovered { peer, addresses, source } => {
                self.connect.on_addresses(step.now.monotonic, &mut self.rng, peer, &addresses, source);
                Ok(())
            }
            Input::Offence { peer, offence, code } => {
                self.offend(step, peer, offence, code);
                Ok(())
            }
            Input::RoundTrip { peer, time } => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.round_trip = Some(time);
                }
                Ok(())
            }
            Input::Listening { addresses } => {
                self.listening = addresses;
                Ok(())
            }
        }
    }

    fn local(&mut self, step: &mut Step<'_>, ticket: RequestTicket, request: LocalRequest) {
        let now = step.now.monotonic;
        let reply = match request {
            LocalRequest::Write(write) => return self.write(step, ticket, &write),
            LocalRequest::Wait { space, document, nodes, timeout } => {
                match self.wait(step, ticket, space, document, nodes, timeout) {
                    Ok(()) => return,
                    Err(refusal) => Err(refusal),
                }
            }
            LocalRequest::Compare { id, space, document, peer, timeout } => {
                let wish = Wish { id, space, document, peer, timeout };
                match self.compare(step, ticket, wish) {
                    Ok(()) => return,
                    Err(refusal) => Err(refusal),
                }
            }
            LocalRequest::StopComparing { id } => Ok(self.stop_comparing(id)),
            LocalRequest::CreateSpace { name, nonce, epoch_key } => {
                self.create_space(step, name, nonce, epoch_key)
            }
            LocalRequest::Compact => match self.compact(step, ticket) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            LocalRequest::Join { ticket } => self.join(step, ticket),
            LocalRequest::LeaveSpace { space, held } => self.leave_space(step, space, held),
            request @ LocalRequest::Invite { .. } => self.invite(step, request),
            LocalRequest::Quarantine { space, document, poison } => {
                self.quarantine(step, space, &document, &poison).map(|()| Reply::Done)
            }
            LocalRequest::AddPeer { address } => match self.connect.add_seed(now, address) {
                Ok(()) => Ok(Reply::Done),
                Err(_) => Err(Refusal::TooMany { what: "seed addresses" }),
            },
            LocalRequest::Block { peer, duration } => self.block(step, peer, duration),
            LocalRequest::Unblock { peer } => {
                if self.connect.unblock(now, peer) {
                    step.effects.push(Effect::Unblock(peer));
                    self.store_peer(step, peer);
                }
                Ok(Reply::Done)
            }
            LocalRequest::Status => Ok(Reply::Status(Box::new(self.status(now, step.commit - 1)))),
            LocalRequest::Members { space } => self.member_reports(now, space).map(Reply::Members),
            LocalRequest::Peers => Ok(Reply::Peers(self.peer_reports(now))),
        };
        step.reply(ticket, reply);
    }

    /// Why nothing more of a space is kept, if so: its quota on this node is used up.
    pub(super) fn fullness(&self, space: SpaceId) -> Option<Refusal> {
        let (space, most) = (self.spaces.get(&space)?, self.options.space_bytes_max?);
        (space.room(Some(most)) == Room::UsedUp).then_some(Refusal::SpaceFull { bytes: space.bytes, most })
    }

    pub(super) fn space(&self, space: SpaceId) -> Result<&Space, Refusal> {
        self.spaces.get(&space).ok_or(Refusal::UnknownSpace(space))
    }

    pub(super) fn document_key(
        &self,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<DocumentKey, Refusal> {
        Ok((self.space(space)?.index, document.clone()))
    }

    pub(super) fn loaded_view(
        &mut self,
        space: SpaceId,
        document: &DocumentName,
    ) -> Result<&mut BuiltView, Refusal> {
        let key = self.document_key(space, document)?;
        self.views.touch(&key).ok_or(Refusal::Internal)
    }

    /// Number of the last commit.
    pub(super) fn last_commit(&self) -> u64 {
        self.commit
    }

    /// The commit of a step has happened.
    pub(super) fn committed(&mut self, commit: u64) {
        self.commit = commit;
        self.store_works(self.now);
        self.trim();
    }

    /// Keeps what is built within its budget. Only between steps: within one, what was loaded stays.
    pub(super) fn trim(&mut self) {
        self.histories.trim();
        self.views.trim();
    }

    /// Says farewell in every space.
    pub(super) fn leave(&mut self, step: &mut Step<'_>) {
        let own = self.identity.key();
        let joined = self.spaces.values().filter(|space| space.charter.is_member(own));
        for space in joined.map(|space| space.id).collect::<Vec<_>>() {
            self.speak(step, space, true);
        }
        self.store_peers(step);
        self.store_sightings(step, Everybody::Too);
    }

    /// Topics to follow: following one twice changes nothing.
    pub(super) fn topics_followed(&self) -> Vec<Effect> {
        self.spaces.values().map(|space| Effect::Subscribe(space.topic)).collect()
    }

    /// Topics to follow, peers to refuse, and what could not be read, after a start.
    pub(super) fn standing_effects(&self) -> Vec<Effect> {
        let topics = self.topics_followed().into_iter();
        let faults = self.spaces.values().flat_map(|space| space.faults.iter().cloned());
        let faults = faults.map(|error| Effect::Note(Note::StoreFault { error }));
        topics.chain(self.connect.blocked().map(|(peer, _)| Effect::Block(peer))).chain(faults).collect()
    }

    /// Keeps the operator's seeds.
    pub(super) fn add_seeds(&mut self, seeds: Vec<Address>) {
        for seed in seeds {
            // A full list keeps the first ones, which the configuration names first.
            self.connect.add_seed(self.now, seed).ok();
        }
    }
}
