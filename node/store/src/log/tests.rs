use proptest::prelude::*;
use starling_crdt::store::Table;

use super::block::{PIECE_BYTES, encode, encoded_bytes};
use super::*;
use crate::backend::{Loss, LossyBackend};
use crate::medium::Medium;

/// A log of two parts, each of so many blocks.
fn laid_out(disk: &LossyBackend, part_blocks: u32) -> Handle {
    let layout = Layout::create(disk, 2 * part_blocks).unwrap();
    Handle::through(&Medium::new(Box::new(disk.clone()), None), layout)
}

fn handle(disk: &LossyBackend) -> Handle {
    let layout = Layout::read(disk).unwrap();
    Handle::through(&Medium::new(Box::new(disk.clone()), None), layout)
}

fn opened(handle: &Handle, kept: u64) -> (Log, Held) {
    Log::read(handle, kept, Damage::Refuse).unwrap()
}

fn batch(number: u8, bytes: usize) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.put(Table::Deltas, vec![number], vec![number; bytes]);
    batch.remove(Table::Changed, vec![number]);
    batch
}

/// Batches of one block each.
fn small(numbers: std::ops::RangeInclusive<u8>) -> Vec<WriteBatch> {
    numbers.map(|number| batch(number, 100)).collect()
}

#[track_caller]
fn append_all(log: &mut Log, handle: &Handle, batches: &[WriteBatch]) {
    for batch in batches {
        assert_eq!(log.place(batch), Place::Here);
        log.append(handle, batch).unwrap();
    }
}

fn read(disk: &LossyBackend, kept: u64) -> Result<Vec<WriteBatch>, StoreError> {
    Log::read(&handle(disk), kept, Damage::Refuse).map(|(_, held)| [held.frozen, held.current].concat())
}

/// How many batches each part holds: the frozen one and the one that is written.
fn held(disk: &LossyBackend, kept: u64) -> (usize, usize) {
    let (log, held) = opened(&handle(disk), kept);
    assert_eq!(log.is_frozen(), !held.frozen.is_empty());
    (held.frozen.len(), held.current.len())
}

#[test]
fn what_was_appended_is_read_again_until_redb_holds_it() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 16);
    let (mut log, held) = opened(&medium, 0);
    assert!(held.current.is_empty() && log.is_empty());
    let batches = [batch(1, 10), batch(2, 9_000), batch(3, 0)];
    append_all(&mut log, &medium, &batches);
    let after = disk.restart(Loss::All);
    assert_eq!(read(&after, 0).unwrap(), batches);
    assert_eq!(read(&after, 2).unwrap(), [] as [WriteBatch; 0], "a stale batch at the front ends the log");
    let medium = handle(&after);
    let (mut log, _) = opened(&medium, 0);
    log.restart(3);
    append_all(&mut log, &medium, &[batch(4, 10)]);
    assert_eq!(read(&after, 3).unwrap(), [batch(4, 10)]);
}

#[test]
fn what_finds_no_room_waits_for_the_other_part_or_is_left_to_redb() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 4);
    let (mut log, _) = opened(&medium, 0);
    assert_eq!(log.place(&batch(1, 2 * PIECE_BYTES)), Place::Redb, "more than half of a part");
    append_all(&mut log, &medium, &small(1..=4));
    assert_eq!(log.place(&batch(5, 100)), Place::OtherPart);
    log.freeze();
    append_all(&mut log, &medium, &small(5..=8));
    assert_eq!(log.place(&batch(9, 100)), Place::OtherPart);
    log.restart(9);
    append_all(&mut log, &medium, &small(10..=10));
    assert_eq!(read(&disk, 9).unwrap(), small(10..=10));
}

#[test]
fn both_parts_are_read_in_order_whichever_comes_first() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 4);
    let (mut log, _) = opened(&medium, 0);
    append_all(&mut log, &medium, &small(1..=4));
    assert_eq!(held(&disk, 0), (0, 4), "full, and nothing in the other part yet");
    log.freeze();
    append_all(&mut log, &medium, &small(5..=6));
    assert_eq!((read(&disk, 0).unwrap(), held(&disk, 0)), (small(1..=6), (4, 2)));
    // redb holds the first part, and nobody was told before the end.
    assert_eq!((read(&disk, 4).unwrap(), held(&disk, 4)), (small(5..=6), (0, 2)));
    log.release();
    append_all(&mut log, &medium, &small(7..=8));
    log.freeze();
    append_all(&mut log, &medium, &small(9..=9));
    assert_eq!((read(&disk, 4).unwrap(), held(&disk, 4)), (small(5..=9), (4, 1)));
    assert_eq!((read(&disk, 8).unwrap(), held(&disk, 8)), (small(9..=9), (0, 1)));
    assert_eq!(held(&disk, 9), (0, 0));
}

#[test]
fn after_an_open_the_batches_go_on_where_they_ended() {
    for (first, then) in [(3, 0), (4, 0), (4, 1), (4, 3)] {
        let disk = LossyBackend::new();
        let medium = laid_out(&disk, 4);
        let (mut log, _) = opened(&medium, 0);
        append_all(&mut log, &medium, &small(1..=first));
        if then > 0 {
            log.freeze();
            append_all(&mut log, &medium, &small(first + 1..=first + then));
        }
        let (mut log, held) = opened(&medium, 0);
        log.settle(&medium, &held).unwrap();
        let mut next = first + then + 1;
        if log.place(&batch(next, 100)) == Place::OtherPart {
            log.freeze();
        }
        while log.place(&batch(next, 100)) == Place::Here {
            append_all(&mut log, &medium, &small(next..=next));
            next += 1;
        }
        assert_eq!(read(&disk, 0).unwrap(), small(1..=next - 1), "{first} and {then}");
    }
}

