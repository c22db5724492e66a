//! `starling bench`

mod histogram;
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use serde::Serialize;
use starling_api::document::BatchLine;
use starling_api::{Client, ClientError, ExitCode as Exit};

use crate::args::Global;
use crate::commands::counted;
use crate::commands::pages::Pages;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};
use histogram::Histogram;
use workload::Load;

/// What every document of a bench is called below.
const PREFIX: &str = "starling-bench/";

/// Documents a bench works on.
const DOCUMENTS: u64 = 1_000;

/// Most clients: a node serves 512 requests at once, and others want some.
const CLIENTS_MAX: u64 = 256;

/// Most passes over what a bench left.
const CLEAN_UP_PASSES_MAX: usize = 5;

/// Longest bench. Its figures take the same memory however long it is; the history it leaves does not.
const SECONDS_MAX: u64 = 600;

/// Put load on a running node, and say how long it took to answer.
///
/// Works on documents of its own below starling-bench/, which it deletes at the end. Deleted documents
/// disappear, but the history of every write stays on disk, here and on every other node of the space: use a
/// space made for it. A space that holds documents is refused without --yes. Latency is measured at the
/// client, from sending to the whole answer; each client has a connection of its own and waits for each
/// answer.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How many clients at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=CLIENTS_MAX))]
    clients: u64,
    /// For how long.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// What the clients do.
    #[arg(long, value_enum, default_value_t, value_name = "WORKLOAD")]
    workload: Workload,
    /// Run in a space that holds documents.
    #[arg(long)]
    yes: bool,
}

/// What the clients of a bench do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// Whole documents of 100 bytes, 1,000 of them.
    #[default]
    Write,
    /// The same documents, read.
    Read,
    /// Four reads to one write.
    Mixed,
    /// Each client watches; one more writes 50 times a second. Latency is from sending a write to seeing it.
    Watch,
    /// Each client sends batches of 500 small edits. Latency is that of a batch, throughput that of edits.
    Batch,
}

pub(crate) fn run(global: &Global, args: &BenchArgs, out: &mut Output) -> Outcome {
    // One thread would measure itself with many clients.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("cannot start").caused_by(&error))?;
    runtime.block_on(bench(global, args, out))
}

