//! What every handler shares.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use starling_api::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    answer::Refused,
    limits::{BATCHES_MAX, INSPECTIONS_MAX, WATCHERS_MAX},
    node::Node,
};
use crate::{clock::Clock, metrics::Metrics, shutdown::Shutdown, telemetry::LogLevel};

/// What a node says about itself that the core does not know.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) advertise: Vec<String>,
    pub(super) store: PathBuf,
    /// Its size when serving began.
    pub(super) store_bytes_began: u64,
    pub(super) clock: Clock,
    /// Absent where the process logs in a way of its own.
    pub(super) log_level: Option<LogLevel>,
}

impl Facts {
    /// Bytes of the store on disk; nothing where there is none, as for a store in memory.
    pub(super) fn store_bytes(&self) -> u64 {
        store_bytes(&self.store)
    }

    /// Bytes left on the file system of the store for this user; nothing where that is not known.
    pub(super) fn room(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.store).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// Size of a store's file; nothing where there is none.
pub(super) fn store_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The node behind the routes, and what bounds its long-lived requests.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) node: Node,
    pub(super) facts: Arc<Facts>,
    pub(super) metrics: Metrics,
    pub(super) shutdown: Shutdown,
    watchers: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    inspections: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(node: Node, facts: Facts, metrics: Metrics, shutdown: Shutdown) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        let batches = Arc::new(Semaphore::new(BATCHES_MAX));
        let inspections = Arc::new(Semaphore::new(INSPECTIONS_MAX));
        Self { node, facts: Arc::new(facts), metrics, shutdown, watchers, batches, inspections }
    }

    /// Room for one more verification or backup, until it is dropped.
    pub(super) fn room_to_inspect(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let why = || format!("{INSPECTIONS_MAX} verifications or backups are running already");
        self.inspections.clone().try_acquire_owned().map_err(|_| no_room(Code::Busy, why()))
    }

    /// Room for one more watch, until it is dropped.
    pub(super) fn room_to_watch(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.watchers
            .clone()
            .try_acquire_owned()
            .map_err(|_| no_room(Code::TooManyWatchers, format!("{WATCHERS_MAX} watches are open already")))
    }

    /// Room for one more batch, until it is dropped.
    pub(super) fn room_for_a_batch(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.batches
            .clone()
            .try_acquire_owned()
            .map_err(|_| no_room(Code::Busy, format!("{BATCHES_MAX} batches are running already")))
    }
}

/// That a bound is reached, and what to do about it.
fn no_room(code: Code, why: String) -> Refused {
    Problem::new(code, why).with_hint("end one of them, or try again when one has ended").into()
}