/// An attempt fails, and the next one under its number goes into the other part, because it is larger or
/// smaller. What is left of the first must not come back, even if the disk shows it only later.
#[test]
fn what_is_left_of_a_failed_attempt_is_never_read_instead_of_the_next() {
    for (failed, next) in [(batch(4, 10), batch(44, 6_000)), (batch(4, 6_000), batch(44, 10))] {
        let disk = LossyBackend::new();
        let medium = laid_out(&disk, 4);
        let (mut log, _) = opened(&medium, 0);
        append_all(&mut log, &medium, &small(1..=3));
        let before = disk.contents();
        if log.place(&failed) == Place::OtherPart {
            log.freeze();
        }
        append_all(&mut log, &medium, &[failed]);
        // The open after the failure does not see it; what is written from then on is written over it.
        let (mut log, held) = opened(&handle(&LossyBackend::holding(&before)), 0);
        log.settle(&medium, &held).unwrap();
        if log.place(&next) == Place::OtherPart {
            log.freeze();
        }
        append_all(&mut log, &medium, std::slice::from_ref(&next));
        assert_eq!(read(&disk, 0).unwrap(), [small(1..=3), vec![next]].concat());
    }
}

/// A commit fails, the next one has the same number and length, and the power goes between its blocks.
#[test]
fn two_attempts_at_one_number_are_never_taken_for_one_batch() {
    let written = |value: u8| {
        let disk = LossyBackend::new();
        let medium = laid_out(&disk, 16);
        let (mut log, _) = opened(&medium, 0);
        let mut batch = WriteBatch::default();
        batch.put(Table::Deltas, vec![1], vec![value; 9_000]);
        append_all(&mut log, &medium, &[batch]);
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
    let (mut log, _) = opened(&medium, 0);
    log.append(&medium, &batch(1, 6_000)).unwrap();
    let whole = disk.contents();
    for at in [0, 20, 40, 4096, 4096 + 20] {
        // What a tear leaves of the last batch written: one bit of it is as it was before.
        let mut bytes = whole.clone();
        bytes[Layout::LOG_START as usize + at] ^= 4;
        let torn = LossyBackend::holding(&bytes);
        assert_eq!(read(&torn, 0).unwrap(), [] as [WriteBatch; 0], "{at}");
        let medium = handle(&torn);
        let (mut log, _) = opened(&medium, 0);
        log.append(&medium, &batch(9, 3)).unwrap();
        assert_eq!(read(&torn, 0).unwrap(), [batch(9, 3)], "{at}");
    }
}

#[test]
fn damage_before_the_end_is_no_end() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 16);
    let (mut log, _) = opened(&medium, 0);
    for number in 1..4 {
        log.append(&medium, &batch(number, 100)).unwrap();
    }
    let mut bytes = disk.contents();
    bytes[Layout::LOG_START as usize + BLOCK_BYTES + 50] ^= 1;
    let error = read(&LossyBackend::holding(&bytes), 0).unwrap_err();
    assert!(error.to_string().contains("after commit 1 of"), "{error}");
}

#[test]
fn damage_in_either_part_is_no_end() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 4);
    let (mut log, _) = opened(&medium, 0);
    append_all(&mut log, &medium, &small(1..=4));
    log.freeze();
    append_all(&mut log, &medium, &small(5..=7));
    // All but the last, which a crash can leave like this.
    for number in 1..7_usize {
        let mut bytes = disk.contents();
        bytes[number * BLOCK_BYTES + 50] ^= 1;
        let error = read(&LossyBackend::holding(&bytes), 0).unwrap_err();
        assert!(error.to_string().contains(&format!("after commit {} of", number - 1)), "{number}: {error}");
        let (_, held) = Log::read(&handle(&LossyBackend::holding(&bytes)), 0, Damage::ReadBefore).unwrap();
        assert_eq!([held.frozen, held.current].concat(), small(1..=7)[..number - 1], "{number}: to be saved");
    }
}

#[test]
fn a_log_of_one_part_is_read_across_its_middle_and_divided_once_it_is_empty() {
    let disk = LossyBackend::new();
    let layout = Layout::create_of_one_part(&disk, 8);
    let medium = Handle::through(&Medium::new(Box::new(disk.clone()), None), layout);
    let (mut log, _) = opened(&medium, 0);
    append_all(&mut log, &medium, &small(1..=6));
    assert_eq!((read(&disk, 0).unwrap(), held(&disk, 0)), (small(1..=6), (0, 6)));
    append_all(&mut log, &medium, &small(7..=8));
    assert_eq!(log.place(&batch(9, 100)), Place::Redb, "there is no other part");
    let medium = handle(&disk);
    let (mut log, _) = opened(&medium, 8);
    assert!(log.is_empty() && medium.layout().is_old());
    log.divide(medium.raise_layout().unwrap());
    append_all(&mut log, &medium, &small(9..=12));
    assert_eq!(log.place(&batch(13, 100)), Place::OtherPart);
    log.freeze();
    append_all(&mut log, &medium, &small(13..=13));
    assert_eq!((read(&disk, 8).unwrap(), held(&disk, 8)), (small(9..=13), (4, 1)));
}

#[test]
fn a_value_that_looks_like_a_block_is_none() {
    let disk = LossyBackend::new();
    let medium = laid_out(&disk, 64);
    let (mut log, _) = opened(&medium, 0);
    // Blocks of the next batch, in every place a value can have.
    let forged = sealed(2, &batch(66, 10));
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
