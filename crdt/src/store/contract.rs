//! What every [`Store`] must do, as a suite that each implementation runs in its tests.
//!
//! Leaves out crashes: a store whose medium can lose writes adds its own tests for those.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{KeyRange, Row, Store, Table, WriteBatch};

/// Runs the suite; `create` makes a fresh, empty store each time.
///
/// # Panics
/// When the store breaks the contract.
pub fn check(create: &mut dyn FnMut() -> Box<dyn Store>) {
    an_empty_store_holds_nothing(create().as_ref());
    a_commit_is_seen_whole(create().as_mut());
    ranges_respect_their_bounds_and_limit(create().as_mut());
    readers_see_the_last_commit(create().as_mut());
    a_snapshot_stays_as_it_was(create().as_mut());
    random_batches_match_a_model(create().as_mut());
}

fn a_snapshot_stays_as_it_was(store: &mut dyn Store) {
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, b"a".to_vec(), b"old".to_vec());
    batch.put(Table::Deltas, b"b".to_vec(), b"old".to_vec());
    store.commit(&batch).unwrap();
    let snapshot = store.reader().snapshot().unwrap();
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, b"a".to_vec(), b"new".to_vec());
    batch.remove(Table::Deltas, b"b".to_vec());
    batch.put(Table::Deltas, b"c".to_vec(), b"new".to_vec());
    batch.put(Table::Frontiers, b"a".to_vec(), b"new".to_vec());
    store.commit(&batch).unwrap();
    let old = |key: &[u8]| (key.to_vec(), b"old".to_vec());
    assert_eq!(snapshot.store_id(), store.store_id());
    assert_eq!(snapshot.rows(Table::Deltas, KeyRange::ALL, 9).unwrap(), vec![old(b"a"), old(b"b")]);
    assert_eq!(snapshot.value(Table::Deltas, b"a").unwrap(), Some(b"old".to_vec()));
    assert_eq!(snapshot.last_row(Table::Deltas, KeyRange::ALL).unwrap(), Some(old(b"b")));
    assert_eq!(snapshot.rows(Table::Frontiers, KeyRange::ALL, 9).unwrap(), vec![]);
    assert_eq!(store.value(Table::Deltas, b"a").unwrap(), Some(b"new".to_vec()));
}

fn an_empty_store_holds_nothing(store: &dyn Store) {
    for table in Table::ALL {
        assert_eq!(store.value(table, b"key").unwrap(), None);
        assert_eq!(store.rows(table, KeyRange::ALL, 10).unwrap(), vec![]);
        assert_eq!(store.last_row(table, KeyRange::ALL).unwrap(), None);
    }
}

fn a_commit_is_seen_whole(store: &mut dyn Store) {
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, b"a".to_vec(), b"1".to_vec());
    batch.put(Table::Frontiers, b"a".to_vec(), b"2".to_vec());
    batch.put(Table::Deltas, vec![], vec![]);
    store.commit(&batch).unwrap();
    assert_eq!(store.value(Table::Deltas, b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.value(Table::Frontiers, b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.value(Table::Deltas, b"").unwrap().as_deref(), Some(&b""[..]));
    let mut batch = WriteBatch::default();
    batch.remove(Table::Deltas, b"a".to_vec());
    batch.remove(Table::Deltas, b"never there".to_vec());
    batch.put(Table::Frontiers, b"a".to_vec(), b"3".to_vec());
    store.commit(&batch).unwrap();
    assert_eq!(store.value(Table::Deltas, b"a").unwrap(), None);
    assert_eq!(store.value(Table::Frontiers, b"a").unwrap().as_deref(), Some(&b"3"[..]));
    store.commit(&WriteBatch::default()).unwrap();
}

fn ranges_respect_their_bounds_and_limit(store: &mut dyn Store) {
    let mut batch = WriteBatch::default();
    for key in [&b"a"[..], b"ab", b"b", b"c", b"\xff\xff"] {
        batch.put(Table::Documents, key.to_vec(), key.to_vec());
    }
    store.commit(&batch).unwrap();
    let keys = |range, limit| -> Vec<Vec<u8>> {
        store.rows(Table::Documents, range, limit).unwrap().into_iter().map(|row| row.0).collect()
    };
    assert_eq!(keys(KeyRange::between(b"a", b"b"), 9), vec![b"a".to_vec(), b"ab".to_vec()]);
    assert_eq!(keys(KeyRange::between(b"a", b"z"), 2), vec![b"a".to_vec(), b"ab".to_vec()]);
    let after_a = KeyRange { start: Bound::Excluded(b"a"), end: Bound::Included(b"b") };
    assert_eq!(keys(after_a, 9), vec![b"ab".to_vec(), b"b".to_vec()]);
    assert_eq!(keys(KeyRange::between(b"b", b"a"), 9), Vec::<Vec<u8>>::new());
    assert_eq!(keys(KeyRange::ALL, 9).len(), 5);
    let last = |range| store.last_row(Table::Documents, range).unwrap().map(|row: Row| row.0);
    assert_eq!(last(KeyRange::ALL), Some(b"\xff\xff".to_vec()));
    assert_eq!(last(KeyRange::between(b"a", b"b")), Some(b"ab".to_vec()));
    assert_eq!(last(KeyRange::between(b"d", b"e")), None);
}

fn readers_see_the_last_commit(store: &mut dyn Store) {
    let reader = store.reader();
    assert_eq!(reader.store_id(), store.store_id());
    let mut batch = WriteBatch::default();
    batch.put(Table::Meta, b"k".to_vec(), b"v".to_vec());
    store.commit(&batch).unwrap();
    let seen = std::thread::spawn(move || reader.value(Table::Meta, b"k").unwrap()).join().unwrap();
    assert_eq!(seen.as_deref(), Some(&b"v"[..]));
}

fn random_batches_match_a_model(store: &mut dyn Store) {
    let mut model = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move |below: u64| {
        // Knuth's MMIX constants; a fixed sequence is all that is wanted here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..40_u64 {
        let mut batch = WriteBatch::default();
        for _ in 0..draw(12) {
            let key = draw(64).to_be_bytes()[6..].to_vec();
            if draw(3) == 0 {
                batch.remove(Table::Changed, key.clone());
                model.remove(&key);
            } else {
                let value = vec![round as u8; draw(300) as usize];
                batch.put(Table::Changed, key.clone(), value.clone());
                model.insert(key, value);
            }
        }
        store.commit(&batch).unwrap();
    }
    let rows: Vec<Row> = model.into_iter().collect();
    assert_eq!(store.rows(Table::Changed, KeyRange::ALL, usize::MAX).unwrap(), rows);
}
