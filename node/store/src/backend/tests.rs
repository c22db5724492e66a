//! A simulated disk does what it says, and only that.

use super::*;

#[test]
fn a_restart_keeps_what_was_synced_and_only_that() {
    let disk = LossyBackend::new();
    disk.write(0, b"old").unwrap();
    disk.sync_data().unwrap();
    disk.write(0, b"new").unwrap();
    disk.set_len(9000).unwrap();
    assert_eq!(disk.contents().len(), 9000);
    assert_eq!(disk.restart(Loss::Nothing).contents().len(), 9000);
    assert_eq!(disk.restart(Loss::All).contents(), b"old");
    assert!(disk.write(0, b"dead").is_err() && disk.read(0, &mut [0]).is_err() && disk.len().is_err());
}

#[test]
fn seeds_decide_what_survives_and_some_tear_a_write() {
    let outcome = |seed| {
        let disk = LossyBackend::new();
        disk.write(0, &[1; 4096]).unwrap();
        disk.sync_data().unwrap();
        disk.write(0, &[2; 4096]).unwrap();
        disk.restart(Loss::Some { seed }).contents()
    };
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..100 {
        let bytes = outcome(seed);
        assert_eq!(bytes, outcome(seed));
        assert!(bytes.chunks(SECTOR_BYTES).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        match bytes.iter().filter(|byte| **byte == 2).count() {
            4096 => kept += 1,
            0 => lost += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 0 && lost > 0 && torn > 0, "{kept} {lost} {torn}");
}

#[test]
fn power_goes_at_the_operation_named() {
    let disk = LossyBackend::new();
    disk.cut_power_after(2);
    disk.write(0, b"one").unwrap();
    disk.sync_data().unwrap();
    assert!(disk.write(0, b"two").is_err());
    assert!(disk.sync_data().is_err());
    assert_eq!(disk.restart(Loss::Nothing).contents(), b"one");
}

#[test]
fn a_full_disk_still_takes_writes_over_what_is_there() {
    let disk = LossyBackend::new();
    disk.write(0, &[1; BLOCK_BYTES]).unwrap();
    disk.limit_room(BLOCK_BYTES);
    disk.write(0, &[2; BLOCK_BYTES]).unwrap();
    let refused = disk.write(BLOCK_BYTES as u64, &[2]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    disk.heal();
    disk.write(BLOCK_BYTES as u64, &[2]).unwrap();
}

#[test]
fn failures_last_until_healed() {
    let disk = LossyBackend::new();
    disk.fail(Operation::Sync, ErrorKind::Other);
    disk.write(0, b"x").unwrap();
    assert!(disk.sync_data().is_err());
    assert_eq!(disk.clone().restart(Loss::All).contents(), b"");
    let disk = LossyBackend::new();
    disk.fail(Operation::Write, ErrorKind::Other);
    assert!(disk.write(0, b"x").is_err());
    disk.heal();
    disk.write(0, b"x").unwrap();
}

#[test]
fn a_planned_failure_hits_the_operation_named_and_lasts_as_planned() {
    for (lasting, later) in [(Lasting::Once, true), (Lasting::ForGood, false)] {
        let disk = LossyBackend::new();
        disk.plan_after(1, Plan::Fail(ErrorKind::Other, lasting));
        disk.write(0, b"one").unwrap();
        assert!(!disk.fired() && disk.write(0, b"two").is_err() && disk.fired());
        assert_eq!(disk.write(0, b"six").is_ok(), later);
        assert_eq!(disk.sync_data().is_ok(), later);
        disk.read(0, &mut [0]).unwrap();
        disk.heal();
        disk.sync_data().unwrap();
    }
    let disk = LossyBackend::holding(b"held");
    disk.plan_after_reads(0, Plan::Fail(ErrorKind::Other, Lasting::Once));
    disk.write(0, b"HELD").unwrap();
    assert!(disk.read(0, &mut [0]).is_err() && disk.read(0, &mut [0]).is_ok());
}

#[test]
fn a_planned_filling_leaves_room_for_what_is_there() {
    let disk = LossyBackend::new();
    disk.plan_after(1, Plan::Fill);
    disk.write(0, &[1; BLOCK_BYTES]).unwrap();
    disk.write(0, &[2; BLOCK_BYTES]).unwrap();
    let refused = disk.write(BLOCK_BYTES as u64, &[2]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    disk.heal();
    disk.write(BLOCK_BYTES as u64, &[2]).unwrap();
}
