//! A store from before a rule: what is in history stays readable, and what the rule forbids is kept out.

mod draws;
mod mesh;

use mesh::Mesh;
use mesh::rogue::{Rogue, altered, put};
use minicbor::bytes::ByteVec;
use starling_crdt::codec::{decode, encode};
use starling_crdt::id::{DocumentName, SpaceId};
use starling_crdt::limits::CHANGE_TIME_SECONDS_MAX;
use starling_crdt::store::tables::{DeltaRecord, DocumentRecord, FrontierRecord, space_record};
use starling_crdt::store::{KeyRange, Table, WriteBatch};
use starling_crdt::verify::verify;

/// Puts a change that claims `time` in the place of the rogue's first change in a document, in all rows of a
/// stopped node, as it would have been stored before times were bounded.
fn claim(mesh: &mut Mesh, node: usize, space: SpaceId, rogue: &Rogue, name: &str, time: i64) {
    let change = altered(rogue.actor(), 1, 1, &[], vec![put("x", 1)], |change| change.time = time);
    let document = DocumentName::new(name).unwrap();
    let store = mesh.nodes[node].store();
    let index = space_record(store, space).unwrap().unwrap().index;
    let value = |table, key: &[u8]| store.value(table, key).unwrap().unwrap();
    let mut rows = WriteBatch::default();

    let key = index.delta(&document, rogue.actor(), 1);
    let stored: DeltaRecord = decode(&value(Table::Deltas, &key), "delta").unwrap();
    let signature = rogue.delta(name, &[&change]).signature.0;
    let changes = vec![ByteVec::from(change.bytes.clone())];
    rows.put(Table::Deltas, key, encode(&DeltaRecord { changes, signature, ..stored }));

    let key = index.actor_rows(&document, rogue.actor());
    let tip: FrontierRecord = decode(&value(Table::Frontiers, &key), "frontier").unwrap();
    rows.put(Table::Frontiers, key, encode(&FrontierRecord { hash: change.hash, ..tip }));

    let key = index.document(document.as_str());
    let known: DocumentRecord = decode(&value(Table::Documents, &key), "document").unwrap();
    let honest = known.heads.iter().copied().filter(|head| *head != honest_rogue(rogue).hash);
    let mut heads: Vec<_> = honest.chain([change.hash]).collect();
    heads.sort_unstable();
    rows.put(Table::Documents, key, encode(&DocumentRecord { heads, ..known }));
    mesh.nodes[node].commit(&rows);
}

fn honest_rogue(rogue: &Rogue) -> mesh::rogue::Made {
    rogue.change(1, 1, &[], vec![put("x", 1)])
}

#[test]
fn a_change_stored_before_times_were_bounded_takes_nothing_with_it() {
    for time in [CHANGE_TIME_SECONDS_MAX + 1, i64::MAX, i64::MIN] {
        let mut mesh = Mesh::new(2, 5);
        let space = mesh.shared_space();
        let rogue = Rogue::of(&mesh.nodes[1], space, 77);
        mesh.put(0, space, "d", r#"{"a": 1}"#);
        mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("d", &[&honest_rogue(&rogue)]));
        assert_eq!(mesh.document(0, space, "d").unwrap().0, r#"{"a":1,"x":1}"#);
        claim(&mut mesh, 0, space, &rogue, "d", time);
        mesh.restart(0);

        let name = DocumentName::new("d").unwrap();
        let read =
            mesh.nodes[0].reader.view(space, &name, |view, _| view.document().read(None, None).unwrap());
        let (json, poison) = read.unwrap();
        assert_eq!((json.to_text().as_str(), poison.len()), (r#"{"a":1}"#, 1), "{poison:?}");
        mesh.set(0, space, "d", "/b", "2");
        assert_eq!(mesh.document(0, space, "d").unwrap().0, r#"{"a":1,"b":2}"#);
        let rows = mesh.nodes[0].store().rows(Table::Quarantine, KeyRange::ALL, 10).unwrap();
        assert_eq!(rows.len(), 1);
        let kept_out = mesh.nodes[0].reader.kept_out(space, None, None).unwrap().expect("it is shown");
        assert_eq!((kept_out.changes.len(), kept_out.changes[0].writer.time_seconds), (1, time));
        // An offline check still says that this is no change of today.
        let report = verify(mesh.nodes[0].store(), None).unwrap();
        assert!(report.findings.iter().any(|finding| finding.code == "delta"), "{:?}", report.findings);
    }
}
