//! A typed client of one node's API, over a Unix socket or TCP.
//!
//! It promises that connections are reused, that no answer is read without a bound, and that an error
//! says what was tried and whether a write may have happened. It never sends a write twice. It leaves
//! out retries of requests (only a [`Watch`] comes back by itself) and the search for a node's address.

mod batch;
mod connection;
mod documents;
mod error;
mod exchange;
mod past;
mod watch;

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{Method, header};
use tokio::sync::mpsc;

pub use batch::{BatchClosed, BatchLines, BatchResults};
pub use documents::{Confirm, PatchKind, Read, ReadOptions, WriteOptions};
pub use error::{Attempt, ClientError};
pub use watch::Watch;

use crate::{
    NodeAddress,
    compare::{Compare, ComparedList},
    document::{BatchLine, BatchResult, NDJSON_MEDIA_TYPE, WatchQuery},
    keep::{Compacted, Verified},
    member::{MemberList, Wait, Waited},
    peer::{AddPeer, BlockPeer, PeerAdded, PeerList},
    route,
    space::{CreateInvite, CreateSpace, Invite, Join, Joined, LeaveQuery, Space, SpaceLeft, SpaceList},
    status::{Health, LogLevel, Status},
};
use connection::{Connections, RequestBody};

/// How long a request may take unless the client is told otherwise.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a verification or a compaction may take: it reads everything the node holds.
const VERIFY_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a comparison may take where the node chooses.
const COMPARE_TIME_MAX: Duration = Duration::from_secs(60);

/// What a wait may take beyond the time it was asked to wait.
const WAIT_TIME_EXTRA: Duration = Duration::from_secs(10);

/// A client of one node. Cheap to make; it connects with its first request.
pub struct Client {
    connections: Connections,
    request_time_max: Duration,
}

impl Client {
    /// A client of the node at that address.
    #[must_use]
    pub const fn new(address: NodeAddress) -> Self {
        Self { connections: Connections::new(address), request_time_max: REQUEST_TIME_MAX }
    }

    /// The same client with another limit on how long a request may take.
    #[must_use]
    pub const fn with_request_time_max(mut self, limit: Duration) -> Self {
        self.request_time_max = limit;
        self
    }

    /// A client of the first of these addresses at which something listens.
    ///
    /// # Errors
    /// When nothing listens at any of them: the error names every one, and why.
    pub async fn connect_first(addresses: &[NodeAddress]) -> Result<Self, ClientError> {
        let mut attempts = Vec::new();
        for address in addresses {
            let client = Self::new(address.clone());
            match client.connections.open().await {
                Ok(connection) => {
                    client.connections.keep(connection);
                    return Ok(client);
                }
                Err(ClientError::Unreachable(more)) => attempts.extend(more),
                Err(other) => return Err(other),
            }
        }
        Err(ClientError::Unreachable(attempts))
    }

    /// The node's address.
    #[must_use]
    pub const fn address(&self) -> &NodeAddress {
        self.connections.address()
    }

