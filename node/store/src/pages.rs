//! redb's pages as they lie on a medium, read without redb and never written: the header with the two commits
//! that it names, and what a page of a tree holds.
//!
//! The layout is that of redb's file format 3, as redb 4 writes it. A header that is not of this sort is left
//! to redb, which refuses it before it writes anything. Nothing here panics, whatever the bytes are.
//!
//! Leaves out which pages redb calls free.

use std::io::Result as IoResult;

use redb::StorageBackend;
use starling_crdt::store::StoreError;
use twox_hash::XxHash3_128;

use crate::header::REDB_MAGIC;

/// Bytes of the smallest page, and of the header's.
pub(crate) const PAGE_BYTES: u64 = 4096;
/// Bytes of the header that say anything.
const HEADER_BYTES: usize = COMMITS_AT + 2 * COMMIT_BYTES;
/// Places within the header: flags, bytes of a page, pages of a region that hold none and that hold any, commits.
const FLAGS_AT: usize = REDB_MAGIC.len();
const PAGE_BYTES_AT: usize = 12;
const REGION_HEAD_AT: usize = 16;
const REGION_PAGES_AT: usize = 20;
const COMMITS_AT: usize = 64;
const COMMIT_BYTES: usize = 128;
/// Flag: of the two commits the second is the newer.
const SECOND_IS_NEWER: u8 = 1;
/// Flag: the newer commit was durable before it became that.
const TWO_PHASES: u8 = 4;
/// Places within a commit: format, roots and whether there are any, number; at the end a checksum.
const FORMAT: u8 = 3;
const HAS_ROOT_AT: [usize; 2] = [1, 2];
const ROOT_AT: [usize; 2] = [8, 40];
const NUMBER_AT: usize = 104;
/// Levels of a tree. redb's own bound; no real tree comes near it.
pub(crate) const LEVELS_MAX: usize = 128;
/// Most pages of a region, and the highest power of two of pages that one page takes.
const REGION_PAGES_MAX: u32 = 1 << 20;
const ORDER_MAX: u64 = 20;

/// A checksum, as it is stored.
pub(crate) type Checksum = [u8; 16];

fn fits(checksum: &Checksum, bytes: &[u8]) -> bool {
    XxHash3_128::oneshot(bytes).to_le_bytes() == *checksum
}

/// A page: where it lies, counted from redb's first byte, how long it is, and what its checksum must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) at: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
}

/// Where pages lie, which never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regions {
    head_bytes: u64,
    bytes: u64,
}

impl Regions {
    /// The page of that number.
    fn page(self, number: u64, checksum: Checksum) -> Option<Link> {
        let order = number >> 59;
        if order > ORDER_MAX {
            return None;
        }
        let (bytes, index) = (PAGE_BYTES << order, number & (0xF_FFFF >> order));
        let region = (number >> 20) & 0xF_FFFF;
        let at = PAGE_BYTES + region * self.bytes + self.head_bytes + index * bytes;
        Some(Link { at, bytes, checksum })
    }

    /// A link as it is stored where one points to the root of a tree.
    pub(crate) fn root(self, stored: &[u8]) -> Option<Link> {
        self.page(number(stored, 0)?, stored.get(8..24)?.try_into().ok()?)
    }
}

/// One of the two commits that the header names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    number: u64,
    /// The trees of tables: ours, and redb's own.
    pub(crate) roots: [Option<Link>; 2],
}

/// What the header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) regions: Regions,
    /// The commits that redb may open, in the order in which it tries them.
    pub(crate) commits: Vec<Commit>,
}

impl Header {
    /// The header of the pages that begin there; none where redb is to say what lies there.
    pub(crate) fn read(backend: &dyn StorageBackend, start: u64) -> IoResult<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        if backend.len()?.saturating_sub(start) < PAGE_BYTES {
            return Ok(None);
        }
        backend.read(start, &mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let (head, pages) = (field(REGION_HEAD_AT), field(REGION_PAGES_AT));
        let known = bytes.starts_with(REDB_MAGIC)
            && u64::from(field(PAGE_BYTES_AT)) == PAGE_BYTES
            && (1..=REGION_PAGES_MAX).contains(&pages)
            && head <= REGION_PAGES_MAX;
        if !known {
            return None;
        }
        let head_bytes = u64::from(head) * PAGE_BYTES;
        let regions = Regions { head_bytes, bytes: head_bytes + u64::from(pages) * PAGE_BYTES };
        let (slots, _) = bytes[COMMITS_AT..].as_chunks::<COMMIT_BYTES>();
        if slots.iter().any(|slot| slot[0] != FORMAT) {
            return None;
        }
        let mut commits: Vec<_> = slots.iter().map(|slot| commit(regions, slot)).collect();
        if bytes[FLAGS_AT] & SECOND_IS_NEWER != 0 {
            commits.reverse();
        }
        if bytes[FLAGS_AT] & TWO_PHASES != 0 {
            // The other one is behind it, or was never finished.
            commits.truncate(1);
        }
        let mut commits: Vec<_> = commits.into_iter().flatten().collect();
        // Of a commit with one sync only the flag, or all but the flag, may have reached the disk.
        commits.sort_by_key(|commit| std::cmp::Reverse(commit.number));
        Some(Self { regions, commits })
    }
}

