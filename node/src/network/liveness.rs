//! Which connections still answer.
//!
//! Promises: a connection whose pings stay without an answer for as long as [`Patience`] says is
//! named dead within [`LOOK_PERIOD`], even where the host at its other end lost its power and nothing
//! ever comes back. Time in which this node itself stood still counts against nobody. Leaves out:
//! sending the pings. (libp2p's ping alone does not notice: its first failure is silent, and the
//! second waits for a stream that a dead host never agrees to.)

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use tokio::time::Instant;

/// How often the connections are looked at.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// How long a host that vanished keeps its place, and what asking it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Period of pings; each costs about 60 bytes both ways on every connection.
    pub ping_period: Duration,
    /// How long a connection may go without an answered ping. What is sent to a vanished host until
    /// then is lost for now and repaired later; a longer stall of a living host, or a longer queue in
    /// front of a slow link, costs it its connection.
    pub silence_max: Duration,
}

impl Patience {
    /// For links on which an answer takes milliseconds: a vanished host is noticed within five seconds.
    pub const SHORT: Self =
        Self { ping_period: Duration::from_secs(2), silence_max: Duration::from_millis(4_500) };
    /// For links on which an answer may wait behind seconds of data.
    pub const LONG: Self =
        Self { ping_period: Duration::from_secs(10), silence_max: Duration::from_secs(30) };
}

/// When each connection last answered.
#[derive(Debug)]
pub(super) struct Liveness {
    silence_max: Duration,
    answered: BTreeMap<ConnectionId, Instant>,
    looked: Instant,
}

impl Liveness {
    pub(super) fn new(patience: Patience, now: Instant) -> Self {
        Self { silence_max: patience.silence_max, answered: BTreeMap::new(), looked: now }
    }

    /// A connection was made.
    pub(super) fn connected(&mut self, connection: ConnectionId, now: Instant) {
        self.answered.insert(connection, now);
    }

    /// A ping on it was answered; of a connection already forgotten this says nothing.
    pub(super) fn answered(&mut self, connection: ConnectionId, now: Instant) {
        if let Some(answered) = self.answered.get_mut(&connection) {
            *answered = now;
        }
    }

    /// It was closed.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.answered.remove(&connection);
    }

    /// The connections that were silent for too long; they are forgotten.
    pub(super) fn dead(&mut self, now: Instant) -> Vec<ConnectionId> {
        let stood_still = now.saturating_duration_since(self.looked).saturating_sub(2 * LOOK_PERIOD);
        self.looked = now;
        let mut dead = Vec::new();
        for (connection, answered) in &mut self.answered {
            *answered = (*answered + stood_still).min(now);
            if now.saturating_duration_since(*answered) >= self.silence_max {
                dead.push(*connection);
            }
        }
        for connection in &dead {
            self.answered.remove(connection);
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(liveness: &mut Liveness, from: Instant, seconds: u64) -> Vec<(Duration, ConnectionId)> {
        let mut found = Vec::new();
        for look in 1..=seconds * 2 {
            let after = LOOK_PERIOD * u32::try_from(look).expect("few looks");
            found.extend(liveness.dead(from + after).into_iter().map(|connection| (after, connection)));
        }
        found
    }

    #[tokio::test]
    async fn only_what_is_silent_for_too_long_is_dead_and_is_named_once() {
        let start = Instant::now();
        let mut liveness = Liveness::new(Patience::SHORT, start);
        let (silent, answering, gone) = (1, 2, 3);
        let id = ConnectionId::new_unchecked;
        for connection in [silent, answering, gone] {
            liveness.connected(id(connection), start);
        }
        liveness.closed(id(gone));
        assert_eq!(looks(&mut liveness, start, 4), []);
        liveness.answered(id(answering), start + Duration::from_secs(4));
        liveness.answered(id(gone), start + Duration::from_secs(4));
        let found = looks(&mut liveness, start + Duration::from_secs(4), 4);
        assert_eq!(found, [(Duration::from_millis(500), id(silent))]);
    }

    #[tokio::test]
    async fn time_in_which_this_node_stood_still_counts_against_nobody() {
        let start = Instant::now();
        let mut liveness = Liveness::new(Patience::SHORT, start);
        liveness.connected(ConnectionId::new_unchecked(1), start);
        let resumed = start + Duration::from_secs(3_600);
        assert_eq!(liveness.dead(resumed), []);
        let found = looks(&mut liveness, resumed, 10);
        assert_eq!(found.len(), 1, "it gets its time from then on: {found:?}");
        assert!(found[0].0 >= Duration::from_secs(3), "{found:?}");
    }
}
