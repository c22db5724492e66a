use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::node::{Node, TCP};

/// A TCP relay to `port` that can fall silent: its sockets stay open and nothing passes any more,
/// which is what a host that lost its power looks like.
struct Relay {
    port: u16,
    silent: Arc<AtomicBool>,
}

impl Relay {
    fn new(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let relay = Self {
            port: listener.local_addr().expect("an address").port(),
            silent: Arc::new(AtomicBool::new(false)),
        };
        let silent = relay.silent.clone();
        thread::spawn(move || {
            for inbound in listener.incoming() {
                let inbound = inbound.expect("a connection");
                let outbound = TcpStream::connect(("127.0.0.1", port)).expect("the node listens");
                for (from, to) in [(&inbound, &outbound), (&outbound, &inbound)] {
                    let (from, to) = (from.try_clone().expect("a clone"), to.try_clone().expect("a clone"));
                    let silent = silent.clone();
                    thread::spawn(move || pass(from, to, &silent));
                }
            }
        });
        relay
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, silent: &AtomicBool) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !silent.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

#[test]
fn a_host_that_vanishes_is_noticed_within_seconds_on_both_sides() {
    let (mut a, mut b) = (Node::new(90, TCP), Node::new(91, TCP));
    let port = b.address.rsplit('/').next().and_then(|port| port.parse().ok()).expect("a port");
    let relay = Relay::new(port);
    a.dial(Some(b.key()), &format!("/ip4/127.0.0.1/tcp/{}", relay.port));
    a.wait_up(b.key());
    b.wait_up(a.key());
    relay.silent.store(true, Ordering::SeqCst);
    let silent = Instant::now();
    a.wait_down(b.key());
    b.wait_down(a.key());
    assert!(silent.elapsed() < Duration::from_secs(8), "{:?}", silent.elapsed());
}

#[test]
fn a_host_that_only_has_nothing_to_say_keeps_its_connection() {
    let (mut a, mut b) = (Node::new(92, TCP), Node::new(93, TCP));
    super::node::connect(&mut a, &mut b);
    // Longer than any silence is borne, counted by the pings that were answered.
    for _ in 0..4 {
        a.wait("answered ping", |event| {
            matches!(event, crate::network::Event::RoundTrip { .. }).then_some(())
        });
    }
    assert!(!a.has(|event| matches!(event, crate::network::Event::PeerDown { .. })));
}
