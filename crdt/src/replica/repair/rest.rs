//! A rest from repair while the store takes nothing: what a dialogue brings could not be kept, and asking for
//! it again and again would load the peers and the network for nothing.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use crate::jitter::between;
use crate::time::Moment;

/// The first rest, doubled with each further failure that comes after one.
const REST_FIRST: Duration = Duration::from_secs(1);
/// Doublings: the longest rest is 16 to 24 s. Longer, and a disk that was mended would be noticed late by a node
/// that neither writes nor hears anything.
const REST_DOUBLINGS: u32 = 4;

/// Whether repair rests, and how long.
#[derive(Debug, Default)]
pub(in crate::replica) struct Rest {
    until: Option<Moment>,
    failures: u32,
}

impl Rest {
    /// The store failed. What fails during a rest says nothing new.
    pub(in crate::replica) fn store_failed(&mut self, now: Moment, rng: &mut ChaCha8Rng) {
        if self.until.is_some_and(|until| now < until) {
            return;
        }
        let rest = REST_FIRST * 2_u32.pow(self.failures.min(REST_DOUBLINGS));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + between(rng, rest, rest * 3 / 2));
    }

    /// The store took a commit.
    pub(in crate::replica) fn store_works(&mut self) {
        *self = Self::default();
    }

    /// When what is due then may start.
    pub(super) fn after(&self, due: Moment) -> Moment {
        self.until.map_or(due, |until| due.max(until))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn rests_grow_while_the_store_fails_and_end_when_it_works() {
        let (mut rest, mut rng) = (Rest::default(), ChaCha8Rng::from_seed([1; 32]));
        let mut now = Moment(0);
        assert_eq!(rest.after(now), now);
        for seconds in [1, 2, 4, 8, 16, 16] {
            rest.store_failed(now, &mut rng);
            let after = rest.after(now);
            rest.store_failed(now + Duration::from_millis(1), &mut rng);
            assert_eq!(rest.after(now), after, "another failure within the rest changes nothing");
            let length = after.since(now);
            let least = Duration::from_secs(seconds);
            assert!((least..=least * 3 / 2).contains(&length), "{length:?}");
            now = after;
        }
        rest.store_works();
        assert_eq!(rest.after(now), now);
    }
}
