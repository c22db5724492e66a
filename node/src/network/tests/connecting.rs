use std::time::{Duration, Instant};

use starling_crdt::id::AuthorKey;

use super::node::{Node, QUIC, RUNTIME, TCP, config, connect, eventually};
use crate::network::address::peer_id_text;
use crate::network::{Command, DialFailure, Discovery, Event, NetworkError, SendError, author_of_seed};

fn dial_failure(node: &mut Node) -> DialFailure {
    node.wait("failed dial", |event| match event {
        Event::DialFailed { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn an_address_without_a_key_tells_who_is_there() {
    let (mut a, mut b) = (Node::new(60, TCP), Node::new(61, QUIC));
    a.dial(None, &b.address);
    let dialed = a.wait("dialed", |event| match event {
        Event::Dialed { peer, addresses } => Some((*peer, addresses.clone())),
        _ => None,
    });
    assert_eq!(dialed, (b.key(), vec![b.address.clone()]));
    b.wait_up(a.key());
}

#[test]
fn a_host_name_and_a_port_are_enough() {
    let (mut a, b) = (Node::new(62, TCP), Node::new(63, TCP));
    let port = b.address.rsplit('/').next().expect("a port");
    a.dial(None, &format!("localhost:{port}"));
    a.wait_up(b.key());
}

#[test]
fn without_a_transport_quic_is_tried_where_tcp_fails() {
    let (mut a, b) = (Node::new(58, TCP), Node::new(57, QUIC));
    let port = b.address.split('/').nth(4).expect("a port");
    let given = format!("127.0.0.1:{port}");
    a.dial(None, &given);
    let addresses = a.wait("dialed", |event| match event {
        Event::Dialed { peer, addresses } if *peer == b.key() => Some(addresses.clone()),
        _ => None,
    });
    assert_eq!(addresses, [given]);
}

#[test]
fn another_key_than_the_asked_one_is_named() {
    let (mut a, b) = (Node::new(64, TCP), Node::new(65, TCP));
    let wanted = author_of_seed(&config(66, &[]).identity_seed).expect("a key");
    a.dial(Some(wanted), &b.address);
    assert_eq!(dial_failure(&mut a), DialFailure::WrongPeer { found: Some(b.key()) });
    a.dial(None, &format!("{}/p2p/{}", b.address, peer_id_text(&wanted)));
    assert_eq!(dial_failure(&mut a), DialFailure::WrongPeer { found: Some(b.key()) });
    assert!(!a.has(|event| matches!(event, Event::PeerUp { .. })));
}

#[test]
fn a_stale_address_does_not_hide_the_right_one() {
    let (mut a, b, c) = (Node::new(67, TCP), Node::new(68, TCP), Node::new(69, TCP));
    let addresses = vec![b.address.clone(), c.address.clone()];
    a.send(Command::Dial { peer: Some(c.key()), addresses });
    a.wait_up(c.key());
    assert!(!a.has(|event| matches!(event, Event::DialFailed { .. })));
}

#[test]
fn dialling_oneself_is_a_clear_failure() {
    let mut a = Node::new(70, TCP);
    let (key, address) = (a.key(), a.address.clone());
    a.dial(None, &address);
    assert_eq!(dial_failure(&mut a), DialFailure::ToSelf);
    a.dial(Some(key), &address);
    assert_eq!(dial_failure(&mut a), DialFailure::ToSelf);
    // Not an address that it knows as its own: here the handshake tells.
    let port = address.rsplit('/').next().expect("a port");
    a.dial(None, &format!("localhost:{port}"));
    assert_eq!(dial_failure(&mut a), DialFailure::ToSelf);
    let b = Node::new(59, TCP);
    a.dial(Some(key), &b.address);
    assert_eq!(dial_failure(&mut a), DialFailure::ToSelf);
}

#[test]
fn what_cannot_be_dialled_fails_with_its_reason() {
    let mut a = Node::new(71, TCP);
    a.dial(None, "/ip4/127.0.0.1/tcp/9/ws");
    assert!(matches!(dial_failure(&mut a), DialFailure::BadAddress(_)));
    a.send(Command::Dial { peer: None, addresses: Vec::new() });
    assert_eq!(dial_failure(&mut a), DialFailure::NoAddress);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = free.local_addr().expect("has an address").port();
    drop(free);
    a.dial(None, &format!("/ip4/127.0.0.1/tcp/{port}"));
    let reason = dial_failure(&mut a).to_string();
    assert!(reason.contains("refused"), "{reason}");
}

#[test]
fn a_connected_peer_is_not_dialled_again() {
    let (mut a, mut b) = (Node::new(72, TCP), Node::new(73, TCP));
    connect(&mut a, &mut b);
    a.dial(Some(b.key()), &b.address);
    assert_eq!(dial_failure(&mut a), DialFailure::AlreadyConnected);
}

#[test]
fn both_sides_dialling_at_once_are_connected_once() {
    let (mut a, mut b) = (Node::new(74, TCP), Node::new(75, TCP));
    a.dial(Some(b.key()), &b.address);
    b.dial(Some(a.key()), &a.address);
    a.wait_up(b.key());
    b.wait_up(a.key());
    let outcome = |event: &Event| match event {
        Event::Dialed { .. } | Event::DialFailed { .. } => Some(()),
        _ => None,
    };
    a.wait("outcome", outcome);
    b.wait("outcome", outcome);
    for node in [&mut a, &mut b] {
        assert!(!node.has(|event| matches!(event, Event::PeerUp { .. } | Event::PeerDown { .. })));
    }
}

#[test]
fn a_block_closes_refuses_and_can_be_lifted() {
    let (mut a, mut b) = (Node::new(76, TCP), Node::new(77, TCP));
    connect(&mut a, &mut b);
    a.send(Command::Block { peer: b.key() });
    a.wait_down(b.key());
    b.wait_down(a.key());
    a.dial(Some(b.key()), &b.address);
    assert_eq!(dial_failure(&mut a), DialFailure::Blocked);
    let refused = a.handle.counts().connections_refused;
    b.dial(Some(a.key()), &a.address);
    // The refusal comes after the handshake, so the blocked side may see a short connection.
    eventually("the connection is refused", || a.handle.counts().connections_refused > refused);
    assert!(!a.has(|event| matches!(event, Event::PeerUp { .. })));
    a.send(Command::Unblock { peer: b.key() });
    a.dial(Some(b.key()), &b.address);
    a.wait_up(b.key());
}

#[test]
fn a_closed_connection_can_be_opened_again() {
    let (mut a, mut b) = (Node::new(78, TCP), Node::new(79, TCP));
    for _ in 0..3 {
        connect(&mut a, &mut b);
        b.send(Command::Disconnect { peer: a.key() });
        a.wait_down(b.key());
        b.wait_down(a.key());
    }
}

#[test]
fn a_peer_tells_where_it_can_be_reached() {
    let mut settings = config(81, &[TCP]);
    settings.advertise = vec!["starling.example:4711".to_owned()];
    let mut a = Node::new(80, TCP);
    let mut b = Node::with(&settings, 1_000).expect("starts");
    connect(&mut a, &mut b);
    let (addresses, agent) = a.wait("addresses", |event| match event {
        Event::Discovered { addresses, how: Discovery::Identify { agent }, .. } => {
            Some((addresses.clone(), agent.clone()))
        }
        _ => None,
    });
    assert_eq!(agent, settings.agent);
    for expected in [b.address.as_str(), "/dns/starling.example/udp/4711/quic-v1"] {
        assert!(addresses.iter().any(|address| address == expected), "{expected} in {addresses:?}");
    }
    a.wait("round trip", |event| matches!(event, Event::RoundTrip { .. }).then_some(()));
}

#[test]
fn a_port_in_use_is_named_and_refused() {
    let a = Node::new(82, TCP);
    let Err(error) = Node::with(&config(83, &[a.address.as_str()]), 10) else {
        panic!("two nodes share one port");
    };
    assert!(matches!(error, NetworkError::NothingListens(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(&a.address) && text.contains("in use"), "{text}");

    let quic = Node::new(84, QUIC);
    let mut b = Node::with(&config(85, &[quic.address.as_str(), TCP]), 10).expect("TCP is free");
    let (address, reason) = b.wait("refusal", |event| match event {
        Event::ListenFailed { address, reason } => Some((address.clone(), reason.clone())),
        _ => None,
    });
    assert_eq!(address, quic.address);
    assert!(reason.contains("in use"), "{reason}");
}

#[test]
fn addresses_that_cannot_be_listened_on_are_refused() {
    for bad in ["/dns/host/tcp/1", "/ip4/127.0.0.1/tcp/1/ws", "4710", ""] {
        let result = Node::with(&config(86, &[bad]), 10);
        assert!(matches!(result, Err(NetworkError::Address { .. })), "{bad}");
    }
    let mut settings = config(86, &[]);
    settings.advertise = vec![format!(
        "/ip4/192.0.2.1/tcp/1/p2p/{}",
        peer_id_text(&author_of_seed(&config(87, &[]).identity_seed).expect("a key"))
    )];
    assert!(matches!(Node::with(&settings, 10), Err(NetworkError::AdvertisesAnother(_))));
}

#[test]
fn a_node_with_mdns_starts_wherever_it_is() {
    let mut settings = config(88, &[TCP]);
    settings.mdns = true;
    let mut a = Node::with(&settings, 1_000).expect("starts without multicast too");
    let mut b = Node::new(89, TCP);
    connect(&mut a, &mut b);
}

#[test]
fn a_stop_closes_everything_within_a_second() {
    let (mut a, mut b) = (Node::new(90, TCP), Node::new(91, TCP));
    connect(&mut a, &mut b);
    let start = Instant::now();
    RUNTIME.block_on(a.handle.shutdown());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    b.wait_down(a.key());
    assert_eq!(a.handle.send(Command::Disconnect { peer: b.key() }), Err(SendError::Stopped));
    let again = Node::with(&config(90, &[a.address.as_str()]), 100).expect("the port is free");
    assert_eq!(again.key(), a.key());
}

#[test]
fn inbound_connections_are_limited() {
    let mut settings = config(92, &[TCP]);
    settings.connections.inbound = 2;
    let mut a = Node::with(&settings, 1_000).expect("starts");
    let mut others: Vec<Node> = (93..96).map(|seed| Node::new(seed, TCP)).collect();
    for other in &mut others[..2] {
        connect(other, &mut a);
    }
    others[2].dial(Some(a.key()), &a.address);
    eventually("the third is refused", || a.handle.counts().connections_refused == 1);
    let third: AuthorKey = others[2].key();
    a.dial(Some(third), &others[2].address);
    a.wait_up(third);
}
