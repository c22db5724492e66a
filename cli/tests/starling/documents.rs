//! Documents through the command line, at one node: write, read, list, watch, import, delete.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Node, run, run_with_input, until, wait_for};

fn node_with_space() -> (tempfile::TempDir, Node) {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    let id = node.run(&["space", "create", "shop"]).expect(0);
    assert_eq!(id.line().len(), 64, "a pipe gets the id alone: {}", id.stdout);
    (directory, node)
}

#[test]
fn what_is_put_is_read_back_in_every_shape() {
    let (_directory, node) = node_with_space();
    let heads = node.run(&["put", "config/web", r#"{"port":80,"name":"w\u001b"}"#]).expect(0);
    assert_eq!(heads.line().len(), 64, "a pipe gets the heads alone: {}", heads.stdout);
    assert_eq!(node.run(&["get", "config/web", "--heads"]).expect(0).line(), heads.line());
    assert_eq!(node.run(&["get", "config/web"]).expect(0).json(), json!({ "port": 80, "name": "w\u{1b}" }));
    assert_eq!(node.run(&["get", "config/web", "/port"]).expect(0).line(), "80");
    assert_eq!(node.run(&["get", "config/web", "/name"]).expect(0).line(), "\"w\\u001b\"");
    assert_eq!(node.run(&["get", "config/web", "/name", "--raw"]).expect(0).line(), "w\u{1b}");
    let one_line = node.run(&["--output", "json", "get", "config/web"]).expect(0);
    assert_eq!(one_line.stdout.lines().count(), 1);

    let written = node
        .run(&["--output", "json", "put", "config/web", r#"{"port":80,"name":"w\u001b"}"#])
        .expect(0)
        .json();
    assert_eq!((&written["changed"], &written["heads"][0]), (&json!(false), &json!(heads.line())));
    let from_stdin = node.command(&["put", "config/web", "-"]);
    run_with_input(from_stdin, "{\"port\":81}").expect(0);
    assert_eq!(node.run(&["get", "config/web", "--raw"]).expect(0).line(), "{\"port\":81}");
    let then = node.run(&["get", "config/web", "/port", "--at", heads.line()]).expect(0);
    assert_eq!(then.line(), "80");
}

#[test]
fn single_values_are_set_and_counters_count() {
    let (_directory, node) = node_with_space();
    node.run(&["put", "a", "{\"list\":[1,2]}"]).expect(0);
    node.run(&["set", "a", "/limits", "{\"cpu\":2}"]).expect(0);
    node.run(&["set", "a", "/limits/cpu", "3"]).expect(0);
    let created = node.run(&["inc", "a", "/visits"]).expect(0);
    assert!(created.stderr.contains("created the counter"), "{}", created.stderr);
    assert_eq!(node.run(&["inc", "a", "/visits", "-5"]).expect(0).stderr, "");
    let expected = json!({ "list": [1, 2], "limits": { "cpu": 3 }, "visits": { "$counter": -4 } });
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), expected);
}

#[test]
fn preconditions_and_request_ids_hold_at_this_node() {
    let (_directory, node) = node_with_space();
    let first = node.run(&["put", "a", "{\"n\":1}", "--if-absent", "--request-id", "r1"]).expect(0);
    let again = node.run(&["put", "a", "{\"n\":1}", "--if-absent", "--request-id", "r1"]).expect(0);
    assert_eq!(first.line(), again.line(), "the same request changes nothing");
    let failed = node.run(&["--output", "json", "put", "a", "{\"n\":2}", "--if-absent"]).expect(5);
    assert_eq!(failed.failure()["code"], "precondition-failed");
    node.run(&["put", "a", "{\"n\":2}", "--if-heads", first.line()]).expect(0);
    node.run(&["put", "a", "{\"n\":3}", "--if-heads", first.line()]).expect(5);
    node.run(&["rm", "a", "--if-heads", first.line()]).expect(5);
    node.run(&["put", "a", "{\"n\":2,\"m\":1}", "--base", first.line()]).expect(0);
    assert_eq!(node.run(&["get", "a"]).expect(0).json(), json!({ "n": 2, "m": 1 }));
}

#[test]
fn listings_are_plain_lines_in_a_pipe_and_one_object_in_json() {
    let (_directory, node) = node_with_space();
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "");
    assert_eq!(node.run(&["--output", "json", "ls"]).expect(0).json(), json!({ "items": [] }));
    for name in ["b/2", "a", "b/1"] {
        node.run(&["put", name, "{}"]).expect(0);
    }
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "a\nb/1\nb/2\n");
    assert_eq!(node.run(&["ls", "b/"]).expect(0).stdout, "b/1\nb/2\n");
    assert_eq!(node.run(&["ls", "--limit", "1"]).expect(0).stdout, "a\n");
    assert_eq!(node.run(&["ls", "b/", "--count"]).expect(0).stdout, "2\n");
    assert_eq!(node.run(&["--output", "json", "ls", "--count"]).expect(0).json(), json!({ "count": 3 }));
    let items = node.run(&["--output", "json", "ls"]).expect(0).json();
    let names: Vec<_> = items["items"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["a", "b/1", "b/2"]);
    node.run(&["rm", "a"]).expect(0);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "b/1\nb/2\n");
    let long = node.run(&["ls", "--deleted", "--long"]).expect(0).stdout;
    assert!(long.starts_with("a\tdeleted\t") && long.contains("\nb/1\tpresent\t"), "{long}");
}

