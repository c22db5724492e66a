//! How the rest of the process asks the replica.

use std::sync::Arc;

use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{DocumentChange, LocalRequest, Refusal, Reply};
use starling_crdt::view::Reader;
use tokio::sync::{broadcast, oneshot};

use crate::clock::Clock;
use crate::driver::{Inbox, Shared};
use crate::metrics::Metrics;
use crate::network::{PeerBytes, TrafficByPeer};

/// Changes a watcher may lag behind before it has to read on from the store.
const CHANGES_BUFFERED: usize = 128;

/// Why a request got no reply of the replica.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The replica refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many requests wait already. Nothing was done.
    #[error("too many requests wait for this node; try again")]
    Busy,
    /// The node is stopping. Whether a write was done is unknown.
    #[error("the node is stopping")]
    Stopped,
}

/// Asks the replica, reads beside it, and hears of changes. Clones lead to the same node.
#[derive(Clone)]
pub struct NodeHandle {
    key: AuthorKey,
    inbox: Arc<Inbox>,
    shared: Shared,
    reader: Reader,
    changes: broadcast::Sender<Arc<Vec<DocumentChange>>>,
    clock: Clock,
    metrics: Metrics,
    traffic: TrafficByPeer,
}

impl NodeHandle {
    pub(crate) fn new(
        key: AuthorKey,
        inbox: Arc<Inbox>,
        shared: Shared,
        reader: Reader,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_BUFFERED);
        Self { key, inbox, shared, reader, changes, clock, metrics, traffic: TrafficByPeer::default() }
    }

    /// This node's key.
    pub fn key(&self) -> AuthorKey {
        self.key
    }

    /// Hands a request to the replica and waits for its reply. A write's reply comes once it is
    /// durable. Dropping the future does not take a request back.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn request(&self, request: LocalRequest) -> Result<Reply, AskError> {
        self.submit(request)?.await.map_err(|_| AskError::Stopped)?.map_err(AskError::Refused)
    }

    /// Hands a request to the replica; its reply comes through the receiver, which errors when the
    /// node stops before.
    ///
    /// # Errors
    /// [`AskError::Busy`] and [`AskError::Stopped`]: nothing was handed over then.
    pub fn submit(
        &self,
        request: LocalRequest,
    ) -> Result<oneshot::Receiver<Result<Reply, Refusal>>, AskError> {
        let (reply, replied) = oneshot::channel();
        self.inbox.ask(request, reply)?;
        Ok(replied)
    }

    /// The libp2p addresses the node listens on now, those other hosts can reach first.
    pub fn listening(&self) -> Vec<String> {
        self.shared.listening()
    }

    /// Bytes over the connections that stand with a peer; nothing while there is none.
    pub fn bytes_of(&self, peer: AuthorKey) -> Option<PeerBytes> {
        self.traffic.read(peer)
    }

    /// Where the network counts them.
    pub(crate) fn traffic(&self) -> &TrafficByPeer {
        &self.traffic
    }

    /// Reads documents and listings without waiting for the replica.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Document changes from now on, those of one commit together. A receiver that lags reads on
    /// from the store.
    pub fn changes(&self) -> broadcast::Receiver<Arc<Vec<DocumentChange>>> {
        self.changes.subscribe()
    }

    /// The node's figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The node's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn announce_changes(&self, changes: Vec<DocumentChange>) {
        // Nobody may be listening.
        self.changes.send(Arc::new(changes)).ok();
    }
}
