//! Bounds of the HTTP API: what one client, or all together, may hold of this process.

use std::time::Duration;

/// Longest body of a request that is read whole: one change of the protocol's size, written as JSON,
/// and its envelope. Above it: 413.
pub(crate) const BODY_BYTES_MAX: usize = starling_crdt::limits::CHANGE_BYTES_MAX + 64 * 1024;

/// Longest line of a batch. A longer one gets its own error, and the batch goes on behind it.
pub(crate) const LINE_BYTES_MAX: usize = BODY_BYTES_MAX;

/// Connections open at once, on all listeners. Above it: nobody is accepted until one closes.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;

/// Requests being answered at once. Above it: 503 with Retry-After. Watches and running batches
/// do not count here once they are accepted; they have their own bounds.
pub(crate) const REQUESTS_MAX: usize = 512;

/// Watches open at once. Above it: 503.
pub(crate) const WATCHERS_MAX: usize = 256;

/// Batches running at once. Above it: 503.
pub(crate) const BATCHES_MAX: usize = 64;

/// Time for the head of a request to arrive, counted from the end of the request before it: so it is
/// also how long an idle connection stays open.
pub(crate) const HEADER_TIME_MAX: Duration = Duration::from_secs(60);

/// Time for a body that is read whole to arrive. After it: 408.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// What is still read of a body that was refused for its length, so that its sender gets to read why.
/// Whoever sends more may see a broken connection instead.
pub(crate) const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time for that.
pub(crate) const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Silence in the body of a batch after which it ends.
pub(crate) const LINE_TIME_MAX: Duration = Duration::from_secs(60);

/// Time that requests in progress are given when the node stops.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(3);

/// Pause after an accept that failed for want of file descriptors or memory.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A comment goes to a silent watcher so often.
pub(crate) const COMMENT_PERIOD: Duration = Duration::from_secs(15);

/// Documents in one page of a listing, unless fewer are asked for.
pub(crate) const PAGE_ITEMS_MAX: usize = 1_000;

/// Longest that one request may wait for other nodes.
pub(crate) const WAIT_TIME_MAX: Duration = Duration::from_secs(600);

/// How long a write waits for other nodes to confirm it, where the client does not say.
pub(crate) const CONFIRM_TIME_DEFAULT: Duration = Duration::from_secs(5);

/// Nodes that one request compares with.
pub(crate) const COMPARED_NODES_MAX: usize = 32;

/// How long a comparison with one node takes at most where the client does not say.
pub(crate) const COMPARE_TIME_DEFAULT: Duration = Duration::from_secs(10);

/// How long it may take at all.
pub(crate) const COMPARE_TIME_MAX: Duration = Duration::from_secs(60);

/// Between two looks at what the log should warn of. Too short and a warning that comes and goes fills it.
pub(crate) const WATCHMAN_PERIOD: Duration = Duration::from_secs(15);

/// Verifications and backups running at once. Each keeps a thread busy, and the room of what is
/// overwritten meanwhile. Above it: 503.
pub(crate) const INSPECTIONS_MAX: usize = 2;

/// Pieces of a backup that wait for a slow reader, of up to about a megabyte each.
pub(crate) const BACKUP_PIECES_MAX: usize = 4;

/// How long another node is asked to confirm before a space is left. Too short and a slow link needs
/// `--force`; too long and whoever is alone waits for nothing.
pub(crate) const LEAVE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a line of a batch waits for room in the node's inbox, and how often it looks. Past it:
/// that line is answered with 503.
pub(crate) const SUBMIT_TIME_MAX: Duration = Duration::from_secs(30);

/// See [`SUBMIT_TIME_MAX`].
pub(crate) const SUBMIT_PAUSE: Duration = Duration::from_millis(2);
