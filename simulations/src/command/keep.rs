//! What `run` leaves on disk: runs, pages, JUnit.

use std::path::Path;

use super::run::{RunArgs, quoted};
use crate::record::{RunRecord, Verdict};
use crate::report::page::{self, Beside};
use crate::report::stored::{self, StoredError};
use crate::report::terminal::Kept;
use crate::report::{self, junit};

/// Where runs are stored that did not hold, or that a report was asked for, unless told otherwise.
const DIRECTORY: &str = "starling-runs";

/// Writes the files that were asked for; says for each run what was written of it.
pub(super) fn keep(args: &RunArgs, records: &[RunRecord], program: &str) -> Result<Vec<Kept>, StoredError> {
    let directory = args.out.as_deref().unwrap_or(Path::new(DIRECTORY));
    let pages = if args.report { telling(records) } else { Vec::new() };
    let mut kept = vec![Kept::default(); records.len()];
    for (place, record) in records.iter().enumerate() {
        if args.out.is_some() || record.verdict != Verdict::Held || pages.contains(&place) {
            let path = stored::path_of(directory, record, "json");
            stored::write(&path, &stored::json(record))?;
            kept[place].explain = Some(format!("{program} explain {}", quoted(&path.to_string_lossy())));
        }
    }
    for place in pages {
        let record = &records[place];
        let path = stored::path_of(directory, record, "html");
        stored::write(&path, &page::page(record, &beside(record, records)))?;
        kept[place].page = Some(path.to_string_lossy().into_owned());
    }
    if let Some(path) = &args.junit {
        stored::write(path, &junit::junit(records))?;
    }
    Ok(kept)
}

/// The run of each scenario that tells most.
fn telling(records: &[RunRecord]) -> Vec<usize> {
    let mut most: Vec<usize> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        match most.iter_mut().find(|best| same(&records[**best], record)) {
            Some(best) if report::telling(record) > report::telling(&records[*best]) => *best = place,
            Some(_) => {}
            None => most.push(place),
        }
    }
    most
}

fn beside(record: &RunRecord, records: &[RunRecord]) -> Vec<Beside> {
    let runs = records.iter().filter(|other| same(record, other));
    runs.map(|run| Beside { seed: run.seed, verdict: run.verdict }).collect()
}

fn same(one: &RunRecord, other: &RunRecord) -> bool {
    one.scenario_digest == other.scenario_digest
}

#[cfg(test)]
mod tests {
    use super::super::super::report::sample::{held, violated};
    use super::*;

    #[test]
    fn of_each_scenario_the_run_that_tells_most_gets_the_page() {
        let mut other = held();
        other.scenario_digest = "another".into();
        assert_eq!(telling(&[held(), violated(), other, held()]), [1, 2]);
    }
}
