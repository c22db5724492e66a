//! Backups, restores and verification of real stores.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Node, Ran, run, until};

fn on(directory: &Path, args: &[&str]) -> Ran {
    let directory = directory.display().to_string();
    run([&["--data-dir", &directory][..], args].concat())
}

fn stop(mut node: Node) {
    terminate(node.process().id());
    let status = crate::support::wait_for(node.process(), Duration::from_secs(20)).expect("it stops");
    assert!(status.success(), "{}", node.log());
}

/// SIGTERM, by the tool every system has.
fn terminate(id: u32) {
    let sent = std::process::Command::new("kill").arg(id.to_string()).status().expect("kill runs");
    assert!(sent.success());
}

fn actors(node: &Node) -> usize {
    let backup = node.directory.join("count.backup");
    node.run(&["backup", &backup.display().to_string()]).expect(0);
    let bytes = fs::read(&backup).expect("a backup");
    fs::remove_file(&backup).expect("own file");
    // Each incarnation is one row of its table, which begins a frame with its name.
    let mut count = 0;
    let mut reader = starling_crdt::backup::BackupReader::new();
    for part in reader.take(&bytes).expect("whole") {
        if let starling_crdt::backup::Part::Rows(starling_crdt::store::Table::Incarnations, rows) = part {
            count += rows.len();
        }
    }
    count
}

#[test]
fn a_restored_backup_is_the_same_member_in_a_new_incarnation_and_old_positions_answer_410() {
    let directory = tempfile::tempdir().expect("a directory");
    let old = Node::start(&directory.path().join("old"), &["--name", "old"]);
    old.run(&["space", "create", "shop"]).expect(0);
    for number in 0..20 {
        old.run(&["put", &format!("d/{number}"), "{\"n\": 1}"]).expect(0);
    }
    let position =
        old.run(&["--output", "json", "put", "d/0", "{\"n\": 2}"]).expect(0).json()["position"].clone();
    let file = directory.path().join("b.backup");
    let made = old
        .run(&["--output", "json", "backup", "--with-identity", &file.display().to_string()])
        .expect(0)
        .json();
    assert_eq!(made["identity"], Value::Bool(true));
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let before = actors(&old);
    let key = old.run(&["--output", "json", "id"]).expect(0).json()["key"].clone();
    old.run(&["put", "after", "{}"]).expect(0);
    old.kill();

    let restored = directory.path().join("restored");
    on(&restored, &["restore", &file.display().to_string()]).expect(0);
    let node = Node::start(&restored, &["--name", "restored"]);
    assert_eq!(node.run(&["--output", "json", "id"]).expect(0).json()["key"], key);
    assert_eq!(node.run(&["get", "d/0", "/n"]).expect(0).line(), "2");
    node.run(&["get", "after"]).expect(3);
    let refused =
        node.run(&["--output", "json", "watch", "--since", position.as_str().expect("text")]).expect(3);
    assert_eq!(refused.failure()["code"], "position-of-another-store");
    node.run(&["put", "d/1", "{\"n\": 3}"]).expect(0);
    assert_eq!(actors(&node), before + 1, "a restored node writes as an actor of its own");
    node.run(&["verify"]).expect(0);

    let full = on(&restored, &["--output", "json", "restore", &file.display().to_string()]).expect(5);
    assert_eq!(full.failure()["code"], "not-empty");
}

#[test]
fn bad_backups_change_nothing_and_say_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(&directory.path().join("node"), &[]);
    node.run(&["space", "create", "shop"]).expect(0);
    node.run(&["put", "a", "{}"]).expect(0);
    let file = directory.path().join("good");
    let ran = node.run(&["backup", &file.display().to_string()]).expect(0);
    assert!(ran.stderr.contains("private key is not in the file"), "{}", ran.stderr);
    let good = fs::read(&file).expect("a file");
    let (mut altered, mut newer, mut older) = (good.clone(), good.clone(), good.clone());
    let middle = good.len() / 2;
    altered[middle] ^= 1;
    // The header's version is the first number in it.
    let version = 16 + 5 + 2;
    assert_eq!(good[version], 2);
    (newer[version], older[version]) = (9, 1);
    for (bytes, said) in [
        (good[..good.len() - 1].to_vec(), "cut short"),
        (altered, "altered"),
        (newer, "version 9"),
        (older, "use the release that made it"),
        (b"something else".to_vec(), "no backup"),
        (Vec::new(), "no backup"),
    ] {
        let bad = directory.path().join("bad");
        fs::write(&bad, bytes).expect("a file");
        let target = directory.path().join("target");
        let ran = on(&target, &["restore", &bad.display().to_string()]).expect(8);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert!(!target.exists());
    }
    on(&directory.path().join("target"), &["restore", "/nonexistent"]).expect(2);
    let names: Vec<_> =
        fs::read_dir(directory.path()).expect("own").map(|entry| entry.expect("own").file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left behind: {names:?}");
    node.run(&["backup", "/nonexistent/x"]).expect(1);
}

