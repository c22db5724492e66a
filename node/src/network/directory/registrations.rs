//! What others registered at this node, and its own registrations.
//!
//! Promises: of one peer at most as many as a node can have spaces, in all at most
//! [`REGISTRATIONS_MAX`]; what has expired is never told and makes room first. Leaves out: values,
//! which a Kademlia directory could hold as well and this one refuses.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Values;
use std::iter::{Empty, Map, empty};
use std::time::Instant;

use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use starling_crdt::limits::{ADDRESSES_MAX, SPACES_MAX};

use crate::network::limits::{REGISTRATION_PLACE_BYTES, REGISTRATIONS_MAX};

/// See the module.
pub(in crate::network) struct Registrations {
    local: PeerId,
    own: BTreeMap<Vec<u8>, ProviderRecord>,
    /// By place, then by peer; no place without a peer.
    others: BTreeMap<Vec<u8>, BTreeMap<PeerId, ProviderRecord>>,
    /// How many each peer has; nobody with none.
    held: BTreeMap<PeerId, usize>,
}

impl Registrations {
    /// None yet.
    pub(super) fn new(local: PeerId) -> Self {
        Self { local, own: BTreeMap::new(), others: BTreeMap::new(), held: BTreeMap::new() }
    }

    fn has_room(&self, peer: &PeerId) -> bool {
        self.held.values().sum::<usize>() < REGISTRATIONS_MAX
            && self.held.get(peer).copied().unwrap_or_default() < SPACES_MAX
    }

    fn forget_expired(&mut self, now: Instant) {
        self.others.retain(|_, peers| {
            peers.retain(|_, record| !record.is_expired(now));
            !peers.is_empty()
        });
        self.held.clear();
        for peer in self.others.values().flat_map(BTreeMap::keys) {
            *self.held.entry(*peer).or_default() += 1;
        }
    }
}

impl RecordStore for Registrations {
    type RecordsIter<'a> = Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> =
        Map<Values<'a, Vec<u8>, ProviderRecord>, fn(&'a ProviderRecord) -> Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        empty()
    }

    fn add_provider(&mut self, mut record: ProviderRecord) -> Result<()> {
        let (place, peer) = (record.key.to_vec(), record.provider);
        if place.len() != REGISTRATION_PLACE_BYTES {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.truncate(ADDRESSES_MAX);
        if peer == self.local {
            self.own.insert(place, record);
            return Ok(());
        }
        if let Some(held) = self.others.get_mut(&place).and_then(|peers| peers.get_mut(&peer)) {
            *held = record;
            return Ok(());
        }
        if !self.has_room(&peer) {
            self.forget_expired(Instant::now());
        }
        if !self.has_room(&peer) {
            return Err(Error::MaxProvidedKeys);
        }
        *self.held.entry(peer).or_default() += 1;
        self.others.entry(place).or_default().insert(peer, record);
        Ok(())
    }

    /// The youngest first: an answer holds only some, and each should have its turn.
    fn providers(&self, place: &RecordKey) -> Vec<ProviderRecord> {
        let now = Instant::now();
        let own = self.own.get(place.as_ref()).into_iter();
        let others = self.others.get(place.as_ref()).into_iter().flat_map(BTreeMap::values);
        let mut found: Vec<_> = own.chain(others).filter(|record| !record.is_expired(now)).cloned().collect();
        found.sort_by_key(|record| Reverse(record.expires));
        found
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.own.values().map(Cow::Borrowed)
    }

    fn remove_provider(&mut self, place: &RecordKey, peer: &PeerId) {
        if *peer == self.local {
            self.own.remove(place.as_ref());
            return;
        }
        let Some(peers) = self.others.get_mut(place.as_ref()) else { return };
        if peers.remove(peer).is_none() {
            return;
        }
        if peers.is_empty() {
            self.others.remove(place.as_ref());
        }
        if let Some(held) = self.held.get_mut(peer) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(place: u16, peer: PeerId, lives: bool) -> ProviderRecord {
        let mut key = [0; REGISTRATION_PLACE_BYTES];
        key[..2].copy_from_slice(&place.to_be_bytes());
        let expires = if lives { Instant::now() + Duration::from_secs(600) } else { Instant::now() };
        ProviderRecord {
            key: RecordKey::new(&key),
            provider: peer,
            expires: Some(expires),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn one_peer_registers_for_as_many_spaces_as_a_node_can_have() {
        let mut held = Registrations::new(PeerId::random());
        let (one, two) = (PeerId::random(), PeerId::random());
        for place in 0..SPACES_MAX as u16 {
            held.add_provider(record(place, one, true)).expect("room");
        }
        held.add_provider(record(0, one, true)).expect("a renewal needs no room");
        assert!(held.add_provider(record(u16::MAX, one, true)).is_err());
        held.add_provider(record(u16::MAX, two, true)).expect("others have their own share");
        held.remove_provider(&record(0, one, true).key, &one);
        held.add_provider(record(u16::MAX, one, true)).expect("room again");
        assert_eq!(held.providers(&record(u16::MAX, one, true).key).len(), 2);
    }

    #[test]
    fn all_together_stay_within_the_bound_and_the_expired_make_room() {
        let mut held = Registrations::new(PeerId::random());
        for place in 0..REGISTRATIONS_MAX as u16 {
            held.add_provider(record(place, PeerId::random(), place != 7)).expect("room");
        }
        assert_eq!(held.providers(&record(7, PeerId::random(), true).key), Vec::new(), "it has expired");
        held.add_provider(record(0, PeerId::random(), true)).expect("in the place of the expired");
        assert!(held.add_provider(record(1, PeerId::random(), true)).is_err());
        assert_eq!(held.others.values().map(BTreeMap::len).sum::<usize>(), REGISTRATIONS_MAX);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let mut held = Registrations::new(PeerId::random());
        let mut long = record(1, PeerId::random(), true);
        long.key = RecordKey::new(&[1; REGISTRATION_PLACE_BYTES + 1]);
        assert!(held.add_provider(long).is_err());
        assert!(held.put(Record::new(record(1, PeerId::random(), true).key, vec![1])).is_err());
    }
}
