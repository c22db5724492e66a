//! What every handler shares.

use std::sync::Arc;

use starling_api::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    answer::{Refused, refused},
    limits::{BATCHES_MAX, WATCHERS_MAX},
    node::Node,
};
use crate::{driver::Shared, metrics::Metrics, node::NodeFacts, shutdown::Shutdown};

/// The node behind the routes, and what bounds its long-lived requests.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) node: Node,
    pub(super) facts: Arc<NodeFacts>,
    pub(super) shared: Shared,
    pub(super) shutdown: Shutdown,
    watchers: Arc<Semaphore>,
    batches: Arc<Semaphore>,
}

impl Api {
    pub(super) fn new(node: Node, facts: Arc<NodeFacts>, shared: Shared, shutdown: Shutdown) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        let batches = Arc::new(Semaphore::new(BATCHES_MAX));
        Self { node, facts, shared, shutdown, watchers, batches }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        self.node.metrics()
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
