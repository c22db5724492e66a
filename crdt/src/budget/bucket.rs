//! Token buckets: so much at once, so much per second.

use std::time::Duration;

use crate::time::Moment;

const MICROS: u128 = 1_000_000;

/// What may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: u64,
    /// Most tokens saved up.
    pub burst: u64,
}

/// Tokens left at a moment, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    level: u128,
    at: Moment,
}

impl Bucket {
    pub(super) fn full(now: Moment, rate: Rate) -> Self {
        Self { level: u128::from(rate.burst) * MICROS, at: now }
    }

    /// Takes `amount` tokens, or says how long until there are enough. More than the burst can
    /// never be there at once: such an amount takes a full bucket.
    pub(super) fn take(&mut self, now: Moment, rate: Rate, amount: u64) -> Result<(), Duration> {
        let elapsed = now.since(self.at).as_micros();
        let cap = u128::from(rate.burst) * MICROS;
        self.level = (self.level + elapsed * u128::from(rate.per_second)).min(cap);
        self.at = self.at.max(now);
        let wanted = u128::from(amount.min(rate.burst)) * MICROS;
        match wanted.checked_sub(self.level) {
            None | Some(0) => {
                self.level -= wanted;
                Ok(())
            }
            Some(lacking) => {
                let micros = lacking.div_ceil(u128::from(rate.per_second.max(1)));
                Err(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    fn at(millis: u64) -> Moment {
        Moment(millis * 1_000)
    }

    #[test]
    fn a_burst_is_served_and_then_the_rate() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert!((0..20).all(|_| bucket.take(at(0), RATE, 1).is_ok()));
        assert_eq!(bucket.take(at(0), RATE, 1), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(at(99), RATE, 1), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(at(100), RATE, 1), Ok(()));
        let served = (101..10_101).filter(|ms| bucket.take(at(*ms), RATE, 1).is_ok()).count();
        assert_eq!(served, 100);
    }

    #[test]
    fn waiting_as_told_is_enough_and_saves_no_more_than_the_burst() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert!(bucket.take(at(0), RATE, 20).is_ok());
        let wait = bucket.take(at(0), RATE, 7).unwrap_err();
        assert!(bucket.take(at(0) + wait, RATE, 7).is_ok());
        assert!(bucket.take(at(1_000_000), RATE, 20).is_ok());
        assert!(bucket.take(at(1_000_000), RATE, 1).is_err());
    }

    #[test]
    fn more_than_the_burst_takes_a_full_bucket() {
        let mut bucket = Bucket::full(at(0), RATE);
        assert!(bucket.take(at(0), RATE, 1_000).is_ok());
        assert_eq!(bucket.take(at(0), RATE, 1_000), Err(Duration::from_secs(2)));
    }

    #[test]
    fn a_clock_that_stands_or_jumps_back_gives_nothing() {
        let mut bucket = Bucket::full(at(5_000), RATE);
        assert!(bucket.take(at(5_000), RATE, 20).is_ok());
        assert!(bucket.take(at(1_000), RATE, 1).is_err());
        assert!(bucket.take(at(5_000), RATE, 1).is_err());
    }
}
