//! What a heal costs: at most twice what was missing, and what was brought before an interruption stays.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use starling_crdt::id::SpaceId;
use starling_crdt::store::{KeyRange, Table};

/// Bytes of the signed runs a node holds.
fn held(mesh: &Mesh, index: usize) -> u64 {
    let rows = mesh.nodes[index].reader.store().rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap();
    rows.iter().map(|(_, value)| value.len() as u64).sum()
}

/// Bytes of all questions and answers of repair so far.
fn exchanged(mesh: &Mesh) -> u64 {
    mesh.nodes.iter().map(|node| node.exchanged.bytes as u64).sum()
}

fn count(mesh: &Mesh, index: usize, space: SpaceId) -> usize {
    mesh.nodes[index].reader.list(space, "", None, 100_000, false).unwrap().documents.len()
}

#[test]
fn a_heal_brings_what_is_missing_and_not_twice_as_much() {
    let mut mesh = Mesh::new(4, 11);
    let space = mesh.shared_space();
    for number in 0..200 {
        mesh.put(number % 4, space, &format!("common/{number}"), "{\"n\": 1}");
    }
    mesh.run(Duration::from_secs(60));
    mesh.assert_converged(space);
    let before = held(&mesh, 0);
    mesh.partition(&[0, 1], &[2, 3]);
    for number in 0..400 {
        let text = "x".repeat(300);
        mesh.put(number % 4, space, &format!("apart/{number}"), &format!("{{\"text\": \"{text}{number}\"}}"));
        mesh.run(Duration::from_millis(500));
    }
    // Each of the four lacks what was written on the other side.
    let missing: u64 = (0..4).map(|index| held(&mesh, index) - before).sum();
    assert!(missing > 4 * 200 * 300, "{missing}");
    let before = exchanged(&mesh);
    mesh.heal();
    mesh.run(Duration::from_secs(60));
    mesh.assert_converged(space);
    let cost = exchanged(&mesh) - before;
    assert!(cost <= 2 * missing, "{cost} bytes for {missing} that were missing");
}

#[test]
fn a_heal_that_is_interrupted_goes_on_where_it_was() {
    const DOCUMENTS: usize = 120;
    let mut mesh = Mesh::new(2, 12);
    let space = mesh.shared_space();
    mesh.partition(&[0], &[1]);
    mesh.run(Duration::from_secs(1));
    let (before, text) = (held(&mesh, 0), "z".repeat(30_000));
    for number in 0..DOCUMENTS {
        mesh.put(0, space, &format!("d/{number}"), &format!("{{\"text\": \"{text}{number}\"}}"));
    }
    mesh.run(Duration::from_secs(1));
    let missing = held(&mesh, 0) - before;
    let before = exchanged(&mesh);
    let mut interruptions = 0;
    while count(&mesh, 1, space) < DOCUMENTS {
        let had = count(&mesh, 1, space);
        mesh.heal();
        // As soon as some came, the line breaks.
        for _ in 0..20_000 {
            mesh.run(Duration::from_millis(2));
            if count(&mesh, 1, space) > had {
                break;
            }
        }
        assert!(count(&mesh, 1, space) > had, "nothing came after {interruptions} interruptions");
        mesh.partition(&[0], &[1]);
        mesh.run(Duration::from_secs(1));
        interruptions += 1;
    }
    assert!(interruptions > 2, "it came in {interruptions} parts");
    let cost = exchanged(&mesh) - before;
    assert!(cost <= 2 * missing, "{cost} bytes for {missing} in {interruptions} parts");
    mesh.heal();
    mesh.run(Duration::from_secs(60));
    mesh.assert_converged(space);
}
