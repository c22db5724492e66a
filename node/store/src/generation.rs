//! One redb handle and its log: opened, identified, used, and thrown away after the first error of the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Builder, Database, StorageBackend};
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, StoreError, Table, WriteBatch};

use crate::check;
use crate::fault::{contain, store_error};
use crate::header::creation_was_interrupted;
use crate::layout::{Layout, lock};
use crate::log::{Damage, Log, Place};
use crate::medium::{Access, Handle, Medium};
use crate::open::WhenMissing;
use crate::seen::{Snapshot, first_rows, last_row, stored_value};
use crate::tables::{IDENTITY_NAME, Identity, Tables};
use crate::takeover::{Hand, Takeover};

/// Why a medium could not be opened; [`crate::OpenError`] adds where and what to do.
#[derive(Debug)]
pub(crate) enum Refusal {
    InUse,
    Missing,
    NotAStore,
    Newer { found: u32, known: u32 },
    Older { found: u32, known: u32 },
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
    /// Who takes a full part of the log over.
    pub(crate) takeover: Takeover,
    /// What a damaged log means.
    pub(crate) damage: Damage,
}

/// A redb handle on a medium, and the log before it.
pub(crate) struct Generation {
    /// Only the writer takes it. Ends first, since its hand may be at work on the tables.
    writer: Mutex<Writer>,
    /// `None` only while dropping. Shared with the hand while that is at work.
    tables: Option<Arc<Tables>>,
    handle: Handle,
    id: StoreId,
    writes: bool,
    /// What is wrong with its log, where that was read as far as it goes.
    log_damage: Option<String>,
}

