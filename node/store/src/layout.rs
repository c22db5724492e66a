//! Where on a medium things lie: one block that says so, the log, then redb's pages.
//!
//! A medium without that first block is one of a release before the log: redb's pages begin at its first
//! byte. It is read and written as such, and every commit is one of redb's.
//!
//! Version 2 of the layout has a log of two parts, the halves of what is one part in version 1. A release
//! that knows version 1 only would take the end of the first for the end of the log, so it must refuse the
//! store. A store of version 1 is read as such, and becomes one of version 2 where its log is found empty.

use std::io::Result as IoResult;
use std::ops::Bound;

use redb::{BackendError, StorageBackend};
use sha2::{Digest, Sha256};
use starling_crdt::store::StoreError;

use crate::generation::Refusal;
use crate::header::REDB_MAGIC;
use crate::image::BLOCK_BYTES;

/// First bytes of a medium laid out as here.
const MAGIC: [u8; 8] = *b"starling";
/// Version of this layout.
const VERSION: u32 = 2;
/// The version whose log has one part.
const VERSION_OF_ONE_PART: u32 = 1;
/// Magic, version, blocks of the log, and the first half of the SHA-256 of those.
const FIRST_BYTES: usize = 8 + 4 + 4 + 16;

/// Longest log that is read, in blocks: 64 MiB. Past it the file is refused.
pub(crate) const LOG_BLOCKS_MAX: u32 = 16 * 1024;

/// Where log and pages lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    version: u32,
    /// Blocks of the log; none where a release before it made the store.
    log_blocks: u32,
}

impl Layout {
    /// redb's pages and nothing else.
    const PAGES_ONLY: Layout = Layout { version: VERSION, log_blocks: 0 };

    /// Offset of the log's first block.
    pub(crate) const LOG_START: u64 = BLOCK_BYTES as u64;

    /// Bytes of the log.
    fn log_bytes(self) -> usize {
        self.log_blocks as usize * BLOCK_BYTES
    }

    /// Whether there is a log.
    pub(crate) fn has_log(self) -> bool {
        self.log_blocks > 0
    }

    /// Parts of the log.
    pub(crate) fn parts(self) -> usize {
        if self.version <= VERSION_OF_ONE_PART { 1 } else { 2 }
    }

    /// Blocks of each part.
    pub(crate) fn part_blocks(self) -> usize {
        self.log_blocks as usize / self.parts()
    }

    /// Offset of redb's first page.
    pub(crate) fn pages_start(self) -> u64 {
        if self.has_log() { Self::LOG_START + self.log_bytes() as u64 } else { 0 }
    }

    /// What lies on the medium. What is nothing known counts as redb's, which then says what it is.
    pub(crate) fn read(backend: &dyn StorageBackend) -> Result<Self, Refusal> {
        let mut first = [0; FIRST_BYTES];
        let len = backend.len().map_err(Refusal::Disk)?;
        if len < BLOCK_BYTES as u64 {
            return Ok(Self::PAGES_ONLY);
        }
        backend.read(0, &mut first).map_err(Refusal::Disk)?;
        if first[..8] != MAGIC {
            return Ok(Self::PAGES_ONLY);
        }
        let number = |at: usize| u32::from_be_bytes([first[at], first[at + 1], first[at + 2], first[at + 3]]);
        let (version, log_blocks) = (number(8), number(12));
        let found = Self { version, log_blocks };
        if first != found.first_bytes() {
            return Err(StoreError::Corrupt("its first block is not as it was written".to_owned()).into());
        }
        if version > VERSION {
            return Err(Refusal::Newer { found: version, known: VERSION });
        }
        // The log is read into memory, and whoever made the file says how long it is.
        if log_blocks > LOG_BLOCKS_MAX || found.pages_start() > len {
            return Err(
                StoreError::Corrupt("its log is longer than it may be, or than the file".to_owned()).into()
            );
        }
        Ok(found)
    }

