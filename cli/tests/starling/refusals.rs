//! Bad input at a real node: each has its exit code and stable code, changes nothing and stops nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Node, run, until, wait_for};

/// Runs a command that must be refused, and gives its stable code.
#[track_caller]
fn refused(node: &Node, args: &[&str], exit: i32) -> String {
    let args: Vec<_> = ["--output", "json"].iter().chain(args).copied().collect();
    let failure = node.run(&args).expect(exit).failure();
    assert!(failure["what"].as_str().is_some_and(|what| !what.is_empty()), "{failure}");
    failure["code"].as_str().expect("a code").to_owned()
}

#[test]
fn bad_requests_have_stable_codes_and_harm_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    assert_eq!(refused(&node, &["put", "a", "{}"], 3), "unknown-space");
    node.run(&["space", "create", "shop"]).expect(0);
    node.run(&["put", "good", "{\"n\":1,\"text\":\"x\"}"]).expect(0);
    let long_name = "x".repeat(513);
    let deep = "{\"a\":".repeat(70) + "1" + &"}".repeat(70);
    let big = directory.path().join("big.json");
    fs::write(&big, format!("{{\"a\":\"{}\"}}", "x".repeat(3 * 1024 * 1024))).expect("a file");
    let big = format!("@{}", big.display());
    let rows: &[(&[&str], i32, &[&str])] = &[
        (&["put", "good", "{broken"], 2, &["bad-json"]),
        (&["put", "good", "[1]"], 2, &["root-not-object"]),
        (&["put", "good", "{\"a\":1,\"a\":2}"], 2, &["bad-value", "bad-json"]),
        (&["put", "good", "{\"a\":18446744073709551616}"], 2, &["bad-value"]),
        (&["put", "good", "{\"a\":{\"$counter\":\"x\"}}"], 2, &["bad-value"]),
        (&["put", "good", &deep], 2, &["document-too-deep"]),
        (&["put", "good", &big], 2, &["change-too-large", "body-too-large"]),
        (&["put", "a//b", "{}"], 2, &["bad-document-name"]),
        (&["put", &long_name, "{}"], 2, &["bad-document-name"]),
        (&["get", "good", "no-slash"], 2, &["bad-pointer"]),
        (&["get", "good", "/absent"], 3, &["unknown-pointer"]),
        (&["get", "absent"], 3, &["unknown-document"]),
        (&["rm", "absent"], 3, &["unknown-document"]),
        (&["get", "good", "--at", &"0".repeat(64)], 3, &["unknown-heads"]),
        (&["set", "good", "/text/deeper", "1"], 2, &["bad-pointer", "bad-operation"]),
        (&["inc", "good", "/text"], 2, &["bad-operation"]),
        (&["--space", "elsewhere", "ls"], 3, &["unknown-space"]),
        (&["space", "show", "elsewhere"], 3, &["unknown-space"]),
        (&["space", "create", ""], 2, &["bad-space-name"]),
        (&["join", "not-a-ticket"], 2, &["bad-ticket"]),
        (&["peers", "add", "/ip4/999.1.1.1/tcp/1"], 2, &["bad-address"]),
        (&["peers", "block", "nobody"], 3, &["unknown-peer"]),
        (&["watch", "--since", "nonsense"], 2, &["bad-position"]),
    ];
    for (args, exit, codes) in rows {
        let code = refused(&node, args, *exit);
        assert!(codes.contains(&code.as_str()), "{:.200}: {code}", format!("{args:?}"));
    }
    let text = node.run(&["get", "good", "--raw"]).expect(0).stdout;
    assert_eq!(text, "{\"n\":1,\"text\":\"x\"}\n", "no refused write left a trace");
    node.run(&["put", "good", "{\"n\":2}"]).expect(0);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "good\n");
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[test]
fn a_reader_who_writes_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one_at, two_at) = (directory.path().join("1"), directory.path().join("2"));
    let one = Node::start(&one_at, &[]);
    one.run(&["space", "create", "shop"]).expect(0);
    one.run(&["put", "a", "{}"]).expect(0);
    let ticket = one.run(&["invite", "--role", "reader"]).expect(0);
    let two = Node::start(&two_at, &["--join", ticket.line()]);
    until("the document arrives", Duration::from_secs(60), || two.run(&["get", "a"]).code == Some(0));
    assert_eq!(refused(&two, &["put", "a", "{\"x\":1}"], 4), "not-allowed");
    assert_eq!(refused(&two, &["invite"], 4), "not-allowed");
    assert_eq!(two.run(&["get", "a", "--raw"]).expect(0).line(), "{}");
}

