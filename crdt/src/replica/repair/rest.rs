//! A rest from repair while the store takes nothing: what a dialogue brings could not be kept, and asking for
//! it again and again would load the peers and the network for nothing.
//!
//! Who brought what was lost meanwhile is remembered: after each rest one of them is asked, which tries the store
//! as well, and when the store takes again all of them are, once.

use std::collections::BTreeSet;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use crate::id::AuthorKey;
use crate::jitter::between;
use crate::limits::EXCHANGES_MAX;
use crate::replica::core::Core;
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
    /// Peers that brought what was lost. Of more than can be asked at once a few will do: what one brought most
    /// others hold as well, and the rest is found at the usual time.
    lost: BTreeSet<AuthorKey>,
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

    /// What these peers brought is lost.
    fn lose(&mut self, brought_by: impl IntoIterator<Item = AuthorKey>) {
        for peer in brought_by {
            if self.lost.len() < EXCHANGES_MAX {
                self.lost.insert(peer);
            }
        }
    }

    /// The store took a commit. Gives the peers that brought what was lost before.
    fn store_works(&mut self) -> BTreeSet<AuthorKey> {
        std::mem::take(self).lost
    }

    /// When what is due then may start.
    pub(super) fn after(&self, due: Moment) -> Moment {
        self.until.map_or(due, |until| due.max(until))
    }
}

impl Core {
    /// A step is lost with what these peers brought, and what older ones waited for with it.
    pub(in crate::replica) fn lose(&mut self, brought_by: BTreeSet<AuthorKey>) {
        self.rest.lose(brought_by);
        self.rest.lose(self.orphans.peers());
        // What was compared in that step may differ after all.
        self.peers.values_mut().for_each(|peer| peer.standoffs.clear());
    }

    /// Lets one of the peers that brought what is lost be asked after the rest.
    pub(in crate::replica) fn ask_after_rest(&mut self, now: Moment) {
        let asked = self.rest.lost.iter().find(|peer| self.peers.contains_key(*peer)).copied();
        if let Some(peer) = asked {
            self.repair_now(now, peer);
        }
    }

    /// The store took a commit: what was lost before is asked for.
    pub(in crate::replica) fn store_works(&mut self, now: Moment) {
        for peer in self.rest.store_works() {
            self.repair_soon(now, peer);
        }
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

    #[test]
    fn those_who_brought_what_is_lost_are_told_once_and_are_few() {
        let mut rest = Rest::default();
        let peers = (0..10).map(|number| AuthorKey([number; 32]));
        rest.lose(peers.clone().take(2));
        rest.lose(peers.clone());
        assert_eq!(rest.lost.len(), EXCHANGES_MAX);
        assert_eq!(rest.store_works(), peers.take(EXCHANGES_MAX).collect());
        assert!(rest.store_works().is_empty());
    }
}