    /// Where things seem to lie on a damaged medium: as its first block says, or else as redb's first page does.
    pub(crate) fn find(backend: &dyn StorageBackend) -> Result<Self, Refusal> {
        let damage = match Self::read(backend) {
            Err(Refusal::Store(damage)) => damage,
            found if !matches!(found, Ok(Self::PAGES_ONLY)) || begins_redb(backend, 0)? => return found,
            _ => StoreError::Corrupt("nothing says where its pages begin".to_owned()),
        };
        for log_blocks in 1..=LOG_BLOCKS_MAX {
            let found = Self { version: VERSION, log_blocks };
            if begins_redb(backend, found.pages_start())? {
                return Ok(found);
            }
        }
        Err(damage.into())
    }

    /// Lays out an empty medium. The log is written once with zeros, so that the disk has room for it
    /// from then on and a commit changes no metadata of the file system. Without a log nothing is written.
    pub(crate) fn create(backend: &dyn StorageBackend, log_blocks: u32) -> Result<Self, Refusal> {
        let layout = Self { version: VERSION, log_blocks };
        if layout == Self::PAGES_ONLY {
            return Ok(layout);
        }
        lock(backend)?;
        if backend.len().map_err(Refusal::Disk)? > 0 {
            // Another process was quicker, and is gone.
            return Self::read(backend);
        }
        let write = || {
            backend.set_len(layout.pages_start())?;
            backend.write(Self::LOG_START, &vec![0; layout.log_bytes()])?;
            backend.sync_data()?;
            layout.write(backend)
        };
        write().map_err(Refusal::Disk)?;
        Ok(layout)
    }

    /// Whether it is of a version before this one, with a log that could have two parts.
    pub(crate) fn is_old(self) -> bool {
        self.version < VERSION && self.has_log()
    }

    /// Makes it one of this version, durably; the log must be empty. Nothing moves: what changes lies in the
    /// medium's first sector, which a disk writes whole.
    pub(crate) fn raise(self, backend: &dyn StorageBackend) -> IoResult<Self> {
        let raised = Self { version: VERSION, ..self };
        raised.write(backend)?;
        Ok(raised)
    }

    /// Writes the first block, and syncs.
    fn write(self, backend: &dyn StorageBackend) -> IoResult<()> {
        let mut first = vec![0; BLOCK_BYTES];
        first[..FIRST_BYTES].copy_from_slice(&self.first_bytes());
        backend.write(0, &first)?;
        backend.sync_data()
    }

    fn first_bytes(self) -> [u8; FIRST_BYTES] {
        let mut bytes = [0; FIRST_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.log_blocks.to_be_bytes());
        let digest = Sha256::digest(&bytes[..16]);
        bytes[16..].copy_from_slice(&digest[..16]);
        bytes
    }
}

/// Locks the first byte of a medium: nobody else has it open, or opens it from now on. redb takes the lock of the
/// whole medium, which includes this byte, and gives both back.
pub(crate) fn lock(backend: &dyn StorageBackend) -> Result<(), Refusal> {
    match backend.try_lock_range(Bound::Included(0), Bound::Included(0)) {
        Ok(true) | Err(BackendError::Unsupported) => Ok(()),
        Ok(false) => Err(Refusal::InUse),
        Err(BackendError::Io(error)) => Err(Refusal::Disk(error)),
        Err(other) => Err(Refusal::Disk(std::io::Error::other(other.to_string()))),
    }
}

/// Whether redb's pages could begin there.
fn begins_redb(backend: &dyn StorageBackend, start: u64) -> Result<bool, Refusal> {
    let mut magic = [0; REDB_MAGIC.len()];
    if backend.len().map_err(Refusal::Disk)? < start + magic.len() as u64 {
        return Ok(false);
    }
    backend.read(start, &mut magic).map_err(Refusal::Disk)?;
    Ok(magic == *REDB_MAGIC)
}

