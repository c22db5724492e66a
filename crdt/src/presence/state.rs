//! What a member's state can be, why, and what is known about it.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::health::Doubts;
use super::{BEACON_PERIOD_MAX, BEACON_PERIOD_MIN, VerifiedBeacon};
use crate::id::AuthorKey;
use crate::time::Moment;

/// Whether a member is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum State {
    /// Connected, or heard of lately.
    #[n(0)]
    Alive,
    /// Perhaps gone: it has a few seconds to show itself.
    #[n(1)]
    Suspect,
    /// Gone, until heard of again.
    #[n(2)]
    Away,
    /// It said that it stops.
    #[n(3)]
    Left,
}

impl State {
    /// Name as people see it.
    pub fn name(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Away => "away",
            State::Left => "left",
        }
    }
}

/// Why a member is in its state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum Reason {
    /// Nothing was ever heard of it.
    #[n(0)]
    NeverHeard,
    /// It is connected directly.
    #[n(1)]
    Connected,
    /// A beacon of it came.
    #[n(2)]
    Heard,
    /// The connection with it broke.
    #[n(3)]
    ConnectionLost,
    /// This member reported that its connection with it broke.
    #[n(4)]
    ReportedLost(#[n(0)] AuthorKey),
    /// Its beacons stopped.
    #[n(5)]
    Silent,
    /// It said that it stops.
    #[n(6)]
    Farewell,
    /// It was there when this node stopped, and was not heard of since this node started.
    #[n(7)]
    Remembered,
}

impl Reason {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Reason::NeverHeard => "never_heard",
            Reason::Connected => "connected",
            Reason::Heard => "heard",
            Reason::ConnectionLost => "connection_lost",
            Reason::ReportedLost(_) => "reported_lost",
            Reason::Silent => "silent",
            Reason::Farewell => "farewell",
            Reason::Remembered => "remembered",
        }
    }
}

/// A member's state changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateChange {
    /// Whose.
    pub author: AuthorKey,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

impl StateChange {
    /// Whether it is no more than a doubt that comes up or is cleared: the member was and is counted on.
    pub fn is_doubt(&self) -> bool {
        let counted_on = |state| matches!(state, State::Alive | State::Suspect);
        counted_on(self.from) && counted_on(self.to)
    }
}

/// When something was seen, which may have been before this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// When, or when this process learned of it.
    pub(super) at: Moment,
    /// How long before that.
    pub(super) before: Duration,
}

impl Seen {
    /// How long ago it was.
    pub fn age(&self, now: Moment) -> Duration {
        now.since(self.at) + self.before
    }
}

/// What is known about one member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Whether it is there.
    pub state: State,
    /// Since when.
    pub since: Seen,
    /// Why.
    pub reason: Reason,
    /// When its last beacon came.
    pub heard: Option<Seen>,
    /// That beacon.
    pub beacon: Option<VerifiedBeacon>,
    /// How far its clock was ahead of this node's when that beacon came, in milliseconds. A beacon that was
    /// on its way for long makes a clock look late.
    pub clock_offset_ms: Option<i64>,
    /// When time alone changes the state.
    pub(super) deadline: Option<Moment>,
    /// When it is looked at: at the deadline or before, since most deadlines are put off long before they come.
    pub(super) looked_at: Option<Moment>,
    /// It was given more time because this node had stood still.
    pub(super) spared: bool,
    /// Something is new since the store was told.
    pub(super) fresh: bool,
    /// When it was last shown a beacon of its own above those it sends.
    pub(super) corrected: Option<Moment>,
    pub(super) doubts: Doubts,
}

impl Sighting {
    /// Highest counter heard.
    pub fn counter(&self) -> u64 {
        self.beacon.as_ref().map_or(0, |beacon| beacon.counter)
    }

    /// How often its beacons come, as it says, within what anyone may say.
    pub(super) fn period(&self) -> Duration {
        let stated = self.beacon.as_ref().map_or(0, |beacon| beacon.period_ms);
        let stated = Duration::from_millis(u64::from(stated));
        stated.clamp(BEACON_PERIOD_MIN, BEACON_PERIOD_MAX)
    }
}
