//! Who missed what, since when, because of which fault.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::words;
use crate::record::{Judged, Missed, RunRecord, Violation, Waited};

/// Lines of one section, at most: what a person reads.
const LINES_MAX: usize = 12;

/// Nodes and faults in the section on who waited.
const WAITS_MAX: usize = 24;

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
        match expectation(record, violation) {
            Some(judged) => {
                let (name, bound, measured) = (&judged.name, &judged.bound, words::measured(judged));
                let _ = writeln!(out, "  {:>12}  expected {name} {bound}, measured {measured}", "whole run");
            }
            None => {
                let node =
                    violation.node.map_or(String::new(), |node| format!(" at {}", record.node_name(node)));
                let time = words::time(violation.at_us);
                let title = words::title(violation);
                let _ = writeln!(out, "  {time:>12}  {title}{node}: {}", violation.words);
            }
        }
        if let Some(culprits) = words::culprits(record, violation) {
            let _ = writeln!(out, "  {:>12}  at fault: {culprits}", "");
        }
        if let Some(fault) = words::blamed(record, violation) {
            let _ = writeln!(out, "  {:>12}  because of {}", "", words::fault(record, fault));
        }
    }
    more(record.violations.len() as u64, LINES_MAX, out);
}

/// The expectation that a violation is about, which the whole run missed and no moment of it.
fn expectation<'a>(record: &'a RunRecord, violation: &Violation) -> Option<&'a Judged> {
    let missed = |judged: &&Judged| judged.name == violation.name && !judged.held;
    record.expectations.iter().find(missed).filter(|_| violation.property.is_none())
}

/// Expectations that were missed and are not among the violations.
fn expectations(record: &RunRecord, out: &mut String) {
    let said = |name: &str| {
        record.violations.iter().take(LINES_MAX).any(|said| said.property.is_none() && said.name == name)
    };
    for judged in record.expectations.iter().filter(|judged| !judged.held && !said(&judged.name)) {
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
    let all: u64 = words::waits(record).iter().map(|waited| waited.never).sum();
    let _ = writeln!(out, "\nstill missing at the end: {}", of_which(all, lost.len()));
    for missed in lost.iter().take(LINES_MAX) {
        let _ = writeln!(
            out,
            "  {} is without write {} of {} in {}, acknowledged at {} ({})",
            record.node_name(missed.node),
            missed.write,
            record.node_name(missed.author),
            missed.document,
            words::time(missed.since_us),
            words::because(record, missed.fault),
        );
        if let Some(received) = words::received(record, missed) {
            let _ = writeln!(out, "    {} {received}", record.node_name(missed.node));
        }
    }
    more(all, LINES_MAX, out);
}

/// Who waited longest, for each node and fault.
fn waited(record: &RunRecord, out: &mut String) {
    let mut waits = words::waits(record);
    waits.retain(|waited| waited.late > 0);
    if waits.is_empty() {
        return;
    }
    waits.sort_by_key(|waited| (Reverse(waited.longest_us), waited.node));
    let all: u64 = waits.iter().map(|waited| waited.late).sum();
    let kept = record.missed.iter().filter(|missed| missed.until_us.is_some()).count();
    let _ = writeln!(out, "\nwho waited longest, of {} that came late", of_which(all, kept));
    let shown = shown(&waits);
    for waited in &shown {
        let _ = writeln!(
            out,
            "  {} waited up to {} for {}, since {} ({})",
            record.node_name(waited.node),
            words::time(waited.longest_us),
            words::several(waited.late, "write"),
            words::time(waited.since_us),
            words::because(record, waited.fault),
        );
    }
    more(waits.len() as u64, shown.len(), out);
}

/// The longest waits of all, and beside them the longest of each fault, so that one fault hides no other.
fn shown(waits: &[Waited]) -> Vec<Waited> {
    let mut faults = BTreeSet::new();
    let firsts: Vec<bool> = waits.iter().map(|waited| faults.insert(waited.fault)).collect();
    let first = waits.iter().zip(&firsts).filter(|(_, first)| **first).take(WAITS_MAX);
    let room = WAITS_MAX.saturating_sub(first.clone().count());
    let others = waits.iter().zip(&firsts).filter(|(_, first)| !**first).take(room);
    let mut shown: Vec<Waited> = first.chain(others).map(|(waited, _)| *waited).collect();
    shown.sort_by_key(|waited| (Reverse(waited.longest_us), waited.node));
    shown
}

/// `3 writes at a node`, with how many of them the record has one by one if not all.
fn of_which(all: u64, kept: usize) -> String {
    let kept = kept as u64;
    let all_words = words::several(all, "write");
    if kept >= all { all_words } else { format!("{all_words} (of which {} are kept)", words::count(kept)) }
}

/// Faults that never did anything.
fn silent(record: &RunRecord, out: &mut String) {
    for fault in record.faults.iter().filter(|fault| fault.fired == 0) {
        let _ = writeln!(out, "\nnever fired: {}", words::fault(record, fault));
    }
}

fn more(all: u64, shown: usize, out: &mut String) {
    let left = all.saturating_sub(shown as u64);
    if left > 0 {
        let _ = writeln!(out, "  … and {} more", words::count(left));
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

    #[test]
    fn what_the_record_does_not_keep_is_counted_all_the_same() {
        let mut record = super::super::sample::violated();
        let wait = |node: u32, fault: u32, late: u64, longest_us: u64| Waited {
            node,
            fault: Some(fault),
            late,
            longest_us,
            ..Waited::default()
        };
        record.waits =
            (0..6).flat_map(|node| [wait(node, 0, 900, 60_000_000), wait(node, 0, 1, 9)]).collect();
        record.waits.extend((0..30).map(|_| wait(1, 0, 1, 50_000_000)));
        record.waits.push(wait(4, 1, 7, 2_000_000));
        let text = explain(&record);
        assert!(text.contains("5\u{202f}443 writes (of which 3 are kept) that came late"), "{text}");
        assert!(text.contains("west-1 waited up to 2 s for 7 writes"), "{text}");
        assert!(text.contains("… and 19 more"), "{text}");
    }

    #[test]
    fn a_missed_expectation_is_said_once_and_in_units_people_read() {
        let mut record = super::super::sample::violated();
        record.expectations[0].measured = Some("3448073us".into());
        let text = explain(&record);
        assert!(text.contains("whole run  expected converges_within 30s, measured 3.4 s"), "{text}");
        assert_eq!(text.matches("expected converges_within").count(), 1, "{text}");
        assert!(!text.contains("3448073"), "{text}");
    }
}
