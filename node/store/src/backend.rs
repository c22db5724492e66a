//! A simulated disk for redb: it loses what was not synced, tears writes, fills up and fails on
//! demand. For tests of this crate and for simulations of whole nodes.
//!
//! Promises: what was synced survives [`LossyBackend::restart`]; of the rest, [`Loss`] decides; one
//! seed gives one outcome. It models a page cache (reads see every write at once) over a disk that
//! writes sectors of 512 bytes whole, in any order between two syncs.
//!
//! Leaves out latency, and syncs that lie: whoever wants those wraps it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{Error as IoError, ErrorKind, Result as IoResult};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::image::{BLOCK_BYTES, Block, Image};

/// What disks write whole, in bytes.
const SECTOR_BYTES: usize = 512;

/// Unsynced bytes held back; past it the oldest reach the disk early, as a kernel's write-back does.
const UNSYNCED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Changing the length.
    Resize,
    /// Syncing.
    Sync,
}

/// What happens to unsynced changes when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All are lost.
    All,
    /// None is lost: the process died, not the machine.
    Nothing,
    /// Each survives or not, and a surviving write may be torn between sectors; drawn from the seed.
    Some {
        /// One seed, one outcome.
        seed: u64,
    },
}

/// How long a planned failure lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For that one operation.
    Once,
    /// From then on, until [`LossyBackend::heal`].
    ForGood,
}

/// What goes wrong at a planned operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It fails.
    Fail(ErrorKind, Lasting),
    /// The disk has room for what it holds by then, and no more.
    Fill,
}

/// The disk. Clones are further handles on the same one.
#[derive(Clone, Default)]
pub struct LossyBackend {
    disk: Arc<Mutex<Disk>>,
}

enum Change {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    /// One whole block, as nearly every write is: what is seen and what is synced share it.
    Block {
        number: u64,
        block: Arc<Block>,
    },
    Resize(u64),
}

impl Change {
    fn write(offset: u64, data: &[u8]) -> Self {
        match <&Block>::try_from(data) {
            Ok(block) if offset.is_multiple_of(BLOCK_BYTES as u64) => {
                Self::Block { number: offset / BLOCK_BYTES as u64, block: Arc::new(*block) }
            }
            _ => Self::Write { offset, bytes: data.to_vec() },
        }
    }

