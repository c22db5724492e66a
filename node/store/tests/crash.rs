//! The power goes at every single write, length change and sync of a fixed workload, and what was not
//! synced is lost, kept, or lost and torn at random.

use std::collections::BTreeMap;

use starling_crdt::id::StoreId;
use starling_crdt::store::{KeyRange, Store, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{OpenError, RedbStore, StoreOptions, Takeover};

type Contents = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Outcomes drawn for each place at which the power goes.
const SEEDS: u64 = 4;

/// Logs of the stores: none, one of which each part is full after two commits, and one that takes all but the
/// large ones.
const LOG_BYTES: [usize; 3] = [0, 16 * 1024, 128 * 1024];

fn options(log_bytes: usize) -> StoreOptions {
    // One order of operations in every run.
    let takeover = Takeover::InTurn;
    StoreOptions { log_bytes, takeover, ..StoreOptions::create(StoreId([3; 16])) }
}

fn opened(disk: &LossyBackend, log_bytes: usize) -> Result<RedbStore, OpenError> {
    RedbStore::with_backend(disk.clone(), options(log_bytes))
}

/// Commits that insert, overwrite, remove, span tables, and grow the file once.
fn workload() -> Vec<WriteBatch> {
    let mut batches = Vec::new();
    for round in 0..9_u8 {
        let mut batch = WriteBatch::default();
        batch.put(Table::Meta, b"commits".to_vec(), vec![round]);
        for row in 0..20_u8 {
            batch.put(Table::Deltas, vec![round, row], vec![round ^ row; 120]);
            batch.put(Table::Frontiers, vec![row], vec![round; 40]);
        }
        if round > 2 {
            batch.remove(Table::Deltas, vec![round - 2, 3]);
        }
        if round == 5 {
            batch.put(Table::Documents, b"large".to_vec(), vec![5; 1_200_000]);
        }
        if round == 7 {
            batch.remove(Table::Documents, b"large".to_vec());
        }
        batches.push(batch);
    }
    batches
}

fn apply(contents: &mut Contents, batch: &WriteBatch) {
    for (table, key, value) in batch.iter() {
        match value {
            Some(value) => contents.insert((table, key.to_vec()), value.to_vec()),
            None => contents.remove(&(table, key.to_vec())),
        };
    }
}

fn contents(store: &dyn StoreRead) -> Contents {
    let mut contents = Contents::new();
    for table in Table::ALL {
        for (key, value) in store.rows(table, KeyRange::ALL, usize::MAX).unwrap() {
            contents.insert((table, key), value);
        }
    }
    contents
}

/// Opens a store and commits the workload until something fails; the number of commits that said
/// `Ok`, or nothing when the store could not even be opened.
fn run(disk: &LossyBackend, log_bytes: usize) -> Option<usize> {
    let mut store = opened(disk, log_bytes).ok()?;
    let done = workload().iter().take_while(|batch| store.commit(batch).is_ok()).count();
    Some(done)
}

fn check_after(disk: &LossyBackend, log_bytes: usize, acknowledged: usize, story: &str) {
    let mut store = match opened(disk, log_bytes) {
        Ok(store) => store,
        Err(error) => panic!("{story}: the store does not open: {error}"),
    };
    assert_eq!(store.store_id(), StoreId([3; 16]), "{story}");
    let mut kept = Contents::new();
    let batches = workload();
    batches[..acknowledged].iter().for_each(|batch| apply(&mut kept, batch));
    let mut with_next = kept.clone();
    batches.get(acknowledged).into_iter().for_each(|batch| apply(&mut with_next, batch));
    let found = contents(&store);
    assert!(found == kept || found == with_next, "{story}: neither {acknowledged} commits nor one more");
    let mut batch = WriteBatch::default();
    batch.put(Table::Peers, b"after".to_vec(), b"crash".to_vec());
    store.commit(&batch).unwrap();
    drop(store);
    let store = opened(&disk.restart(Loss::All), log_bytes).unwrap();
    let mut expected = found;
    apply(&mut expected, &batch);
    assert!(contents(&store) == expected, "{story}: the commit after the crash is not whole");
}

#[test]
fn every_acknowledged_commit_survives_a_crash_at_every_operation() {
    LOG_BYTES.into_iter().for_each(crash_at_every_operation);
}

fn crash_at_every_operation(log_bytes: usize) {
    let whole = LossyBackend::new();
    assert_eq!(run(&whole, log_bytes), Some(workload().len()));
    let operations = whole.operations();
    assert!(operations > 60, "the workload has only {operations} places to crash at");
    let mut commits_in_flight_kept = 0;
    for at in 0..operations {
        let disk = LossyBackend::new();
        disk.cut_power_after(at);
        let acknowledged = run(&disk, log_bytes).unwrap_or(0);
        let outcomes = (0..SEEDS).map(|seed| Loss::Some { seed: seed + SEEDS * at });
        for loss in [Loss::All, Loss::Nothing].into_iter().chain(outcomes) {
            let story =
                format!("log of {log_bytes}, power cut after {at} of {operations} operations, {loss:?}");
            let after = disk.restart(loss);
            check_after(&after, log_bytes, acknowledged, &story);
            let reopened = opened(&after.restart(Loss::All), log_bytes).unwrap();
            let commits = reopened.value(Table::Meta, b"commits").unwrap();
            let found = commits.map_or(0, |value| usize::from(value[0]) + 1);
            commits_in_flight_kept += usize::from(found > acknowledged);
        }
    }
    // Without this the test would also pass for a disk that never keeps anything unsynced.
    assert!(commits_in_flight_kept > 0, "no crash hit between the last write and the sync");
}

#[test]
fn a_lost_commit_would_be_noticed() {
    for log_bytes in LOG_BYTES {
        let disk = LossyBackend::new();
        assert_eq!(run(&disk, log_bytes), Some(workload().len()));
        let after = disk.restart(Loss::All);
        let short = workload().len() - 2;
        let one_more = std::panic::catch_unwind(|| check_after(&after, log_bytes, short, "planted"));
        assert!(one_more.is_err());
    }
}

#[test]
fn a_file_that_is_not_redb_is_never_taken_for_an_interrupted_creation() {
    for bytes in [&b"not a store"[..], &[0, 0, 0, 1], &[[0; 600].as_slice(), b"data"].concat()] {
        let disk = LossyBackend::holding(bytes);
        let refused = opened(&disk, LOG_BYTES[1]);
        let blank_header = bytes.len() <= 512 && bytes.iter().take(9).all(|byte| *byte == 0);
        assert_eq!(matches!(refused, Err(OpenError::NotAStore { .. })), !blank_header, "{bytes:?}");
        if !blank_header {
            drop(refused);
            assert_eq!(disk.contents(), bytes);
        }
    }
}
