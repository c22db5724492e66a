//! Every figure a node counts: the one list behind `/metrics` and `docs/metrics.md`.
//!
//! Promises: a figure that is registered stands here and the other way round; each has labels of a
//! bounded set of values, which the program contains. `docs/metrics.md` is [`reference()`], and a test
//! compares the two.

use std::fmt::Write as _;

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, from zero at each start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often which size was met.
    Histogram,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name, without the ending that its kind adds.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it counts, in which unit.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
    /// When to look closer.
    pub worry: &'static str,
}

macro_rules! figures {
    ($( $name:literal $kind:ident $unit:literal [$($label:literal),*] $meaning:literal, $worry:literal; )+) => {
        /// Every figure, in the order of the document.
        pub const FIGURES: &[Figure] = &[
            $( Figure {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                meaning: $meaning,
                worry: $worry,
            }, )+
        ];
    };
}

figures! {
    "starling_steps" Counter "steps" []
        "Steps of the replica",
        "it stands still while requests wait: the disk hangs";
    "starling_step_seconds" Histogram "seconds" []
        "Time of one step with its commit",
        "the 99th percentile stays above 0.1: writes wait that long";
    "starling_inputs" Counter "inputs" ["kind"]
        "Inputs handled, by kind",
        "never by itself";
    "starling_inbox_depth" Gauge "inputs" []
        "Inputs waiting for the replica",
        "above 1,000 for a minute: more comes in than the disk takes; at 4,096 requests get 503";
    "starling_commits" Counter "commits" []
        "Durable commits of the store",
        "never by itself";
    "starling_commit_seconds" Histogram "seconds" []
        "Time of one durable commit",
        "the median stays above 0.05: the disk is slow or shared";
    "starling_writes" Counter "writes" []
        "Local writes acknowledged",
        "never by itself";
    "starling_deltas_admitted" Counter "changes" []
        "Changes of others taken into history",
        "it stands still although other nodes write: see `starling members`";
    "starling_deltas_refused" Counter "deltas" ["code"]
        "Deltas of others refused, by reason",
        "it rises: a peer is hostile, or runs another version; the log's event `offence` names it";
    "starling_offences" Counter "offences" ["kind"]
        "What peers did wrong, by kind",
        "it rises: the log's event `offence` names the peer";
    "starling_orphans" Counter "deltas" []
        "Deltas that waited for something they need",
        "it rises much faster than `starling_deltas_admitted`: gossip loses much, and repair does the work";
    "starling_orphans_dropped" Counter "deltas" []
        "Waiting deltas dropped for room; repair brings them again",
        "it keeps rising: a peer sends what rests on nothing";
    "starling_forks" Counter "forks" []
        "Forks of authors found",
        "above 0: an author signed two changes with one number, by malice or by running a copy";
    "starling_quarantined" Counter "changes" []
        "Changes kept out of their documents",
        "above 0: the log's event `quarantined` says which and why";
    "starling_exchanges" Counter "exchanges" []
        "Repair exchanges begun",
        "never by itself: each peer is asked every half minute";
    "starling_screening_panics" Counter "messages" []
        "Messages dropped because checking them failed by a defect of the program",
        "it is not zero: please report it with the log line `screening_panicked`";
    "starling_exchange_bytes" Counter "bytes" ["direction"]
        "Bytes of repair exchanges",
        "it rises without end although nobody writes: two nodes do not converge";
    "starling_gossip_messages" Counter "messages" ["direction"]
        "Gossip messages",
        "never by itself";
    "starling_peers_connected" Gauge "peers" []
        "Peers connected now",
        "0 for minutes in a space of several members: a firewall, an address or the network is wrong";
    "starling_network_events" Counter "events" ["event"]
        "What the network did: gossip published, given on or dropped, requests taken or dropped, connections refused, failed accepts, questions to the directory, peers that read too slowly for their gossip",
        "`gossip_no_room`, `requests_no_room` or `events_dropped` rise: the node is overloaded; `accept_failures`: it has no file descriptors left; `connections_refused`: somebody blocked keeps trying, or a limit is reached";
    "starling_documents" Gauge "documents" []
        "Documents that exist, in all spaces",
        "never by itself";
    "starling_changes" Gauge "changes" []
        "Changes held, in all spaces",
        "it outgrows the disk: see `starling_store_room_bytes`";
    "starling_watchers" Gauge "watches" []
        "Watches open now",
        "near 256: further ones get 503";
    "starling_watches_behind" Counter "times" []
        "Times that a watch fell behind what memory keeps and read on from the store",
        "it keeps rising: a watcher reads more slowly than documents change; it misses nothing, but the disk is read for it";
    "starling_documents_built_bytes" Gauge "bytes" []
        "Memory of built documents, estimated",
        "never by itself: it grows to `documents_memory` and stays there";
    "starling_documents_dropped" Counter "documents" []
        "Built documents that were dropped for room",
        "never by itself: reading more than memory holds does that";
    "starling_documents_built_again" Counter "documents" []
        "Documents that were dropped for room and built again not long after",
        "it keeps rising: more documents are in use than `documents_memory` holds; `status` warns";
    "starling_http_requests" Counter "requests" ["route", "status"]
        "Requests answered, by route and status",
        "status 503 (too busy), 507 (no room) or 500 (the disk, or a defect)";
    "starling_store_bytes" Gauge "bytes" []
        "Size of the store's file",
        "it grows faster than you planned room for";
    "starling_store_room_bytes" Gauge "bytes" []
        "Room left on the file system of the store",
        "under 256 MiB (`status` warns), or under a day's growth";
    "starling_warnings" Gauge "warnings" ["code"]
        "Warnings that stand, by kind, as `status` gives them; `warnings.md` lists the codes",
        "above 0: run the command that `status` names";
    "starling_store_faults" Counter "faults" []
        "Times that the store could not be read or written",
        "above 0: the log's event `store_fault` says how; look at the disk";
    "libp2p_bandwidth_bytes" Counter "bytes" ["protocols", "direction"]
        "Bytes over all connections, with the overhead of the protocols",
        "never by itself";
}

/// What a figure says, for its help text in `/metrics`.
///
/// # Panics
/// When no figure has that name: a defect that any start shows.
#[must_use]
pub fn meaning(name: &str) -> &'static str {
    let figure = FIGURES.iter().find(|figure| figure.name.strip_prefix("starling_") == Some(name));
    figure.expect("every figure that is registered stands in the table").meaning
}

/// The document: `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Figures of a node\n\n\
         `GET /metrics` gives them in the OpenMetrics text form, on the API's socket and, where it is on, on loopback\n\
         TCP. Counters begin at zero with each start and end in `_total`; histograms end in `_bucket`, `_sum` and\n\
         `_count`. Labels have few values, all of which the program contains: no name of a document, space or peer is\n\
         ever one. This file is made from the table in `node/src/metrics/table.rs`; a test compares the two.\n\n\
         | figure | kind | unit | labels | what it says | look closer when |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for Figure { name, kind, unit, labels, meaning, worry } in FIGURES {
        let (kind, labels) = (kind.name(), labels.join(", "));
        writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {meaning} | {worry} |")
            .expect("writing to a string does not fail");
    }
    text
}
