//! Runs a scenario: one seed, or many on all cores.
//!
//! A run is a pure function of (binary, scenario, seed): nothing here reads a clock except to say how
//! long it took.

mod act;
pub mod faults;
mod findings;
pub mod fleet;
mod judge;
mod missed;
mod naming;
mod presence;
mod reading;
mod receipts;
mod run;
mod sample;
mod settle;
mod sides;
mod signed;
mod tell;
mod watch;
pub mod workload;
mod writes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use starling_crdt::identity::remembering;

use crate::properties::{self, determinism};
use crate::record::{RunRecord, Verdict, Violation};
use crate::scenario::{Role, Scenario};
use crate::world::founding::Founding;
use crate::world::log::EventLog;

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[error("the run could not begin: {0}")]
pub struct RunError(String);

/// The defect planted in this process, if any.
pub fn planted() -> Option<&'static str> {
    starling_crdt::planted::chosen()
}

/// A scenario whose fleet is founded: ready for any number of seeds.
pub struct Stage<'a> {
    scenario: &'a Scenario,
    founding: Founding,
}

impl<'a> Stage<'a> {
    /// Founds the scenario's fleet.
    ///
    /// # Errors
    /// [`RunError`] when the core refuses it.
    pub fn new(scenario: &'a Scenario) -> Result<Self, RunError> {
        let roles: Vec<Role> = scenario.nodes().iter().map(|node| node.group.role).collect();
        let founding = remembering(|| Founding::new(&roles, scenario.workload.documents))
            .map_err(|error| RunError(error.to_string()))?;
        Ok(Self { scenario, founding })
    }

    /// Runs one seed.
    ///
    /// # Errors
    /// [`RunError`] when a node's store cannot be made.
    pub fn run(&self, seed: u64) -> Result<RunRecord, RunError> {
        self.run_logged(seed, None)
    }

    /// Runs one seed and writes its events to a log as they happen, if there is one.
    ///
    /// # Errors
    /// [`RunError`] when a node's store cannot be made.
    pub fn run_logged(&self, seed: u64, log: Option<EventLog>) -> Result<RunRecord, RunError> {
        let run = || run::Run::new(self.scenario, &self.founding, seed, log).map(run::Run::finish);
        remembering(run).map_err(RunError)
    }

    /// Runs one seed twice: two runs that go different ways are a violation of their own.
    ///
    /// # Errors
    /// [`RunError`] when a node's store cannot be made.
    pub fn run_twice(&self, seed: u64) -> Result<RunRecord, RunError> {
        let first = self.run(seed)?;
        let second = self.run(seed)?;
        Ok(compared(first, &second))
    }
}

/// How often each seed is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turns {
    /// Once.
    #[default]
    Once,
    /// Twice, and the two are compared.
    Twice,
}

/// The first of two runs of one seed, with what their comparison says.
fn compared(mut first: RunRecord, second: &RunRecord) -> RunRecord {
    let found = determinism::check(&first.trace_hash, &second.trace_hash);
    if let Some(count) = first.properties.iter_mut().find(|count| count.number == determinism::NUMBER) {
        count.checks += 1;
        count.violations += u64::from(found.is_some());
    }
    if let Some(found) = found {
        first.violations.push(Violation {
            property: Some(found.property),
            name: properties::name(found.property).to_owned(),
            at_us: first.timings.virtual_us,
            words: found.words,
            ..Violation::default()
        });
        first.verdict = Verdict::Violated;
    }
    first
}

/// Runs one seed of a scenario.
///
/// # Errors
/// [`RunError`] when it could not begin.
pub fn run(scenario: &Scenario, seed: u64) -> Result<RunRecord, RunError> {
    Stage::new(scenario)?.run(seed)
}

/// Runs seeds of a scenario on `jobs` threads, telling of each when it is done, in no order. The
/// records come back in the order of the seeds.
///
/// # Errors
/// [`RunError`] when any could not begin.
pub fn run_seeds(
    scenario: &Scenario,
    seeds: &[u64],
    turns: Turns,
    jobs: usize,
    done: impl Fn(&RunRecord) + Sync,
) -> Result<Vec<RunRecord>, RunError> {
    let stage = Stage::new(scenario)?;
    let next = AtomicUsize::new(0);
    let records: Mutex<Vec<(usize, Result<RunRecord, RunError>)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, seeds.len().max(1)) {
            scope.spawn(|| {
                while let Some((place, seed)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    seeds.get(place).map(|seed| (place, *seed))
                } {
                    let record = match turns {
                        Turns::Once => stage.run(seed),
                        Turns::Twice => stage.run_twice(seed),
                    };
                    if let Ok(record) = &record {
                        done(record);
                    }
                    records.lock().unwrap_or_else(PoisonError::into_inner).push((place, record));
                }
            });
        }
    });
    let mut records = records.into_inner().unwrap_or_else(PoisonError::into_inner);
    records.sort_by_key(|(place, _)| *place);
    records.into_iter().map(|(_, record)| record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PropertyCount;

    #[test]
    fn two_runs_of_one_seed_that_went_different_ways_are_a_violation() {
        let count = PropertyCount { number: determinism::NUMBER, ..PropertyCount::default() };
        let first = RunRecord {
            trace_hash: "a".into(),
            verdict: Verdict::Held,
            properties: vec![count],
            ..RunRecord::default()
        };
        let same = compared(first.clone(), &first);
        assert_eq!((same.verdict, same.properties[0].checks), (Verdict::Held, 1));
        let other = compared(first.clone(), &RunRecord { trace_hash: "b".into(), ..first });
        assert_eq!((other.verdict, other.properties[0].violations), (Verdict::Violated, 1));
        assert_eq!(other.violations[0].property, Some(determinism::NUMBER));
    }
}
