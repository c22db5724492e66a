//! Every command that talks to a node uses a route that the node describes, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Node, run, run_with_input, until};
use crate::top::Terminal;

/// Commands that never talk to a running node over its API, except to one they started themselves.
const LOCAL: &[&str] = &["up", "demo", "version", "completions", "man", "config", "restore", "sim", "help"];

/// One way to run each other command, in an order in which each finds what it needs. What it ends with does
/// not matter here, only that it asked.
const TALKING: &[&[&str]] = &[
    &["space", "create", "routes"],
    &["bench", "--seconds", "1"],
    &["put", "a", "{\"l\":[],\"t\":{\"$text\":\"\"}}"],
    &["get", "a"],
    &["ls"],
    &["set", "a", "/n", "1"],
    &["inc", "a", "/c"],
    &["patch", "a", "{}"],
    &["splice", "a", "/t", "0", "0", "x"],
    &["insert", "a", "/l/-", "1"],
    &["batch"],
    &["export"],
    &["history", "a"],
    &["history"],
    &["blame", "a"],
    &["diff", "a", "now"],
    &["conflicts"],
    &["conflicts", "a"],
    &["resolve", "a", "/n"],
    &["edit", "a"],
    &["revert", "a", "--to", "now"],
    &["wait", "--timeout", "100ms"],
    &["compare", "one"],
    &["quarantine"],
    &["forks"],
    &["watch"],
    &["id"],
    &["status"],
    &["log-level"],
    &["verify"],
    &["compact"],
    &["backup", "all.backup"],
    &["members"],
    &["peers"],
    &["doctor"],
    &["top"],
    &["invite"],
    &["join", "no-ticket"],
    &["import", "-", "--key-field", "id"],
    &["rm", "a"],
];

fn ask(node: &Node, path: &str) -> String {
    let mut stream = UnixStream::connect(node.directory.join("api.sock")).expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// How often each route was asked, without the one that says so.
fn asked(node: &Node) -> BTreeMap<String, u64> {
    let mut routes = BTreeMap::new();
    for line in ask(node, "/metrics").lines() {
        let Some(rest) = line.strip_prefix("starling_http_requests_total{route=\"") else { continue };
        let (route, rest) = rest.split_once('"').expect("a label ends");
        let count: u64 = rest.rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a count");
        if route != "/metrics" {
            *routes.entry(route.to_owned()).or_insert(0) += count;
        }
    }
    routes
}

/// The commands that `starling --help` lists.
pub fn commands() -> BTreeSet<String> {
    let help = run(["--help"]).expect(0).stdout;
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_that_talks_to_a_node_uses_a_described_route() {
    let known: BTreeSet<String> =
        LOCAL.iter().copied().chain(TALKING.iter().map(|args| args[0])).map(str::to_owned).collect();
    assert_eq!(commands(), known, "a command is missing here, or gone");

    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", "one"]);
    let described: Value = serde_json::from_str(&ask(&node, "/openapi.json")).expect("JSON");
    let described: BTreeSet<&str> =
        described["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    for args in TALKING {
        let before = asked(&node);
        let grew = || asked(&node).into_iter().filter(|(route, count)| before.get(route) < Some(count));
        if args[0] == "watch" {
            let mut watch = node.command(args).stdout(Stdio::null()).spawn().expect("the program was built");
            until("the watch is asked for", Duration::from_secs(30), || {
                grew().any(|(route, _)| route.ends_with("/watch"))
            });
            watch.kill().expect("it still watches");
            watch.wait().expect("it ends");
        } else if args[0] == "top" {
            let _terminal = Terminal::start(&node, (80, 24));
            until("the members are asked for", Duration::from_secs(30), || {
                grew().any(|(route, _)| route.ends_with("/members"))
            });
        } else {
            let mut command = node.command(args);
            command.current_dir(directory.path()).env_remove("VISUAL").env("EDITOR", "true");
            run_with_input(command, "{\"op\":\"put\",\"doc\":\"b\",\"id\":\"b\",\"value\":{}}\n");
        }
        let routes: Vec<String> = grew().map(|(route, _)| route).collect();
        assert!(!routes.is_empty(), "{args:?} asked the node nothing");
        for route in routes {
            let path = route.replace("{*", "{");
            assert!(described.contains(path.as_str()), "{args:?} asked {route}, which is not described");
        }
    }
}
