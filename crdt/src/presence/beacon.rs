//! Beacons: what a node says about itself, small and signed.

use std::ops::Deref;
use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode};

use crate::address::{Address, decode_addresses};
use crate::bounded::decode_list;
use crate::charter::Label;
use crate::codec::{CodecError, Signable, decode, encode};
use crate::id::{AuthorKey, SpaceId};
use crate::identity::{BadSignature, Identity, Signature, verify};
use crate::limits::{BEACON_BYTES_MAX, BEACON_LOST_MAX};
use crate::time::WallTime;

/// What a node knows about itself when it speaks.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Facts {
    /// What the node calls itself.
    #[n(0)]
    pub name: Label,
    /// Version of its software.
    #[n(1)]
    pub version: Label,
    /// Where it can be dialled; at most 16.
    #[cbor(n(2), decode_with = "decode_addresses")]
    pub addresses: Vec<Address>,
    /// Fingerprint of its statements.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub statements: [u8; 8],
    /// Fingerprint of its documents.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub documents: [u8; 8],
    /// Number of its documents.
    #[n(5)]
    pub document_count: u64,
    /// Number of its clean changes.
    #[n(6)]
    pub change_count: u64,
    /// Its commit counter.
    #[n(7)]
    pub commit: u64,
}

/// A neighbour the sender was connected with and is no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Lost {
    /// Who.
    #[n(0)]
    pub author: AuthorKey,
    /// The highest counter heard from it: a beacon with a higher one refutes the loss.
    #[n(1)]
    pub counter: u64,
}

/// One beacon as received: nothing about it has been checked but its form.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Beacon {
    /// The space it speaks in.
    #[n(0)]
    pub space: SpaceId,
    /// Who speaks.
    #[n(1)]
    pub author: AuthorKey,
    /// Rises with every beacon of this author, across restarts too.
    #[n(2)]
    pub counter: u64,
    /// About the sender.
    #[n(3)]
    pub facts: Facts,
    /// When to expect the next one, in milliseconds.
    #[n(4)]
    pub period_ms: u32,
    /// The sender is about to stop.
    #[n(5)]
    pub leaving: bool,
    /// Neighbours it just lost; at most 16.
    #[cbor(n(6), decode_with = "decode_lost")]
    pub lost: Vec<Lost>,
    /// By the sender's clock; for people only.
    #[n(7)]
    pub time: WallTime,
    /// By the author, over [`Beacon::signable`].
    #[n(8)]
    pub signature: Signature,
}

fn decode_lost<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<Lost>, minicbor::decode::Error> {
    decode_list(d, ctx, BEACON_LOST_MAX, "lost neighbours")
}

/// Why bytes are no beacon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeaconError {
    /// No such message, or a field breaks its bounds.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More bytes than any beacon has.
    #[error("a beacon of {0} bytes is longer than {BEACON_BYTES_MAX}")]
    TooLong(usize),
    /// The signature does not match.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl Beacon {
    /// The bytes that the author signs.
    pub fn signable(&self) -> Signable {
        let facts = &self.facts;
        let head = Signable::new("starling/beacon")
            .bytes(self.space.as_bytes())
            .bytes(self.author.as_bytes())
            .number(self.counter)
            .bytes(facts.name.as_str().as_bytes())
            .bytes(facts.version.as_str().as_bytes())
            .number(facts.addresses.len() as u64);
        let addresses = facts
            .addresses
            .iter()
            .fold(head, |signable, address| signable.bytes(address.as_str().as_bytes()));
        let middle = addresses
            .bytes(&facts.statements)
            .bytes(&facts.documents)
            .number(facts.document_count)
            .number(facts.change_count)
            .number(facts.commit)
            .number(u64::from(self.period_ms))
            .number(u64::from(self.leaving))
            .number(self.lost.len() as u64);
        let lost = self
            .lost
            .iter()
            .fold(middle, |signable, lost| signable.bytes(lost.author.as_bytes()).number(lost.counter));
        lost.number(self.time.0.cast_unsigned())
    }

    /// The form in messages.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads that form. Fields of newer versions are skipped.
    ///
    /// # Errors
    /// [`BeaconError`], except for the signature, which is not looked at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BeaconError> {
        if bytes.len() > BEACON_BYTES_MAX {
            return Err(BeaconError::TooLong(bytes.len()));
        }
        Ok(decode(bytes, "beacon")?)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not match.
    pub fn verify(self) -> Result<VerifiedBeacon, BadSignature> {
        verify(self.author, &self.signable(), &self.signature)?;
        Ok(VerifiedBeacon(Arc::new(self)))
    }
}

/// A beacon whose signature was checked, or was just made. Clones share it: it is kept for every member
/// of a space until the next one comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedBeacon(Arc<Beacon>);

impl VerifiedBeacon {
    /// Reads and checks a beacon.
    ///
    /// # Errors
    /// [`BeaconError`] when the form or the signature is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BeaconError> {
        Ok(Beacon::from_bytes(bytes)?.verify()?)
    }

    /// Signs `beacon` as its author; what its `author` and `signature` held is overwritten.
    pub fn sign(mut beacon: Beacon, author: &Identity) -> Self {
        beacon.author = author.key();
        beacon.signature = author.sign(&beacon.signable());
        Self(Arc::new(beacon))
    }
}

impl Deref for VerifiedBeacon {
    type Target = Beacon;

    fn deref(&self) -> &Beacon {
        &self.0
    }
}
