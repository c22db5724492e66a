//! The node's figures, in the Prometheus text form. The only place that knows the registry.
//!
//! Labels are bounded by type: a kind, code or route is a `&'static str` that the program contains.
//! What each figure means stands in [`table`].

mod collected;
mod lately;
mod shortage;
pub mod table;

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

pub(crate) use collected::register_network_events;
use lately::Lately;
pub use prometheus_client::registry::Registry;
use shortage::Shortage;
use starling_crdt::view::Built;

/// Media type of what [`Metrics::render`] writes.
pub const METRICS_MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    route: &'static str,
    status: u16,
}

/// Which way bytes or messages went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// From a peer to this node.
    In,
    /// From this node to a peer.
    Out,
}

impl Traffic {
    const fn label(self) -> Way {
        Way {
            direction: match self {
                Self::In => "in",
                Self::Out => "out",
            },
        }
    }
}

/// Every figure this node counts. Clones share the figures.
#[derive(Clone)]
pub struct Metrics(Arc<Figures>);

struct Figures {
    registry: Mutex<Registry>,
    steps: Counter,
    step_seconds: Histogram,
    inputs: Family<Kind, Counter>,
    commits: Counter,
    commit_seconds: Histogram,
    writes: Counter,
    deltas_admitted: Counter,
    deltas_refused: Family<Code, Counter>,
    offences: Family<Kind, Counter>,
    orphans: Counter,
    orphans_dropped: Counter,
    forks: Counter,
    quarantined: Counter,
    exchanges: Counter,
    screening_panics: Counter,
    exchange_bytes: Family<Way, Counter>,
    gossip_messages: Family<Way, Counter>,
    peers_connected: Gauge,
    documents: Gauge,
    changes: Gauge,
    watchers: Gauge,
    watches_behind: Counter,
    inbox_depth: Gauge,
    store_bytes: Gauge,
    store_room_bytes: Gauge,
    http_requests: Family<Served, Counter>,
    warnings: Family<Code, Gauge>,
    store_faults: Counter,
    store_faulted: Lately<()>,
    built_bytes: Gauge,
    dropped: Counter,
    built_again: Counter,
    shortage: Shortage,
    busy: Lately<String>,
}

