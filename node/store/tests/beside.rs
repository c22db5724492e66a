//! A part of the log is taken over on another thread while commits go on in the other part: with the order of
//! what both do to the disk held fixed, the power goes, and errors come, at every operation.

mod gate;
mod life;

use std::io::ErrorKind;
use std::ops::Range;

use gate::{Event, Gated};
use life::{ID, rows};
use starling_crdt::store::{KeyRange, MemoryStore, Store, StoreRead, Table, WriteBatch};
use starling_store::backend::{Lasting, Loss, LossyBackend, Plan};
use starling_store::{OpenError, RedbStore, StoreOptions, Takeover};

/// Commits that fill one part of the log.
const FILL: usize = 4;
const LOG_BYTES: usize = 2 * FILL * 4096;
/// Commits of a run: two parts, and some more, for which the first part has to be free again.
const COMMITS: usize = 2 * FILL + 2;
/// Attempts at a commit on a disk that failed once.
const ATTEMPTS: usize = 3;

fn options(takeover: Takeover) -> StoreOptions {
    StoreOptions { log_bytes: LOG_BYTES, takeover, ..StoreOptions::create(ID) }
}

fn opened(disk: &LossyBackend) -> Result<RedbStore, OpenError> {
    RedbStore::with_backend(disk.clone(), options(Takeover::InTurn))
}

/// A commit that inserts, overwrites, removes, and takes one block of the log.
fn batch(number: usize) -> WriteBatch {
    let number = u8::try_from(number).unwrap();
    let mut batch = WriteBatch::default();
    batch.put(Table::Meta, b"commits".to_vec(), vec![number]);
    batch.put(Table::Deltas, vec![number], vec![number; 120]);
    batch.put(Table::Frontiers, vec![number % 3], vec![number; 40]);
    batch.remove(Table::Deltas, vec![number.wrapping_sub(3)]);
    batch
}

type Rows = std::collections::BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Every row after so many commits.
fn after(commits: usize) -> Rows {
    let mut model = MemoryStore::new(ID);
    (0..commits).for_each(|number| model.commit(&batch(number)).unwrap());
    rows(&model)
}

#[track_caller]
fn commit_all(store: &mut RedbStore, numbers: Range<usize>) {
    numbers.for_each(|number| store.commit(&batch(number)).unwrap());
}

/// Where a takeover stands while commits go on: after which of them it does how many operations. What
/// is left of it is done when a commit needs its part.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    after: usize,
    operations: u64,
}

/// Commits until one fails, on this schedule; how many did not.
fn run(disk: &LossyBackend, schedule: Schedule) -> usize {
    let gated = Gated::on(disk);
    let Ok(mut store) = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)) else { return 0 };
    let mut done = 0;
    while done < COMMITS {
        if done == 2 * FILL {
            gated.let_all_through();
        }
        if store.commit(&batch(done)).is_err() {
            break;
        }
        if done == schedule.after {
            gated.let_through(schedule.operations);
        }
        done += 1;
    }
    // Closing takes the rest over, after what is under way.
    gated.open();
    done
}

/// Operations of a takeover.
fn operations_of_a_takeover() -> u64 {
    let disk = LossyBackend::new();
    let gated = Gated::on(&disk);
    let mut store = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)).unwrap();
    commit_all(&mut store, 0..FILL + 1);
    let before = disk.operations();
    gated.let_all_through();
    let operations = disk.operations() - before;
    gated.open();
    assert!(operations > 5, "a takeover of {operations} operations");
    operations
}

fn schedules() -> Vec<Schedule> {
    let all = operations_of_a_takeover();
    let stands = [0, 1, all / 2, all - 1, all];
    let schedule = |after| stands.into_iter().map(move |operations| Schedule { after, operations });
    [FILL, FILL + 2, 2 * FILL - 1].into_iter().flat_map(schedule).collect()
}

