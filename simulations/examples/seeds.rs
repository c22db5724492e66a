//! Runs the pairs of `simulations/seeds.toml` that are to find a defect, with that defect planted, or
//! all of them with none, and prints one row of the table of `planted.sh`: at least two pairs must end
//! violated, in a panic or not at all where a defect is planted, every pair must hold where none is.
//!
//!   seeds FILE [DEFECT [DIRECTORY]]   stores the runs that found something in DIRECTORY, for `explain`
//!
//! Only a build made with `STARLING_PLANTED=1` can plant anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use starling_simulations::properties;
use starling_simulations::record::{RunRecord, Verdict};
use starling_simulations::report::stored;
use starling_simulations::runner;
use starling_simulations::scenario::{Scenario, load};

/// Pairs the file may hold: all of them are run for every release.
const PAIRS_MAX: usize = 200;
/// How long one pair may take before its run counts as one that never ends: many times what the longest of
/// them takes where nothing is planted.
const PAIR_MAX: Duration = Duration::from_secs(120);
/// Pairs that must find a defect.
const FINDERS_MIN: usize = 2;

#[derive(Deserialize)]
struct Pairs {
    pair: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    scenario: String,
    seeds: Vec<u64>,
    finds: Vec<String>,
}

/// How a run ended.
enum Outcome {
    /// With a verdict of its own.
    Judged(Box<RunRecord>),
    /// In a panic outside every node's step: where a document is read, for example.
    Panicked,
    /// Not within [`PAIR_MAX`].
    Endless,
}

/// What one pair showed.
struct Shown {
    pair: String,
    outcome: Outcome,
}

impl Shown {
    fn held(&self) -> bool {
        matches!(&self.outcome, Outcome::Judged(record) if record.verdict == Verdict::Held)
    }

    /// Whether it shows that something is wrong: by a property, or by a run that cannot even be judged.
    fn found(&self) -> bool {
        match &self.outcome {
            Outcome::Judged(record) => record.verdict == Verdict::Violated,
            Outcome::Panicked | Outcome::Endless => true,
        }
    }

    /// What did not hold, each once.
    fn broken(&self) -> BTreeSet<String> {
        match &self.outcome {
            Outcome::Judged(record) => {
                let broken = record.violations.iter().map(|found| match found.property {
                    Some(number) => format!("{number} {}", properties::name(number)),
                    None => "an expectation".to_owned(),
                });
                broken.collect()
            }
            Outcome::Panicked => BTreeSet::from(["a panic outside any step".to_owned()]),
            Outcome::Endless => BTreeSet::from([format!("no end within {} s", PAIR_MAX.as_secs())]),
        }
    }

    fn first_words(&self) -> String {
        let Outcome::Judged(record) = &self.outcome else {
            return self.broken().into_iter().collect();
        };
        let why = record.violations.first().map(|first| format!("{}: {}", first.name, first.words));
        let why = why.or(record.undecided.first().cloned()).unwrap_or_default();
        format!("{} {why}", record.verdict.word())
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("the file of pairs");
    if let Some(defect) = arguments.next().filter(|defect| !defect.is_empty()) {
        assert!(starling_crdt::planted::plant(&defect), "this build plants nothing: STARLING_PLANTED=1");
    }
    let directory = arguments.next();
    let here = Path::new(&path).parent().expect("a file in a directory").to_owned();
    let text = std::fs::read_to_string(&path).expect("a readable file");
    let pairs: Pairs = toml::from_str(&text).expect("a table of pairs");
    let count: usize = pairs.pair.iter().map(|pair| pair.seeds.len()).sum();
    assert!(count <= PAIRS_MAX, "{count} pairs where {PAIRS_MAX} are the most");
    let planted = runner::planted();
    let mut all = Vec::new();
    for pair in &pairs.pair {
        if planted.is_some_and(|name| !pair.finds.iter().any(|finds| finds == name)) {
            continue;
        }
        let loaded = load(&here.join(&pair.scenario)).expect("a sound scenario");
        for seed in &pair.seeds {
            let mut outcome = run(loaded.scenario.clone(), *seed);
            if let Outcome::Judged(record) = &mut outcome {
                record.scenario_toml.clone_from(&loaded.toml);
                if let Some(directory) = directory.as_deref().filter(|_| record.verdict != Verdict::Held) {
                    let path = stored::path_of(Path::new(directory), record, "json");
                    stored::write(&path, &stored::json(record)).expect("a place to store the run");
                }
            }
            let shown = Shown { pair: format!("{} {seed}", loaded.scenario.name), outcome };
            eprintln!("  {}: {}", shown.pair, shown.first_words());
            all.push(shown);
        }
    }
    let as_wanted = match planted {
        Some(name) => planted_row(name, &all),
        None => honest_row(&all),
    };
    ExitCode::from(u8::from(!as_wanted))
}

/// One run. If a defect keeps it from ending, its thread is left behind.
fn run(scenario: Scenario, seed: u64) -> Outcome {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || drop(done.send(runner::run(&scenario, seed))));
    match is_done.recv_timeout(PAIR_MAX) {
        Ok(record) => Outcome::Judged(Box::new(record.expect("a run"))),
        Err(RecvTimeoutError::Disconnected) => Outcome::Panicked,
        Err(RecvTimeoutError::Timeout) => Outcome::Endless,
    }
}

/// One row of the table: what found the defect.
fn planted_row(name: &str, all: &[Shown]) -> bool {
    let found: Vec<&Shown> = all.iter().filter(|one| one.found()).collect();
    let mut by: BTreeMap<String, usize> = BTreeMap::new();
    found.iter().flat_map(|one| one.broken()).for_each(|what| *by.entry(what).or_default() += 1);
    let by: Vec<String> = by.iter().map(|(what, times)| format!("{what} ({times})")).collect();
    let pairs: Vec<&str> = found.iter().map(|one| one.pair.as_str()).collect();
    let list = if pairs.is_empty() { "nothing".to_owned() } else { pairs.join(", ") };
    println!("| {name} | {} of {} | {list} | {} |", found.len(), all.len(), by.join(", "));
    found.len() >= FINDERS_MIN
}

/// The row of the honest build.
fn honest_row(all: &[Shown]) -> bool {
    let held = all.iter().filter(|one| one.held()).count();
    println!("| nothing | | {held} of {} pairs hold | |", all.len());
    held == all.len() && held > 0
}
