//! One redb handle: opened, identified, used, and thrown away after the first error of the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, StorageBackend, TableDefinition, TableError,
};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, Table, WriteBatch};

use crate::SCHEMA_VERSION;
use crate::fault::{contain, store_error};
use crate::header::{creation_was_interrupted, was_closed};
use crate::medium::{Access, Handle, Medium};
use crate::open::WhenMissing;
use crate::snapshot::Snapshot;

/// The table that says what this file is; every other table belongs to the contract.
const IDENTITY: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("starling");
/// Row of [`IDENTITY`]: version of the tables' layout, 4 bytes, big-endian.
const SCHEMA: &str = "schema";
/// Row of [`IDENTITY`]: the store's id.
const ID: &str = "id";

/// Why a medium could not be opened; [`crate::OpenError`] adds where and what to do.
#[derive(Debug)]
pub(crate) enum Refusal {
    InUse,
    Missing,
    NotAStore,
    Newer { found: u32 },
    Disk(std::io::Error),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Store(error)
    }
}

impl From<redb::DatabaseError> for Refusal {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Refusal::InUse,
            redb::DatabaseError::UpgradeRequired(_) => Refusal::NotAStore,
            redb::DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
                // The one use redb makes of this kind: the magic number is missing.
                std::io::ErrorKind::InvalidData => Refusal::NotAStore,
                _ => Refusal::Disk(error),
            },
            other => Refusal::Store(store_error(other)),
        }
    }
}

/// A redb handle on a medium.
pub(crate) struct Generation {
    /// `None` only while dropping.
    database: Option<Database>,
    handle: Handle,
    id: StoreId,
    writes: bool,
    failed: AtomicBool,
}

impl Generation {
    /// Opens the medium for reading and writing. `cache_bytes` is redb's page cache.
    pub(crate) fn open(
        medium: &Arc<Medium>,
        cache_bytes: usize,
        missing: WhenMissing,
    ) -> Result<Self, Refusal> {
        let create = || Self::create(Handle::through(medium), cache_bytes, missing, true);
        match create() {
            Err(Refusal::NotAStore)
                if creation_was_interrupted(medium.backend()).map_err(Refusal::Disk)? =>
            {
                // The failed attempt took the medium's lock and the medium keeps it.
                medium.backend().set_len(0).map_err(Refusal::Disk)?;
                create()
            }
            other => other,
        }
    }

    /// Opens the medium for reading only, without a single write to it.
    pub(crate) fn view(medium: &Arc<Medium>, cache_bytes: usize) -> Result<Self, Refusal> {
        let handle = Handle::beside(medium).map_err(Refusal::Disk)?;
        Self::create(handle, cache_bytes, WhenMissing::Refuse, false)
    }

    /// Compares every page with its checksum, without a single write. A medium that was not closed in
    /// order is left to [`Self::open`], during which redb does the same.
    ///
    /// Without this a bit that flipped while the file lay closed shows when its page is read, or never: redb
    /// compares checksums only when it recovers.
    pub(crate) fn check(medium: &Arc<Medium>, cache_bytes: usize) -> Result<(), Refusal> {
        if !was_closed(medium.backend()).map_err(Refusal::Disk)? {
            return Ok(());
        }
        let mut view = match Self::view(medium, cache_bytes) {
            // Made, and cut short before its first row: whether that is wanted is for the opening to say.
            Err(Refusal::Missing) => return Ok(()),
            view => view?,
        };
        let Some(database) = &mut view.database else { return Ok(()) };
        contain(|| match database.check_integrity().map_err(store_error)? {
            true => Ok(()),
            false => Err(StoreError::Corrupt("pages do not fit their checksums".to_owned())),
        })
        .map_err(Refusal::Store)
    }

    fn create(
        handle: Handle,
        cache_bytes: usize,
        missing: WhenMissing,
        writes: bool,
    ) -> Result<Self, Refusal> {
        if matches!(missing, WhenMissing::Refuse) && handle.len().map_err(Refusal::Disk)? == 0 {
            return Err(Refusal::Missing);
        }
        let backend = handle.clone();
        let opened = contain(|| {
            let database = match Builder::new().set_cache_size(cache_bytes).create_with_backend(backend) {
                Ok(database) => database,
                Err(error) => return Ok(Err(Refusal::from(error))),
            };
            let mut generation = Self {
                database: Some(database),
                handle,
                id: StoreId([0; 16]),
                writes,
                failed: AtomicBool::new(false),
            };
            Ok(generation.identify(missing).map(|id| {
                generation.id = id;
                generation
            }))
        });
        opened?
    }

    fn identify(&self, missing: WhenMissing) -> Result<StoreId, Refusal> {
        if let Some(id) = self.identity()? {
            return Ok(id);
        }
        match missing {
            WhenMissing::Refuse => Err(Refusal::Missing),
            WhenMissing::Create(id) => {
                let transaction = self.database().begin_write().map_err(store_error)?;
                let mut table = transaction.open_table(IDENTITY).map_err(store_error)?;
                table.insert(SCHEMA, &SCHEMA_VERSION.to_be_bytes()[..]).map_err(store_error)?;
                table.insert(ID, id.as_bytes()).map_err(store_error)?;
                drop(table);
                transaction.commit().map_err(store_error)?;
                Ok(id)
            }
        }
    }

