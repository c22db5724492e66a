//! How a fleet comes to share a space before a run begins.
//!
//! One founder makes the space, invites, witnesses everyone's join and writes the first documents,
//! all through the real replica. Every node then starts on a copy of those rows, as if it had joined
//! and caught up some time ago: so that a run spends its time on what the scenario is about.

use starling_crdt::charter::{JoinRequest, Label, Role as Right, Ticket};
use starling_crdt::codec;
use starling_crdt::document::{Edit, Json};
use starling_crdt::exchange::Request;
use starling_crdt::gossip::ScreenedRequest;
use starling_crdt::id::{DocumentName, SpaceId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, Options, Replica, Reply, RequestTicket, Write,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{MemoryStore, WriteBatch};

use super::chance::{Chance, Purpose};
use super::clock::Clock;
use super::disk::rows_of;
use crate::scenario::Role;

/// The seed of everything about a fleet that all runs of a scenario share.
const FLEET_SEED: u64 = 0x5ca1_ab1e;

/// What every document holds at first.
pub const DOCUMENT_FIRST: &str = r#"{"map":{},"list":[],"text":{"$text":""},"counter":{"$counter":0}}"#;

/// A fleet that shares a space: made once for a scenario, copied by every run.
pub struct Founding {
    /// The space.
    pub space: SpaceId,
    /// The identities, in fleet order.
    pub identities: Vec<Identity>,
    /// The rows every node starts with.
    pub rows: WriteBatch,
    /// A ticket of the space for writers, for whoever joins later.
    pub ticket: Ticket,
}

/// Why a fleet could not be founded: a defect of the simulator or of the core.
#[derive(Debug, thiserror::Error)]
#[error("the fleet could not be founded: {what}")]
pub struct FoundingError {
    what: String,
}

fn failed(what: impl std::fmt::Debug) -> FoundingError {
    FoundingError { what: format!("{what:?}") }
}

/// The identity of the node at this place in the fleet.
pub fn identity(index: usize) -> Identity {
    Identity::from_seed(&Chance::new(FLEET_SEED).bytes(Purpose::Identity, index as u64, 0))
}

/// The name under which the workload knows a document.
pub fn document_name(index: u32) -> DocumentName {
    DocumentName::new(format!("doc/{index:04}")).expect("a short name without control characters")
}

struct Founder {
    replica: Replica<MemoryStore>,
    clock: Clock,
    at: u64,
    tickets: u64,
}

impl Founder {
    fn ask(&mut self, request: LocalRequest) -> Result<Reply, FoundingError> {
        self.tickets += 1;
        let ticket = RequestTicket(self.tickets);
        self.at += 1;
        let inputs = vec![Input::Local { ticket, request }];
        let effects = self.replica.step(self.clock.now(self.at), inputs).map_err(failed)?;
        let reply = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { ticket: of, reply } if of == ticket => Some(reply),
            _ => None,
        });
        reply.ok_or_else(|| failed("no reply"))?.map_err(failed)
    }

    fn invite(&mut self, space: SpaceId, role: Right) -> Result<Ticket, FoundingError> {
        let secret =
            Identity::from_seed(&Chance::new(FLEET_SEED).bytes(Purpose::Identity, u64::MAX, role as u64));
        let invite = LocalRequest::Invite { space, role, prefix: None, uses: None, expires_in: None, secret };
        match self.ask(invite)? {
            Reply::Ticket(ticket) => Ok(*ticket),
            other => Err(failed(other)),
        }
    }
}

impl Founding {
    /// Founds a space of nodes with these roles, the first of which is its founder, and writes
    /// `documents` documents, each with a map, a list, a text and a counter.
    ///
    /// # Errors
    /// [`FoundingError`] when the core refuses any of it.
    pub fn new(roles: &[Role], documents: u32) -> Result<Self, FoundingError> {
        let identities: Vec<Identity> = (0..roles.len()).map(identity).collect();
        let founder = identities.first().ok_or_else(|| failed("no nodes"))?.clone();
        let store = MemoryStore::new(StoreId([0xf0; 16]));
        let label = |text: &str| Label::new(text).map_err(failed);
        let options = Options {
            name: label("founder")?,
            version: label("sim")?,
            seeds: Vec::new(),
            space_bytes_max: None,
        };
        let mut nonce = 0_u8;
        let nonces = Box::new(move || {
            nonce += 1;
            [nonce; 16]
        });
        let clock = Clock::default();
        let chance = Chance::new(FLEET_SEED);
        let seed = chance.bytes(Purpose::Replica, 0, 0);
        let replica =
            Replica::open(store.clone(), founder, options, seed, nonces, clock.now(0)).map_err(failed)?;
        let mut founder = Founder { replica, clock, at: 0, tickets: 0 };
        let epoch_key = EpochKey::from_bytes(chance.bytes(Purpose::Identity, u64::MAX, 99));
        let create = LocalRequest::CreateSpace { name: label("fleet")?, nonce: [7; 16], epoch_key };
        let Reply::Space(space) = founder.ask(create)? else { return Err(failed("no space")) };
        let ticket = founder.invite(space, Right::Writer)?;
        let readers = founder.invite(space, Right::Reader)?;
        let admins = founder.invite(space, Right::Admin)?;
        for (index, (identity, role)) in identities.iter().zip(roles).enumerate().skip(1) {
            let ticket = match role {
                Role::Reader => &readers,
                Role::Writer => &ticket,
                Role::Admin => &admins,
            };
            let name = label(&format!("node-{index}"))?;
            let request = codec::encode(&JoinRequest::new(ticket, identity, name));
            let request = Ok(ScreenedRequest::Plain(Request::Join(request.into())));
            founder.at += 1;
            let asked = Input::Asked { peer: identity.key(), id: index as u64, request };
            founder.replica.step(founder.clock.now(founder.at), vec![asked]).map_err(failed)?;
        }
        for document in 0..documents {
            let value = Json::parse(DOCUMENT_FIRST);
            let write = Write {
                space,
                document: document_name(document),
                edit: Edit::Put { value: value.map_err(failed)?, base: None },
                condition: Condition::default(),
                request_id: None,
            };
            founder.ask(LocalRequest::Write(Box::new(write)))?;
        }
        let joined = match founder.ask(LocalRequest::Members { space })? {
            Reply::Members(members) => members.len(),
            other => return Err(failed(other)),
        };
        if joined != roles.len() {
            return Err(failed(format!("{joined} of {} nodes joined", roles.len())));
        }
        let mut rows = rows_of(&store).map_err(failed)?;
        // What the founder noted about peers concerns itself alone.
        let peers: Vec<Vec<u8>> = rows
            .written_in(starling_crdt::store::Table::Peers, starling_crdt::store::KeyRange::ALL)
            .map(|(key, _)| key.to_vec())
            .collect();
        for key in peers {
            rows.remove(starling_crdt::store::Table::Peers, key);
        }
        Ok(Self { space, identities, rows, ticket })
    }
}