/// 100 µs to about 3 s in steps of two: from an idle disk's sync to a stall worth an alarm.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::in_registry(Registry::default())
    }

    /// Lets another part of the node, such as the network, register figures of its own.
    pub fn register<T>(&self, with: impl FnOnce(&mut Registry) -> T) -> T {
        // Registering only appends, so a poisoned lock is still good.
        with(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn in_registry(mut all: Registry) -> Self {
        let registry = all.sub_registry_with_prefix("starling");
        macro_rules! registered {
            ($name:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, table::meaning($name), metric.clone());
                metric
            }};
        }
        let steps = registered!("steps", Counter::default());
        let step_seconds = registered!("step_seconds", durations());
        let inputs = registered!("inputs", Family::default());
        let commits = registered!("commits", Counter::default());
        let commit_seconds = registered!("commit_seconds", durations());
        let writes = registered!("writes", Counter::default());
        let deltas_admitted = registered!("deltas_admitted", Counter::default());
        let deltas_refused = registered!("deltas_refused", Family::default());
        let offences = registered!("offences", Family::default());
        let orphans = registered!("orphans", Counter::default());
        let orphans_dropped = registered!("orphans_dropped", Counter::default());
        let forks = registered!("forks", Counter::default());
        let quarantined = registered!("quarantined", Counter::default());
        let exchanges = registered!("exchanges", Counter::default());
        let screening_panics = registered!("screening_panics", Counter::default());
        let exchange_bytes = registered!("exchange_bytes", Family::default());
        let gossip_messages = registered!("gossip_messages", Family::default());
        let peers_connected = registered!("peers_connected", Gauge::default());
        let documents = registered!("documents", Gauge::default());
        let changes = registered!("changes", Gauge::default());
        let watchers = registered!("watchers", Gauge::default());
        let watches_behind = registered!("watches_behind", Counter::default());
        let inbox_depth = registered!("inbox_depth", Gauge::default());
        let store_bytes = registered!("store_bytes", Gauge::default());
        let store_room_bytes = registered!("store_room_bytes", Gauge::default());
        let http_requests = registered!("http_requests", Family::default());
        let warnings = registered!("warnings", Family::default());
        let store_faults = registered!("store_faults", Counter::default());
        let built_bytes = registered!("documents_built_bytes", Gauge::default());
        let dropped = registered!("documents_dropped", Counter::default());
        let built_again = registered!("documents_built_again", Counter::default());
        Self(Arc::new(Figures {
            registry: Mutex::new(all),
            steps,
            step_seconds,
            inputs,
            commits,
            commit_seconds,
            writes,
            deltas_admitted,
            deltas_refused,
            offences,
            orphans,
            orphans_dropped,
            forks,
            quarantined,
            exchanges,
            screening_panics,
            exchange_bytes,
            gossip_messages,
            peers_connected,
            documents,
            changes,
            watchers,
            watches_behind,
            inbox_depth,
            store_bytes,
            store_room_bytes,
            http_requests,
            warnings,
            store_faults,
            store_faulted: Lately::default(),
            built_bytes,
            dropped,
            built_again,
            shortage: Shortage::default(),
            busy: Lately::default(),
        }))
    }

    /// One step of the replica was done.
    pub fn step(&self, took: Duration) {
        self.0.steps.inc();
        self.0.step_seconds.observe(took.as_secs_f64());
    }

    /// So many inputs of that kind were handled.
    pub fn inputs(&self, kind: &'static str, count: u64) {
        self.0.inputs.get_or_create(&Kind { kind }).inc_by(count);
    }

    /// One durable commit was done.
    pub fn commit(&self, took: Duration) {
        self.0.commits.inc();
        self.0.commit_seconds.observe(took.as_secs_f64());
    }

    /// So many local writes were acknowledged.
    pub fn writes(&self, count: u64) {
        self.0.writes.inc_by(count);
    }

    /// So many changes of others were taken into history.
    pub fn deltas_admitted(&self, count: u64) {
        self.0.deltas_admitted.inc_by(count);
    }

    /// A delta of somebody else was refused for that reason.
    pub fn delta_refused(&self, code: &'static str) {
        self.0.deltas_refused.get_or_create(&Code { code }).inc();
    }

    /// A peer did something wrong.
    pub fn offence(&self, kind: &'static str) {
        self.0.offences.get_or_create(&Kind { kind }).inc();
    }

    /// So many deltas wait for something they need.
    pub fn orphans(&self, count: u64) {
        self.0.orphans.inc_by(count);
    }

    /// So many that waited were dropped for room; repair brings them again.
    pub fn orphans_dropped(&self, count: u64) {
        self.0.orphans_dropped.inc_by(count);
    }

    /// So many forks were found.
    pub fn forks(&self, count: u64) {
        self.0.forks.inc_by(count);
    }

    /// So many changes are kept out of their documents from now on.
    pub fn quarantined(&self, count: u64) {
        self.0.quarantined.inc_by(count);
    }

    /// So many repair exchanges were begun.
    pub fn exchanges(&self, count: u64) {
        self.0.exchanges.inc_by(count);
    }

    /// Checking a message failed by a defect of this program.
    pub fn screening_panicked(&self) {
        self.0.screening_panics.inc();
    }

    /// Bytes of a repair exchange passed.
    pub fn exchange_bytes(&self, way: Traffic, bytes: u64) {
        self.0.exchange_bytes.get_or_create(&way.label()).inc_by(bytes);
    }

    /// A gossip message passed.
    pub fn gossip_message(&self, way: Traffic) {
        self.0.gossip_messages.get_or_create(&way.label()).inc();
    }

    /// So many peers are connected now.
    pub fn peers_connected(&self, count: usize) {
        self.0.peers_connected.set(gauge(count as u64));
    }

    /// So many documents and changes are held now.
    pub fn held(&self, documents: u64, changes: u64) {
        self.0.documents.set(gauge(documents));
        self.0.changes.set(gauge(changes));
    }

    /// So many inputs wait now.
    pub fn inbox_depth(&self, count: usize) {
        self.0.inbox_depth.set(gauge(count as u64));
    }

    /// The store's file has that size, and its file system that much room, where that is known.
    pub fn store_room(&self, bytes: u64, room: Option<u64>) {
        self.0.store_bytes.set(gauge(bytes));
        if let Some(room) = room {
            self.0.store_room_bytes.set(gauge(room));
        }
    }

    /// A watch opened; it counts until the guard is dropped.
    #[must_use]
    pub fn watcher(&self) -> WatcherGuard {
        self.0.watchers.inc();
        WatcherGuard(self.0.watchers.clone())
    }

    /// The store failed.
    pub fn store_fault(&self) {
        self.0.store_faults.inc();
        self.0.store_faulted.note(());
    }

    /// How long ago the store failed last; nothing if it never did.
    #[must_use]
    pub fn store_fault_age(&self) -> Option<Duration> {
        self.0.store_faulted.last().map(|(ago, ())| ago)
    }

    /// Somebody was told to come back because a bound of this node was reached: which, in words.
    pub fn busy(&self, bound: &str) {
        self.0.busy.note(bound.to_owned());
    }

    /// How long ago that happened last, and which bound it was; nothing if it never did.
    #[must_use]
    pub fn last_busy(&self) -> Option<(Duration, String)> {
        self.0.busy.last()
    }

    /// So much is built now.
    pub fn built(&self, built: Built) {
        self.0.built_bytes.set(gauge(built.bytes as u64));
        // Totals that only grow, told by several who look at once.
        self.0.dropped.inner().fetch_max(built.dropped, Ordering::Relaxed);
        self.0.built_again.inner().fetch_max(built.again, Ordering::Relaxed);
        self.0.shortage.look(built.again);
    }

    /// How long ago the memory for built documents was too small for those in use; nothing if it never was.
    #[must_use]
    pub fn documents_short(&self) -> Option<Duration> {
        self.0.shortage.last()
    }

    /// A watch fell behind what is kept in memory, and reads on from the store.
    pub fn watch_behind(&self) {
        self.0.watches_behind.inc();
    }

    /// So many warnings of that kind stand.
    pub fn warning(&self, code: &'static str, count: u64) {
        self.0.warnings.get_or_create(&Code { code }).set(gauge(count));
    }

    /// A request was answered. The route is the router's pattern, never the path asked for.
    pub fn http_request(&self, route: &'static str, status: u16) {
        self.0.http_requests.get_or_create(&Served { route, status }).inc();
    }

    /// Every figure, as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.register(|registry| text::encode(&mut out, registry))
            .expect("writing to a string does not fail");
        out
    }
}

/// Counts one watch while it lives.
pub struct WatcherGuard(Gauge);

impl Drop for WatcherGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
