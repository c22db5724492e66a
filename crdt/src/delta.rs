//! Deltas: runs of consecutive changes by one actor in one document under one signature.
//!
//! Promises: a [`VerifiedDelta`] can only be made by checking the author's signature over its last
//! change, and every earlier change is covered by it, because each change depends on the one before.
//! Leaves out whether the changes fit into history: admission decides that change by change.

mod at_rest;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

use crate::chunk::{ChangeChunk, ChunkError};
use crate::codec::Signable;
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::identity::{BadSignature, Identity, Signature, verify};
use crate::incarnation::VerifiedIncarnation;
use crate::limits::{DELTA_BYTES_MAX, DELTA_CHANGES_MAX, SEQUENCE_MAX};
use crate::planted::is_planted;

/// A delta as it travels.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Delta {
    /// The space.
    #[n(0)]
    pub space: SpaceId,
    /// The document.
    #[n(1)]
    pub document: DocumentName,
    /// Who wrote, by incarnation.
    #[n(2)]
    pub actor: Actor,
    /// Sequence number of the first change.
    #[n(3)]
    pub first_seq: u64,
    /// Uncompressed automerge change chunks, 1 to 64 of them.
    #[n(4)]
    pub changes: Vec<ByteVec>,
    /// The author's signature over space, document, actor, last sequence number and last hash.
    #[n(5)]
    pub signature: Signature,
}

/// Why a delta is not what its author signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaFault {
    /// It holds no change, too many, or too many bytes for more than one.
    #[error(
        "a delta holds 1 to {DELTA_CHANGES_MAX} changes and, unless it is one, up to {DELTA_BYTES_MAX} bytes"
    )]
    Size,
    /// The incarnation it was checked against is another one.
    #[error("the delta's actor or space is not that of the incarnation")]
    ForeignActor,
    /// The signature does not fit.
    #[error("the delta is not signed by its author")]
    Signature(#[from] BadSignature),
    /// One of its changes is malformed.
    #[error("the delta holds a malformed change")]
    Chunk(#[from] ChunkError),
    /// Its changes are not consecutive changes of its actor.
    #[error("the delta's changes are no chain of its actor")]
    Chain,
}

impl DeltaFault {
    /// Stable short code, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size => "delta_size",
            Self::ForeignActor => "foreign_actor",
            Self::Signature(_) => "bad_signature",
            Self::Chunk(error) => error.code(),
            Self::Chain => "broken_chain",
        }
    }
}

impl Delta {
    fn signable(
        space: SpaceId,
        document: &DocumentName,
        actor: Actor,
        last_seq: u64,
        last: ChangeHash,
    ) -> Signable {
        Signable::new("starling/delta")
            .bytes(&space.0)
            .bytes(document.as_str().as_bytes())
            .bytes(&actor.0)
            .number(last_seq)
            .bytes(&last.0)
    }

    fn change_bytes(&self) -> usize {
        self.changes.iter().map(|change| change.len()).sum()
    }
}

/// What the signature of a delta says, without its changes: enough to know, before fetching it, that
/// its author made it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Announcement {
    /// The document.
    #[n(0)]
    pub document: DocumentName,
    /// Who wrote, by incarnation.
    #[n(1)]
    pub actor: Actor,
    /// Sequence number of the last change.
    #[n(2)]
    pub seq: u64,
    /// Hash of the last change.
    #[n(3)]
    pub hash: ChangeHash,
    /// The delta's signature.
    #[n(4)]
    pub signature: Signature,
}

/// An announcement whose signature was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedAnnouncement(Announcement);

impl VerifiedAnnouncement {
    /// Checks actor and signature.
    ///
    /// # Errors
    /// [`DeltaFault::ForeignActor`], [`DeltaFault::Chain`] for a number no change has, and
    /// [`DeltaFault::Signature`].
    pub fn verify(
        announced: Announcement,
        space: SpaceId,
        incarnation: &VerifiedIncarnation,
    ) -> Result<Self, DeltaFault> {
        if incarnation.actor() != announced.actor || incarnation.space() != space {
            return Err(DeltaFault::ForeignActor);
        }
        if announced.seq == 0 || announced.seq > SEQUENCE_MAX {
            return Err(DeltaFault::Chain);
        }
        let Announcement { document, actor, seq, hash, signature } = &announced;
        let signable = Delta::signable(space, document, *actor, *seq, *hash);
        verify(incarnation.author(), &signable, signature)?;
        Ok(Self(announced))
    }

    /// The announcement.
    pub fn announcement(&self) -> &Announcement {
        &self.0
    }
}

/// Bytes of a chunk before its hashed part: magic and checksum.
const CHUNK_UNHASHED_BYTES: usize = 8;

/// The hash automerge gives a change chunk, without looking at anything else in it.
fn hash_of(chunk: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(chunk.get(CHUNK_UNHASHED_BYTES..).unwrap_or_default()).into())
}

/// A delta whose signature and chain were checked, with its changes parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedDelta {
    delta: Delta,
    author: AuthorKey,
    chunks: Vec<ChangeChunk>,
}

impl VerifiedDelta {
    /// Checks size, actor, signature, structure of each change, and the chain between them, in this order.
    ///
    /// # Errors
    /// [`DeltaFault`], of which none is the fault of whoever relayed the bytes honestly.
    pub fn verify(delta: Delta, incarnation: &VerifiedIncarnation) -> Result<Self, DeltaFault> {
        Self::verify_by(delta, incarnation, ChangeChunk::parse)
    }

