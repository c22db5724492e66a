//! `watch --exec` and `--resume` against a real node: what a command is told, when it runs again, where
//! a watch goes on, and that nothing is left running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::schema::fits;
use crate::support::{Node, run_with_input, starling, until, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// A node with a space, and a directory for what commands leave.
struct Place {
    directory: tempfile::TempDir,
    node: Node,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let node = Node::start(&directory.path().join("node"), &["--name", "one"]);
        node.run(&["space", "create", "shop"]).expect(0);
        Self { directory, node }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts a watch whose commands run here, with its standard error in `watch.log` and its standard
    /// output in `watch.out`.
    fn watch(&self, args: &[&str]) -> Watch {
        let mut command = self.node.command(&[]);
        command.args(args).current_dir(self.directory.path());
        Watch(started(command, self.directory.path()))
    }

    fn put(&self, document: &str, number: u64) {
        self.node.run(&["put", document, &json!({ "n": number }).to_string()]).expect(0);
    }
}

/// Waits until every process of a group is gone; what was killed goes when its parent has looked.
#[track_caller]
fn nothing_runs_of(group: &str) {
    until("nothing of the command runs", PATIENCE, || {
        let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
        let mut stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
        // Behind the name: state, parent, group.
        !stats.any(|stat| {
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(2)) == Some(group.trim())
        })
    });
}

fn started(mut command: Command, directory: &Path) -> Child {
    let append = |name: &str| {
        fs::File::options().create(true).append(true).open(directory.join(name)).expect("a file")
    };
    command
        .stdin(Stdio::null())
        .stdout(append("watch.out"))
        .stderr(append("watch.log"))
        .spawn()
        .expect("the program was built")
}

/// A running watch, killed when it is dropped.
struct Watch(Child);

impl Watch {
    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().expect("kill runs").success());
    }

    fn ends_with(&mut self, code: i32) {
        let status = wait_for(&mut self.0, PATIENCE).expect("the watch ends");
        assert_eq!(status.code(), Some(code));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_command_learns_of_each_change_from_its_environment_and_its_input() {
    let place = Place::new();
    let told = "env | grep ^STARLING_ | sort > env.$$ && cat > in.$$ && mv env.$$ env && mv in.$$ in";
    let name = "w/it's; $(touch harm) `touch harm`";
    let state = place.path("state").display().to_string();
    let mut watch = place.watch(&["watch", "w/", "--resume", "t", "--state-dir", &state, "--exec", told]);
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    place.put("elsewhere", 1);
    place.put(name, 1);
    until("the command ran", PATIENCE, || place.path("in").exists());
    let event: Value = serde_json::from_str(&place.text("in")).expect("JSON");
    fits("watch", &event);
    assert_eq!(event["name"], name);
    let environment = place.text("env");
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("STARLING_DOCUMENT"), Some(name), "{environment}");
    for (variable, member) in [("SPACE", "space"), ("POSITION", "position"), ("AUTHOR", "author")] {
        assert_eq!(value(&format!("STARLING_{variable}")), event[member].as_str(), "{environment}");
    }
    assert_eq!(value("STARLING_HEADS"), event["heads"][0].as_str(), "{environment}");
    assert_eq!(value("STARLING_TRY"), Some("1"));
    assert_eq!(value("STARLING_DELETED"), None);
    assert!(value("STARLING_NODE").is_some_and(|node| node.ends_with("/node/api.sock")), "{environment}");
    assert!(!place.path("harm").exists(), "a name was read by the shell");

    fs::remove_file(place.path("in")).expect("the command left it");
    place.node.run(&["rm", name]).expect(0);
    until("the command ran again", PATIENCE, || place.path("in").exists());
    assert!(place.text("env").contains("STARLING_DELETED=1\n"));
    watch.signal("-INT");
    watch.ends_with(130);
}

#[test]
fn a_command_that_fails_is_told_of_and_tried_again() {
    let place = Place::new();
    // Fails with 3 until the third try.
    let command = "echo $STARLING_DOCUMENT $STARLING_TRY >> tries; test $STARLING_TRY -ge 3 || exit 3";
    let state = place.path("state").display().to_string();
    let args = [
        "--output",
        "json",
        "watch",
        "--resume",
        "t",
        "--state-dir",
        &state,
        "--exec",
        command,
        "--jobs",
        "2",
    ];
    let mut watch = place.watch(&args);
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    place.put("a", 1);
    until("the third try succeeded", PATIENCE, || place.text("watch.out").lines().count() == 1);
    assert_eq!(place.text("tries"), "a 1\na 2\na 3\n");
    let handled: Value = serde_json::from_str(place.text("watch.out").trim()).expect("JSON");
    fits("handled", &handled);
    assert_eq!((&handled["outcome"], &handled["tries"]), (&json!("done"), &json!(3)));
    let log = place.text("watch.log");
    assert!(log.contains("watch: a: the command ended with exit code 3, try 1 of 10; again in "), "{log}");
    watch.signal("-TERM");
    watch.ends_with(130);
}

