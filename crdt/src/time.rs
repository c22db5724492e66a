//! Time as the core sees it: an argument, never a call.
//!
//! [`Now`] carries both clocks of one moment. Only the monotonic one drives decisions (timers,
//! expiry, back-off); the wall clock is a claim that is written down and shown, and decides one
//! thing only: whether this node witnesses a join of an invite that says it has expired.

use std::ops::Add;
use std::time::Duration;

use minicbor::{Decode, Encode};

/// A moment on this process's monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Time since `earlier`, zero if it lies ahead.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, delay: Duration) -> Moment {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(micros))
    }
}

/// A wall-clock time somebody claims, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct WallTime(#[n(0)] pub i64);

/// Both clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Drives every decision.
    pub monotonic: Moment,
    /// Written down and shown.
    pub wall: WallTime,
}
