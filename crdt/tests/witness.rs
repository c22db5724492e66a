//! Who signed a change: told from signatures alone, whatever the store claims.

mod draws;
mod mesh;

use mesh::Mesh;
use starling_crdt::codec;
use starling_crdt::document::PastChange;
use starling_crdt::id::{DocumentName, SpaceId, StoreId};
use starling_crdt::store::tables::{DeltaRecord, record};
use starling_crdt::store::{KeyRange, Row, StoreError, StoreRead, Table};
use starling_crdt::view::Witness;

/// A store in which one table lies: every signature of a delta is bent, or the end of every other row.
struct Bent<'a> {
    store: &'a dyn StoreRead,
    table: Table,
}

impl Bent<'_> {
    fn bent(&self, table: Table, value: Vec<u8>) -> Vec<u8> {
        if table != self.table {
            return value;
        }
        if table == Table::Deltas {
            let mut delta: DeltaRecord = record(&value, "delta").expect("a delta");
            delta.signature[0] ^= 1;
            return codec::encode(&delta);
        }
        let mut value = value;
        let last = value.len() - 1;
        value[last] ^= 1;
        value
    }
}

impl StoreRead for Bent<'_> {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.store.value(table, key)?.map(|value| self.bent(table, value)))
    }

    fn rows(&self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let rows = self.store.rows(table, range, limit)?;
        Ok(rows.into_iter().map(|(key, value)| (key, self.bent(table, value))).collect())
    }

    fn last_row(&self, table: Table, range: KeyRange<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.store.last_row(table, range)?.map(|(key, value)| (key, self.bent(table, value))))
    }

    fn snapshot(&self) -> Result<std::sync::Arc<dyn StoreRead>, StoreError> {
        self.store.snapshot()
    }
}

/// A document of two authors, the first with several deltas of one change each.
fn written() -> (Mesh, SpaceId, DocumentName, Vec<PastChange>) {
    let mut mesh = Mesh::new(2, 7);
    let space = mesh.shared_space();
    for n in 0..5 {
        mesh.put(0, space, "doc", &format!("{{\"n\": {n}}}"));
    }
    mesh.run(std::time::Duration::from_secs(60));
    mesh.put(1, space, "doc", r#"{"n": "by another"}"#);
    let name = DocumentName::new("doc").unwrap();
    let seen = mesh.nodes[1].reader.view(space, &name, |view, _| view.document().timeline(None));
    let timeline = seen.expect("built").0.expect("sound");
    assert_eq!(timeline.len(), 6);
    (mesh, space, name, timeline)
}

#[test]
fn each_change_has_the_author_who_signed_it_and_runs_take_one_check() {
    let (mesh, space, name, timeline) = written();
    let node = &mesh.nodes[1];
    let mut witness = node.reader.witness(space).expect("the space is held");
    let signed = witness.signed(&name, timeline.iter().copied()).expect("all are signed");
    assert_eq!(signed.len(), 6);
    let author = |change: &PastChange| signed[&change.hash].author;
    assert_eq!(author(&timeline[0]), node.key);
    assert!(timeline[1..].iter().all(|change| author(change) == mesh.nodes[0].key));
    assert_eq!(witness.checked(), 2, "each earlier change is named by the next of its actor");
    // With a gap nothing names the earlier change, and its own delta is checked.
    let mut witness = node.reader.witness(space).expect("the space is held");
    witness.signed(&name, [timeline[1], timeline[3]]).expect("both are signed");
    assert_eq!(witness.checked(), 2);
    let (delta, change) = (&signed[&timeline[2].hash], &timeline[2]);
    assert!((delta.delta_first..=delta.delta_last).contains(&change.seq));
}

#[test]
fn what_is_not_signed_is_refused() {
    let (mesh, space, name, timeline) = written();
    let reader = &mesh.nodes[1].reader;
    let index = reader.space(space).expect("held").index;
    for table in [Table::Deltas, Table::Incarnations] {
        let bent = Bent { store: reader.store(), table };
        let mut witness = Witness::new(&bent, space, index);
        let refused = witness.signed(&name, timeline.iter().copied());
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{table:?}: {refused:?}");
    }
    let mut other = timeline[0];
    other.hash = timeline[1].hash;
    let mut witness = reader.witness(space).expect("held");
    assert!(matches!(witness.signed(&name, [other]), Err(StoreError::Corrupt(_))));
    other.seq = 99;
    assert!(matches!(witness.signed(&name, [other]), Err(StoreError::Corrupt(_))));
    assert!(Witness::new(reader.store(), SpaceId([0; 32]), index).author(timeline[0].actor).is_err());
}
