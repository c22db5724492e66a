//! The contract's suite on every kind of backend, and what the contract does not say: cost and
//! identity.

use std::ops::Bound;

use proptest::collection::vec;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, MemoryStore, Store, StoreRead, Table, WriteBatch, contract};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{RedbStore, StoreOptions, Takeover};

const ID: StoreId = StoreId([7; 16]);

/// Logs: none, too short for any batch, often full, and never full.
const LOG_BYTES: [usize; 4] = [0, 4 * 1024, 16 * 1024, 1024 * 1024];
const TAKEOVERS: [Takeover; 2] = [Takeover::Beside, Takeover::InTurn];

fn batch(rows: &[(Table, &[u8], &[u8])]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for (table, key, value) in rows {
        batch.put(*table, key.to_vec(), value.to_vec());
    }
    batch
}

#[test]
fn memory_keeps_the_contract() {
    contract::check(&mut || {
        Box::new(RedbStore::with_backend(InMemoryBackend::new(), StoreOptions::create(ID)).unwrap())
    });
}

#[test]
fn a_file_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = 0;
    for log_bytes in LOG_BYTES {
        let options = StoreOptions { log_bytes, ..StoreOptions::create(ID) };
        contract::check(&mut || {
            stores += 1;
            let path = directory.path().join(format!("{stores}.redb"));
            Box::new(RedbStore::open(&path, options).unwrap())
        });
    }
}

#[test]
fn a_disk_that_loses_unsynced_writes_keeps_the_contract() {
    for (log_bytes, takeover) in LOG_BYTES.into_iter().flat_map(|bytes| TAKEOVERS.map(|how| (bytes, how))) {
        let options = StoreOptions { log_bytes, takeover, ..StoreOptions::create(ID) };
        contract::check(&mut || Box::new(RedbStore::with_backend(LossyBackend::new(), options).unwrap()));
    }
}

#[test]
fn a_commit_costs_one_sync() {
    let disk = LossyBackend::new();
    let mut store = RedbStore::with_backend(disk.clone(), StoreOptions::create(ID)).unwrap();
    let commit =
        batch(&[(Table::Deltas, b"k", b"v"), (Table::Meta, b"k", b"v"), (Table::Changed, b"k", b"v")]);
    for _ in 0..5 {
        let (syncs, operations) = (disk.syncs(), disk.operations());
        store.commit(&commit).unwrap();
        assert_eq!((disk.syncs(), disk.operations()), (syncs + 1, operations + 2), "one write and its sync");
    }
    let before = disk.operations();
    store.commit(&WriteBatch::default()).unwrap();
    assert_eq!(disk.operations(), before, "an empty batch touches the disk");
}

#[test]
fn the_id_of_the_first_opening_stays() {
    let disk = LossyBackend::new();
    let store = RedbStore::with_backend(disk.clone(), StoreOptions::create(ID)).unwrap();
    assert_eq!(store.store_id(), ID);
    drop(store);
    let other = StoreOptions::create(StoreId([8; 16]));
    let store = RedbStore::with_backend(disk.restart(Loss::All), other).unwrap();
    assert_eq!((store.store_id(), store.reader().store_id()), (ID, ID));
}

#[test]
fn a_reader_outlives_the_store_and_then_gets_errors() {
    let mut store = RedbStore::with_backend(LossyBackend::new(), StoreOptions::create(ID)).unwrap();
    store.commit(&batch(&[(Table::Meta, b"k", b"v")])).unwrap();
    let reader = store.reader();
    assert_eq!(reader.rows(Table::Meta, KeyRange::ALL, 9).unwrap().len(), 1);
    drop(store);
    assert!(reader.rows(Table::Meta, KeyRange::ALL, 9).is_err());
}

#[test]
fn readers_see_whole_commits_while_the_writer_writes() {
    // A part of the log is full after two commits.
    let options = StoreOptions { log_bytes: 16 * 1024, ..StoreOptions::create(ID) };
    let mut store = RedbStore::with_backend(LossyBackend::new(), options).unwrap();
    let commits = 200_u64;
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let reader = store.reader();
            std::thread::spawn(move || {
                let mut seen = 0;
                while seen < commits {
                    let rows = reader.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap();
                    let values: Vec<_> = rows.iter().map(|row| row.1.clone()).collect();
                    assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "half a commit was seen");
                    let last =
                        values.first().map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap()));
                    assert!(last >= seen, "a later read saw an earlier commit");
                    seen = last;
                }
            })
        })
        .collect();
    for commit in 1..=commits {
        let mut whole = WriteBatch::default();
        for key in 0..50_u8 {
            whole.put(Table::Deltas, vec![key], commit.to_be_bytes().to_vec());
        }
        store.commit(&whole).unwrap();
    }
    for reader in readers {
        reader.join().unwrap();
    }
}

fn bound(kind: u8, key: &[u8]) -> Bound<&[u8]> {
    match kind {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Few keys, so that what redb holds and what the log holds meet in every way.
    #[test]
    fn whatever_the_log_holds_reads_are_those_of_one_table(
        commits in vec(vec((0..24_u8, proptest::option::of(any::<u8>())), 1..6), 1..24),
        looks in vec((0..3_u8, 0..24_u8, 0..3_u8, 0..24_u8, 0..9_usize), 1..12),
        log_blocks in 2..13_usize,
        takeover in proptest::sample::select(&TAKEOVERS[..]),
    ) {
        let options = StoreOptions { log_bytes: log_blocks * 4096, takeover, ..StoreOptions::create(ID) };
        let mut store = RedbStore::with_backend(LossyBackend::new(), options).unwrap();
        let mut model = MemoryStore::new(ID);
        for rows in commits {
            let mut batch = WriteBatch::default();
            for (key, value) in rows {
                match value {
                    Some(value) => batch.put(Table::Changed, vec![key], vec![value]),
                    None => batch.remove(Table::Changed, vec![key]),
                }
            }
            store.commit(&batch).unwrap();
            model.commit(&batch).unwrap();
            for (start_kind, start, end_kind, end, limit) in &looks {
                let (start, end) = ([*start], [*end]);
                let range = KeyRange { start: bound(*start_kind, &start), end: bound(*end_kind, &end) };
                let reads = |store: &dyn StoreRead| {
                    let rows = store.rows(Table::Changed, range, *limit).unwrap();
                    (rows, store.last_row(Table::Changed, range).unwrap(), store.value(Table::Changed, &start).unwrap())
                };
                prop_assert_eq!(reads(&store), reads(&model));
                prop_assert_eq!(reads(store.snapshot().unwrap().as_ref()), reads(&model));
            }
        }
    }
}
