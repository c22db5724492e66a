//! Proofs of forks that anybody can check who never saw the network.
//!
//! An author who signs two changes of one actor in one document with one sequence number contradicts itself.
//! The two signed deltas and the certificate by which the author speaks as that actor say so by themselves:
//! a [`ProvenFork`] can only be made by checking all three signatures. Which of the two is older, or right,
//! no proof can say.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::chunk::ChangeChunk;
use crate::codec::{self, CodecError};
use crate::delta::{Delta, DeltaFault, VerifiedDelta};
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::incarnation::{Incarnation, IncarnationFault, VerifiedIncarnation};
use crate::limits::CHANGE_BYTES_MAX;

/// What the file of a proof begins with, in its first field.
const KIND: &str = "starling fork proof";
/// Version of the form this program writes and reads.
const VERSION: u32 = 0;
/// Longest encoded proof, in bytes: two deltas of one largest change, a certificate, and their framing.
pub const FORK_PROOF_BYTES_MAX: usize = 2 * CHANGE_BYTES_MAX + 64 * 1024;

/// A proof as it travels. Nothing about it has been checked but its form.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct ForkProof {
    /// [`KIND`], so that a file says what it is.
    #[n(0)]
    kind: String,
    /// Of this form.
    #[n(1)]
    version: u32,
    /// By which the author speaks as the actor.
    #[n(2)]
    incarnation: Incarnation,
    /// One encoded delta.
    #[n(3)]
    first: ByteVec,
    /// The encoded delta that contradicts it.
    #[n(4)]
    second: ByteVec,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It is longer than any proof.
    #[error("it is longer than a proof of a fork can be")]
    TooLong,
    /// It is not of this form.
    #[error("it is no proof of a fork")]
    Codec(#[from] CodecError),
    /// It is of another kind, or of a later version.
    #[error("it is of a kind or version that this program does not know")]
    Unknown,
    /// The certificate is not signed by its author.
    #[error("its incarnation is not what its author signed")]
    Incarnation(#[from] IncarnationFault),
    /// A delta is not signed by that author as that actor.
    #[error("one of its deltas is not what the author signed")]
    Delta(#[from] DeltaFault),
    /// The two deltas are of two documents.
    #[error("its two deltas are of two documents")]
    TwoDocuments,
    /// Nothing in the two deltas contradicts.
    #[error("its two deltas do not contradict each other")]
    NoContradiction,
}

/// One of two changes with one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contradiction {
    /// Its hash.
    pub hash: ChangeHash,
    /// Seconds since 1970, as its author claims.
    pub time_seconds: i64,
}

/// A fork whose proof was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenFork {
    /// In which space.
    pub space: SpaceId,
    /// In which document.
    pub document: DocumentName,
    /// Who signed both.
    pub author: AuthorKey,
    /// As which actor.
    pub actor: Actor,
    /// The first sequence number that two changes have.
    pub seq: u64,
    /// The two, that of the first delta first.
    pub changes: [Contradiction; 2],
}

impl ForkProof {
    /// Of a certificate and two encoded deltas. Whether they prove anything, [`ForkProof::verify`] says.
    pub fn new(incarnation: Incarnation, first: Vec<u8>, second: Vec<u8>) -> Self {
        Self { kind: KIND.into(), version: VERSION, incarnation, first: first.into(), second: second.into() }
    }

    /// The form in files.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads that form.
    ///
    /// # Errors
    /// [`ProofFault`], of what can be told without looking at signatures.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofFault> {
        if bytes.len() > FORK_PROOF_BYTES_MAX {
            return Err(ProofFault::TooLong);
        }
        let proof: Self = codec::decode(bytes, "fork proof")?;
        if proof.kind == KIND && proof.version == VERSION { Ok(proof) } else { Err(ProofFault::Unknown) }
    }

    /// Checks it.
    ///
    /// # Errors
    /// [`ProofFault`] when it proves nothing.
    pub fn verify(&self) -> Result<ProvenFork, ProofFault> {
        let incarnation = VerifiedIncarnation::verify(self.incarnation.clone())?;
        let read = |bytes: &[u8]| -> Result<VerifiedDelta, ProofFault> {
            let delta: Delta = codec::decode(bytes, "delta")?;
            Ok(VerifiedDelta::verify(delta, &incarnation)?)
        };
        let (first, second) = (read(&self.first)?, read(&self.second)?);
        let document = first.delta().document.clone();
        if document != second.delta().document {
            return Err(ProofFault::TwoDocuments);
        }
        let told = |chunk: &ChangeChunk| Contradiction { hash: chunk.hash, time_seconds: chunk.time };
        let contradiction = first.chunks().iter().find_map(|one| {
            let other = second.chunks().iter().find(|other| other.seq == one.seq)?;
            (one.hash != other.hash).then(|| (one.seq, [told(one), told(other)]))
        });
        let (seq, changes) = contradiction.ok_or(ProofFault::NoContradiction)?;
        let (space, author, actor) = (incarnation.space(), incarnation.author(), incarnation.actor());
        Ok(ProvenFork { space, document, author, actor, seq, changes })
    }
}

#[cfg(test)]
mod tests;
