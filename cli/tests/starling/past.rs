//! Documents through time, through the command line: history, blame, earlier states, conflicts, and the
//! shapes of what is printed.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::schema::{complaint, fits};
use crate::support::{Node, run, run_with_input, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn node_with_space() -> (tempfile::TempDir, Node) {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    node.run(&["space", "create", "shop"]).expect(0);
    (directory, node)
}

fn output(node: &Node, args: &[&str]) -> Value {
    let args: Vec<&str> = ["--output", "json"].iter().chain(args).copied().collect();
    node.run(&args).expect(0).json()
}

fn heads(node: &Node, args: &[&str]) -> String {
    node.run(args).expect(0).line().to_owned()
}

#[test]
fn a_history_tells_who_did_what_newest_first() {
    let (_directory, node) = node_with_space();
    let first = heads(&node, &["put", "a", r#"{"n":1,"l":[1]}"#]);
    let second = heads(&node, &["set", "a", "/n", "2"]);
    node.run(&["inc", "a", "/visits", "3"]).expect(0);
    node.run(&["inc", "a", "/visits", "-1"]).expect(0);
    node.run(&["rm", "a"]).expect(0);
    let history = output(&node, &["history", "a"]);
    fits("history", &history);
    let items = history["items"].as_array().expect("a list");
    let changes: Vec<_> = items.iter().map(|item| item["change"].as_str().expect("a hash")).collect();
    assert_eq!((changes.len(), changes[3], changes[4]), (5, second.as_str(), first.as_str()));
    assert_eq!(items[3]["did"], json!([{ "op": "set", "pointer": "/n", "value": 2 }]));
    assert_eq!(items[3]["rests_on"], json!([first]));
    assert_eq!((&items[0]["deletes"], &items[0]["author_name"]), (&json!(true), &json!("one")));
    assert_eq!(
        items.iter().map(|item| item["seq"].as_u64()).collect::<Vec<_>>(),
        [Some(5), Some(4), Some(3), Some(2), Some(1)]
    );
    let lines = node.run(&["log", "a", "--limit", "2"]).expect(0).stdout;
    let words: Vec<_> = lines.lines().map(|line| line.split('\t').next_back().expect("words")).collect();
    assert_eq!(words, ["delete the document", "subtract 1 from /visits"]);
    assert_eq!(output(&node, &["history", "a", "--limit", "0"]), json!({ "items": [] }));
    node.run(&["history", "absent"]).expect(3);
    node.run(&["history", "a//b"]).expect(2);
}

#[test]
fn a_history_is_chosen_by_author_and_claimed_time() {
    let (_directory, node) = node_with_space();
    node.run(&["put", "a", "{}"]).expect(0);
    node.run(&["put", "b", "{}"]).expect(0);
    let key = output(&node, &["id"])["key"].as_str().expect("a key").to_owned();
    for author in ["one", &key, &key[..8]] {
        let items = output(&node, &["history", "--author", author])["items"].clone();
        let docs: Vec<_> = items.as_array().expect("a list").iter().map(|item| &item["doc"]).collect();
        assert_eq!(docs, ["b", "a"], "the document that changed last comes first");
    }
    assert_eq!(output(&node, &["history", "--author", &"ab".repeat(32)])["items"], json!([]));
    node.run(&["history", "--author", "nobody"]).expect(3);
    assert_eq!(output(&node, &["history", "a", "--since", "1h"])["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(output(&node, &["history", "a", "--since", "2999-01-01"])["items"], json!([]));
    let failure = node.run(&["--output", "json", "history", "a", "--since", "yesterday"]).expect(2);
    assert_eq!(failure.failure()["code"], "bad-time");
}

#[test]
fn the_whole_space_is_told_page_by_page_without_gap_or_repeat() {
    let (directory, node) = node_with_space();
    let records: String = (0..1_200).map(|n| format!("{{\"id\":\"r{n:04}\"}}\n")).collect();
    let file = directory.path().join("r.ndjson");
    fs::write(&file, records).expect("a file");
    node.run(&["import", "--key-field", "id", &file.display().to_string()]).expect(0);
    for n in 0..5 {
        node.run(&["put", "r0007", &format!("{{\"n\":{n}}}")]).expect(0);
    }
    let items = output(&node, &["history"])["items"].as_array().expect("a list").clone();
    let mut changes: Vec<_> = items.iter().map(|item| item["change"].to_string()).collect();
    assert!(items[..6].iter().all(|item| item["doc"] == "r0007"), "it changed last");
    assert_eq!(changes.len(), 1_205);
    changes.sort_unstable();
    changes.dedup();
    assert_eq!(changes.len(), 1_205);
}

#[test]
fn earlier_states_are_read_by_beginnings_of_heads_and_by_time() {
    let (_directory, node) = node_with_space();
    let first = heads(&node, &["put", "a", r#"{"n":1}"#]);
    let second = heads(&node, &["put", "a", r#"{"n":2,"x":[1,2,3]}"#]);
    assert_eq!(node.run(&["get", "a", "/n", "--at", &first[..10]]).expect(0).line(), "1");
    assert_eq!(node.run(&["get", "a", "--heads", "--at", &first[..10]]).expect(0).line(), first);
    assert_eq!(node.run(&["get", "a", "/n", "--at", "2999-01-01T00:00:00Z"]).expect(0).line(), "2");
    for (at, exit, code) in
        [("1999-12-31", 3, "unknown-heads"), ("24h", 3, "unknown-heads"), ("0000000000", 3, "unknown-heads")]
    {
        let failure = node.run(&["--output", "json", "get", "a", "--at", at]).expect(exit).failure();
        assert_eq!(failure["code"], code, "{at}");
    }
    for at in ["abc", "not/heads", ""] {
        assert!(node.run(&["get", "a", "--at", at]).expect(2).stderr.contains("hex digits"), "{at}");
    }
    let patch = output(&node, &["diff", "a", &first[..8]]);
    fits("diff", &patch);
    assert_eq!(
        patch,
        json!([{ "op": "replace", "path": "/n", "value": 2 }, { "op": "add", "path": "/x", "value": [1, 2, 3] }])
    );
    let lines = node.run(&["diff", "a", &second, &first]).expect(0).stdout;
    assert_eq!(lines, "- /n  2\n+ /n  1\n- /x  [1,2,3]\n");
    assert_eq!(node.run(&["diff", "a", "now", &second, "--fail-if-any"]).expect(0).stdout, "");
    node.run(&["diff", "a", &first, "--fail-if-any"]).expect(8);
}

#[test]
fn an_ambiguous_beginning_names_the_candidates() {
    let (directory, node) = node_with_space();
    let lines: String = (0..1_500)
        .map(|n| format!("{{\"op\":\"set\",\"doc\":\"a\",\"pointer\":\"/n\",\"value\":{n}}}\n"))
        .collect();
    let file = directory.path().join("lines");
    fs::write(&file, &lines).expect("a file");
    node.run(&["put", "a", "{}"]).expect(0);
    run_batch(&node, &lines);
    let items = output(&node, &["history", "a"])["items"].as_array().expect("a list").clone();
    assert_eq!(items.len(), 1_501);
    let mut digits: Vec<_> =
        items.iter().map(|item| item["change"].as_str().expect("a hash")[..4].to_owned()).collect();
    digits.sort_unstable();
    // Of 1,501 hashes two begin alike in all but one of a thousand million runs.
    let twice = digits.windows(2).find(|pair| pair[0] == pair[1]).expect("a shared beginning")[0].clone();
    let failure = node.run(&["--output", "json", "get", "a", "--at", &twice]).expect(2).failure();
    assert_eq!(failure["code"], "ambiguous-heads");
    let why = failure["why"].to_string();
    assert!(why.contains("candidates: ") && why.matches(&twice).count() >= 3, "{why}");
}

/// Writes many lines at once, each a change of its own.
fn run_batch(node: &Node, lines: &str) {
    let socket = starling_api::NodeAddress::Unix(node.directory.join("api.sock"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = starling_api::Client::new(socket);
    let lines: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let refused = |result: starling_api::document::BatchResult| assert!(result.outcome.is_ok(), "{result:?}");
    runtime.block_on(client.batch_all("shop", lines, refused)).expect("an answer");
}

#[test]
fn a_revert_is_one_change_and_undoes_a_deletion() {
    let (_directory, node) = node_with_space();
    let first = heads(&node, &["put", "a", r#"{"n":1,"pi":3.141592653589793,"c":{"$counter":2}}"#]);
    node.run(&["put", "a", r#"{"n":2}"#]).expect(0);
    let shown = node.run(&["revert", "a", "--to", &first[..8], "--dry-run"]).expect(0).stdout;
    assert_eq!(shown, "+ /c  {\"$counter\":2}\n- /n  2\n+ /n  1\n+ /pi  3.141592653589793\n");
    assert_eq!(node.run(&["get", "a", "--raw"]).expect(0).line(), r#"{"n":2}"#);
    let written = output(&node, &["revert", "a", "--to", &first[..8]]);
    fits("written", &written);
    assert_eq!(written["changed"], true);
    let then = node.run(&["get", "a", "--raw", "--at", &first]).expect(0).stdout;
    assert_eq!(node.run(&["get", "a", "--raw"]).expect(0).stdout, then);
    assert_eq!(output(&node, &["revert", "a", "--to", &first])["changed"], false);
    assert_eq!(output(&node, &["history", "a"])["items"].as_array().map(Vec::len), Some(3));
    node.run(&["rm", "a"]).expect(0);
    node.run(&["get", "a"]).expect(3);
    node.run(&["revert", "a", "--to", &first]).expect(0);
    assert_eq!(node.run(&["get", "a", "--raw"]).expect(0).stdout, then);
    node.run(&["revert", "a", "--to", "1999-01-01"]).expect(3);
    node.run(&["revert", "absent", "--to", &first]).expect(3);
    node.run(&["revert", "a", "--to", &first, "--if-absent"]).expect(5);
}

#[test]
fn an_edit_is_merged_with_what_was_written_meanwhile() {
    let (directory, node) = node_with_space();
    node.run(&["put", "a", r#"{"mine":1,"theirs":1}"#]).expect(0);
    let place = node.directory.display().to_string();
    let other = format!("{} --data-dir {place} set a /theirs 2", env!("CARGO_BIN_EXE_starling"));
    let edit = |editor: &str, doc: &str| {
        let mut command = node.command(&["--output", "json", "edit", doc]);
        command.env_remove("VISUAL").env("EDITOR", editor);
        run_with_input(command, "")
    };
    let script = directory.path().join("editor");
    fs::write(&script, format!("{other} >/dev/null && sed -i 's/\"mine\": 1/\"mine\": 5/' \"$1\""))
        .expect("a file");
    let written = edit(&format!("sh {}", script.display()), "a").expect(0).json();
    fits("written", &written);
    assert_eq!(output(&node, &["get", "a"]), json!({ "mine": 5, "theirs": 2 }));
    assert!(edit("true", "a").expect(0).stderr.contains("nothing changed"));
    edit("false", "a").expect(1);
    assert_eq!(edit("printf '{\"new\": true}' >", "b").expect(0).json()["created"], true);
    assert_eq!(output(&node, &["get", "b"]), json!({ "new": true }));
    let refused = edit("printf nonsense >", "a").expect(2).failure();
    let path =
        refused["next"].as_str().and_then(|next| next.split(['@', '`']).nth(2)).expect("a path").to_owned();
    assert_eq!(fs::read_to_string(&path).expect("what was written is kept"), "nonsense");
    fs::remove_file(path).expect("a file");
    assert_eq!(output(&node, &["get", "a"]), json!({ "mine": 5, "theirs": 2 }));
}

#[test]
fn a_wrong_shape_is_complained_about() {
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": { "pattern": "^[0-9a-f]{4}$" },
            "b": { "type": "array", "minItems": 1, "items": { "oneOf": [{ "const": 1 }, { "minimum": 3, "type": "integer" }] } },
            "c": { "format": "date-time" },
            "d": { "enum": ["x", 2] },
            "e": { "type": "number" }
        }
    });
    let all = json!({"a": "1234", "b": [1, 3], "c": "2026-01-31T00:00:00Z", "d": 2, "e": 0.5});
    for good in [json!({"a": "00ff"}), all] {
        assert_eq!(complaint(&schema, &good), None);
    }
    for bad in [
        json!([]),
        json!({}),
        json!({"a": "00fg"}),
        json!({"a": "00f"}),
        json!({"a": "00ff", "d": 1}),
        json!({"a": "00ff", "e": "1"}),
        json!({"a": "00ff", "f": 1}),
        json!({"a": "00ff", "b": []}),
        json!({"a": "00ff", "b": [2]}),
        json!({"a": "00ff", "c": "yesterday"}),
    ] {
        assert!(complaint(&schema, &bad).is_some(), "{bad}");
    }
}

/// Two nodes with several documents in conflict, and the first one's data directory.
fn two_in_conflict() -> (tempfile::TempDir, Node, tempfile::TempDir, Node) {
    let (here, one) = node_with_space();
    for doc in ["a", "b", "c", "quiet"] {
        one.run(&["put", doc, r#"{"colour":"white","deep":{"list":[1,2]}}"#]).expect(0);
    }
    let ticket = one.run(&["invite", "--role", "writer"]).expect(0);
    let there = tempfile::tempdir().expect("a directory");
    let two = Node::start(there.path(), &["--name", "two"]);
    run_with_input(two.command(&["join", "-"]), &ticket.stdout).expect(0);
    until("the documents arrive", PATIENCE, || two.run(&["ls", "--count"]).stdout == "4\n");
    until("the second node may write", PATIENCE, || two.run(&["put", "mine", "{}"]).code == Some(0));
    let peers = one.run(&["--output", "json", "peers"]).expect(0).json();
    let peer = peers["items"][0]["peer_id"].as_str().expect("a peer").to_owned();
    one.run(&["peers", "block", &peer]).expect(0);
    until("the link is cut", PATIENCE, || {
        let peers = one.run(&["--output", "json", "peers"]).expect(0).json();
        peers["items"][0]["connected"] == false && peers["items"][0].get("blocked").is_some()
    });
    for (node, colour) in [(&one, "\"r\\u001bed\""), (&two, "\"b\\u001blue\"")] {
        node.run(&["set", "a", "/colour", colour]).expect(0);
        node.run(&["set", "b", "/deep/list/1", colour]).expect(0);
    }
    one.run(&["rm", "c"]).expect(0);
    two.run(&["set", "c", "/colour", "\"green\""]).expect(0);
    one.run(&["peers", "unblock", &peer]).expect(0);
    until("the conflicts show", PATIENCE, || one.run(&["conflicts"]).stdout.lines().count() == 6);
    until("the other sees them, too", PATIENCE, || two.run(&["conflicts"]).stdout.lines().count() == 6);
    (here, one, there, two)
}

#[test]
fn conflicts_are_found_blamed_and_settled_and_a_stopped_node_tells_the_same() {
    let (_here, one, _there, two) = two_in_conflict();
    let found = one.run(&["--output", "json", "conflicts"]).expect(0).stdout;
    let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    found.iter().for_each(|conflict| fits("conflicts", conflict));
    let places: Vec<_> =
        found.iter().map(|found| (found["doc"].as_str(), found["pointer"].as_str())).collect();
    assert_eq!(
        places,
        [(Some("a"), Some("/colour")), (Some("b"), Some("/deep/list/1")), (Some("c"), Some(""))]
    );
    assert_eq!(one.run(&["conflicts", "b"]).expect(0).stdout.lines().count(), 2);
    one.run(&["conflicts", "--fail-if-any"]).expect(8);
    one.run(&["conflicts", "quiet", "--fail-if-any"]).expect(0);

    let blame = output(&one, &["blame", "a"]);
    fits("blame", &blame);
    let contested = &blame["items"][0];
    assert_eq!(
        (&contested["pointer"], contested["hidden"].as_array().map(Vec::len)),
        (&json!("/colour"), Some(1))
    );
    let mut names = [contested["author_name"].to_string(), contested["hidden"][0]["author_name"].to_string()];
    names.sort_unstable();
    assert_eq!(names, ["\"one\"", "\"two\""]);
    assert_eq!(output(&one, &["blame", "a", "/deep/list"])["items"].as_array().map(Vec::len), Some(2));
    one.run(&["blame", "a", "/absent"]).expect(3);
    assert!(!one.run(&["history", "a"]).expect(0).stdout.contains('\u{1b}'));

    let shown = output(&one, &["get", "a", "/colour"]);
    fits("written", &output(&one, &["resolve", "a", "/colour"]));
    one.run(&["resolve", "b", "/deep/list/1", "{\"n\":2}"]).expect(0);
    one.run(&["resolve", "c", ""]).expect(0);
    assert_eq!(one.run(&["conflicts"]).expect(0).stdout, "");
    until("it is settled at the other node", PATIENCE, || two.run(&["conflicts"]).stdout.is_empty());
    assert_eq!(output(&two, &["get", "a", "/colour"]), shown);
    assert_eq!(output(&two, &["get", "b", "/deep/list/1"]), json!({ "n": 2 }));
    assert_eq!(output(&two, &["get", "c", "/colour"]), "green");
    assert_eq!(output(&one, &["resolve", "a", "/colour"])["changed"], false);
    one.run(&["resolve", "a", "/absent"]).expect(3);

    let history = output(&one, &["history", "a"]);
    let (at, whole) = (one.directory.display().to_string(), output(&one, &["history"]));
    one.kill();
    let nameless = |mut value: Value| {
        for item in value["items"].as_array_mut().expect("a list") {
            item.as_object_mut().expect("an object").remove("author_name");
        }
        value
    };
    let stopped = |args: &[&str]| run(["--data-dir", &at, "--output", "json"].iter().chain(args).copied());
    assert_eq!(stopped(&["history", "a"]).expect(0).json(), nameless(history));
    assert_eq!(stopped(&["log"]).expect(0).json(), nameless(whole));
    let blame = stopped(&["blame", "b"]).expect(0).json();
    fits("blame", &blame);
    stopped(&["blame", "absent"]).expect(3);
    stopped(&["history", "a", "--author", "one"]).expect(3);
}
