//! One node, put together: identity, store, replica, network, HTTP, and their end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use starling_crdt::address::Address;
use starling_crdt::charter::{Label, Ticket, TicketError};
use starling_crdt::id::{AuthorKey, StoreId};
use starling_crdt::replica::{LocalRequest, Options, Replica};
use starling_crdt::store::StoreError;
use starling_crdt::view::Reader;
use starling_store::{OpenError, RedbStore, StoreOptions};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::config::{ByteSize, Config};
use crate::driver::{self, Inbox, Intake, Outlet, Screening, Shared, TimedStore};
use crate::handle::{AskError, NodeHandle};
use crate::http::{Http, ListenError};
use crate::identity::{self, IdentityError};
use crate::metrics::Metrics;
use crate::network::{self, NetworkConfig, NetworkError, NetworkHandle};
use crate::shutdown::Shutdown;
use crate::telemetry::LogLevel;

/// The store's file in the data directory.
pub const STORE_FILE: &str = "store.redb";
/// How long the replica's thread may take to end: with the network's second it stays within five.
const DRIVER_STOP: Duration = Duration::from_secs(3);

/// How long a start waits for its listeners; the node works without those that do not come up.
const ADDRESSES_WAIT_MAX: Duration = Duration::from_secs(1);
/// Between two looks at the addresses.
const ADDRESSES_LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Why a node does not start. Nothing runs afterwards.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {path}: {source}; choose another with --data-dir", path = .path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The identity file cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What is in the store cannot be read.
    #[error("the store was opened, but not all of it can be read: {0}")]
    Unreadable(#[from] StoreError),
    /// The network cannot start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The API's sockets cannot be opened.
    #[error(transparent)]
    Http(#[from] ListenError),
    /// A ticket given to join is none.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// An address given to join is none.
    #[error("cannot join {text:?}: {reason}")]
    Seed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused something every process gets.
    #[error("the system gives no {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A request at start was refused.
    #[error("cannot join: {0}")]
    Join(#[from] AskError),
}

/// The node ended although nobody asked it to, or not in order; its log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node ended by a defect of this program; what it acknowledged is durable, and its log says more")]
pub struct NodeDied;

/// A running node.
pub struct Node {
    handle: NodeHandle,
    network: NetworkHandle,
    inbox: OpenInbox,
    replica: JoinHandle<()>,
    http: Http,
    clock: Clock,
}

/// The inbox of a node that lives. It is closed when the node is dropped, however that comes: only then does
/// the replica's thread end, and a runtime that is dropped waits for whoever joins that thread.
struct OpenInbox(Arc<Inbox>);

impl Drop for OpenInbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StartError::System { what: "randomness", source: std::io::Error::other(error) })?;
    Ok(bytes)
}

fn make_data_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::DataDir { path: path.to_owned(), source })
}

/// What `--join` names: tickets to join with, and addresses to dial.
fn seeds(join: &[String]) -> Result<(Vec<Ticket>, Vec<Address>), StartError> {
    let (mut tickets, mut addresses) = (Vec::new(), Vec::new());
    for text in join {
        if text.trim_start().starts_with("starling-ticket") {
            tickets.push(Ticket::parse(text)?);
            continue;
        }
        let wrong = |reason: String| StartError::Seed { text: text.clone(), reason };
        network::address::parse(text).map_err(|error| wrong(error.to_string()))?;
        addresses.push(Address::new(text.clone()).map_err(|error| wrong(error.to_string()))?);
    }
    Ok((tickets, addresses))
}

/// Whether one entry of `join` is a ticket or an address.
///
/// # Errors
/// What is wrong with it, without its text, which may be a secret.
pub(crate) fn join_is_readable(text: &str) -> Result<(), String> {
    seeds(std::slice::from_ref(&text.to_owned())).map(drop).map_err(|error| match error {
        StartError::Seed { reason, .. } => reason,
        other => other.to_string(),
    })
}

