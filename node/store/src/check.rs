//! Every page of a store compared with its checksum, before redb is let at it: read only, each page once, in the
//! order in which they lie and in large pieces, which is as fast as the disk gives them.
//!
//! redb compares pages with checksums only where it recovers after a kill, and by then it has written. Where a
//! file lay closed, a bit that flipped would show when its page is read, or never.
//!
//! Promises: what is called sound redb opens with just the commit that was looked at, and after a kill with the
//! one before where the newest was cut short. Which pages redb calls free is not looked at: that is written down in
//! pages that are, and redb makes it anew after a kill.

use std::collections::BTreeMap;

use redb::StorageBackend;
use starling_crdt::store::StoreError;

use crate::generation::Refusal;
use crate::pages::{
    Checksum, Commit, Header, LEVELS_MAX, Link, PAGE_BYTES, Page, Regions, TableShape, Widths,
};

/// Bytes read at once: enough for the disk to be busy with them, and few beside what a node needs.
const READ_BYTES: u64 = 1024 * 1024;

/// Bytes between two pages that are read along with them: less than what a seek costs.
const GAP_BYTES: u64 = 64 * 1024;

/// Pages remembered at once, of 40 bytes each. Past it those found so far are read before the others of their level.
const PAGES_MAX: usize = 512 * 1024;

/// Rows of the store's own table that are kept; it has three.
const IDENTITY_ROWS_MAX: usize = 16;

/// What a store's pages hold, as far as it concerns whether it may be opened.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Rows of the store's own table, if it has one.
    pub(crate) identity: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Whether there is any other table.
    pub(crate) has_tables: bool,
}

/// Looks at every page that redb would use; none where redb is to say what lies there. `identity` is the name of
/// the store's own table.
pub(crate) fn look(
    backend: &dyn StorageBackend,
    start: u64,
    identity: &str,
) -> Result<Option<Looked>, Refusal> {
    let Some(header) = Header::read(backend, start).map_err(Refusal::Disk)? else { return Ok(None) };
    let mut damage = None;
    for commit in &header.commits {
        match Walk::over(backend, start, header.regions, identity).map_err(Refusal::Disk)?.commit(commit) {
            Ok(looked) => return Ok(Some(looked)),
            // The newest, which a kill may have cut short.
            Err(Refusal::Store(StoreError::Corrupt(why))) => damage = damage.or(Some(why)),
            Err(other) => return Err(other),
        }
    }
    let why =
        damage.unwrap_or_else(|| "the page that names its last commit is not as it was written".to_owned());
    Err(StoreError::Corrupt(why).into())
}

/// A page to be looked at, and the tree it is of.
#[derive(Clone, Copy)]
struct Next {
    at: u64,
    bytes: u64,
    checksum: Checksum,
    tree: usize,
}

/// A tree, and what its leaves hold.
struct Tree {
    name: String,
    widths: Widths,
    holds: Holds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// The tables of the store.
    Tables,
    /// redb's own tables.
    OwnTables,
    /// What says that this is a store.
    Identity,
    Rows,
}

struct Walk<'a> {
    backend: &'a dyn StorageBackend,
    start: u64,
    /// Bytes from there to the end.
    len: u64,
    regions: Regions,
    identity: &'a str,
    trees: Vec<Tree>,
    /// Pages that there can still be: each belongs to one place of one tree.
    left: u64,
    looked: Looked,
}

impl<'a> Walk<'a> {
    fn over(
        backend: &'a dyn StorageBackend,
        start: u64,
        regions: Regions,
        identity: &'a str,
    ) -> std::io::Result<Self> {
        let len = backend.len()?.saturating_sub(start);
        let left = len / PAGE_BYTES;
        let (trees, looked) = (Vec::new(), Looked::default());
        Ok(Self { backend, start, len, regions, identity, trees, left, looked })
    }

    fn commit(mut self, commit: &Commit) -> Result<Looked, Refusal> {
        let roots = [("its list of tables", Holds::Tables), ("redb's own list of tables", Holds::OwnTables)];
        let mut pages = Vec::new();
        for ((name, holds), root) in roots.into_iter().zip(commit.roots) {
            self.trees.push(Tree { name: name.to_owned(), widths: Widths::default(), holds });
            pages.extend(root.map(|root| self.next(root, self.trees.len() - 1)));
        }
        self.level(pages, 0)?;
        Ok(self.looked)
    }

