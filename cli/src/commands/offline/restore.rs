//! `starling restore`: a backup becomes a data directory.
//!
//! Promises: the data directory appears whole or not at all, and everything in the backup was checked
//! before. The store gets a new id, so that positions of before answer 410, and every node makes a new
//! incarnation when it starts, so that no sequence number is used twice.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_crdt::backup::{BackupError, BackupReader, Header, Part};
use starling_crdt::identity::Identity;
use starling_crdt::store::{Store, WriteBatch};
use starling_node::identity::IDENTITY_FILE;
use starling_store::{RedbStore, StoreOptions};

use super::{new_store_id, store_path, verify};
use crate::args::Global;
use crate::commands::counted;
use crate::connect::data_directory;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// Bytes read from a backup at a time.
const READ_BYTES: usize = 256 * 1024;

/// Make a data directory from a backup; the directory must not exist or be empty.
///
/// The node that starts on it is the same member if the backup holds its identity, or if you put
/// identity.pem there; otherwise it is a new one and needs a ticket. Never let the old node and the
/// restored one run side by side for long: they are one author.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file that `starling backup` wrote.
    file: PathBuf,
}

pub(crate) fn run(global: &Global, args: &RestoreArgs, out: &mut Output) -> Outcome {
    let directory = data_directory(global)?;
    must_be_empty(&directory)?;
    // All of it is read once before anything is written.
    let (header, identity) = check(&args.file)?;
    let unfinished = Unfinished::make(&directory)?;
    let rows = fill(&args.file, &unfinished.0)?;
    if let Some(pem) = &identity {
        write_identity(&unfinished.0, pem).map_err(|error| not_made(&directory, &error))?;
    }
    unfinished.publish(&directory)?;
    if out.is_json() {
        let mut told = serde_json::json!({
            "data_dir": directory, "rows": rows, "key": header.key.to_string(), "identity": identity.is_some(),
        });
        if let Ok(time) = jiff::Timestamp::from_millisecond(header.created.0) {
            told["created"] = format!("{time:.3}").into();
        }
        out.json(&told)?;
    } else {
        out.line(&format!("{}: {} of the node {}", directory.display(), counted(rows, "row"), header.key))?;
    }
    if identity.is_none() {
        note(&format!(
            "the backup holds no private key: put the node's identity.pem into {} before the start, or it is a new node",
            directory.display()
        ));
    }
    Ok(Exit::Done)
}

fn must_be_empty(directory: &Path) -> Result<(), Failure> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(false) => Err(Failure::new(Exit::Precondition, "not-empty", "the data directory is not empty")
            .because(format!("{} holds files, and a restore replaces none", directory.display()))
            .next("move it away, or name another with --data-dir")),
        Err(error) => Err(not_made(directory, &error)),
    }
}

/// Reads all of a backup, giving each part to `each`.
fn read(path: &Path, mut each: impl FnMut(Part) -> Result<(), Failure>) -> Result<(), Failure> {
    let unreadable = |error: &io::Error| {
        Failure::usage(format!("the backup {} cannot be read", path.display())).caused_by(error)
    };
    let bad = |error: &BackupError| {
        Failure::new(
            Exit::CheckFailed,
            "bad-backup",
            format!("the backup {} cannot be restored", path.display()),
        )
        .caused_by(error)
        .next("nothing was changed; restore another backup")
    };
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let (mut reader, mut piece) = (BackupReader::new(), vec![0; READ_BYTES]);
    loop {
        let read = file.read(&mut piece).map_err(|error| unreadable(&error))?;
        if read == 0 {
            return reader.end().map_err(|error| bad(&error));
        }
        for part in reader.take(&piece[..read]).map_err(|error| bad(&error))? {
            each(part)?;
        }
    }
}

/// Checks the whole file; gives what it says of itself, and the identity if it holds one.
fn check(path: &Path) -> Result<(Header, Option<String>), Failure> {
    let (mut header, mut identity) = (None, None);
    read(path, |part| {
        match part {
            Part::Header(said) => header = Some(said),
            Part::Identity(pem) => identity = Some(pem),
            Part::Rows(..) | Part::End { .. } => {}
        }
        Ok(())
    })?;
    let damaged = |why: &str| {
        Failure::new(Exit::CheckFailed, "bad-backup", "the backup cannot be restored").because(why.to_owned())
    };
    let header = header.ok_or_else(|| damaged("it says nothing of itself"))?;
    let identity = identity.map(|pem| String::from_utf8(pem).map_err(|_| damaged("its identity is no text")));
    let identity = identity.transpose()?;
    if let Some(pem) = &identity {
        let known = Identity::from_pem(pem).map_err(|error| damaged(&error.to_string()))?;
        if known.key() != header.key {
            return Err(damaged("its identity is that of another node"));
        }
    }
    Ok((header, identity))
}

/// Writes the rows into a new store and makes them agree with their history.
fn fill(path: &Path, directory: &Path) -> Result<u64, Failure> {
    let mut store = RedbStore::open(&store_path(directory), StoreOptions::create(new_store_id()?))
        .map_err(|error| Failure::failed("the store cannot be made").caused_by(&error))?;
    let mut count = 0;
    read(path, |part| {
        let Part::Rows(table, rows) = part else { return Ok(()) };
        let mut batch = WriteBatch::default();
        count += rows.len() as u64;
        rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
        store.commit(&batch).map_err(|error| {
            let exit =
                if error == starling_crdt::store::StoreError::Full { Exit::TryLater } else { Exit::Failed };
            Failure::new(exit, "store-failed", "the store cannot be written; nothing was made")
                .caused_by(&error)
        })
    })?;
    let (report, aside) = verify::repair(&mut store, directory)?;
    if !report.is_sound() {
        note(&format!(
            "the backup was made of a damaged store: {} put right",
            counted(report.wrong, "thing")
        ));
        note("look at what is left with `starling verify` before you start the node");
    }
    if aside.is_some() {
        note("damaged rows were moved aside into the data directory");
    }
    Ok(count)
}

fn write_identity(directory: &Path, pem: &str) -> io::Result<()> {
    let path = directory.join(IDENTITY_FILE);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

/// A directory beside the asked one, until it is whole.
struct Unfinished(PathBuf);

impl Unfinished {
    fn make(directory: &Path) -> Result<Self, Failure> {
        let name = directory.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy());
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        let path = parent.unwrap_or(Path::new(".")).join(format!(".{name}.restoring"));
        let made = match fs::remove_dir_all(&path) {
            // What an interrupted restore left behind was never used by anybody.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => DirBuilder::new().recursive(true).mode(0o700).create(&path),
        };
        made.map_err(|error| not_made(directory, &error))?;
        Ok(Self(path))
    }

    /// Gives it its name. An empty directory of that name is replaced in the same step.
    fn publish(self, directory: &Path) -> Result<(), Failure> {
        let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        let done = File::open(&self.0)
            .and_then(|made| made.sync_all())
            .and_then(|()| fs::rename(&self.0, directory))
            .and_then(|()| File::open(parent.unwrap_or(Path::new(".")))?.sync_all());
        done.map_err(|error| not_made(directory, &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a finished restore there is none.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn not_made(directory: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the data directory {} cannot be made", directory.display())).caused_by(error)
}
