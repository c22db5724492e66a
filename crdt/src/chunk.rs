//! Reads an automerge change chunk from a stranger before automerge sees it.
//!
//! Promises: no input makes it panic, and its cost grows with the number of bytes alone. A run of
//! a billion operations costs what its few bytes cost, because runs are counted and never iterated.
//! What passes is an uncompressed change within every limit of the protocol, so that automerge's own
//! parser, which does iterate, meets a bounded number of operations.
//!
//! Leaves out: whether the operations make sense (the validator of `document`), whether the bytes
//! are exactly what automerge would write ([`crate::document::canonical`]), signatures, and whether
//! dependencies are known. Format: <https://automerge.org/automerge-binary-format-spec/>, change
//! chunks, as automerge 0.12 reads them.

mod columns;
mod error;
mod reader;

use sha2::{Digest, Sha256};

pub use error::ChunkError;

use crate::id::{Actor, ChangeHash};
use crate::limits::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPENDENCIES_MAX, CHANGE_MESSAGE_BYTES_MAX, CHANGE_OPS_MAX,
    CHANGE_TIME_SECONDS_MAX, OP_COUNTER_MAX,
};
use reader::Reader;

/// First bytes of every automerge chunk.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Of the hash of what follows it.
const CHECKSUM_BYTES: usize = 4;
/// Chunk type of an uncompressed change.
const TYPE_CHANGE: u8 = 1;
/// Chunk type of a deflated change: refused, since inflating has no bound.
const TYPE_COMPRESSED: u8 = 2;

/// Message of a change that deletes its document.
pub const DELETION_MESSAGE: &str = "delete";

/// Whether a change with this message deletes its document. A document is deleted exactly when
/// every head of its view is such a change.
pub fn is_deletion(message: Option<&str>) -> bool {
    message == Some(DELETION_MESSAGE)
}

/// What a change chunk says of itself, with its operations counted but not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeChunk {
    /// The change's hash, as automerge computes it.
    pub hash: ChangeHash,
    /// Hashes of the changes it directly depends on, sorted and distinct.
    pub dependencies: Vec<ChangeHash>,
    /// The actor that made it.
    pub actor: Actor,
    /// Its place among the actor's changes of this document, from 1.
    pub seq: u64,
    /// Counter of its first operation.
    pub start_op: u64,
    /// Number of its operations.
    pub ops: u64,
    /// Wall-clock time its author claims, in seconds since 1970.
    pub time: i64,
    /// Its message, absent when empty.
    pub message: Option<String>,
    /// Actors, other than its own, whose operations it refers to: sorted and distinct.
    pub other_actors: Vec<Actor>,
    /// Its length, in bytes.
    pub bytes: u32,
}

impl ChangeChunk {
    /// Reads exactly one uncompressed change chunk.
    ///
    /// # Errors
    /// [`ChunkError`] with the one reason for which the bytes are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChunkError> {
        let chunk = Self::parse_stored(bytes)?;
        if chunk.time.unsigned_abs() > CHANGE_TIME_SECONDS_MAX.unsigned_abs() {
            return Err(ChunkError::Time { seconds: chunk.time });
        }
        Ok(chunk)
    }

    /// Reads one that is in history already, perhaps since before times were bounded: whatever time it claims. Such
    /// a change is kept out of its document, and takes nothing else with it but what rests on it.
    ///
    /// # Errors
    /// As of [`ChangeChunk::parse`], but for [`ChunkError::Time`].
    pub fn parse_stored(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.len() > CHANGE_BYTES_MAX {
            return Err(ChunkError::TooLong { bytes: bytes.len() });
        }
        let (hash, content) = open(bytes)?;
        let mut reader = Reader::new(content);
        let dependencies = dependencies(&mut reader)?;
        let actor = actor(&mut reader)?;
        let seq = reader.unsigned()?;
        if seq == 0 {
            return Err(ChunkError::ZeroSequence);
        }
        let start_op = reader.unsigned()?;
        let time = reader.signed()?;
        let message = message(&mut reader)?;
        let other_actors = other_actors(&mut reader, actor)?;
        let ops = columns::count_ops(&mut reader, other_actors.len() as u64 + 1)?;
        if reader.remaining() > 0 {
            return Err(ChunkError::ExtraBytes { bytes: reader.remaining() });
        }
        if ops > CHANGE_OPS_MAX {
            return Err(ChunkError::TooManyOps);
        }
        if start_op == 0 || start_op.checked_add(ops).is_none_or(|end| end >= OP_COUNTER_MAX) {
            return Err(ChunkError::OpCounter { start_op });
        }
        // Bounded above.
        let bytes = bytes.len() as u32;
        Ok(Self { hash, dependencies, actor, seq, start_op, ops, time, message, other_actors, bytes })
    }

    /// Whether it deletes its document.
    pub fn deletes(&self) -> bool {
        is_deletion(self.message.as_deref())
    }

    /// Counter of its last operation; one less than [`Self::start_op`] when it has none.
    pub fn max_op(&self) -> u64 {
        self.start_op + self.ops - 1
    }
}