impl Node {
    /// Starts everything but the serving of HTTP, which [`Node::run`] does.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let (tickets, addresses) = seeds(&config.join)?;
        make_data_dir(&config.data_dir)?;
        let author = identity::load_or_make(&config.data_dir)?;
        let clock = Clock::start();
        let store =
            RedbStore::open(&config.data_dir.join(STORE_FILE), StoreOptions::create(StoreId(random()?)))?;
        let metrics = Metrics::new();
        let store = TimedStore::new(store, metrics.clone());
        let http = Http::bind(config).await?;
        let seed = author.seed();
        let options = Options {
            name: label(config.name.as_str()),
            version: label(env!("CARGO_PKG_VERSION")),
            seeds: addresses,
            space_bytes_max: config.space_quota.map(ByteSize::bytes),
        };
        // A node without randomness from the system could repeat an actor: it had better stop.
        let nonces = Box::new(|| {
            let mut nonce = [0; 16];
            getrandom::fill(&mut nonce).expect("the system gave randomness at the start");
            nonce
        });
        let mut replica = Replica::open(store, author, options, random()?, nonces, clock.now())?;
        // Half for the writer, half for readers.
        let documents_bytes = usize::try_from(config.documents_memory.bytes() / 2).unwrap_or(usize::MAX);
        replica.bound_documents(documents_bytes);
        let inbox = Arc::new(Inbox::default());
        let reader = Reader::new(replica.store_reader(), documents_bytes);
        let shared = Shared::default();
        let handle =
            NodeHandle::new(replica.key(), inbox.clone(), shared.clone(), reader, metrics.clone(), clock);
        let network = start_network(config, seed, &replica.screener(), &handle, &inbox, &shared)?;
        let outlet = Outlet {
            network: network.clone(),
            shared: shared.clone(),
            inbox: inbox.clone(),
            handle: handle.clone(),
        };
        let replica = driver::start(replica, clock, inbox.clone(), outlet, metrics)
            .map_err(|source| StartError::System { what: "thread", source })?;
        let node = Self { handle, network, inbox: OpenInbox(inbox), replica, http, clock };
        node.await_addresses(config.listen.len()).await;
        for ticket in tickets {
            node.handle.request(LocalRequest::Join { ticket: Box::new(ticket) }).await?;
        }
        Ok(node)
    }

    /// Lets the log's filter be read and changed over the API.
    #[must_use]
    pub fn with_log_level(mut self, level: LogLevel) -> Self {
        self.http.expose_log_level(level);
        self
    }

    /// Lets the listeners come up, so that what is announced first is complete.
    async fn await_addresses(&self, wanted: usize) {
        let give_up = tokio::time::Instant::now() + ADDRESSES_WAIT_MAX;
        while self.listening().len() < wanted && tokio::time::Instant::now() < give_up {
            tokio::time::sleep(ADDRESSES_LOOK_PAUSE).await;
        }
    }

    /// Asks this node.
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// The node's key.
    pub fn key(&self) -> AuthorKey {
        self.handle.key()
    }

    /// The libp2p addresses it listens on now, those other hosts can reach first.
    pub fn listening(&self) -> Vec<String> {
        self.handle.listening()
    }

    /// The API's TCP address, if there is one.
    pub fn http_address(&self) -> Option<std::net::SocketAddr> {
        self.http.tcp_address()
    }

    /// Serves until somebody asks to stop; then says farewell and closes everything, within five seconds.
    ///
    /// # Errors
    /// [`NodeDied`] when the node ended by itself: a service manager starts it anew.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), NodeDied> {
        let metrics = self.handle.metrics().clone();
        let mut serving = tokio::spawn(self.http.serve(self.handle, metrics, self.clock, shutdown.clone()));
        let mut replica = tokio::task::spawn_blocking(move || self.replica.join());
        let end = first_end(&mut shutdown, &mut serving, &mut replica).await;
        if let End::Replica = end {
            tracing::error!(event = "replica_failed", "the replica ended by a defect of this program");
            serving.abort();
            self.inbox.0.close();
            self.inbox.0.fail_waiting();
            self.network.shutdown().await;
            return Err(NodeDied);
        }
        tracing::info!(event = "stopping", "stopping");
        // Requests in progress are answered, then the replica says farewell, then the network closes.
        let served = match end {
            End::Asked => (&mut serving).await.is_ok(),
            end => matches!(end, End::Served),
        };
        if !served {
            tracing::error!(event = "http_failed", "the API ended by a defect of this program");
        }
        self.inbox.0.close();
        let ended = match tokio::time::timeout(DRIVER_STOP, replica).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(_) => {
                tracing::error!(event = "replica_failed", "the replica ended by a defect of this program");
                Err(NodeDied)
            }
            Err(_) => {
                tracing::error!(event = "replica_stuck", "the replica does not end: the disk may hang");
                Err(NodeDied)
            }
        };
        self.network.shutdown().await;
        tracing::info!(event = "stopped", "stopped");
        if served { ended } else { Err(NodeDied) }
    }
}

