//! A whole node on a disk that loses power or fills up at every single operation of a
//! fixed life: it opens with every acknowledged write, goes on, and ends as if nothing had happened.

mod life;

use life::{Life, STEPS, Shown, undisturbed};
use starling_store::RedbStore;
use starling_store::backend::{Loss, LossyBackend, Plan};

/// The damage at each place where the power goes: nothing unsynced is left, all of it is, and two draws
/// of what is kept, lost and torn.
fn damages(at: u64) -> [Loss; 4] {
    [Loss::All, Loss::Nothing, Loss::Some { seed: 2 * at }, Loss::Some { seed: 2 * at + 1 }]
}

/// Lives until a step is not acknowledged; how many were.
fn live(disk: &LossyBackend) -> usize {
    let Ok(mut life) = Life::on(disk, 1) else { return 0 };
    (0..STEPS).take_while(|step| life.step(*step)).count()
}

/// Lives on from a step, repeating it, to the end.
#[track_caller]
fn live_on(life: &mut Life<RedbStore>, from: usize, oracle: &[Shown], story: &str) {
    for step in from..STEPS {
        assert!(life.step(step), "{story}: step {step} after all is well");
    }
    assert_eq!(life.shown().unwrap(), oracle[STEPS], "{story}: at the end");
    life.assert_sound(story);
}

#[track_caller]
fn reopened(disk: &LossyBackend, starts: u8, story: &str) -> Life<RedbStore> {
    Life::on(disk, starts).unwrap_or_else(|why| panic!("{story}: the node does not start: {why:?}"))
}

/// Changes of the disk in an undisturbed life that nobody closes.
fn operations() -> u64 {
    let disk = LossyBackend::new();
    let mut life = Life::on(&disk, 1).unwrap();
    assert!((0..STEPS).all(|step| life.step(step)));
    let done = disk.operations();
    assert!(done > 100, "only {done} places where the disk can fail");
    done
}

#[test]
fn a_power_cut_at_every_operation_loses_no_acknowledged_write() {
    let oracle = undisturbed();
    let mut in_flight_kept = 0;
    for at in 0..operations() {
        let disk = LossyBackend::new();
        disk.cut_power_after(at);
        let acknowledged = live(&disk);
        for (number, loss) in (0..).zip(damages(at)) {
            let story = format!("power cut after {at} operations in step {acknowledged}, {loss:?}");
            let disk = disk.restart(loss);
            let mut life = reopened(&disk, 2, &story);
            let shown = life.shown().unwrap();
            let next = oracle.get(acknowledged + 1);
            assert!(shown == oracle[acknowledged] || Some(&shown) == next, "{story}: {shown:?}");
            in_flight_kept += usize::from(shown != oracle[acknowledged]);
            life.assert_sound(&story);
            // The way on is the same after each damage, so each place shows it after another one.
            if number == at % 4 {
                live_on(&mut life, acknowledged, &oracle, &story);
                drop(life);
                let life = reopened(&disk.restart(Loss::All), 3, &story);
                assert_eq!(life.shown().unwrap(), oracle[STEPS], "{story}: after another power cut");
            }
        }
    }
    // Without this the test would also pass for a disk that never keeps anything unsynced.
    assert!(in_flight_kept > 0, "no cut hit between the last write and the sync");
}

/// A disk goes wrong for good at every operation; the node refuses writes and shows what it has; the disk
/// is put right, and the node goes on.
fn gets_through(plan: Plan, oracle: &[Shown]) {
    for at in 0..operations() {
        let story = format!("{plan:?} after {at} operations");
        let disk = LossyBackend::new();
        disk.plan_after(at, plan);
        let mut step = 0;
        if let Ok(mut life) = Life::on(&disk, 1) {
            while step < STEPS && life.step(step) {
                step += 1;
            }
            for _ in 0..2 {
                // The space may be durable although nobody said so, and then there is nothing to do.
                let refused = step == 0 || step == STEPS || !life.step(step);
                assert!(refused, "{story}: step {step} goes through after all");
                let shown = life.shown().unwrap_or_else(|why| panic!("{story}: reads fail: {why}"));
                let next = oracle.get(step + 1);
                assert!(shown == oracle[step] || Some(&shown) == next, "{story}: {shown:?}");
            }
            disk.heal();
            live_on(&mut life, step, oracle, &story);
            drop(life);
            let life = reopened(&disk.restart(Loss::All), 2, &story);
            assert_eq!(life.shown().unwrap(), oracle[STEPS], "{story}: after a power cut");
        } else {
            // The process ends, and is started again on a disk that was put right.
            disk.heal();
            live_on(&mut reopened(&disk, 2, &story), 0, oracle, &story);
        }
    }
}

#[test]
fn a_disk_that_is_full_from_any_operation_on_is_lived_through() {
    gets_through(Plan::Fill, &undisturbed());
}

#[test]
fn a_life_that_lost_a_write_would_be_noticed() {
    let oracle = undisturbed();
    let disk = LossyBackend::new();
    let mut life = Life::on(&disk, 1).unwrap();
    for step in [0, 1, 3] {
        assert!(life.step(step));
    }
    assert_ne!(life.shown().unwrap(), oracle[4]);
}
