//! How a store is opened, and why it may not be.

use std::path::PathBuf;

use starling_crdt::id::StoreId;
use starling_crdt::store::StoreError;

use crate::generation::Refusal;
use crate::takeover::Takeover;
use crate::{CACHE_BYTES, LOG_BYTES};

/// What to do where no store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Create one with this id, which the caller draws at random each time and which is used only
    /// when the store is new.
    Create(StoreId),
    /// Fail with [`OpenError::Missing`].
    Refuse,
}

/// How to open a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// What to do where no store is.
    pub when_missing: WhenMissing,
    /// Memory for pages, in bytes; [`CACHE_BYTES`] says what too small and too large do.
    pub cache_bytes: usize,
    /// Bytes of the log of a store that is created now; [`LOG_BYTES`] says what too small and too large do.
    /// Without a log, as in stores of releases before it, every commit is one of redb's.
    pub log_bytes: usize,
    /// Who takes a full part of the log over into redb.
    pub takeover: Takeover,
}

impl StoreOptions {
    /// Opens the store, or creates it with `id`.
    pub fn create(id: StoreId) -> Self {
        Self::of(WhenMissing::Create(id))
    }

    /// Opens the store, which must be there.
    pub fn existing() -> Self {
        Self::of(WhenMissing::Refuse)
    }

    fn of(when_missing: WhenMissing) -> Self {
        Self { when_missing, cache_bytes: CACHE_BYTES, log_bytes: LOG_BYTES, takeover: Takeover::Beside }
    }
}

/// Why a store could not be opened. Nothing was changed on the disk, except that a crash's traces
/// may have been cleaned up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No store is there and none was to be created.
    #[error(
        "there is no store at {place}; start a node with this data directory first, or name the right one with --data-dir"
    )]
    Missing {
        /// Path of the store.
        place: String,
    },
    /// The directory that should hold the store does not exist.
    #[error("the directory {} does not exist; create it, or name another with --data-dir", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The operating system does not let this user read and write the store.
    #[error(
        "not permitted to open {place} for reading and writing; run as the user who owns it, or correct its owner and mode"
    )]
    NotPermitted {
        /// Path of the store.
        place: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process, or another part of this one, has the store open.
    #[error(
        "{place} is in use by another node or command; stop it, or give this one a data directory of its own"
    )]
    AlreadyOpen {
        /// Path of the store.
        place: String,
    },
    /// Something else is there.
    #[error("{place} is not a Starling store; move it away, or name another data directory")]
    NotAStore {
        /// Path of the store.
        place: String,
    },
    /// A later release wrote the store.
    #[error(
        "{place} has schema version {found}, and this program reads versions up to {known}; use the release that wrote it or a later one, or restore a backup made before the upgrade"
    )]
    Newer {
        /// Path of the store.
        place: String,
        /// Version of the store.
        found: u32,
        /// Highest version this program knows.
        known: u32,
    },
    /// An earlier release wrote the store, in a form that this one does not read.
    #[error(
        "{place} has schema version {found}, and this program reads version {known} only; export its documents with the release that wrote it and import them into a new store, or move it away and join the spaces again, whose other nodes hold the history"
    )]
    Older {
        /// Path of the store.
        place: String,
        /// Version of the store.
        found: u32,
        /// The version this program reads.
        known: u32,
    },
    /// The disk has no room to open the store.
    #[error("no room on the disk of {place}; free some and start again, nothing is lost")]
    Full {
        /// Path of the store.
        place: String,
    },
    /// The disk reported an error.
    #[error(
        "the disk of {place} reported an error; look at the system's log, check the disk, then start again; if it lasts, `starling verify --repair` saves what can be read: {why}"
    )]
    Io {
        /// Path of the store.
        place: String,
        /// What the operating system or redb said.
        why: String,
    },
    /// The file holds bytes that cannot be what was written.
    #[error(
        "{place} is damaged; keep a copy of it, then let `starling verify --repair` save what can be read; else restore a backup, or move it away and join the spaces again, whose other nodes hold the history: {why}"
    )]
    Corrupt {
        /// Path of the store.
        place: String,
        /// What was found.
        why: String,
    },
}

impl OpenError {
    pub(crate) fn at(place: String, refusal: Refusal) -> Self {
        match refusal {
            Refusal::InUse => Self::AlreadyOpen { place },
            Refusal::Missing => Self::Missing { place },
            Refusal::NotAStore => Self::NotAStore { place },
            Refusal::Newer { found, known } => Self::Newer { place, found, known },
            Refusal::Older { found, known } => Self::Older { place, found, known },
            Refusal::Disk(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Self::NotPermitted { place, source: error }
            }
            Refusal::Disk(error) => Self::at(place, Refusal::Store(crate::fault::io_error(&error))),
            Refusal::Store(StoreError::Full) => Self::Full { place },
            Refusal::Store(StoreError::Io(why)) => Self::Io { place, why },
            Refusal::Store(StoreError::Corrupt(why)) => Self::Corrupt { place, why },
        }
    }
}
