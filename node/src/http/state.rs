//! What every handler shares.

use std::{path::PathBuf, sync::Arc};

use starling_api::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    answer::{Refused, refused},
    limits::{BATCHES_MAX, WATCHERS_MAX},
    node::Node,
};
use crate::{clock::Clock, metrics::Metrics, shutdown::Shutdown};

/// What a node says about itself that the core does not know.
#[derive(Clone)]
pub(super) struct Facts {
    pub(super) advertise: Vec<String>,
    pub(super) store: PathBuf,
    pub(super) clock: Clock,
}

impl Facts {
    /// Bytes of the store on disk; nothing where there is none, as for a store in memory.
    pub(super) fn store_bytes(&self) -> u64 {
        std::fs::metadata(&self.store).map_or(0, |metadata| metadata.len())
    }
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
}

impl Api {
    pub(super) fn new(node: Node, facts: Facts, metrics: Metrics, shutdown: Shutdown) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        let batches = Arc::new(Semaphore::new(BATCHES_MAX));
        Self { node, facts: Arc::new(facts), metrics, shutdown, watchers, batches }
    }

    /// Room for one more watch, until it is dropped.
    pub(super) fn room_to_watch(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.watchers
            .clone()
            .try_acquire_owned()
            .map_err(|_| refused(Code::TooManyWatchers, format!("{WATCHERS_MAX} watches are open already")))
    }

    /// Room for one more batch, until it is dropped.
    pub(super) fn room_for_a_batch(&self) -> Result<OwnedSemaphorePermit, Refused> {
        self.batches
            .clone()
            .try_acquire_owned()
            .map_err(|_| refused(Code::Busy, format!("{BATCHES_MAX} batches are running already")))
    }
}
