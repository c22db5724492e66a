//! Commands that work on a data directory whose node does not run.
//!
//! Promises: what they print is what the node would print; a store in use is left alone; only a repair
//! and a restore write. Leaves out everything that only a running node knows.

pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod id;
pub(crate) mod past;
mod proof;
pub(crate) mod read;
mod rebuild;
pub(crate) mod restore;
mod stopped;
pub(crate) mod verify;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use starling_api::ExitCode as Exit;
use starling_crdt::id::StoreId;

use crate::args::Global;
use crate::failure::Failure;

/// The store's name in a data directory.
const STORE_FILE: &str = "store.redb";

/// The data directory to read when the session could not be opened: one was named, it holds a store,
/// and no node was.
pub(crate) fn directory<'a>(global: &'a Global, failure: &Failure) -> Option<&'a Path> {
    let directory = global.data_dir.as_deref().filter(|_| global.node.is_none())?;
    (failure.exit() == Exit::Unreachable && store_path(directory).exists()).then_some(directory)
}

/// The id of a store that takes another one's place: whoever kept a position in that one must not go on from it.
fn new_store_id() -> Result<StoreId, Failure> {
    let mut id = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut id))
        .map_err(|error| Failure::failed("the system gives no randomness").caused_by(&error))?;
    Ok(StoreId(id))
}

fn store_path(directory: &Path) -> PathBuf {
    directory.join(STORE_FILE)
}
