//! A store whose pages are damaged, left behind for a new one of what can be read.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use starling_api::ExitCode as Exit;
use starling_crdt::verify::{Finding, Report, verify};
use starling_store::{Copied, OpenError, RedbStore, StoreOptions};

use super::{new_store_id, store_path};
use crate::failure::Failure;

/// A store that took a damaged one's place.
pub(super) struct Rebuilt {
    pub(super) copied: Copied,
    /// The name under which the old one is kept.
    pub(super) kept: PathBuf,
}

/// What `verify` says of a store whose pages are damaged: that, and what else can be seen.
pub(super) fn look(directory: &Path, why: &str) -> Report {
    let read = RedbStore::read_damaged(&store_path(directory)).and_then(|salvage| salvage.rows()).ok();
    // What cannot be read at all is told by the pages alone.
    let mut report = read.and_then(|rows| verify(rows.as_ref(), None).ok()).unwrap_or_default();
    let what = format!("the store's file is damaged: {why}");
    report.wrong += 1;
    report.findings.insert(0, Finding { code: "pages", space: None, document: None, what, mendable: true });
    report
}

/// Copies what can be read into a new store, which takes the old one's name.
pub(super) fn rebuild(directory: &Path) -> Result<Rebuilt, Failure> {
    let (old, new) = (store_path(directory), directory.join("store.redb.rebuilding"));
    let hopeless = |error: &OpenError| {
        Failure::new(Exit::CheckFailed, "store-damaged", "nothing of the store can be read")
            .caused_by(error)
            .next("restore a backup, or move the data directory away, keep identity.pem, and join again")
    };
    let from = RedbStore::read_damaged(&old).map_err(|error| hopeless(&error))?;
    match fs::remove_file(&new) {
        // What an interrupted repair left behind was never used by anybody.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_made(&new, &error)),
        _ => {}
    }
    // Another store to whoever kept a position in the old one: commits behind the damage are gone, and their
    // numbers will be used again.
    let mut to = RedbStore::open(&new, StoreOptions::create(new_store_id()?))
        .map_err(|error| Failure::failed("no new store can be made").caused_by(&error))?;
    let copied = from
        .copy_into(&mut to)
        .map_err(|error| Failure::failed("the rows cannot be copied").caused_by(&error))?;
    drop((from, to));
    let kept = directory.join(format!("store.redb.damaged-{}", jiff::Timestamp::now().as_millisecond()));
    // The name is never without a store: a start in between would make an empty one.
    fs::hard_link(&old, &kept)
        .and_then(|()| fs::rename(&new, &old))
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(|error| not_made(&old, &error))?;
    Ok(Rebuilt { copied, kept })
}

fn not_made(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be replaced", path.display())).caused_by(error)
}
