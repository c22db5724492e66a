//! What an operator keeps a node with: its configuration, its log, its manual, the spaces it leaves.

use std::fs;

use crate::support::{Node, run, run_with_input, starling};

#[test]
fn the_configuration_is_shown_with_where_each_value_came_from() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    let file = directory.path().join("starling.toml");
    fs::write(&file, "mdns = false\njoin = [\"starling-ticket-secret\"]\n").expect("a file");
    let mut command = starling(["config", "show", "--data-dir", &at, "--name", "here"]);
    command.env("STARLING_LOG_LEVEL", "debug");
    let ran = run_with_input(command, "").expect(0);
    for line in [
        format!("data_dir\t{at}\t--data-dir"),
        "name\there\t--name".to_owned(),
        format!("mdns\tfalse\t{}:1", file.display()),
        "log_level\tdebug\tSTARLING_LOG_LEVEL".to_owned(),
        "profile\tlan\tdefault".to_owned(),
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line} is not in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("secret"), "{}", ran.stdout);

    let json = run(["--output", "json", "--data-dir", &at, "config", "show", "--no-mdns"]).expect(0).json();
    let items = json["items"].as_array().expect("items");
    let mdns = items.iter().find(|item| item["key"] == "mdns").expect("mdns");
    assert_eq!(
        *mdns,
        serde_json::json!({"key": "mdns", "value": "false", "source": "flag", "from": "--no-mdns"})
    );
}

#[test]
fn a_configuration_that_cannot_work_ends_with_2_and_names_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path().display().to_string();
    let file = directory.path().join("starling.toml");
    run(["config", "check", "--data-dir", &at]).expect(0);
    for (text, said) in [
        ("name = \"a\"\nlog_levle = \"info\"\n", ":2: unknown key `log_levle`; did you mean `log_level`?"),
        ("\nlisten = [\"nowhere\"]\n", ":2: listen: "),
        ("log_level = \"x=y=z\"\n", ":1: log_level: "),
        ("join = [\"starling-ticket-bad\"]\n", ":1: join: "),
    ] {
        fs::write(&file, text).expect("a file");
        let ran = run(["config", "check", "--data-dir", &at]).expect(2);
        assert!(ran.stderr.contains(&format!("{}{said}", file.display())), "{}", ran.stderr);
        assert!(!ran.stderr.contains("ticket-bad"), "{}", ran.stderr);
        run(["--output", "json", "config", "check", "--data-dir", &at]).expect(2);
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let pages = directory.path().join("man1");
    let ran = run(["man", &pages.display().to_string()]).expect(0);
    for page in ["starling.1", "starling-up.1", "starling-space-leave.1", "starling-config-check.1"] {
        assert!(ran.stdout.contains(page), "{page}: {}", ran.stdout);
        let text = fs::read_to_string(pages.join(page)).expect("a page");
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    run(["man", "/proc/nowhere"]).expect(1);
}

#[test]
fn a_running_node_logs_by_the_filter_it_is_given() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--log-level", "warn"]);
    assert_eq!(node.run(&["log-level"]).expect(0).line(), "warn");
    assert_eq!(node.run(&["log-level", "info"]).expect(0).line(), "info");
    assert_eq!(node.run(&["--output", "json", "log-level"]).expect(0).json()["filter"], "info");
    assert!(node.log().contains("log_level"), "the change itself is logged: {}", node.log());
    let wrong = node.run(&["log-level", "a=b=c"]).expect(2);
    assert!(
        wrong.stderr.contains("is no log filter") && wrong.stderr.contains("starling log-level"),
        "{}",
        wrong.stderr
    );
    node.run(&["log-level", ""]).expect(2);
    assert_eq!(node.run(&["log-level"]).expect(0).line(), "info");
}

#[test]
fn a_space_is_left_only_when_asked_for_and_held_elsewhere_or_forced() {
    let directory = tempfile::tempdir().expect("a directory");
    let a = Node::start(&directory.path().join("a"), &["--name", "a"]);
    a.run(&["space", "create", "shop"]).expect(0);
    a.run(&["put", "x", "{\"n\": 1}"]).expect(0);

    let asked = a.run(&["space", "leave"]).expect(2);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let dry = a.run(&["space", "leave", "--dry-run"]).expect(0);
    assert!(
        dry.stdout.contains("would remove from this node: 1 document with 1 change of the space shop"),
        "{}",
        dry.stdout
    );
    let alone = a.run(&["--output", "json", "space", "leave", "--yes"]).expect(5);
    assert_eq!(alone.failure()["code"], "only-copy");
    a.run(&["get", "x"]).expect(0);

    let ticket = a.run(&["invite"]).expect(0).line().to_owned();
    let b = Node::start(&directory.path().join("b"), &["--name", "b", "--join", &ticket]);
    crate::support::until("b holds it", std::time::Duration::from_secs(30), || {
        b.run(&["get", "x"]).code == Some(0)
    });
    let left = a.run(&["space", "leave", "--yes"]).expect(0);
    assert!(left.stdout.contains("held entirely by: b"), "{}", left.stdout);
    a.run(&["get", "x"]).expect(3);
    assert_eq!(a.run(&["space", "list"]).expect(0).stdout, "");
    b.run(&["get", "x"]).expect(0);
    b.run(&["space", "leave", "--yes", "--force"]).expect(0);
    assert_eq!(b.run(&["space", "list"]).expect(0).stdout, "");
}
