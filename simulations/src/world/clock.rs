//! A node's clocks: a monotonic one that may run fast or slow, and a wall clock that may be wrong
//! and may be set.

use starling_crdt::time::{Moment, Now, WallTime};

use super::queue::Time;

/// What correct wall clocks show at virtual time zero: 2025-01-01 00:00:00 UTC, in milliseconds.
pub const WALL_START_MS: i64 = 1_735_689_600_000;

/// How far a monotonic clock may run wrong, in parts per million: more than any quartz does.
pub const DRIFT_PPM_MAX: i32 = 100_000;

/// The clocks of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Virtual time and own monotonic time at which the present rate began.
    anchor: (Time, u64),
    drift_ppm: i32,
    /// Milliseconds by which the wall clock is ahead of what the monotonic clock says.
    wall_ahead_ms: i64,
}

impl Clock {
    /// What the node sees at virtual time `at`.
    pub fn now(&self, at: Time) -> Now {
        let monotonic = self.monotonic(at);
        let wall = i64::try_from(monotonic / 1_000).unwrap_or(i64::MAX);
        let wall = WALL_START_MS.saturating_add(wall).saturating_add(self.wall_ahead_ms);
        Now { monotonic: Moment(monotonic), wall: WallTime(wall) }
    }

    fn monotonic(&self, at: Time) -> u64 {
        let passed = u128::from(at.saturating_sub(self.anchor.0)) * rate(self.drift_ppm) / 1_000_000;
        self.anchor.1.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first virtual time at which the monotonic clock shows `moment` or later.
    pub fn when(&self, moment: Moment) -> Time {
        let left = u128::from(moment.0.saturating_sub(self.anchor.1)) * 1_000_000;
        let passed = left.div_ceil(rate(self.drift_ppm));
        self.anchor.0.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Lets the monotonic clock run by `ppm` fast, or slow if negative, from `at` on.
    pub fn drift(&mut self, at: Time, ppm: i32) {
        self.anchor = (at, self.monotonic(at));
        self.drift_ppm = ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
    }

    /// Sets the wall clock forward, or back if negative.
    pub fn step(&mut self, ms: i64) {
        self.wall_ahead_ms = self.wall_ahead_ms.saturating_add(ms);
    }
}

fn rate(drift_ppm: i32) -> u128 {
    u128::from(1_000_000_i32.saturating_add(drift_ppm).max(1).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_runs_ahead_and_when_is_the_inverse_of_now() {
        let mut clock = Clock::default();
        clock.drift(1_000_000, 50_000);
        assert_eq!(clock.now(1_000_000).monotonic, Moment(1_000_000));
        assert_eq!(clock.now(2_000_000).monotonic, Moment(2_050_000));
        for moment in [1_000_001, 1_500_000, 9_999_999] {
            let at = clock.when(Moment(moment));
            assert!(clock.now(at).monotonic >= Moment(moment));
            assert!(clock.now(at - 1).monotonic < Moment(moment));
        }
    }

    #[test]
    fn a_step_moves_the_wall_clock_alone() {
        let mut clock = Clock::default();
        clock.step(-3_600_000);
        let now = clock.now(7_000_000);
        assert_eq!(now.monotonic, Moment(7_000_000));
        assert_eq!(now.wall, WallTime(WALL_START_MS + 7_000 - 3_600_000));
    }
}