#[test]
fn a_running_and_a_stopped_node_are_verified_and_backed_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &[]);
    node.run(&["space", "create", "shop"]).expect(0);
    node.run(&["put", "a", "{\"n\": 1}"]).expect(0);
    let ran = node.run(&["verify"]).expect(0);
    assert_eq!(ran.line(), "sound: 1 space, 1 document, 1 signature, 1 change");
    assert_eq!(
        node.run(&["--output", "json", "verify", "--repair"]).expect(9).failure()["code"],
        "node-running"
    );
    stop(node);
    let ran = on(directory.path(), &["--output", "json", "verify"]).expect(0).json();
    assert_eq!((&ran["sound"], &ran["deltas"]), (&Value::Bool(true), &1.into()));
    let file = directory.path().join("offline.backup");
    on(directory.path(), &["backup", "--with-identity", &file.display().to_string()]).expect(0);
    let restored = directory.path().join("restored");
    on(&restored, &["restore", &file.display().to_string()]).expect(0);
    on(&restored, &["get", "a"]).expect(0);
}

#[test]
fn a_damaged_store_is_found_repaired_and_fetches_the_rest_from_its_peer() {
    let directory = tempfile::tempdir().expect("a directory");
    let a = Node::start(&directory.path().join("a"), &["--name", "a"]);
    a.run(&["space", "create", "shop"]).expect(0);
    for number in 0..10 {
        a.run(&["put", &format!("d/{number}"), &format!("{{\"text\": \"value number {number}\"}}")])
            .expect(0);
    }
    let ticket = a.run(&["invite"]).expect(0).line().to_owned();
    let b_at = directory.path().join("b");
    let b = Node::start(&b_at, &["--name", "b", "--join", &ticket]);
    until("b holds all", Duration::from_secs(30), || b.run(&["ls", "--count"]).line() == "10");
    stop(b);
    // The bytes of one value are changed in the file of the store, wherever redb keeps them.
    let store = b_at.join("store.redb");
    let mut bytes = fs::read(&store).expect("a store");
    let wanted = b"value number 7";
    let places: Vec<usize> =
        (0..bytes.len() - wanted.len()).filter(|at| &bytes[*at..*at + wanted.len()] == wanted).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[*at] = b'V');
    fs::write(&store, bytes).expect("own file");

    let mut refused = Node::spawn(&b_at, &["--name", "b"]);
    let status = crate::support::wait_for(refused.process(), Duration::from_secs(30)).expect("it ends");
    assert!(!status.success() && refused.log().contains("starling verify --repair"), "{}", refused.log());
    drop(refused);
    let found = on(&b_at, &["verify"]).expect(8);
    assert!(found.stdout.contains("wrong pages: the store's file is damaged"), "{}", found.stdout);
    assert!(found.stdout.contains("wrong delta: ") && found.stdout.contains("d/7: "), "{}", found.stdout);
    let repaired = on(&b_at, &["verify", "--repair"]).expect(0);
    assert!(repaired.stdout.contains("lost ") && repaired.stderr.contains("aside-"), "{repaired:?}");
    assert!(repaired.stderr.contains("the old one kept as "), "{repaired:?}");
    on(&b_at, &["verify"]).expect(0);
    on(&b_at, &["get", "d/7"]).expect(3);
    let b = Node::start(&b_at, &["--name", "b"]);
    until("b has it again", Duration::from_secs(60), || b.run(&["get", "d/7"]).code == Some(0));
    b.run(&["verify"]).expect(0);
    drop(a);
}
