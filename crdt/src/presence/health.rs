//! Doubt in one's own eyes: who misjudged others lately, or could not look, waits longer before it says
//! that somebody is away.
//!
//! As Lifeguard does (Dadgar, Phillips and Currey, "Lifeguard: SWIM-ing with Situational Awareness", 2017):
//! when everybody seems to go, the trouble is often at the node that looks. And whoever came back from a
//! doubt just now gets longer the next time, so a flapping link is told as few changes as it can be.

use std::time::Duration;

use super::SUSPECT_FOR;
use crate::time::Moment;

/// How often the patience with everybody may have grown; each time by [`SUSPECT_FOR`].
const UNWELL_MAX: u32 = 3;
/// Without a further sign of being unwell, the patience shrinks by one step after this long.
const RECOVERY: Duration = Duration::from_secs(30);
/// A deadline met later than this says that this node stood still: asleep, stopped or starved.
const STANDSTILL: Duration = Duration::from_secs(1);
/// How often the patience with one member may have doubled.
const DOUBTS_MAX: u32 = 2;
/// A member that was not doubted for so long is trusted as before.
const DOUBTS_FORGOTTEN: Duration = Duration::from_secs(60);

/// How well this node has judged lately.
#[derive(Debug, Default)]
pub(super) struct Health {
    unwell: u32,
    since: Moment,
}

impl Health {
    /// Something says that this node is unwell.
    pub(super) fn worsens(&mut self, now: Moment) {
        self.unwell = (self.steps(now) + 1).min(UNWELL_MAX);
        self.since = now;
    }

    /// Whether so late a look says that this node stood still.
    pub(super) fn stood_still(now: Moment, due: Moment) -> bool {
        now.since(due) > STANDSTILL
    }

    /// How long a suspect has to show itself.
    pub(super) fn patience(&self, now: Moment, doubts: &Doubts) -> Duration {
        SUSPECT_FOR * (1 + self.steps(now)) * (1 << doubts.steps(now))
    }

    fn steps(&self, now: Moment) -> u32 {
        let recovered = now.since(self.since).as_secs() / RECOVERY.as_secs();
        self.unwell.saturating_sub(u32::try_from(recovered).unwrap_or(u32::MAX))
    }
}

/// How often one member came back from being doubted or away, lately.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Doubts {
    cleared: u32,
    last: Moment,
}

impl Doubts {
    /// It showed itself after all.
    pub(super) fn clear(&mut self, now: Moment) {
        self.cleared = (self.steps(now) + 1).min(DOUBTS_MAX);
        self.last = now;
    }

    fn steps(&self, now: Moment) -> u32 {
        if now.since(self.last) < DOUBTS_FORGOTTEN { self.cleared } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(1_000_000 * (1_000 + seconds))
    }

    #[test]
    fn patience_grows_with_trouble_is_bounded_and_comes_back() {
        let (mut health, mut doubts) = (Health::default(), Doubts::default());
        assert_eq!(health.patience(at(0), &doubts), SUSPECT_FOR);
        for _ in 0..10 {
            health.worsens(at(0));
        }
        assert_eq!(health.patience(at(0), &doubts), 4 * SUSPECT_FOR);
        assert_eq!(health.patience(at(31), &doubts), 3 * SUSPECT_FOR);
        assert_eq!(health.patience(at(91), &doubts), SUSPECT_FOR);
        for (times, factor) in [(1, 2), (1, 4), (5, 4)] {
            (0..times).for_each(|_| doubts.clear(at(100)));
            assert_eq!(health.patience(at(100), &doubts), factor * SUSPECT_FOR);
        }
        assert_eq!(health.patience(at(161), &doubts), SUSPECT_FOR);
    }
}
