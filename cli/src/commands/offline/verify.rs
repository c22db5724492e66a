//! `starling verify`: on a running node, or on the data directory of a stopped one.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::keep::{Finding, Loss, Verified};
use starling_crdt::store::{Store, StoreError};
use starling_crdt::verify::{Aside, Mend, Report, verify};
use starling_node::http::verified;
use starling_store::{OpenError, RedbStore, StoreOptions};

use super::rebuild::{self, Rebuilt};
use super::{id, stopped, store_path};
use crate::args::Global;
use crate::commands::counted;
use crate::connect::{Session, data_directory};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// Check the store against its history: every signature, and every row that follows from it.
///
/// Ends with 8 if anything is wrong. A running node is checked while it works; where none runs, the
/// store in the data directory is read.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Put right what can be, on a stopped node: rows and indexes are rebuilt from history, what is
    /// damaged is moved into a file beside the store, and asked of other nodes after the next start.
    #[arg(long)]
    repair: bool,
    /// Check a proof of a fork that `starling forks --export` wrote, instead of a store. It needs no node
    /// and no network: the file holds every signature.
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    proof: Option<PathBuf>,
}

/// Times a store is gone through: what one place is mended by can show that another was wrong.
const REPAIR_PASSES: usize = 3;

pub(crate) async fn run(global: &Global, args: &VerifyArgs, out: &mut Output) -> Outcome {
    if let Some(path) = &args.proof {
        return super::proof::verify(path, out);
    }
    let session = match Session::open(global) {
        Ok(session) if args.repair => {
            drop(session);
            return Err(Failure::new(
                Exit::TryLater,
                "node-running",
                "a running node's store cannot be repaired",
            )
            .next("stop the node, then repeat"));
        }
        Ok(session) => session,
        Err(failure) => return stopped_node(global, args, failure, out),
    };
    let found = session.client.verify().await?;
    print(&found, out)?;
    Ok(if found.sound { Exit::Done } else { Exit::CheckFailed })
}

fn stopped_node(global: &Global, args: &VerifyArgs, unreachable: Failure, out: &mut Output) -> Outcome {
    let directory = data_directory(global)?;
    if global.node.is_some() || !store_path(&directory).exists() {
        return Err(unreachable);
    }
    // A key that cannot be read only means that nobody's losses are called own.
    let own = id::known(&directory).ok().flatten();
    let mut store = match RedbStore::open(&store_path(&directory), StoreOptions::existing()) {
        // A sector that cannot be read is damage, too; what lies elsewhere can be saved.
        Err(OpenError::Corrupt { why, .. } | OpenError::Io { why, .. }) if !args.repair => {
            print(&verified(&rebuild::look(&directory, &why), own), out)?;
            note("`starling verify --repair` makes a new store of what can be read, and keeps the old one");
            return Ok(Exit::CheckFailed);
        }
        Err(OpenError::Corrupt { why, .. } | OpenError::Io { why, .. }) => {
            let Rebuilt { copied, kept } = rebuild::rebuild(&directory)?;
            note(&format!(
                "the file was damaged ({why}): {} written into a new store, and the old one kept as {}",
                counted(copied.rows, "row"),
                kept.display()
            ));
            if let Some(why) = copied.log_damage {
                note(&format!("{why}: what was committed after that could not be read"));
            }
            for (table, why) in copied.partly {
                note(&format!("the table {} could be read only in part: {why}", table.name()));
            }
            open(&directory)?
        }
        Ok(store) => store,
        Err(_) => open(&directory)?,
    };
    if args.repair {
        let (report, aside) = repair(&mut store, &directory)?;
        say_repaired(&verified(&report, own), aside.as_deref(), out)?;
    }
    let report = verify(store.reader().as_ref(), None).map_err(stopped::damaged)?;
    let found = verified(&report, own);
    print(&found, out)?;
    Ok(if found.sound { Exit::Done } else { Exit::CheckFailed })
}

/// Opens the store of a stopped node for a check.
pub(super) fn open(directory: &Path) -> Result<RedbStore, Failure> {
    RedbStore::open(&store_path(directory), StoreOptions::existing()).map_err(|error| match error {
        OpenError::Corrupt { .. } | OpenError::NotAStore { .. } => {
            Failure::new(Exit::CheckFailed, "store-damaged", "the store is damaged").caused_by(&error)
        }
        other => stopped::refused(other),
    })
}

