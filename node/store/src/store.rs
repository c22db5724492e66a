//! The store: one writer, many readers, and the replacement of a handle that an error broke.

use std::fs::{File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::StorageBackend;
use redb::backends::FileBackend;
use rustix::fs::OFlags;
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Row, Store, StoreError, StoreRead, Table, WriteBatch};

use crate::fault::contain;
use crate::generation::{Generation, How, Refusal};
use crate::image::BLOCK_BYTES;
use crate::layout::LOG_BLOCKS_MAX;
use crate::log::Damage;
use crate::medium::{Medium, OnFile};
use crate::open::{OpenError, StoreOptions, WhenMissing};
use crate::salvage::Salvage;
use crate::takeover::Takeover;

/// A read is tried again only after the handle it used was replaced, so a slow reader may meet several that
/// broke meanwhile. Past this many the disk is failing faster than it is worth following.
const READ_ATTEMPTS: usize = 64;

/// A [`Store`] kept by redb. Dropping it closes the file once the reads in flight have ended;
/// readers kept beyond that get errors.
pub struct RedbStore {
    shared: Arc<Shared>,
    /// The last commit met a full disk: room is looked for before the next one is tried.
    full: bool,
}

/// What the writer and the readers share.
struct Shared {
    id: StoreId,
    medium: Arc<Medium>,
    how: How,
    /// `None` once the store is closed.
    current: RwLock<Option<Arc<Generation>>>,
    /// Held through a commit and through what repairs after one. A reader waits for it only after
    /// its read failed, to learn whether there is a new handle, or to get one after a takeover failed.
    writing: Mutex<()>,
}

impl RedbStore {
    /// Opens the store in the file `path`, with mode 0600 if it is created.
    ///
    /// # Errors
    /// [`OpenError`], in words for an operator.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let place = path.display().to_string();
        let existed = path.exists();
        let file = open_file(path, options.when_missing, &place)?;
        let disk = |error| OpenError::at(place.clone(), Refusal::Disk(error));
        let backend = file.try_clone().map_err(disk)?;
        let backend =
            FileBackend::new(backend).map_err(|error| OpenError::at(place.clone(), error.into()))?;
        let log = open_log(path, &file).map_err(disk)?;
        let on_file = OnFile { file, log, path: path.to_owned() };
        let store = Self::on_medium(Medium::new(Box::new(backend), Some(on_file)), options, place.clone())?;
        if !existed {
            // The file's name must survive a crash as well as its bytes.
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new("."))).and_then(|file| file.sync_all()).map_err(disk)?;
        }
        Ok(store)
    }

    /// Opens the store on any backend.
    ///
    /// # Errors
    /// [`OpenError`], with "the backend" as the place.
    pub fn with_backend(backend: impl StorageBackend, options: StoreOptions) -> Result<Self, OpenError> {
        Self::on_medium(Medium::new(Box::new(backend), None), options, "the backend".to_owned())
    }

    fn on_medium(medium: Arc<Medium>, options: StoreOptions, place: String) -> Result<Self, OpenError> {
        let how = How {
            missing: options.when_missing,
            cache_bytes: options.cache_bytes,
            log_blocks: u32::try_from(options.log_bytes / BLOCK_BYTES)
                .map_or(LOG_BLOCKS_MAX, |blocks| blocks.min(LOG_BLOCKS_MAX)),
            takeover: options.takeover,
            damage: Damage::Refuse,
        };
        // The last process may have ended after a sync that failed.
        medium.distrust_cache();
        let generation = Generation::check(&medium, how)
            .and_then(|()| Generation::open(&medium, how))
            .map_err(|refusal| OpenError::at(place, refusal))?;
        Ok(Self { shared: Arc::new(Shared::new(medium, how, generation)), full: false })
    }

    /// Opens a store that [`Self::open`] calls damaged, for what can be read of it, and writes nothing.
    ///
    /// # Errors
    /// [`OpenError`] when there is nothing that can be read as a store.
    pub fn read_damaged(path: &Path) -> Result<Salvage, OpenError> {
        let place = path.display().to_string();
        let file = open_file(path, WhenMissing::Refuse, &place)?;
        let backend = FileBackend::new(file).map_err(|error| OpenError::at(place.clone(), error.into()))?;
        Salvage::of(Medium::new(Box::new(backend), None), place)
    }

    /// [`Self::read_damaged`] on any backend.
    ///
    /// # Errors
    /// As there, with "the backend" as the place.
    pub fn read_damaged_backend(backend: impl StorageBackend) -> Result<Salvage, OpenError> {
        Salvage::of(Medium::new(Box::new(backend), None), "the backend".to_owned())
    }

    /// What redb reads of a damaged medium, and what is wrong with its log.
    pub(crate) fn view_damaged(
        medium: &Arc<Medium>,
    ) -> Result<(Arc<dyn StoreRead>, Option<String>), Refusal> {
        let how = How {
            missing: WhenMissing::Refuse,
            cache_bytes: crate::CACHE_BYTES,
            log_blocks: 0,
            takeover: Takeover::InTurn,
            damage: Damage::ReadBefore,
        };
        let view = Generation::view(medium, how)?;
        let log_damage = view.log_damage().map(str::to_owned);
        Ok((Arc::new(Shared::new(Arc::clone(medium), how, view)), log_damage))
    }

    /// Makes the file as small as what it holds, and closes the store. Readers must be gone.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or somebody still reads; nothing is lost then.
    pub fn shrink(self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        // A reader that replaces a broken handle must not open the store again behind this.
        let _writing = shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        let taken = current.take().map(Arc::try_unwrap);
        drop(current);
        match taken {
            Some(Ok(mut generation)) => contain(|| generation.shrink()),
            _ => Err(StoreError::Io("somebody still reads the store".to_owned())),
        }
    }

    fn try_commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut generation = self.shared.current()?;
        if self.full && !self.shared.medium.has_room() {
            return Err(StoreError::Full);
        }
        generation.make_room(batch);
        if !generation.takes_commits() {
            self.shared.recover(&generation)?;
            generation = self.shared.current()?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        contain(|| generation.commit(batch)).inspect_err(|_| {
            generation.note_failure();
            // Whether or not a new handle can be had now, this batch failed; the next commit tries again.
            let _ = self.shared.recover(&generation);
        })
    }
}

