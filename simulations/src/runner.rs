//! Runs a scenario: one seed, or many on all cores.
//!
//! A run is a pure function of (binary, scenario, seed): nothing here reads a clock except to say how
//! long it took.

mod act;
pub mod faults;
mod findings;
pub mod fleet;
mod judge;
mod run;
mod sample;
mod settle;
mod tell;
mod watch;
pub mod workload;
mod writes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use starling_crdt::identity::remembering;

use crate::record::RunRecord;
use crate::scenario::{Role, Scenario};
use crate::world::founding::Founding;
use crate::world::log::EventLog;

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[error("the run could not begin: {0}")]
pub struct RunError(String);

/// The defect planted in this build, if any.
pub fn planted() -> Option<&'static str> {
    option_env!("STARLING_PLANTED").filter(|name| !name.is_empty())
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
                    let record = stage.run(seed);
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
