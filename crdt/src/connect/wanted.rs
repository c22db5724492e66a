//! Whom this node wants to be connected with, kept up to date change by change: a fleet of hundreds
//! must not be gone through each time one of its members comes or goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::AuthorKey;

/// The members of this node's spaces. The bound is the charters': nobody else gets in.
#[derive(Debug, Clone, Default)]
pub(super) struct WantedPeers {
    /// Each with whether it is away.
    peers: BTreeMap<AuthorKey, bool>,
    away: BTreeSet<AuthorKey>,
}

impl WantedPeers {
    /// Notes a member and whether it is away. Returns whether that is a reason to look whom to dial:
    /// it is new, or was there a moment ago.
    pub(super) fn insert(&mut self, peer: AuthorKey, away: bool) -> bool {
        let was_away = self.peers.insert(peer, away);
        if was_away == Some(away) {
            return false;
        }
        if away {
            self.away.insert(peer);
        } else {
            self.away.remove(&peer);
        }
        was_away.is_none_or(|was_away| away && !was_away)
    }

    /// Forgets a member. Returns whether it was one.
    pub(super) fn remove(&mut self, peer: AuthorKey) -> bool {
        self.away.remove(&peer);
        self.peers.remove(&peer).is_some()
    }

    pub(super) fn contains(&self, peer: AuthorKey) -> bool {
        self.peers.contains_key(&peer)
    }

    /// Whether this is a member that is not away.
    pub(super) fn is_present(&self, peer: AuthorKey) -> bool {
        self.peers.get(&peer) == Some(&false)
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.peers.keys().copied()
    }

    /// Those who are away, ordered by key.
    pub(super) fn away(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.away.iter().copied()
    }
}