#[test]
fn commits_go_on_beside_a_takeover_and_reads_see_them_all() {
    let disk = LossyBackend::new();
    let gated = Gated::on(&disk);
    let mut store = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)).unwrap();
    commit_all(&mut store, 0..FILL);
    let full = store.snapshot().unwrap();
    commit_all(&mut store, FILL..FILL + 2);
    let during = store.snapshot().unwrap();
    commit_all(&mut store, FILL + 2..2 * FILL);
    assert_eq!(gated.passed(), 0, "the takeover has not done anything yet");
    assert!(rows(&store) == after(2 * FILL));
    assert!(rows(full.as_ref()) == after(FILL) && rows(during.as_ref()) == after(FILL + 2));
    let last = store.last_row(Table::Deltas, KeyRange::ALL).unwrap().unwrap();
    assert_eq!(last.0, [2 * FILL as u8 - 1]);
    gated.open();
    commit_all(&mut store, 2 * FILL..6 * FILL);
    assert!(rows(&store) == after(6 * FILL));
    assert!(rows(full.as_ref()) == after(FILL) && rows(during.as_ref()) == after(FILL + 2));
    drop((full, during, store));
    assert!(rows(&opened(&disk.restart(Loss::All)).unwrap()) == after(6 * FILL));
}

#[test]
fn a_commit_that_finds_both_parts_full_waits_until_redb_holds_the_first() {
    let disk = LossyBackend::new();
    let gated = Gated::on(&disk);
    let mut store = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)).unwrap();
    let opening = gated.events().len();
    commit_all(&mut store, 0..2 * FILL);
    let opener = {
        let gated = gated.clone();
        std::thread::spawn(move || gated.open())
    };
    store.commit(&batch(2 * FILL)).unwrap();
    opener.join().unwrap();
    let events = gated.events().split_off(opening);
    let taken = events.iter().position(|event| *event == Event::TakenOver).unwrap();
    let appended = events.iter().take(taken).filter(|event| **event == Event::Appended).count();
    assert_eq!(appended, 2 * FILL, "{events:?}");
}

#[test]
fn every_acknowledged_commit_survives_a_crash_beside_a_takeover() {
    let (mut in_flight_kept, mut both_parts_held) = (0, 0);
    for schedule in schedules() {
        let whole = LossyBackend::new();
        assert_eq!(run(&whole, schedule), COMMITS);
        for at in 0..whole.operations() {
            let disk = LossyBackend::new();
            disk.cut_power_after(at);
            let acknowledged = run(&disk, schedule);
            both_parts_held += usize::from(acknowledged > FILL && acknowledged < 2 * FILL);
            for loss in [Loss::All, Loss::Nothing, Loss::Some { seed: at }] {
                let story = format!("{schedule:?}, power cut after {at} operations, {loss:?}");
                let disk = disk.restart(loss);
                let mut store = opened(&disk).unwrap_or_else(|error| panic!("{story}: {error}"));
                let found = rows(&store);
                let next = found == after(acknowledged + 1);
                assert!(next || found == after(acknowledged), "{story}: not {acknowledged} commits");
                in_flight_kept += usize::from(next);
                // On through both parts again, and another crash.
                let from = acknowledged + usize::from(next);
                commit_all(&mut store, from..from + FILL + 1);
                let store = opened(&disk.restart(Loss::All)).unwrap();
                assert!(rows(&store) == after(from + FILL + 1), "{story}: after another crash");
            }
        }
    }
    assert!(in_flight_kept > 0 && both_parts_held > 0, "{in_flight_kept} {both_parts_held}");
}

#[test]
fn an_error_at_any_operation_beside_a_takeover_costs_a_repetition_and_nothing_else() {
    let all = operations_of_a_takeover();
    for schedule in
        [Schedule { after: FILL + 1, operations: all / 2 }, Schedule { after: FILL, operations: all }]
    {
        let whole = LossyBackend::new();
        assert_eq!(run(&whole, schedule), COMMITS);
        for at in 0..whole.operations() {
            let story = format!("{schedule:?}, error once after {at} operations");
            let disk = LossyBackend::new();
            disk.plan_after(at, Plan::Fail(ErrorKind::Other, Lasting::Once));
            // Where the error met a takeover, all commits of the run may have succeeded.
            let done = run(&disk, schedule);
            let mut store = opened(&disk).unwrap_or_else(|error| panic!("{story}: {error}"));
            let found = rows(&store);
            let next = found == after(done + 1);
            assert!(next || found == after(done), "{story}: not {done} commits");
            commit_all(&mut store, done..COMMITS);
            assert!(rows(&store) == after(COMMITS), "{story}");
        }
    }
}

