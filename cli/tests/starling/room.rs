//! A disk that is full, or a space past its quota: writes are refused, reads go on, and writes work again by themselves.
//!
//! The disk is a small file system in memory, in a mount namespace of its own, so this needs root:
//! without, the test is skipped with a line that says so, unless `STARLING_TEST_REQUIRE` names `root`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::skip::skip;
use crate::support::{Node, Ran, run, starling, until};

/// Mounts the disk and becomes the node: program, directory, socket.
const NODE: &str = "mount -t tmpfs -o size=16m none \"$1\" && exec \"$0\" up --no-mdns --profile local \
                    --listen /ip4/127.0.0.1/tcp/0 --data-dir \"$1\" --api-socket \"$2\"";
/// What is freed later: enough for redb and for the look whether there is room.
const FILLER_BYTES: usize = 6 * 1024 * 1024;
/// More than the disk holds.
const DOCUMENTS_MAX: usize = 300;

struct SmallDisk {
    process: Child,
    socket: PathBuf,
    filler: PathBuf,
    log: PathBuf,
}

impl SmallDisk {
    fn start(directory: &Path) -> Option<Self> {
        let (disk, socket, log) = (directory.join("disk"), directory.join("api.sock"), directory.join("log"));
        fs::create_dir(&disk).expect("a directory");
        let can = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
        if !can.is_ok_and(|status| status.success()) {
            skip("root", "a disk of its own needs it");
            return None;
        }
        let out = fs::File::create(&log).expect("a log");
        let program = env!("CARGO_BIN_EXE_starling");
        let process = Command::new("unshare")
            .args(["--mount", "sh", "-c", NODE, program])
            .args([&disk, &socket])
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a handle"))
            .stderr(out)
            .spawn()
            .expect("unshare runs");
        // The way into the namespace: the root of the process, which every exec kept.
        let inside = PathBuf::from(format!("/proc/{}/root{}", process.id(), disk.display()));
        Some(Self { process, socket, filler: inside.join("filler"), log })
    }

    fn run(&self, args: &[&str]) -> Ran {
        let node = format!("unix:{}", self.socket.display());
        run([&["--output", "json", "--node", &node][..], args].concat())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(node) = SmallDisk::start(directory.path()) else { return };
    let log = || fs::read_to_string(&node.log).unwrap_or_default();
    until("the node serves", Duration::from_secs(30), || {
        node.run(&["space", "create", "shop"]).code == Some(0)
    });
    fs::write(&node.filler, vec![1; FILLER_BYTES]).expect("room for the filler");

    let text = "x".repeat(150_000);
    let mut written = 0;
    let refused = loop {
        assert!(written < DOCUMENTS_MAX, "the disk never filled up");
        let body = format!("{{\"text\": \"{text}{written}\"}}");
        let mut command = starling(["--output", "json", "--node"]);
        command.arg(format!("unix:{}", node.socket.display())).args(["put", &format!("d/{written}"), "-"]);
        let ran = crate::support::run_with_input(command, &body);
        if ran.code != Some(0) {
            break ran;
        }
        written += 1;
    };
    let refused = refused.expect(9);
    assert_eq!(refused.failure()["code"], "storage-full", "{}", log());
    assert!(written > 5, "{}", log());

    for number in [0, written - 1] {
        let read = node.run(&["get", &format!("d/{number}"), "/text"]).expect(0);
        assert!(read.line().contains(&format!("x{number}\"")), "{number}");
    }
    let status = node.run(&["status"]).expect(0).json();
    let codes: Vec<_> =
        status["warnings"].as_array().expect("warnings").iter().map(|one| &one["code"]).collect();
    assert!(codes.iter().any(|code| *code == "no-room" || *code == "low-room"), "{status}");
    assert!(status["store"]["room"].as_u64().is_some_and(|room| room < 16 * 1024 * 1024), "{status}");
    assert!(status["store"]["grown"].as_u64().is_some_and(|grown| grown > 0), "{status}");

    fs::remove_file(&node.filler).expect("own file");
    until("writes work again", Duration::from_secs(30), || node.run(&["put", "after", "{}"]).code == Some(0));
    node.run(&["get", &format!("d/{}", written - 1)]).expect(0);
    assert_eq!(node.run(&["verify"]).expect(0).json()["sound"], true);
}

#[test]
fn a_space_past_its_quota_refuses_writes_and_catches_up_with_a_larger_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let (a_at, b_at) = (directory.path().join("a"), directory.path().join("b"));
    let a = Node::start(&a_at, &["--name", "a"]);
    a.run(&["space", "create", "shop"]).expect(0);
    let ticket = a.run(&["invite"]).expect(0).line().to_owned();
    let b = Node::start(&b_at, &["--name", "b", "--space-quota", "64KiB", "--join", &ticket]);
    until("b has joined", Duration::from_secs(30), || b.run(&["ls"]).code == Some(0));
    let text = "x".repeat(40_000);
    for number in 0..3 {
        a.run(&["put", &format!("d/{number}"), &format!("{{\"text\": \"{text}\"}}")]).expect(0);
        // Each arrives before the next is written, while there is room.
        if number < 2 {
            until("it arrives", Duration::from_secs(30), || {
                b.run(&["get", &format!("d/{number}")]).code == Some(0)
            });
        }
    }
    let refused = b.run(&["put", "own", "{}"]).expect(9);
    assert!(refused.stderr.contains("--space-quota"), "{refused:?}");
    let status = b.run(&["status"]).expect(0);
    assert!(status.stdout.contains("space-full"), "{status:?}");
    b.run(&["get", "d/1", "/text"]).expect(0);
    b.run(&["get", "d/2"]).expect(3);
    let shown = b.run(&["space", "show"]).expect(0).stdout;
    assert!(shown.contains(" of 65536"), "{shown}");
    drop(b);
    let b = Node::start(&b_at, &["--name", "b", "--space-quota", "1GiB"]);
    until("b catches up", Duration::from_secs(30), || b.run(&["get", "d/2"]).code == Some(0));
    b.run(&["put", "own", "{}"]).expect(0);
}