/// Mends what can be; gives what was found, and where what was moved aside is kept.
pub(super) fn repair(store: &mut RedbStore, directory: &Path) -> Result<(Report, Option<PathBuf>), Failure> {
    let mut aside = AsideFile { directory: directory.to_owned(), open: None };
    let reader = store.reader();
    let mut hand = |mend: Mend| {
        // What is removed from the store is durable elsewhere first.
        aside.keep(&mend.aside).map_err(|error| StoreError::Io(error.to_string()))?;
        store.commit(&mend.batch)
    };
    let mut pass = || {
        verify(reader.as_ref(), Some(&mut hand)).map_err(|error| {
            let what = "the repair stopped; what was mended before stays mended";
            Failure::new(Exit::Failed, "store-failed", what).caused_by(&error)
        })
    };
    let report = pass()?;
    for _ in 1..REPAIR_PASSES {
        if !pass()?.findings.iter().any(|finding| finding.mendable) {
            break;
        }
    }
    Ok((report, aside.open.map(|(path, _)| path)))
}

/// Where rows go that were moved aside: one JSON object a line, bytes in hex.
struct AsideFile {
    directory: PathBuf,
    open: Option<(PathBuf, File)>,
}

impl AsideFile {
    fn keep(&mut self, rows: &[Aside]) -> std::io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.open.is_none() {
            let now = jiff::Timestamp::now().as_millisecond();
            let path = self.directory.join(format!("aside-{now}.ndjson"));
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            File::open(&self.directory)?.sync_all()?;
            self.open = Some((path, file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        for row in rows {
            let (key, value) = (hex(&row.key), hex(&row.value));
            let line = serde_json::json!({ "table": row.table.name(), "key": key, "value": value });
            writeln!(file, "{line}")?;
        }
        file.sync_all()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn say_repaired(found: &Verified, aside: Option<&Path>, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() {
        let aside = aside.map(|path| path.display().to_string());
        let mut said = serde_json::json!({ "repaired": found });
        if let Some(aside) = aside {
            said["aside"] = aside.into();
        }
        return out.json_line(&said);
    }
    found
        .findings
        .iter()
        .filter(|finding| finding.mendable)
        .try_for_each(|finding| line(out, "mended", finding))?;
    losses(found, out)?;
    if let Some(aside) = aside {
        note(&format!("damaged rows were moved to {}", aside.display()));
    }
    if found.lost > 0 {
        note(
            "after the next start other nodes are asked for what was lost; what only this node held is gone",
        );
    }
    Ok(())
}

fn print(found: &Verified, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() {
        return out.json_line(found);
    }
    found.findings.iter().try_for_each(|finding| line(out, "wrong", finding))?;
    losses(found, out)?;
    let unnamed = found.wrong.saturating_sub(found.findings.len() as u64);
    if unnamed > 0 {
        out.line(&format!("and {unnamed} more"))?;
    }
    let verdict = if found.sound { "sound".to_owned() } else { counted(found.wrong, "thing") + " wrong" };
    out.line(&format!(
        "{verdict}: {}, {}, {}, {}",
        counted(found.spaces, "space"),
        counted(found.documents, "document"),
        counted(found.deltas, "signature"),
        counted(found.changes, "change"),
    ))
}

fn line(out: &mut Output, verb: &str, finding: &Finding) -> std::io::Result<()> {
    let space = finding.space.as_deref().map_or(String::new(), |space| format!("{space:.8} "));
    let doc = finding.doc.as_deref().map_or(String::new(), |doc| format!("{doc}: "));
    let remedy =
        if finding.mendable { "" } else { " (not mendable: restore a backup, or join again with a ticket)" };
    out.line(&format!("{verb} {}: {space}{doc}{}{remedy}", finding.code, finding.what))
}

fn losses(found: &Verified, out: &mut Output) -> std::io::Result<()> {
    found.losses.iter().try_for_each(|loss: &Loss| {
        let whose = match (&loss.author, loss.own) {
            (_, true) => "this node".to_owned(),
            (Some(author), _) => format!("{author:.8}"),
            (None, _) => "an author no longer known".to_owned(),
        };
        out.line(&format!(
            "lost {:.8} {}: changes {} to {} of actor {:.8} by {whose}",
            loss.space, loss.doc, loss.first, loss.last, loss.actor
        ))
    })
}
