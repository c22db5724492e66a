use starling_crdt::id::AuthorKey;

use super::node::{Node, QUIC, TCP, connect, eventually};
use crate::network::limits::OUTBOUND_REQUESTS_PER_PEER_MAX;
use crate::network::{Command, Event, RequestFailure};

fn pair(seed: u8, listen: &str) -> (Node, Node) {
    let (mut a, mut b) = (Node::new(seed, TCP), Node::new(seed + 1, listen));
    connect(&mut a, &mut b);
    (a, b)
}

fn requested(node: &mut Node) -> (AuthorKey, u64, Vec<u8>) {
    node.wait("request", |event| match event {
        Event::Request { peer, id, body } => Some((*peer, *id, body.clone())),
        _ => None,
    })
}

fn response(node: &mut Node, wanted: u64) -> Result<Vec<u8>, RequestFailure> {
    node.wait("response", |event| match event {
        Event::Response { id, result, .. } if *id == wanted => Some(result.clone()),
        _ => None,
    })
}

fn answered_both_ways(seed: u8, listen: &str) {
    let (mut a, mut b) = pair(seed, listen);
    let body = |salt: usize| (0..1 << 20).map(|n| ((n >> 8) + salt) as u8).collect::<Vec<u8>>();
    for (asker, answerer) in [(0, 1), (1, 0)] {
        let nodes = [&mut a, &mut b];
        let [key, other] = [nodes[asker].key(), nodes[answerer].key()];
        nodes[asker].send(Command::Request { peer: other, id: 77, body: body(1) });
        let (peer, id, asked) = requested(nodes[answerer]);
        assert_eq!(peer, key);
        assert!(asked == body(1));
        nodes[answerer].send(Command::Respond { peer, id, body: body(2) });
        assert!(response(nodes[asker], 77) == Ok(body(2)));
    }
    // Four bodies of a mebibyte, and little else.
    let (here, there) = (a.traffic.read(b.key()), b.traffic.read(a.key()));
    let (here, there) = (here.expect("connected"), there.expect("connected"));
    for bytes in [here.received, here.sent, there.received, there.sent] {
        assert!((2 << 20..3 << 20).contains(&bytes), "{here:?} {there:?}");
    }
    assert_eq!(a.traffic.read(a.key()), None);
    a.send(Command::Disconnect { peer: b.key() });
    a.wait_down(b.key());
    eventually("the counts go with the connection", || a.traffic.read(b.key()).is_none());
}

#[test]
fn large_requests_are_answered_both_ways_over_tcp() {
    answered_both_ways(40, TCP);
}

#[test]
fn large_requests_are_answered_both_ways_over_quic() {
    answered_both_ways(42, QUIC);
}

#[test]
fn a_declined_request_fails_at_once() {
    let (mut a, mut b) = pair(44, TCP);
    a.send(Command::Request { peer: b.key(), id: 1, body: b"?".to_vec() });
    let (peer, id, _) = requested(&mut b);
    b.send(Command::Decline { peer, id });
    assert_eq!(response(&mut a, 1), Err(RequestFailure::Declined));
}

#[test]
fn only_the_asker_is_answered() {
    let (mut a, mut b) = pair(46, TCP);
    a.send(Command::Request { peer: b.key(), id: 1, body: b"?".to_vec() });
    let (peer, id, _) = requested(&mut b);
    b.send(Command::Respond { peer: AuthorKey([9; 32]), id, body: b"wrong".to_vec() });
    b.send(Command::Respond { peer, id, body: b"right".to_vec() });
    b.send(Command::Respond { peer, id, body: b"twice".to_vec() });
    assert_eq!(response(&mut a, 1), Ok(b"right".to_vec()));
}

#[test]
fn a_request_to_a_stranger_fails_at_once() {
    let mut a = Node::new(48, TCP);
    a.send(Command::Request { peer: AuthorKey([9; 32]), id: 1, body: Vec::new() });
    assert_eq!(response(&mut a, 1), Err(RequestFailure::NotConnected));
}

#[test]
fn requests_to_one_peer_are_bounded_and_end_with_the_connection() {
    let (mut a, mut b) = pair(50, TCP);
    let most = OUTBOUND_REQUESTS_PER_PEER_MAX as u64;
    for id in 0..=most {
        a.send(Command::Request { peer: b.key(), id, body: vec![id as u8] });
    }
    assert_eq!(response(&mut a, most), Err(RequestFailure::Busy));
    for _ in 0..most {
        requested(&mut b);
    }
    b.send(Command::Disconnect { peer: a.key() });
    for id in 0..most {
        assert_eq!(response(&mut a, id), Err(RequestFailure::Disconnected));
    }
    a.wait_down(b.key());
    // A connection that comes before the old one is gone on both sides goes with it.
    b.wait_down(a.key());
    connect(&mut a, &mut b);
    a.send(Command::Request { peer: b.key(), id: 99, body: Vec::new() });
    let (peer, id, _) = requested(&mut b);
    b.send(Command::Respond { peer, id, body: b"fresh".to_vec() });
    assert_eq!(response(&mut a, 99), Ok(b"fresh".to_vec()));
}

#[test]
fn a_driver_without_room_lets_requests_be_dropped() {
    let mut a = Node::new(52, TCP);
    // One place: taken by the connection's `PeerUp`, which nobody fetches.
    let b = Node::with(&super::node::config(53, &[TCP]), 1).expect("starts");
    a.dial(Some(b.key()), &b.address);
    a.wait_up(b.key());
    a.send(Command::Request { peer: b.key(), id: 1, body: Vec::new() });
    assert_eq!(response(&mut a, 1), Err(RequestFailure::Declined));
    eventually("it is counted", || b.handle.counts().requests_no_room == 1);
}
