//! The node as a process of its own: it starts from its environment and stops cleanly.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const STARTED_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn starlingd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starlingd"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn wait_until(deadline: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    holds()
}

#[test]
fn it_starts_from_its_environment_and_stops_within_five_seconds_of_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let child = starlingd()
        .env("STARLING_DATA_DIR", &data)
        .env("STARLING_PROFILE", "local")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let socket = data.join("api.sock");
    assert!(wait_until(STARTED_WITHIN, || socket.exists()), "no API socket appeared");
    let pid = rustix::process::Pid::from_child(&running.0);
    let asked = Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = wait_until(STOPPED_WITHIN, || running.0.try_wait().unwrap().is_some());
    assert!(ended, "still there {:?} after SIGTERM", asked.elapsed());
    assert!(running.0.wait().unwrap().success());
    assert!(!socket.exists(), "the socket is left behind");
}

#[test]
fn what_it_cannot_use_it_refuses_with_a_reason() {
    let output = starlingd().arg("--listen").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("takes no arguments"));
    let output = starlingd().env("STARLING_PROFILE", "moon").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("moon"), "{output:?}");
}
