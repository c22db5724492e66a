//! What can be read of a damaged store, copied into another: how a damaged file is left behind.
//!
//! Pages are read without redb, which refuses everything after the first error of the disk, and goes through all of
//! them before it opens a file that was not closed in order. Here one page that cannot be read, or is not what was
//! written, costs the rows in it and below it.
//!
//! Leaves out whether rows are right: of a page that does not fit its checksum those are copied that it still
//! seems to hold, and whoever copies checks all of them against history.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use redb::StorageBackend;
use starling_crdt::store::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};

use crate::generation::Refusal;
use crate::layout::{Layout, lock};
use crate::log::{Damage, Log};
use crate::medium::{Handle, Medium};
use crate::open::OpenError;
use crate::pages::{Commit, Header, LEVELS_MAX, Link, PAGE_BYTES, Page, Regions, TableShape, Widths};
use crate::store::RedbStore;
use crate::tables::{IDENTITY_NAME, Identity};

/// Rows written at once.
const ROWS_AT_ONCE: usize = 64;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows, those of the log apart.
    pub rows: u64,
    /// Tables that could be read only in part, and why.
    pub partly: Vec<(Table, String)>,
    /// What is wrong with the store's log, if anything: what was committed behind that place is not among the rows.
    pub log_damage: Option<String>,
}

/// A damaged store, and what can be read of it. What is read may be wrong.
pub struct Salvage {
    medium: Arc<Medium>,
    place: String,
}

impl Salvage {
    pub(crate) fn of(medium: Arc<Medium>, place: String) -> Result<Self, OpenError> {
        let salvage = Self { medium, place };
        lock(salvage.medium.backend()).map_err(|refusal| salvage.refused(refusal))?;
        match Tree::newest(&salvage.medium).map(|mut tree| tree.identity()) {
            None => drop(salvage.by_redb()?),
            Some(Err(newer @ Refusal::Newer { .. })) => return Err(salvage.refused(newer)),
            Some(_) => {}
        }
        Ok(salvage)
    }

    fn refused(&self, refusal: Refusal) -> OpenError {
        OpenError::at(self.place.clone(), refusal)
    }

    fn by_redb(&self) -> Result<(Arc<dyn StoreRead>, Option<String>), OpenError> {
        RedbStore::view_damaged(&self.medium).map_err(|refusal| self.refused(refusal))
    }

    /// Its rows as redb reads them. Reading may fail at any row, and after an error of the disk at every other.
    ///
    /// # Errors
    /// [`OpenError`] when redb does not open it.
    pub fn rows(&self) -> Result<Arc<dyn StoreRead>, OpenError> {
        self.by_redb().map(|(rows, _)| rows)
    }

    /// Copies every row that can be read.
    ///
    /// # Errors
    /// [`StoreError`] when nothing can be written; what was copied before stays. Damage is no error, and what
    /// cannot be read is damage.
    pub fn copy_into(&self, to: &mut dyn Store) -> Result<Copied, StoreError> {
        if let Some(tree) = Tree::newest(&self.medium) {
            return tree.copy_into(&self.medium, to);
        }
        // Nothing says where the tables of the newest commit are. redb may know of one before.
        match self.by_redb() {
            Ok((rows, log_damage)) => copy_rows(rows.as_ref(), log_damage, to),
            Err(error) => {
                let partly = Table::ALL.into_iter().map(|table| (table, error.to_string()));
                Ok(Copied { partly: partly.collect(), ..Copied::default() })
            }
        }
    }
}

/// The tables of one commit.
struct Tree<'a> {
    layout: Layout,
    pages: Pages<'a>,
    tables: BTreeMap<Vec<u8>, TableShape>,
    /// What is wrong with the list of tables.
    wrong: Faults,
}

impl<'a> Tree<'a> {
    /// The newest commit of which anything can be read.
    fn newest(medium: &'a Medium) -> Option<Self> {
        let backend = medium.backend();
        let layout = Layout::find(backend).ok()?;
        let header = Header::read(backend, layout.pages_start()).ok()??;
        let pages = || Pages::on(backend, layout.pages_start(), header.regions);
        header.commits.iter().find_map(|commit| Self::of(layout, pages()?, commit))
    }