#[test]
fn an_ambiguous_space_is_bad_usage_and_lists_the_candidates() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    for _ in 0..2 {
        node.run(&["space", "create", "twin"]).expect(0);
    }
    let ran = node.run(&["ls"]).expect(2);
    assert!(ran.stderr.contains("twin (") && ran.stderr.contains("--space"), "{}", ran.stderr);
    assert_eq!(refused(&node, &["--space", "twin", "ls"], 2), "ambiguous-space");
}

#[test]
fn a_second_node_on_one_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    let mut second = Node::spawn(directory.path(), &[]);
    let status = wait_for(second.process(), Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("error:"), "{}", second.log());
    node.run(&["status"]).expect(0);
}

#[test]
fn a_port_in_use_is_refused_with_the_address() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    for flags in
        [&["--listen", &format!("/ip4/127.0.0.1/tcp/{port}")][..], &["--http", &format!("127.0.0.1:{port}")]]
    {
        let mut node = Node::spawn(directory.path(), flags);
        let status = wait_for(node.process(), Duration::from_secs(30)).expect("it ends");
        assert_eq!(status.code(), Some(1), "{}", node.log());
        assert!(node.log().contains(&port.to_string()), "{}", node.log());
        fs::remove_file(directory.path().join("log")).expect("the log was made");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    run(["--data-dir", &at, "id"]).expect(0);
    let key = directory.path().join("identity.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("own file");
    for command in ["id", "up"] {
        let ran = run(["--data-dir", &at, command]).expect(4);
        assert!(ran.stderr.contains("chmod 600"), "{command}: {}", ran.stderr);
    }
}

#[test]
fn a_corrupt_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store.redb");
    fs::write(&store, b"this is no database").expect("a file");
    let mut node = Node::spawn(directory.path(), &[]);
    let status = wait_for(node.process(), Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", node.log());
    assert!(node.log().contains("store.redb"), "{}", node.log());
    assert_eq!(fs::read(&store).expect("still there"), b"this is no database");
}

#[test]
fn a_malformed_ticket_at_start_is_bad_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = Node::spawn(directory.path(), &["--join", "starling-ticket-not-really"]);
    let status = wait_for(node.process(), Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(2), "{}", node.log());
}

#[test]
fn a_signal_stops_the_node_cleanly_and_the_socket_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    for signal in ["-TERM", "-INT"] {
        let mut node = Node::start(directory.path(), &[]);
        let id = node.process().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
        let status = wait_for(node.process(), Duration::from_secs(5)).expect("it stops within 5 s");
        assert_eq!(status.code(), Some(0), "{signal}: {}", node.log());
        assert!(!directory.path().join("api.sock").exists(), "{signal}");
    }
}

#[test]
fn a_command_that_is_interrupted_ends_with_130() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    node.run(&["space", "create", "s"]).expect(0);
    let mut watch = node.command(&["watch"]).stdout(Stdio::piped()).spawn().expect("the program was built");
    let stdout = watch.stdout.take().expect("piped");
    let seen = std::thread::spawn(move || BufReader::new(stdout).lines().next().is_some());
    // Its handler stands before it asks the node for anything, so an event shows that it stands.
    let mut number = 0;
    until("the watch shows an event", Duration::from_secs(30), || {
        number += 1;
        node.run(&["put", "a", &format!("{{\"n\":{number}}}")]).expect(0);
        seen.is_finished()
    });
    let id = watch.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    let status = wait_for(&mut watch, Duration::from_secs(5)).expect("it ends at once");
    assert_eq!(status.code(), Some(130));
}