#[test]
fn a_change_that_cannot_be_handled_ends_the_watch_before_it_and_the_next_start_tries_again() {
    let place = Place::new();
    let state = place.path("state").display().to_string();
    let watching = |command: &str| {
        place.watch(&["watch", "--resume", "t", "--state-dir", &state, "--tries", "2", "--exec", command])
    };
    let mut watch = watching("test $STARLING_DOCUMENT != bad && echo $STARLING_DOCUMENT >> handled");
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    place.put("good", 1);
    until("the first is handled", PATIENCE, || place.text("handled") == "good\n");
    place.put("bad", 1);
    watch.ends_with(1);
    let log = place.text("watch.log");
    assert!(log.contains("error: bad: given up after 2 tries"), "{log}");
    assert!(log.contains("watch-t.json stays before this change"), "{log}");

    place.put("later", 1);
    let mut watch = watching("echo $STARLING_DOCUMENT >> handled");
    until("all is handled", PATIENCE, || place.text("handled") == "good\nbad\nlater\n");
    until("the position is kept", PATIENCE, || {
        let kept: Value = serde_json::from_str(&place.text("state/watch-t.json")).expect("JSON");
        let status = place.node.run(&["--output", "json", "status"]).expect(0).json();
        kept["position"] == status["store"]["position"]
    });
    watch.signal("-INT");
    watch.ends_with(130);
    let mut watch = watching("echo $STARLING_DOCUMENT again >> handled");
    place.put("last", 1);
    until("it goes on", PATIENCE, || place.text("handled").ends_with("last again\n"));
    assert_eq!(place.text("handled"), "good\nbad\nlater\nlast again\n");
    watch.signal("-INT");
    watch.ends_with(130);
}

#[test]
fn a_command_that_hangs_is_ended_with_what_it_started() {
    let place = Place::new();
    // The second process does not hear TERM, as a careless service would not.
    let command = "(trap '' TERM; echo $$ >> started; sleep 1000) & sleep 1000";
    let state = place.path("state").display().to_string();
    let mut watch = place.watch(&[
        "watch",
        "--resume",
        "t",
        "--state-dir",
        &state,
        "--exec",
        command,
        "--exec-timeout",
        "2s",
        "--tries",
        "1",
    ]);
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    place.put("a", 1);
    watch.ends_with(1);
    assert!(place.text("watch.log").contains("took longer than 2s"), "{}", place.text("watch.log"));
    let group = place.text("started");
    nothing_runs_of(&group);
}

#[test]
fn no_more_commands_run_at_once_than_may_however_slow_they_are() {
    let place = Place::new();
    let command = "echo start >> runs; until test -e go; do sleep 0.02; done; echo end >> runs";
    let state = place.path("state").display().to_string();
    let args = ["watch", "--resume", "t", "--state-dir", &state, "--jobs", "2", "--exec", command];
    let mut watch = place.watch(&args);
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    for document in ["a", "b", "c", "d"] {
        place.put(document, 1);
    }
    until("two run", PATIENCE, || place.text("runs").lines().count() == 2);
    fs::write(place.path("go"), "").expect("a file");
    until("all have run", PATIENCE, || place.text("runs").lines().count() == 8);
    let runs = place.text("runs");
    let mut at_once = 0;
    for line in runs.lines() {
        at_once = if line == "start" { at_once + 1 } else { at_once - 1 };
        assert!((0..=2).contains(&at_once), "{runs}");
    }
    watch.signal("-INT");
    watch.ends_with(130);
}

#[test]
fn a_command_that_a_killed_watch_had_begun_runs_again_with_the_next() {
    let place = Place::new();
    let state = place.path("state").display().to_string();
    let watching =
        |command: &str| place.watch(&["watch", "--resume", "t", "--state-dir", &state, "--exec", command]);
    let mut watch = watching("echo $$ >> begun; exec sleep 1000");
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    place.put("a", 1);
    until("the command runs", PATIENCE, || place.text("begun").ends_with('\n'));
    watch.0.kill().expect("it runs");
    watch.0.wait().expect("it ends");
    // Nobody was left to end it.
    let left = place.text("begun");
    assert!(Command::new("kill").arg(left.trim()).status().expect("kill runs").success());
    let mut watch = watching("echo $STARLING_DOCUMENT >> handled");
    until("it runs again", PATIENCE, || place.text("handled") == "a\n");
    watch.signal("-INT");
    watch.ends_with(130);
}

