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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::image::{BLOCK_BYTES, Image};

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

/// The disk. Clones are further handles on the same one.
#[derive(Clone, Default)]
pub struct LossyBackend {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Change::Write { bytes, .. } => bytes.len(),
            Change::Resize(_) => 0,
        }
    }

    fn apply(self, image: &mut Image) {
        match self {
            Change::Write { offset, bytes } => image.write(offset, &bytes),
            Change::Resize(len) => image.resize(len),
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
    blocks_max: Option<usize>,
}

impl Disk {
    fn has_power(&self) -> bool {
        self.power_cut_at.is_none_or(|at| self.operations < at)
    }

    /// Whether the operation goes ahead. What changes the disk is counted, also when it fails.
    fn admit(&mut self, operation: Operation) -> IoResult<()> {
        if operation != Operation::Read {
            self.operations = self.operations.saturating_add(1);
        }
        let power = match operation {
            Operation::Read => self.has_power(),
            // The operation at which the power goes is itself not done.
            _ => self.power_cut_at.is_none_or(|at| self.operations <= at),
        };
        if !power {
            return Err(IoError::other("the simulated disk has no power"));
        }
        self.failing.get(&operation).map_or(Ok(()), |kind| Err(IoError::from(*kind)))
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
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

    /// Leaves room for `bytes` of data in all: writing where nothing was written before then fails
    /// as on a full disk, writing over what is there goes on.
    pub fn limit_room(&self, bytes: usize) {
        self.disk().blocks_max = Some(bytes / BLOCK_BYTES);
    }

    /// Bytes that hold data now, in whole blocks.
    pub fn occupied(&self) -> usize {
        self.disk().seen.blocks() * BLOCK_BYTES
    }

    /// Ends every failure and limit, but brings no power back.
    pub fn heal(&self) {
        let mut disk = self.disk();
        disk.failing.clear();
        disk.blocks_max = None;
    }
}

fn survivors(disk: &Disk, seed: u64) -> Image {
    let mut draw = Draw(seed);
    let mut image = disk.synced.clone();
    for change in &disk.unsynced {
        match (draw.below(4), change) {
            (0, Change::Write { offset, bytes }) => {
                // Torn: each sector for itself. A sector starts where the disk's do, not the write's.
                let mut at = 0;
                while at < bytes.len() {
                    let here = (*offset as usize + at) % SECTOR_BYTES;
                    let end = (at + SECTOR_BYTES - here).min(bytes.len());
                    if draw.below(2) == 0 {
                        image.write(offset + at as u64, &bytes[at..end]);
                    }
                    at = end;
                }
            }
            (1, _) => {}
            (_, change) => change.clone().apply(&mut image),
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
        disk.change(Change::Write { offset, bytes: data.to_vec() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_what_was_synced_and_only_that() {
        let disk = LossyBackend::new();
        disk.write(0, b"old").unwrap();
        disk.sync_data().unwrap();
        disk.write(0, b"new").unwrap();
        disk.set_len(9000).unwrap();
        assert_eq!(disk.contents().len(), 9000);
        assert_eq!(disk.restart(Loss::Nothing).contents().len(), 9000);
        assert_eq!(disk.restart(Loss::All).contents(), b"old");
        assert!(disk.write(0, b"dead").is_err() && disk.read(0, &mut [0]).is_err() && disk.len().is_err());
    }

    #[test]
    fn seeds_decide_what_survives_and_some_tear_a_write() {
        let outcome = |seed| {
            let disk = LossyBackend::new();
            disk.write(0, &[1; 4096]).unwrap();
            disk.sync_data().unwrap();
            disk.write(0, &[2; 4096]).unwrap();
            disk.restart(Loss::Some { seed }).contents()
        };
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..100 {
            let bytes = outcome(seed);
            assert_eq!(bytes, outcome(seed));
            assert!(bytes.chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
            match bytes.iter().filter(|byte| **byte == 2).count() {
                4096 => kept += 1,
                0 => lost += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 0 && lost > 0 && torn > 0, "{kept} {lost} {torn}");
    }

    #[test]
    fn power_goes_at_the_operation_named() {
        let disk = LossyBackend::new();
        disk.cut_power_after(2);
        disk.write(0, b"one").unwrap();
        disk.sync_data().unwrap();
        assert!(disk.write(0, b"two").is_err());
        assert!(disk.sync_data().is_err());
        assert_eq!(disk.restart(Loss::Nothing).contents(), b"one");
    }

    #[test]
    fn a_full_disk_still_takes_writes_over_what_is_there() {
        let disk = LossyBackend::new();
        disk.write(0, &[1; BLOCK_BYTES]).unwrap();
        disk.limit_room(BLOCK_BYTES);
        disk.write(0, &[2; BLOCK_BYTES]).unwrap();
        let refused = disk.write(BLOCK_BYTES as u64, &[2]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.heal();
        disk.write(BLOCK_BYTES as u64, &[2]).unwrap();
    }

    #[test]
    fn failures_last_until_healed() {
        let disk = LossyBackend::new();
        disk.fail(Operation::Sync, ErrorKind::Other);
        disk.write(0, b"x").unwrap();
        assert!(disk.sync_data().is_err());
        assert_eq!(disk.clone().restart(Loss::All).contents(), b"");
        let disk = LossyBackend::new();
        disk.fail(Operation::Write, ErrorKind::Other);
        assert!(disk.write(0, b"x").is_err());
        disk.heal();
        disk.write(0, b"x").unwrap();
    }
}
