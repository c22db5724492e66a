//! What a space holds, as one item per (document, actor): what repair compares.
//!
//! Items are ordered by a hash of document and actor, so that ranges fill evenly whatever the names,
//! and retired incarnations cost nothing, because they never differ.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::codec::Signable;
use crate::id::{Actor, DocumentName, SpaceId};
use crate::store::tables::FrontierRecord;

/// Where an item lies in the order of items: 8 bytes of a hash of the document, then 8 of a hash of
/// document and actor, so that what belongs to one document is fetched together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct ItemKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl ItemKey {
    /// Below every other one.
    pub const LOWEST: Self = Self([0; 16]);

    /// The key of one actor's run in one document.
    pub fn of(document: &DocumentName, actor: Actor) -> Self {
        let of_document = Signable::new("starling/item").bytes(document.as_str().as_bytes());
        let mut key = [0; 16];
        key[..8].copy_from_slice(&of_document.hash()[..8]);
        key[8..].copy_from_slice(&of_document.bytes(&actor.0).hash()[..8]);
        Self(key)
    }
}

impl ItemKey {
    /// Where the items of one document begin, and what follows them.
    pub fn range_of(document: &DocumentName) -> (Self, Option<Self>) {
        let mut start = Self::of(document, Actor([0; 16]));
        start.0[8..].fill(0);
        let (prefix, _) = start.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let end = u64::from_be_bytes(*prefix).checked_add(1).map(|prefix| {
            let mut end = [0; 16];
            end[..8].copy_from_slice(&prefix.to_be_bytes());
            Self(end)
        });
        (start, end)
    }
}

/// One actor's run in one document, up to its highest clean change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The document.
    pub document: Arc<DocumentName>,
    /// The actor.
    pub actor: Actor,
    /// Highest clean sequence number and its hash.
    pub tip: FrontierRecord,
}

/// A 64-bit fingerprint of one item under a salt.
pub fn item_fingerprint(salt: u64, key: ItemKey, tip: &FrontierRecord) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(salt.to_be_bytes());
    hasher.update(key.0);
    hasher.update(tip.seq.to_be_bytes());
    hasher.update(tip.hash.0);
    let hash: [u8; 32] = hasher.finalize().into();
    let (first, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

/// Every item of one space, with a fingerprint of them all kept up to date.
#[derive(Clone, Debug)]
pub struct Items {
    salt: u64,
    items: BTreeMap<ItemKey, Item>,
    fingerprint: u64,
}

impl Items {
    /// No items yet. The space salts the fingerprint, so that equal documents in two spaces differ.
    pub fn new(space: SpaceId) -> Self {
        let (salt, _) = space.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self { salt: u64::from_be_bytes(*salt), items: BTreeMap::new(), fingerprint: 0 }
    }

    /// Raises an item to `tip`.
    pub fn raise(&mut self, document: &Arc<DocumentName>, actor: Actor, tip: FrontierRecord) {
        let key = ItemKey::of(document, actor);
        let item = Item { document: document.clone(), actor, tip };
        if let Some(old) = self.items.insert(key, item) {
            self.fingerprint = self.fingerprint.wrapping_sub(item_fingerprint(self.salt, key, &old.tip));
        }
        self.fingerprint = self.fingerprint.wrapping_add(item_fingerprint(self.salt, key, &tip));
    }

    /// Equal for equal items: an order-independent sum over all of them.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The item at `key`.
    pub fn item(&self, key: ItemKey) -> Option<&Item> {
        self.items.get(&key)
    }

    /// Items from `start` on and before `end` (none: to the end).
    pub fn range(
        &self,
        start: ItemKey,
        end: Option<ItemKey>,
    ) -> impl DoubleEndedIterator<Item = (ItemKey, &Item)> {
        let end = match end {
            Some(end) if end <= start => Bound::Excluded(start),
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        let bounds = (Bound::Included(start), end);
        self.items.range(bounds).map(|(key, item)| (*key, item))
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
