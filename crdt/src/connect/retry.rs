//! When to try again: exponential back-off with jitter, capped, for ever.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use crate::jitter::between;
use crate::planted::is_planted;
use crate::time::Moment;

/// Delay after the first failure: a restart of the other side is over in about that time.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest delay: a cut of any length is found healed within a minute. A peer that is gone for good
/// costs one attempt in 30 to 60 seconds.
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// Least time between two resets of one back-off by others, so that a peer that announces a new
/// address with every beacon does not make everyone dial all the time.
const RESET_SPACING_MIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Retry {
    failures: u32,
    due: Moment,
    reset: Option<Moment>,
}

impl Retry {
    pub(super) fn due(&self) -> Moment {
        self.due
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Doubles the delay. The jitter takes away up to half, so that peers that lost each other at
    /// one moment do not dial in step.
    pub(super) fn fail(&mut self, now: Moment, rng: &mut ChaCha8Rng) {
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.min(16));
        let delay = doubled.min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = now + between(rng, delay / 2, delay);
        if is_planted("never-retry-seed") {
            self.due = Moment(u64::MAX);
        }
    }

    /// A connection ended that was `stable` for a while, or never was.
    pub(super) fn lose(&mut self, now: Moment, rng: &mut ChaCha8Rng, stable: bool) {
        if stable {
            self.failures = 0;
        }
        self.fail(now, rng);
    }

    /// Nobody failed, but another connection is not needed for a while.
    pub(super) fn rest(&mut self, now: Moment, pause: Duration) {
        self.failures = 0;
        self.due = now + pause;
    }

    /// There is reason to hope: starts over within `spread`, unless that happened just before.
    pub(super) fn hope(&mut self, now: Moment, rng: &mut ChaCha8Rng, spread: Duration) {
        let too_soon = self.reset.is_some_and(|last| now.since(last) < RESET_SPACING_MIN);
        if !too_soon {
            let due = now + between(rng, Duration::ZERO, spread);
            *self = Self { failures: 0, due: due.min(self.due.max(now)), reset: Some(now) };
        }
    }

    /// The operator says so: starts over at once.
    pub(super) fn start_over(&mut self, now: Moment) {
        *self = Self { failures: 0, due: now, reset: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn delays_double_from_the_first_to_the_cap_and_stay_there() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let mut retry = Retry::default();
        let mut expected = RETRY_FIRST;
        for attempt in 0..2_000_u32 {
            let now = Moment(u64::from(attempt) * 1_000_000_000);
            retry.fail(now, &mut rng);
            let delay = retry.due().since(now);
            assert!(delay >= expected / 2 && delay <= expected, "{attempt}: {delay:?}");
            expected = (expected * 2).min(RETRY_MAX);
        }
        retry.lose(Moment(5), &mut rng, false);
        assert!(retry.due().since(Moment(5)) >= RETRY_MAX / 2);
        retry.lose(Moment(5), &mut rng, true);
        assert!(retry.due().since(Moment(5)) <= RETRY_FIRST);
    }

    #[test]
    fn hope_resets_once_in_a_while_only() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let mut retry = Retry::default();
        let start = Moment(1_000_000_000);
        (0..20).for_each(|_| retry.fail(start, &mut rng));
        retry.hope(start, &mut rng, Duration::from_secs(1));
        assert!(retry.due() <= start + Duration::from_secs(1));
        (0..20).for_each(|_| retry.fail(start, &mut rng));
        let due = retry.due();
        retry.hope(start + Duration::from_secs(9), &mut rng, Duration::ZERO);
        assert_eq!(retry.due(), due);
        retry.hope(start + Duration::from_secs(10), &mut rng, Duration::ZERO);
        assert_eq!(retry.due(), start + Duration::from_secs(10));
    }
}
