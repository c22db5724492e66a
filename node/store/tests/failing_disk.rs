//! A disk that fills up or breaks, and then heals: commits fail clearly, reads go on, the store
//! recovers by itself.

use std::io::ErrorKind;

use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Store, StoreError, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend, Operation};
use starling_store::{RedbStore, StoreOptions, Takeover};

/// A cache too small for the rows below, so that reads come from the disk.
const SMALL_CACHE: usize = 64 * 1024;
const ROWS: u32 = 2_000;
/// A log whose parts take eight small commits each, so that the large ones go to redb.
const LOG_BYTES: usize = 2 * 8 * 4096;

fn options() -> StoreOptions {
    taken_over(Takeover::Beside)
}

fn taken_over(takeover: Takeover) -> StoreOptions {
    let sizes = StoreOptions::create(StoreId([5; 16]));
    StoreOptions { cache_bytes: SMALL_CACHE, log_bytes: LOG_BYTES, takeover, ..sizes }
}

fn row(number: u32) -> (Vec<u8>, Vec<u8>) {
    (number.to_be_bytes().to_vec(), vec![number as u8; 200])
}

fn rows(numbers: std::ops::Range<u32>) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for number in numbers {
        let (key, value) = row(number);
        batch.put(Table::Deltas, key, value);
    }
    batch
}

fn filled(disk: &LossyBackend) -> RedbStore {
    filled_with(disk, options())
}

fn filled_with(disk: &LossyBackend, options: StoreOptions) -> RedbStore {
    let mut store = RedbStore::with_backend(disk.clone(), options).unwrap();
    store.commit(&rows(0..ROWS)).unwrap();
    store
}

fn assert_reads(store: &dyn StoreRead) {
    for number in (0..ROWS).step_by(7) {
        let (key, value) = row(number);
        assert_eq!(store.value(Table::Deltas, &key).unwrap(), Some(value));
    }
    assert!(store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap().len() >= ROWS as usize);
    let last = store.last_row(Table::Deltas, KeyRange::ALL).unwrap().unwrap();
    assert!(last.0 >= row(ROWS - 1).0);
}

#[test]
fn a_full_disk_refuses_commits_serves_reads_and_recovers() {
    let disk = LossyBackend::new();
    let mut store = filled(&disk);
    let reader = store.reader();
    disk.limit_room(disk.occupied());
    for _ in 0..3 {
        assert_eq!(store.commit(&rows(ROWS..2 * ROWS)), Err(StoreError::Full));
        assert_reads(&store);
        assert_reads(reader.as_ref());
        assert_eq!(reader.value(Table::Deltas, &row(ROWS).0).unwrap(), None);
    }
    disk.heal();
    store.commit(&rows(ROWS..2 * ROWS)).unwrap();
    assert_eq!(reader.value(Table::Deltas, &row(2 * ROWS - 1).0).unwrap(), Some(row(2 * ROWS - 1).1));
    let store = RedbStore::with_backend(disk.restart(Loss::All), options()).unwrap();
    assert_eq!(store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap().len(), 2 * ROWS as usize);
}

#[test]
fn a_disk_that_refuses_every_change_still_serves_reads_and_recovers() {
    for operations in
        [&[Operation::Write][..], &[Operation::Sync], &[Operation::Write, Operation::Sync, Operation::Resize]]
    {
        let disk = LossyBackend::new();
        let mut store = filled(&disk);
        let reader = store.reader();
        for operation in operations {
            disk.fail(*operation, ErrorKind::ReadOnlyFilesystem);
        }
        for _ in 0..3 {
            assert!(matches!(store.commit(&rows(0..3)), Err(StoreError::Io(_))), "{operations:?}");
            assert_reads(&store);
            assert_reads(reader.as_ref());
        }
        disk.heal();
        store.commit(&rows(ROWS..ROWS + 1)).unwrap();
        assert_eq!(reader.value(Table::Deltas, &row(ROWS).0).unwrap(), Some(row(ROWS).1));
        let store = RedbStore::with_backend(disk.restart(Loss::All), options()).unwrap();
        assert_eq!(store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap().len(), ROWS as usize + 1);
    }
}

#[test]
fn a_full_disk_takes_what_the_log_has_room_for_and_then_refuses() {
    [Takeover::Beside, Takeover::InTurn].into_iter().for_each(fill_the_disk);
}

