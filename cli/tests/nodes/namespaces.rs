//! Three hosts on one link: how they find each other, the tour of the README, and a cable pulled.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::asking::{PATIENCE, connected, items, key, listening, state, until_equal, until_joined};
use crate::hosts::{Link, address, tell};
use crate::support::{LOOK_PAUSE, Node, until};

/// How long the cable is out.
const CUT: Duration = Duration::from_secs(20);
/// Within this a host that vanished is at least suspected.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// Within this the hosts hold the same again once the cable is back.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// The address in the ticket is nobody's, so only mDNS can tell where its issuer is.
#[test]
fn hosts_on_one_link_find_each_other_and_a_ticket_is_enough() {
    let Some(link) = Link::new(3) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let nobody = format!("/ip4/{}/tcp/4710", address(99));
    let founder = link.start(0, directory.path(), &["--advertise", &nobody]);
    founder.run(&["space", "create", "nearby"]).expect(0);
    let ticket = founder.run(&["invite"]).expect(0);
    let mut nodes = vec![founder];
    for host in [1, 2] {
        let node = link.start(host, directory.path(), &[]);
        node.run(&["join", ticket.line()]).expect(0);
        until_joined(&node);
        assert!(connected(&node, &key(&nodes[0])));
        nodes.push(node);
    }
    nodes[2].run(&["put", "doc", "{}"]).expect(0);
    until_equal(&nodes.iter().collect::<Vec<_>>(), &["doc"], PATIENCE);
}

#[test]
fn the_tour_works_over_tcp_and_a_pulled_cable_heals() {
    tour("/ip4/0.0.0.0/tcp/4710", "tcp");
}

#[test]
fn the_tour_works_over_quic_and_a_pulled_cable_heals() {
    tour("/ip4/0.0.0.0/udp/4710/quic-v1", "quic");
}

fn tour(listen: &str, transport: &str) {
    let Some(link) = Link::new(3) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let nodes: Vec<Node> =
        (0..3).map(|host| link.start(host, directory.path(), &["--no-mdns", "--listen", listen])).collect();
    let [a, b, c] = &nodes[..] else { panic!("three hosts") };
    let all = [a, b, c];
    let keys = all.map(key);
    let own = format!("/ip4/{}/", address(0));
    until("the address others can dial is known", PATIENCE, || {
        listening(a).iter().any(|found| found.starts_with(&own))
    });
    a.run(&["space", "create", "tour"]).expect(0);
    let ticket = a.run(&["invite", "--uses", "2", "--expires", "1h"]).expect(0);
    for node in [b, c] {
        tell(node, &["join", "-"], ticket.line());
        until_joined(node);
    }
    let document = r#"{"colour": "blue", "replicas": 3, "visits": {"$counter": 0}}"#;
    a.run(&["put", "config/web", document]).expect(0);
    a.run(&["wait"]).expect(0);
    b.run(&["set", "config/web", "/replicas", "4"]).expect(0);
    b.run(&["inc", "config/web", "/visits"]).expect(0);
    until_equal(&all, &["config/web"], PATIENCE);
    assert_eq!(c.run(&["get", "config/web", "/replicas"]).expect(0).line(), "4");
    for peer in items(c, &["peers"]) {
        assert!(peer["transport"].as_str().is_some_and(|name| name.contains(transport)), "{peer}");
    }
    until("all are connected with all", PATIENCE, || {
        all.iter()
            .zip(&keys)
            .all(|(node, own)| keys.iter().filter(|other| *other != own).all(|other| connected(node, other)))
    });

    link.cut(2);
    let cut = Instant::now();
    for (node, set, inc) in [(a, "\"green\"", "1"), (c, "\"red\"", "10")] {
        node.run(&["set", "config/web", "/colour", set]).expect(0);
        node.run(&["inc", "config/web", "/visits", inc]).expect(0);
    }
    let gone = |node: &Node, of: &str| ["suspect", "away"].contains(&state(node, of).as_str());
    let left = NOTICED_WITHIN.saturating_sub(cut.elapsed());
    until("both sides notice the silence", left, || {
        gone(a, &keys[2]) && gone(b, &keys[2]) && gone(c, &keys[0]) && gone(c, &keys[1])
    });
    let noticed = cut.elapsed();
    assert_eq!(state(a, &keys[1]), "alive");
    while cut.elapsed() < CUT {
        thread::sleep(LOOK_PAUSE);
    }
    assert_eq!(state(a, &keys[2]), "away");
    link.heal(2);
    let healed = Instant::now();
    until_equal(&all, &["config/web"], HEALED_WITHIN);
    println!("{transport}: noticed after {noticed:?}, equal {:?} after the heal", healed.elapsed());
    for node in all {
        assert_eq!(node.run(&["get", "config/web", "/visits"]).expect(0).json(), json!({ "$counter": 12 }));
        let conflicts = node.run(&["conflicts"]).expect(0).stdout;
        assert!(conflicts.contains("green") && conflicts.contains("red"), "{conflicts}");
    }
}
