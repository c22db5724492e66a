use super::*;
use crate::id::{Actor, StoreId};
use crate::store::{MemoryStore, Store};

fn name(text: &str) -> DocumentName {
    DocumentName::new(text).unwrap()
}

#[test]
fn keys_split_into_what_they_were_made_of() {
    let space = SpaceIndex(7);
    let actor = Actor([0; 16]);
    assert_eq!(frontier_key(&space.actor_rows(&name("a/b"), actor)), Some((name("a/b"), actor)));
    let numbers = [0, 1, 9, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX];
    let keys = numbers.map(|number| space.delta(&name("a/b"), actor, number));
    assert!(keys.is_sorted(), "they sort as numbers");
    for (key, number) in keys.iter().zip(numbers) {
        assert_eq!(delta_key(key), Some((actor, number)));
        assert_eq!(named_key(key).map(|(name, _)| name), Some("a/b"));
        assert_eq!(delta_key(&[key.as_slice(), &[1]].concat()), None, "{number} with a byte too many");
        assert_eq!(delta_key(&key[..key.len() - 1]), None, "{number} with a byte too few");
    }
    assert_eq!(keys[2].len(), 4 + 3 + 1 + 16 + 2);
    let long = [space.actor_rows(&name("a/b"), actor).as_slice(), &[2, 0, 9]].concat();
    assert_eq!(delta_key(&long), None, "a number with a zero before it");
    assert_eq!(changed_key(&space.changed(3, &name("x"))), Some((3, name("x"))));
    assert_eq!(frontier_key(b"short"), None);
}

#[test]
fn a_transaction_reads_its_own_writes_over_the_store() {
    let mut store = MemoryStore::new(StoreId([1; 16]));
    let mut batch = WriteBatch::default();
    for key in [b"a", b"b", b"c", b"d"] {
        batch.put(Table::Meta, key.to_vec(), b"old".to_vec());
    }
    store.commit(&batch).unwrap();
    let mut transaction = Transaction::new(&store);
    transaction.remove(Table::Meta, b"d".to_vec());
    transaction.remove(Table::Meta, b"a".to_vec());
    transaction.batch.put(Table::Meta, b"bb".to_vec(), b"new".to_vec());
    let keys: Vec<Vec<u8>> =
        transaction.rows(Table::Meta, KeyRange::ALL, 2).unwrap().into_iter().map(|row| row.0).collect();
    assert_eq!(keys, vec![b"b".to_vec(), b"bb".to_vec()]);
    assert_eq!(transaction.last_row(Table::Meta, KeyRange::ALL).unwrap().unwrap().0, b"c");
    assert_eq!(transaction.value(Table::Meta, b"a").unwrap(), None);
    let before_c = KeyRange::between(b"", b"c");
    assert_eq!(transaction.last_row(Table::Meta, before_c).unwrap().unwrap().0, b"bb");
}

fn bound(key: &[u8], kind: u64) -> Bound<&[u8]> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

#[test]
fn a_transaction_reads_as_if_it_were_committed() {
    // A few short keys, so that writes and removals meet what is stored; draws by SplitMix64.
    let mut state = 1_u64;
    let mut draw = |bound: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    };
    for round in 0..400 {
        let mut store = MemoryStore::new(StoreId([1; 16]));
        let key = |draw: &mut dyn FnMut(u64) -> u64| vec![b'a' + draw(9) as u8; 1 + draw(2) as usize];
        let mut stored = WriteBatch::default();
        for _ in 0..draw(10) {
            stored.put(Table::Meta, key(&mut draw), vec![draw(256) as u8]);
        }
        store.commit(&stored).unwrap();
        let mut transaction = Transaction::new(&store);
        for _ in 0..draw(10) {
            if draw(2) == 0 {
                transaction.remove(Table::Meta, key(&mut draw));
            } else {
                transaction.put_bytes(Table::Meta, key(&mut draw), vec![draw(256) as u8]);
            }
        }
        let mut committed = MemoryStore::new(StoreId([1; 16]));
        committed.commit(&stored).unwrap();
        committed.commit(&transaction.batch).unwrap();
        for _ in 0..20 {
            let (start, end) = (key(&mut draw), key(&mut draw));
            let range = KeyRange { start: bound(&start, draw(3)), end: bound(&end, draw(3)) };
            let limit = draw(6) as usize;
            let expected = committed.rows(Table::Meta, range, limit);
            assert_eq!(transaction.rows(Table::Meta, range, limit), expected, "{round}: {range:?}");
            let expected = committed.last_row(Table::Meta, range);
            assert_eq!(transaction.last_row(Table::Meta, range), expected, "{round}: {range:?}");
            assert_eq!(transaction.value(Table::Meta, &start), committed.value(Table::Meta, &start));
        }
    }
}

#[test]
fn a_walk_visits_every_row_of_a_prefix_across_pages() {
    let mut store = MemoryStore::new(StoreId([1; 16]));
    let mut batch = WriteBatch::default();
    for number in 0..3_000_u32 {
        batch.put(Table::Deltas, SpaceIndex(1).key(&[&number.to_be_bytes()]), vec![]);
    }
    batch.put(Table::Deltas, SpaceIndex(2).all(), vec![]);
    store.commit(&batch).unwrap();
    let mut seen = 0;
    walk_prefix(&store, Table::Deltas, &SpaceIndex(1).all(), |_, _| {
        seen += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(seen, 3_000);
}