    fn next(&self, Link { at, bytes, checksum }: Link, tree: usize) -> Next {
        Next { at, bytes, checksum, tree }
    }

    /// Looks at the pages, and at all below them.
    fn level(&mut self, mut pages: Vec<Next>, depth: usize) -> Result<(), Refusal> {
        let count = pages.len() as u64;
        self.left = self.left.checked_sub(count).filter(|_| depth < LEVELS_MAX).ok_or_else(|| {
            Refusal::Store(StoreError::Corrupt("its pages lead to more pages than there are".to_owned()))
        })?;
        pages.sort_unstable_by_key(|page| page.at);
        let (mut below, mut piece) = (Vec::new(), Vec::new());
        let mut pages = &pages[..];
        while !pages.is_empty() {
            let (now, later) = pages.split_at(self.read_together(pages, &mut piece)?);
            pages = later;
            for page in now {
                let from = (page.at - now[0].at) as usize;
                self.page(page, &piece[from..from + page.bytes as usize], &mut below)?;
            }
            if below.len() >= PAGES_MAX {
                self.level(std::mem::take(&mut below), depth + 1)?;
            }
        }
        if below.is_empty() { Ok(()) } else { self.level(below, depth + 1) }
    }

    /// Reads the first pages in one piece; says how many.
    fn read_together(&self, pages: &[Next], piece: &mut Vec<u8>) -> Result<usize, Refusal> {
        let (from, mut end, mut count) = (pages[0].at, pages[0].at, 0);
        for page in pages {
            let now = page.at + page.bytes;
            if count > 0 && (now - from > READ_BYTES || page.at > end + GAP_BYTES) {
                break;
            }
            if now > self.len {
                let what = format!("{}: a page lies behind the end of the file", self.place(page));
                return Err(StoreError::Corrupt(what).into());
            }
            (end, count) = (end.max(now), count + 1);
        }
        piece.resize((end - from) as usize, 0);
        self.backend.read(self.start + from, piece).map_err(Refusal::Disk)?;
        Ok(count)
    }

    fn page(&mut self, page: &Next, bytes: &[u8], below: &mut Vec<Next>) -> Result<(), Refusal> {
        let damaged = |walk: &Self| {
            let what = format!("{}: the page does not fit its checksum", walk.place(page));
            Refusal::Store(StoreError::Corrupt(what))
        };
        let Tree { widths, holds, .. } = self.trees[page.tree];
        let opened = Page::parse(bytes, widths).filter(|opened| opened.fits(&page.checksum));
        let opened = opened.ok_or_else(|| damaged(self))?;
        for child in opened.children(self.regions) {
            let child = child.ok_or_else(|| damaged(self))?;
            below.push(self.next(child, page.tree));
        }
        if holds == Holds::Rows {
            return Ok(());
        }
        for row in opened.rows() {
            let row = row.ok_or_else(|| damaged(self))?;
            below.extend(self.row(holds, row)?);
        }
        Ok(())
    }

    /// Takes what the row says; the root of the table that it tells of.
    fn row(&mut self, holds: Holds, (key, value): (&[u8], &[u8])) -> Result<Option<Next>, StoreError> {
        if holds == Holds::Identity {
            let rows = self.looked.identity.get_or_insert_default();
            if rows.len() < IDENTITY_ROWS_MAX {
                rows.insert(key.to_vec(), value.to_vec());
            }
            return Ok(None);
        }
        let name = String::from_utf8_lossy(key);
        let is_identity = holds == Holds::Tables && name == self.identity;
        if is_identity {
            self.looked.identity.get_or_insert_default();
        } else if holds == Holds::Tables {
            self.looked.has_tables = true;
        }
        let Some(TableShape { widths, root }) = TableShape::read(value, self.regions)? else {
            return Ok(None);
        };
        let holds = if is_identity { Holds::Identity } else { Holds::Rows };
        self.trees.push(Tree { name: format!("its table {name}"), widths, holds });
        Ok(root.map(|root| self.next(root, self.trees.len() - 1)))
    }

    /// Where a page lies, for who looks at the file.
    fn place(&self, page: &Next) -> String {
        format!("{}, at byte {}", self.trees[page.tree].name, self.start + page.at)
    }
}

#[cfg(test)]
mod tests;