#[test]
fn deleting_is_asked_for_shown_first_and_repeatable() {
    let (_directory, node) = node_with_space();
    for name in ["t/1", "t/2", "keep"] {
        node.run(&["put", name, "{}"]).expect(0);
    }
    assert_eq!(node.run(&["rm", "--prefix", "t/", "--dry-run"]).expect(0).stdout, "t/1\nt/2\n");
    assert!(node.run(&["rm", "--prefix", "t/"]).expect(2).stderr.contains("--yes"));
    assert_eq!(node.run(&["ls", "--count"]).expect(0).line(), "3");
    assert_eq!(node.run(&["rm", "--prefix", "t/", "--yes"]).expect(0).stdout, "t/1\nt/2\n");
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "keep\n");
    node.run(&["rm", "t/1"]).expect(3);
    node.run(&["rm", "t/1", "--if-exists"]).expect(0);
    node.run(&["get", "t/1"]).expect(3);
    node.run(&["put", "t/1", "{\"again\":true}"]).expect(0);
    assert_eq!(node.run(&["get", "t/1"]).expect(0).json(), json!({ "again": true }));
}

#[test]
fn an_import_writes_what_is_good_and_names_what_is_not() {
    let (directory, node) = node_with_space();
    let file = directory.path().join("records.ndjson");
    fs::write(&file, "{\"id\":\"a\",\"n\":1}\n{\"id\":\"no//name\"}\nnonsense\n{\"id\":\"b\",\"n\":2}\n")
        .expect("a file");
    let path = file.display().to_string();
    let ran = node.run(&["import", "--key-field", "id", "--prefix", "r/", &path]).expect(2);
    for line in [2, 3] {
        assert!(ran.stderr.contains(&format!("{path}:{line}")), "{}", ran.stderr);
    }
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "r/a\nr/b\n");
    assert_eq!(node.run(&["get", "r/b", "/n"]).expect(0).line(), "2");
    let again =
        node.run(&["--output", "json", "import", "--key-field", "id", "--prefix", "r/", &path]).expect(2);
    let lines: Vec<Value> =
        again.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(lines.iter().filter(|line| line["ok"] == true).count(), 2);
    let refused: Vec<_> = lines.iter().filter(|line| line["error"]["code"] == "bad-document-name").collect();
    assert_eq!(refused.len(), 1, "{}", again.stdout);
}

