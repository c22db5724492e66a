//! Two and three real nodes on loopback: how they meet, what passes between them, and what brings
//! them together again.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::asking::{
    PATIENCE, connected, figure, items, join, key, listening, state, ticket, until_equal, until_joined,
};
use crate::support::{Node, run_with_input, until, wait_for};

/// How long gossip still offers a message to a peer that missed it: gossipsub's history of five
/// heartbeats of one second, and one more.
const GOSSIP_OFFERS: Duration = Duration::from_secs(6);
/// The core stores what it learned about peers every two seconds.
const PEERS_STORED_WITHIN: Duration = Duration::from_secs(3);

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A node with a space of its own.
fn founder(directory: &Path, more: &[&str]) -> Node {
    let node = Node::start(&directory.join("a"), more);
    node.run(&["space", "create", "shop"]).expect(0);
    node
}

/// Starts a node where it listened before.
fn again(directory: &Path, addresses: &[String]) -> Node {
    let mut more = Vec::new();
    for address in addresses {
        more.extend(["--listen", address]);
    }
    Node::start(directory, &more)
}

#[test]
fn three_nodes_that_met_by_ticket_hold_what_each_of_them_writes() {
    let directory = directory();
    let a = founder(directory.path(), &["--name", "a"]);
    let ticket = ticket(&a, "writer");
    let b = Node::start(&directory.path().join("b"), &["--name", "b"]);
    join(&b, &ticket);
    let c = Node::start(&directory.path().join("c"), &["--name", "c", "--join", &ticket]);
    until_joined(&c);
    for (node, name) in [(&a, "of-a"), (&b, "of-b"), (&c, "of-c")] {
        node.run(&["put", name, "{\"n\":1}"]).expect(0);
    }
    until_equal(&[&a, &b, &c], &["of-a", "of-b", "of-c"], PATIENCE);
    assert_eq!(c.run(&["get", "of-a"]).expect(0).json(), json!({ "n": 1 }));
    a.run(&["wait", "--nodes", "all", "--timeout", "30s"]).expect(0);
    for other in [&b, &c] {
        assert_eq!(state(&a, &key(other)), "alive");
    }
    assert!(figure(&a, "starling_commits_total") >= 1.0);
    assert_eq!(figure(&b, "starling_documents"), 3.0);
    assert_eq!(figure(&b, "starling_changes"), 3.0);
    assert!(figure(&c, "starling_deltas_admitted_total") >= 2.0);
}

#[test]
fn a_seed_is_enough_where_no_address_of_the_ticket_answers() {
    let directory = directory();
    let a = founder(directory.path(), &["--advertise", "/ip4/127.0.0.1/tcp/1"]);
    let ticket = ticket(&a, "writer");
    let address = listening(&a).remove(0);
    let port = address.rsplit('/').next().expect("a port");
    for (name, seed) in [("b", address.clone()), ("c", format!("127.0.0.1:{port}"))] {
        let node = Node::start(&directory.path().join(name), &["--join", &seed]);
        until("the seed is connected", PATIENCE, || connected(&node, &key(&a)));
        join(&node, &ticket);
        node.run(&["put", name, "{}"]).expect(0);
        until("the founder has it", PATIENCE, || a.run(&["get", name]).code == Some(0));
    }
}

#[test]
fn a_change_above_the_gossip_limit_is_announced_and_fetched() {
    let directory = directory();
    let a = founder(directory.path(), &[]);
    let b = Node::start(&directory.path().join("b"), &[]);
    join(&b, &ticket(&a, "writer"));
    let text = "0123456789abcdef".repeat(300 * 1024 / 16);
    // Random enough that compression in the change does not bring it below the limit.
    let numbers: Vec<u64> = (0..20_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12).collect();
    let value = json!({ "text": text, "numbers": numbers.iter().map(u64::to_string).collect::<String>() });
    run_with_input(a.command(&["put", "large", "-"]), &value.to_string()).expect(0);
    until("it arrives", PATIENCE, || b.run(&["get", "large"]).code == Some(0));
    assert_eq!(b.run(&["get", "large"]).expect(0).json(), value);
    let fetched = figure(&b, "starling_exchange_bytes_total{direction=\"in\"}");
    assert!(fetched > 300.0 * 1024.0, "it came by exchange: {fetched}");
}

