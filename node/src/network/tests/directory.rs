use starling_crdt::id::{AuthorKey, Topic};

use super::node::{Node, QUIC, TCP, connect};
use crate::network::{Command, Discovery, Event};

const TOPIC: Topic = Topic([31; 32]);

fn found(node: &mut Node, other: AuthorKey) -> Vec<String> {
    node.wait("discovery by the directory", |event| match event {
        Event::Discovered { peer, addresses, how: Discovery::Directory } if *peer == other => {
            Some(addresses.clone())
        }
        _ => None,
    })
}

/// The node between them follows nothing: it is no member.
#[test]
fn two_members_find_each_other_through_a_node_both_know() {
    let (mut one, mut two, mut between) = (Node::new(230, TCP), Node::new(231, QUIC), Node::new(232, TCP));
    one.send(Command::Subscribe { topic: TOPIC });
    two.send(Command::Subscribe { topic: TOPIC });
    connect(&mut one, &mut between);
    connect(&mut two, &mut between);
    let (where_two, where_one) = (found(&mut one, two.key()), found(&mut two, one.key()));
    assert!(where_two.contains(&two.address), "{where_two:?} holds {}", two.address);
    assert!(where_one.contains(&one.address), "{where_one:?} holds {}", one.address);
    let dialled = |node: &mut Node, other| {
        node.has(|event| matches!(event, Event::PeerUp { peer, .. } if *peer == other))
    };
    assert!(!dialled(&mut one, two.key()) && !dialled(&mut two, one.key()), "whom to dial, the core says");
    // What was told leads there.
    let (peer, addresses) = (Some(two.key()), where_two);
    one.send(Command::Dial { peer, addresses });
    one.wait_up(two.key());
}

#[test]
fn who_follows_another_topic_is_not_told() {
    let (mut one, mut two, mut between) = (Node::new(233, TCP), Node::new(234, TCP), Node::new(235, TCP));
    let mut three = Node::new(236, TCP);
    for (node, topic) in [(&one, TOPIC), (&two, Topic([32; 32])), (&three, TOPIC)] {
        node.send(Command::Subscribe { topic });
    }
    connect(&mut one, &mut between);
    connect(&mut two, &mut between);
    connect(&mut three, &mut between);
    let stranger = two.key();
    found(&mut one, three.key());
    found(&mut three, one.key());
    let told = |event: &Event| matches!(event, Event::Discovered { peer, how: Discovery::Directory, .. } if *peer == stranger);
    assert!(!one.has(told) && !three.has(told));
}
