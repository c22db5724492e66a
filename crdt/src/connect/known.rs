//! Peers met or heard of, with where they may be dialled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minicbor::{Decode, Encode};
use rand_chacha::ChaCha8Rng;

use super::retry::Retry;
use crate::address::{Address, decode_addresses};
use crate::id::AuthorKey;
use crate::limits::{ADDRESSES_MAX, PEERS_BLOCKED_MAX, PEERS_KNOWN_MAX};
use crate::time::{Moment, Now, WallTime};

/// Where an address comes from, the most trusted last. When a peer has too many addresses, the
/// least trusted, then the longest unheard of is dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AddressSource {
    /// The store: true some time ago.
    Stored,
    /// A node both have met, by what it was told.
    Directory,
    /// A beacon of the peer.
    Beacon,
    /// The peer itself, over a connection.
    Connection,
    /// Found on the local network.
    LocalNetwork,
    /// A dial that worked.
    Dialled,
    /// The operator.
    Operator,
}

/// What is stored about a peer between runs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub struct PeerRecord {
    /// Where it may be dialled, best first; at most 16.
    #[cbor(n(0), decode_with = "decode_addresses")]
    pub addresses: Vec<Address>,
    /// When a connection with it last stood, by this node's clock.
    #[n(1)]
    pub last_contact: Option<WallTime>,
    /// Whether it is blocked.
    #[n(2)]
    pub blocked: bool,
    /// Until when; absent means for good.
    #[n(3)]
    pub blocked_until: Option<WallTime>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    addresses: BTreeMap<Address, (AddressSource, Moment)>,
    last_contact: Option<WallTime>,
    /// When anything was last learned of it.
    fresh: Moment,
    retry: Retry,
}

impl Known {
    /// Adds or refreshes one address; whether it is new.
    fn add(&mut self, address: &Address, source: AddressSource, now: Moment) -> bool {
        if let Some((held, seen)) = self.addresses.get_mut(address) {
            *held = (*held).max(source);
            *seen = now;
            return false;
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            let worst = self.addresses.iter().min_by_key(|(_, rank)| **rank);
            let worst = worst.map(|(address, rank)| (address.clone(), *rank));
            match worst {
                Some((worst, (held, _))) if held <= source => self.addresses.remove(&worst),
                _ => return false,
            };
        }
        self.addresses.insert(address.clone(), (source, now));
        true
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct KnownPeers {
    peers: BTreeMap<AuthorKey, Known>,
    /// Whose record differs from what was last taken for storing.
    changed: BTreeSet<AuthorKey>,
}

impl KnownPeers {
    pub(super) fn peers(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.peers.keys().copied()
    }

    /// When a peer with an address may be dialled next, and how many dials failed before.
    pub(super) fn prospect(&self, peer: AuthorKey) -> Option<(Moment, u32)> {
        let known = self.peers.get(&peer).filter(|known| !known.addresses.is_empty())?;
        Some((known.retry.due(), known.retry.failures()))
    }

    pub(super) fn retry_mut(&mut self, peer: AuthorKey) -> Option<&mut Retry> {
        self.peers.get_mut(&peer).map(|known| &mut known.retry)
    }

    pub(super) fn addresses(&self, peer: AuthorKey) -> Vec<Address> {
        let mut addresses: Vec<_> =
            self.peers.get(&peer).into_iter().flat_map(|known| &known.addresses).collect();
        addresses.sort_by(|(a, rank_a), (b, rank_b)| rank_b.cmp(rank_a).then(a.cmp(b)));
        addresses.into_iter().map(|(address, _)| address.clone()).collect()
    }

    pub(super) fn last_contact(&self, peer: AuthorKey) -> Option<WallTime> {
        self.peers.get(&peer).and_then(|known| known.last_contact)
    }

    /// Learns addresses; whether one is new. At the bound the stalest peer that need not be kept
    /// makes room.
    pub(super) fn learn(
        &mut self,
        now: Moment,
        rng: &mut ChaCha8Rng,
        peer: AuthorKey,
        addresses: &[Address],
        source: AddressSource,
        keep: impl Fn(&AuthorKey) -> bool,
    ) -> bool {
        if !self.has_room(peer, keep) {
            return false;
        }
        let known = self.peers.entry(peer).or_default();
        known.fresh = now;
        let mut new = false;
        for address in addresses.iter().take(ADDRESSES_MAX) {
            new |= known.add(address, source, now);
        }
        match source {
            AddressSource::Operator => known.retry.start_over(now),
            _ if new && known.retry.failures() > 0 => known.retry.hope(now, rng, Duration::ZERO),
            _ => {}
        }
        if new {
            self.mark(peer);
        }
        new || source == AddressSource::Operator
    }

    /// A connection stands; returns how many dials had failed before.
    pub(super) fn on_contact(&mut self, now: Now, peer: AuthorKey, keep: impl Fn(&AuthorKey) -> bool) -> u32 {
        if !self.has_room(peer, keep) {
            return 0;
        }
        let known = self.peers.entry(peer).or_default();
        known.last_contact = Some(now.wall);
        known.fresh = now.monotonic;
        let failures = known.retry.failures();
        self.mark(peer);
        failures
    }

    pub(super) fn start_over(&mut self, now: Moment, peer: AuthorKey) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.retry.start_over(now);
        }
    }

    pub(super) fn hope(&mut self, now: Moment, rng: &mut ChaCha8Rng, spread: Duration) {
        for known in self.peers.values_mut().filter(|known| known.retry.failures() > 0) {
            known.retry.hope(now, rng, spread);
        }
    }

    pub(super) fn restore(
        &mut self,
        peer: AuthorKey,
        addresses: Vec<Address>,
        last_contact: Option<WallTime>,
    ) {
        if self.peers.len() >= PEERS_KNOWN_MAX {
            return;
        }
        let known = self.peers.entry(peer).or_default();
        for (rank, address) in addresses.iter().rev().enumerate() {
            known.add(address, AddressSource::Stored, Moment(rank as u64));
        }
        known.last_contact = known.last_contact.max(last_contact);
    }

    /// Notes that the record of `peer` is to be stored anew. If nobody takes them, further ones are
    /// not noted: what is stored is then older than need be, and nothing worse.
    pub(super) fn mark(&mut self, peer: AuthorKey) {
        if self.changed.len() < PEERS_KNOWN_MAX + PEERS_BLOCKED_MAX {
            self.changed.insert(peer);
        }
    }

    /// Notes that nobody knows what of these is stored.
    pub(super) fn mark_all(&mut self) {
        let all: Vec<AuthorKey> = self.peers().collect();
        all.into_iter().for_each(|peer| self.mark(peer));
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn take_changed(&mut self) -> BTreeSet<AuthorKey> {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn holds(&self, peer: AuthorKey) -> bool {
        self.peers.contains_key(&peer)
    }

    /// Whether there is room for what is known of `peer`; the stalest other makes some if need be.
    fn has_room(&mut self, peer: AuthorKey, keep: impl Fn(&AuthorKey) -> bool) -> bool {
        if self.peers.len() < PEERS_KNOWN_MAX || self.peers.contains_key(&peer) {
            return true;
        }
        let loose = self.peers.iter().filter(|(peer, _)| !keep(peer));
        let stalest = loose.min_by_key(|(_, known)| (known.last_contact, known.fresh));
        match stalest.map(|(peer, _)| *peer) {
            Some(stalest) => {
                self.peers.remove(&stalest);
                self.mark(stalest);
                true
            }
            None => false,
        }
    }
}
