//! A host that gets another address is found again by its name, without a restart of those who know it.
//!
//! The name stands in a hosts file of the node's own, in a mount namespace, so this needs root: without, the test is
//! skipped with a line that says so, unless `STARLING_TEST_REQUIRE` names `root`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::skip::skip;
use crate::support::{Node, run, until};

const NAME: &str = "harbour.example";

/// Puts the hosts file in its place and becomes the node: program, hosts file, directory, whom to stay in touch with.
const NODE: &str = "mount --bind \"$1\" /etc/hosts && exec \"$0\" up --no-mdns --profile local --log-level debug \
                    --data-dir \"$2\" --join \"$3\"";

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes into the file that is there, which is what stands in the place of `/etc/hosts`.
fn say(hosts: &Path, address: &str) {
    fs::write(hosts, format!("127.0.0.1 localhost\n{address} {NAME}\n")).expect("a hosts file");
}

#[test]
fn a_host_that_moved_is_found_again_by_its_name() {
    let can = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        return skip("root", "a hosts file of its own needs it");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let harbour = Node::start(&directory.path().join("harbour"), &["--name", "harbour"]);
    let listening = harbour.run(&["--output", "json", "status"]).expect(0).json()["listen"].clone();
    let listening = listening.as_array().expect("addresses").iter().filter_map(|address| address.as_str());
    let tcp = listening
        .filter_map(|address| address.strip_prefix("/ip4/127.0.0.1/"))
        .find(|rest| rest.starts_with("tcp/"));
    let seed = format!("/dns4/{NAME}/{}", tcp.expect("it listens by TCP"));

    let (hosts, at) = (directory.path().join("hosts"), directory.path().join("ship"));
    // Nobody listens at this address of the loopback.
    say(&hosts, "127.0.0.9");
    let log = directory.path().join("log");
    let out = fs::File::create(&log).expect("a log");
    let program = env!("CARGO_BIN_EXE_starling");
    let ship = Command::new("unshare")
        .args(["--mount", "sh", "-c", NODE, program])
        .args([&hosts, &at])
        .arg(&seed)
        .stdin(Stdio::null())
        .stdout(out.try_clone().expect("a handle"))
        .stderr(out)
        .spawn()
        .expect("unshare runs");
    let _ship = Running(ship);
    let told = || fs::read_to_string(&log).unwrap_or_default();
    until("the old address fails", Duration::from_secs(30), || {
        told().lines().any(|line| line.contains("dial_failed") && line.contains(NAME))
    });
    say(&hosts, "127.0.0.1");
    until("the new address is found", Duration::from_secs(60), || {
        let node = format!("unix:{}", at.join("api.sock").display());
        let ran = run(["--output", "json", "--node", &node, "status"]);
        ran.code == Some(0) && ran.json()["peers"] == 1
    });
}
