//! What commands print with `--output json`, against `docs/schemas/`: every command has its shapes in the
//! table there, every shape is in the table and tested, and what is printed fits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::node_with_shop;
use crate::schema::fits;
use crate::support::{Node, Ran, run, run_with_input, starling, until};

const TABLE: &str = include_str!("../../../docs/schemas/README.md");

const PATIENCE: Duration = Duration::from_secs(60);

/// Shapes of the simulator, which its own tests hold against what it prints.
const OF_THE_SIMULATOR: [&str; 2] = ["runs", "scenario"];

/// Commands whose commands below them have a table of their own.
const WITH_OWN_TABLE: [&str; 1] = ["sim"];

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// The words that stand in front of `.json` in a text.
fn shapes(text: &str) -> impl Iterator<Item = String> + '_ {
    let names = text.split(['`', ' ', ',', ';', '(', ')', '[', ']', '|']);
    names.filter_map(|word| word.strip_suffix(".json")).map(str::to_owned)
}

/// Commands and their shapes, as the table tells.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(command, rest)| (command.to_owned(), shapes(rest).collect())).collect()
}

/// The commands that help lists below these words, and those below them.
fn commands(words: &[&str]) -> Vec<String> {
    let help = run([words, &["--help"]].concat()).expect(0).stdout;
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names: Vec<&str> =
        named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    if names.is_empty() || words.last().is_some_and(|word| WITH_OWN_TABLE.contains(word)) {
        return vec![words.join(" ")];
    }
    names.iter().flat_map(|name| commands(&[words, &[*name]].concat())).collect()
}

#[test]
fn every_command_has_its_shapes_in_the_table() {
    let known: BTreeSet<String> = commands(&[]).into_iter().collect();
    let told: BTreeSet<String> = table().into_keys().collect();
    assert_eq!(told, known);
}

#[test]
fn every_shape_is_in_the_table_and_compared_with_what_is_printed() {
    let files = fs::read_dir(path("../docs/schemas")).expect("a directory").flatten();
    let files = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
    let files: BTreeSet<String> = files.collect();
    let told: BTreeSet<String> = shapes(TABLE).collect();
    assert_eq!(files, told);

    let sources = fs::read_dir(path("tests/starling")).expect("a directory").flatten();
    let sources: String = sources.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    let sources: String = sources.split_whitespace().collect();
    // An argument of `fits` or `prints`, or a row of the cases above.
    let compared = |shape: &str| sources.contains(&format!("(\"{shape}\","));
    let untested: Vec<&String> = files
        .iter()
        .filter(|shape| !OF_THE_SIMULATOR.contains(&shape.as_str()) && !compared(shape))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// What to run on a node that has a space and another member, with the shape of each line, in an order in
/// which each finds what it needs.
const CASES: &[(&str, &[&str])] = &[
    ("id", &["id"]),
    ("version", &["version"]),
    ("log-level", &["log-level", "info"]),
    ("config", &["config", "show"]),
    ("ok", &["config", "check"]),
    ("status", &["status"]),
    ("status-all", &["status", "--all"]),
    ("members", &["members"]),
    ("peers", &["peers"]),
    ("peer-added", &["peers", "add", "127.0.0.1:1"]),
    ("invite", &["invite", "--role", "reader", "--uses", "2", "--expires", "1h"]),
    ("written", &["put", "a", "{\"l\":[],\"t\":{\"$text\":\"\"}}"]),
    ("written", &["put", "b", "{}", "--confirm", "1", "--timeout", "30s"]),
    ("written", &["set", "a", "/n", "1"]),
    ("written", &["inc", "a", "/c"]),
    ("written", &["patch", "a", "{\"p\":1}"]),
    ("written", &["splice", "a", "/t", "0", "0", "x"]),
    ("written", &["insert", "a", "/l/-", "1"]),
    ("document", &["get", "a"]),
    ("document", &["get", "a", "/n"]),
    ("heads", &["get", "a", "--heads"]),
    ("diff", &["revert", "a", "--to", "now", "--dry-run"]),
    ("documents", &["ls"]),
    ("documents", &["ls", "nothing/"]),
    ("count", &["ls", "--count"]),
    ("export", &["export"]),
    ("batch-line", &["export", "--format", "ndjson"]),
    ("exported", &["export", "--dir", "exported"]),
    ("imported", &["import", "records.ndjson", "--key-field", "id", "--dry-run"]),
    ("imported", &["import", "records.ndjson", "--key-field", "id"]),
    ("doc", &["batch", "lines.ndjson", "--dry-run"]),
    ("batch", &["batch", "lines.ndjson"]),
    ("doc", &["rm", "a", "--dry-run"]),
    ("doc", &["rm", "--prefix", "r", "--yes"]),
    ("wait", &["wait", "--nodes", "all"]),
    ("verify", &["verify"]),
    ("compacted", &["compact"]),
    ("backup", &["backup", "all.backup", "--with-identity"]),
    ("bench", &["bench", "--seconds", "1", "--yes"]),
    ("file", &["man", "pages"]),
    ("space", &["space", "create", "second"]),
    ("space", &["space", "show", "second"]),
    ("spaces", &["space", "list"]),
    ("space", &["space", "leave", "second", "--dry-run"]),
    ("space-left", &["space", "leave", "second", "--yes", "--force"]),
    ("status", &["status"]),
];

/// Holds what was printed against a shape: one JSON value, or one a line.
#[track_caller]
fn prints(shape: &str, ran: &Ran) {
    assert!(!ran.stdout.is_empty(), "{shape}: nothing was printed: {}", ran.stderr);
    match serde_json::from_str::<Value>(&ran.stdout) {
        Ok(value) => fits(shape, &value),
        Err(_) => ran.stdout.lines().for_each(|line| {
            let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{shape}: {error}: {line}"));
            fits(shape, &value);
        }),
    }
}

fn in_json<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["--output", "json"], words].concat()
}

