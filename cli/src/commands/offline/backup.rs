//! `starling backup`: of a running node, or of the data directory of a stopped one.
//!
//! Promises: a file of the asked name is whole and was read back as it was written, or is not touched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_crdt::backup::{BackupError, BackupReader, BackupWriter, Header, Part, identity_frame};
use starling_crdt::store::{Store, StoreRead};
use starling_crdt::time::WallTime;

use super::{id, stopped, store_path, verify};
use crate::args::Global;
use crate::commands::counted;
use crate::connect::{Session, data_directory};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// Write everything this node holds into one file, as of one moment, while it goes on working.
///
/// The file holds the keys of the spaces in clear, so it is made readable for its owner only (0600); keep
/// it as you keep the data directory. It replaces an older file of that name once it is whole.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file.
    file: PathBuf,
    /// Put this node's private key in as well, so that a restored node is the same member. Without it
    /// keep identity.pem yourself. The key is read from the data directory, not from the API.
    #[arg(long)]
    with_identity: bool,
}

pub(crate) async fn run(global: &Global, args: &BackupArgs, out: &mut Output) -> Outcome {
    let mut file = BackupFile::create(&args.file)?;
    match Session::open(global) {
        Ok(session) => session.client.backup(|bytes| file.take(bytes)).await??,
        Err(unreachable) => {
            let directory = data_directory(global)?;
            if global.node.is_some() || !store_path(&directory).exists() {
                return Err(unreachable);
            }
            of_stopped(&directory, &mut file)?;
        }
    }
    let header = file.header.clone().ok_or_else(|| altered(&BackupError::Truncated))?;
    if args.with_identity {
        let pem = identity(&data_directory(global)?, &header)?;
        file.take(&identity_frame(&pem))?;
    }
    let (bytes, rows) = file.finish()?;
    if out.is_json() {
        out.json(&serde_json::json!({
            "file": args.file, "bytes": bytes, "rows": rows, "key": header.key.to_string(),
            "store": header.store.to_string(), "identity": args.with_identity,
        }))?;
    } else {
        out.line(&format!("{}: {bytes} bytes, {}", args.file.display(), counted(rows, "row")))?;
    }
    if args.with_identity {
        note("the file holds the node's private key in clear: whoever has it can write as this node");
    } else {
        note("the node's private key is not in the file: keep identity.pem too, or back up --with-identity");
    }
    Ok(Exit::Done)
}

fn of_stopped(directory: &Path, file: &mut BackupFile) -> Result<(), Failure> {
    let store = verify::open(directory)?;
    let key = id::known(directory)?.ok_or_else(|| {
        Failure::new(Exit::NotFound, "no-identity", "the data directory has a store and no identity.pem")
    })?;
    let now = WallTime(jiff::Timestamp::now().as_millisecond());
    let reader = store.reader();
    let mut writer = BackupWriter::new(reader.as_ref() as &dyn StoreRead, key, now);
    while let Some(bytes) = writer.next_bytes().map_err(stopped::damaged)? {
        file.take(&bytes)?;
    }
    Ok(())
}

/// The text of the identity that the backup's node has.
fn identity(directory: &Path, header: &Header) -> Result<Vec<u8>, Failure> {
    match id::known(directory)? {
        Some(key) if key == header.key => {}
        _ => {
            return Err(Failure::new(Exit::NotFound, "no-identity", "the node's private key is not here")
                .because(format!("{} has no identity.pem of the key {}", directory.display(), header.key))
                .next("run this where the node's data directory is, and name it with --data-dir"));
        }
    }
    fs::read(directory.join(starling_node::identity::IDENTITY_FILE))
        .map_err(|error| Failure::failed("the identity cannot be read").caused_by(&error))
}

/// A file that is written under another name and read back as it grows.
struct BackupFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    reader: BackupReader,
    header: Option<Header>,
    bytes: u64,
    rows: u64,
}

impl BackupFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let made = match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial),
        };
        let file = made.map_err(|error| not_written(path, &error))?;
        let (path, reader) = (path.to_owned(), BackupReader::new());
        Ok(Self { path, partial, file, reader, header: None, bytes: 0, rows: 0 })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for part in self.reader.take(bytes).map_err(|error| altered(&error))? {
            match part {
                Part::Header(header) => self.header = Some(header),
                Part::End { rows } => self.rows = rows,
                Part::Rows(..) | Part::Identity(_) => {}
            }
        }
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| not_written(&self.path, &error))
    }

    fn finish(mut self) -> Result<(u64, u64), Failure> {
        let reader = std::mem::take(&mut self.reader);
        reader.end().map_err(|error| altered(&error))?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let done = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, &self.path))
            .and_then(|()| File::open(parent.unwrap_or(Path::new(".")))?.sync_all());
        done.map_err(|error| not_written(&self.path, &error))?;
        Ok((self.bytes, self.rows))
    }
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        // After a finished backup there is none; after a failed one nothing of it is of use.
        let _ = fs::remove_file(&self.partial);
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the backup {} cannot be written", path.display())).caused_by(error)
}

fn altered(error: &BackupError) -> Failure {
    Failure::failed("the node did not give a whole backup; no file was made").caused_by(error)
}