#[cfg(test)]
impl Layout {
    /// Lays out an empty medium as the version before did.
    pub(crate) fn create_of_one_part(backend: &dyn StorageBackend, log_blocks: u32) -> Self {
        Self::create(backend, log_blocks).unwrap();
        let layout = Self { version: VERSION_OF_ONE_PART, log_blocks };
        layout.write(backend).unwrap();
        layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::LossyBackend;

    #[test]
    fn what_was_laid_out_is_found_again() {
        let disk = LossyBackend::new();
        let made = Layout::create(&disk, 3).unwrap();
        assert_eq!(Layout::read(&disk).unwrap(), made);
        assert_eq!((made.pages_start(), disk.contents().len()), (4 * 4096, 4 * 4096));
    }

    #[test]
    fn a_layout_of_the_version_before_is_read_and_can_be_raised() {
        let disk = LossyBackend::new();
        let old = Layout::create_of_one_part(&disk, 4);
        assert_eq!((Layout::read(&disk).unwrap(), old.parts(), old.part_blocks()), (old, 1, 4));
        let raised = old.raise(&disk).unwrap();
        assert_eq!((Layout::read(&disk).unwrap(), raised.parts(), raised.part_blocks()), (raised, 2, 2));
        assert!(old.is_old() && !raised.is_old() && old.pages_start() == raised.pages_start());
    }

    #[test]
    fn a_log_that_the_file_cannot_hold_is_refused_unread() {
        for log_blocks in [3, LOG_BLOCKS_MAX + 1, u32::MAX] {
            let mut bytes = vec![0; 3 * BLOCK_BYTES];
            bytes[..FIRST_BYTES].copy_from_slice(&Layout { version: VERSION, log_blocks }.first_bytes());
            let found = Layout::read(&LossyBackend::holding(&bytes));
            assert!(matches!(found, Err(Refusal::Store(StoreError::Corrupt(_)))), "{log_blocks}: {found:?}");
        }
    }

    #[test]
    fn a_medium_without_a_first_block_is_redbs() {
        for bytes in [&b""[..], b"short", &[7; 5000]] {
            let found = Layout::read(&LossyBackend::holding(bytes)).unwrap();
            assert_eq!((found, found.pages_start()), (Layout::PAGES_ONLY, 0));
        }
    }

    #[test]
    fn pages_are_found_without_the_first_block() {
        let disk = LossyBackend::new();
        let made = Layout::create(&disk, 3).unwrap();
        disk.write(made.pages_start(), &[REDB_MAGIC, &[0; 100][..]].concat()).unwrap();
        for damage in [&[1; 8][..], &[0; 64]] {
            disk.write(9, damage).unwrap();
            disk.write(0, damage).unwrap();
            assert_eq!(Layout::find(&disk).unwrap(), made);
        }
        disk.write(made.pages_start(), b"none").unwrap();
        assert!(matches!(Layout::find(&disk), Err(Refusal::Store(StoreError::Corrupt(_)))));
        let pages_only = LossyBackend::holding(&[REDB_MAGIC, &[0; 5000][..]].concat());
        assert_eq!(Layout::find(&pages_only).unwrap(), Layout::PAGES_ONLY);
    }

    #[test]
    fn a_damaged_or_later_first_block_is_told_from_another_file() {
        let disk = LossyBackend::new();
        Layout::create(&disk, 3).unwrap();
        for at in 8..FIRST_BYTES {
            let mut bytes = disk.contents();
            bytes[at] ^= 1;
            let found = Layout::read(&LossyBackend::holding(&bytes));
            assert!(matches!(found, Err(Refusal::Store(StoreError::Corrupt(_)))), "byte {at}: {found:?}");
        }
        let mut bytes = disk.contents();
        bytes[..FIRST_BYTES].copy_from_slice(&Layout { version: VERSION + 1, log_blocks: 3 }.first_bytes());
        let found = Layout::read(&LossyBackend::holding(&bytes));
        assert!(matches!(found, Err(Refusal::Newer { found: 3, known: VERSION })), "{found:?}");
    }
}