    /// What is written, and where.
    fn written(&self) -> Option<(u64, &[u8])> {
        match self {
            Change::Write { offset, bytes } => Some((*offset, bytes)),
            Change::Block { number, block } => Some((number * BLOCK_BYTES as u64, block.as_slice())),
            Change::Resize(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        self.written().map_or(0, |(_, bytes)| bytes.len())
    }

    fn apply(&self, image: &mut Image) {
        match self {
            Change::Write { offset, bytes } => image.write(*offset, bytes),
            Change::Block { number, block } => image.put(*number, Arc::clone(block)),
            Change::Resize(len) => image.resize(*len),
        }
    }
}

#[derive(Default)]
struct Disk {
    /// What readers see.
    seen: Image,
    /// What survives anything.
    synced: Image,
    unsynced: VecDeque<Change>,
    unsynced_bytes: usize,
    operations: u64,
    syncs: u64,
    power_cut_at: Option<u64>,
    failing: BTreeMap<Operation, ErrorKind>,
    /// Reads asked for so far.
    reads: u64,
    planned: Option<(u64, Plan)>,
    planned_read: Option<(u64, Plan)>,
    fired: bool,
    blocks_max: Option<usize>,
    /// Bytes that cannot be read.
    unreadable: Option<Range<u64>>,
}

impl Disk {
    fn has_power(&self) -> bool {
        self.power_cut_at.is_none_or(|at| self.operations < at)
    }

    /// Whether the operation goes ahead. What changes the disk is counted, also when it fails.
    fn admit(&mut self, operation: Operation) -> IoResult<()> {
        let done = match operation {
            Operation::Read => &mut self.reads,
            _ => &mut self.operations,
        };
        *done += 1;
        let done = *done;
        let power = match operation {
            Operation::Read => self.has_power(),
            // The operation at which the power goes is itself not done.
            _ => self.power_cut_at.is_none_or(|at| self.operations <= at),
        };
        if !power {
            return Err(IoError::other("the simulated disk has no power"));
        }
        self.follow_plan(operation, done)?;
        self.failing.get(&operation).map_or(Ok(()), |kind| Err(IoError::from(*kind)))
    }

    /// Does what is planned for the operation, which is the `done`th of its sort.
    fn follow_plan(&mut self, operation: Operation, done: u64) -> IoResult<()> {
        let plan = match operation {
            Operation::Read => self.planned_read,
            _ => self.planned,
        };
        let Some((_, plan)) = plan.filter(|(after, _)| done == after + 1) else { return Ok(()) };
        self.fired = true;
        match plan {
            Plan::Fill => self.blocks_max = Some(self.seen.blocks()),
            Plan::Fail(kind, Lasting::Once) => return Err(IoError::from(kind)),
            Plan::Fail(kind, Lasting::ForGood) if operation == Operation::Read => {
                self.failing.insert(operation, kind);
            }
            Plan::Fail(kind, Lasting::ForGood) => {
                for operation in [Operation::Write, Operation::Resize, Operation::Sync] {
                    self.failing.insert(operation, kind);
                }
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced_bytes += change.bytes();
        self.unsynced.push_back(change);
        while self.unsynced_bytes > UNSYNCED_BYTES_MAX {
            self.settle_oldest();
        }
    }

    fn settle_oldest(&mut self) {
        if let Some(change) = self.unsynced.pop_front() {
            self.unsynced_bytes -= change.bytes();
            change.apply(&mut self.synced);
        }
    }
}

impl LossyBackend {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that holds `bytes`, synced.
    pub fn holding(bytes: &[u8]) -> Self {
        let mut image = Image::default();
        image.write(0, bytes);
        Self::of(image)
    }

    fn of(image: Image) -> Self {
        let disk = Disk { seen: image.clone(), synced: image, ..Disk::default() };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing panics while it is held; after all it only simulates one.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reader sees: all writes, synced or not.
    pub fn contents(&self) -> Vec<u8> {
        let disk = self.disk();
        let mut bytes = vec![0; disk.seen.len() as usize];
        disk.seen.lay_over(0, &mut bytes);
        bytes
    }

    /// Writes, length changes and syncs asked for so far.
    pub fn operations(&self) -> u64 {
        self.disk().operations
    }

    /// Reads asked for so far.
    pub fn reads(&self) -> u64 {
        self.disk().reads
    }

    /// Syncs done so far.
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Lets the power go once `operations` writes, length changes and syncs have been done: the next
    /// one and everything after it fail.
    pub fn cut_power_after(&self, operations: u64) {
        self.disk().power_cut_at = Some(operations);
    }

    /// Lets the power go now.
    pub fn cut_power(&self) {
        let mut disk = self.disk();
        disk.power_cut_at = Some(disk.operations);
    }

    /// Cuts the power and returns the disk as it is when the power is back, with no fault left. The
    /// handles on the old one stay dead.
    pub fn restart(&self, loss: Loss) -> LossyBackend {
        self.cut_power();
        let disk = self.disk();
        let image = match loss {
            Loss::All => disk.synced.clone(),
            Loss::Nothing => disk.seen.clone(),
            Loss::Some { seed } => survivors(&disk, seed),
        };
        Self::of(image)
    }

    /// Makes every such operation fail with `kind` until [`heal`](Self::heal).
    pub fn fail(&self, operation: Operation, kind: ErrorKind) {
        self.disk().failing.insert(operation, kind);
    }

    /// Lets something go wrong once `operations` writes, length changes and syncs have been done. One
    /// plan replaces another.
    pub fn plan_after(&self, operations: u64, plan: Plan) {
        let mut disk = self.disk();
        (disk.planned, disk.fired) = (Some((operations, plan)), false);
    }

    /// Lets something go wrong once `reads` reads have been done. One plan replaces another.
    pub fn plan_after_reads(&self, reads: u64, plan: Plan) {
        let mut disk = self.disk();
        (disk.planned_read, disk.fired) = (Some((reads, plan)), false);
    }

    /// Whether what was planned last came to pass.
    pub fn fired(&self) -> bool {
        self.disk().fired
    }

    /// Leaves room for `bytes` of data in all: writing where nothing was written before then fails
    /// as on a full disk, writing over what is there goes on.
    pub fn limit_room(&self, bytes: usize) {
        self.disk().blocks_max = Some(bytes / BLOCK_BYTES);
    }

    /// Makes every read that touches these bytes fail, as a sector does that went bad, until
    /// [`heal`](Self::heal). One range replaces another.
    pub fn make_unreadable(&self, range: Range<u64>) {
        self.disk().unreadable = Some(range);
    }

    /// Bytes that hold data now, in whole blocks.
    pub fn occupied(&self) -> usize {
        self.disk().seen.blocks() * BLOCK_BYTES
    }

    /// Ends every failure and limit, but brings no power back.
    pub fn heal(&self) {
        let mut disk = self.disk();
        disk.failing.clear();
        (disk.blocks_max, disk.unreadable) = (None, None);
        (disk.planned, disk.planned_read) = (None, None);
    }
}

fn survivors(disk: &Disk, seed: u64) -> Image {
    let mut draw = Draw(seed);
    let mut image = disk.synced.clone();
    for change in &disk.unsynced {
        match (draw.below(4), change.written()) {
            (0, Some((offset, bytes))) => {
                // Torn: each sector for itself. A sector starts where the disk's do, not the write's.
                let mut at = 0;
                while at < bytes.len() {
                    let here = (offset as usize + at) % SECTOR_BYTES;
                    let end = (at + SECTOR_BYTES - here).min(bytes.len());
                    if draw.below(2) == 0 {
                        image.write(offset + at as u64, &bytes[at..end]);
                    }
                    at = end;
                }
            }
            (1, _) => {}
            _ => change.apply(&mut image),
        }
    }
    image
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl fmt::Debug for LossyBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk();
        f.debug_struct("LossyBackend")
            .field("len", &disk.seen.len())
            .field("operations", &disk.operations)
            .field("unsynced_bytes", &disk.unsynced_bytes)
            .finish_non_exhaustive()
    }
}

impl StorageBackend for LossyBackend {
    fn len(&self) -> IoResult<u64> {
        let disk = self.disk();
        if disk.has_power() {
            Ok(disk.seen.len())
        } else {
            Err(IoError::other("the simulated disk has no power"))
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        let mut disk = self.disk();
        disk.admit(Operation::Read)?;
        if offset.saturating_add(out.len() as u64) > disk.seen.len() {
            return Err(IoError::from(ErrorKind::UnexpectedEof));
        }
        let end = offset + out.len() as u64;
        if disk.unreadable.as_ref().is_some_and(|range| range.start < end && offset < range.end) {
            return Err(IoError::other("the simulated disk cannot read there"));
        }
        out.fill(0);
        disk.seen.lay_over(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> IoResult<()> {
        let mut disk = self.disk();
        disk.admit(Operation::Resize)?;
        disk.change(Change::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> IoResult<()> {
        let mut disk = self.disk();
        disk.admit(Operation::Sync)?;
        while !disk.unsynced.is_empty() {
            disk.settle_oldest();
        }
        disk.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        let mut disk = self.disk();
        disk.admit(Operation::Write)?;
        let blocks = disk.seen.blocks() + disk.seen.missing(offset, data.len()).len();
        if disk.blocks_max.is_some_and(|max| blocks > max.max(disk.seen.blocks())) {
            return Err(IoError::from(ErrorKind::StorageFull));
        }
        disk.change(Change::write(offset, data));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
