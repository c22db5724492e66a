//! One redb handle and its log: opened, identified, used, and thrown away after the first error of the disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase, StorageBackend, TableDefinition, TableError,
};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, Table, WriteBatch};

use crate::SCHEMA_VERSION;
use crate::fault::{contain, store_error};
use crate::layout::Layout;
use crate::log::Log;
use crate::medium::{Access, Handle, Medium};
use crate::open::WhenMissing;
use crate::seen::{Seen, Snapshot, stored_value};

/// The table that says what this file is; every other table belongs to the contract.
const IDENTITY: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("starling");
/// Row of [`IDENTITY`]: version of the tables' layout, 4 bytes, big-endian.
const SCHEMA: &str = "schema";
/// Row of [`IDENTITY`]: the store's id.
const ID: &str = "id";
/// Row of [`IDENTITY`]: number of the last batch of the log that the tables hold, 8 bytes, big-endian;
/// absent while that is none.
const KEPT: &str = "kept";

/// Bytes of a redb file that its creation writes before the magic number, which comes last.
const REDB_HEADER_BYTES: usize = 512;
const REDB_MAGIC_BYTES: usize = 9;
/// A file larger than this was more than created: redb starts with less than 2 MiB.
const CREATION_BYTES_MAX: u64 = 16 * 1024 * 1024;

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

/// How a medium is opened.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) missing: WhenMissing,
    /// redb's page cache.
    pub(crate) cache_bytes: usize,
    /// Blocks of the log of a store that is made now.
    pub(crate) log_blocks: u32,
}

/// A redb handle on a medium, and the log before it.
pub(crate) struct Generation {
    /// What is read; `None` only while nothing may be.
    seen: RwLock<Option<Seen>>,
    /// Only the writer takes it.
    log: Mutex<Log>,
    /// `None` only while dropping.
    database: Option<Database>,
    handle: Handle,
    id: StoreId,
    writes: bool,
    failed: AtomicBool,
}

impl Generation {
    /// Opens the medium for reading and writing.
    pub(crate) fn open(medium: &Arc<Medium>, how: How) -> Result<Self, Refusal> {
        let create = || {
            let backend = medium.backend();
            let is_new =
                matches!(how.missing, WhenMissing::Create(_)) && backend.len().map_err(Refusal::Disk)? == 0;
            let layout =
                if is_new { Layout::create(backend, how.log_blocks) } else { Layout::read(backend) }?;
            Self::create(Handle::through(medium, layout), how, true)
        };
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
    pub(crate) fn view(medium: &Arc<Medium>, how: How) -> Result<Self, Refusal> {
        let layout = Layout::read(medium.backend())?;
        let handle = Handle::beside(medium, layout).map_err(Refusal::Disk)?;
        Self::create(handle, How { missing: WhenMissing::Refuse, ..how }, false)
    }

    fn create(handle: Handle, how: How, writes: bool) -> Result<Self, Refusal> {
        if matches!(how.missing, WhenMissing::Refuse) && handle.len().map_err(Refusal::Disk)? == 0 {
            return Err(Refusal::Missing);
        }
        let backend = handle.clone();
        let opened =
            contain(|| match Builder::new().set_cache_size(how.cache_bytes).create_with_backend(backend) {
                Ok(database) => Ok(Self::on(database, handle, how.missing, writes)),
                Err(error) => Ok(Err(Refusal::from(error))),
            });
        opened?
    }

    fn on(database: Database, handle: Handle, missing: WhenMissing, writes: bool) -> Result<Self, Refusal> {
        let id = identify(&database, missing)?;
        let pages = Arc::new(database.begin_read().map_err(store_error)?);
        let (log, held) = Log::read(&handle, kept(&pages)?)?;
        if writes {
            log.settle(&handle, &held)?;
        }
        let mut logged = WriteBatch::default();
        held.batches.iter().for_each(|batch| logged.absorb(batch));
        Ok(Self {
            seen: RwLock::new(Some(Seen { pages, logged: Arc::new(logged) })),
            log: Mutex::new(log),
            database: Some(database),
            handle,
            id,
            writes,
            failed: AtomicBool::new(false),
        })
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

    /// Writes the batch, durably, with one sync: into the log, or with all of the log into redb.
    pub(crate) fn commit(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if !log.append(&self.handle, batch)? {
            return self.take_over(&mut log, batch);
        }
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.as_mut() {
            Arc::make_mut(&mut seen.logged).absorb(batch);
        }
        Ok(())
    }

    /// Commits what the log holds and one more batch in redb, whose default durability is immediate.
    /// Readers see what they saw until it is done.
    fn take_over(&self, log: &mut Log, batch: &WriteBatch) -> Result<(), StoreError> {
        let kept = log.last() + 1;
        let logged = self.seen()?.logged;
        let transaction = self.database().begin_write().map_err(store_error)?;
        write(&transaction, &logged)?;
        write(&transaction, batch)?;
        if self.handle.log_bytes() > 0 {
            let mut identity = transaction.open_table(IDENTITY).map_err(store_error)?;
            identity.insert(KEPT, &kept.to_be_bytes()[..]).map_err(store_error)?;
        }
        transaction.commit().map_err(store_error)?;
        log.restart(kept);
        let pages = Arc::new(self.database().begin_read().map_err(store_error)?);
        let now = Seen { pages, logged: Arc::default() };
        let before = self.seen.write().unwrap_or_else(PoisonError::into_inner).replace(now);
        // Nobody waits for what it holds to be given back.
        drop(before);
        Ok(())
    }

    /// Leaves nothing in the log.
    fn empty_log(&self) -> Result<(), StoreError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_empty() { Ok(()) } else { self.take_over(&mut log, &WriteBatch::default()) }
    }

    fn seen(&self) -> Result<Seen, StoreError> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.clone().ok_or_else(|| StoreError::Io("the store was closed".to_owned()))
    }

    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        // What is kept of the log past the lock would have to be copied by a commit meanwhile.
        let (pages, logged) = match &*seen {
            Some(seen) => (Arc::clone(&seen.pages), seen.logged.written(table, key)),
            None => return Err(StoreError::Io("the store was closed".to_owned())),
        };
        if let Some(value) = logged {
            return Ok(value.map(<[u8]>::to_vec));
        }
        drop(seen);
        stored_value(&pages, table, key)
    }

    pub(crate) fn rows(
        &self,
        table: Table,
        range: KeyRange<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.seen()?.rows(table, range, limit)
    }

    pub(crate) fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.seen()?.last_row(table, range)
    }

    /// Moves pages to the front of the file and cuts it; needs the handle for itself.
    pub(crate) fn shrink(&mut self) -> Result<(), StoreError> {
        self.empty_log()?;
        // redb moves no page that somebody reads.
        *self.seen.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        let Some(database) = &mut self.database else { return Ok(()) };
        // Each call moves what it can; none is left to move when it says so.
        while database.compact().map_err(store_error)? {}
        Ok(())
    }

    /// The last commit, kept.
    pub(crate) fn snapshot(self: &Arc<Self>) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { seen: self.seen()?, generation: self.clone() })
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        // Closing writes redb's allocator state, so that the next open need not walk every page, and
        // before it what the log holds, so that it need not read that. Both may fail or panic on a
        // damaged file; the next open then does so.
        if self.takes_commits() {
            let _ = contain(|| self.empty_log());
        }
        *self.seen.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        let database = self.database.take();
        let _ = contain(|| {
            drop(database);
            Ok(())
        });
    }
}