    /// What the file says it is; nothing when it holds no table at all.
    fn identity(&self) -> Result<Option<StoreId>, Refusal> {
        let transaction = self.begin_read()?;
        let table = match transaction.open_table(IDENTITY) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => {
                let mut tables = transaction.list_tables().map_err(store_error)?;
                return if tables.next().is_none() { Ok(None) } else { Err(Refusal::NotAStore) };
            }
            Err(TableError::Storage(error)) => return Err(store_error(error).into()),
            Err(_) => return Err(Refusal::NotAStore),
        };
        let row = |key| -> Result<Vec<u8>, StoreError> {
            let row = table.get(key).map_err(store_error)?;
            row.map(|row| row.value().to_vec()).ok_or_else(|| StoreError::Corrupt(format!("it has no {key}")))
        };
        let version = row(SCHEMA)?.try_into().map(u32::from_be_bytes);
        let version =
            version.map_err(|_| StoreError::Corrupt("its schema version is no number".to_owned()))?;
        if version > SCHEMA_VERSION {
            return Err(Refusal::Newer { found: version });
        }
        let id = StoreId::from_slice(&row(ID)?);
        Ok(Some(id.ok_or_else(|| StoreError::Corrupt("its id has the wrong length".to_owned()))?))
    }

    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    /// Whether commits reach the medium, as far as is known.
    pub(crate) fn takes_commits(&self) -> bool {
        self.writes && !self.failed.load(Ordering::Acquire)
    }

    /// Whether this is only a view beside a medium that refuses writes.
    pub(crate) fn is_view(&self) -> bool {
        !self.writes
    }

    /// Remembers that the handle is of no more use for writing.
    pub(crate) fn note_failure(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Ends all reading and writing through this handle.
    pub(crate) fn retire(&self) {
        self.handle.allow(Access::Nothing);
    }

    /// Lets readers use the handle again, for want of a better one.
    pub(crate) fn keep_for_reading(&self) {
        self.note_failure();
        self.handle.allow(Access::Read);
    }

    fn database(&self) -> &Database {
        // Taken only in `drop`.
        self.database.as_ref().expect("a generation holds its database until it is dropped")
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.database().begin_read().map_err(store_error)
    }

    /// Writes the batch, durably, with one sync; redb's default durability is immediate.
    pub(crate) fn commit(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let transaction = self.database().begin_write().map_err(store_error)?;
        let mut writes = batch.iter().peekable();
        while let Some((table, ..)) = writes.peek().copied() {
            let mut rows = transaction.open_table(definition(table)).map_err(store_error)?;
            while let Some((_, key, value)) = writes.next_if(|write| write.0 == table) {
                match value {
                    Some(value) => rows.insert(key, value).map_err(store_error)?,
                    None => rows.remove(key).map_err(store_error)?,
                };
            }
        }
        transaction.commit().map_err(store_error)
    }

    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        value(&self.begin_read()?, table, key)
    }

    pub(crate) fn rows(
        &self,
        table: Table,
        range: KeyRange<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        rows(&self.begin_read()?, table, range, limit)
    }

    pub(crate) fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        last_row(&self.begin_read()?, table, range)
    }

    /// Moves pages to the front of the file and cuts it; needs the handle for itself.
    pub(crate) fn shrink(&mut self) -> Result<(), StoreError> {
        let Some(database) = &mut self.database else { return Ok(()) };
        // Each call moves what it can; none is left to move when it says so.
        while database.compact().map_err(store_error)? {}
        Ok(())
    }

    /// The last commit, kept.
    pub(crate) fn snapshot(self: &Arc<Self>) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { transaction: self.begin_read()?, generation: self.clone() })
    }
}

/// Looks into a table as of a transaction; one never written to is empty.
fn look<T: Default>(
    transaction: &ReadTransaction,
    table: Table,
    look: impl FnOnce(redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match transaction.open_table(definition(table)) {
        Ok(rows) => look(rows),
        Err(TableError::TableDoesNotExist(_)) => Ok(T::default()),
        Err(error) => Err(store_error(error)),
    }
}

pub(crate) fn value(
    transaction: &ReadTransaction,
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    look(transaction, table, |rows| {
        Ok(rows.get(key).map_err(store_error)?.map(|value| value.value().to_vec()))
    })
}

pub(crate) fn rows(
    transaction: &ReadTransaction,
    table: Table,
    range: KeyRange<'_>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    look(transaction, table, |rows| {
        let found = rows.range::<&[u8]>((range.start, range.end)).map_err(store_error)?;
        found.take(limit).map(owned).collect()
    })
}

pub(crate) fn last_row(
    transaction: &ReadTransaction,
    table: Table,
    range: KeyRange<'_>,
) -> Result<Option<Row>, StoreError> {
    if range.is_empty() {
        return Ok(None);
    }
    look(transaction, table, |rows| {
        let mut found = rows.range::<&[u8]>((range.start, range.end)).map_err(store_error)?;
        found.next_back().map(owned).transpose()
    })
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Closing writes redb's allocator state, so that the next open need not walk every page. It
        // may fail or panic on a damaged file; the next open then walks them.
        let database = self.database.take();
        let _ = contain(|| {
            drop(database);
            Ok(())
        });
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

type Found<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);

fn owned(found: Result<Found<'_>, redb::StorageError>) -> Result<Row, StoreError> {
    let (key, value) = found.map_err(store_error)?;
    Ok((key.value().to_vec(), value.value().to_vec()))
}
