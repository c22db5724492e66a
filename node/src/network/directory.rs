//! Where members find each other through any node both can reach, member of their space or not.
//!
//! A Kademlia directory of its own protocol name: a node registers under a hash of each topic it
//! follows, which is itself keyed by the space, and asks for the others registered there while few of
//! them are neighbours. What is found are addresses to try; whoever answers there still has to prove
//! its key, and membership is judged as ever.
//!
//! Promises: nothing but registrations is kept, a bounded number of each peer's, for a bounded time;
//! only neighbours are asked; with neighbours enough, only a registration now and then is sent. Leaves
//! out: whom to dial, which the core says.

mod agenda;
mod asking;
mod registrations;

use libp2p::kad::{Behaviour, BucketInserts, Caching, Config, K_VALUE, Mode, RecordKey};
use libp2p::{PeerId, StreamProtocol};
use sha2::{Digest, Sha256};
use starling_crdt::id::{AuthorKey, Topic};
use std::collections::BTreeSet;

use super::limits::{DIRECTORY_NAMED_MAX, DIRECTORY_STREAM_TIMEOUT, REGISTRATION_LIFETIME};

pub(super) use agenda::{Agenda, Errand};
pub(super) use asking::{Asked, Asking};
use registrations::Registrations;

/// Name of the protocol. Other Kademlia networks have others and never mix with this one.
pub(super) const DIRECTORY_PROTOCOL: StreamProtocol = StreamProtocol::new("/starling/directory/0");

/// The directory of the node `local`; one that listens nowhere only asks.
pub(super) fn directory(local: PeerId, listens: bool) -> Asking {
    let mut config = Config::new(DIRECTORY_PROTOCOL);
    config
        // As many as a node has neighbours, so that any node two members share knows of both.
        .set_replication_factor(K_VALUE)
        .set_substreams_timeout(DIRECTORY_STREAM_TIMEOUT)
        .set_provider_record_ttl(Some(REGISTRATION_LIFETIME))
        // The agenda says when to register; values are not kept at all.
        .set_provider_publication_interval(None)
        .set_publication_interval(None)
        .set_replication_interval(None)
        .set_periodic_bootstrap_interval(None)
        .set_caching(Caching::Disabled)
        // What identify tells is added by hand: the far end of a connection is often no address to dial.
        .set_kbucket_inserts(BucketInserts::Manual);
    let mut directory = Behaviour::with_config(local, Registrations::new(local), config);
    directory.set_mode(Some(if listens { Mode::Server } else { Mode::Client }));
    Asking(directory)
}

/// What followers of `topic` register under. Not the topic itself, though gossip shows that as well.
pub(super) fn place(topic: &Topic) -> RecordKey {
    let mut hash = Sha256::new();
    hash.update(b"starling/directory");
    hash.update(topic.0);
    RecordKey::new(&hash.finalize().as_slice())
}

/// Whom the directory named and who is no neighbour yet: where they are is the next question.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeSet<AuthorKey>);

impl Named {
    /// Takes in whom an answer named; true if where that one is should be asked now.
    pub(super) fn insert(&mut self, peer: AuthorKey) -> bool {
        self.0.len() < DIRECTORY_NAMED_MAX && self.0.insert(peer)
    }

    /// The question where `peer` is has ended; whether it was one.
    pub(super) fn remove(&mut self, peer: &AuthorKey) -> bool {
        self.0.remove(peer)
    }
}