fn refused(refusal: Refusal) -> StoreError {
    match refusal {
        Refusal::Store(error) => error,
        Refusal::Disk(error) => crate::fault::io_error(&error),
        Refusal::InUse => StoreError::Io("another process took the store".to_owned()),
        Refusal::Missing | Refusal::NotAStore => StoreError::Corrupt("its first page is gone".to_owned()),
        Refusal::Newer { found, .. } | Refusal::Older { found, .. } => {
            StoreError::Corrupt(format!("its schema version became {found}"))
        }
    }
}

fn open_file(path: &Path, when_missing: WhenMissing, place: &str) -> Result<File, OpenError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| matches!(directory.try_exists(), Ok(false))) {
        return Err(OpenError::NoDirectory { directory: directory.to_owned() });
    }
    let create = matches!(when_missing, WhenMissing::Create(_));
    let opened =
        OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path);
    let file = opened.map_err(|error: IoError| match error.kind() {
        ErrorKind::NotFound if !create => OpenError::Missing { place: place.to_owned() },
        ErrorKind::IsADirectory => OpenError::NotAStore { place: place.to_owned() },
        _ => OpenError::at(place.to_owned(), Refusal::Disk(error)),
    })?;
    let metadata = file.metadata().map_err(|error| OpenError::at(place.to_owned(), Refusal::Disk(error)))?;
    if metadata.is_file() { Ok(file) } else { Err(OpenError::NotAStore { place: place.to_owned() }) }
}

