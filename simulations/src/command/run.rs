//! `run`: scenarios, seeds, verdict.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use serde_json::json;

use super::keep::keep;
use super::{Console, FAILED, NOT_FOUND, OutputFormat, USAGE};
use crate::record::{RunRecord, Verdict};
use crate::report::terminal::{self, Kept};
use crate::report::{self, stored, trace};
use crate::runner::{self, RunError, Stage, Turns};
use crate::scenario::{self, Loaded};
use crate::world::log::EventLog;

/// Most seeds of one call.
const SEEDS_MAX: u64 = 1_000_000;

/// What `run` takes.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Files, or names of shipped scenarios.
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// How many seeds, counted from the scenario's own, or which: `20`, or `100..119` with both ends.
    #[arg(long, value_name = "N|A..B", conflicts_with = "seed")]
    pub seeds: Option<Seeds>,
    /// One seed. Default: the scenario's own.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Stores every run in this directory, as JSON. Default: runs that did not hold, in starling-runs.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Makes an HTML report of the run that tells most, for each scenario.
    #[arg(long)]
    pub report: bool,
    /// Writes the verdicts as JUnit.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Writes every event as JSON Lines, one run after the other. Takes far longer than the runs alone.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Runs every seed twice: two runs of one seed that differ are a violation.
    #[arg(long)]
    pub twice: bool,
    /// How many runs at once. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Plants a defect, in a build that was made to know some.
    #[arg(long, value_name = "DEFECT", hide = true)]
    pub plant: Option<String>,
}

/// Which seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// So many, from the scenario's own on.
    Count(u64),
    /// From the first to the last, both included.
    Range(u64, u64),
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.parse::<u64>().map_err(|_| format!("{text:?} is neither N nor A..B"));
        let (seeds, count) = match text.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
                if last < first {
                    return Err(format!("{text:?} has no seed in it"));
                }
                (Self::Range(first, last), (last - first).saturating_add(1))
            }
            None => {
                let count = number(text)?;
                (Self::Count(count), count)
            }
        };
        match count {
            0 => Err("zero seeds would show nothing".into()),
            1..=SEEDS_MAX => Ok(seeds),
            _ => Err(format!("more than {SEEDS_MAX} seeds in one call")),
        }
    }
}

impl RunArgs {
    fn turns(&self) -> Turns {
        if self.twice { Turns::Twice } else { Turns::Once }
    }

    fn seeds(&self, own: u64) -> Vec<u64> {
        match (self.seed, self.seeds) {
            (Some(seed), _) => vec![seed],
            (None, Some(Seeds::Count(count))) => (own..own.saturating_add(count)).collect(),
            (None, Some(Seeds::Range(first, last))) => (first..=last).collect(),
            (None, None) => vec![own],
        }
    }
}

/// Why runs could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum CarryError {
    /// A run could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The trace could not be written.
    #[error("cannot write the trace: {0}")]
    Trace(#[from] io::Error),
}