#[test]
fn after_a_takeover_that_failed_the_store_goes_on_and_takes_over_again() {
    for at in 0..operations_of_a_takeover() {
        let story = format!("error at operation {at} of the takeover");
        let disk = LossyBackend::new();
        let gated = Gated::on(&disk);
        let mut store = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)).unwrap();
        let reader = store.reader();
        commit_all(&mut store, 0..FILL + 1);
        disk.plan_after(disk.operations() + at, Plan::Fail(ErrorKind::Other, Lasting::Once));
        gated.let_all_through();
        assert!(disk.fired(), "{story}: it never came to that");
        assert!(rows(reader.as_ref()) == after(FILL + 1), "{story}: readers");
        for number in FILL + 1..8 * FILL {
            let done = (0..ATTEMPTS).any(|_| store.commit(&batch(number)).is_ok());
            assert!(done, "{story}: commit {number} is never acknowledged");
        }
        assert!(rows(reader.as_ref()) == after(8 * FILL), "{story}");
        let crashed = disk.restart(Loss::All);
        drop(store);
        assert!(rows(&opened(&crashed).unwrap()) == after(8 * FILL), "{story}: after a power cut");
    }
}

/// redb reads nothing more from the disk after an error, and nobody writes.
#[test]
fn reads_go_on_after_a_takeover_that_failed_although_no_commit_follows() {
    let disk = LossyBackend::new();
    let gated = Gated::on(&disk);
    let small_cache = StoreOptions { cache_bytes: 64 * 1024, ..options(Takeover::Beside) };
    let mut store = RedbStore::with_backend(gated.clone(), small_cache).unwrap();
    let mut large = WriteBatch::default();
    (0..2_000_u32).for_each(|row| large.put(Table::Quarantine, row.to_be_bytes().to_vec(), vec![1; 200]));
    store.commit(&large).unwrap();
    commit_all(&mut store, 0..FILL + 1);
    disk.plan_after(disk.operations() + 1, Plan::Fail(ErrorKind::Other, Lasting::Once));
    gated.let_all_through();
    assert!(disk.fired());
    let found = store.reader().rows(Table::Quarantine, KeyRange::ALL, usize::MAX).unwrap();
    assert_eq!(found.len(), 2_000);
    assert_eq!(store.value(Table::Meta, b"commits").unwrap(), Some(vec![FILL as u8]));
    commit_all(&mut store, FILL + 1..4 * FILL);
}

#[test]
fn a_store_that_is_dropped_or_shrunk_beside_a_takeover_waits_for_it() {
    for shrink in [false, true] {
        let disk = LossyBackend::new();
        let gated = Gated::on(&disk);
        let mut store = RedbStore::with_backend(gated.clone(), options(Takeover::Beside)).unwrap();
        commit_all(&mut store, 0..FILL + 2);
        assert_eq!(gated.passed(), 0);
        let opener = std::thread::spawn(move || gated.open());
        if shrink {
            store.shrink().unwrap()
        } else {
            drop(store)
        }
        opener.join().unwrap();
        assert!(rows(&opened(&disk.restart(Loss::All)).unwrap()) == after(FILL + 2));
    }
}

#[test]
fn a_lost_commit_would_be_noticed() {
    let disk = LossyBackend::new();
    assert_eq!(run(&disk, Schedule { after: FILL, operations: 0 }), COMMITS);
    let found = rows(&opened(&disk.restart(Loss::All)).unwrap());
    assert!(found == after(COMMITS) && found != after(COMMITS - 1) && found != after(COMMITS + 1));
}
