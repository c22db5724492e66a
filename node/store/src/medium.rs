//! Between redb, the log and the bytes: one medium, used by one handle after another.
//!
//! After any error of the disk a redb handle refuses everything for ever, so the store opens a new
//! one on the same medium. [`Handle`] makes that safe: a retired handle neither writes nor reads
//! (pages it knew may have been written over since), and the medium's lock is held throughout, so
//! no other process gets in between two handles.

use std::fmt;
use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Result as IoResult, Write};
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

use crate::image::{BLOCK_BYTES, Image};
use crate::layout::Layout;

/// Room a disk that was full must offer before a commit is tried again, in bytes. Too small and a
/// commit fails half way and costs another repair; too large and a small disk never recovers.
const ROOM_BYTES: usize = 1024 * 1024;

/// Bytes that may be written beside a medium that refuses writes: opening touches the header and a
/// few pages of redb's own bookkeeping. Past it the write fails.
const BESIDE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes of one store, closed when the last handle is gone.
#[derive(Debug)]
pub(crate) struct Medium {
    backend: Box<dyn StorageBackend>,
    file: Option<OnFile>,
}

/// What a medium that is a file can do beyond reading and writing.
#[derive(Debug)]
pub(crate) struct OnFile {
    /// The file the backend uses.
    pub(crate) file: File,
    /// The same file, opened once more, for the log alone: a write that returned is durable.
    pub(crate) log: File,
    /// Its path.
    pub(crate) path: PathBuf,
}

impl Medium {
    pub(crate) fn new(backend: Box<dyn StorageBackend>, file: Option<OnFile>) -> Arc<Self> {
        Arc::new(Self { backend, file })
    }

    pub(crate) fn backend(&self) -> &dyn StorageBackend {
        self.backend.as_ref()
    }

    fn pages(&self, layout: Layout) -> Pages<'_> {
        Pages { backend: self.backend(), start: layout.pages_start() }
    }

    /// Writes into the log, durably.
    ///
    /// Linux reports that a page could not be written once to each opening of a file. With one opening for
    /// the log and redb, the sync of a takeover could be told of a block of the log, and the commit that
    /// wrote it not. And what the log's opening writes waits for its own blocks only, not for what redb
    /// wrote meanwhile.
    fn append_log(&self, offset: u64, bytes: &[u8]) -> IoResult<()> {
        match &self.file {
            Some(on_file) => on_file.log.write_all_at(bytes, offset),
            None => {
                self.backend.write(offset, bytes)?;
                self.backend.sync_data()
            }
        }
    }

    /// Whether a full disk has room again. Asked by writing: free space as a number knows nothing of
    /// quotas. A medium that is no file is always worth a try.
    pub(crate) fn has_room(&self) -> bool {
        let Some(on_file) = &self.file else {
            return true;
        };
        let mut path = on_file.path.clone().into_os_string();
        path.push(".room");
        let tried = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0; ROOM_BYTES])?;
            file.sync_data()
        });
        let removed = std::fs::remove_file(&path);
        tried.is_ok() && removed.is_ok()
    }

    /// Forgets what the operating system holds in memory of the file. After a failed sync, Linux
    /// marks pages as clean that never reached the disk; the next handle must see the disk itself.
    pub(crate) fn distrust_cache(&self) {
        if let Some(on_file) = &self.file {
            // Advice: where it is not taken, the next sync still reports what it can.
            let _ = rustix::fs::fadvise(&on_file.file, 0, None, rustix::fs::Advice::DontNeed);
        }
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        // Nobody is left to tell; the lock goes with the file anyway.
        let _ = self.backend.close();
    }
}

/// The part of a medium that is redb's.
#[derive(Clone, Copy)]
struct Pages<'a> {
    backend: &'a dyn StorageBackend,
    start: u64,
}

impl Pages<'_> {
    fn len(self) -> IoResult<u64> {
        Ok(self.backend.len()?.saturating_sub(self.start))
    }

    fn read(self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        self.backend.read(self.start + offset, out)
    }

    fn set_len(self, len: u64) -> IoResult<()> {
        self.backend.set_len(self.start + len)
    }

    fn write(self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.backend.write(self.start + offset, data)
    }
}

/// Where one handle's writes go.
enum Writes {
    /// To the medium.
    Through,
    /// Into memory: the medium refuses writes, and only reading is wanted.
    Beside(Mutex<Beside>),
}

/// What was written beside a medium.
struct Beside {
    image: Image,
    /// How much of the medium still shows through.
    shows: u64,
}

impl Beside {
    fn read(&self, medium: Pages<'_>, offset: u64, out: &mut [u8]) -> IoResult<()> {
        if offset.saturating_add(out.len() as u64) > self.image.len() {
            return Err(IoError::from(ErrorKind::UnexpectedEof));
        }
        let held = self.shows.saturating_sub(offset).min(out.len() as u64);
        let (old, new) = out.split_at_mut(held as usize);
        medium.read(offset, old)?;
        new.fill(0);
        self.image.lay_over(offset, out);
        Ok(())
    }

