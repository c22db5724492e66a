//! The log: what was committed since redb's last commit, each batch written in one piece.
//!
//! redb writes some fifteen scattered pages for one small commit; a batch in the log is one block and
//! one sync. A batch is durable once it is in the log. The log has two parts. When one is full it is
//! frozen, batches go into the other, and redb takes all of the frozen part in one commit of its own,
//! which says up to which batch it did. A log of the version before has one part.
//!
//! Promises: what [`Log::append`] took survives every crash until [`Log::release`] or [`Log::restart`] is
//! told that redb holds it. A batch that a crash cut short is not there; damage before the end is told from
//! such an end. No block that holds an acknowledged batch is written with anything else while redb lacks it.
//!
//! Reading: batches are numbered without a gap, and a part is written from its first block, only when redb
//! holds all that was in it. So the first batch that redb lacks begins one of the parts, and where a part's
//! batches end the next one, if there is one, begins the other part.

mod block;

use starling_crdt::store::{StoreError, WriteBatch};

use crate::fault::io_error;
use crate::image::BLOCK_BYTES;
use crate::layout::Layout;
use crate::medium::Handle;
use block::{batch_at, batch_of, blocks_of, decode, sealed};

/// A batch larger than this share of a part goes to redb at once: two of them would fill the part.
const LARGE_SHARE: usize = 2;

/// The log of a store that is open.
pub(crate) struct Log {
    parts: usize,
    /// Blocks of each part.
    part_blocks: usize,
    /// The part that is written.
    current: usize,
    /// Blocks of it that hold batches.
    used: usize,
    /// Whether the other part holds batches that redb may lack.
    frozen: bool,
    last: u64,
}

/// Where there is room for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the part that is written.
    Here,
    /// In the other part, once redb holds what is in it.
    OtherPart,
    /// In redb only.
    Redb,
}

/// What damage before the end of a log means to who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// An error: what is behind it was acknowledged.
    Refuse,
    /// The end of what can be read.
    ReadBefore,
}

/// What a log held when it was opened: the batches that redb does not hold, in order.
#[derive(Default)]
pub(crate) struct Held {
    /// Those of the part that is frozen.
    pub(crate) frozen: Vec<WriteBatch>,
    /// Those of the part that is written.
    pub(crate) current: Vec<WriteBatch>,
    /// The damage at which the reading ended, if any did.
    pub(crate) damage: Option<String>,
    /// What is to lie where, so that nothing but those batches can be read again.
    settled: Vec<(usize, Vec<u8>)>,
}

/// The batches of one part.
struct Run {
    part: usize,
    blocks: usize,
    batches: Vec<WriteBatch>,
}

impl Log {
    fn new(layout: Layout, kept: u64) -> Self {
        let part_blocks = layout.part_blocks();
        Self { parts: layout.parts(), part_blocks, current: 0, used: 0, frozen: false, last: kept }
    }

    /// Reads the log of a medium whose redb holds every batch up to the one numbered `kept`.
    pub(crate) fn read(handle: &Handle, kept: u64, means: Damage) -> Result<(Self, Held), StoreError> {
        let mut log = Self::new(handle.layout(), kept);
        if log.part_blocks == 0 {
            return Ok((log, Held::default()));
        }
        let mut bytes = vec![0; log.parts * log.part_blocks * BLOCK_BYTES];
        let unreadable = match (handle.read_log(0, &mut bytes), means) {
            (Ok(()), _) => 0,
            (Err(error), Damage::Refuse) => return Err(io_error(&error)),
            (Err(_), Damage::ReadBefore) => read_blocks(handle, &mut bytes),
        };
        let blocks: Vec<&[u8]> = bytes.chunks_exact(BLOCK_BYTES).collect();
        let parts: Vec<&[&[u8]]> = blocks.chunks_exact(log.part_blocks).collect();
        let mut runs: Vec<Run> = Vec::new();
        while let Some(run) = next_run(&parts, &runs, log.last + 1)? {
            log.last += run.batches.len() as u64;
            runs.push(run);
        }
        // The next batch is written only when the one before is durable, so a whole block of a later one
        // says that this is not where a crash ended the log.
        let is_later = |block: &&[u8]| batch_of(block).is_some_and(|batch| batch > log.last + 1);
        let damage = blocks
            .iter()
            .any(is_later)
            .then(|| format!("its log is damaged after commit {} of those it holds", log.last - kept))
            .or_else(|| {
                (unreadable > 0).then(|| format!("{unreadable} of the blocks of its log cannot be read"))
            });
        if means == Damage::Refuse
            && let Some(what) = damage
        {
            return Err(StoreError::Corrupt(what));
        }
        let settled = log.settled(&bytes, &runs);
        let mut held = Held { settled, damage, ..Held::default() };
        if let Some(run) = runs.pop() {
            (log.current, log.used, held.current) = (run.part, run.blocks, run.batches);
        }
        if let Some(run) = runs.pop() {
            (log.frozen, held.frozen) = (true, run.batches);
        }
        Ok((log, held))
    }