    /// The same of one that is in history already, by the rules of then: see [`ChangeChunk::parse_stored`].
    ///
    /// # Errors
    /// [`DeltaFault`]: the store is damaged.
    pub fn verify_stored(delta: Delta, incarnation: &VerifiedIncarnation) -> Result<Self, DeltaFault> {
        Self::verify_by(delta, incarnation, ChangeChunk::parse_stored)
    }

    fn verify_by(delta: Delta, incarnation: &VerifiedIncarnation, parse: Parse) -> Result<Self, DeltaFault> {
        let count = delta.changes.len();
        let oversized = count > 1 && delta.change_bytes() > DELTA_BYTES_MAX;
        let last = match delta.changes.last() {
            Some(last) if count <= DELTA_CHANGES_MAX && !oversized => last,
            _ => return Err(DeltaFault::Size),
        };
        if incarnation.actor() != delta.actor || incarnation.space() != delta.space {
            return Err(DeltaFault::ForeignActor);
        }
        let last_seq = delta.first_seq.saturating_add(count as u64 - 1);
        if delta.first_seq == 0 || last_seq > SEQUENCE_MAX {
            return Err(DeltaFault::Chain);
        }
        let signable = Delta::signable(delta.space, &delta.document, delta.actor, last_seq, hash_of(last));
        if !is_planted("skip-signature-check") {
            verify(incarnation.author(), &signable, &delta.signature)?;
        }
        let chunks = parse_chain(&delta, parse)?;
        Ok(Self { delta, author: incarnation.author(), chunks })
    }

    /// Signs `changes`, consecutive changes of one actor that this node has just made or merged.
    ///
    /// # Errors
    /// [`DeltaFault`] when they break the rules every receiver checks.
    pub fn sign(
        identity: &Identity,
        space: SpaceId,
        document: DocumentName,
        actor: Actor,
        changes: Vec<Vec<u8>>,
    ) -> Result<Self, DeltaFault> {
        let parsed: Result<Vec<_>, ChunkError> =
            changes.into_iter().map(|bytes| Ok((ChangeChunk::parse(&bytes)?, bytes))).collect();
        Self::sign_parsed(identity, space, document, actor, parsed?)
    }

    /// Signs changes as [`Self::sign`] does, with what parsing each has found.
    pub(crate) fn sign_parsed(
        identity: &Identity,
        space: SpaceId,
        document: DocumentName,
        actor: Actor,
        changes: Vec<(ChangeChunk, Vec<u8>)>,
    ) -> Result<Self, DeltaFault> {
        let (chunks, changes): (Vec<ChangeChunk>, Vec<ByteVec>) =
            changes.into_iter().map(|(chunk, bytes)| (chunk, ByteVec::from(bytes))).unzip();
        let first_seq = chunks.first().ok_or(DeltaFault::Size)?.seq;
        let mut delta = Delta { space, document, actor, first_seq, changes, signature: Signature([0; 64]) };
        if delta.changes.len() > DELTA_CHANGES_MAX
            || (delta.changes.len() > 1 && delta.change_bytes() > DELTA_BYTES_MAX)
        {
            return Err(DeltaFault::Size);
        }
        check_chain(&delta, &chunks)?;
        let last = chunks.last().ok_or(DeltaFault::Size)?;
        delta.signature = identity.sign(&Delta::signable(space, &delta.document, actor, last.seq, last.hash));
        Ok(Self { delta, author: identity.key(), chunks })
    }

    /// The delta, to store or send.
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// What its signature says, to tell others of it where it is too large to be sent unasked.
    pub fn announcement(&self) -> Announcement {
        Announcement {
            document: self.delta.document.clone(),
            actor: self.delta.actor,
            seq: self.last_seq(),
            hash: self.last_hash(),
            signature: self.delta.signature,
        }
    }

    /// The author whose signature was checked.
    pub fn author(&self) -> AuthorKey {
        self.author
    }

    /// The changes' headers, in order.
    pub fn chunks(&self) -> &[ChangeChunk] {
        &self.chunks
    }

    /// The changes with their bytes, in order.
    pub fn changes(&self) -> impl Iterator<Item = (&ChangeChunk, &[u8])> {
        self.chunks.iter().zip(self.delta.changes.iter().map(|bytes| bytes.as_slice()))
    }

    /// Sequence number of the last change.
    pub fn last_seq(&self) -> u64 {
        self.delta.first_seq + self.chunks.len() as u64 - 1
    }

    /// Hash of the last change: with document and actor it names what the signature says.
    pub fn last_hash(&self) -> ChangeHash {
        self.chunks.last().map_or(ChangeHash([0; 32]), |chunk| chunk.hash)
    }

    /// Bytes of its changes: what it is charged as.
    pub fn bytes(&self) -> usize {
        self.delta.change_bytes()
    }
}

/// How a change is read.
type Parse = fn(&[u8]) -> Result<ChangeChunk, ChunkError>;

fn parse_chain(delta: &Delta, parse: Parse) -> Result<Vec<ChangeChunk>, DeltaFault> {
    let chunks: Result<Vec<_>, ChunkError> = delta.changes.iter().map(|bytes| parse(bytes)).collect();
    let chunks = chunks?;
    check_chain(delta, &chunks)?;
    Ok(chunks)
}

fn check_chain(delta: &Delta, chunks: &[ChangeChunk]) -> Result<(), DeltaFault> {
    let mut previous: Option<&ChangeChunk> = None;
    for (seq, chunk) in (delta.first_seq..).zip(chunks) {
        if chunk.actor != delta.actor {
            return Err(DeltaFault::ForeignActor);
        }
        let follows = previous.is_none_or(|previous| chunk.dependencies.contains(&previous.hash));
        if chunk.seq != seq || !follows {
            return Err(DeltaFault::Chain);
        }
        previous = Some(chunk);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