#[test]
fn a_node_away_for_longer_than_gossip_remembers_is_repaired() {
    let directory = directory();
    let a = founder(directory.path(), &[]);
    let b = Node::start(&directory.path().join("b"), &[]);
    join(&b, &ticket(&a, "writer"));
    b.run(&["put", "of-b", "{}"]).expect(0);
    until_equal(&[&a, &b], &["of-b"], PATIENCE);
    let (place, addresses) = (b.directory.clone(), listening(&b));
    b.kill();
    let records: String = (0..400).map(|n| format!("{{\"id\":\"r-{n:03}\",\"n\":{n}}}\n")).collect();
    let file = directory.path().join("records.ndjson");
    std::fs::write(&file, records).expect("a file");
    a.run(&["import", &file.display().to_string(), "--key-field", "id"]).expect(0);
    a.run(&["set", "of-b", "/seen", "true"]).expect(0);
    thread::sleep(GOSSIP_OFFERS);
    let b = again(&place, &addresses);
    let names: Vec<String> =
        std::iter::once("of-b".to_owned()).chain((0..400).map(|n| format!("r-{n:03}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    until_equal(&[&a, &b], &names, PATIENCE);
    assert_eq!(b.run(&["get", "of-b", "/seen"]).expect(0).line(), "true");
}

#[test]
fn all_nodes_restart_without_seeds_with_everything_and_find_each_other() {
    let directory = directory();
    let a = founder(directory.path(), &[]);
    let ticket = ticket(&a, "writer");
    let mut nodes = vec![a];
    for name in ["b", "c"] {
        let node = Node::start(&directory.path().join(name), &[]);
        join(&node, &ticket);
        node.run(&["put", name, "{}"]).expect(0);
        nodes.push(node);
    }
    until_equal(&nodes.iter().collect::<Vec<_>>(), &["b", "c"], PATIENCE);
    let keys: Vec<String> = nodes.iter().map(key).collect();
    until("all are connected with all", PATIENCE, || {
        nodes
            .iter()
            .zip(&keys)
            .all(|(node, own)| keys.iter().filter(|other| *other != own).all(|other| connected(node, other)))
    });
    // Whom a node met more than this ago it knows even after a crash.
    thread::sleep(PEERS_STORED_WITHIN);
    let places: Vec<_> = nodes.iter().map(|node| (node.directory.clone(), listening(node))).collect();
    // One is told to stop, the others get no chance to.
    let mut told = nodes.remove(0);
    let pid = rustix::process::Pid::from_child(told.process());
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal can be sent");
    let status = wait_for(told.process(), Duration::from_secs(20)).expect("it stops");
    assert!(status.success(), "{}", told.log());
    nodes.into_iter().for_each(Node::kill);

    let nodes: Vec<Node> = places.iter().map(|(place, addresses)| again(place, addresses)).collect();
    for node in &nodes {
        node.run(&["get", "b"]).expect(0);
        node.run(&["get", "c"]).expect(0);
    }
    nodes[0].run(&["put", "after", "{}"]).expect(0);
    until_equal(&nodes.iter().collect::<Vec<_>>(), &["after", "b", "c"], PATIENCE);
    for (node, own) in nodes.iter().zip(&keys) {
        assert_eq!(&key(node), own);
    }
}

#[test]
fn a_block_cuts_two_nodes_apart_and_an_unblock_brings_them_together() {
    let directory = directory();
    let a = founder(directory.path(), &[]);
    let b = Node::start(&directory.path().join("b"), &[]);
    join(&b, &ticket(&a, "writer"));
    a.run(&["put", "doc", "{\"colour\":\"blue\",\"visits\":{\"$counter\":0}}"]).expect(0);
    until_equal(&[&a, &b], &["doc"], PATIENCE);
    let (key_a, key_b) = (key(&a), key(&b));
    a.run(&["peers", "block", &key_b]).expect(0);
    until("both see the cut", PATIENCE, || !connected(&a, &key_b) && !connected(&b, &key_a));
    for (node, colour, visits) in [(&a, "\"green\"", "2"), (&b, "\"red\"", "40")] {
        node.run(&["set", "doc", "/colour", colour]).expect(0);
        node.run(&["inc", "doc", "/visits", visits]).expect(0);
    }
    b.run(&["put", "of-b", "{}"]).expect(0);
    assert_eq!(a.run(&["get", "doc", "/visits"]).expect(0).json(), json!({ "$counter": 2 }));
    a.run(&["get", "of-b"]).expect(3);
    a.run(&["wait", "--nodes", "2", "--timeout", "500ms"]).expect(6);

    a.run(&["peers", "unblock", &key_b]).expect(0);
    until_equal(&[&a, &b], &["doc", "of-b"], PATIENCE);
    for node in [&a, &b] {
        assert_eq!(node.run(&["get", "doc", "/visits"]).expect(0).json(), json!({ "$counter": 42 }));
    }
    let colours = [&a, &b].map(|node| node.run(&["get", "doc", "/colour"]).expect(0).stdout);
    assert_eq!(colours[0], colours[1]);
    let conflicts = a.run(&["conflicts"]).expect(0).stdout;
    assert!(conflicts.contains("green") && conflicts.contains("red"), "{conflicts}");
}

#[test]
fn a_reader_who_writes_is_refused_and_reads_on() {
    let directory = directory();
    let a = founder(directory.path(), &[]);
    let b = Node::start(&directory.path().join("b"), &[]);
    join(&b, &ticket(&a, "reader"));
    let refused = b.run(&["--output", "json", "put", "doc", "{}"]).expect(4);
    assert_eq!(refused.failure()["code"], "not-allowed", "{}", refused.stderr);
    let status_403 = "starling_http_requests_total{route=\"/v1/spaces/{space}/docs/{*name}\",status=\"403\"}";
    assert_eq!(figure(&b, status_403), 1.0);
    a.run(&["put", "doc", "{\"n\":1}"]).expect(0);
    until_equal(&[&a, &b], &["doc"], PATIENCE);
    b.run(&["set", "doc", "/n", "2"]).expect(4);
    assert_eq!(b.run(&["get", "doc", "/n"]).expect(0).line(), "1");
    assert_eq!(figure(&b, "starling_writes_total"), 0.0);
}

#[test]
fn tcp_alone_and_quic_alone_carry_everything() {
    for (transport, listen) in [("tcp", "/ip4/127.0.0.1/tcp/0"), ("quic", "/ip4/127.0.0.1/udp/0/quic-v1")] {
        let directory = directory();
        let a = founder(directory.path(), &["--listen", listen]);
        let b = Node::start(&directory.path().join("b"), &["--listen", listen]);
        join(&b, &ticket(&a, "writer"));
        a.run(&["put", "of-a", "{}"]).expect(0);
        b.run(&["put", "of-b", "{}"]).expect(0);
        until_equal(&[&a, &b], &["of-a", "of-b"], PATIENCE);
        let peers = items(&b, &["peers"]);
        assert!(
            peers.iter().all(|peer| peer["transport"].as_str().is_some_and(|name| name.contains(transport))),
            "{peers:?}"
        );
        a.run(&["wait", "--nodes", "all", "--timeout", "30s"]).expect(0);
    }
}