    /// What was read, each part with an empty block behind.
    fn settled(&self, bytes: &[u8], runs: &[Run]) -> Vec<(usize, Vec<u8>)> {
        let part = |part: usize| {
            let used = runs.iter().find(|run| run.part == part).map_or(0, |run| run.blocks);
            let start = part * self.part_blocks * BLOCK_BYTES;
            let mut content = bytes[start..start + used * BLOCK_BYTES].to_vec();
            content.resize((used + 1).min(self.part_blocks) * BLOCK_BYTES, 0);
            (start, content)
        };
        (0..self.parts).map(part).collect()
    }

    /// Writes what the log held once more, and syncs everything: what was read may only have been in the
    /// operating system's memory, where it stays after a sync that failed. What is left of an attempt that
    /// failed goes: the next one has its number, and may have its place in the other part.
    pub(crate) fn settle(&self, handle: &Handle, held: &Held) -> Result<(), StoreError> {
        handle.settle_log(&held.settled).map_err(|error| io_error(&error))
    }

    /// Divides a log that is empty into two parts, as the layout now has it.
    pub(crate) fn divide(&mut self, layout: Layout) {
        *self = Self::new(layout, self.last);
    }

    /// Whether no batch is in it that redb lacks.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0 && !self.frozen
    }

    /// Whether one part is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Number of the last batch taken.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Where there is room for the batch.
    pub(crate) fn place(&self, batch: &WriteBatch) -> Place {
        let taken = blocks_of(batch);
        if taken > self.part_blocks / LARGE_SHARE {
            Place::Redb
        } else if self.used + taken <= self.part_blocks {
            Place::Here
        } else if self.parts > 1 {
            Place::OtherPart
        } else {
            Place::Redb
        }
    }

    /// Makes a batch durable, with one sync, for which there is room [here](Place::Here).
    pub(crate) fn append(&mut self, handle: &Handle, batch: &WriteBatch) -> Result<(), StoreError> {
        let blocks = sealed(self.last + 1, batch);
        let at = (self.current * self.part_blocks + self.used) * BLOCK_BYTES;
        handle.append_log(at, &blocks).map_err(|error| io_error(&error))?;
        self.used += blocks.len() / BLOCK_BYTES;
        self.last += 1;
        Ok(())
    }

    /// Freezes the part that is written, and begins the other, in which redb lacks nothing.
    pub(crate) fn freeze(&mut self) {
        assert!(!self.frozen && self.parts > 1, "the other part is in use");
        (self.current, self.used, self.frozen) = (1 - self.current, 0, true);
    }

    /// Gives the frozen part free: redb holds what is in it.
    pub(crate) fn release(&mut self) {
        self.frozen = false;
    }

    /// Begins again: redb holds every batch up to the one numbered `kept`.
    pub(crate) fn restart(&mut self, kept: u64) {
        (self.used, self.frozen, self.last) = (0, false, kept);
    }
}

/// Reads a log block by block; says how many cannot be read, which are then empty.
fn read_blocks(handle: &Handle, bytes: &mut [u8]) -> usize {
    let blocks = bytes.chunks_exact_mut(BLOCK_BYTES).enumerate();
    blocks
        .filter_map(|(number, block)| {
            handle.read_log(number * BLOCK_BYTES, block).err().map(|_| block.fill(0))
        })
        .count()
}

/// The batches from the numbered one on in the part that begins with it; `read` are the parts before.
fn next_run(parts: &[&[&[u8]]], read: &[Run], mut next: u64) -> Result<Option<Run>, StoreError> {
    let mut unread = (0..parts.len()).filter(|part| read.iter().all(|run| run.part != *part));
    let Some(part) = unread.find(|part| batch_at(parts[*part], next).is_some()) else { return Ok(None) };
    let mut run = Run { part, blocks: 0, batches: Vec::new() };
    while let Some((batch, taken)) = batch_at(&parts[part][run.blocks..], next) {
        run.batches.push(decode(&batch)?);
        run.blocks += taken;
        next += 1;
    }
    Ok(Some(run))
}

#[cfg(test)]
mod tests;
