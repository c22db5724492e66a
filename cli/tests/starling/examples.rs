//! What programs are shown: the examples of the client, and the curl lines of `docs/api.md`, against real
//! nodes.

use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use starling_api::address::SOCKET_FILE;
use starling_api::{Client, NodeAddress};
use tokio::runtime::{Builder, Runtime};

use crate::skip::skip;
use crate::support::{Node, run_with_input, until};

#[allow(dead_code, reason = "its main is for people")]
#[path = "../../../node/api/examples/feature_flags.rs"]
mod feature_flags;

#[allow(dead_code, reason = "its main is for people")]
#[path = "../../../node/api/examples/offline_notes.rs"]
mod offline_notes;

#[allow(dead_code, reason = "its main is for people")]
#[path = "../../../node/api/examples/service_registry.rs"]
mod service_registry;

const PATIENCE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn client(node: &Node) -> Client {
    Client::new(NodeAddress::Unix(node.directory.join(SOCKET_FILE)))
}

fn two_members() -> (tempfile::TempDir, Node, Node) {
    let directory = tempfile::tempdir().expect("a directory");
    let shore = Node::start(&directory.path().join("shore"), &["--name", "shore"]);
    shore.run(&["space", "create", "shop"]).expect(0);
    let ticket = shore.run(&["invite", "--role", "writer"]).expect(0);
    let ship = Node::start(&directory.path().join("ship"), &["--name", "ship"]);
    run_with_input(ship.command(&["join", "-"]), &ticket.stdout).expect(0);
    until("both may write", PATIENCE, || ship.run(&["put", "hello", "{}"]).code == Some(0));
    (directory, shore, ship)
}

#[test]
fn flags_are_read_at_the_start_and_on_every_change() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    node.run(&["space", "create", "shop"]).expect(0);
    let client = client(&node);
    let mut seen = Vec::new();
    let followed = feature_flags::follow(&client, "shop", |flags| {
        seen.push(flags.get("checkout-v2").copied());
        match seen.len() {
            1 => {
                node.run(&["put", feature_flags::DOCUMENT, "{\"checkout-v2\":true,\"name\":\"x\"}"]).expect(0)
            }
            2 => node.run(&["set", feature_flags::DOCUMENT, "/checkout-v2", "false"]).expect(0),
            _ => return ControlFlow::Break(()),
        };
        ControlFlow::Continue(())
    });
    runtime().block_on(followed).expect("the node serves");
    assert_eq!(seen, [None, Some(true), Some(false)]);
}

#[test]
fn a_registry_tells_who_is_there() {
    let (_directory, shore, ship) = two_members();
    let runtime = runtime();
    for (node, address) in [(&shore, "10.0.0.1:80"), (&ship, "10.0.0.2:80")] {
        runtime.block_on(service_registry::announce(&client(node), "shop", "web", address)).expect("a write");
    }
    let instances = || {
        runtime
            .block_on(service_registry::instances(&client(&shore), "shop", "web"))
            .expect("the node serves")
    };
    until("both are there", PATIENCE, || {
        instances().iter().filter(|instance| instance.is_there()).count() == 2
    });
    ship.kill();
    until("one is away", PATIENCE, || instances().iter().any(|instance| !instance.is_there()));
    let found = instances();
    let there: Vec<_> = found
        .iter()
        .map(|instance| (instance.host.as_str(), instance.address.as_str(), instance.is_there()))
        .collect();
    assert_eq!(there, [("ship", "10.0.0.2:80", false), ("shore", "10.0.0.1:80", true)]);
}

#[test]
fn notes_written_apart_meet() {
    let (directory, shore, ship) = two_members();
    let runtime = runtime();
    let write = |node: &Node, text: &str| {
        runtime.block_on(offline_notes::write(&client(node), "shop", text)).expect("the own node serves")
    };
    shore.kill();
    let name = write(&ship, "at sea");
    let patience = Duration::from_millis(300);
    let held =
        runtime.block_on(offline_notes::held_by(&client(&ship), "shop", &name, patience)).expect("an answer");
    assert!(!held.satisfied && held.missing.len() == 1, "{held:?}");
    let shore = Node::start(&directory.path().join("shore"), &["--name", "shore"]);
    // A test's node listens at another port each time, as no host's would.
    let status = shore.run(&["--output", "json", "status"]).expect(0).json();
    ship.run(&["peers", "add", status["listen"][0].as_str().expect("an address")]).expect(0);
    write(&shore, "ashore");
    for node in [&shore, &ship] {
        until("both notes are there", PATIENCE, || {
            let notes =
                runtime.block_on(offline_notes::read(&client(node), "shop")).expect("the node serves");
            notes == ["at sea", "ashore"]
        });
    }
}

/// The commands of the blocks that begin with `sh`.
fn commands(guide: &str) -> String {
    let blocks = guide.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split_once("```")).map(|(block, _)| block).collect()
}

#[test]
fn the_curl_lines_of_the_api_guide_do_what_they_say() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("curl", "it is not installed");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    let script = commands(include_str!("../../../docs/api.md"));
    assert!(script.matches("api ").count() > 12, "{script}");
    let mut command = Command::new("timeout");
    command.args(["50", "bash", "-euxo", "pipefail", "-c", &script]);
    command.env("STARLING_DATA_DIR", &node.directory).current_dir(directory.path());
    let ran = run_with_input(command, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    for said in [
        "{\"port\":8080,\"visits\":{\"$counter\":3}}",
        "\"code\":\"precondition-failed\"",
        "\"claimed_time\":",
        "\"satisfied\":true",
        "data: {",
        "starling_writes_total",
    ] {
        assert!(ran.stdout.contains(said), "{said} is not in {}", ran.stdout);
    }
}
