use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use starling_crdt::id::Topic;
use starling_crdt::limits::GOSSIP_BYTES_MAX;

use super::node::{Node, QUIC, TCP, connect, eventually, follow};
use crate::network::{Command, Event, Verdict};

const TOPIC: Topic = Topic([7; 32]);

/// Nodes of one address: as many as gossipsub's own scoring, with its defaults, would cut off.
const CROWD: usize = 20;
const CROWD_SEED: u8 = 150;

fn pair(seed: u8, listen: &str) -> (Node, Node) {
    let (mut a, mut b) = (Node::new(seed, TCP), Node::new(seed + 1, listen));
    connect(&mut a, &mut b);
    follow(&mut a, &mut b, TOPIC);
    (a, b)
}

fn heard_both_ways(seed: u8, listen: &str) {
    let (mut a, mut b) = pair(seed, listen);
    a.publish(TOPIC, b"from a");
    let heard = b.hear();
    assert_eq!((heard.from, heard.payload.as_slice()), (a.key(), b"from a".as_slice()));
    b.judge(&heard, Verdict::Accept);
    b.publish(TOPIC, b"from b");
    let heard = a.hear();
    assert_eq!((heard.from, heard.payload.as_slice()), (b.key(), b"from b".as_slice()));
    a.judge(&heard, Verdict::Accept);
    a.publish(TOPIC, b"from a");
    eventually("the second publish counts as a repetition", || a.handle.counts().published_again == 1);
}

#[test]
fn gossip_travels_both_ways_over_tcp() {
    heard_both_ways(10, TCP);
}

#[test]
fn gossip_travels_both_ways_over_quic() {
    heard_both_ways(12, QUIC);
}

#[test]
fn the_largest_payloads_arrive_one_behind_the_other() {
    let (a, mut b) = pair(14, TCP);
    let payloads: Vec<Vec<u8>> = (0..20).map(|n| vec![n; GOSSIP_BYTES_MAX]).collect();
    for payload in &payloads {
        a.publish(TOPIC, payload);
    }
    for payload in &payloads {
        let heard = b.hear();
        assert!(heard.payload == *payload);
        b.judge(&heard, Verdict::Accept);
    }
}

#[test]
fn a_burst_of_small_payloads_arrives_whole() {
    let (a, mut b) = pair(16, TCP);
    for n in 0..2_000_u32 {
        a.publish(TOPIC, &n.to_be_bytes());
    }
    for _ in 0..2_000 {
        let heard = b.hear();
        b.judge(&heard, Verdict::Accept);
    }
    assert_eq!(a.handle.counts().publish_no_room, 0);
}

#[test]
fn a_message_travels_on_only_when_accepted() {
    let mut a = Node::new(20, TCP);
    let mut b = Node::new(21, TCP);
    let mut c = Node::new(22, TCP);
    connect(&mut a, &mut b);
    connect(&mut c, &mut b);
    follow(&mut a, &mut b, TOPIC);
    follow(&mut b, &mut c, TOPIC);
    // A mesh link between B and C is up once C's graft, or B's, has arrived; a message that C
    // accepts and B thereby receives back from nobody proves nothing, so B publishes first.
    b.publish(TOPIC, b"from b");
    let heard = c.hear();
    c.judge(&heard, Verdict::Accept);
    let heard = a.hear();
    a.judge(&heard, Verdict::Accept);

    for (verdict, payload) in [(Verdict::Reject, b"reject"), (Verdict::Ignore, b"ignore")] {
        a.publish(TOPIC, payload);
        let heard = b.hear();
        assert_eq!(heard.payload, payload);
        b.judge(&heard, verdict);
    }
    a.publish(TOPIC, b"accept");
    let heard = b.hear();
    assert_eq!(heard.payload, b"accept");
    assert!(!c.has(|event| matches!(event, Event::Gossip { .. })), "before the verdict");
    b.judge(&heard, Verdict::Accept);
    let heard = c.hear();
    assert_eq!((heard.from, heard.payload.as_slice()), (b.key(), b"accept".as_slice()));
    // Gossip of one link arrives in order: what B had passed on before would have come first.
    assert!(!c.has(|event| matches!(event, Event::Gossip { .. })));
}

#[test]
fn twenty_nodes_behind_one_address_all_hear_each_of_them() {
    let mut nodes: Vec<Node> = (0..CROWD).map(|n| Node::new(CROWD_SEED + n as u8, TCP)).collect();
    for near in 0..CROWD {
        for step in [1, 2, 5] {
            let far = (near + step) % CROWD;
            let [one, other] = nodes.get_disjoint_mut([near, far]).expect("two nodes");
            connect(one, other);
            follow(one, other, TOPIC);
        }
    }
    // Every one is heard by all others, from first to last: nobody is left out of the mesh for where it is.
    for speaker in 0..CROWD {
        let said = [speaker as u8; 300];
        nodes[speaker].publish(TOPIC, &said);
        let mut deaf: BTreeSet<usize> = (0..CROWD).filter(|node| *node != speaker).collect();
        eventually("everyone hears it", || {
            deaf.retain(|node| match nodes[*node].heard() {
                Some(heard) => {
                    assert_eq!(heard.payload, said);
                    nodes[*node].judge(&heard, Verdict::Accept);
                    false
                }
                None => true,
            });
            deaf.is_empty()
        });
    }
}

#[test]
fn fresh_nodes_hear_each_other_without_a_heartbeat() {
    let (mut a, mut b) = (Node::new(24, TCP), Node::new(25, TCP));
    a.send(Command::Subscribe { topic: TOPIC });
    b.send(Command::Subscribe { topic: TOPIC });
    let start = Instant::now();
    connect(&mut a, &mut b);
    let connected = start.elapsed();
    a.wait_follower(b.key(), TOPIC);
    let known = start.elapsed();
    a.publish(TOPIC, b"first");
    b.hear();
    let heard = start.elapsed();
    println!("dial to connected {connected:?}, to follower known {known:?}, to first gossip {heard:?}");
}

#[test]
fn unfollowed_topics_are_not_delivered() {
    let (mut a, mut b) = pair(26, TCP);
    b.send(Command::Unsubscribe { topic: TOPIC });
    a.wait("end of following", |event| {
        matches!(event, Event::Unfollows { peer, .. } if *peer == b.key()).then_some(())
    });
    a.publish(TOPIC, b"to nobody");
    eventually("the publish finds nobody", || a.handle.counts().published_to_nobody == 1);
    follow_again(&mut a, &mut b);
    a.publish(TOPIC, b"again");
    assert_eq!(b.hear().payload, b"again");
}

fn follow_again(a: &mut Node, b: &mut Node) {
    b.send(Command::Subscribe { topic: TOPIC });
    a.wait_follower(b.key(), TOPIC);
}

/// Prints what publish to receive costs on loopback.
fn measure(seed: u8, listen: &str) {
    let (a, mut b) = pair(seed, listen);
    let mut latencies: Vec<Duration> = Vec::new();
    for n in 0..1_000_u32 {
        let start = Instant::now();
        a.publish(TOPIC, &[&n.to_be_bytes(), [0; 296].as_slice()].concat());
        let heard = b.hear();
        latencies.push(start.elapsed());
        b.judge(&heard, Verdict::Accept);
    }
    latencies.sort();
    let (p50, p99, max) = (latencies[499], latencies[989], latencies[999]);
    println!("{listen}: publish to receive, 300 bytes, 1,000 messages: p50 {p50:?} p99 {p99:?} max {max:?}");
}

#[test]
fn latency_on_loopback() {
    measure(28, TCP);
    measure(30, QUIC);
}
