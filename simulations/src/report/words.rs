//! Sentences and figures as people read them.

use std::collections::BTreeMap;

use crate::record::{FaultRecord, Judged, Missed, RunRecord, Verdict, Violation, Waited};
use crate::scenario::Span;

/// A time or span: `2.4 s`, `1 min 30 s`, `7 d 3 h`.
pub fn time(us: u64) -> String {
    let units = [("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000)];
    for (index, (unit, factor)) in units.iter().enumerate() {
        if us >= *factor {
            let (below, smaller) = units.get(index + 1).copied().unwrap_or(("s", 1_000_000));
            let rest = us % factor / smaller;
            let whole = us / factor;
            return if rest == 0 {
                format!("{whole} {unit}")
            } else {
                format!("{whole} {unit} {rest} {below}")
            };
        }
    }
    match us {
        0 => "0 s".into(),
        1..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", short(us as f64 / 1e3)),
        _ => format!("{} s", short(us as f64 / 1e6)),
    }
}

/// Bytes: `3.1 MiB`.
pub fn bytes(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, factor)| bytes >= *factor);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, factor)| format!("{} {unit}", short(bytes as f64 / *factor as f64)),
    )
}

/// A count with thin groups: `12 345`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Three figures that matter.
fn short(number: f64) -> String {
    let text = if number >= 99.95 { format!("{number:.0}") } else { format!("{number:.1}") };
    text.trim_end_matches(".0").to_owned()
}

/// `1 node`, `2 nodes`.
pub fn several(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {one}s", self::count(count)) }
}

/// The verdict in a sentence.
pub fn verdict(record: &RunRecord) -> String {
    match record.verdict {
        Verdict::Held => {
            let checks = record.properties.iter().map(|property| property.checks).sum();
            format!("everything held, in {}", several(checks, "check"))
        }
        Verdict::Undecided => "the run could not tell".into(),
        Verdict::Violated => match record.violations.as_slice() {
            [] => "something that must hold did not".into(),
            [one] => format!("{} did not hold", title(one)),
            [first, rest @ ..] => {
                format!("{} did not hold, and {} more", title(first), rest.len())
            }
        },
    }
}

/// What was measured, as people read it: spans of time lose their microseconds.
pub fn measured(judged: &Judged) -> String {
    let measured = judged.measured.as_deref().unwrap_or("nothing could be measured");
    measured.parse::<Span>().map_or_else(|_| measured.to_owned(), |span| time(span.0))
}

/// What a violation is called: `invariant 3, no-acknowledged-write-lost`.
pub fn title(violation: &Violation) -> String {
    match violation.property {
        Some(number) => format!("invariant {number}, {}", violation.name),
        None => format!("expectation {}", violation.name),
    }
}

/// What made the run end as it did, in sentences: the first violation and the fault behind it, what
/// kept it from telling, or what it went through and how it ended.
pub fn cause(record: &RunRecord) -> String {
    if let Some(violation) = record.violations.first() {
        return violated(record, violation) + &filled(record);
    }
    if record.verdict == Verdict::Undecided {
        let reasons = record.undecided.join("; ");
        return if reasons.is_empty() { "Nothing was checked.".into() } else { sentence(&reasons) };
    }
    let fired = record.faults.iter().filter(|fault| fault.fired > 0).count() as u64;
    let hostile = record.nodes.iter().filter(|node| node.behaviour != "honest").count() as u64;
    let struck = (fired > 0).then(|| format!("{} struck", several(fired, "fault")));
    let lied = (hostile > 0).then(|| format!("{} did not keep to the protocol", several(hostile, "node")));
    let went: Vec<String> = struck.into_iter().chain(lied).collect();
    let went = if went.is_empty() { "Nothing went wrong.".into() } else { sentence(&went.join(", and ")) };
    let settled = match record.timings.convergence_us {
        Some(0) => " All honest nodes showed the same already when the last fault was healed.".into(),
        Some(us) => format!(" All honest nodes showed the same {} after the last heal.", time(us)),
        None => String::new(),
    };
    let kept = format!(" {} acknowledged, none lost.", several(record.writes.acknowledged, "write"));
    went + &settled + &kept + &filled(record)
}