/// One commit, if its own checksum fits.
fn commit(regions: Regions, slot: &[u8; COMMIT_BYTES]) -> Option<Commit> {
    let (said, checksum) = slot.split_last_chunk::<16>()?;
    if !fits(checksum, said) {
        return None;
    }
    let root = |which: usize| match said[HAS_ROOT_AT[which]] {
        0 => Some(None),
        _ => regions.root(&said[ROOT_AT[which]..]).map(Some),
    };
    Some(Commit { number: number(said, NUMBER_AT)?, roots: [root(0)?, root(1)?] })
}

/// Bytes of a key and of a value, where all of a tree's take as many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widths {
    key: Option<usize>,
    value: Option<usize>,
}

/// A table, as the tree of tables tells of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TableShape {
    pub(crate) widths: Widths,
    pub(crate) root: Option<Link>,
}

impl TableShape {
    /// Reads what is stored under a table's name: its sort (1 byte), rows (8), whether it has a root (1), the root
    /// (32), and twice whether there is a width (1) and the width (4). None for a table of a sort that no store has.
    pub(crate) fn read(stored: &[u8], regions: Regions) -> Result<Option<Self>, StoreError> {
        const NORMAL: u8 = 3;
        let cut = || StoreError::Corrupt("its list of tables holds what is no table".to_owned());
        let head: &[u8; 52] = stored.first_chunk().ok_or_else(cut)?;
        if head[0] != NORMAL {
            return Ok(None);
        }
        let width = |at: usize| {
            let width = u32::from_le_bytes([head[at + 1], head[at + 2], head[at + 3], head[at + 4]]);
            (head[at] != 0).then_some(width as usize)
        };
        let root = match head[9] {
            0 => None,
            _ => Some(regions.root(&head[10..]).ok_or_else(cut)?),
        };
        Ok(Some(Self { widths: Widths { key: width(42), value: width(47) }, root }))
    }
}

/// The bytes of one page of a tree.
pub(crate) struct Page<'a> {
    bytes: &'a [u8],
    widths: Widths,
    /// Rows of a leaf, or keys between the children of a branch.
    count: usize,
    is_leaf: bool,
}

impl<'a> Page<'a> {
    /// The page, if it is one of a tree.
    pub(crate) fn parse(bytes: &'a [u8], widths: Widths) -> Option<Self> {
        let head: &[u8; 4] = bytes.first_chunk()?;
        let is_leaf = match head[0] {
            1 => true,
            2 => false,
            _ => return None,
        };
        let count = usize::from(u16::from_le_bytes([head[2], head[3]]));
        (count > 0).then_some(Self { bytes, widths, count, is_leaf })
    }

    /// Whether it is what was written.
    pub(crate) fn fits(&self, checksum: &Checksum) -> bool {
        let last = self.count - 1;
        let end = if self.is_leaf { self.value_end(last) } else { self.separator_end(last) };
        end.and_then(|end| self.bytes.get(..end)).is_some_and(|bytes| fits(checksum, bytes))
    }

    /// The pages below, of a branch.
    pub(crate) fn children(&self, regions: Regions) -> impl Iterator<Item = Option<Link>> {
        let children = if self.is_leaf { 0 } else { self.count + 1 };
        (0..children).map(move |child| {
            let checksum = self.bytes.get(8 + 16 * child..)?.first_chunk()?;
            regions.page(number(self.bytes, 8 + 16 * children + 8 * child)?, *checksum)
        })
    }

    /// The rows, of a leaf.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Option<(&'a [u8], &'a [u8])>> {
        let rows = if self.is_leaf { self.count } else { 0 };
        (0..rows).map(move |row| {
            let before = row.checked_sub(1);
            let key = before.map_or(Some(self.keys_at()), |before| self.key_end(before))?;
            let value =
                before.map_or_else(|| self.key_end(self.count - 1), |before| self.value_end(before))?;
            Some((self.bytes.get(key..self.key_end(row)?)?, self.bytes.get(value..self.value_end(row)?)?))
        })
    }

    /// Where the keys of a leaf begin: behind 4 bytes, and where each key and each value ends.
    fn keys_at(&self) -> usize {
        let ends = usize::from(self.widths.key.is_none()) + usize::from(self.widths.value.is_none());
        4 + 4 * ends * self.count
    }

    fn key_end(&self, row: usize) -> Option<usize> {
        match self.widths.key {
            Some(width) => width.checked_mul(row + 1)?.checked_add(self.keys_at()),
            None => self.end(4 + 4 * row),
        }
    }

    fn value_end(&self, row: usize) -> Option<usize> {
        match self.widths.value {
            Some(width) => width.checked_mul(row + 1)?.checked_add(self.key_end(self.count - 1)?),
            None if self.widths.key.is_none() => self.end(4 + 4 * (self.count + row)),
            None => self.end(4 + 4 * row),
        }
    }

    /// Where a key of a branch ends: behind 8 bytes, and checksum and number of each child.
    fn separator_end(&self, key: usize) -> Option<usize> {
        let keys = 8 + 24 * (self.count + 1);
        match self.widths.key {
            Some(width) => width.checked_mul(key + 1)?.checked_add(keys),
            None => self.end(keys + 4 * key),
        }
    }

    fn end(&self, at: usize) -> Option<usize> {
        Some(u32::from_le_bytes(*self.bytes.get(at..)?.first_chunk()?) as usize)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