    fn of(layout: Layout, mut pages: Pages<'a>, commit: &Commit) -> Option<Self> {
        let (mut tables, regions) = (BTreeMap::new(), pages.regions);
        let wrong = pages.rows(commit.roots[0]?, Widths::default(), &mut |name, stored| {
            if let Ok(Some(shape)) = TableShape::read(stored, regions) {
                tables.insert(name.to_vec(), shape);
            }
            Ok(())
        });
        let wrong = wrong.ok()?;
        let is_ours = Table::ALL.iter().any(|table| tables.contains_key(table.name().as_bytes()));
        is_ours.then_some(Self { layout, pages, tables, wrong })
    }

    fn copy_into(mut self, medium: &Arc<Medium>, to: &mut dyn Store) -> Result<Copied, StoreError> {
        let mut copied = Copied::default();
        for table in Table::ALL {
            let mut wrong = Faults::default();
            match self.tables.get(table.name().as_bytes()) {
                Some(TableShape { root: Some(root), widths }) => {
                    let mut rows = Rows { table, batch: WriteBatch::default(), waiting: 0, copied: 0, to };
                    wrong = self.pages.rows(*root, *widths, &mut |key, value| rows.put(key, value))?;
                    copied.rows += rows.end()?;
                }
                Some(TableShape { root: None, .. }) => {}
                // It may be among those that could not be read.
                None => wrong = self.wrong.clone(),
            }
            copied.partly.extend(wrong.told().map(|why| (table, why)));
        }
        copied.log_damage = self.copy_log(medium, to)?;
        Ok(copied)
    }

    /// Copies what the log holds and redb does not; says what is wrong with it.
    fn copy_log(&mut self, medium: &Arc<Medium>, to: &mut dyn Store) -> Result<Option<String>, StoreError> {
        if !self.layout.has_log() {
            return Ok(None);
        }
        let kept = match self.identity() {
            Ok(identity) => identity.kept,
            Err(_) => return Ok(Some("nothing says which commits of its log come next".to_owned())),
        };
        let handle = Handle::through(medium, self.layout);
        let held = match Log::read(&handle, kept, Damage::ReadBefore) {
            Ok((_, held)) => held,
            Err(error) => return Ok(Some(error.to_string())),
        };
        for batch in held.frozen.iter().chain(&held.current) {
            to.commit(batch)?;
        }
        Ok(held.damage)
    }

    fn identity(&mut self) -> Result<Identity, Refusal> {
        let mut rows = BTreeMap::new();
        if let Some(TableShape { root: Some(root), widths }) = self.tables.get(IDENTITY_NAME.as_bytes()) {
            let wrong = self.pages.rows(*root, *widths, &mut |key, value| {
                rows.insert(key.to_vec(), value.to_vec());
                Ok(())
            })?;
            // The number of a commit must be right.
            wrong.told().map_or(Ok(()), |why| Err(StoreError::Corrupt(why)))?;
        }
        Identity::read(|key| Ok(rows.get(key.as_bytes()).cloned()))
    }
}

/// Rows on their way into one table.
struct Rows<'a> {
    table: Table,
    batch: WriteBatch,
    waiting: usize,
    copied: u64,
    to: &'a mut dyn Store,
}

impl Rows<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.batch.put(self.table, key.to_vec(), value.to_vec());
        (self.waiting, self.copied) = (self.waiting + 1, self.copied + 1);
        if self.waiting < ROWS_AT_ONCE { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.waiting = 0;
        self.to.commit(&std::mem::take(&mut self.batch))
    }

    fn end(mut self) -> Result<u64, StoreError> {
        self.write()?;
        Ok(self.copied)
    }
}

/// What is wrong with a tree: the first place, and how many there are.
#[derive(Clone, Default)]
struct Faults {
    first: Option<String>,
    count: u64,
}