pub(super) fn run(args: &RunArgs, console: &mut Console<'_>) -> io::Result<u8> {
    if let Some(defect) = args.plant.as_deref().filter(|defect| !starling_crdt::planted::plant(defect)) {
        writeln!(
            console.err,
            "this build cannot plant {defect}: one that can is built with STARLING_PLANTED=1"
        )?;
        return Ok(USAGE);
    }
    let mut loaded = Vec::new();
    for path in &args.scenarios {
        match scenario::load(path) {
            Ok(scenario) => loaded.push(scenario),
            Err(complaints) => {
                complaints.iter().try_for_each(|complaint| writeln!(console.err, "{complaint}"))?;
                let there = path.exists() || scenario::shipped::find(&path.to_string_lossy()).is_some();
                return Ok(if there { USAGE } else { NOT_FOUND });
            }
        }
    }
    let trace = match args.trace.as_deref().map(stored::create).transpose() {
        Ok(trace) => trace,
        Err(error) => {
            writeln!(console.err, "{error}")?;
            return Ok(FAILED);
        }
    };
    let mut records = Vec::new();
    for scenario in &loaded {
        let carry = Carry {
            seeds: &args.seeds(scenario.scenario.seed),
            turns: args.turns(),
            jobs: args.jobs,
            trace: trace.as_ref(),
        };
        match carry.out(scenario, console) {
            Ok(runs) => records.extend(runs),
            Err(error) => {
                writeln!(console.err, "{}: {error}", scenario.label)?;
                return Ok(FAILED);
            }
        }
    }
    let (kept, failed) = match keep(args, &records, console.program) {
        Ok(kept) => (kept, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    match show(&records, &kept, console) {
        // A reader that has seen enough changes no verdict.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        shown => shown?,
    }
    match failed {
        None => Ok(report::verdict(&records).exit_code()),
        Some(error) => {
            writeln!(console.err, "{error}")?;
            Ok(FAILED)
        }
    }
}

/// How to carry out the runs of one scenario.
pub(super) struct Carry<'a> {
    /// With which seeds.
    pub seeds: &'a [u64],
    /// Whether each runs twice. Runs that are traced run once.
    pub turns: Turns,
    /// How many at once; absent: one for each core.
    pub jobs: Option<usize>,
    /// Where events go. Runs that are traced go one after the other.
    pub trace: Option<&'a File>,
}

impl Carry<'_> {
    /// Carries them out, with progress on a terminal.
    pub(super) fn out(
        &self,
        loaded: &Loaded,
        console: &mut Console<'_>,
    ) -> Result<Vec<RunRecord>, CarryError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (name, all, shown) = (&loaded.scenario.name, self.seeds.len(), console.progress);
        let progress = Mutex::new((&mut *console.err, 0usize, 0usize));
        let tell = |record: Option<&RunRecord>| {
            let mut state = progress.lock().unwrap_or_else(PoisonError::into_inner);
            let (err, done, failed) = &mut *state;
            if let Some(record) = record {
                *done += 1;
                *failed += usize::from(record.verdict != Verdict::Held);
            }
            if shown {
                let bad = if *failed > 0 { format!(", {failed} did not hold") } else { String::new() };
                // Progress is a courtesy: where it cannot be shown the run goes on.
                let _ = write!(err, "\r\u{1b}[K{name}: {done} of {all} runs{bad}");
                let _ = err.flush();
            }
        };
        tell(None);
        let runs = match self.trace {
            Some(trace) => traced(loaded, self.seeds, trace, |record| tell(Some(record))),
            None => {
                let jobs = self.jobs.unwrap_or(cores);
                let runs = runner::run_seeds(&loaded.scenario, self.seeds, self.turns, jobs, |record| {
                    tell(Some(record))
                });
                runs.map_err(CarryError::from)
            }
        };
        if shown {
            let _ = write!(console.err, "\r\u{1b}[K");
        }
        let mut runs = runs?;
        for record in &mut runs {
            complete(record, loaded, console.program);
        }
        Ok(runs)
    }
}

/// Runs one seed after the other, each with its events in `trace`.
fn traced(
    loaded: &Loaded,
    seeds: &[u64],
    mut trace: &File,
    done: impl Fn(&RunRecord),
) -> Result<Vec<RunRecord>, CarryError> {
    let stage = Stage::new(&loaded.scenario)?;
    let mut records = Vec::new();
    for seed in seeds {
        trace.write_all(trace::begins(&loaded.scenario, &loaded.digest, *seed).as_bytes())?;
        let log = EventLog::new(Box::new(BufWriter::new(trace.try_clone()?)));
        let record = stage.run_logged(*seed, Some(log.clone()))?;
        let written = log.finish()?;
        trace.write_all(trace::ends(&record, &written).as_bytes())?;
        done(&record);
        records.push(record);
    }
    Ok(records)
}

/// Adds what only the caller knows: the whole scenario, and the command that runs it again.
fn complete(record: &mut RunRecord, loaded: &Loaded, program: &str) {
    record.scenario_toml.clone_from(&loaded.toml);
    record.scenario_digest.clone_from(&loaded.digest);
    let plant = record.planted.as_ref().map_or(String::new(), |defect| format!(" --plant {defect}"));
    record.replay = format!("{program} run {} --seed {}{plant}", quoted(&loaded.label), record.seed);
}

/// `text` as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Prints the runs, and what was written of them.
pub(super) fn show(records: &[RunRecord], kept: &[Kept], console: &mut Console<'_>) -> io::Result<()> {
    match console.format {
        OutputFormat::Table => write!(console.out, "{}", terminal::summary(records, kept, console.colour)),
        OutputFormat::Json => {
            let verdict = report::verdict(records);
            writeln!(console.out, "{:#}", json!({ "version": 1, "verdict": verdict, "runs": records }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_count_or_a_range_and_never_none() {
        assert_eq!("20".parse(), Ok(Seeds::Count(20)));
        assert_eq!("5..7".parse(), Ok(Seeds::Range(5, 7)));
        for wrong in ["0", "7..5", "x", "1..", "1..99999999999"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_command_to_paste_survives_any_file_name() {
        assert_eq!(quoted("dir/two-datacentres-split.toml"), "dir/two-datacentres-split.toml");
        assert_eq!(quoted("it's mine.toml"), "'it'\\''s mine.toml'");
    }
}
