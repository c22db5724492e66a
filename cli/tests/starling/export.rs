//! Documents written out: as JSON, as lines, as automerge files that another automerge opens; from a node
//! that runs and from one that does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::skip::skip;
use crate::support::{Node, run, run_with_input};

/// A name that must not become a path of its own, and one of every kind of value.
fn documents() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        (
            "config/web",
            json!({"port": 80, "hosts": ["a", {"b": null}], "ratio": 0.1, "on": true, "none": {}}),
        ),
        ("../../escape", json!({"inside": "yes"})),
        (
            "forms",
            json!({"n": {"$counter": -4}, "t": {"$text": "grüße 😀"}, "b": {"$bytes": "AP8="},
                "at": {"$time": "2026-01-02T03:04:05.678Z"}, "big": 9_007_199_254_740_991_i64, "plain": "text"}),
        ),
    ])
}

fn node_with_documents(directory: &Path) -> Node {
    let node = Node::start(directory, &["--name", "one"]);
    node.run(&["space", "create", "shop"]).expect(0);
    for (name, value) in documents() {
        node.run(&["put", name, &value.to_string()]).expect(0);
    }
    node.run(&["inc", "forms", "/n", "3"]).expect(0);
    node.run(&["inc", "forms", "/n", "-3"]).expect(0);
    node.run(&["put", "gone", "{}"]).expect(0);
    node.run(&["rm", "gone"]).expect(0);
    node
}

/// Files below a directory, by their path in it.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inner = path.strip_prefix(directory).expect("it is below");
                found.push(inner.display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn expected() -> Value {
    documents()
        .into_iter()
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn what_is_exported_is_what_is_read_back_running_or_stopped() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = node_with_documents(directory.path());
    let whole = node.run(&["export"]).expect(0);
    assert_eq!(whole.json(), expected());
    assert_eq!(node.run(&["export", "nothing/"]).expect(0).json(), json!({}));
    let one = node.run(&["export", "config/"]).expect(0).json();
    assert_eq!(one, json!({"config/web": documents()["config/web"]}));

    let lines = node.run(&["export", "--format", "ndjson"]).expect(0);
    assert_eq!(lines.stdout.lines().count(), 3);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = Node::start(elsewhere.path(), &["--name", "two"]);
    other.run(&["space", "create", "copy"]).expect(0);
    run_with_input(other.command(&["batch"]), &lines.stdout).expect(0);
    assert_eq!(other.run(&["export"]).expect(0).stdout, whole.stdout);
    other.kill();

    let out = tempfile::tempdir().expect("a directory");
    let below = out.path().join("exported").display().to_string();
    let ran = node.run(&["export", "--dir", &below]).expect(0);
    assert_eq!(ran.stdout.lines().count(), 3);
    assert_eq!(
        files(out.path()),
        ["exported/%2E./%2E./escape.json", "exported/config/web.json", "exported/forms.json"]
    );
    let text = fs::read_to_string(out.path().join("exported/config/web.json")).expect("a file");
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), documents()["config/web"]);

    for wrong in
        [&["export", "--format", "automerge"][..], &["export", "--format", "ndjson", "--dir", &below]]
    {
        assert!(node.run(wrong).expect(2).stderr.contains("--dir"), "{wrong:?}");
    }
    let running = node.run(&["export", "--format", "automerge", "--dir", &below]).expect(0).stdout;
    node.kill();
    let at = directory.path().display().to_string();
    let stopped = |args: &[&str]| run(["--data-dir", &at].iter().chain(args).copied());
    assert_eq!(stopped(&["export"]).expect(0).stdout, whole.stdout);
    assert_eq!(stopped(&["export", "--format", "ndjson"]).expect(0).stdout, lines.stdout);
    let again = out.path().join("again").display().to_string();
    let offline = stopped(&["export", "--format", "automerge", "--dir", &again]).expect(0).stdout;
    assert_eq!(offline.replace("/again/", "/exported/"), running);
    for file in files(Path::new(&again)) {
        let read = |directory: &str| fs::read(Path::new(directory).join(&file)).expect("a file");
        assert_eq!(read(&again), read(&below), "{file}");
    }
}

/// Runs a command, or says why it cannot.
fn succeeds(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The check's program with the library it needs, in a directory of its own; nothing, said and counted,
/// where node.js or its registry cannot be reached, unless `STARLING_TEST_REQUIRE` names `node`.
fn javascript() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir().expect("a directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/automerge-js");
    for file in ["package.json", "package-lock.json", "check.mjs"] {
        fs::copy(source.join(file), directory.path().join(file)).expect("a copy");
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory.path());
    match succeeds(&mut install) {
        Ok(_) => Some(directory),
        Err(reason) => {
            skip("node", &reason);
            None
        }
    }
}

#[test]
fn an_automerge_export_opens_in_automerge_for_javascript_with_equal_json() {
    let Some(javascript) = javascript() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let node = node_with_documents(directory.path());
    let out = tempfile::tempdir().expect("a directory");
    let below = out.path().display().to_string();
    node.run(&["export", "--format", "automerge", "--dir", &below]).expect(0);
    let mut check = Command::new("node");
    check.arg("check.mjs").arg(&below).current_dir(javascript.path());
    let found = succeeds(&mut check).expect("automerge opens them all");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let files = [
        ("config/web", "config/web.automerge"),
        ("../../escape", "%2E./%2E./escape.automerge"),
        ("forms", "forms.automerge"),
    ];
    for (name, file) in files {
        assert_eq!(found[file]["value"], documents()[name], "{name}");
        let heads = node.run(&["get", name, "--heads"]).expect(0);
        assert_eq!(found[file]["heads"], json!([heads.line()]), "{name}");
    }
    assert_eq!(found["forms.automerge"]["changes"], 3, "its history is in it");
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(3));
}