    /// What the node says about itself.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.read_json(route::STATUS).await
    }

    /// Whether the node serves.
    ///
    /// # Errors
    /// See [`ClientError`]; a node that does not serve yet refuses with `not-ready`.
    pub async fn ready(&self) -> Result<Health, ClientError> {
        self.read_json(route::READY).await
    }

    /// The node's figures, in the Prometheus text form.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let request = self.request(Method::GET, route::METRICS)?;
        let (status, _, body) = self.exchange(request).await?;
        String::from_utf8(body.into())
            .map_err(|_| self.not_understood(status, "text that is not UTF-8".to_owned()))
    }

    /// The node's spaces.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn spaces(&self) -> Result<SpaceList, ClientError> {
        self.read_json(route::SPACES).await
    }

    /// One space, by name, id or id prefix.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn space(&self, space: &str) -> Result<Space, ClientError> {
        self.read_json(&route::space(space)).await
    }

    /// Makes a space with this node as its founder.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_space(&self, name: &str) -> Result<Space, ClientError> {
        self.send_json(Method::POST, route::SPACES, &CreateSpace { name: name.to_owned() }).await
    }

    /// Leaves a space and removes what the node holds of it.
    ///
    /// # Errors
    /// See [`ClientError`]; without `force` above all that no other node confirms to hold it.
    pub async fn leave_space(&self, space: &str, query: LeaveQuery) -> Result<SpaceLeft, ClientError> {
        let path = route::with_query(&route::space(space), &[("force", query.force.then_some("true"))]);
        self.answer(self.request(Method::DELETE, &path)?).await
    }

    /// Makes a ticket others can join a space with.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn invite(&self, space: &str, invite: &CreateInvite) -> Result<Invite, ClientError> {
        self.send_json(Method::POST, &route::invites(space), invite).await
    }

    /// Joins the space of a ticket.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn join(&self, ticket: &str) -> Result<Joined, ClientError> {
        self.send_json(Method::POST, route::JOIN, &Join { ticket: ticket.to_owned() }).await
    }

    /// The members of a space.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn members(&self, space: &str) -> Result<MemberList, ClientError> {
        self.read_json(&route::members(space)).await
    }

    /// Waits until others hold what this node holds now. An answer that is not satisfied is no error.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn wait(&self, space: &str, wait: &Wait) -> Result<Waited, ClientError> {
        let limit = Duration::from_millis(wait.timeout_ms).saturating_add(WAIT_TIME_EXTRA);
        let request = self.json_request(Method::POST, &route::wait(space), wait)?;
        let (status, _, body) = self.exchange_within(limit.max(self.request_time_max), request).await?;
        self.parse(status, &body)
    }

    /// Compares the node with other members. A node that could not be asked is no error.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn compare(&self, space: &str, compare: &Compare) -> Result<ComparedList, ClientError> {
        let limit = compare.timeout_ms.map_or(COMPARE_TIME_MAX, Duration::from_millis);
        let limit = limit.saturating_add(WAIT_TIME_EXTRA);
        let request = self.json_request(Method::POST, &route::compare(space), compare)?;
        let (status, _, body) = self.exchange_within(limit.max(self.request_time_max), request).await?;
        self.parse(status, &body)
    }

    /// The peers connected or blocked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn peers(&self) -> Result<PeerList, ClientError> {
        self.read_json(route::PEERS).await
    }

    /// Dials an address now and for ever.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn add_peer(&self, address: &str) -> Result<PeerAdded, ClientError> {
        self.send_json(Method::POST, route::PEERS, &AddPeer { address: address.to_owned() }).await
    }

    /// Cuts a peer off, for a time or until it is unblocked.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn block_peer(&self, peer: &str, block: &BlockPeer) -> Result<(), ClientError> {
        let request = self.json_request(Method::PUT, &route::peer_block(peer), block)?;
        self.exchange(request).await.map(drop)
    }

    /// Lets a peer connect again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn unblock_peer(&self, peer: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &route::peer_block(peer))?;
        self.exchange(request).await.map(drop)
    }

    /// Checks the node's store against its history, however long that takes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn verify(&self) -> Result<Verified, ClientError> {
        let request = self.request(Method::POST, route::VERIFY)?;
        let (status, _, body) = self.exchange_within(VERIFY_TIME_MAX, request).await?;
        self.parse(status, &body)
    }

    /// Merges deltas wherever that can be done, however long it takes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn compact(&self) -> Result<Compacted, ClientError> {
        let request = self.request(Method::POST, route::COMPACT)?;
        let (status, _, body) = self.exchange_within(VERIFY_TIME_MAX, request).await?;
        self.parse(status, &body)
    }

    /// A backup of the node, given to `write` piece by piece.
    ///
    /// # Errors
    /// See [`ClientError`]; an error of `write` ends it and is returned inside.
    pub async fn backup<E>(
        &self,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, ClientError> {
        let (response, _connection) = self.accepted(self.request(Method::GET, route::BACKUP)?).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| self.not_understood(status, format!("a backup that broke off: {error}")))?;
            if let Some(bytes) = frame.data_ref()
                && let Err(error) = write(bytes)
            {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// What the node logs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log_level(&self) -> Result<LogLevel, ClientError> {
        self.read_json(route::LOG_LEVEL).await
    }

    /// Lets the node log by another filter until it stops.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_log_level(&self, filter: &str) -> Result<LogLevel, ClientError> {
        self.send_json(Method::PUT, route::LOG_LEVEL, &LogLevel { filter: filter.to_owned() }).await
    }

    /// Watches a space's documents.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn watch(&self, space: &str, query: WatchQuery) -> Result<Watch<'_>, ClientError> {
        Watch::start(self, space, query).await
    }

    /// Starts a batch: lines go in as they come, results come out in the same order.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn batch(&self, space: &str) -> Result<(BatchLines, BatchResults), ClientError> {
        let (sender, receiver) = mpsc::channel(batch::LINES_WAITING_MAX);
        let mut request = self.request(Method::POST, &route::batch(space))?;
        request
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(NDJSON_MEDIA_TYPE));
        *request.body_mut() = RequestBody::Lines(receiver);
        let (response, connection) = self.accepted(request).await?;
        let address = self.address().clone();
        let results = BatchResults {
            address,
            body: response.into_body(),
            read: Vec::new(),
            given: 0,
            _connection: connection,
        };
        Ok((BatchLines { sender }, results))
    }

    /// Sends all these lines and gives each result to `on_result`; answers how many came.
    ///
    /// # Errors
    /// See [`ClientError`]; results given before it stand.
    pub async fn batch_all(
        &self,
        space: &str,
        lines: impl IntoIterator<Item = BatchLine>,
        mut on_result: impl FnMut(BatchResult),
    ) -> Result<u64, ClientError> {
        let (sender, mut results) = self.batch(space).await?;
        let send = async move {
            for line in lines {
                if sender.send(&line).await.is_err() {
                    break;
                }
            }
        };
        let read = async {
            let mut count = 0;
            while let Some(result) = results.next().await? {
                count += 1;
                on_result(result);
            }
            Ok(count)
        };
        tokio::join!(send, read).1
    }
}