/// What the writer has to itself.
struct Writer {
    log: Log,
    hand: Hand,
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
        let layout = match how.damage {
            Damage::Refuse => Layout::read(medium.backend())?,
            Damage::ReadBefore => Layout::find(medium.backend())?,
        };
        let handle = Handle::beside(medium, layout).map_err(Refusal::Disk)?;
        Self::create(handle, How { missing: WhenMissing::Refuse, ..how }, false)
    }

    /// Looks at all that is on a medium, without a single write: whether its pages and its log are what was
    /// written, and whether it is a store.
    ///
    /// Without this a bit that flipped while the file lay closed shows when its page is read, or never: redb
    /// compares checksums only when it recovers, and then it writes first.
    pub(crate) fn check(medium: &Arc<Medium>, how: How) -> Result<(), Refusal> {
        let backend = medium.backend();
        // What somebody else writes meanwhile would look like damage.
        lock(backend)?;
        let layout = Layout::read(backend)?;
        let Some(looked) = check::look(backend, layout.pages_start(), IDENTITY_NAME)? else { return Ok(()) };
        let identity = match (looked.identity, how.missing) {
            (Some(rows), _) => Identity::read(|key| Ok(rows.get(key.as_bytes()).cloned()))?,
            (None, _) if looked.has_tables => return Err(Refusal::NotAStore),
            // Made, and cut short before its first row.
            (None, WhenMissing::Create(_)) => return Ok(()),
            (None, WhenMissing::Refuse) => return Err(Refusal::Missing),
        };
        Log::read(&Handle::through(medium, layout), identity.kept, Damage::Refuse)?;
        Ok(())
    }

    fn create(handle: Handle, how: How, writes: bool) -> Result<Self, Refusal> {
        if matches!(how.missing, WhenMissing::Refuse) && handle.len().map_err(Refusal::Disk)? == 0 {
            return Err(Refusal::Missing);
        }
        let backend = handle.clone();
        let opened =
            contain(|| match Builder::new().set_cache_size(how.cache_bytes).create_with_backend(backend) {
                Ok(database) => Ok(Self::on(database, handle, how, writes)),
                Err(error) => Ok(Err(Refusal::from(error))),
            });
        opened?
    }

    fn on(database: Database, handle: Handle, how: How, writes: bool) -> Result<Self, Refusal> {
        let (tables, identity) = Tables::open(database, how.missing, handle.layout().has_log())?;
        let read = Self::read_log(&tables, identity.kept, &handle, how.damage, writes);
        let (log, log_damage) = read.inspect_err(|_| {
            // redb writes when it closes, and an older handle may still be read for want of a better one.
            handle.allow(Access::Nothing);
        })?;
        let writer = Writer { log, hand: Hand::new(how.takeover) };
        Ok(Self {
            writer: Mutex::new(writer),
            tables: Some(Arc::new(tables)),
            handle,
            id: identity.id,
            writes,
            log_damage,
        })
    }

    /// Reads the log and lays what it holds over redb's tables.
    fn read_log(
        tables: &Tables,
        kept: u64,
        handle: &Handle,
        damage: Damage,
        writes: bool,
    ) -> Result<(Log, Option<String>), Refusal> {
        let (mut log, held) = Log::read(handle, kept, damage)?;
        if writes {
            log.settle(handle, &held)?;
            if log.is_empty() && handle.layout().is_old() {
                log.divide(handle.raise_layout().map_err(Refusal::Disk)?);
            }
        }
        held.frozen.iter().try_for_each(|batch| tables.lay_over(batch))?;
        if log.is_frozen() {
            tables.freeze()?;
        }
        held.current.iter().try_for_each(|batch| tables.lay_over(batch))?;
        Ok((log, held.damage))
    }

    /// What is wrong with its log, where that was read as far as it goes.
    pub(crate) fn log_damage(&self) -> Option<&str> {
        self.log_damage.as_deref()
    }

    pub(crate) fn id(&self) -> StoreId {
        self.id
    }

    /// Whether commits reach the medium, as far as is known.
    pub(crate) fn takes_commits(&self) -> bool {
        self.writes && !self.tables().has_failed()
    }

    /// Whether this is only a view beside a medium that refuses writes.
    pub(crate) fn is_view(&self) -> bool {
        !self.writes
    }

    /// Remembers that the handle is of no more use for writing.
    pub(crate) fn note_failure(&self) {
        self.tables().note_failure();
    }

    /// Whether a takeover broke the handle beside its commits; waits for one that runs, and tells it once.
    pub(crate) fn lost_a_takeover(&self) -> bool {
        let _ = self.writer().wait();
        self.tables().lost_a_takeover()
    }

    /// Ends all reading and writing through this handle, also that of a takeover.
    pub(crate) fn retire(&self) {
        self.handle.allow(Access::Nothing);
        // The log's next reader finds out what became of it.
        let _ = self.writer().hand.wait();
    }

    /// Lets readers use the handle again, for want of a better one.
    pub(crate) fn keep_for_reading(&self) {
        self.note_failure();
        self.handle.allow(Access::Read);
    }

    fn tables(&self) -> &Arc<Tables> {
        // Taken only in `drop`.
        self.tables.as_ref().expect("a generation holds its tables until it is dropped")
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic is an error, after which nothing more is written through this handle.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the takeover whose part the batch needs. If that failed, the handle takes no commits.
    pub(crate) fn make_room(&self, batch: &WriteBatch) {
        let mut writer = self.writer();
        if writer.log.place(batch) != Place::Here {
            let _ = writer.wait();
        }
    }

    /// Writes the batch, durably, with one sync: into the log, or with all of the log into redb.
    pub(crate) fn commit(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut writer = self.writer();
        match writer.log.place(batch) {
            Place::Here => {}
            Place::OtherPart if writer.other_part_is_free()? => self.freeze(&mut writer)?,
            // Too large for a part; or both are in use and nobody is at it: so a crash left them.
            Place::OtherPart | Place::Redb => return self.take_all_over(&mut writer, batch),
        }
        writer.log.append(&self.handle, batch)?;
        self.tables().lay_over(batch)
    }

    /// Goes on in the other part of the log, and lets the one that was written be taken over.
    fn freeze(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let frozen = self.tables().freeze()?;
        writer.log.freeze();
        let (tables, kept) = (Arc::clone(self.tables()), writer.log.last());
        writer.hand.begin(move || {
            // The next commit, or a read that fails, puts a new handle in this one's place, which reads the log
            // again.
            contain(|| tables.take_over(&frozen, kept)).inspect_err(|_| tables.note_lost_takeover())
        });
        Ok(())
    }

    /// Commits what the log holds and one more batch in redb, here and now.
    fn take_all_over(&self, writer: &mut Writer, batch: &WriteBatch) -> Result<(), StoreError> {
        writer.wait()?;
        let kept = writer.log.last() + 1;
        self.tables().take_all_over(batch, kept)?;
        writer.log.restart(kept);
        Ok(())
    }

    /// Leaves nothing in the log.
    fn empty_log(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.wait()?;
        if writer.log.is_empty() { Ok(()) } else { self.take_all_over(&mut writer, &WriteBatch::default()) }
    }

    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.tables().look(|seen| seen.written(table, key))? {
            (_, Some(value)) => Ok(value),
            (pages, None) => stored_value(&pages, table, key),
        }
    }

    pub(crate) fn rows(
        &self,
        table: Table,
        range: KeyRange<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (pages, written) = self.tables().look(|seen| seen.first_written(table, range, limit))?;
        first_rows(&pages, table, range, limit, written)
    }

    pub(crate) fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        let (pages, written) = self.tables().look(|seen| seen.last_written(table, range))?;
        last_row(&pages, table, range, written)
    }

    /// Moves pages to the front of the file and cuts it; needs the handle for itself.
    pub(crate) fn shrink(&mut self) -> Result<(), StoreError> {
        self.empty_log()?;
        self.tables_alone().map_or(Ok(()), Tables::compact)
    }

    /// The tables, which nobody else holds while no takeover runs.
    fn tables_alone(&mut self) -> Option<&mut Tables> {
        self.tables.as_mut().and_then(Arc::get_mut)
    }

    /// The last commit, kept.
    pub(crate) fn snapshot(self: &Arc<Self>) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { seen: self.tables().seen()?, generation: self.clone() })
    }
}

impl Writer {
    /// Waits for the takeover that was begun, if one was; then its part is free.
    fn wait(&mut self) -> Result<(), StoreError> {
        if let Some(done) = self.hand.wait() {
            done?;
            self.log.release();
        }
        Ok(())
    }

    /// Whether the part of the log that is not written is free, now or when its takeover has ended.
    fn other_part_is_free(&mut self) -> Result<bool, StoreError> {
        self.wait()?;
        Ok(!self.log.is_frozen())
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
        // What is left to do is done here, and not where a takeover ends.
        let _ = self.writer().hand.wait();
        let tables = self.tables.take();
        let _ = contain(|| {
            drop(tables);
            Ok(())
        });
    }
}
