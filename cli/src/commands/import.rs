//! `starling import`

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use starling_api::document::{BatchLine, BatchResult};
use starling_api::{ExitCode as Exit, Problem};

use crate::args::{ConfirmArgs, Global};
use crate::commands::{counted, write};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::import::{Fault, Naming, Reader, Record, sources};
use crate::output::{Output, note, progress};

/// Records sent in one batch request, and their size: what one import holds in memory.
const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often records that the node was too busy for are sent again, and after which pause.
const BUSY_TRIES_MAX: usize = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(250);

/// Complaints printed one by one; the rest are counted.
const COMPLAINTS_MAX: usize = 50;

/// Write many documents from JSON, NDJSON, YAML or TOML files, or directories of them.
///
/// One document per file, named by its path below the directory given, without the extension; or per
/// record with --key-field; or per member of the file's object with --split. What cannot be read or is
/// refused is reported with its file and line and does not stop the rest. Importing again is safe: what is
/// there already is not written again.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files, directories, or `-` for NDJSON on standard input.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What every name starts with, such as `config/`.
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// One document per record (an NDJSON line, an item of a JSON list, a YAML document), named by this
    /// member of it, or by the value at this JSON pointer.
    #[arg(long, value_name = "FIELD")]
    key_field: Option<String>,
    /// One document per member of the file's object, named by the member.
    #[arg(long, conflicts_with = "key_field")]
    split: bool,
    /// Only read the files and print the names that would be written.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &Global, args: ImportArgs, out: &mut Output) -> Outcome {
    let started = Instant::now();
    let (sources, passed_over) = sources(&args.paths);
    if passed_over > 0 {
        note(&format!(
            "passed over {} that hold no JSON, NDJSON, YAML or TOML",
            counted(passed_over as u64, "file")
        ));
    }
    let naming = match args.key_field {
        Some(field) => Naming::KeyField(field),
        None if args.split => Naming::Split,
        None => Naming::PerFile,
    };
    let reader = Reader { naming, prefix: args.prefix };
    let records = sources.into_iter().flat_map(|source| match source {
        Ok(source) => reader.read(&source),
        Err(fault) => Box::new(std::iter::once(Err(fault))),
    });
    let mut tally = Tally::default();
    if args.dry_run {
        for record in records {
            tally.dry(record, out)?;
        }
    } else {
        let session = Session::open(global)?;
        let space = session.space().await?;
        Sender { session: &session, space: &space, bar: progress(None, "imported") }
            .send(records, &mut tally, out)
            .await?;
        tally.end(args.dry_run, started.elapsed(), out)?;
        return write::confirm_all(&session, &space, args.confirm).await;
    }
    tally.end(args.dry_run, started.elapsed(), out)
}

/// Sends records in batches of bounded size.
struct Sender<'a> {
    session: &'a Session,
    space: &'a str,
    bar: ProgressBar,
}

impl Sender<'_> {
    async fn send(
        &self,
        records: impl Iterator<Item = Result<Record, Fault>>,
        tally: &mut Tally,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for record in records {
            match record {
                Ok(record) => {
                    bytes += record.bytes;
                    batch.push(record);
                }
                Err(fault) => tally.fault(&fault, out)?,
            }
            if batch.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX {
                self.send_batch(std::mem::take(&mut batch), tally, out).await?;
                bytes = 0;
            }
        }
        self.send_batch(batch, tally, out).await?;
        self.bar.finish_and_clear();
        Ok(())
    }

    /// Sends one batch, and what the node was too busy for again.
    async fn send_batch(
        &self,
        mut batch: Vec<Record>,
        tally: &mut Tally,
        out: &mut Output,
    ) -> Result<(), Failure> {
        for tries in 0.. {
            if batch.is_empty() {
                break;
            }
            let lines = batch.iter().map(|record| BatchLine::Put {
                doc: record.name.clone(),
                value: record.body.clone(),
                base: None,
            });
            let mut results = Vec::with_capacity(batch.len());
            self.session.client.batch_all(self.space, lines, |result| results.push(result)).await?;
            if results.len() != batch.len() {
                return Err(Failure::failed(format!(
                    "the node answered {} of {} records",
                    results.len(),
                    batch.len()
                ))
                .next("import again: what is there already is not written twice"));
            }
            let mut again = Vec::new();
            for (record, result) in batch.into_iter().zip(results) {
                match &result.outcome {
                    Err(problem) if problem.exit_code() == Exit::TryLater && tries < BUSY_TRIES_MAX => {
                        again.push(record);
                    }
                    _ => {
                        self.bar.inc(1);
                        tally.result(&record, result, out)?;
                    }
                }
            }
            batch = again;
            if !batch.is_empty() {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
        }
        Ok(())
    }
}

/// What became of the records.
#[derive(Default)]
struct Tally {
    written: u64,
    refused: u64,
    complaints: usize,
    exit: Option<Exit>,
}

impl Tally {
    fn dry(&mut self, record: Result<Record, Fault>, out: &mut Output) -> io::Result<()> {
        match record {
            Ok(record) => {
                self.written += 1;
                if out.is_json() {
                    out.json_line(&json!({ "doc": record.name, "from": record.origin.to_string() }))
                } else {
                    out.line(&record.name)
                }
            }
            Err(fault) => self.fault(&fault, out),
        }
    }

    fn fault(&mut self, fault: &Fault, out: &mut Output) -> io::Result<()> {
        self.refuse(Exit::Usage, &fault.to_string());
        if out.is_json() {
            out.json_line(&json!({ "ok": false, "from": fault.origin.to_string(), "why": fault.why }))?;
        }
        Ok(())
    }

    fn result(&mut self, record: &Record, result: BatchResult, out: &mut Output) -> io::Result<()> {
        let from = record.origin.to_string();
        match &result.outcome {
            Ok(heads) => {
                self.written += 1;
                if out.is_json() {
                    out.json_line(&json!({ "ok": true, "doc": record.name, "from": from, "heads": heads }))?;
                }
            }
            Err(problem) => {
                self.refuse(problem.exit_code(), &format!("{from}: {}: {}", record.name, said(problem)));
                if out.is_json() {
                    out.json_line(
                        &json!({ "ok": false, "doc": record.name, "from": from, "error": problem }),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, exit: Exit, complaint: &str) {
        self.refused += 1;
        self.exit.get_or_insert(exit);
        self.complaints += 1;
        match self.complaints {
            ..=COMPLAINTS_MAX => note(complaint),
            count if count == COMPLAINTS_MAX + 1 => note("further complaints are only counted"),
            _ => {}
        }
    }

    fn end(self, dry_run: bool, took: Duration, out: &mut Output) -> Outcome {
        if !dry_run && !out.is_json() {
            let (written, seconds) = (self.written, took.as_secs_f64());
            out.line(&format!(
                "{} imported in {seconds:.1} s, {} refused",
                counted(written, "document"),
                self.refused
            ))?;
        }
        match self.exit {
            None => Ok(Exit::Done),
            Some(exit) => Err(Failure::new(
                exit,
                "partly-refused",
                format!("{} not imported", counted(self.refused, "record")),
            )
            .because("see the lines above")
            .next("mend them and import again: what is there already is not written twice")),
        }
    }
}

fn said(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem} ({hint})"),
        None => problem.to_string(),
    }
}
