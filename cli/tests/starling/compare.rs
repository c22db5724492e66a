//! Comparing real nodes through the command line.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::schema::fits;
use crate::support::{Node, run_with_input, until};

const PATIENCE: Duration = Duration::from_secs(60);
/// Documents written while the nodes are apart.
const DOCUMENTS: usize = 2_000;

fn compare(node: &Node, args: &[&str]) -> (Option<i32>, Value) {
    let ran = node.run(&[&["--output", "json", "compare"][..], args].concat());
    let told = ran.json();
    fits("compare", &told);
    (ran.code, told)
}

#[test]
fn two_nodes_are_compared_while_they_repair_each_other_and_apart() {
    let (here, there) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let one = Node::start(here.path(), &["--name", "one"]);
    one.run(&["space", "create", "shop"]).expect(0);
    one.run(&["put", "two", "{}"]).expect(0);
    let ticket = one.run(&["invite", "--role", "writer"]).expect(0);
    let two = Node::start(there.path(), &["--name", "two"]);
    run_with_input(two.command(&["join", "-"]), &ticket.stdout).expect(0);
    until("they are equal", PATIENCE, || one.run(&["compare", "two"]).code == Some(0));
    // A node goes by its key until its first beacon says its name.
    until("each knows the other's name", PATIENCE, || two.run(&["compare", "one"]).code == Some(0));
    let (code, told) = compare(&two, &["one"]);
    assert_eq!((code, &told["items"][0]["outcome"]), (Some(0), &json!("equal")), "{told}");
    assert_eq!(told["items"][0]["round_trips"], 1, "{told}");
    compare(&one, &["--doc", "two", "two"]);

    // Names that stand for nobody, for this node, or for two things.
    one.run(&["compare", "nobody"]).expect(3);
    one.run(&["compare", "one"]).expect(2);
    one.run(&["compare", "two", "two"]).expect(2);
    one.run(&["compare", "absent", "two"]).expect(3);
    one.run(&["compare"]).expect(2);

    let peers = one.run(&["--output", "json", "peers"]).expect(0).json();
    let peer = peers["items"][0]["key"].as_str().expect("a peer").to_owned();
    one.run(&["peers", "block", &peer, "--for", "1h"]).expect(0);
    until("the link is cut", PATIENCE, || one.run(&["compare", "two"]).code == Some(7));
    let (_, told) = compare(&one, &[&peer[..12]]);
    assert_eq!(told["items"][0]["code"], "not-connected", "{told}");

    let records: String = (0..DOCUMENTS).map(|n| format!("{{\"id\":\"r{n:04}\"}}\n")).collect();
    let file = here.path().join("records.ndjson");
    fs::write(&file, records).expect("a file");
    one.run(&["import", "--key-field", "id", &file.display().to_string()]).expect(0);
    one.run(&["peers", "unblock", &peer]).expect(0);
    // Repair may be over before the first look: then no difference shows.
    until("the nodes are equal again", PATIENCE, || {
        let (code, told) = compare(&one, &["two"]);
        assert!(matches!(code, Some(0 | 7 | 8)), "{code:?}: {told}");
        code == Some(0)
    });
    assert_eq!(two.run(&["ls", "--count"]).expect(0).line(), (DOCUMENTS + 1).to_string());
}