async fn bench(global: &Global, args: &BenchArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let held = session.client.space(&space).await?;
    if held.documents > 0 && !args.yes {
        let what = format!("the space {} holds {}", held.name, counted(held.documents, "document"));
        return Err(Failure::usage(what)
            .because("the history of a bench stays in the space for ever")
            .next("make a space for it with `starling space create`, or repeat with --yes"));
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let prefix = format!("{PREFIX}{}-{}/", started.as_millis(), std::process::id());
    let load = Load::new(session.address.clone(), space.clone(), prefix.clone(), args.clients);
    let measured = tokio::select! {
        measured = measure(&session, load, args) => Some(measured),
        _ = tokio::signal::ctrl_c() => None,
    };
    // Whatever happened, nothing of it stays in sight.
    let cleaned = clean_up(&session.client, &space, &prefix).await;
    if let Err(failure) = &cleaned {
        note(&format!(
            "documents below {prefix} are left; remove them with `starling rm --prefix {prefix} --yes`"
        ));
        if matches!(measured, Some(Ok(_))) {
            return Err(Failure::failed("the bench could not clean up").because(failure.to_string()));
        }
    }
    let Some(report) = measured else { return Ok(Exit::Interrupted) };
    let report = report?;
    print(&report, out)?;
    if report.done == 0 {
        return Err(Failure::failed("nothing was answered").because(report.first_error.unwrap_or_default()));
    }
    Ok(Exit::Done)
}

/// What a bench found. Times in microseconds; p50 and p99 within four percent.
#[derive(Debug, Serialize)]
struct Report {
    workload: Workload,
    clients: u64,
    seconds: f64,
    done: u64,
    errors: u64,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
}

/// What one client, or all together, measured.
#[derive(Default)]
pub(super) struct Measured {
    times: Histogram,
    done: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Measured {
    /// One request that did so many things.
    fn took(&mut self, time: Duration, things: u64) {
        self.times.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.done += things;
    }

    fn failed(&mut self, error: impl ToString) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    fn join(&mut self, other: &Self) {
        self.times.join(&other.times);
        self.done += other.done;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }
}

async fn measure(session: &Session, load: Load, args: &BenchArgs) -> Result<Report, Failure> {
    if matches!(args.workload, Workload::Read | Workload::Mixed) {
        fill(&session.client, &load).await?;
    }
    let load = Arc::new(load);
    let started = Instant::now();
    let until = started + Duration::from_secs(args.seconds);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..args.clients {
        clients.spawn(load.clone().client(args.workload, number, until));
    }
    let mut all = Measured::default();
    if args.workload == Workload::Watch {
        all.join(&load.clone().writer(until).await);
    }
    while let Some(ended) = clients.join_next().await {
        let measured = ended.map_err(|error| Failure::failed("a client broke").caused_by(&error))?;
        all.join(&measured);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Report {
        workload: args.workload,
        clients: args.clients,
        seconds,
        done: all.done,
        errors: all.errors,
        per_second: all.done as f64 / seconds,
        p50_us: all.times.quantile(0.50),
        p99_us: all.times.quantile(0.99),
        max_us: all.times.max(),
        first_error: all.first_error,
    })
}

/// Makes the documents that are read.
async fn fill(client: &Client, load: &Load) -> Result<(), Failure> {
    let lines = (0..DOCUMENTS).map(|number| BatchLine::Put {
        doc: load.name(number),
        value: load.value(0),
        base: None,
    });
    let mut refused = None;
    client
        .batch_all(&load.space, lines, |result| {
            if let Err(problem) = result.outcome {
                refused.get_or_insert(problem);
            }
        })
        .await?;
    match refused {
        None => Ok(()),
        Some(problem) => Err(Failure::from(problem)),
    }
}

/// Deletes what the bench made. A write that was under way when the bench was interrupted may land behind
/// a first pass, so it ends with one that finds nothing.
async fn clean_up(client: &Client, space: &str, prefix: &str) -> Result<(), ClientError> {
    for _ in 0..CLEAN_UP_PASSES_MAX {
        if delete_below(client, space, prefix).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Deletes every document below a prefix; how many there were.
async fn delete_below(client: &Client, space: &str, prefix: &str) -> Result<u64, ClientError> {
    let mut pages = Pages::new(client, space, Some(prefix), false, None);
    let mut count = 0;
    while let Some(items) = pages.next().await? {
        count += items.len() as u64;
        let lines = items.into_iter().map(|item| BatchLine::Delete { doc: item.name });
        let mut refused = None;
        client.batch_all(space, lines, |result| refused = refused.take().or(result.outcome.err())).await?;
        if let Some(problem) = refused {
            return Err(problem.into());
        }
    }
    Ok(count)
}

/// For people; programs get microseconds.
fn milliseconds(micros: u64) -> String {
    format!("{:.3}", Duration::from_micros(micros).as_secs_f64() * 1_000.0)
}

fn print(report: &Report, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() {
        return out.json(report);
    }
    let workload = Workload::to_possible_value(&report.workload);
    let workload = workload.map_or_else(String::new, |value| value.get_name().to_owned());
    out.rows(
        &["workload", "clients", "seconds", "done", "errors", "per second", "p50 ms", "p99 ms", "max ms"],
        [vec![
            workload,
            report.clients.to_string(),
            format!("{:.1}", report.seconds),
            report.done.to_string(),
            report.errors.to_string(),
            format!("{:.0}", report.per_second),
            milliseconds(report.p50_us),
            milliseconds(report.p99_us),
            milliseconds(report.max_us),
        ]],
    )?;
    if let Some(error) = &report.first_error {
        out.flush()?;
        note(&format!("the first of {}: {error}", counted(report.errors, "error")));
    }
    Ok(())
}