#[test]
fn what_commands_print_has_the_shape_that_is_told() {
    let home = tempfile::tempdir().expect("a directory");
    let one = Node::start(&home.path().join("one"), &["--name", "one", "--output", "json"]);
    let printed = one.log();
    let first = printed.lines().find(|line| line.starts_with('{')).expect("what it announces");
    fits("status", &serde_json::from_str(first).expect("JSON"));
    one.run(&["space", "create", "shop"]).expect(0);
    let two = Node::start(&home.path().join("two"), &["--name", "two"]);
    let ticket = one.run(&["invite", "--role", "writer"]).expect(0).stdout;
    let joined = run_with_input(two.command(&in_json(&["join", "-"])), &ticket).expect(0);
    fits("joined", &joined.json());
    until("both may write", PATIENCE, || two.run(&["put", "hello", "{}"]).code == Some(0));
    one.run(&["wait", "--nodes", "all", "--timeout", "60s"]).expect(0);

    fs::write(home.path().join("records.ndjson"), "{\"id\":\"r1\"}\n{\"id\":\"r2\"}\n").expect("a file");
    let lines = "{\"op\":\"put\",\"doc\":\"r3\",\"value\":{}}\n{\"op\":\"delete\",\"doc\":\"r3\"}\n";
    fs::write(home.path().join("lines.ndjson"), lines).expect("a file");
    for (shape, words) in CASES {
        let mut command = one.command(&in_json(words));
        command.current_dir(home.path());
        let ran = run_with_input(command, "");
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
        prints(shape, &ran);
    }
    let refused = run_with_input(one.command(&in_json(&["batch"])), "{\"op\":\"inc\"}\nno line\n");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    prints("batch", &refused);

    let (directory, backup) = (one.directory.clone(), home.path().join("all.backup"));
    one.kill();
    let offline = |words: &[&str]| {
        let mut command = starling(["--data-dir"]);
        command.arg(&directory).args(in_json(words));
        run_with_input(command, "").expect(0)
    };
    prints("status-stopped", &offline(&["status"]));
    let repaired = offline(&["verify", "--repair"]);
    let (before, after) = repaired.stdout.split_once('\n').expect("two lines");
    fits("repaired", &serde_json::from_str(before).expect("JSON"));
    fits("verify", &serde_json::from_str(after).expect("JSON"));
    prints("compacted", &offline(&["compact"]));
    let mut restore = starling(["--data-dir"]);
    restore.arg(home.path().join("again")).args(in_json(&["restore"])).arg(&backup);
    prints("restored", &run_with_input(restore, "").expect(0));
}

#[test]
fn every_failure_has_one_shape() {
    let (_home, node) = node_with_shop("one");
    for (words, code) in [
        (&["get", "a"][..], 3),
        (&["space", "create", ""][..], 2),
        (&["peers", "block", "nobody"][..], 3),
        (&["--node", "unix:/nowhere", "status"][..], 7),
        (&["watch", "--since", "x"][..], 2),
    ] {
        let ran = node.run(&in_json(words)).expect(code);
        let last = ran.stderr.lines().last().unwrap_or_default();
        fits(
            "failure",
            &serde_json::from_str(last).unwrap_or_else(|error| panic!("{words:?}: {error}: {last}")),
        );
    }
}
