//! The log: what was committed since redb's last commit, each batch written in one piece.
//!
//! redb writes some fifteen scattered pages for one small commit; a batch in the log is one block and
//! one sync. A batch is durable once it is in the log; redb's tables take many at once, when the log is
//! full, and say up to which batch they did.
//!
//! Promises: what [`Log::append`] took survives every crash until [`Log::restart`] is told that redb
//! holds it. A batch that a crash cut short is not there; damage before the end is told from such an
//! end. Each batch begins a block of its own, so no block that holds an acknowledged batch is written
//! again while the store is open; each block says what it is, so nothing inside a batch can pass for a
//! block; and a batch of several blocks says what all of them are, so that what is left of an attempt that
//! failed is never completed by the next one under the same number.

use sha2::{Digest, Sha256};
use starling_crdt::store::{StoreError, Table, WriteBatch};

use crate::fault::io_error;
use crate::image::BLOCK_BYTES;
use crate::medium::Handle;

/// Head of a block: number of the batch (8 bytes), of the block within it (4), bytes of the whole encoded
/// batch (4), and half of the SHA-256 of those and the block's part of the batch.
const HEAD_BYTES: usize = 8 + 4 + 4 + 16;
/// Bytes of a batch that one block holds.
const PART_BYTES: usize = BLOCK_BYTES - HEAD_BYTES;
/// Half of the SHA-256 of a whole encoded batch, behind it where it takes several blocks.
const END_BYTES: usize = 16;
/// Length that says: removed.
const REMOVED: u32 = u32::MAX;
/// A batch larger than this part of the log goes to redb at once: two of them would fill the log.
const LARGE_PART: usize = 2;

/// The log of a store that is open.
pub(crate) struct Log {
    blocks: usize,
    used: usize,
    last: u64,
}

/// What a log held when it was opened.
pub(crate) struct Held {
    /// The batches that redb does not hold, in order.
    pub(crate) batches: Vec<WriteBatch>,
    bytes: Vec<u8>,
}

impl Log {
    /// Reads the log of a medium whose redb holds every batch up to the one numbered `kept`.
    pub(crate) fn read(handle: &Handle, kept: u64) -> Result<(Self, Held), StoreError> {
        let mut bytes = vec![0; handle.log_bytes()];
        handle.read_log(&mut bytes).map_err(|error| io_error(&error))?;
        let blocks: Vec<&[u8]> = bytes.chunks_exact(BLOCK_BYTES).collect();
        let mut log = Self { blocks: blocks.len(), used: 0, last: kept };
        let mut batches = Vec::new();
        while let Some((batch, taken)) = batch_at(&blocks[log.used..], log.last + 1) {
            batches.push(decode(&batch)?);
            log.used += taken;
            log.last += 1;
        }
        // The next batch is written only when the one before is durable, so a whole block of a later one
        // says that this is not where a crash ended the log.
        if blocks[log.used..]
            .iter()
            .filter_map(|block| Block::open(block))
            .any(|block| block.batch > log.last + 1)
        {
            return Err(StoreError::Corrupt(format!(
                "its log is damaged after commit {} of those it holds",
                batches.len()
            )));
        }
        let length = log.used * BLOCK_BYTES;
        bytes.truncate(length);
        Ok((log, Held { batches, bytes }))
    }

    /// Writes what the log held once more, and syncs: what was read may only have been in the operating
    /// system's memory, where it stays after a sync that failed.
    pub(crate) fn settle(&self, handle: &Handle, held: &Held) -> Result<(), StoreError> {
        if held.bytes.is_empty() {
            return Ok(());
        }
        write(handle, 0, &held.bytes)
    }

    /// Whether no batch is in it that redb lacks.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Number of the last batch taken.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Makes the batch durable, with one sync. False when there is no room for it: nothing was done.
    pub(crate) fn append(&mut self, handle: &Handle, batch: &WriteBatch) -> Result<bool, StoreError> {
        let bytes = encoded_bytes(batch);
        let taken = (bytes + end_bytes(bytes)).div_ceil(PART_BYTES);
        if self.used + taken > self.blocks || taken > self.blocks / LARGE_PART {
            return Ok(false);
        }
        let blocks = sealed(self.last + 1, &ended(encode(batch)));
        write(handle, self.used * BLOCK_BYTES, &blocks)?;
        self.used += taken;
        self.last += 1;
        Ok(true)
    }

