//! Holds records against the schema that is committed for those who read them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Missed, NodeRecord, Received, RunRecord, Violation, Waited};
use crate::report::sample::{held, violated};

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/runs.json");
    let text = std::fs::read_to_string(path).expect("docs/schemas/runs.json is there");
    serde_json::from_str(&text).expect("a schema is JSON")
}

/// What `value` has that the schema does not say, or lacks that it asks for. Stricter than the schema
/// itself: a member that it does not name is wrong, so that none is added without a word on it.
fn wrong(value: &Value, rule: &Value, root: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = rule["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null);
        return wrong(value, target, root, path, found);
    }
    if rule.get("const").is_some_and(|only| only != value)
        || rule["enum"].as_array().is_some_and(|words| !words.contains(value))
    {
        found.push(format!("{path}: {value} is not the right one"));
    }
    let fits = match rule["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        _ => rule.get("const").is_some() || rule.get("enum").is_some(),
    };
    if !fits {
        found.push(format!("{path}: {value} is not {}", rule["type"]));
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        wrong(item, &rule["items"], root, &format!("{path}/{place}"), found);
    }
    let Some(members) = value.as_object() else { return };
    let asked = rule["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(
        asked.filter(|name| !members.contains_key(*name)).map(|name| format!("{path}/{name} is missing")),
    );
    for (name, member) in members {
        match rule["properties"].get(name) {
            Some(rule) => wrong(member, rule, root, &format!("{path}/{name}"), found),
            None => found.push(format!("{path}/{name} is not in docs/schemas/runs.json")),
        }
    }
}

fn wrongs(runs: &[RunRecord]) -> Vec<String> {
    let (root, mut found) = (schema(), Vec::new());
    let printed = json!({ "version": 1, "verdict": crate::report::verdict(runs), "runs": runs });
    wrong(&printed, &root, &root, "", &mut found);
    found
}

/// The sample with everything in it that may be absent.
fn whole() -> RunRecord {
    let mut record = violated();
    record.planted = Some("a-defect".into());
    record.timings.convergence_us = Some(1);
    record.nodes.push(NodeRecord { disk_full_us: Some(1), ..NodeRecord::default() });
    let received = Some(Received { before: Some(1), ..Received::default() });
    record.missed.push(Missed { until_us: Some(1), fault: Some(0), received, ..Missed::default() });
    record.missed_total = 2;
    record.waits.push(Waited { fault: Some(0), ..Waited::default() });
    let place = Violation {
        property: Some(1),
        node: Some(0),
        document: Some("d".into()),
        fault: Some(0),
        culprits: vec![0],
        ..Violation::default()
    };
    record.violations.push(place);
    record
}

#[test]
fn records_are_what_the_committed_schema_says() {
    assert_eq!(
        wrongs(&[whole(), held(), RunRecord { version: 1, ..RunRecord::default() }]),
        Vec::<String>::new()
    );
}

#[test]
fn a_member_that_is_missing_new_or_of_another_kind_is_noticed() {
    let (root, mut found) = (schema(), Vec::new());
    let mut record = json!(held());
    record["seed"] = json!("one");
    record["colour"] = json!("blue");
    record["writes"].as_object_mut().expect("writes are a table").remove("asked");
    wrong(&record, &json!({ "$ref": "#/$defs/RunRecord" }), &root, "", &mut found);
    let places: BTreeSet<&str> = found.iter().filter_map(|words| words.split([' ', ':']).next()).collect();
    assert_eq!(places, BTreeSet::from(["/colour", "/seed", "/writes/asked"]), "{found:?}");
}