/// Opens the file of a store once more, for the log alone: what is written through it is durable when the
/// write returns. Locks belong to the other opening and stay with it.
fn open_log(path: &Path, file: &File) -> Result<File, IoError> {
    let flags = OFlags::DSYNC.bits().cast_signed();
    let log = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
    let place = |file: &File| file.metadata().map(|metadata| (metadata.dev(), metadata.ino()));
    if place(&log)? == place(file)? {
        Ok(log)
    } else {
        Err(IoError::other("another file took its place while it was opened"))
    }
}

impl Shared {
    fn new(medium: Arc<Medium>, how: How, generation: Generation) -> Self {
        let id = generation.id();
        let how = How { missing: WhenMissing::Refuse, ..how };
        Self { id, medium, how, current: RwLock::new(Some(Arc::new(generation))), writing: Mutex::new(()) }
    }

    fn current(&self) -> Result<Arc<Generation>, StoreError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ok_or_else(|| StoreError::Io("the store was closed".to_owned()))
    }

    /// Puts a new handle in the place of a broken one; when the disk does not allow that, at least a
    /// view for the readers. Whoever calls this holds `writing`.
    fn recover(&self, broken: &Arc<Generation>) -> Result<(), StoreError> {
        if !broken.is_view() {
            broken.retire();
        }
        self.medium.distrust_cache();
        let opened = Generation::open(&self.medium, self.how);
        let refusal = match opened {
            Ok(generation) if generation.id() == self.id => {
                self.replace(Some(generation));
                broken.retire();
                return Ok(());
            }
            Ok(_) => Refusal::Store(StoreError::Corrupt("another store is in its place".to_owned())),
            Err(refusal) => refusal,
        };
        if !broken.is_view() {
            match Generation::view(&self.medium, self.how) {
                Ok(view) if view.id() == self.id => self.replace(Some(view)),
                // Nothing has been written since, so the pages it reads are still the right ones.
                _ => broken.keep_for_reading(),
            }
        }
        Err(refused(refusal))
    }

    fn replace(&self, generation: Option<Generation>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, generation.map(Arc::new));
        drop(current);
        // Closing a handle may take a while; readers have the new one by now.
        drop(old);
    }

    fn read<T>(&self, look: impl Fn(&Arc<Generation>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut generation = self.current()?;
        for _ in 1..READ_ATTEMPTS {
            match contain(|| look(&generation)) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut current = self.current()?;
                    if Arc::ptr_eq(&current, &generation) && generation.lost_a_takeover() {
                        // No commit was there to notice, and none may come.
                        let _ = self.recover(&generation);
                        current = self.current()?;
                    }
                    drop(writing);
                    if Arc::ptr_eq(&current, &generation) {
                        // redb goes on after damage it could name, but not after an error of the disk.
                        if !matches!(error, StoreError::Corrupt(_)) {
                            generation.note_failure();
                        }
                        return Err(error);
                    }
                    generation = current;
                }
            }
        }
        contain(|| look(&generation))
    }
}

impl StoreRead for Shared {
    fn store_id(&self) -> StoreId {
        self.id
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|generation| generation.value(table, key))
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.read(|generation| generation.rows(table, range, limit))
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.read(|generation| generation.last_row(table, range))
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.read(|generation| Ok(Arc::new(generation.snapshot()?) as Arc<dyn StoreRead>))
    }
}

impl StoreRead for RedbStore {
    fn store_id(&self) -> StoreId {
        self.shared.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.value(table, key)
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.shared.rows(table, range, limit)
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        self.shared.last_row(table, range)
    }

    fn snapshot(&self) -> Result<Arc<dyn StoreRead>, StoreError> {
        self.shared.snapshot()
    }
}

impl Store for RedbStore {
    fn reader(&self) -> Arc<dyn StoreRead> {
        Arc::clone(&self.shared) as Arc<dyn StoreRead>
    }

    /// An empty batch writes nothing, but replaces a broken handle.
    fn commit(&mut self, batch: &WriteBatch) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let writing = shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.try_commit(batch);
        drop(writing);
        self.full = done == Err(StoreError::Full);
        done
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // A reader that replaces a broken handle must not open the store again behind this.
        let _writing = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.replace(None);
    }
}