    /// Begins again: redb holds every batch up to the one numbered `kept`.
    pub(crate) fn restart(&mut self, kept: u64) {
        (self.used, self.last) = (0, kept);
    }
}

fn write(handle: &Handle, at: usize, bytes: &[u8]) -> Result<(), StoreError> {
    handle.write_log(at as u64, bytes).map_err(|error| io_error(&error))
}

/// One block, checked.
struct Block<'a> {
    batch: u64,
    index: u32,
    /// Bytes of the whole encoded batch.
    bytes: usize,
    part: &'a [u8],
}

impl<'a> Block<'a> {
    fn open(block: &'a [u8]) -> Option<Self> {
        let (head, parts) = block.split_first_chunk::<HEAD_BYTES>()?;
        let (batch, rest) = head.split_first_chunk::<8>()?;
        let (index, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, digest) = rest.split_first_chunk::<4>()?;
        let (index, bytes) = (u32::from_be_bytes(*index), u32::from_be_bytes(*bytes) as usize);
        let left = bytes.checked_sub((index as usize).checked_mul(PART_BYTES)?)?;
        let part = parts.get(..left.min(PART_BYTES))?;
        let whole = !part.is_empty() && digest_of(&head[..16], part) == *digest;
        whole.then_some(Self { batch: u64::from_be_bytes(*batch), index, bytes, part })
    }
}

fn digest_of(head: &[u8], part: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(head).chain_update(part).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// The encoded batch with this number at the front of the blocks, if it is whole, and how many it takes.
fn batch_at(blocks: &[&[u8]], number: u64) -> Option<(Vec<u8>, usize)> {
    let first = Block::open(blocks.first()?)?;
    let mut bytes = Vec::new();
    let taken = first.bytes.div_ceil(PART_BYTES);
    for (place, block) in blocks.get(..taken)?.iter().enumerate() {
        let block = Block::open(block)?;
        if (block.batch, block.index as usize, block.bytes) != (number, place, first.bytes) {
            return None;
        }
        bytes.extend_from_slice(block.part);
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

/// Bytes added to an encoded batch of so many.
fn end_bytes(batch: usize) -> usize {
    if batch > PART_BYTES { END_BYTES } else { 0 }
}

/// The batch with the digest of all of it behind, if it takes more than one block.
fn ended(mut batch: Vec<u8>) -> Vec<u8> {
    if end_bytes(batch.len()) > 0 {
        let end = digest_of(&[], &batch);
        batch.extend_from_slice(&end);
    }
    batch
}

/// The blocks of a batch.
fn sealed(number: u64, batch: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(batch.len().div_ceil(PART_BYTES) * BLOCK_BYTES);
    for (index, part) in batch.chunks(PART_BYTES).enumerate() {
        let start = blocks.len();
        blocks.extend_from_slice(&number.to_be_bytes());
        blocks.extend_from_slice(&(index as u32).to_be_bytes());
        blocks.extend_from_slice(&(batch.len() as u32).to_be_bytes());
        let digest = digest_of(&blocks[start..], part);
        blocks.extend_from_slice(&digest);
        blocks.extend_from_slice(part);
        blocks.resize(start + BLOCK_BYTES, 0);
    }
    blocks
}

fn encoded_bytes(batch: &WriteBatch) -> usize {
    batch
        .iter()
        .map(|(table, key, value)| 9 + table.name().len() + key.len() + value.map_or(0, <[u8]>::len))
        .sum()
}

/// Row after row: the table's name, the key and the value, each after its length.
fn encode(batch: &WriteBatch) -> Vec<u8> {
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

fn decode(mut bytes: &[u8]) -> Result<WriteBatch, StoreError> {
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

#[cfg(test)]
mod tests;