/// Whose disk was as full as its capacity lets it be.
fn filled(record: &RunRecord) -> String {
    let mut full: Vec<(u64, &str)> =
        record.nodes.iter().filter_map(|node| Some((node.disk_full_us?, node.name.as_str()))).collect();
    full.sort_unstable();
    match full.as_slice() {
        [] => String::new(),
        [(at, name)] => format!(" The disk of {name} was full from {} on.", time(*at)),
        [(at, name), rest @ ..] => {
            let more = several(rest.len() as u64, "disk");
            format!(" The disk of {name} was full from {} on, and {more} later.", time(*at))
        }
    }
}

fn violated(record: &RunRecord, violation: &Violation) -> String {
    let missed = record.expectations.iter().find(|judged| judged.name == violation.name && !judged.held);
    if let (None, Some(judged)) = (violation.property, missed) {
        let fault = blamed(record, violation)
            .map_or(String::new(), |fault| format!(" The fault behind it: {}.", self::fault(record, fault)));
        let uncharged = if judged.name == "offences_min" { uncharged(record) } else { String::new() };
        let measured = measured(judged);
        return format!("Expected {} {}, measured {measured}.{uncharged}{fault}", judged.name, judged.bound);
    }
    let place = match (violation.node, &violation.document) {
        (Some(node), Some(document)) => format!(", at {} in {document}", record.node_name(node)),
        (Some(node), None) => format!(", at {}", record.node_name(node)),
        (None, Some(document)) => format!(", in {document}"),
        (None, None) => String::new(),
    };
    let culprits = culprits(record, violation).map(|culprits| format!(" At fault: {culprits}."));
    let blamed = blamed(record, violation)
        .map(|fault| format!(" The fault behind it: {}.", self::fault(record, fault)));
    let blamed = match (culprits, blamed) {
        (None, None) => " No fault was going on there.".into(),
        (culprits, blamed) => culprits.unwrap_or_default() + &blamed.unwrap_or_default(),
    };
    format!("{} Noticed at {}{place}.{blamed}", sentence(&violation.words), time(violation.at_us))
}

/// A fault in words: `partition (halves: east | west)`, or `restart at node-0` where only its kind says what it is.
pub fn fault(record: &RunRecord, fault: &FaultRecord) -> String {
    let what = what(record, fault);
    match what.strip_prefix(&fault.kind.replace('-', " ")) {
        Some(whom) if whom.is_empty() || whom.starts_with([' ', ',', ';']) => format!("{}{whom}", fault.kind),
        _ => format!("{} ({what})", fault.kind),
    }
}

