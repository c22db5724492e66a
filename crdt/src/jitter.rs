//! Delays and choices drawn from the seeded generator, so that nodes do not act in step.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// A delay from `low` to `high`, both possible; `low` when they are in the wrong order.
pub(crate) fn between(rng: &mut ChaCha8Rng, low: Duration, high: Duration) -> Duration {
    let width = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    low + Duration::from_micros(below(rng, width.saturating_add(1)))
}

/// A number below `bound`, or 0 when `bound` is 0. The bias of the remainder is below 2^-32 for
/// every bound used here.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    rng.next_u64().checked_rem(bound).unwrap_or(0)
}

/// Brings `list` into random order (Fisher and Yates).
pub(crate) fn shuffle<T>(rng: &mut ChaCha8Rng, list: &mut [T]) {
    for last in (1..list.len()).rev() {
        let chosen = below(rng, last as u64 + 1) as usize;
        list.swap(last, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn draws_stay_in_their_range_and_reach_its_ends() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (low, high) = (Duration::from_micros(3), Duration::from_micros(5));
        let drawn: Vec<_> = (0..200).map(|_| between(&mut rng, low, high)).collect();
        assert!(drawn.contains(&low) && drawn.contains(&high));
        assert!(drawn.iter().all(|delay| (low..=high).contains(delay)));
        assert_eq!(between(&mut rng, high, low), high);
        assert_eq!(below(&mut rng, 0), 0);
    }

    #[test]
    fn shuffling_keeps_every_element() {
        let mut rng = ChaCha8Rng::from_seed([2; 32]);
        let mut list: Vec<u32> = (0..50).collect();
        shuffle(&mut rng, &mut list);
        assert_ne!(list, (0..50).collect::<Vec<_>>());
        list.sort();
        assert_eq!(list, (0..50).collect::<Vec<_>>());
    }
}