/// Finds out what the file is, or makes it a store.
fn identify(database: &Database, missing: WhenMissing) -> Result<StoreId, Refusal> {
    if let Some(id) = identity(database)? {
        return Ok(id);
    }
    match missing {
        WhenMissing::Refuse => Err(Refusal::Missing),
        WhenMissing::Create(id) => {
            let transaction = database.begin_write().map_err(store_error)?;
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
fn identity(database: &Database) -> Result<Option<StoreId>, Refusal> {
    let transaction = database.begin_read().map_err(store_error)?;
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
    let version = version.map_err(|_| StoreError::Corrupt("its schema version is no number".to_owned()))?;
    if version > SCHEMA_VERSION {
        return Err(Refusal::Newer { found: version });
    }
    let id = StoreId::from_slice(&row(ID)?);
    Ok(Some(id.ok_or_else(|| StoreError::Corrupt("its id has the wrong length".to_owned()))?))
}

/// Number of the last batch of the log that redb holds.
fn kept(pages: &ReadTransaction) -> Result<u64, StoreError> {
    let table = pages.open_table(IDENTITY).map_err(store_error)?;
    let Some(row) = table.get(KEPT).map_err(store_error)? else { return Ok(0) };
    let number = row.value().try_into().map(u64::from_be_bytes);
    number.map_err(|_| StoreError::Corrupt("the number of its last commit is none".to_owned()))
}

/// Writes the rows of a batch.
fn write(transaction: &redb::WriteTransaction, batch: &WriteBatch) -> Result<(), StoreError> {
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
    Ok(())
}

pub(crate) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// Whether the bytes are those of a redb file whose creation a crash cut short: no magic number yet,
/// which is written last, and nothing after the header.
fn creation_was_interrupted(backend: &dyn StorageBackend) -> std::io::Result<bool> {
    let start = Layout::read(backend).map_or(0, Layout::pages_start);
    let len = backend.len()?.saturating_sub(start);
    if len == 0 || len > CREATION_BYTES_MAX {
        return Ok(false);
    }
    let mut bytes = vec![0; len as usize];
    backend.read(start, &mut bytes)?;
    let blank = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let magic = &bytes[..REDB_MAGIC_BYTES.min(bytes.len())];
    let after_header = bytes.get(REDB_HEADER_BYTES..).unwrap_or_default();
    Ok(blank(magic) && blank(after_header))
}