impl Faults {
    fn note(&mut self, at: u64, what: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("the page at byte {at} {what}"));
    }

    fn told(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count - 1 {
            0 => first.clone(),
            more => format!("{first}, and {more} more like it"),
        })
    }
}

/// Pages as far as they can be read.
struct Pages<'a> {
    backend: &'a dyn StorageBackend,
    start: u64,
    len: u64,
    regions: Regions,
    /// Pages that there can still be, so that damage cannot lead in circles.
    left: u64,
}

type OnRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;

impl<'a> Pages<'a> {
    fn on(backend: &'a dyn StorageBackend, start: u64, regions: Regions) -> Option<Self> {
        let len = backend.len().ok()?.saturating_sub(start);
        Some(Self { backend, start, len, regions, left: len / PAGE_BYTES })
    }

    /// Gives every row of a tree that can be read, in order.
    fn rows(&mut self, root: Link, widths: Widths, row: OnRow<'_>) -> Result<Faults, StoreError> {
        let mut faults = Faults::default();
        self.below(root, widths, LEVELS_MAX, row, &mut faults)?;
        Ok(faults)
    }

    fn below(
        &mut self,
        link: Link,
        widths: Widths,
        levels: usize,
        row: OnRow<'_>,
        faults: &mut Faults,
    ) -> Result<(), StoreError> {
        let at = self.start + link.at;
        let bytes = match self.read(link, levels) {
            Ok(bytes) => bytes,
            Err(why) => {
                faults.note(at, &why);
                return Ok(());
            }
        };
        let Some(page) = Page::parse(&bytes, widths) else {
            faults.note(at, "is none of a table");
            return Ok(());
        };
        let mut is_whole = page.fits(&link.checksum);
        for child in page.children(self.regions) {
            match child {
                Some(child) => self.below(child, widths, levels - 1, &mut *row, faults)?,
                None => is_whole = false,
            }
        }
        for found in page.rows() {
            match found {
                Some((key, value)) => row(key, value)?,
                None => is_whole = false,
            }
        }
        if !is_whole {
            faults.note(at, "does not fit its checksum");
        }
        Ok(())
    }

    fn read(&mut self, link: Link, levels: usize) -> Result<Vec<u8>, String> {
        if link.at.saturating_add(link.bytes) > self.len {
            return Err("lies behind the end of the file".to_owned());
        }
        self.left = self.left.checked_sub(1).filter(|_| levels > 0).ok_or("is one of too many")?;
        let mut bytes = vec![0; link.bytes as usize];
        self.backend
            .read(self.start + link.at, &mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        Ok(bytes)
    }
}

/// Copies every row that redb reads: each table up to the first place that is damaged. Of rows that are
/// out of order, which a damaged page may show, none is read twice.
fn copy_rows(
    from: &dyn StoreRead,
    log_damage: Option<String>,
    to: &mut dyn Store,
) -> Result<Copied, StoreError> {
    let mut copied = Copied { log_damage, ..Copied::default() };
    for table in Table::ALL {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = match rows_after(from, table, after.as_deref()) {
                Ok(rows) => rows,
                Err(StoreError::Corrupt(why) | StoreError::Io(why)) => {
                    copied.partly.push((table, why));
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(highest) = rows.iter().map(|(key, _)| key).max().cloned() else { break };
            if Some(&highest) <= after.as_ref() {
                copied.partly.push((table, "its rows are out of order".to_owned()));
                break;
            }
            after = Some(highest);
            let mut batch = WriteBatch::default();
            copied.rows += rows.len() as u64;
            rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
            to.commit(&batch)?;
        }
    }
    Ok(copied)
}

/// The next rows: many at once, or the one before a damaged place.
fn rows_after(from: &dyn StoreRead, table: Table, after: Option<&[u8]>) -> Result<Vec<Row>, StoreError> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = KeyRange { start, end: Bound::Unbounded };
    match from.rows(table, range, ROWS_AT_ONCE) {
        Err(StoreError::Corrupt(_) | StoreError::Io(_)) => from.rows(table, range, 1),
        rows => rows,
    }
}
