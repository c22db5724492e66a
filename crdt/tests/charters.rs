//! Charters longer than one message: they arrive whole, whoever asks and whoever shows.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use starling_crdt::charter::{Prefix, Role};
use starling_crdt::id::SpaceId;
use starling_crdt::identity::Identity;
use starling_crdt::limits::EXCHANGE_CHUNK_BYTES;
use starling_crdt::replica::{LocalRequest, Reply};
use starling_crdt::store::tables::{SpaceIndex, walk_prefix};
use starling_crdt::store::{StoreRead, Table};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Statements a node holds, and their bytes.
fn charter(mesh: &Mesh, node: usize) -> (usize, usize) {
    let store: &dyn StoreRead = mesh.nodes[node].store();
    let (mut count, mut bytes) = (0, 0);
    walk_prefix(store, Table::Statements, &SpaceIndex(0).all(), |_, value| {
        count += 1;
        bytes += value.len();
        Ok(())
    })
    .unwrap();
    (count, bytes)
}

/// Has a node issue invites until they fill more than `messages` messages.
fn grow(mesh: &mut Mesh, node: usize, space: SpaceId, messages: usize) {
    let start = charter(mesh, node).1;
    let prefix = Prefix::new("p".repeat(500)).unwrap();
    let mut number = 0_u64;
    while charter(mesh, node).1 - start <= messages * EXCHANGE_CHUNK_BYTES {
        let invites = (0..256).map(|_| {
            number += 1;
            let mut seed = [node as u8; 32];
            seed[..8].copy_from_slice(&number.to_be_bytes());
            LocalRequest::Invite {
                space,
                role: Role::Reader,
                prefix: Some(prefix.clone()),
                uses: None,
                expires_in: None,
                secret: Identity::from_seed(&seed),
            }
        });
        for reply in mesh.batch(node, invites.collect()) {
            assert!(matches!(reply, Ok(Reply::Ticket(_))), "{reply:?}");
        }
    }
}

fn converged(mesh: &Mesh, nodes: &[usize]) -> bool {
    let held = |node: usize| {
        let mut ids = Vec::new();
        walk_prefix(mesh.nodes[node].store(), Table::Statements, &SpaceIndex(0).all(), |key, _| {
            ids.push(key.to_vec());
            Ok(())
        })
        .unwrap();
        ids
    };
    nodes.iter().all(|node| held(*node) == held(nodes[0]))
}

#[test]
fn a_node_that_joins_gets_a_charter_of_several_messages_in_its_first_dialogues() {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.create_space(0);
    grow(&mut mesh, 0, space, 2);
    // The join will come after everything else, in the last of the messages.
    let ticket = mesh.invite(0, space, Role::Writer);
    mesh.connect_all();
    mesh.request(1, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.run(seconds(10));
    assert!(charter(&mesh, 0).1 > 2 * EXCHANGE_CHUNK_BYTES);
    assert!(converged(&mesh, &[0, 1]), "{:?} and {:?}", charter(&mesh, 0), charter(&mesh, 1));
    mesh.put(1, space, "written/here", "{}");
    mesh.run(seconds(5));
    mesh.assert_converged(space);
}

#[test]
fn what_each_side_of_a_partition_added_crosses_in_both_directions() {
    let mut mesh = Mesh::new(3, 2);
    let space = mesh.create_space(0);
    let ticket = mesh.invite(0, space, Role::Admin);
    mesh.connect_all();
    for node in 1..3 {
        mesh.request(node, LocalRequest::Join { ticket: Box::new(ticket.clone()) }).unwrap();
    }
    mesh.run(seconds(10));
    mesh.partition(&[0], &[1, 2]);
    mesh.run(seconds(1));
    // Lost gossip leaves everything to repair.
    mesh.gossip_loss = 100;
    grow(&mut mesh, 0, space, 1);
    grow(&mut mesh, 1, space, 1);
    assert!(!converged(&mesh, &[0, 1]));
    mesh.heal();
    mesh.run(seconds(60));
    assert!(converged(&mesh, &[0, 1, 2]));
}

#[test]
fn a_member_whom_nobody_knows_yet_shows_a_charter_of_several_messages() {
    let mut mesh = Mesh::new(3, 3);
    let space = mesh.create_space(0);
    let ticket = mesh.invite(0, space, Role::Writer);
    let join = || LocalRequest::Join { ticket: Box::new(ticket.clone()) };
    mesh.cut = [(0, 2), (1, 2)].into();
    mesh.connect(0, 1);
    mesh.request(1, join()).unwrap();
    mesh.run(seconds(10));
    // From here on node 1 is alone with what it knows: node 0 and its join of node 2 are out of reach.
    mesh.disconnect(0, 1);
    mesh.cut = [(0, 1), (1, 2)].into();
    grow(&mut mesh, 0, space, 2);
    mesh.connect(0, 2);
    mesh.request(2, join()).unwrap();
    mesh.run(seconds(20));
    assert!(converged(&mesh, &[0, 2]));
    mesh.disconnect(0, 2);
    mesh.cut = [(0, 1), (0, 2)].into();
    mesh.connect(1, 2);
    mesh.run(seconds(30));
    assert!(converged(&mesh, &[1, 2]), "{:?} and {:?}", charter(&mesh, 1), charter(&mesh, 2));
}
