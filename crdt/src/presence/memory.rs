//! What is known of members across restarts: how each stood, since when, and its last beacon.
//!
//! A member that was there when this node stopped is suspect when it starts again, and has as long to show
//! itself as one whose beacons stopped. Who was away or had left still is, since when it was.

use minicbor::{Decode, Encode};

use super::{BEACONS_MISSED, Presence, Reason, SUSPECT_FOR, Seen, State, VerifiedBeacon, look_in_time};
use crate::id::AuthorKey;
use crate::time::{Moment, Now, WallTime};

/// A member as the store remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct SightingRecord {
    /// How it stood.
    #[n(0)]
    pub state: State,
    /// Why.
    #[n(1)]
    pub reason: Reason,
    /// Since when, by this node's clock.
    #[n(2)]
    pub since: WallTime,
    /// When its last beacon came, by this node's clock.
    #[n(3)]
    pub heard: Option<WallTime>,
    /// That beacon, encoded.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub beacon: Option<Vec<u8>>,
    /// How far its clock was ahead of this node's then, in milliseconds.
    #[n(5)]
    pub clock_offset_ms: Option<i64>,
}

impl Presence {
    /// Takes in what the store remembers of a member. Of whom this node has heard since, it says nothing
    /// new; a beacon that does not hold is left out. Who is no member is to be removed from the store.
    pub fn remember(&mut self, now: Now, author: AuthorKey, record: SightingRecord) {
        let Some(sighting) = self.members.get_mut(&author) else {
            self.news.insert(author);
            return;
        };
        if sighting.reason != Reason::NeverHeard {
            return;
        }
        let beacon = record.beacon.and_then(|bytes| VerifiedBeacon::from_bytes(&bytes).ok());
        let beacon = beacon.filter(|beacon| beacon.author == author && beacon.space == self.space);
        sighting.heard = record.heard.filter(|_| beacon.is_some()).map(|heard| Seen::long_ago(now, heard));
        sighting.beacon = beacon;
        sighting.clock_offset_ms = record.clock_offset_ms;
        match record.state {
            State::Alive | State::Suspect => {
                sighting.state = State::Suspect;
                sighting.reason = Reason::Remembered;
                let deadline = now.monotonic + (sighting.period() * BEACONS_MISSED).max(SUSPECT_FOR);
                sighting.deadline = Some(deadline);
                look_in_time(&mut self.deadlines, author, sighting);
            }
            State::Away | State::Left => {
                sighting.state = record.state;
                sighting.reason = record.reason;
                sighting.since = Seen::long_ago(now, record.since);
            }
        }
    }

    /// What the store is to remember of those of whom there is news, or of everybody of whom anything is
    /// new; nothing for who is no member any more.
    pub fn take_news(&mut self, now: Now, everybody: Everybody) -> Vec<(AuthorKey, Option<SightingRecord>)> {
        let mut news = std::mem::take(&mut self.news);
        if everybody == Everybody::Too {
            let fresh = self.members.iter().filter(|(_, sighting)| sighting.fresh);
            news.extend(fresh.map(|(author, _)| *author));
        }
        let told = |author| {
            let sighting = self.members.get_mut(&author);
            (author, sighting.map(|sighting| record(now, sighting)))
        };
        news.into_iter().map(told).collect()
    }

    /// Goes on as `before`, in place of one that was just read from the store: after a commit of which nobody
    /// knows whether it happened. What that commit said is told again, and so is everything else.
    pub fn resume(&mut self, before: Self) {
        let gone = std::mem::replace(self, before);
        self.news.extend(gone.news);
        let told = self.members.iter().filter(|(_, seen)| seen.reason != Reason::NeverHeard);
        self.news.extend(told.map(|(author, _)| *author));
    }

    /// Whether there is news that the store does not know.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }
}

/// Whether those are meant, too, of whom only the figures are new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Everybody {
    /// Only those whose state changed.
    Not,
    /// All of them.
    Too,
}

fn record(now: Now, sighting: &mut super::Sighting) -> SightingRecord {
    sighting.fresh = false;
    let wall = |seen: Seen| wall_of(now, seen.age(now.monotonic));
    SightingRecord {
        state: sighting.state,
        reason: sighting.reason,
        since: wall(sighting.since),
        heard: sighting.heard.map(wall),
        beacon: sighting.beacon.as_ref().map(|beacon| beacon.to_bytes()),
        clock_offset_ms: sighting.clock_offset_ms,
    }
}

fn wall_of(now: Now, age: std::time::Duration) -> WallTime {
    WallTime(now.wall.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

impl Seen {
    /// A time before this process, as the wall clock had it; one in the future counts as now.
    fn long_ago(now: Now, wall: WallTime) -> Self {
        let before = u64::try_from(now.wall.0.saturating_sub(wall.0)).unwrap_or(0);
        Self { at: now.monotonic, before: std::time::Duration::from_millis(before) }
    }
}

impl From<Moment> for Seen {
    fn from(at: Moment) -> Self {
        Self { at, before: std::time::Duration::ZERO }
    }
}