#[test]
fn a_watch_gives_every_change_once_and_survives_a_restart_of_the_node() {
    let (directory, node) = node_with_space();
    let mut watcher = node
        .command(&["--output", "json", "watch", "w/"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut lines = BufReader::new(watcher.stdout.take().expect("piped")).lines();
    let (sender, events) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let event: Value = serde_json::from_str(&line).expect("a JSON line");
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    let patience = Duration::from_secs(30);
    // The watcher begins at some moment: write until it sees one.
    let mut number = 0;
    until("the watcher sees a write", patience, || {
        number += 1;
        node.run(&["put", "w/begin", &format!("{{\"n\":{number}}}")]).expect(0);
        events.recv_timeout(Duration::from_millis(200)).is_ok()
    });
    while events.recv_timeout(Duration::from_millis(300)).is_ok() {}
    node.run(&["put", "elsewhere", "{}"]).expect(0);
    node.run(&["put", "w/1", "{}"]).expect(0);
    node.run(&["rm", "w/1"]).expect(0);
    let next = || events.recv_timeout(patience).expect("an event in time");
    let (put, removed) = (next(), next());
    assert_eq!((&put["name"], put.get("deleted")), (&json!("w/1"), None));
    assert_eq!((&removed["name"], &removed["deleted"]), (&json!("w/1"), &json!(true)));

    node.kill();
    let node = Node::start(directory.path(), &["--name", "one"]);
    node.run(&["put", "w/2", "{}"]).expect(0);
    assert_eq!(next()["name"], "w/2");
    watcher.kill().expect("it still watches");
    wait_for(&mut watcher, patience).expect("it ends");
    reader.join().expect("the reader does not panic");

    let since = put["position"].as_str().expect("a position").to_owned();
    let replay = node.command(&["--output", "json", "watch", "w/", "--since", &since]);
    let mut replay = { replay }.stdout(Stdio::piped()).spawn().expect("the program was built");
    let mut first = String::new();
    BufReader::new(replay.stdout.take().expect("piped")).read_line(&mut first).expect("an event");
    assert!(first.contains("w/"), "{first}");
    replay.kill().expect("it still watches");
    replay.wait().expect("it ends");
}

#[test]
fn the_identity_is_known_before_the_first_start_and_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    let before = run(["--data-dir", &at, "--output", "json", "id"]).expect(0).json();
    let node = Node::start(directory.path(), &["--name", "one"]);
    let after = node.run(&["--output", "json", "id"]).expect(0).json();
    let status = node.run(&["--output", "json", "status"]).expect(0).json();
    assert_eq!((&before["key"], &before["peer_id"]), (&after["key"], &after["peer_id"]));
    assert_eq!((&status["key"], &status["peer_id"]), (&after["key"], &after["peer_id"]));
    assert_eq!(status["name"], "one");
    assert!(after["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty()), "{after}");
}

#[test]
fn a_second_node_joins_by_ticket_and_both_hold_everything() {
    let (_directory, one) = node_with_space();
    one.run(&["put", "a", "{\"from\":\"one\"}"]).expect(0);
    let ticket = one.run(&["invite", "--role", "writer", "--expires", "1h"]).expect(0);
    assert_eq!(ticket.stdout.lines().count(), 1, "a pipe gets the ticket alone");
    let directory = tempfile::tempdir().expect("a directory");
    let two = Node::start(directory.path(), &["--name", "two"]);
    run_with_input(two.command(&["join", "-"]), &ticket.stdout).expect(0);
    let patience = Duration::from_secs(60);
    until("the document arrives", patience, || two.run(&["get", "a"]).code == Some(0));
    until("the second node may write", patience, || two.run(&["put", "b", "{}"]).code == Some(0));
    one.run(&["wait", "--nodes", "2", "--timeout", "20s"]).expect(0);
    two.run(&["wait", "b", "--nodes", "all", "--timeout", "20s"]).expect(0);
    assert_eq!(one.run(&["get", "b"]).expect(0).json(), json!({}));
    let members = one.run(&["--output", "json", "members"]).expect(0).json();
    assert_eq!(members["items"].as_array().map(Vec::len), Some(2), "{members}");
    let too_many = one.run(&["wait", "--nodes", "3", "--timeout", "1s"]).expect(6);
    assert!(too_many.stderr.contains("asked for 3"), "{}", too_many.stderr);

    let peers = one.run(&["--output", "json", "peers"]).expect(0).json();
    let peer = peers["items"][0]["peer_id"].as_str().expect("a peer").to_owned();
    one.run(&["peers", "block", &peer]).expect(0);
    until("the link is cut", patience, || {
        let peers = one.run(&["--output", "json", "peers"]).expect(0).json();
        peers["items"][0]["connected"] == false && peers["items"][0].get("blocked").is_some()
    });
    one.run(&["set", "a", "/colour", "\"red\""]).expect(0);
    two.run(&["set", "a", "/colour", "\"blue\""]).expect(0);
    assert_eq!(one.run(&["conflicts"]).expect(0).stdout, "");
    one.run(&["peers", "unblock", &peer]).expect(0);
    until("the conflict shows", patience, || one.run(&["conflicts", "--fail-if-any"]).code == Some(8));
    let conflict = one.run(&["--output", "json", "conflicts", "a"]).expect(0).json();
    assert_eq!(
        (&conflict["pointer"], conflict["values"].as_array().map(Vec::len)),
        (&json!("/colour"), Some(2))
    );
}

#[test]
fn a_stopped_node_is_read_from_its_directory() {
    let (directory, node) = node_with_space();
    let first = node.run(&["put", "a/1", "{\"n\":1}"]).expect(0);
    node.run(&["put", "a/1", "{\"n\":2,\"time\":{\"$time\":\"2026-01-02T03:04:05Z\"}}"]).expect(0);
    node.run(&["put", "gone", "{}"]).expect(0);
    node.run(&["rm", "gone"]).expect(0);
    let commands: &[&[&str]] = &[
        &["get", "a/1"],
        &["get", "a/1", "/n"],
        &["get", "a/1", "--heads"],
        &["get", "a/1", "/n", "--at", first.line()],
        &["ls"],
        &["ls", "--long", "--deleted"],
        &["--output", "json", "ls", "a/"],
        &["ls", "--count"],
    ];
    let running: Vec<_> = commands.iter().map(|args| node.run(args).expect(0).stdout).collect();
    let status = node.run(&["--output", "json", "status"]).expect(0).json();
    node.kill();
    let at = directory.path().display().to_string();
    let stopped = |args: &[&str]| run(["--data-dir", &at].iter().chain(args).copied());
    for (args, expected) in commands.iter().zip(running) {
        assert_eq!(stopped(args).expect(0).stdout, expected, "{args:?}");
    }
    let offline = stopped(&["--output", "json", "status"]).expect(0).json();
    assert_eq!(offline["running"], false);
    for member in ["key", "peer_id"] {
        assert_eq!(offline[member], status[member]);
    }
    assert_eq!(offline["spaces"][0]["documents"], status["spaces"][0]["documents"]);
    assert_eq!(offline["spaces"][0]["role"], "admin");
    for (args, exit) in [
        (&["get", "absent"][..], 3),
        (&["get", "gone"], 3),
        (&["get", "a/1", "/absent"], 3),
        (&["get", "a//1"], 2),
        (&["--space", "elsewhere", "ls"], 3),
        (&["put", "a/1", "{}"], 7),
    ] {
        stopped(args).expect(exit);
    }
}

#[test]
fn the_api_on_loopback_tcp_is_announced_and_serves_every_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--http", "127.0.0.1:0"]);
    let mut address = None;
    until("the address is announced", Duration::from_secs(30), || {
        let log = node.log();
        address = log.lines().find_map(|line| line.strip_prefix("  api on tcp\t").map(str::to_owned));
        address.is_some()
    });
    let address = address.expect("it was found");
    run(["--node", &address, "space", "create", "s"]).expect(0);
    run(["--node", &address, "put", "a", "{\"n\":1}"]).expect(0);
    assert_eq!(run(["--node", &address, "get", "a", "/n"]).expect(0).line(), "1");
}
