//! Deltas: runs of consecutive changes by one actor in one document under one signature.
//!
//! Promises: a [`VerifiedDelta`] can only be made by checking the author's signature over its last
//! change, and every earlier change is covered by it, because each change depends on the one before.
//! Leaves out whether the changes fit into history: admission decides that change by change.

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
        let chunks = parse_chain(&delta)?;
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

fn parse_chain(delta: &Delta) -> Result<Vec<ChangeChunk>, DeltaFault> {
    let chunks: Result<Vec<_>, ChunkError> =
        delta.changes.iter().map(|bytes| ChangeChunk::parse(bytes)).collect();
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
mod tests {
    use super::*;
    use crate::document::{Commit, Document, Edit, Json};
    use crate::limits::CHANGE_BYTES_MAX;

    const SPACE: SpaceId = SpaceId([1; 32]);

    fn author() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    fn incarnation() -> VerifiedIncarnation {
        VerifiedIncarnation::sign(&author(), SPACE, [2; 16], Vec::new())
    }

    fn name() -> DocumentName {
        DocumentName::new("doc").unwrap()
    }

    /// As many consecutive changes as texts, each of which puts one.
    fn changes(actor: Actor, texts: &[String]) -> Vec<Vec<u8>> {
        let mut document = Document::new();
        let put = |text: &String| {
            let commit = Commit { actor, time_seconds: 0, message: None };
            let value = Json::Map([("text".to_owned(), Json::String(text.clone()))].into());
            let edited = document.edit(commit, &Edit::Put { value, base: None }).unwrap();
            edited.changes.into_iter().next().unwrap().bytes
        };
        texts.iter().map(put).collect()
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("text {number}")).collect()
    }

    fn signed(count: usize) -> Delta {
        let actor = incarnation().actor();
        let changes = changes(actor, &numbered(count));
        VerifiedDelta::sign(&author(), SPACE, name(), actor, changes).unwrap().delta().clone()
    }

    /// Signs anew whatever the delta holds, as a dishonest author would.
    fn resigned(mut delta: Delta) -> Delta {
        let last = hash_of(delta.changes.last().unwrap());
        let last_seq = delta.first_seq.wrapping_add(delta.changes.len() as u64 - 1);
        let signable = Delta::signable(delta.space, &delta.document, delta.actor, last_seq, last);
        delta.signature = author().sign(&signable);
        delta
    }

    fn fault(delta: Delta) -> DeltaFault {
        VerifiedDelta::verify(delta, &incarnation()).unwrap_err()
    }

    #[test]
    fn what_is_signed_verifies_and_says_what_it_holds() {
        for count in [1, 2, DELTA_CHANGES_MAX] {
            let delta = signed(count);
            let verified = VerifiedDelta::verify(delta.clone(), &incarnation()).unwrap();
            assert_eq!((verified.delta(), verified.author()), (&delta, author().key()));
            assert_eq!((verified.last_seq(), verified.chunks().len()), (count as u64, count));
            assert_eq!(verified.last_hash(), hash_of(delta.changes.last().unwrap()));
            assert_eq!(verified.bytes(), delta.change_bytes());
            assert!(verified.changes().all(|(chunk, bytes)| chunk.hash == hash_of(bytes)));
        }
    }

    #[test]
    fn a_part_of_a_run_that_ends_it_is_as_good() {
        let whole = signed(5);
        let mut end = whole.clone();
        end.changes.drain(..2);
        end.first_seq = 3;
        let verified = VerifiedDelta::verify(end, &incarnation()).unwrap();
        assert_eq!((verified.chunks()[0].seq, verified.last_seq()), (3, 5));
        let mut beginning = whole;
        beginning.changes.pop();
        assert_eq!(fault(beginning).code(), "bad_signature");
    }

    #[test]
    fn sizes_out_of_bounds_are_refused_before_anything_else() {
        let delta = signed(1);
        let empty = Delta { changes: vec![], ..delta.clone() };
        let many = Delta { changes: vec![delta.changes[0].clone(); DELTA_CHANGES_MAX + 1], ..delta.clone() };
        let half = ByteVec::from(vec![0; DELTA_BYTES_MAX / 2 + 1]);
        let heavy = Delta { changes: vec![half.clone(), half], ..delta };
        for delta in [empty, many, heavy] {
            assert_eq!(fault(delta), DeltaFault::Size);
        }
    }

    #[test]
    fn one_large_change_is_a_delta_of_its_own() {
        let actor = incarnation().actor();
        let large = |bytes: usize| {
            // Letters that do not repeat, so that the change is as long as its text.
            let mut state = 1_u64;
            let letters = (0..bytes).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + (state >> 60) as u8)
            });
            letters.collect::<String>()
        };
        let two = changes(actor, &[large(DELTA_BYTES_MAX), large(10)]);
        let sign = |changes: Vec<Vec<u8>>| VerifiedDelta::sign(&author(), SPACE, name(), actor, changes);
        assert!(two[0].len() > DELTA_BYTES_MAX && two[0].len() < CHANGE_BYTES_MAX);
        assert_eq!(sign(two.clone()).unwrap_err(), DeltaFault::Size);
        assert!(sign(two[..1].to_vec()).is_ok());
        assert_eq!(sign(vec![]).unwrap_err(), DeltaFault::Size);
        assert_eq!(sign(changes(actor, &numbered(65))).unwrap_err(), DeltaFault::Size);
    }

    #[test]
    fn another_actor_or_space_is_foreign() {
        let delta = signed(2);
        let foreign = [
            Delta { actor: Actor([1; 16]), ..delta.clone() },
            Delta { space: SpaceId([2; 32]), ..delta.clone() },
        ];
        for delta in foreign {
            assert_eq!(fault(resigned(delta)), DeltaFault::ForeignActor);
        }
        // The delta names its own actor, its changes another.
        let others = changes(Actor([9; 16]), &numbered(1)).into_iter().map(ByteVec::from).collect();
        assert_eq!(fault(resigned(Delta { changes: others, ..delta })), DeltaFault::ForeignActor);
    }

    #[test]
    fn whatever_is_signed_is_covered_by_the_signature() {
        let good = signed(3);
        let name = DocumentName::new("other").unwrap();
        let mut bent = good.signature;
        bent.0[0] ^= 1;
        let changed = [
            Delta { document: name, ..good.clone() },
            Delta { first_seq: 2, ..good.clone() },
            Delta { signature: bent, ..good.clone() },
            Delta { changes: good.changes[..2].to_vec(), ..good.clone() },
        ];
        for delta in changed {
            assert_eq!(fault(delta).code(), "bad_signature");
        }
        let other = VerifiedIncarnation::sign(&Identity::from_seed(&[8; 32]), SPACE, [2; 16], Vec::new());
        assert_eq!(VerifiedDelta::verify(good, &other), Err(DeltaFault::ForeignActor));
    }

    #[test]
    fn an_earlier_change_cannot_be_exchanged_under_the_signature() {
        let mut delta = signed(3);
        let others = changes(delta.actor, &["else".to_owned(), "where".to_owned()]);
        delta.changes[1] = ByteVec::from(others[1].clone());
        assert_eq!(fault(delta), DeltaFault::Chain);
    }

    #[test]
    fn runs_that_are_no_chain_are_refused() {
        let good = signed(3);
        let mut gap = good.clone();
        gap.changes.remove(1);
        assert_eq!(fault(resigned(Delta { first_seq: 2, ..gap.clone() })), DeltaFault::Chain);
        assert_eq!(fault(resigned(gap)), DeltaFault::Chain);
        assert_eq!(fault(resigned(Delta { first_seq: 0, ..good.clone() })), DeltaFault::Chain);
        for first_seq in [SEQUENCE_MAX, SEQUENCE_MAX - 1, u64::MAX] {
            assert_eq!(fault(resigned(Delta { first_seq, ..good.clone() })), DeltaFault::Chain);
        }
        let twice = Delta { changes: vec![good.changes[0].clone(), good.changes[0].clone()], ..good };
        assert_eq!(fault(resigned(twice)), DeltaFault::Chain);
    }

    #[test]
    fn malformed_changes_are_named() {
        let good = signed(1);
        for (bytes, code) in [(vec![], "change-truncated"), (vec![0; 50], "change-magic")] {
            let fault = fault(resigned(Delta { changes: vec![bytes.into()], ..good.clone() }));
            assert!(matches!(fault, DeltaFault::Chunk(_)), "{fault}");
            assert_eq!(fault.code(), code);
        }
    }
}
