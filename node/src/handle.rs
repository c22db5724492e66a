//! How the rest of the process asks the replica.

use std::sync::Arc;

use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{DocumentChange, LocalRequest, Refusal, Reply};
use starling_crdt::view::Reader;
use tokio::sync::{broadcast, oneshot};

use crate::driver::Inbox;
use crate::metrics::Metrics;

/// Changes a watcher may lag behind before it has to read on from the store.
const CHANGES_BUFFERED: usize = 4_096;

/// Why a request got no reply of the replica.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The replica refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many requests wait already. Nothing was done.
    #[error("too many requests wait for this node; try again")]
    Busy,
    /// The node is stopping. Whether a write was done is unknown.
    #[error("the node is stopping")]
    Stopping,
}

/// Asks the replica, reads beside it, and hears of changes. Clones lead to the same node.
#[derive(Clone)]
pub struct NodeHandle {
    key: AuthorKey,
    inbox: Arc<Inbox>,
    reader: Reader,
    changes: broadcast::Sender<DocumentChange>,
    metrics: Metrics,
}

impl NodeHandle {
    pub(crate) fn new(key: AuthorKey, inbox: Arc<Inbox>, reader: Reader, metrics: Metrics) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_BUFFERED);
        Self { key, inbox, reader, changes, metrics }
    }

    /// This node's key.
    pub fn key(&self) -> AuthorKey {
        self.key
    }

    /// Hands a request to the replica and waits for its reply. A write's reply comes once it is
    /// durable. Dropping the future does not take a request back.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(&self, request: LocalRequest) -> Result<Reply, RequestError> {
        let (reply, replied) = oneshot::channel();
        self.inbox.ask(request, reply)?;
        replied.await.map_err(|_| RequestError::Stopping)?.map_err(RequestError::Refused)
    }

    /// Hands many requests over in one go, so that they share a step, and gives their replies in order.
    ///
    /// # Errors
    /// [`RequestError::Busy`] when they do not all fit into the inbox: none was handed over then.
    pub fn request_all(
        &self,
        requests: Vec<LocalRequest>,
    ) -> Result<Vec<oneshot::Receiver<Result<Reply, Refusal>>>, RequestError> {
        self.inbox.ask_all(requests)
    }

    /// Reads documents and listings without waiting for the replica.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Document changes from now on. A receiver that lags reads on from the store.
    pub fn changes(&self) -> broadcast::Receiver<DocumentChange> {
        self.changes.subscribe()
    }

    /// The node's figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn announce_change(&self, change: DocumentChange) {
        // Nobody may be listening.
        self.changes.send(change).ok();
    }
}
