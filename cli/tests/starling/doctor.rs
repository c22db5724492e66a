//! `doctor` against real nodes and directories: a healthy one passes, and each planted fault is named.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::schema::fits;
use crate::support::{Node, Ran, run, run_with_input, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// The report, which fits its schema whatever it says.
#[track_caller]
fn report(ran: &Ran) -> Value {
    let report = ran.json();
    fits("doctor", &report);
    report
}

/// State and message of the first check of that code which is not ok, else of the first.
#[track_caller]
fn check(report: &Value, code: &str) -> (String, String, Option<String>) {
    let checks = report["checks"].as_array().expect("checks");
    let mut of_code = checks.iter().filter(|check| check["check"] == code).collect::<Vec<_>>();
    of_code.sort_by_key(|check| check["state"] == "ok");
    let found = of_code.first().unwrap_or_else(|| panic!("no check {code} in {report:#}"));
    let text = |name: &str| found[name].as_str().map(str::to_owned);
    (text("state").expect("a state"), text("message").expect("a message"), text("command"))
}

#[track_caller]
fn fails(report: &Value, code: &str, said: &str) {
    let (state, message, command) = check(report, code);
    assert!(state == "failed" && message.contains(said), "{code}: {state}: {message}");
    assert!(command.is_some(), "{code} names no command");
}

#[test]
fn a_healthy_node_passes_and_a_lonely_one_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let one = Node::start(&directory.path().join("one"), &["--name", "one"]);
    one.run(&["space", "create", "shop"]).expect(0);
    let well = report(&one.run(&["--output", "json", "doctor"]).expect(0));
    assert_eq!(well["running"], true);
    for code in
        ["node", "directory", "identity", "store", "room", "configuration", "clock", "ports", "charter"]
    {
        assert_eq!(check(&well, code).0, "ok", "{well:#}");
    }
    let lines = one.run(&["doctor"]).expect(0).stdout;
    assert!(lines.lines().all(|line| line.split('\t').count() == 4), "{lines}");

    let ticket = one.run(&["invite", "--role", "writer"]).expect(0);
    let two = Node::start(&directory.path().join("two"), &["--name", "two"]);
    run_with_input(two.command(&["join", "-"]), &ticket.stdout).expect(0);
    until("both are well", PATIENCE, || {
        two.run(&["doctor"]).code == Some(0) && one.run(&["doctor"]).code == Some(0)
    });
    until("both were heard", PATIENCE, || {
        let told = report(&two.run(&["--output", "json", "doctor"]));
        told["checks"].as_array().expect("checks").iter().any(|check| check["check"] == "versions")
    });
    let both = report(&two.run(&["--output", "json", "doctor", ticket.line()]).expect(0));
    assert_eq!(check(&both, "peers").1, "1 of 1 other member connected");
    assert_eq!(check(&both, "versions").0, "ok");
    assert!(check(&both, "seed").1.ends_with(": connected"), "{both:#}");

    one.kill();
    until("the node is alone", PATIENCE, || two.run(&["doctor"]).code == Some(8));
    let alone = report(&two.run(&["--output", "json", "doctor"]).expect(8));
    fails(&alone, "peers", "0 of 1 other member connected");
    fails(&alone, "seed", "one at /ip4/127.0.0.1/tcp/");
    fails(&alone, "seed", "refused");
}

#[test]
fn faults_of_a_running_node_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("127.0.0.1:{}", listener.local_addr().expect("an address").port());
    let ran = node.run(&["--output", "json", "doctor", &silent, "--timeout", "200ms"]).expect(8);
    fails(&report(&ran), "seed", "no answer within 200ms");
    assert_eq!(check(&report(&ran), "charter").0, "warning", "it takes part in no space");

    let identity = directory.path().join("identity.pem");
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o644)).expect("its mode can be set");
    let ran = node.run(&["--output", "json", "doctor"]).expect(8);
    fails(&report(&ran), "identity", "open to others (mode 0644)");
    let (_, _, command) = check(&report(&ran), "identity");
    assert_eq!(command, Some(format!("chmod 600 {}", identity.display())));
    fs::remove_file(&identity).expect("it can be removed");
    fails(&report(&node.run(&["--output", "json", "doctor"]).expect(8)), "identity", "is gone");
    let other = tempfile::tempdir().expect("a directory");
    run(["--data-dir", &other.path().display().to_string(), "id"]).expect(0);
    fs::copy(other.path().join("identity.pem"), &identity).expect("it can be copied");
    fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    fails(
        &report(&node.run(&["--output", "json", "doctor"]).expect(8)),
        "identity",
        "the node that answers is",
    );

    fs::write(directory.path().join("starling.toml"), "log_level = \"=\"\n").expect("a file");
    fails(&report(&node.run(&["--output", "json", "doctor"]).expect(8)), "configuration", "starling.toml:1");
    node.run(&["doctor", "/ip4/999.0.0.1/tcp/1"]).expect(2);
}

#[test]
fn a_stopped_nodes_directory_is_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().join("node");
    let node = Node::start(&at, &["--name", "one"]);
    node.run(&["space", "create", "shop"]).expect(0);
    node.kill();
    let doctor = |args: &[&str]| {
        let at = at.display().to_string();
        run(["--data-dir", &at, "--output", "json", "doctor"].iter().chain(args).copied())
    };
    // A port of its own, for 4710 may be taken on the host that runs this.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    fs::write(at.join("starling.toml"), format!("listen = [\"/ip4/127.0.0.1/tcp/{port}\"]\n"))
        .expect("a file");
    fails(&report(&doctor(&[]).expect(8)), "ports", "taken by another program");
    drop(listener);
    let stopped = report(&doctor(&[]).expect(0));
    assert_eq!(stopped["running"], false);
    assert_eq!(check(&stopped, "node").0, "warning");
    assert!(check(&stopped, "node").1.contains("did not end in order"), "{stopped:#}");
    for (code, said) in [("store", "with 1 space"), ("charter", "admin of shop"), ("ports", "is free")] {
        let (state, message, _) = check(&stopped, code);
        assert!(state == "ok" && message.contains(said), "{code}: {message}");
    }

    let store = at.join("store.redb");
    let file = fs::File::options().write(true).open(&store).expect("a file");
    file.set_modified(SystemTime::now() + Duration::from_secs(3_600)).expect("its time can be set");
    drop(file);
    fails(&report(&doctor(&[]).expect(8)), "clock", "was set back");
    fs::write(&store, "no store at all").expect("a file");
    fails(&report(&doctor(&[]).expect(8)), "store", "is not a Starling store");
    fs::remove_file(&store).expect("it can be removed");
    assert_eq!(check(&report(&doctor(&[])), "store").0, "warning");

    let nothing = directory.path().join("nothing").display().to_string();
    run(["--data-dir", &nothing, "doctor"]).expect(7);
}
