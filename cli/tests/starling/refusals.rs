//! Bad input at a real node: each has its exit code and stable code, changes nothing and stops nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use starling_api::Code;

use crate::support::{Node, run, run_with_input, starling, until, wait_for};
use crate::watched::Watched;

#[test]
fn bad_requests_have_stable_codes_and_harm_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Watched::start(directory.path(), &[]);
    // Without any space there is nothing to ask for, and the command says so itself.
    let failure = node.run(&["--output", "json", "put", "a", "{}"]).expect(3).failure();
    assert_eq!(failure["code"], Code::UnknownSpace.name(), "{failure}");
    node.run(&["space", "create", "shop"]).expect(0);
    node.run(&["put", "good", "{\"n\":1,\"text\":\"x\"}"]).expect(0);
    let long_name = "x".repeat(513);
    let deep = "{\"a\":".repeat(70) + "1" + &"}".repeat(70);
    let rows: &[(&[&str], Code)] = &[
        (&["put", "good", "{broken"], Code::BadJson),
        (&["put", "good", "[1]"], Code::RootNotObject),
        (&["put", "good", "{\"a\":1,\"a\":2}"], Code::BadValue),
        (&["put", "good", "{\"a\":18446744073709551616}"], Code::BadValue),
        (&["put", "good", "{\"a\":{\"$counter\":\"x\"}}"], Code::BadValue),
        (&["put", "good", &deep], Code::DocumentTooDeep),
        (&["put", "a//b", "{}"], Code::BadDocumentName),
        (&["put", &long_name, "{}"], Code::BadDocumentName),
        (&["get", "good", "no-slash"], Code::BadPointer),
        (&["get", "good", "/absent"], Code::UnknownPointer),
        (&["get", "absent"], Code::UnknownDocument),
        (&["rm", "absent"], Code::UnknownDocument),
        (&["get", "good", "--at", &"0".repeat(64)], Code::UnknownHeads),
        (&["set", "good", "/text/deeper", "1"], Code::BadOperation),
        (&["inc", "good", "/text"], Code::BadOperation),
        (&["--space", "elsewhere", "ls"], Code::UnknownSpace),
        (&["space", "show", "elsewhere"], Code::UnknownSpace),
        (&["space", "create", ""], Code::BadSpaceName),
        (&["join", "not-a-ticket"], Code::BadTicket),
        (&["peers", "add", "/ip4/999.1.1.1/tcp/1"], Code::BadAddress),
        (&["peers", "block", "nobody"], Code::UnknownPeer),
        (&["watch", "--since", "nonsense"], Code::BadPosition),
    ];
    for (args, code) in rows {
        node.refuses(args, *code);
    }
    let text = node.run(&["get", "good", "--raw"]).expect(0).stdout;
    assert_eq!(text, "{\"n\":1,\"text\":\"x\"}\n", "no refused write left a trace");
    node.run(&["put", "good", "{\"n\":2}"]).expect(0);
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "good\n");
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

#[test]
fn requests_that_no_command_sends_are_refused_alike() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Watched::start(directory.path(), &[]);
    node.run(&["space", "create", "shop"]).expect(0);
    let rows: &[(&str, &str, &[u8], Code)] = &[
        // The length alone is reason enough: not one byte of the body is waited for.
        ("PUT /v1/spaces/shop/docs/a", "content-length: 99999999", b"", Code::BodyTooLarge),
        ("PUT /v1/spaces/shop/docs/a", "content-length: 2", b"\xff\xfe", Code::BadJson),
        ("PUT /v1/spaces/shop/docs/a?unknown=1", "content-length: 2", b"{}", Code::BadRequest),
        ("GET /v1/spaces/shop/docs/a?at=zz", "accept: */*", b"", Code::BadHeads),
        ("POST /v1/spaces", "content-length: 4", b"null", Code::BadRequest),
        ("GET /v1/nowhere", "accept: */*", b"", Code::UnknownRoute),
        ("DELETE /v1/status", "accept: */*", b"", Code::MethodNotAllowed),
    ];
    for (line, header, body, code) in rows {
        node.refuses_request(line, header, body, *code);
    }
    // What is far too long is not even sent by a command, and ends with the same code.
    let big = directory.path().join("big.json");
    fs::write(&big, format!("{{\"a\":\"{}\"}}", "x".repeat(3 * 1024 * 1024))).expect("a file");
    let put = ["--output", "json", "put", "a", &format!("@{}", big.display())];
    assert_eq!(node.run(&put).expect(2).failure()["code"], Code::BodyTooLarge.name());
    assert_eq!(node.run(&["ls"]).expect(0).stdout, "", "no refused write left a trace");
}

