//! Peers this node will not talk to, for a time or for good.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ConnectPolicy, PeerRecord};
use crate::id::AuthorKey;
use crate::limits::PEERS_BLOCKED_MAX;
use crate::time::{Moment, Now, WallTime};

/// Why a peer is not blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bound is reached.
    #[error("no more than {PEERS_BLOCKED_MAX} peers can be blocked: unblock some first")]
    TooMany,
    /// A node cannot block itself.
    #[error("a node cannot block itself")]
    Own,
}

impl ConnectPolicy {
    /// Blocks a peer, for `duration` or for good. It is disconnected at the next tick. A block for
    /// good is not shortened by one for a time.
    ///
    /// # Errors
    /// [`BlockError`] when it is this node, or too many are blocked.
    pub fn block(
        &mut self,
        now: Moment,
        peer: AuthorKey,
        duration: Option<Duration>,
    ) -> Result<(), BlockError> {
        if peer == self.own {
            return Err(BlockError::Own);
        }
        let until = duration.map(|duration| now + duration);
        if self.blocked.len() >= PEERS_BLOCKED_MAX && !self.blocked.contains_key(&peer) {
            return Err(BlockError::TooMany);
        }
        let block = self.blocked.entry(peer).or_insert(until);
        *block = block.zip(until).map(|(held, new)| held.max(new));
        self.known.mark(peer);
        self.wake(now);
        Ok(())
    }

    /// Lets a peer in again, and dials it soon. Returns whether it was blocked.
    pub fn unblock(&mut self, now: Moment, peer: AuthorKey) -> bool {
        let was = self.blocked.remove(&peer).is_some();
        if was {
            self.known.start_over(now, peer);
            self.known.mark(peer);
            for seed in self.seeds.values_mut().filter(|seed| seed.peer == Some(peer)) {
                seed.retry.start_over(now);
            }
            self.wake(now);
        }
        was
    }

    /// Whether a peer is blocked now.
    pub fn is_blocked(&self, now: Moment, peer: AuthorKey) -> bool {
        self.blocked.get(&peer).is_some_and(|until| until.is_none_or(|until| until > now))
    }

    /// The blocked peers, with the end of each block that has one.
    pub fn blocked(&self) -> impl Iterator<Item = (AuthorKey, Option<Moment>)> + '_ {
        self.blocked.iter().map(|(peer, until)| (*peer, *until))
    }

    /// Ends the blocks whose time has passed.
    pub(super) fn expire_blocks(&mut self, now: Moment) {
        let over: Vec<AuthorKey> = self
            .blocked()
            .filter(|(_, until)| until.is_some_and(|until| until <= now))
            .map(|(peer, _)| peer)
            .collect();
        for peer in over {
            self.unblock(now, peer);
        }
    }

    /// Whether there is anything to store.
    pub fn has_changed(&self) -> bool {
        self.known.has_changed()
    }

    /// Whose record changed since this was last asked: to be stored with the step's other effects.
    pub fn take_changed(&mut self) -> BTreeSet<AuthorKey> {
        self.known.take_changed()
    }

    /// Counts every peer as changed: what was taken for storing may not have been stored.
    pub fn forget_stored(&mut self) {
        self.known.mark_all();
        self.blocked.keys().for_each(|peer| self.known.mark(*peer));
    }

    /// What is worth storing about a peer: its addresses, its last contact, its block. Nothing when
    /// it was forgotten and what is stored may be deleted.
    pub fn record(&self, now: Now, peer: AuthorKey) -> Option<PeerRecord> {
        let block = self.blocked.get(&peer);
        if block.is_none() && !self.known.holds(peer) {
            return None;
        }
        let until = |until: Moment| {
            let left = i64::try_from(until.since(now.monotonic).as_millis()).unwrap_or(i64::MAX);
            WallTime(now.wall.0.saturating_add(left))
        };
        Some(PeerRecord {
            addresses: self.known.addresses(peer),
            last_contact: self.known.last_contact(peer),
            blocked: block.is_some(),
            blocked_until: block.copied().flatten().map(until),
        })
    }

    /// Takes in what was stored about a peer. A block that ended meanwhile is not restored.
    pub fn restore(&mut self, now: Now, peer: AuthorKey, record: PeerRecord) {
        if peer == self.own {
            return;
        }
        let PeerRecord { addresses, last_contact, blocked, blocked_until } = record;
        self.known.restore(peer, addresses, last_contact);
        let left = blocked_until.map(|until| until.0.saturating_sub(now.wall.0));
        let over = left.is_some_and(|left| left <= 0);
        if blocked && !over && self.blocked.len() < PEERS_BLOCKED_MAX {
            let left = left.and_then(|left| u64::try_from(left).ok()).map(Duration::from_millis);
            self.blocked.insert(peer, left.map(|left| now.monotonic + left));
        }
        self.wake(now.monotonic);
    }
}