/// What a fault is and whom it struck, without its kind where there is more to say.
pub fn what(record: &RunRecord, fault: &FaultRecord) -> String {
    let kind = fault.kind.replace('-', " ");
    if !fault.words.is_empty() && fault.words.replace('-', " ") != kind {
        return fault.words.clone();
    }
    let mut nodes: Vec<u32> = fault.spans.iter().flat_map(|span| span.nodes.iter().copied()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.is_empty() || nodes.len() == record.nodes.len() {
        return kind;
    }
    let names: Vec<&str> = nodes.iter().take(NAMES_MAX).map(|node| record.node_name(*node)).collect();
    let more = nodes.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{kind} at {}{more}", names.join(", "))
}

/// What a fault really did: `518 commits refused`, `1 process killed`.
pub fn did(fault: &FaultRecord) -> String {
    if fault.fired != 1 {
        return format!("{} {}", count(fault.fired), fault.counted);
    }
    let one = match fault.counted.split_once(' ') {
        Some(("frames,", _)) => "frame, dial or connection cut".to_owned(),
        Some(("processes", rest)) => format!("process {rest}"),
        Some((several, rest)) => format!("{} {rest}", several.trim_end_matches('s')),
        None => fault.counted.clone(),
    };
    format!("1 {one}")
}

/// What each node was without because of which fault: as the record says, or counted from what an older one keeps.
pub fn waits(record: &RunRecord) -> Vec<Waited> {
    if !record.waits.is_empty() {
        return record.waits.clone();
    }
    let mut all: BTreeMap<(u32, Option<u32>), Waited> = BTreeMap::new();
    for missed in &record.missed {
        let empty = Waited { node: missed.node, fault: missed.fault, ..Waited::default() };
        let waited = all.entry((missed.node, missed.fault)).or_insert(empty);
        let Some(until) = missed.until_us else {
            waited.never += 1;
            continue;
        };
        waited.late += 1;
        let took = until.saturating_sub(missed.since_us);
        if took > waited.longest_us {
            (waited.longest_us, waited.since_us) = (took, missed.since_us);
        }
    }
    all.into_values().collect()
}

/// Most nodes named in a sentence.
const NAMES_MAX: usize = 4;

/// Whose doing a violation is, where that can be told: `node-1, and liar-0, which does not keep to the protocol
/// (forge)`.
pub fn culprits(record: &RunRecord, violation: &Violation) -> Option<String> {
    let mut named: Vec<String> =
        violation.culprits.iter().take(NAMES_MAX).map(|node| who(record, violation, *node)).collect();
    if violation.culprits.len() > NAMES_MAX {
        named.push("…".into());
    }
    (!named.is_empty()).then(|| named.join(", and "))
}

/// A node, with what it does if it does not keep to the protocol.
fn who(record: &RunRecord, violation: &Violation, node: u32) -> String {
    let name = record.node_name(node).to_owned();
    let behaviour = record.nodes.get(node as usize).map_or("", |node| node.behaviour.as_str());
    if !matches!(behaviour, "honest" | "") {
        return format!("{name}, which does not keep to the protocol ({behaviour})");
    }
    let struck = |fault: &&FaultRecord| {
        fault.kind == "hostile" && fault.spans.iter().any(|span| span.nodes.contains(&node))
    };
    let blamed = violation.fault.and_then(|fault| record.faults.get(fault as usize)).filter(struck);
    match blamed.or(record.faults.iter().find(struck)) {
        Some(fault) => {
            let does = fault.words.split(" at ").next().unwrap_or_default();
            format!("{name}, which did not keep to the protocol ({does})")
        }
        None => name,
    }
}

/// Hostile nodes that nobody charged with anything, in a sentence.
fn uncharged(record: &RunRecord) -> String {
    let hostile = record.nodes.iter().filter(|node| node.behaviour != "honest" && node.offences_done == 0);
    let names: Vec<String> =
        hostile.take(NAMES_MAX).map(|node| format!("{} ({})", node.name, node.behaviour)).collect();
    if names.is_empty() { String::new() } else { format!(" Nobody charged {}.", names.join(", ")) }
}

/// The fault behind a violation: the one it names, or the one that kept most of what is still missing
/// there away.
pub fn blamed<'a>(record: &'a RunRecord, violation: &Violation) -> Option<&'a FaultRecord> {
    let there = |missed: &&Missed| violation.node.is_none_or(|node| node == missed.node);
    let lost = record.missed.iter().filter(|missed| missed.until_us.is_none()).filter(there);
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    lost.filter_map(|missed| missed.fault).for_each(|fault| *counts.entry(fault).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(fault, _)| fault);
    // What is missing tells nothing about a violation of another kind.
    let most = most.filter(|_| matches!(violation.property, None | Some(1 | 2 | 12)));
    record.faults.get(violation.fault.or(most)? as usize)
}

/// `words` as a sentence: a capital first, a full stop last.
pub fn sentence(words: &str) -> String {
    let mut letters = words.trim().chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let rest = letters.as_str().trim_end_matches('.');
    format!("{first}{rest}.")
}

/// What became of a write that came to a node and was not held afterwards.
pub fn received(record: &RunRecord, missed: &Missed) -> Option<String> {
    let received = missed.received.as_ref()?;
    let before = received.before.map_or(String::new(), |write| {
        let known = record.missed.iter().find(|missed| missed.write == write);
        let by = known.map_or(String::new(), |missed| format!(" of {}", record.node_name(missed.author)));
        format!(" before write {write}{by}, on which it rests")
    });
    let then = match (received.accepted, missed.until_us) {
        (true, _) => "vouched for it and did not hold it: it vanished there",
        (false, None) => "set it aside, and never took it",
        (false, Some(_)) => "set it aside until then",
    };
    let (at, from) = (time(received.at_us), record.node_name(received.from));
    Some(format!("received it from {from} at {at}{before}, {then}"))
}

