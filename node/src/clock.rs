//! The only place that reads clocks: both become the core's [`Now`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starling_crdt::time::{Moment, Now, WallTime};

/// Both clocks of this process. The monotonic one starts at zero when the clock is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_wall: WallTime,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), started_wall: wall_time() }
    }

    /// Both clocks at this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let micros = u64::try_from(self.uptime().as_micros()).unwrap_or(u64::MAX);
        Now { monotonic: Moment(micros), wall: wall_time() }
    }

    /// Time since the start, which no change of the wall clock moves.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// What the wall clock said at the start.
    #[must_use]
    pub const fn started_wall(&self) -> WallTime {
        self.started_wall
    }

    /// How long to sleep until a moment of this clock; zero when it has passed.
    #[must_use]
    pub fn until(&self, moment: Moment) -> Duration {
        moment.since(self.now().monotonic)
    }
}

/// Milliseconds since 1970, negative before; a clock set beyond what fits stands at its end.
fn wall_time() -> WallTime {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => WallTime(millis(since)),
        Err(before) => WallTime(-millis(before.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back_and_a_deadline_comes_nearer() {
        let clock = Clock::start();
        let deadline = clock.now().monotonic + Duration::from_secs(60);
        let mut last = clock.now().monotonic;
        for _ in 0..1_000 {
            let now = clock.now().monotonic;
            assert!(now >= last);
            last = now;
        }
        let left = clock.until(deadline);
        assert!(left <= Duration::from_secs(60) && left > Duration::ZERO);
        assert_eq!(clock.until(Moment(0)), Duration::ZERO);
        assert!(clock.now().wall >= WallTime(1_700_000_000_000), "the wall clock counts from 1970");
    }
}