/// Parts chunks that lie one behind the other, by the length each gives. Nothing else of them is looked at.
///
/// # Errors
/// [`ChunkError`] when one does not begin as a chunk, or the last one is cut short.
pub fn split(bytes: &[u8]) -> Result<Vec<&[u8]>, ChunkError> {
    let mut reader = Reader::new(bytes);
    let mut chunks = Vec::new();
    while reader.remaining() > 0 {
        let start = reader.position();
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(ChunkError::Magic);
        }
        reader.take(CHECKSUM_BYTES)?;
        reader.byte()?;
        let length = reader.length()?;
        reader.take(length)?;
        chunks.push(&bytes[start..reader.position()]);
    }
    Ok(chunks)
}

/// Checks the chunk's frame and gives its hash and content.
fn open(bytes: &[u8]) -> Result<(ChangeHash, &[u8]), ChunkError> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(ChunkError::Magic);
    }
    let checksum = reader.take(CHECKSUM_BYTES)?;
    let hashed_from = reader.position();
    match reader.byte()? {
        TYPE_CHANGE => {}
        TYPE_COMPRESSED => return Err(ChunkError::Compressed),
        other => return Err(ChunkError::NotAChange { chunk_type: other }),
    }
    let length = reader.length()?;
    let content = reader.take(length)?;
    if reader.remaining() > 0 {
        return Err(ChunkError::Trailing { bytes: reader.remaining() });
    }
    let hash: [u8; 32] = Sha256::digest(&bytes[hashed_from..]).into();
    if hash[..CHECKSUM_BYTES] != *checksum {
        return Err(ChunkError::Checksum);
    }
    Ok((ChangeHash(hash), content))
}

fn dependencies(reader: &mut Reader<'_>) -> Result<Vec<ChangeHash>, ChunkError> {
    let count = reader.length()?;
    if count > CHANGE_DEPENDENCIES_MAX {
        return Err(ChunkError::TooManyDependencies { dependencies: count });
    }
    let mut dependencies: Vec<ChangeHash> = Vec::with_capacity(count);
    for _ in 0..count {
        let hash = ChangeHash::from_slice(reader.take(ChangeHash::LEN)?).ok_or(ChunkError::Truncated)?;
        if dependencies.last().is_some_and(|last| *last >= hash) {
            return Err(ChunkError::DependencyOrder);
        }
        dependencies.push(hash);
    }
    Ok(dependencies)
}

fn actor(reader: &mut Reader<'_>) -> Result<Actor, ChunkError> {
    let length = reader.length()?;
    if length != Actor::LEN {
        return Err(ChunkError::ActorLength { bytes: length });
    }
    Actor::from_slice(reader.take(length)?).ok_or(ChunkError::Truncated)
}

fn message(reader: &mut Reader<'_>) -> Result<Option<String>, ChunkError> {
    let length = reader.length()?;
    if length > CHANGE_MESSAGE_BYTES_MAX {
        return Err(ChunkError::MessageTooLong { bytes: length });
    }
    let text = std::str::from_utf8(reader.take(length)?).map_err(|_| ChunkError::NotUtf8)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn other_actors(reader: &mut Reader<'_>, own: Actor) -> Result<Vec<Actor>, ChunkError> {
    let count = reader.length()?;
    if count > CHANGE_ACTORS_MAX {
        return Err(ChunkError::TooManyActors { actors: count });
    }
    let mut others: Vec<Actor> = Vec::with_capacity(count.min(reader.remaining() / Actor::LEN));
    for _ in 0..count {
        let other = actor(reader)?;
        if other == own || others.last().is_some_and(|last| *last >= other) {
            return Err(ChunkError::ActorOrder);
        }
        others.push(other);
    }
    Ok(others)
}
