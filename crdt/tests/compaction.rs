//! Compaction: what is merged builds, serves and verifies the same, whatever the history.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use starling_crdt::document::Edit;
use starling_crdt::id::SpaceId;
use starling_crdt::limits::{DELTA_BYTES_MAX, DELTA_CHANGES_MAX};
use starling_crdt::replica::{Compacted, LocalRequest, Reply};
use starling_crdt::store::tables::{DeltaRecord, record};
use starling_crdt::store::{KeyRange, Table, WriteBatch};
use starling_crdt::verify::verify;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn deltas(mesh: &Mesh, index: usize) -> Vec<DeltaRecord> {
    let rows = mesh.nodes[index].store().rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap();
    rows.into_iter().map(|(_, value)| record(&value, "delta record").unwrap()).collect()
}

fn compact(mesh: &mut Mesh, index: usize) -> Compacted {
    match mesh.request_later(index, LocalRequest::Compact, seconds(5)) {
        Ok(Reply::Compacted(told)) => told,
        other => panic!("{other:?}"),
    }
}

fn assert_sound(mesh: &Mesh, index: usize) {
    let report = verify(mesh.nodes[index].store(), None).unwrap();
    assert!(report.is_sound(), "node {index}: {:?}", report.findings);
}

/// Writes by all nodes, in turns and at random, with partitions and restarts in between.
fn live(mesh: &mut Mesh, space: SpaceId, rounds: u64) {
    let nodes = mesh.nodes.len();
    for round in 0..rounds {
        let index = mesh.draws.below(nodes);
        let name = format!("d/{}", mesh.draws.below(3));
        match mesh.draws.below(20) {
            0 => drop(mesh.write(index, space, &name, Edit::Remove)),
            1 => {
                let text = "x".repeat(20_000 + mesh.draws.below(30_000));
                mesh.put(index, space, &name, &format!("{{\"long\": \"{text}{round}\"}}"));
            }
            2 => {
                mesh.partition(&[0], &[1, 2]);
            }
            3 => mesh.heal(),
            4 => {
                mesh.restart(index);
                mesh.connect_all();
            }
            _ => {
                mesh.put(index, space, &name, &format!("{{\"n\": {round}}}"));
            }
        }
        if mesh.draws.below(3) == 0 {
            mesh.run(Duration::from_millis(200));
        }
    }
}

#[test]
fn any_history_compacted_builds_serves_and_verifies_the_same() {
    for seed in 0..12 {
        let mut mesh = Mesh::new(3, seed);
        let space = mesh.shared_space();
        live(&mut mesh, space, 80);
        // Node 2 stays behind: its frontiers lie inside what is merged meanwhile.
        mesh.heal();
        mesh.run(seconds(60));
        mesh.partition(&[2], &[0, 1]);
        for round in 0..30 {
            mesh.put(0, space, "d/0", &format!("{{\"late\": {round}}}"));
        }
        mesh.run(seconds(60));
        let (before, contents) = (deltas(&mesh, 0).len(), mesh.contents(0, space));
        let told = compact(&mut mesh, 0);
        let after = deltas(&mesh, 0);
        assert_eq!(
            (told.deltas_before, told.deltas_after),
            (before as u64, after.len() as u64),
            "seed {seed}"
        );
        assert!(after.len() < before && told.bytes_after < told.bytes_before, "seed {seed}: {told:?}");
        assert_eq!(told.refused, 0);
        for delta in &after {
            let bytes: usize = delta.changes.iter().map(|change| change.len()).sum();
            assert!(delta.changes.len() <= DELTA_CHANGES_MAX);
            assert!(bytes <= DELTA_BYTES_MAX || delta.changes.len() == 1);
        }
        assert_sound(&mesh, 0);
        assert_eq!(mesh.contents(0, space), contents, "seed {seed}");
        mesh.restart(0);
        assert_eq!(mesh.contents(0, space), contents, "seed {seed}");
        // Node 1 is away, so all that node 2 lacks comes from merged deltas; and from nothing, too.
        mesh.cut.clear();
        mesh.connect(0, 2);
        mesh.run(seconds(60));
        assert_eq!(mesh.contents(2, space), contents, "seed {seed}");
        assert_sound(&mesh, 2);
        compact(&mut mesh, 2);
        assert_sound(&mesh, 2);
        mesh.connect_all();
        mesh.put(1, space, "d/1", "{\"end\": true}");
        mesh.run(seconds(60));
        mesh.assert_converged(space);
    }
}

#[test]
fn a_node_that_knows_nothing_catches_up_from_merged_deltas_alone() {
    let mut mesh = Mesh::new(2, 50);
    let space = mesh.create_space(0);
    for round in 0..200 {
        mesh.put(0, space, "d", &format!("{{\"n\": {round}}}"));
    }
    let told = compact(&mut mesh, 0);
    assert_eq!((told.documents, told.deltas_before, told.deltas_after), (1, 200, 4));
    let ticket = mesh.invite(0, space, starling_crdt::charter::Role::Writer);
    mesh.connect_all();
    mesh.request(1, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.run(seconds(30));
    mesh.assert_converged(space);
    assert_sound(&mesh, 1);
}

#[test]
fn an_idle_node_compacts_by_itself_and_then_rests() {
    let mut mesh = Mesh::new(1, 51);
    let space = mesh.create_space(0);
    for round in 0..100 {
        mesh.put(0, space, "d", &format!("{{\"n\": {round}}}"));
    }
    mesh.run(seconds(500));
    assert_eq!(deltas(&mesh, 0).len(), 100);
    mesh.run(seconds(300));
    assert_eq!(deltas(&mesh, 0).len(), 2);
    let row = mesh.nodes[0].store().value(Table::Meta, b"replica").unwrap();
    mesh.run(seconds(3_600));
    assert_eq!(mesh.nodes[0].store().value(Table::Meta, b"replica").unwrap(), row, "it wrote although idle");
    mesh.put(0, space, "d", "{}");
    mesh.run(seconds(1_300));
    assert_eq!(deltas(&mesh, 0).len(), 2);
}

#[test]
fn nothing_that_cannot_be_verified_is_merged() {
    let mut mesh = Mesh::new(1, 52);
    let space = mesh.create_space(0);
    for round in 0..10 {
        mesh.put(0, space, "d", &format!("{{\"n\": {round}}}"));
    }
    let (key, value) = mesh.nodes[0].store().last_row(Table::Deltas, KeyRange::ALL).unwrap().unwrap();
    let mut last: DeltaRecord = record(&value, "delta record").unwrap();
    last.signature[0] ^= 1;
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, key, starling_crdt::codec::encode(&last));
    mesh.nodes[0].commit(&batch);
    let told = compact(&mut mesh, 0);
    assert_eq!((told.refused, told.deltas_before, told.deltas_after), (1, 10, 10));
    assert_eq!(deltas(&mesh, 0).len(), 10);
}