/// Why somebody was without a write.
pub fn because(record: &RunRecord, fault: Option<u32>) -> String {
    let fault = fault.and_then(|fault| record.faults.get(fault as usize));
    fault.map_or_else(|| "no fault was going on".into(), |fault| self::fault(record, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Received;

    #[test]
    fn figures_read_as_people_say_them() {
        let rows = [
            (0, "0 s"),
            (250, "250 µs"),
            (2_400, "2.4 ms"),
            (2_400_000, "2.4 s"),
            (90_000_000, "1 min 30 s"),
        ];
        for (us, text) in rows {
            assert_eq!(time(us), text);
        }
        assert_eq!(time(7 * 86_400_000_000 + 3 * 3_600_000_000), "7 d 3 h");
        assert_eq!((bytes(900), bytes(3 << 20)), ("900 B".to_owned(), "3 MiB".to_owned()));
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_missed_expectation_is_said_with_what_was_measured() {
        let mut record = super::super::sample::violated();
        let name = "converges_within".to_owned();
        record.expectations = vec![Judged {
            name: name.clone(),
            bound: "at most 1s".into(),
            measured: Some("5244730us".into()),
            held: false,
        }];
        record.violations = vec![Violation { name, ..Violation::default() }];
        record.missed.clear();
        assert_eq!(cause(&record), "Expected converges_within at most 1s, measured 5.2 s.");
    }

    #[test]
    fn a_disk_that_reached_its_capacity_is_named() {
        let mut record = super::super::sample::held();
        record.nodes[1].disk_full_us = Some(63_000_000);
        let said = format!("The disk of {} was full from 1 min 3 s on.", record.nodes[1].name);
        assert!(cause(&record).ends_with(&said), "{}", cause(&record));
    }

    #[test]
    fn a_node_that_misbehaves_from_the_start_is_something_that_went_wrong() {
        let mut record = super::super::sample::held();
        record.nodes[1].behaviour = "forge".into();
        assert!(cause(&record).contains("1 node did not keep to the protocol"), "{}", cause(&record));
        record.faults.clear();
        assert!(cause(&record).starts_with("1 node did not"), "{}", cause(&record));
    }

    #[test]
    fn whose_doing_it_is_is_said_with_what_they_do() {
        let mut record = super::super::sample::violated();
        record.nodes[1].behaviour = "forge".into();
        record.missed.clear();
        record.violations = vec![Violation {
            property: Some(5),
            words: "took change 3 for west-1's, which never signed it".into(),
            node: Some(0),
            culprits: vec![0, 1],
            ..Violation::default()
        }];
        let (first, second) = (record.nodes[0].name.clone(), record.nodes[1].name.clone());
        let said = format!("At fault: {first}, and {second}, which does not keep to the protocol (forge).");
        assert!(cause(&record).ends_with(&said), "{}", cause(&record));
    }

    #[test]
    fn a_write_that_came_and_vanished_is_told_from_one_that_waits() {
        let mut record = super::super::sample::violated();
        let come = Received { at_us: 2_000_000, from: 0, accepted: true, before: Some(7) };
        let missed = Missed { received: Some(come.clone()), ..record.missed[0].clone() };
        let said = received(&record, &missed).expect("it came");
        assert!(said.contains("at 2 s before write 7, on which it rests"), "{said}");
        assert!(said.ends_with("it vanished there"), "{said}");
        record.missed.clear();
        let waits = Missed { received: Some(Received { accepted: false, ..come }), until_us: None, ..missed };
        assert!(received(&record, &waits).is_some_and(|said| said.ends_with("never took it")));
        assert_eq!(received(&record, &Missed { received: None, ..waits }), None);
    }

    #[test]
    fn a_fault_is_said_with_whom_it_struck_and_how_often() {
        let mut record = super::super::sample::violated();
        let mut full = FaultRecord {
            kind: "disk-full".into(),
            words: "disk full at west-1".into(),
            fired: 1,
            counted: "commits refused".into(),
            ..FaultRecord::default()
        };
        assert_eq!(fault(&record, &full), "disk-full at west-1");
        full.words = "disk full".into();
        full.spans = record.faults[1].spans.clone();
        assert_eq!(fault(&record, &full), "disk-full at west-1");
        assert_eq!((did(&full), did(&record.faults[1])), ("1 commit refused".into(), "3 writes lost".into()));
        full.counted = "processes killed".into();
        assert_eq!(did(&full), "1 process killed");
        record.faults[0].words = "halves: east | west".into();
        assert_eq!(fault(&record, &record.faults[0]), "partition (halves: east | west)");
    }

    #[test]
    fn the_cause_names_place_time_and_fault() {
        let record = super::super::sample::violated();
        let cause = cause(&record);
        for part in ["west-1", "config/web", "1 min 35 s", "lose-unsynced"] {
            assert!(cause.contains(part), "{part}: {cause}");
        }
        let held = super::super::sample::held();
        assert!(super::cause(&held).contains("2.4 s after the last heal"), "{}", super::cause(&held));
    }
}