    fn write(&mut self, medium: Pages<'_>, offset: u64, data: &[u8]) -> IoResult<()> {
        let missing = self.image.missing(offset, data.len());
        if (self.image.blocks() + missing.len()) * BLOCK_BYTES > BESIDE_BYTES_MAX {
            return Err(IoError::from(ErrorKind::StorageFull));
        }
        // The image holds whole blocks, so what the write leaves of one comes from the medium.
        let len = self.image.len();
        for block in missing {
            let start = block * BLOCK_BYTES as u64;
            let held = self.shows.saturating_sub(start).min(BLOCK_BYTES as u64) as usize;
            let mut bytes = [0; BLOCK_BYTES];
            medium.read(start, &mut bytes[..held])?;
            self.image.write(start, &bytes);
        }
        self.image.resize(len);
        self.image.write(offset, data);
        Ok(())
    }

    fn resize(&mut self, len: u64) {
        self.image.resize(len);
        self.shows = self.shows.min(len);
    }
}

/// What a handle may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// Nothing: another handle took its place.
    Nothing,
    /// Read.
    Read,
    /// Read and write.
    #[default]
    ReadAndWrite,
}

/// One redb handle's way to the medium: redb's offsets count from its first page, past the log, which the
/// store reads and writes by itself.
#[derive(Clone)]
pub(crate) struct Handle {
    medium: Arc<Medium>,
    layout: Layout,
    writes: Arc<Writes>,
    access: Arc<RwLock<Access>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("medium", &self.medium).finish_non_exhaustive()
    }
}

impl Handle {
    /// A handle that reads and writes the medium.
    pub(crate) fn through(medium: &Arc<Medium>, layout: Layout) -> Self {
        Self::new(medium, layout, Writes::Through)
    }

    /// A handle that reads the medium and keeps its writes in memory.
    pub(crate) fn beside(medium: &Arc<Medium>, layout: Layout) -> IoResult<Self> {
        let mut beside = Beside { image: Image::default(), shows: medium.pages(layout).len()? };
        beside.image.resize(beside.shows);
        Ok(Self::new(medium, layout, Writes::Beside(Mutex::new(beside))))
    }

    fn new(medium: &Arc<Medium>, layout: Layout, writes: Writes) -> Self {
        Self { medium: Arc::clone(medium), layout, writes: Arc::new(writes), access: Arc::default() }
    }

    fn pages(&self) -> Pages<'_> {
        self.medium.pages(self.layout)
    }

    /// Where log and pages lie.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Makes the layout one of this version.
    pub(crate) fn raise_layout(&self) -> IoResult<Layout> {
        self.with(Access::ReadAndWrite, || self.layout.raise(self.medium.backend()))
    }

    /// Reads the log from so far into it.
    pub(crate) fn read_log(&self, at: usize, out: &mut [u8]) -> IoResult<()> {
        if out.is_empty() {
            return Ok(());
        }
        self.with(Access::Read, || self.medium.backend.read(Layout::LOG_START + at as u64, out))
    }

    /// Writes so far into the log, durably.
    pub(crate) fn append_log(&self, at: usize, bytes: &[u8]) -> IoResult<()> {
        let offset = Layout::LOG_START + at as u64;
        self.with(Access::ReadAndWrite, || self.medium.append_log(offset, bytes))
    }

    /// Writes pieces of the log, each so far into it, and syncs the whole medium.
    pub(crate) fn settle_log(&self, pieces: &[(usize, Vec<u8>)]) -> IoResult<()> {
        self.with(Access::ReadAndWrite, || {
            for (at, bytes) in pieces {
                self.medium.backend.write(Layout::LOG_START + *at as u64, bytes)?;
            }
            if pieces.is_empty() { Ok(()) } else { self.medium.backend.sync_data() }
        })
    }

    /// Changes what the handle may do, once it has finished what it is doing now.
    pub(crate) fn allow(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Runs `work` if the handle may do what `needed` says, which does not change meanwhile.
    fn with<T>(&self, needed: Access, work: impl FnOnce() -> IoResult<T>) -> IoResult<T> {
        let access = self.access.read().unwrap_or_else(PoisonError::into_inner);
        if *access < needed {
            return Err(IoError::other("the handle was replaced"));
        }
        work()
    }
}

fn lock(beside: &Mutex<Beside>) -> MutexGuard<'_, Beside> {
    // A panic between two block copies leaves half a write in memory, which redb's checksums find.
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StorageBackend for Handle {
    fn len(&self) -> IoResult<u64> {
        self.with(Access::Read, || match &*self.writes {
            Writes::Through => self.pages().len(),
            Writes::Beside(beside) => Ok(lock(beside).image.len()),
        })
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        self.with(Access::Read, || match &*self.writes {
            Writes::Through => self.pages().read(offset, out),
            Writes::Beside(beside) => lock(beside).read(self.pages(), offset, out),
        })
    }

    fn set_len(&self, len: u64) -> IoResult<()> {
        self.with(Access::ReadAndWrite, || match &*self.writes {
            Writes::Through => self.pages().set_len(len),
            Writes::Beside(beside) => {
                lock(beside).resize(len);
                Ok(())
            }
        })
    }

    fn sync_data(&self) -> IoResult<()> {
        self.with(Access::ReadAndWrite, || match &*self.writes {
            Writes::Through => self.medium.backend.sync_data(),
            Writes::Beside(_) => Ok(()),
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.with(Access::ReadAndWrite, || match &*self.writes {
            Writes::Through => self.pages().write(offset, data),
            Writes::Beside(beside) => lock(beside).write(self.pages(), offset, data),
        })
    }

    // `close` is left at its default, which does nothing: the medium outlives its handles.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.medium.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.medium.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.medium.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.medium.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.medium.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.medium.backend.query_lock_range(start, end)
    }
}