fn fill_the_disk(takeover: Takeover) {
    let disk = LossyBackend::new();
    let mut store = filled_with(&disk, taken_over(takeover));
    disk.limit_room(disk.occupied());
    let taken =
        (ROWS..ROWS + 100).take_while(|number| store.commit(&rows(*number..number + 1)).is_ok()).count();
    // Both parts: the takeover of the first fails beside the commits into the second.
    assert!((16..100).contains(&taken), "{takeover:?}: {taken}");
    let assert_all = |store: &dyn StoreRead| {
        assert_reads(store);
        let found = store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap().len();
        assert_eq!(found, ROWS as usize + taken);
    };
    for _ in 0..3 {
        assert_eq!(store.commit(&rows(ROWS..2 * ROWS)), Err(StoreError::Full));
        assert_all(&store);
    }
    let full = disk.restart(Loss::All);
    full.limit_room(full.occupied());
    let mut store = RedbStore::with_backend(full.clone(), options()).unwrap();
    assert_all(&store);
    full.heal();
    store.commit(&rows(0..1)).unwrap();
    assert_all(&store);
}

#[test]
fn what_only_the_log_holds_is_read_while_the_disk_refuses_every_change() {
    let disk = LossyBackend::new();
    let mut store = filled(&disk);
    store.commit(&rows(ROWS..ROWS + 1)).unwrap();
    let reader = store.reader();
    for operation in [Operation::Write, Operation::Sync, Operation::Resize] {
        disk.fail(operation, ErrorKind::ReadOnlyFilesystem);
    }
    for _ in 0..2 {
        assert!(store.commit(&rows(0..1)).is_err());
        assert_eq!(reader.value(Table::Deltas, &row(ROWS).0).unwrap(), Some(row(ROWS).1));
    }
    drop((store, reader));
    let store = RedbStore::with_backend(disk.restart(Loss::All), options()).unwrap();
    assert_eq!(store.value(Table::Deltas, &row(ROWS).0).unwrap(), Some(row(ROWS).1));
}

#[test]
fn a_commit_read_back_after_a_failed_sync_is_durable_before_the_next_is_taken() {
    let disk = LossyBackend::new();
    let mut store = filled(&disk);
    disk.fail(Operation::Sync, ErrorKind::Other);
    assert!(store.commit(&rows(ROWS..ROWS + 1)).is_err());
    disk.heal();
    store.commit(&rows(ROWS + 1..ROWS + 2)).unwrap();
    let seen = store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap();
    let store = RedbStore::with_backend(disk.restart(Loss::All), options()).unwrap();
    assert_eq!(store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap(), seen);
}

#[test]
fn a_read_error_heals_with_the_next_commit() {
    let disk = LossyBackend::new();
    let mut store = filled(&disk);
    disk.fail(Operation::Read, ErrorKind::Other);
    let failed = store.rows(Table::Deltas, KeyRange::ALL, usize::MAX);
    assert!(matches!(failed, Err(StoreError::Io(_))), "{failed:?}");
    disk.heal();
    store.commit(&WriteBatch::default()).unwrap();
    assert_reads(&store);
    store.commit(&rows(0..1)).unwrap();
}

#[test]
fn a_failed_commit_is_there_whole_or_not_at_all() {
    for after in 0..40 {
        let disk = LossyBackend::new();
        let mut store = filled(&disk);
        disk.cut_power_after(disk.operations() + after);
        let done = store.commit(&rows(ROWS..ROWS + 100));
        drop(store);
        let store = RedbStore::with_backend(disk.restart(Loss::Some { seed: after }), options()).unwrap();
        let found = store.rows(Table::Deltas, KeyRange::ALL, usize::MAX).unwrap().len() as u32;
        assert!(found == ROWS + 100 || (found == ROWS && done.is_err()), "{after}: {found} {done:?}");
    }
}

#[test]
fn readers_never_see_a_wrong_value_while_handles_are_replaced() {
    let disk = LossyBackend::new();
    let mut store = filled(&disk);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2_u32)
        .map(|offset| {
            let (reader, done) = (store.reader(), done.clone());
            std::thread::spawn(move || {
                let mut reads = 0_u32;
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    let (key, value) = row((reads * 13 + offset) % ROWS);
                    // The disk only ever refuses writes here, so every read must succeed.
                    assert_eq!(reader.value(Table::Deltas, &key).unwrap(), Some(value));
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for round in 0..30 {
        disk.fail(if round % 2 == 0 { Operation::Write } else { Operation::Sync }, ErrorKind::Other);
        assert!(store.commit(&rows(ROWS..ROWS + 50)).is_err());
        disk.heal();
        store.commit(&rows(ROWS + round..ROWS + round + 50)).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
    }
}
