//! Peers that speak libp2p but not by the rules, or not as our own task would.

use futures::prelude::*;
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::request_response::{self, Message};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{Config, ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, Swarm};
use starling_crdt::id::{AuthorKey, Topic};
use starling_crdt::limits::EXCHANGE_FRAME_BYTES_MAX;

use super::node::{Node, RUNTIME, TCP, config};
use super::raw::{Raw, RawEvent, raw};
use crate::metrics::Registry;
use crate::network::behaviour::{Protocols, ProtocolsEvent};
use crate::network::gossip::{Followed, topic_hash};
use crate::network::task::keypair;
use crate::network::transport::transport;
use crate::network::{Command, Event, Offence, RequestFailure, TrafficByPeer, peer};

fn peer_of(protocol: &'static str) -> Swarm<Raw> {
    let _inside = RUNTIME.enter();
    raw(protocol)
}

/// Dials `node`, lets the peer live on, and has it answer every request with `answer`.
fn connect_raw(mut swarm: Swarm<Raw>, node: &mut Node, ask: Vec<u8>, answer: Vec<u8>) -> AuthorKey {
    let key = peer::author_key(swarm.local_peer_id()).expect("ed25519");
    let address: Multiaddr = node.address.parse().expect("a multiaddr");
    let target = peer::peer_id(&node.key());
    let _inside = RUNTIME.enter();
    swarm.dial(address).expect("dials");
    RUNTIME.spawn(async move {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } if !ask.is_empty() => {
                    swarm.behaviour_mut().exchange.send_request(&target, ask.clone());
                }
                SwarmEvent::Behaviour(RawEvent::Exchange(request_response::Event::Message {
                    message: Message::Request { channel, .. },
                    ..
                })) => {
                    let sent = swarm.behaviour_mut().exchange.send_response(channel, answer.clone());
                    assert!(sent.is_ok(), "the asker waits");
                }
                _ => {}
            }
        }
    });
    node.wait_up(key);
    key
}

fn oversized() -> (usize, Vec<u8>) {
    let bytes = EXCHANGE_FRAME_BYTES_MAX + 1;
    (bytes, u32::try_from(bytes).expect("fits").to_be_bytes().to_vec())
}

fn offence(node: &mut Node, by: AuthorKey) -> Offence {
    node.wait("offence", |event| match event {
        Event::Offence { peer, offence } if *peer == by => Some(offence.clone()),
        _ => None,
    })
}

#[test]
fn an_oversized_request_is_reported_and_not_delivered() {
    let mut node = Node::new(130, TCP);
    let (bytes, frame) = oversized();
    let key = connect_raw(peer_of("/starling/0"), &mut node, frame, Vec::new());
    assert_eq!(offence(&mut node, key), Offence::OversizedFrame { bytes });
    assert!(!node.has(|event| matches!(event, Event::Request { .. })));
    assert_eq!(node.handle.counts().frames_oversized, 1);
}

#[test]
fn an_oversized_answer_fails_the_request_and_is_reported() {
    let mut node = Node::new(131, TCP);
    let (bytes, frame) = oversized();
    let key = connect_raw(peer_of("/starling/0"), &mut node, Vec::new(), frame);
    node.send(Command::Request { peer: key, id: 5, body: b"?".to_vec() });
    let result = node.wait("response", |event| match event {
        Event::Response { id: 5, result, .. } => Some(result.clone()),
        _ => None,
    });
    assert_eq!(result, Err(RequestFailure::Oversized(bytes)));
    assert_eq!(offence(&mut node, key), Offence::OversizedFrame { bytes });
}

#[test]
fn a_truncated_answer_fails_the_request() {
    let mut node = Node::new(132, TCP);
    let key = connect_raw(peer_of("/starling/0"), &mut node, Vec::new(), vec![0, 0, 1, 0, 7]);
    node.send(Command::Request { peer: key, id: 5, body: b"?".to_vec() });
    let result = node.wait("response", |event| match event {
        Event::Response { id: 5, result, .. } => Some(result.clone()),
        _ => None,
    });
    assert_eq!(result, Err(RequestFailure::Declined));
}

#[test]
fn what_speaks_another_protocol_is_disconnected() {
    let mut node = Node::new(133, TCP);
    let key = connect_raw(peer_of("/ipfs/0.1.0"), &mut node, Vec::new(), Vec::new());
    let protocol = "/ipfs/0.1.0".to_owned();
    assert_eq!(offence(&mut node, key), Offence::ForeignProtocol { protocol });
    node.wait_down(key);
}

