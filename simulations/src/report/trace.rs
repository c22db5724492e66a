//! The first and the last lines of a run's trace; what is between them the world writes while it runs.
//!
//! JSON Lines: `begins` says which run it is, then come its events with the chain of hashes, then what
//! did not hold, and `ends` has the verdict, what each fault did, and how many events found no room.

use serde_json::{Value, json};

use crate::record::RunRecord;
use crate::scenario::Scenario;
use crate::world::log::Written;

/// The line before the first event.
pub fn begins(scenario: &Scenario, digest: &str, seed: u64) -> String {
    let nodes: Vec<String> = scenario.nodes().into_iter().map(|node| node.name).collect();
    let line = json!({
        "event": "begins", "at_us": 0, "scenario": scenario.name, "seed": seed, "scenario_digest": digest,
        "nodes": nodes, "binary": env!("CARGO_PKG_VERSION"),
    });
    format!("{line}\n")
}

/// The lines after the last event.
pub fn ends(record: &RunRecord, written: &Written) -> String {
    let violations = record.violations.iter().map(|violation| {
        let mut line = json!(violation);
        line["event"] = json!("violated");
        if let Some(node) = violation.node {
            line["node"] = json!(record.node_name(node));
        }
        line
    });
    let faults: Vec<Value> = record
        .faults
        .iter()
        .map(|fault| json!({ "kind": fault.kind, "words": fault.words, "fired": fault.fired }))
        .collect();
    let end = json!({
        "event": "ends", "at_us": record.timings.virtual_us, "scenario": record.scenario, "seed": record.seed,
        "verdict": record.verdict, "trace_hash": record.trace_hash, "faults": faults,
        "lines": written.lines, "left_out": written.left_out,
    });
    violations.chain([end]).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_hold_comes_before_the_verdict_with_the_name_of_its_node() {
        let record = super::super::sample::violated();
        let text = ends(&record, &Written { lines: 7, left_out: 2 });
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(lines.len(), record.violations.len() + 1);
        assert_eq!((&lines[0]["event"], &lines[0]["node"]), (&json!("violated"), &json!("west-1")));
        let end = &lines[lines.len() - 1];
        assert_eq!((&end["verdict"], &end["left_out"]), (&json!("violated"), &json!(2)));
        assert_eq!(end["trace_hash"], json!(record.trace_hash));
    }
}
