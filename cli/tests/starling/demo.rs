//! The demo as a person or a script runs it: every claim holds, and nothing is left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::schema::fits;
use crate::support::{starling, until, wait_for};

/// What the demo promises on an idle machine, and what a busy one is granted here.
const DEMO_TIME_MAX: Duration = Duration::from_secs(60);
const BUSY_FACTOR: u32 = 3;

/// Children are asked, then given five seconds each at once, then killed.
const CLEAN_UP_TIME_MAX: Duration = Duration::from_secs(15);

struct Demo {
    process: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Demo {
    fn start(temporary: &Path, more: &[&str]) -> Self {
        let mut process = starling(["--output", "json", "demo"])
            .args(more)
            .env("TMPDIR", temporary)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let stdout = process.stdout.take().expect("piped");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The record of the next claim.
    fn record(&self) -> Option<Value> {
        let line = self.lines.recv_timeout(DEMO_TIME_MAX).ok()?;
        Some(serde_json::from_str(&line).expect("a JSON line"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Command lines of processes that name something below this directory.
fn processes_below(directory: &Path) -> Vec<String> {
    let needle = directory.display().to_string();
    let entries = fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&needle))
        .collect()
}

fn left_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_claim_holds_and_nothing_is_left() {
    let temporary = tempfile::tempdir().expect("a directory");
    let started = Instant::now();
    let mut demo = Demo::start(temporary.path(), &[]);
    let mut claims = Vec::new();
    while let Some(record) = demo.record() {
        assert_eq!(record["ok"], true, "{record}");
        fits("claim", &record);
        claims.push(record["claim"].as_str().expect("a name").to_owned());
    }
    let status = wait_for(&mut demo.process, CLEAN_UP_TIME_MAX).expect("it ends");
    assert_eq!(status.code(), Some(0), "after {claims:?}");
    assert!(started.elapsed() < DEMO_TIME_MAX * BUSY_FACTOR, "{:?}", started.elapsed());
    for expected in
        ["registry-everywhere", "served", "converged", "conflict-shown", "counter-summed", "nothing-lost"]
    {
        assert!(claims.iter().any(|claim| claim == expected), "{expected} is not among {claims:?}");
    }
    assert_eq!(left_in(temporary.path()), Vec::<String>::new());
    assert_eq!(processes_below(temporary.path()), Vec::<String>::new());
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let temporary = tempfile::tempdir().expect("a directory");
        let mut demo = Demo::start(temporary.path(), &[]);
        assert_eq!(demo.record().expect("nodes start")["claim"], "nodes-start");
        assert_eq!(processes_below(temporary.path()).len(), 5, "{signal}");
        demo.signal(signal);
        let status = wait_for(&mut demo.process, CLEAN_UP_TIME_MAX).expect("it ends");
        assert_eq!(status.code(), Some(130), "{signal}");
        assert_eq!(left_in(temporary.path()), Vec::<String>::new(), "{signal}");
        assert_eq!(processes_below(temporary.path()), Vec::<String>::new(), "{signal}");
    }
}

#[test]
fn nodes_do_not_outlive_a_demo_that_is_killed() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut demo = Demo::start(temporary.path(), &[]);
    assert_eq!(demo.record().expect("nodes start")["claim"], "nodes-start");
    assert_eq!(processes_below(temporary.path()).len(), 5);
    demo.process.kill().expect("it runs");
    demo.process.wait().expect("it ends");
    until("the nodes end", CLEAN_UP_TIME_MAX, || processes_below(temporary.path()).is_empty());
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut demo = Demo::start(temporary.path(), &["--keep"]);
    assert_eq!(demo.record().expect("nodes start")["claim"], "nodes-start");
    demo.signal("-INT");
    wait_for(&mut demo.process, CLEAN_UP_TIME_MAX).expect("it ends");
    let kept = left_in(temporary.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    let identity = temporary.path().join(&kept[0]).join("oslo/identity.pem");
    assert!(identity.exists(), "{}", identity.display());
    assert_eq!(processes_below(temporary.path()), Vec::<String>::new());
}

#[test]
fn a_claim_that_does_not_hold_ends_the_demo_with_8_and_leaves_nothing() {
    let temporary = tempfile::tempdir().expect("a directory");
    // No node can open its API socket at a path of more than 107 bytes.
    let deep = temporary.path().join("x".repeat(100));
    fs::create_dir(&deep).expect("a directory");
    let mut demo = Demo::start(&deep, &[]);
    let record = demo.record().expect("a record");
    assert_eq!((&record["claim"], &record["ok"]), (&"nodes-start".into(), &false.into()));
    assert!(record["detail"].as_str().is_some_and(|detail| detail.contains("107")), "{record}");
    let status = wait_for(&mut demo.process, CLEAN_UP_TIME_MAX).expect("it ends");
    assert_eq!(status.code(), Some(8));
    assert_eq!(demo.record(), None, "nothing more is claimed");
    assert_eq!(left_in(&deep), Vec::<String>::new());
    assert_eq!(processes_below(&deep), Vec::<String>::new());
}
