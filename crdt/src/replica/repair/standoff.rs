//! Standoffs: what two nodes hold differs, and comparing it again brings nothing, since one of them has no room
//! for what it lacks, or since the two sides of a fork never meet.
//!
//! Whoever lacks something asks for it, so nothing is lost by waiting: a node compares at once when the other side
//! has changed, and when it has changed itself, unless the other side took nothing of what it was offered before.

use std::time::Duration;

use crate::id::{AuthorKey, SpaceId};
use crate::replica::core::Core;
use crate::replica::space::Room;
use crate::time::Moment;

/// How long a standoff is left alone, doubled with each comparison that brings nothing again.
const WAIT_FIRST: Duration = Duration::from_secs(60);
/// Longest wait. Too long, and a difference that two equal fingerprints hid by chance is found late; too short,
/// and a large difference that stays is listed again and again.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// What the two sides held when they began to compare, by the fingerprints of their items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::replica) struct Holdings {
    pub(super) mine: u64,
    pub(super) theirs: u64,
}

/// What changed since a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Nothing,
    /// Something of which nothing can come: the other side has nothing new, or there is no room for it here.
    InVain,
    News,
}

/// A comparison that left nothing to fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standoff {
    holdings: Holdings,
    at: Moment,
    /// Comparisons in a row before which nothing had changed.
    repeated: u32,
    /// Comparisons in a row before which something had changed in vain.
    in_vain: u32,
}

impl Standoff {
    fn new(at: Moment, holdings: Holdings) -> Self {
        Self { holdings, at, repeated: 0, in_vain: 0 }
    }

    fn change(&self, holdings: Holdings, room: Room) -> Change {
        match (holdings.mine == self.holdings.mine, holdings.theirs == self.holdings.theirs) {
            (true, true) => Change::Nothing,
            (false, true) => Change::InVain,
            (true, false) if room == Room::UsedUp => Change::InVain,
            _ => Change::News,
        }
    }

    /// Whether comparing again would bring nothing, and the last time is not long ago.
    fn waits(&self, now: Moment, holdings: Holdings, room: Room) -> bool {
        let times = match self.change(holdings, room) {
            Change::News => return false,
            Change::Nothing => self.repeated,
            Change::InVain => self.in_vain,
        };
        let doubled = times.checked_sub(1).map(|doublings| WAIT_FIRST.saturating_mul(1 << doublings.min(16)));
        doubled.is_some_and(|wait| now.since(self.at) < wait.min(WAIT_MAX))
    }

    /// What a standoff is after another comparison that left nothing to fetch.
    fn again(self, now: Moment, holdings: Holdings, room: Room) -> Self {
        let next = Self { holdings, at: now, ..self };
        match self.change(holdings, room) {
            Change::News => Self::new(now, holdings),
            Change::Nothing => Self { repeated: self.repeated.saturating_add(1), ..next },
            Change::InVain => Self { in_vain: self.in_vain.saturating_add(1), ..next },
        }
    }
}

impl Core {
    /// Whether what a peer holds of a space, as it says, is better not compared now.
    pub(in crate::replica) fn is_standoff(
        &self,
        now: Moment,
        peer: AuthorKey,
        space: SpaceId,
        theirs: u64,
    ) -> bool {
        let (Some(peer), Some(held)) = (self.peers.get(&peer), self.spaces.get(&space)) else { return false };
        let holdings = Holdings { mine: held.items.fingerprint(), theirs };
        let room = held.room(self.options.space_bytes_max);
        peer.standoffs.get(&space).is_some_and(|standoff| standoff.waits(now, holdings, room))
    }

    /// Notes a comparison that left something to fetch.
    pub(super) fn end_standoff(&mut self, peer: AuthorKey, space: SpaceId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.standoffs.remove(&space);
            peer.busy = true;
        }
    }

    /// Notes a comparison that left nothing to fetch. What comes to nothing again is no reason to ask again soon.
    pub(super) fn stand_off(&mut self, now: Moment, peer: AuthorKey, space: SpaceId, holdings: Holdings) {
        let Some(room) = self.spaces.get(&space).map(|held| held.room(self.options.space_bytes_max)) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        let known = peer.standoffs.get(&space);
        let noted = known.map_or(Standoff::new(now, holdings), |known| known.again(now, holdings, room));
        peer.busy |= noted == Standoff::new(now, holdings);
        peer.standoffs.insert(space, noted);
        // Of spaces that were left nothing is remembered.
        peer.standoffs.retain(|space, _| self.spaces.contains_key(space));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    fn held(mine: u64, theirs: u64) -> Holdings {
        Holdings { mine, theirs }
    }

    /// When it is compared again, by the seconds between two comparisons, while this changes before each of them.
    fn waits(room: Room, change: impl Fn(u64) -> Holdings) -> Vec<u64> {
        let mut standoff = Standoff::new(at(0), change(0));
        let mut now = 0;
        let mut waits = Vec::new();
        for number in 1..9 {
            let holdings = change(number);
            let from = now;
            while standoff.waits(at(now), holdings, room) {
                now += 1;
            }
            waits.push(now - from);
            standoff = standoff.again(at(now), holdings, room);
        }
        waits
    }

    const LONGER: [u64; 8] = [0, 60, 120, 240, 480, 960, 1_920, 3_600];

    #[test]
    fn a_difference_that_stays_is_compared_ever_more_rarely() {
        assert_eq!(waits(Room::Left, |_| held(1, 2)), LONGER);
        assert_eq!(waits(Room::UsedUp, |_| held(1, 2)), LONGER);
    }

    #[test]
    fn so_it_is_while_only_the_side_changes_of_which_the_other_takes_nothing() {
        assert_eq!(waits(Room::Left, |number| held(number, 2)), LONGER);
        assert_eq!(waits(Room::UsedUp, |number| held(1, number)), LONGER);
    }

    #[test]
    fn what_the_other_side_has_news_of_is_compared_at_once() {
        assert_eq!(waits(Room::Left, |number| held(1, number)), [0; 8]);
        assert_eq!(waits(Room::Left, |number| held(number, number)), [0; 8]);
        assert_eq!(waits(Room::UsedUp, |number| held(number, number)), [0; 8]);
    }

    #[test]
    fn the_first_own_news_in_an_old_standoff_are_offered_at_once() {
        let mut standoff = Standoff::new(at(0), held(1, 2));
        for number in 1..9 {
            standoff = standoff.again(at(number), held(1, 2), Room::Left);
        }
        assert!(standoff.waits(at(9), held(1, 2), Room::Left));
        assert!(!standoff.waits(at(9), held(3, 2), Room::Left));
    }
}
