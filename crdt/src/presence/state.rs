//! What a member's state can be, why, and what is known about it.

use std::time::Duration;

use super::{BEACON_PERIOD_MAX, BEACON_PERIOD_MIN, VerifiedBeacon};
use crate::id::AuthorKey;
use crate::time::Moment;

/// Whether a member is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// Connected, or heard of lately.
    Alive,
    /// Perhaps gone: it has a few seconds to show itself.
    Suspect,
    /// Gone, until heard of again.
    Away,
    /// It said that it stops.
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Nothing was heard of it since this node started.
    NeverHeard,
    /// It is connected directly.
    Connected,
    /// A beacon of it came.
    Heard,
    /// The connection with it broke.
    ConnectionLost,
    /// This member reported that its connection with it broke.
    ReportedLost(AuthorKey),
    /// Its beacons stopped.
    Silent,
    /// It said that it stops.
    Farewell,
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

/// What is known about one member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Whether it is there.
    pub state: State,
    /// Since when.
    pub since: Moment,
    /// Why.
    pub reason: Reason,
    /// When its last beacon came.
    pub heard: Option<Moment>,
    /// That beacon.
    pub beacon: Option<VerifiedBeacon>,
    /// How far its clock was ahead of this node's when that beacon came, in milliseconds. A beacon that was
    /// on its way for long makes a clock look late.
    pub clock_offset_ms: Option<i64>,
    /// When time alone changes the state.
    pub(super) deadline: Option<Moment>,
    /// When it is looked at: at the deadline or before, since most deadlines are put off long before they come.
    pub(super) looked_at: Option<Moment>,
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
