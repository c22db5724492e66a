//! Runs the pairs of `simulations/seeds.toml` that are to find a defect, with that defect planted, or
//! all of them with none, and prints one row of the table of `planted.sh`: at least two pairs must end
//! violated where a defect is planted, every pair must hold where none is.
//!
//!   seeds FILE [DEFECT [DIRECTORY]]   stores the runs that found something in DIRECTORY, for `explain`
//!
//! Only a build made with `STARLING_PLANTED=1` can plant anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
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
/// How long one pair may take.
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

/// What one pair showed.
struct Shown {
    pair: String,
    record: RunRecord,
}

impl Shown {
    /// The numbers of the properties that did not hold, 0 for a missed expectation.
    fn broken(&self) -> Vec<u32> {
        let numbers = self.record.violations.iter().map(|found| found.property.unwrap_or(0));
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn first_words(&self) -> String {
        let why = self.record.violations.first().map(|first| format!("{}: {}", first.name, first.words));
        why.or(self.record.undecided.first().cloned()).unwrap_or_default()
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
    let (mut all, mut unfinished) = (Vec::new(), 0);
    for pair in &pairs.pair {
        if planted.is_some_and(|name| !pair.finds.iter().any(|finds| finds == name)) {
            continue;
        }
        let loaded = load(&here.join(&pair.scenario)).expect("a sound scenario");
        for seed in &pair.seeds {
            let Some(mut record) = run(loaded.scenario.clone(), *seed) else {
                eprintln!("  {} {seed}: not over after {} s", loaded.scenario.name, PAIR_MAX.as_secs());
                unfinished += 1;
                continue;
            };
            record.scenario_toml.clone_from(&loaded.toml);
            let shown = Shown { pair: format!("{} {seed}", loaded.scenario.name), record };
            eprintln!("  {}: {} {}", shown.pair, shown.record.verdict.word(), shown.first_words());
            if let Some(directory) = directory.as_deref().filter(|_| shown.record.verdict != Verdict::Held) {
                let path = stored::path_of(Path::new(directory), &shown.record, "json");
                stored::write(&path, &stored::json(&shown.record)).expect("a place to store the run");
            }
            all.push(shown);
        }
    }
    let as_wanted = match planted {
        Some(name) => planted_row(name, &all, unfinished),
        None => honest_row(&all, unfinished),
    };
    ExitCode::from(u8::from(!as_wanted))
}

/// One run, unless a defect keeps it from ending: then its thread is left behind.
fn run(scenario: Scenario, seed: u64) -> Option<RunRecord> {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || drop(done.send(Box::new(runner::run(&scenario, seed)))));
    is_done.recv_timeout(PAIR_MAX).ok().map(|record| record.expect("a run"))
}

/// One row of the table: what found the defect.
fn planted_row(name: &str, all: &[Shown], unfinished: usize) -> bool {
    let found: Vec<&Shown> = all.iter().filter(|one| one.record.verdict == Verdict::Violated).collect();
    let mut by: BTreeMap<u32, usize> = BTreeMap::new();
    found.iter().flat_map(|one| one.broken()).for_each(|number| *by.entry(number).or_default() += 1);
    let by: Vec<String> = by
        .iter()
        .map(|(number, times)| match number {
            0 => format!("an expectation ({times})"),
            number => format!("{number} {} ({times})", properties::name(*number)),
        })
        .collect();
    let pairs: Vec<&str> = found.iter().map(|one| one.pair.as_str()).collect();
    let list = if pairs.is_empty() { "nothing".to_owned() } else { pairs.join(", ") };
    let asked = all.len() + unfinished;
    println!("| {name} | {} of {asked} | {list} | {} |", found.len(), by.join(", "));
    found.len() >= FINDERS_MIN
}

/// The row of the honest build.
fn honest_row(all: &[Shown], unfinished: usize) -> bool {
    let held = all.iter().filter(|one| one.record.verdict == Verdict::Held).count();
    let asked = all.len() + unfinished;
    println!("| nothing | | {held} of {asked} pairs hold | |");
    held == asked && held > 0
}
