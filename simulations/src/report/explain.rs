//! Who missed what, since when, because of which fault.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::words;
use crate::record::{Missed, RunRecord};

/// Lines of one section, at most: what a person reads.
const LINES_MAX: usize = 12;

/// The explanation as text.
pub fn explain(record: &RunRecord) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}: {} (seed {})", record.verdict.word(), record.scenario, record.seed);
    let _ = writeln!(out, "{}", words::cause(record));
    if let Some(planted) = &record.planted {
        let _ = writeln!(out, "This build has a planted defect: {planted}.");
    }
    violations(record, &mut out);
    expectations(record, &mut out);
    lost(record, &mut out);
    waited(record, &mut out);
    silent(record, &mut out);
    let _ = writeln!(out, "\nrun it again:  {}", record.replay);
    out
}

fn violations(record: &RunRecord, out: &mut String) {
    for (index, violation) in record.violations.iter().take(LINES_MAX).enumerate() {
        if index == 0 {
            out.push_str("\nwhat did not hold\n");
        }
        let node = violation.node.map_or(String::new(), |node| format!(" at {}", record.node_name(node)));
        let time = words::time(violation.at_us);
        let _ = writeln!(out, "  {time:>12}  {}{node}: {}", words::title(violation), violation.words);
        if let Some(culprits) = words::culprits(record, violation) {
            let _ = writeln!(out, "  {:>12}  at fault: {culprits}", "");
        }
        if let Some(fault) = words::blamed(record, violation) {
            let _ = writeln!(out, "  {:>12}  because of {}", "", words::fault(record, fault));
        }
    }
    more(record.violations.len(), out);
}

fn expectations(record: &RunRecord, out: &mut String) {
    for judged in record.expectations.iter().filter(|judged| !judged.held) {
        let measured = words::measured(judged);
        let _ = writeln!(out, "  expected {} {}, measured {measured}", judged.name, judged.bound);
    }
}

/// What never came.
fn lost(record: &RunRecord, out: &mut String) {
    let lost: Vec<&Missed> = record.missed.iter().filter(|missed| missed.until_us.is_none()).collect();
    if lost.is_empty() {
        return;
    }
    out.push_str("\nstill missing at the end\n");
    for missed in lost.iter().take(LINES_MAX) {
        let _ = writeln!(
            out,
            "  {} is without write {} of {} in {}, acknowledged at {} ({})",
            record.node_name(missed.node),
            missed.write,
            record.node_name(missed.author),
            missed.document,
            words::time(missed.since_us),
            words::because(record, missed),
        );
        if let Some(received) = words::received(record, missed) {
            let _ = writeln!(out, "    {} {received}", record.node_name(missed.node));
        }
    }
    more(lost.len(), out);
}

/// Who waited longest, for each node and fault.
fn waited(record: &RunRecord, out: &mut String) {
    let mut groups: BTreeMap<(u32, Option<u32>), (u64, u64, &Missed)> = BTreeMap::new();
    for missed in &record.missed {
        let Some(until) = missed.until_us else { continue };
        let wait = until.saturating_sub(missed.since_us);
        let entry = groups.entry((missed.node, missed.fault)).or_insert((0, wait, missed));
        entry.0 += 1;
        if wait > entry.1 {
            (entry.1, entry.2) = (wait, missed);
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(_, wait, missed)| (std::cmp::Reverse(*wait), missed.node));
    if groups.is_empty() {
        return;
    }
    out.push_str("\nwho waited longest\n");
    for (count, wait, missed) in groups.iter().take(LINES_MAX) {
        let _ = writeln!(
            out,
            "  {} waited up to {} for {}, since {} ({})",
            record.node_name(missed.node),
            words::time(*wait),
            words::several(*count, "write"),
            words::time(missed.since_us),
            words::because(record, missed),
        );
    }
    more(groups.len(), out);
}

/// Faults that never did anything.
fn silent(record: &RunRecord, out: &mut String) {
    for fault in record.faults.iter().filter(|fault| fault.fired == 0) {
        let _ = writeln!(out, "\nnever fired: {}", words::fault(record, fault));
    }
}

fn more(all: usize, out: &mut String) {
    if all > LINES_MAX {
        let _ = writeln!(out, "  … and {} more", all - LINES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_missed_what_since_when_because_of_which_fault() {
        let text = explain(&super::super::sample::violated());
        for part in [
            "violated: sample (seed 7)",
            "west-1 is without write 41 of west-1 in config/web",
            "acknowledged at 1 min 30 s",
            "lose-unsynced (power fails at west-1)",
            "east-0 waited up to 58 s for 2 writes",
            "run it again:  starling sim run sample.toml --seed 7",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_fault_that_never_fired_is_named() {
        let mut record = super::super::sample::violated();
        record.faults[0].fired = 0;
        assert!(explain(&record).contains("never fired: partition"));
    }
}