#[test]
fn an_interrupted_watch_ends_its_commands() {
    let place = Place::new();
    let mut watch = place.watch(&["watch", "--exec", "echo $$ > started; sleep 1000; echo > survived"]);
    let mut number = 0;
    until("the command runs", PATIENCE, || {
        number += 1;
        place.put("a", number);
        !place.text("started").is_empty()
    });
    watch.signal("-INT");
    watch.ends_with(130);
    nothing_runs_of(&place.text("started"));
    assert!(!place.path("survived").exists());
}

#[test]
fn a_watch_survives_a_restart_and_tells_everything_anew_after_a_restore() {
    let place = Place::new();
    let state = place.path("state").display().to_string();
    let mut watch = place.watch(&[
        "watch",
        "--resume",
        "t",
        "--state-dir",
        &state,
        "--exec",
        "echo $STARLING_DOCUMENT $STARLING_DELETED >> handled",
    ]);
    until("the watch begins", PATIENCE, || place.path("state/watch-t.json").exists());
    for document in ["a", "b", "gone"] {
        place.put(document, 1);
    }
    place.node.run(&["rm", "gone"]).expect(0);
    until("all is handled", PATIENCE, || place.text("handled").ends_with("gone 1\n"));
    let backup = place.path("all.backup").display().to_string();
    place.node.run(&["backup", "--with-identity", &backup]).expect(0);

    let Place { directory, node } = place;
    let at = node.directory.clone();
    node.kill();
    let place = Place { node: Node::start(&at, &["--name", "one"]), directory };
    place.put("c", 1);
    until("it came back", PATIENCE, || place.text("handled").ends_with("c\n"));
    let log = place.text("watch.log");
    assert_eq!(log.matches("answers again").count(), 1, "{log}");
    assert!(log.contains("trying again, to go on after "), "{log}");

    let Place { directory, node } = place;
    node.kill();
    fs::remove_dir_all(&at).expect("the node's directory");
    let restore = starling(["--data-dir", &at.display().to_string(), "restore", &backup]);
    run_with_input(restore, "").expect(0);
    fs::remove_file(directory.path().join("handled")).expect("the command left it");
    let place = Place { node: Node::start(&at, &["--name", "one"]), directory };
    until("everything is told anew", PATIENCE, || place.text("handled").lines().count() == 3);
    assert_eq!(place.text("handled"), "a\nb\ngone 1\n");
    let log = place.text("watch.log");
    assert!(log.contains("every document is told anew"), "{log}");
    place.put("d", 1);
    until("it goes on", PATIENCE, || place.text("handled").ends_with("d\n"));
    watch.signal("-INT");
    watch.ends_with(130);
}

#[test]
fn a_printed_watch_goes_on_where_it_ended_and_one_name_is_for_one_watch() {
    let place = Place::new();
    let state = place.path("state").display().to_string();
    let args = ["--output", "json", "watch", "w/", "--resume", "t", "--state-dir", &state];
    let kept = || serde_json::from_str::<Value>(&place.text("state/watch-t.json")).unwrap_or_default();
    let printed = || -> Vec<Value> {
        let out = place.text("watch.out");
        out.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|event| event["name"].clone())
            .collect()
    };
    let mut watch = place.watch(&args);
    until("the watch begins", PATIENCE, || kept()["position"].is_string());
    place.put("w/1", 1);
    until("it is kept", PATIENCE, || {
        let first = place.text("watch.out");
        let event: Value = serde_json::from_str(first.lines().next().unwrap_or_default()).unwrap_or_default();
        event["position"].is_string() && kept()["position"] == event["position"]
    });
    let second = place.node.run(&args).expect(9);
    assert_eq!(second.failure()["code"], "already-watching");
    watch.signal("-TERM");
    wait_for(&mut watch.0, PATIENCE).expect("it ends");
    place.put("w/2", 1);
    let _watch = place.watch(&args);
    until("it goes on", PATIENCE, || printed().len() == 2);
    assert_eq!(printed(), ["w/1", "w/2"]);
    let other = place.node.run(&["watch", "v/", "--resume", "t", "--state-dir", &state]);
    assert_eq!(other.code, Some(9), "it runs: {}", other.stderr);
}
