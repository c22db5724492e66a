use proptest::prelude::*;

use super::*;
use crate::backend::{Loss, LossyBackend};
use crate::layout::Layout;
use crate::medium::Medium;

fn laid_out(disk: &LossyBackend, blocks: u32) -> Handle {
    let layout = Layout::create(disk, blocks).unwrap();
    Handle::through(&Medium::new(Box::new(disk.clone()), None), layout)
}

fn handle(disk: &LossyBackend) -> Handle {
    let layout = Layout::read(disk).unwrap();
    Handle::through(&Medium::new(Box::new(disk.clone()), None), layout)
}

fn batch(number: u8, bytes: usize) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, vec![number], vec![number; bytes]);
    batch.remove(Table::Changed, vec![number]);
    batch
}

fn read(disk: &LossyBackend, kept: u64) -> Result<Vec<WriteBatch>, StoreError> {
    Log::read(&handle(disk), kept).map(|(_, held)| held.batches)
}

#[test]
fn what_was_appended_is_read_again_until_redb_holds_it() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 16);
    let (mut log, held) = Log::read(&medium, 0).unwrap();
    assert!(held.batches.is_empty() && log.is_empty());
    let batches = [batch(1, 10), batch(2, 9_000), batch(3, 0)];
    for batch in &batches {
        assert_eq!(log.append(&medium, batch), Ok(true));
    }
    let after = disk.restart(Loss::All);
    assert_eq!(read(&after, 0).unwrap(), batches);
    assert_eq!(read(&after, 2).unwrap(), [] as [WriteBatch; 0], "a stale batch at the front ends the log");
    let medium = handle(&after);
    let (mut log, _) = Log::read(&medium, 0).unwrap();
    log.restart(3);
    assert_eq!(log.append(&medium, &batch(4, 10)), Ok(true));
    assert_eq!(read(&after, 3).unwrap(), [batch(4, 10)]);
}

#[test]
fn what_finds_no_room_is_left_to_redb() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 4);
    let (mut log, _) = Log::read(&medium, 0).unwrap();
    let before = disk.operations();
    assert_eq!(log.append(&medium, &batch(1, 2 * PART_BYTES)), Ok(false), "more than half of the log");
    assert_eq!(disk.operations(), before);
    for number in 0..4 {
        assert_eq!(log.append(&medium, &batch(number, 100)), Ok(true));
    }
    assert_eq!(log.append(&medium, &batch(5, 100)), Ok(false));
    log.restart(5);
    assert_eq!(log.append(&medium, &batch(6, 100)), Ok(true));
}

/// A commit fails, the next one has the same number and length, and the power goes between its blocks.
#[test]
fn two_attempts_at_one_number_are_never_taken_for_one_batch() {
    let written = |value: u8| {
        let disk = LossyBackend::new();
        let medium = laid_out(&disk, 16);
        let (mut log, _) = Log::read(&medium, 0).unwrap();
        let mut batch = WriteBatch::default();
        batch.put(Table::Deltas, vec![1], vec![value; 9_000]);
        assert_eq!(log.append(&medium, &batch), Ok(true));
        disk.contents()
    };
    let (failed, next) = (written(1), written(2));
    assert_eq!(read(&LossyBackend::holding(&next), 0).unwrap().len(), 1);
    let start = Layout::LOG_START as usize;
    for blocks in 1..3 {
        let mut torn = failed.clone();
        let end = start + blocks * BLOCK_BYTES;
        torn[start..end].copy_from_slice(&next[start..end]);
        assert_eq!(read(&LossyBackend::holding(&torn), 0).unwrap(), [] as [WriteBatch; 0], "{blocks}");
    }
}

#[test]
fn a_batch_that_was_cut_short_is_not_there_and_its_place_is_taken() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 16);
    let (mut log, _) = Log::read(&medium, 0).unwrap();
    log.append(&medium, &batch(1, 6_000)).unwrap();
    let whole = disk.contents();
    for at in [0, 20, 40, 4096, 4096 + 20] {
        // What a tear leaves of the last batch written: one bit of it is as it was before.
        let mut bytes = whole.clone();
        bytes[Layout::LOG_START as usize + at] ^= 4;
        let torn = LossyBackend::holding(&bytes);
        assert_eq!(read(&torn, 0).unwrap(), [] as [WriteBatch; 0], "{at}");
        let medium = handle(&torn);
        let (mut log, _) = Log::read(&medium, 0).unwrap();
        log.append(&medium, &batch(9, 3)).unwrap();
        assert_eq!(read(&torn, 0).unwrap(), [batch(9, 3)], "{at}");
    }
}

#[test]
fn damage_before_the_end_is_no_end() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 16);
    let (mut log, _) = Log::read(&medium, 0).unwrap();
    for number in 1..4 {
        log.append(&medium, &batch(number, 100)).unwrap();
    }
    let mut bytes = disk.contents();
    bytes[Layout::LOG_START as usize + BLOCK_BYTES + 50] ^= 1;
    let error = read(&LossyBackend::holding(&bytes), 0).unwrap_err();
    assert!(error.to_string().contains("after commit 1 of"), "{error}");
}

#[test]
fn a_value_that_looks_like_a_block_is_none() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 64);
    let (mut log, _) = Log::read(&medium, 0).unwrap();
    // Blocks of the next batch, in every place a value can have.
    let forged = sealed(2, &encode(&batch(66, 10)));
    let mut value = vec![0; 3 * BLOCK_BYTES];
    for at in 0..BLOCK_BYTES {
        value[at..at + forged.len()].copy_from_slice(&forged);
        let mut carrier = WriteBatch::default();
        carrier.put(Table::Deltas, vec![1], value.clone());
        log.restart(0);
        log.append(&medium, &carrier).unwrap();
        assert_eq!(read(&disk, 0).unwrap(), [carrier], "{at}");
        // And as what is left of an earlier round, behind a shorter batch.
        log.restart(0);
        log.append(&medium, &batch(1, 10)).unwrap();
        assert_eq!(read(&disk, 0).unwrap(), [batch(1, 10)], "{at}");
        value[at] = 0;
    }
}

proptest! {
    #[test]
    fn any_batch_survives_its_encoding(
        rows in proptest::collection::vec(
            (0..Table::ALL.len(), proptest::collection::vec(any::<u8>(), 0..40), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300))),
            1..30,
        )
    ) {
        let mut batch = WriteBatch::default();
        for (table, key, value) in rows {
            match value {
                Some(value) => batch.put(Table::ALL[table], key, value),
                None => batch.remove(Table::ALL[table], key),
            }
        }
        let bytes = encode(&batch);
        prop_assert_eq!(bytes.len(), encoded_bytes(&batch));
        prop_assert_eq!(decode(&bytes), Ok(batch));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode(&bytes).ok();
    }
}
