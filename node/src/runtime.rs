//! The threads that serve the network and the API.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// The runtime of a node: a worker for each core but one, which is the replica's. With a worker more, each
/// request wakes a second one that finds nothing to do, and it runs in the way of whoever has something.
/// Reads that may take long run on threads of their own and hold no worker.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    let cores = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread().worker_threads(cores.saturating_sub(1).max(1)).enable_all().build()
}
