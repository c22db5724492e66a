//! What people and machines are shown of a run: everything is made from a [`RunRecord`] alone.
//!
//! `words` says things in sentences, `terminal` prints the summary, `junit`, `stored` and `trace` are
//! for machines, `page` is one self-contained HTML file.

pub mod explain;
pub mod junit;
pub mod page;
pub mod stored;
pub mod terminal;
pub mod trace;
pub mod words;

use crate::record::{RunRecord, Verdict};

/// The verdict over several runs: violated if one is, else undecided if one is, else held. No runs
/// at all are undecided: nothing was shown.
pub fn verdict(records: &[RunRecord]) -> Verdict {
    records.iter().map(|record| record.verdict).max().unwrap_or_default()
}

/// The run that tells most: the worst verdict, then the slowest to converge.
pub fn worst(records: &[RunRecord]) -> Option<&RunRecord> {
    records.iter().max_by_key(|record| telling(record))
}

/// How much a run tells, for comparison.
pub fn telling(record: &RunRecord) -> (Verdict, u64) {
    (record.verdict, record.timings.convergence_us.unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(crate) mod sample {
    //! A record with something of everything, for the tests of the reports.

    use crate::record::{RunRecord, Verdict};

    /// A run that violated something.
    pub(crate) fn violated() -> RunRecord {
        serde_json::from_str(include_str!("../../tests/sample-record.json")).expect("the sample is a record")
    }

    /// The same run, had it held.
    pub(crate) fn held() -> RunRecord {
        let mut record = violated();
        record.verdict = Verdict::Held;
        record.violations.clear();
        record.expectations.iter_mut().for_each(|judged| judged.held = true);
        record.timings.convergence_us = Some(2_400_000);
        record
    }

    #[test]
    fn no_runs_at_all_prove_nothing() {
        assert_eq!(super::verdict(&[]), Verdict::Undecided);
        assert_eq!(super::verdict(&[held(), violated(), held()]), Verdict::Violated);
        assert_eq!(super::verdict(&[held()]), Verdict::Held);
    }

    #[test]
    fn the_worst_run_is_shown() {
        assert_eq!(super::worst(&[held(), violated()]).map(|record| record.verdict), Some(Verdict::Violated));
    }
}