/// A peer with a node's own protocols that a test steers step by step.
fn steered(seed: u8, topic: Topic) -> Swarm<Protocols> {
    let _inside = RUNTIME.enter();
    let settings = config(seed, &[]);
    let keypair = keypair(&settings.identity_seed).expect("a key");
    let followed = Followed::default();
    followed.insert(topic_hash(&topic));
    let mut protocols = Protocols::new(&keypair, &settings, followed).expect("sets up");
    let subscribed = protocols.gossip.subscribe(&IdentTopic::new(topic.to_string()));
    subscribed.expect("subscribes");
    let transport =
        transport(&keypair, &mut Registry::default(), &TrafficByPeer::default()).expect("sets up");
    let local = keypair.public().to_peer_id();
    Swarm::new(transport, protocols, local, Config::with_tokio_executor())
}

async fn until<T>(
    swarm: &mut Swarm<Protocols>,
    mut pick: impl FnMut(SwarmEvent<ProtocolsEvent>) -> Option<T>,
) -> T {
    let found = async {
        loop {
            if let Some(found) = pick(swarm.select_next_some().await) {
                return found;
            }
        }
    };
    tokio::time::timeout(super::node::DEADLINE, found).await.expect("it happens in time")
}

/// Connects `swarm` with `node` twice; the two connections, and both hear each other's gossip.
async fn connect_twice(swarm: &mut Swarm<Protocols>, node: &mut Node, topic: Topic) -> [ConnectionId; 2] {
    let key = peer::author_key(swarm.local_peer_id()).expect("ed25519");
    let address: Multiaddr = node.address.parse().expect("a multiaddr");
    let mut connections = Vec::new();
    for _ in 0..2 {
        let options = DialOpts::peer_id(peer::peer_id(&node.key()))
            .condition(PeerCondition::Always)
            .addresses(vec![address.clone()])
            .build();
        connections.push(options.connection_id());
        swarm.dial(options).expect("dials");
        // With its ping a connection's beginnings are over: from now on only gossip stirs it.
        let connection = connections[connections.len() - 1];
        until(swarm, |event| match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(event)) => {
                (event.connection == connection).then_some(())
            }
            _ => None,
        })
        .await;
    }
    node.wait_follower(key, topic);
    let payload = format!("{connections:?}");
    node.publish(topic, payload.as_bytes());
    assert_eq!(until(swarm, heard).await, payload.as_bytes());
    [connections[0], connections[1]]
}

fn heard(event: SwarmEvent<ProtocolsEvent>) -> Option<Vec<u8>> {
    match event {
        SwarmEvent::Behaviour(ProtocolsEvent::Gossip(gossipsub::Event::Message { message, .. })) => {
            Some(message.data)
        }
        _ => None,
    }
}

fn closed(event: SwarmEvent<ProtocolsEvent>) -> Option<u32> {
    match event {
        SwarmEvent::ConnectionClosed { num_established, .. } => Some(num_established),
        _ => None,
    }
}

#[test]
fn a_peer_that_loses_its_first_connection_starts_afresh() {
    let topic = Topic([9; 32]);
    let mut node = Node::new(134, TCP);
    node.send(Command::Subscribe { topic });
    let mut swarm = steered(135, topic);
    RUNTIME.block_on(async {
        let [first, _] = connect_twice(&mut swarm, &mut node, topic).await;
        swarm.close_connection(first);
        assert_eq!(until(&mut swarm, closed).await, 1);
        assert_eq!(until(&mut swarm, closed).await, 0);
        node.wait_down(peer::author_key(swarm.local_peer_id()).expect("ed25519"));
        connect_twice(&mut swarm, &mut node, topic).await;
    });
}

#[test]
fn a_peer_that_loses_its_second_connection_goes_on() {
    let topic = Topic([9; 32]);
    let mut node = Node::new(136, TCP);
    node.send(Command::Subscribe { topic });
    let mut swarm = steered(137, topic);
    RUNTIME.block_on(async {
        let [_, second] = connect_twice(&mut swarm, &mut node, topic).await;
        swarm.close_connection(second);
        assert_eq!(until(&mut swarm, closed).await, 1);
        node.publish(topic, b"after");
        assert_eq!(until(&mut swarm, heard).await, b"after");
        assert!(!node.has(|event| matches!(event, Event::PeerDown { .. })));
    });
}
