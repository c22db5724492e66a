//! What happened when, as JSON Lines: one object a line, in order of time, for other programs.
//!
//! Each line has `at_us`, `event`, `scenario` and `seed`. The first says the run, the last its verdict.

use serde_json::{Value, json};

use crate::record::RunRecord;

/// The lines of one run.
pub fn json_lines(record: &RunRecord) -> String {
    let mut events: Vec<(u64, Value)> = Vec::new();
    faults(record, &mut events);
    for (index, band) in record.bands.iter().enumerate() {
        let sides: Vec<Vec<&str>> =
            band.sides.iter().map(|side| side.iter().map(|node| record.node_name(*node)).collect()).collect();
        events.push((
            band.from_us,
            json!({ "event": "cut", "band": index, "fault": band.fault, "sides": sides }),
        ));
        events.push((band.to_us, json!({ "event": "mended", "band": index, "fault": band.fault })));
    }
    for missed in &record.missed {
        let (node, author) = (record.node_name(missed.node), record.node_name(missed.author));
        let write = json!({ "node": node, "author": author, "document": missed.document, "write": missed.write, "fault": missed.fault });
        events.push((missed.since_us, with(&write, "missing")));
        if let Some(until) = missed.until_us {
            events.push((until, with(&write, "arrived")));
        }
    }
    for violation in &record.violations {
        let mut line = json!(violation);
        line["event"] = json!("violated");
        events.push((violation.at_us, line));
    }
    if record.timings.healed_us > 0 {
        events.push((record.timings.healed_us, json!({ "event": "healed" })));
    }
    if let Some(us) = record.timings.convergence_us {
        events.push((record.timings.healed_us.saturating_add(us), json!({ "event": "converged" })));
    }
    events.sort_by_key(|(at, _)| *at);
    let begin = json!({ "event": "begins", "nodes": record.nodes.iter().map(|node| &node.name).collect::<Vec<_>>(),
                        "scenario_digest": record.scenario_digest, "binary": record.binary });
    let end = json!({ "event": "ends", "verdict": record.verdict, "trace_hash": record.trace_hash });
    events.insert(0, (0, begin));
    events.push((record.timings.virtual_us, end));
    let lines = events.into_iter().map(|(at, mut line)| {
        line["at_us"] = json!(at);
        line["scenario"] = json!(record.scenario);
        line["seed"] = json!(record.seed);
        line.to_string() + "\n"
    });
    lines.collect()
}

fn faults(record: &RunRecord, events: &mut Vec<(u64, Value)>) {
    for (index, fault) in record.faults.iter().enumerate() {
        for span in &fault.spans {
            let nodes: Vec<&str> = span.nodes.iter().map(|node| record.node_name(*node)).collect();
            let begins = json!({ "event": "fault-begins", "fault": index, "kind": fault.kind, "words": fault.words, "nodes": nodes });
            events.push((span.from_us, begins));
            events.push((span.to_us, json!({ "event": "fault-ends", "fault": index, "kind": fault.kind })));
        }
    }
}

fn with(line: &Value, event: &str) -> Value {
    let mut line = line.clone();
    line["event"] = json!(event);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_in_order_between_the_beginning_and_the_verdict() {
        let text = json_lines(&super::super::sample::violated());
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        let times: Vec<u64> = lines.iter().filter_map(|line| line["at_us"].as_u64()).collect();
        assert!(times.len() == lines.len() && times.is_sorted());
        assert_eq!(
            (&lines[0]["event"], &lines[lines.len() - 1]["verdict"]),
            (&json!("begins"), &json!("violated"))
        );
        let kinds = lines.iter().filter(|line| line["event"] == "cut" || line["event"] == "violated");
        assert_eq!(kinds.count(), 3);
    }
}