/// What ended first.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Nothing: somebody asked the node to stop.
    Asked,
    /// The API in order, since somebody asked: this task only saw that first.
    Served,
    /// The API by itself. A node that nobody can ask any more had better start anew.
    Api,
    /// The replica's thread.
    Replica,
}

/// Waits for the first end. What ends because it was asked to does not count.
async fn first_end<A, R>(
    shutdown: &mut Shutdown,
    serving: &mut tokio::task::JoinHandle<A>,
    replica: &mut tokio::task::JoinHandle<R>,
) -> End {
    tokio::select! {
        biased;
        () = shutdown.requested() => End::Asked,
        served = serving => {
            if served.is_ok() && shutdown.is_requested() { End::Served } else { End::Api }
        }
        _ = replica => End::Replica,
    }
}

/// A label of text that configuration has checked, or of this program's own.
fn label(text: &str) -> Label {
    Label::new(text).or_else(|_| Label::new("node")).expect("`node` is a label")
}

fn start_network(
    config: &Config,
    seed: Zeroizing<[u8; 32]>,
    screener: &starling_crdt::gossip::Screener,
    handle: &NodeHandle,
    inbox: &Arc<Inbox>,
    shared: &Shared,
) -> Result<NetworkHandle, StartError> {
    let (screening, _threads) = Screening::start(screener, inbox, handle.metrics())
        .map_err(|source| StartError::System { what: "thread", source })?;
    let mut intake = Intake {
        shared: shared.clone(),
        inbox: inbox.clone(),
        screening,
        metrics: handle.metrics().clone(),
        advertise: config.advertise.clone(),
        own: handle.key(),
        connected: 0,
    };
    let network = NetworkConfig {
        listen: config.listen.clone(),
        advertise: config.advertise.clone(),
        mdns: config.mdns,
        patience: config.profile.patience(),
        traffic: handle.traffic().clone(),
        ..NetworkConfig::new(seed)
    };
    let deliver = move |event| intake.take(event);
    let started = handle
        .metrics()
        .register(|registry| network::start(&tokio::runtime::Handle::current(), &network, registry, deliver));
    Ok(started?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown;

    #[tokio::test]
    async fn an_api_that_ends_by_itself_ends_the_node_and_one_that_was_asked_to_does_not() {
        let never = || tokio::spawn(std::future::pending::<()>());
        let (trigger, mut shutdown) = shutdown::channel();
        let mut failed = tokio::spawn(async { panic!("as a defect would") });
        let end = first_end(&mut shutdown, &mut failed, &mut never()).await;
        assert_eq!(end, End::Api);
        let end = first_end(&mut shutdown, &mut never(), &mut tokio::spawn(async {})).await;
        assert_eq!(end, End::Replica);
        trigger.request();
        let mut served = tokio::spawn(async {});
        while !served.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(first_end(&mut shutdown, &mut served, &mut never()).await, End::Asked);
        let mut broken = tokio::spawn(async { panic!("as a defect would") });
        assert_eq!(
            first_end(&mut shutdown, &mut broken, &mut never()).await,
            End::Asked,
            "and is told of later"
        );
    }
}