#[test]
fn a_reader_who_writes_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one_at, two_at) = (directory.path().join("1"), directory.path().join("2"));
    let one = Node::start(&one_at, &[]);
    one.run(&["space", "create", "shop"]).expect(0);
    one.run(&["put", "a", "{}"]).expect(0);
    let ticket = one.run(&["invite", "--role", "reader"]).expect(0);
    let two = Watched::start(&two_at, &["--join", ticket.line()]);
    until("the document arrives", Duration::from_secs(60), || two.run(&["get", "a"]).code == Some(0));
    two.refuses(&["put", "a", "{\"x\":1}"], Code::NotAllowed);
    two.refuses(&["invite"], Code::NotAllowed);
    assert_eq!(two.run(&["get", "a", "--raw"]).expect(0).line(), "{}");
}

#[test]
fn an_ambiguous_space_is_bad_usage_and_lists_the_candidates() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Watched::start(directory.path(), &[]);
    for _ in 0..2 {
        node.run(&["space", "create", "twin"]).expect(0);
    }
    let ran = node.run(&["ls"]).expect(2);
    assert!(ran.stderr.contains("twin (") && ran.stderr.contains("--space"), "{}", ran.stderr);
    node.refuses(&["--space", "twin", "ls"], Code::AmbiguousSpace);
}

// A process that does not start serves no figures: of a start that is refused there are the exit code,
// the stable code and one line on standard error to hold it to, and that nothing else was printed.

/// Starts a node that must not start, and gives what it says of that.
#[track_caller]
fn not_started(directory: &Path, more: &[&str], exit: i32, code: &str) -> Value {
    let mut command = starling(["--output", "json", "up", "--no-mdns", "--profile", "local"]);
    command.args(["--log-level", "error", "--data-dir"]).arg(directory).args(more);
    let ran = run_with_input(command, "").expect(exit);
    assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
    let failure = ran.failure();
    assert_eq!((&failure["code"], &failure["exit"]), (&code.into(), &exit.into()), "{failure}");
    failure
}

#[test]
fn a_second_node_on_one_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    let failure = not_started(directory.path(), &[], 1, "not-started");
    assert!(failure.to_string().contains("in use by another node"), "{failure}");
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
        let failure = not_started(directory.path(), flags, 1, "not-started");
        assert!(failure.to_string().contains(&port.to_string()), "{failure}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    run(["--data-dir", &at, "id"]).expect(0);
    let key = directory.path().join("identity.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("own file");
    let failure = not_started(directory.path(), &[], 4, "not-started");
    assert!(failure.to_string().contains("chmod 600"), "{failure}");
    let ran = run(["--data-dir", &at, "id"]).expect(4);
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn a_corrupt_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store.redb");
    fs::write(&store, b"this is no database").expect("a file");
    let failure = not_started(directory.path(), &[], 1, "not-started");
    assert!(failure.to_string().contains("store.redb"), "{failure}");
    assert_eq!(fs::read(&store).expect("still there"), b"this is no database");
}

#[test]
fn a_store_in_which_a_byte_is_wrong_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(directory.path(), &[]);
    let id = node.process().id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    assert_eq!(wait_for(node.process(), Duration::from_secs(30)).expect("it stops").code(), Some(0));
    let store = directory.path().join("store.redb");
    let mut bytes = fs::read(&store).expect("a store");
    let keys = b"idschema";
    let leaves: Vec<_> = (0..bytes.len() - keys.len()).filter(|at| bytes[*at..].starts_with(keys)).collect();
    assert!(!leaves.is_empty(), "the store says which schema it has");
    for leaf in leaves {
        bytes[leaf + keys.len()] ^= 1;
    }
    fs::write(&store, &bytes).expect("own file");
    let failure = not_started(directory.path(), &[], 1, "not-started");
    for said in ["is damaged", "its table starling, at byte", "verify --repair", "restore a backup"] {
        assert!(failure.to_string().contains(said), "{failure}");
    }
    assert!(fs::read(&store).expect("still there") == bytes, "what it holds is kept");
}

#[test]
fn a_malformed_ticket_an_unknown_flag_and_an_unknown_key_are_bad_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    not_started(directory.path(), &["--join", "starling-ticket-not-really"], 2, "not-started");
    fs::write(directory.path().join("starling.toml"), "nmae = \"b\"\n").expect("a file");
    let failure = not_started(directory.path(), &[], 2, "bad-usage");
    assert!(failure.to_string().contains("nmae"), "{failure}");
    // Flags that cannot be read include the one that says how to print, so this is always text.
    let ran = run(["up", "--no-such-flag"]).expect(2);
    let first = ran.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("error:") && first.contains("--no-such-flag"), "{}", ran.stderr);
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
    let seen = std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut String::new()).expect("a line");
        reader
    });
    // Its handler stands before it asks the node for anything, so an event shows that it stands.
    let mut number = 0;
    until("the watch shows an event", Duration::from_secs(30), || {
        number += 1;
        node.run(&["put", "a", &format!("{{\"n\":{number}}}")]).expect(0);
        seen.is_finished()
    });
    // Held open: a watch whose reader is gone ends by itself, with 0.
    let _reader = seen.join().expect("it has read");
    let id = watch.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    let status = wait_for(&mut watch, Duration::from_secs(5)).expect("it ends at once");
    assert_eq!(status.code(), Some(130));
}
