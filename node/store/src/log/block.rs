//! What one block of the log looks like, and a batch in blocks.
//!
//! A batch begins a block of its own. Each block says what it is, so nothing inside a batch can pass for a
//! block; and a batch of several blocks says what all of them are, so that what is left of an attempt that
//! failed is never completed by the next one under the same number.

use sha2::{Digest, Sha256};
use starling_crdt::store::{StoreError, Table, WriteBatch};

use crate::image::BLOCK_BYTES;

/// Head of a block: number of the batch (8 bytes), of the block within it (4), bytes of the whole encoded
/// batch (4), and half of the SHA-256 of those and the block's piece of the batch.
const HEAD_BYTES: usize = 8 + 4 + 4 + 16;
/// Bytes of a batch that one block holds.
pub(super) const PIECE_BYTES: usize = BLOCK_BYTES - HEAD_BYTES;
/// Half of the SHA-256 of a whole encoded batch, behind it where it takes several blocks.
const END_BYTES: usize = 16;
/// Length that says: removed.
const REMOVED: u32 = u32::MAX;

/// One block, checked.
struct Block<'a> {
    batch: u64,
    index: u32,
    /// Bytes of the whole encoded batch.
    bytes: usize,
    piece: &'a [u8],
}

impl<'a> Block<'a> {
    fn open(block: &'a [u8]) -> Option<Self> {
        let (head, pieces) = block.split_first_chunk::<HEAD_BYTES>()?;
        let (batch, rest) = head.split_first_chunk::<8>()?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, digest) = rest.split_first_chunk::<4>()?;
        let (index, bytes) = (u32::from_be_bytes(*index), u32::from_be_bytes(*bytes) as usize);
        let left = bytes.checked_sub((index as usize).checked_mul(PIECE_BYTES)?)?;
        let piece = pieces.get(..left.min(PIECE_BYTES))?;
        let whole = !piece.is_empty() && digest_of(&head[..16], piece) == *digest;
        whole.then_some(Self { batch: u64::from_be_bytes(*batch), index, bytes, piece })
    }
}

fn digest_of(head: &[u8], piece: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(head).chain_update(piece).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// Number of the batch that a block belongs to, if the block is whole.
pub(super) fn batch_of(block: &[u8]) -> Option<u64> {
    Block::open(block).map(|block| block.batch)
}

/// The encoded batch with this number at the front of the blocks, if it is whole, and how many it takes.
pub(super) fn batch_at(blocks: &[&[u8]], number: u64) -> Option<(Vec<u8>, usize)> {
    let first = Block::open(blocks.first()?)?;
    let mut bytes = Vec::new();
    let taken = first.bytes.div_ceil(PIECE_BYTES);
    for (place, block) in blocks.get(..taken)?.iter().enumerate() {
        let block = Block::open(block)?;
        if (block.batch, block.index as usize, block.bytes) != (number, place, first.bytes) {
            return None;
        }
        bytes.extend_from_slice(block.piece);
    }
    if taken > 1 {
        let (batch, end) = bytes.split_last_chunk::<END_BYTES>()?;
        if digest_of(&[], batch) != *end {
            return None;
        }
        bytes.truncate(bytes.len() - END_BYTES);
    }
    Some((bytes, taken))
}

/// Blocks that a batch takes.
pub(super) fn blocks_of(batch: &WriteBatch) -> usize {
    let bytes = encoded_bytes(batch);
    (bytes + end_bytes(bytes)).div_ceil(PIECE_BYTES)
}

/// Bytes added to an encoded batch of so many.
fn end_bytes(batch: usize) -> usize {
    if batch > PIECE_BYTES { END_BYTES } else { 0 }
}

/// An encoded batch with the digest of all of it behind, if it takes more than one block.
fn ended(mut batch: Vec<u8>) -> Vec<u8> {
    if end_bytes(batch.len()) > 0 {
        let end = digest_of(&[], &batch);
        batch.extend_from_slice(&end);
    }
    batch
}

/// The blocks of a batch with this number.
pub(super) fn sealed(number: u64, batch: &WriteBatch) -> Vec<u8> {
    let batch = ended(encode(batch));
    let mut blocks = Vec::with_capacity(batch.len().div_ceil(PIECE_BYTES) * BLOCK_BYTES);
    for (index, piece) in batch.chunks(PIECE_BYTES).enumerate() {
        let start = blocks.len();
        blocks.extend_from_slice(&number.to_be_bytes());
        blocks.extend_from_slice(&(index as u32).to_be_bytes());
        blocks.extend_from_slice(&(batch.len() as u32).to_be_bytes());
        let digest = digest_of(&blocks[start..], piece);
        blocks.extend_from_slice(&digest);
        blocks.extend_from_slice(piece);
        blocks.resize(start + BLOCK_BYTES, 0);
    }
    blocks
}

pub(super) fn encoded_bytes(batch: &WriteBatch) -> usize {
    batch
        .iter()
        .map(|(table, key, value)| 9 + table.name().len() + key.len() + value.map_or(0, <[u8]>::len))
        .sum()
}

/// Row after row: the table's name, the key and the value, each after its length.
pub(super) fn encode(batch: &WriteBatch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_bytes(batch));
    for (table, key, value) in batch.iter() {
        let name = table.name();
        bytes.push(name.len() as u8);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&(key.len() as u32).to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&value.map_or(REMOVED, |value| value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value.unwrap_or_default());
    }
    bytes
}

/// The batch that was encoded.
pub(super) fn decode(mut bytes: &[u8]) -> Result<WriteBatch, StoreError> {
    let mut batch = WriteBatch::default();
    while !bytes.is_empty() {
        let row = row(&mut bytes);
        let (table, key, value) =
            row.ok_or_else(|| StoreError::Corrupt("its log holds a row that is none".to_owned()))?;
        match value {
            Some(value) => batch.put(table, key, value),
            None => batch.remove(table, key),
        }
    }
    Ok(batch)
}

type Written = (Table, Vec<u8>, Option<Vec<u8>>);

fn row(bytes: &mut &[u8]) -> Option<Written> {
    let length = usize::from(*bytes.split_off_first()?);
    let name = bytes.split_off(..length)?;
    let table = Table::ALL.into_iter().find(|table| table.name().as_bytes() == name)?;
    let length = number(bytes)?;
    let key = bytes.split_off(..length as usize)?.to_vec();
    let value = match number(bytes)? {
        REMOVED => None,
        length => Some(bytes.split_off(..length as usize)?.to_vec()),
    };
    Some((table, key, value))
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*number))
}
