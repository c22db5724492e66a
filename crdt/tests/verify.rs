//! Verification and mending: a sound store is found sound, every planted damage is found, and a mended
//! store converges with the others again.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use starling_crdt::document::Edit;
use starling_crdt::id::{DocumentName, SpaceId};
use starling_crdt::store::tables::{DeltaRecord, record, space_record};
use starling_crdt::store::{KeyRange, Row, StoreRead, Table, WriteBatch};
use starling_crdt::verify::{Aside, Mend, Report, verify};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Three nodes that wrote, in partition too, restarted and deleted, and converged.
fn busy(seed: u64) -> (Mesh, SpaceId) {
    let mut mesh = Mesh::new(3, seed);
    let space = mesh.shared_space();
    for round in 0..30_u64 {
        let index = (round % 3) as usize;
        mesh.put(index, space, &format!("d/{}", round % 7), &format!("{{\"n\": {round}}}"));
        if round == 10 {
            mesh.partition(&[0], &[1, 2]);
        }
        if round == 20 {
            mesh.run(seconds(5));
            mesh.heal();
            mesh.run(seconds(30));
        }
    }
    mesh.run(seconds(60));
    mesh.write(1, space, "d/3", Edit::Remove).unwrap();
    mesh.restart(2);
    mesh.connect_all();
    mesh.run(seconds(60));
    mesh.put(2, space, "d/4", r#"{"after": "restart"}"#);
    mesh.run(seconds(60));
    mesh.assert_converged(space);
    (mesh, space)
}

fn rows(store: &dyn StoreRead, table: Table) -> Vec<Row> {
    store.rows(table, KeyRange::ALL, usize::MAX).unwrap()
}

fn check(mesh: &Mesh, index: usize) -> Report {
    verify(mesh.nodes[index].store(), None).unwrap()
}

/// Mends a stopped node's store; gives the report and what was moved aside.
fn mend(mesh: &mut Mesh, index: usize) -> (Report, Vec<Aside>) {
    let (mut aside, mut batches) = (Vec::new(), Vec::new());
    let snapshot = mesh.nodes[index].store().snapshot().unwrap();
    let report = verify(
        snapshot.as_ref(),
        Some(&mut |mend: Mend| {
            aside.extend(mend.aside);
            batches.push(mend.batch);
            Ok(())
        }),
    );
    batches.iter().for_each(|batch| mesh.nodes[index].commit(batch));
    (report.unwrap(), aside)
}

/// Writes a row of a node's store anew, or removes it.
fn plant(mesh: &mut Mesh, index: usize, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
    let mut batch = WriteBatch::default();
    match value {
        Some(value) => batch.put(table, key, value),
        None => batch.remove(table, key),
    }
    mesh.nodes[index].commit(&batch);
}

/// Mends node 1 until nothing is wrong, starts it, and lets it catch up.
fn heals(mut mesh: Mesh, space: SpaceId, what: &str) {
    for _ in 0..3 {
        if check(&mesh, 1).is_sound() {
            break;
        }
        mend(&mut mesh, 1);
    }
    let left = check(&mesh, 1);
    assert!(left.is_sound(), "{what}: {:?}", left.findings);
    mesh.restart(1);
    mesh.connect_all();
    mesh.run(seconds(120));
    mesh.put(1, space, "d/1", r#"{"written": "after"}"#);
    mesh.run(seconds(60));
    mesh.assert_converged(space);
    let after = check(&mesh, 1);
    assert!(after.is_sound(), "{what}: {:?}", after.findings);
}

#[test]
fn stores_of_nodes_that_lived_are_sound() {
    let (mesh, _) = busy(1);
    for index in 0..3 {
        let report = check(&mesh, index);
        assert!(report.is_sound(), "{index}: {:?}", report.findings);
        assert_eq!((report.spaces, report.documents, report.lost), (1, 7, 0));
        assert_eq!(report.deltas as usize, rows(mesh.nodes[index].store(), Table::Deltas).len());
        assert!(report.changes >= 32, "{report:?}");
    }
}

#[test]
fn every_row_that_is_no_record_is_found_and_the_store_heals() {
    for table in [Table::Deltas, Table::Frontiers, Table::Documents, Table::Statements, Table::Incarnations] {
        let count = rows(busy(2).0.nodes[1].store(), table).len();
        assert!(count > 0, "{table:?}");
        for at in [0, count / 2, count - 1] {
            let (mut mesh, space) = busy(2);
            let key = rows(mesh.nodes[1].store(), table)[at].0.clone();
            plant(&mut mesh, 1, table, key, Some(vec![0xff; 9]));
            let report = check(&mesh, 1);
            assert!(
                !report.is_sound() && report.findings.iter().all(|finding| finding.mendable),
                "{table:?} {at}"
            );
            heals(mesh, space, &format!("{table:?} {at}"));
        }
    }
}

#[test]
fn every_row_that_is_gone_is_found_and_the_store_heals() {
    for table in [Table::Deltas, Table::Frontiers, Table::Documents, Table::Changed, Table::Incarnations] {
        let (mut mesh, space) = busy(3);
        let found = rows(mesh.nodes[1].store(), table);
        let key = found[found.len() / 2].0.clone();
        plant(&mut mesh, 1, table, key, None);
        assert!(!check(&mesh, 1).is_sound(), "{table:?}");
        heals(mesh, space, &format!("{table:?}"));
    }
}

#[test]
fn one_bit_of_a_signed_delta_is_found_moved_aside_and_fetched_again() {
    let (mut mesh, space) = busy(4);
    let (key, value) = rows(mesh.nodes[1].store(), Table::Deltas).swap_remove(2);
    let mut stored: DeltaRecord = record(&value, "delta record").unwrap();
    let last = stored.changes.len() - 1;
    let middle = stored.changes[last].len() / 2;
    stored.changes[last][middle] ^= 1;
    let damaged = starling_crdt::codec::encode(&stored);
    plant(&mut mesh, 1, Table::Deltas, key.clone(), Some(damaged.clone()));
    let report = check(&mesh, 1);
    assert!(report.findings.iter().any(|finding| finding.code == "delta"), "{:?}", report.findings);
    assert!(report.lost > 0 && report.losses[0].author.is_some(), "{report:?}");
    let (_, aside) = mend(&mut mesh, 1);
    assert_eq!(aside, [Aside { table: Table::Deltas, key, value: damaged }]);
    heals(mesh, space, "one bit");
}

#[test]
fn own_changes_that_nobody_else_holds_are_named_as_lost_and_the_rest_lives_on() {
    let (mut mesh, space) = busy(5);
    mesh.partition(&[1], &[0, 2]);
    mesh.put(1, space, "alone", r#"{"a": 1}"#);
    mesh.put(1, space, "alone", r#"{"a": 2}"#);
    let own = mesh.nodes[1].key;
    let index = space_record(mesh.nodes[1].store(), space).unwrap().unwrap().index;
    let prefix = index.document_rows(&DocumentName::new("alone").unwrap());
    let first =
        rows(mesh.nodes[1].store(), Table::Deltas).into_iter().find(|(key, _)| key.starts_with(&prefix));
    plant(&mut mesh, 1, Table::Deltas, first.unwrap().0, Some(vec![1, 2, 3]));
    let (report, _) = mend(&mut mesh, 1);
    let loss = &report.losses[0];
    assert_eq!((loss.document.as_str(), loss.author, loss.first, loss.last), ("alone", Some(own), 1, 2));
    mesh.heal();
    heals(mesh, space, "lost");
}

#[test]
fn what_does_not_agree_with_history_is_rebuilt_from_it() {
    let (mut mesh, space) = busy(6);
    let before: Vec<Vec<Row>> = [Table::Frontiers, Table::Documents, Table::Changed]
        .map(|table| rows(mesh.nodes[1].store(), table))
        .into();
    for table in [Table::Frontiers, Table::Documents, Table::Changed] {
        for (key, _) in rows(mesh.nodes[1].store(), table) {
            plant(&mut mesh, 1, table, key, None);
        }
    }
    // A row of a document that never was, and one of the order that leads nowhere.
    let index = space_record(mesh.nodes[1].store(), space).unwrap().unwrap().index;
    let (_, some) = before[1][0].clone();
    plant(&mut mesh, 1, Table::Documents, index.document("never"), Some(some));
    plant(
        &mut mesh,
        1,
        Table::Changed,
        index.changed(1, &DocumentName::new("never").unwrap()),
        Some(vec![0x80]),
    );
    let (report, _) = mend(&mut mesh, 1);
    assert!(report.wrong > 14 && report.lost == 0, "{report:?}");
    assert_eq!(rows(mesh.nodes[1].store(), Table::Frontiers), before[0]);
    assert_eq!(rows(mesh.nodes[1].store(), Table::Documents).len(), before[1].len());
    heals(mesh, space, "rebuilt");
}

#[test]
fn what_only_the_damaged_row_held_is_found_and_not_touched() {
    let (mut mesh, _) = busy(7);
    let (key, _) = rows(mesh.nodes[1].store(), Table::Spaces).swap_remove(0);
    plant(&mut mesh, 1, Table::Spaces, key, Some(vec![0xff]));
    let deltas = rows(mesh.nodes[1].store(), Table::Deltas);
    let (report, aside) = mend(&mut mesh, 1);
    let codes: Vec<_> = report.findings.iter().map(|finding| (finding.code, finding.mendable)).collect();
    assert!(codes.contains(&("space", false)) && codes.contains(&("stray", false)), "{codes:?}");
    assert_eq!((aside.len(), rows(mesh.nodes[1].store(), Table::Deltas)), (0, deltas));
}

#[test]
fn a_quarantine_that_does_not_hold_together_is_put_right() {
    let (mut mesh, space) = busy(8);
    let index = space_record(mesh.nodes[1].store(), space).unwrap().unwrap().index;
    let name = DocumentName::new("d/0").unwrap();
    let nowhere = starling_crdt::id::ChangeHash([7; 32]);
    plant(&mut mesh, 1, Table::Quarantine, index.quarantined(&name, nowhere), Some(vec![0xff]));
    let report = check(&mesh, 1);
    assert!(report.findings.iter().any(|finding| finding.code == "quarantine"), "{:?}", report.findings);
    heals(mesh, space, "quarantine");
}
