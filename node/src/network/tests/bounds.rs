use starling_crdt::id::Topic;

use super::node::{Node, TCP, config, connect, eventually, follow};
use crate::network::{Command, Event};

const TOPIC: Topic = Topic([8; 32]);

#[test]
fn a_full_driver_loses_gossip_but_no_event_that_must_arrive() {
    // Room for the set-up; what comes during it is fetched at once.
    let mut a = Node::with(&config(100, &[TCP]), 8).expect("starts");
    let mut b = Node::new(101, TCP);
    connect(&mut a, &mut b);
    follow(&mut a, &mut b, TOPIC);
    for n in 0..100_u32 {
        b.publish(TOPIC, &n.to_be_bytes());
    }
    eventually("gossip is ignored", || a.handle.counts().gossip_no_room > 0);
    let mut others: Vec<Node> = (102..122).map(|seed| Node::new(seed, TCP)).collect();
    for other in &mut others {
        other.dial(Some(a.key()), &a.address);
        other.wait_up(a.key());
    }
    // The driver fetches again: everybody is there, in spite of the full inbox.
    for other in &others {
        a.wait_up(other.key());
    }
    let delivered = a.handle.counts().gossip_delivered;
    assert!(delivered < 100, "{delivered}");
    assert!(a.has(|event| matches!(event, Event::Gossip { .. })));
}

#[test]
fn one_peer_does_not_fill_the_whole_inbox() {
    let (mut a, mut b) = (Node::new(124, TCP), Node::new(125, TCP));
    connect(&mut a, &mut b);
    follow(&mut a, &mut b, TOPIC);
    let share = crate::network::limits::GOSSIP_UNJUDGED_PER_PEER_MAX as u64;
    // In two halves, so that gossipsub's own queue towards the peer never fills.
    for half in 0..2 {
        let count = share / 2 + half;
        for n in 0..count {
            b.publish(TOPIC, &[half.to_be_bytes(), n.to_be_bytes()].concat());
        }
        eventually("all have arrived", || {
            let counts = a.handle.counts();
            counts.gossip_delivered + counts.gossip_no_room == share / 2 * (half + 1) + half
        });
    }
    let counts = a.handle.counts();
    assert_eq!((counts.gossip_delivered, counts.gossip_no_room), (share, 1));
    let heard = a.hear();
    a.send(Command::Verdict { message: heard.token, verdict: crate::network::Verdict::Ignore });
    let mut more = 0_u32;
    eventually("the share is free again", || {
        // A message may overtake the verdict on its way to the network's task, and is ignored then.
        b.publish(TOPIC, &[b"room again".as_slice(), &more.to_be_bytes()].concat());
        more += 1;
        a.handle.counts().gossip_delivered == share + 1
    });
}
