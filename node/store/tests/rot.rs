//! A kill right after a commit, and then a page that this commit wrote is no longer what was written: the
//! commit is there, or the damage is named. It never looks as if the commit had not been made.

mod life;

use std::collections::BTreeMap;

use life::{ID, rows};
use starling_crdt::id::StoreId;
use starling_crdt::store::{Store, StoreRead, Table, WriteBatch};
use starling_store::backend::{Loss, LossyBackend};
use starling_store::{OpenError, RedbStore, StoreOptions, Takeover};

const PAGE: usize = 4096;

/// Commits that fill one part of the log.
const FILL: u8 = 4;
const LOG_BYTES: usize = 2 * FILL as usize * PAGE;

/// Bytes of a value of the batches that go past the log.
const LARGE: usize = 600;

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

fn opened(disk: &LossyBackend, log_bytes: usize) -> Result<RedbStore, OpenError> {
    let sizes = StoreOptions { log_bytes, takeover: Takeover::InTurn, ..StoreOptions::create(ID) };
    RedbStore::with_backend(disk.clone(), sizes)
}

/// A batch that takes one block of the log.
fn small(number: u8) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.put(Table::Meta, b"commits".to_vec(), vec![number]);
    batch.put(Table::Deltas, vec![1, number], vec![number; 120]);
    batch
}

/// A batch that no log here takes.
fn large(number: u8) -> WriteBatch {
    let mut batch = small(number);
    (0..60).for_each(|row| batch.put(Table::Deltas, vec![2, number, row], vec![row; LARGE]));
    batch
}

/// What became of damage to single pages.
#[derive(Debug, Default)]
struct Outcomes {
    whole: usize,
    named: usize,
}

/// Makes a store, commits `before`, then `last`, is killed, and loses one after the other the pages that
/// differ from what they were before `last`.
fn damage_what_was_written(log_bytes: usize, before: &[WriteBatch], last: &[WriteBatch]) -> Outcomes {
    let disk = LossyBackend::new();
    let mut store = opened(&disk, log_bytes).unwrap();
    before.iter().for_each(|batch| store.commit(batch).unwrap());
    let was = disk.contents();
    last.iter().for_each(|batch| store.commit(batch).unwrap());
    let (expected, is) = (rows(&store), disk.contents());
    let mut outcomes = Outcomes::default();
    // redb's pages, behind its first, which is written by every commit: a block of the log that is not whole
    // cannot be told from one that a kill cut short.
    let header = if log_bytes == 0 { 0 } else { PAGE + log_bytes };
    for at in (header + PAGE..is.len()).step_by(PAGE) {
        let end = (at + PAGE).min(is.len());
        if was.get(at..end) != Some(&is[at..end]) {
            damage_page(&is, at, log_bytes, &expected, &mut outcomes);
        }
    }
    outcomes
}

fn damage_page(is: &[u8], at: usize, log_bytes: usize, expected: &Rows, outcomes: &mut Outcomes) {
    // The first bytes say what the page is; the rest are its rows, and what was there before.
    let flips = (0..16).chain((16..PAGE).step_by(250)).map(|byte| (at + byte, 1_u8 << (byte % 8)));
    for (place, bit) in flips {
        let mut bytes = is.to_vec();
        bytes[place] ^= bit;
        let disk = LossyBackend::holding(&bytes);
        let story = format!("bit {bit:#x} of byte {} of the page at {at} flipped", place - at);
        match opened(&disk, log_bytes) {
            Ok(store) => {
                assert!(rows(&store) == *expected, "{story}: it opens with other rows");
                outcomes.whole += 1;
            }
            Err(OpenError::Corrupt { .. }) => outcomes.named += 1,
            Err(other) => panic!("{story}: {other}"),
        }
    }
}

#[track_caller]
fn assert_judged(outcomes: &Outcomes) {
    // A flip behind the last row of a page changes nothing.
    assert!(outcomes.named > 20 && outcomes.whole > 0, "{outcomes:?}");
}

#[test]
fn a_commit_of_a_store_without_a_log_is_never_taken_back_in_silence() {
    assert_judged(&damage_what_was_written(0, &[small(1), large(2)], &[small(3)]));
    assert_judged(&damage_what_was_written(0, &[small(1)], &[large(2)]));
}

#[test]
fn a_batch_too_large_for_the_log_is_never_taken_back_in_silence() {
    assert_judged(&damage_what_was_written(LOG_BYTES, &[], &[large(1)]));
    assert_judged(&damage_what_was_written(LOG_BYTES, &[small(1), small(2)], &[large(3)]));
    let filled: Vec<_> = (0..=FILL).map(small).collect();
    assert_judged(&damage_what_was_written(LOG_BYTES, &filled, &[large(9)]));
}

#[test]
fn what_a_takeover_wrote_is_there_or_in_the_log_or_its_damage_is_named() {
    let mut whole = 0;
    // The part that was taken over: whole, in part written over, and written over from its first block to its last.
    for after in 1..=2 * FILL + 1 {
        let before: Vec<_> = (0..FILL).map(small).collect();
        let last: Vec<_> = (FILL..FILL + after).map(small).collect();
        whole += damage_what_was_written(LOG_BYTES, &before, &last).whole;
    }
    assert!(whole > 0);
}

#[test]
fn a_new_store_whose_first_pages_rot_keeps_its_id_or_is_refused() {
    let disk = LossyBackend::new();
    let mut store = opened(&disk, LOG_BYTES).unwrap();
    store.commit(&small(1)).unwrap();
    let is = disk.restart(Loss::Nothing).contents();
    let mut refused = 0;
    for at in (2 * PAGE + LOG_BYTES..is.len()).step_by(PAGE) {
        if is[at..].iter().take(PAGE).all(|byte| *byte == 0) {
            continue;
        }
        let mut bytes = is.clone();
        bytes[at + 5] ^= 1;
        let another = StoreOptions::create(StoreId([77; 16]));
        match RedbStore::with_backend(LossyBackend::holding(&bytes), another) {
            Ok(store) => assert_eq!(store.store_id(), ID, "page at {at}"),
            Err(OpenError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("page at {at}: {other}"),
        }
    }
    assert!(refused > 0);
}
