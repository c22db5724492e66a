//! Pauses between tries that grow and are never the same twice.
//!
//! Promises: a pause doubles with each failure up to a bound, and lies anywhere between half of that and
//! the whole, so that many who failed together do not try together. Leaves out the waiting.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// How pauses grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// The longest first pause.
    pub(crate) first: Duration,
    /// The longest pause of all.
    pub(crate) most: Duration,
}

impl Growth {
    /// The pause after so many failures in a row, by a random number of the caller's.
    pub(crate) fn pause(self, failures: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let whole = doubled.min(self.most);
        let half = whole / 2;
        let nanos = u64::try_from((whole - half).as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(random % nanos.max(1))
    }
}

/// A number that nobody can foresee; good enough to spread tries, and nothing else.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::{Growth, random};
    use std::time::Duration;

    const GROWTH: Growth = Growth { first: Duration::from_millis(200), most: Duration::from_secs(30) };

    #[test]
    fn pauses_double_up_to_the_bound_and_keep_within_their_half() {
        for (failures, whole) in [(1, 200), (2, 400), (3, 800), (8, 25_600), (9, 30_000), (u32::MAX, 30_000)]
        {
            let whole = Duration::from_millis(whole);
            for random in [0, 1, u64::MAX / 3, u64::MAX, random()] {
                let pause = GROWTH.pause(failures, random);
                assert!(pause >= whole / 2 && pause <= whole, "{failures} {random}: {pause:?}");
            }
        }
    }

    #[test]
    fn pauses_differ() {
        let pauses: std::collections::BTreeSet<_> = (0..16).map(|_| GROWTH.pause(5, random())).collect();
        assert!(pauses.len() > 8, "{pauses:?}");
    }
}
