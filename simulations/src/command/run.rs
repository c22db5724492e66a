//! `run`: scenarios, seeds, verdict.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use serde_json::json;

use super::{Console, FAILED, NOT_FOUND, OutputFormat, USAGE};
use crate::record::{RunRecord, Verdict};
use crate::report::page::Beside;
use crate::report::{self, junit, page, stored, terminal, timeline};
use crate::runner::{self, Turns};
use crate::scenario::{self, Loaded};

/// Most seeds of one call.
const SEEDS_MAX: u64 = 1_000_000;

/// Where runs are stored that did not hold, or that a report was asked for, unless told otherwise.
const DIRECTORY: &str = "starling-runs";

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
    /// Writes what happened when as JSON Lines.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Runs every seed twice: two runs of one seed that differ are a violation.
    #[arg(long)]
    pub twice: bool,
    /// How many runs at once. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
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

pub(super) fn run(args: &RunArgs, console: &mut Console<'_>) -> io::Result<u8> {
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
    let mut records = Vec::new();
    for scenario in &loaded {
        match one(scenario, &args.seeds(scenario.scenario.seed), args.turns(), args.jobs, console) {
            Ok(runs) => records.extend(runs),
            Err(error) => {
                writeln!(console.err, "{}: {error}", scenario.label)?;
                return Ok(FAILED);
            }
        }
    }
    let kept = keep(args, &records, console);
    match show(&records, console) {
        // A reader that has seen enough changes no verdict.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        shown => shown?,
    }
    match kept {
        Ok(()) => Ok(report::verdict(&records).exit_code()),
        Err(error) => {
            writeln!(console.err, "{error}")?;
            Ok(FAILED)
        }
    }
}

/// Runs one scenario with some seeds, with progress on a terminal.
pub(super) fn one(
    loaded: &Loaded,
    seeds: &[u64],
    turns: Turns,
    jobs: Option<usize>,
    console: &mut Console<'_>,
) -> Result<Vec<RunRecord>, runner::RunError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (name, all, shown) = (&loaded.scenario.name, seeds.len(), console.progress);
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
    let runs =
        runner::run_seeds(&loaded.scenario, seeds, turns, jobs.unwrap_or(cores), |record| tell(Some(record)));
    if shown {
        let _ = write!(console.err, "\r\u{1b}[K");
    }
    let mut runs = runs?;
    for record in &mut runs {
        complete(record, loaded, console.program);
    }
    Ok(runs)
}

/// Adds what only the caller knows: the whole scenario, and the command that runs it again.
fn complete(record: &mut RunRecord, loaded: &Loaded, program: &str) {
    record.scenario_toml.clone_from(&loaded.toml);
    record.scenario_digest.clone_from(&loaded.digest);
    record.replay = format!("{program} run {} --seed {}", quoted(&loaded.label), record.seed);
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Prints the runs.
pub(super) fn show(records: &[RunRecord], console: &mut Console<'_>) -> io::Result<()> {
    match console.format {
        OutputFormat::Table => write!(console.out, "{}", terminal::summary(records, console.colour)),
        OutputFormat::Json => {
            let verdict = report::verdict(records);
            writeln!(console.out, "{:#}", json!({ "version": 1, "verdict": verdict, "runs": records }))
        }
    }
}

/// Writes the files that were asked for, and says where they are.
fn keep(
    args: &RunArgs,
    records: &[RunRecord],
    console: &mut Console<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    let directory = args.out.as_deref().unwrap_or(Path::new(DIRECTORY));
    let mut stored_now = Vec::new();
    for record in records {
        if args.out.is_some() || record.verdict != Verdict::Held {
            let path = stored::path_of(directory, record, "json");
            stored::write(&path, &stored::json(record))?;
            stored_now.push((record.verdict, path));
        }
    }
    if let Some((_, path)) = stored_now.iter().find(|(verdict, _)| *verdict != Verdict::Held) {
        writeln!(console.err, "why: {} explain {}", console.program, quoted(&path.to_string_lossy()))?;
    } else if !stored_now.is_empty() {
        writeln!(
            console.err,
            "stored {} in {}",
            report::words::several(stored_now.len() as u64, "run"),
            directory.display()
        )?;
    }
    if args.report {
        for runs in by_scenario(records) {
            let Some(worst) = worst_of(&runs) else { continue };
            let beside: Vec<Beside> =
                runs.iter().map(|run| Beside { seed: run.seed, verdict: run.verdict }).collect();
            let path = stored::path_of(directory, worst, "html");
            stored::write(&path, &page::page(worst, &beside))?;
            writeln!(console.err, "report: {}", path.display())?;
        }
    }
    if let Some(path) = &args.junit {
        stored::write(path, &junit::junit(records))?;
    }
    if let Some(path) = &args.trace {
        stored::write(path, &records.iter().map(timeline::json_lines).collect::<String>())?;
    }
    Ok(())
}

fn worst_of<'a>(runs: &[&'a RunRecord]) -> Option<&'a RunRecord> {
    runs.iter().copied().max_by_key(|record| report::telling(record))
}

/// The runs of each scenario, in the order in which they were asked for.
fn by_scenario(records: &[RunRecord]) -> Vec<Vec<&RunRecord>> {
    let mut groups: Vec<Vec<&RunRecord>> = Vec::new();
    for record in records {
        match groups.iter_mut().find(|group| group[0].scenario_digest == record.scenario_digest) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
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
