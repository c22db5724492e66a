//! Whom to dial, whom to keep, whom to let go, and when to try again.
//!
//! Promises: a partition of any length heals by itself, since seeds, known peers and members are
//! dialled for ever, each at least once a minute while this node has too few connections, and one
//! bridge at a time to whoever is away while it has enough; a heal causes no storm, since dials at
//! once are few and jittered; blocked peers are never dialled and are disconnected; nothing grows
//! past its bound.
//!
//! Leaves out: what an address means, sockets, and the bound on all connections, which the shell
//! enforces.

mod block;
mod known;
mod plan;
mod retry;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

pub use block::BlockError;
pub use known::{AddressSource, PeerRecord};
pub use retry::{RETRY_FIRST, RETRY_MAX};

use known::KnownPeers;
use retry::Retry;
use wanted::WantedPeers;

use crate::address::Address;
use crate::id::AuthorKey;
use crate::limits::{DEGREE_TARGET, SEEDS_MAX};
use crate::time::{Moment, Now};

/// With connections enough, how long after one dial to somebody away the next may follow.
pub const BRIDGE_SPACING: Duration = Duration::from_secs(20);
/// A dial that nobody reported on for this long is taken as failed.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection younger than this is not closed for being one too many: a node that joins needs it
/// to learn of others.
pub const PRUNE_AGE_MIN: Duration = Duration::from_secs(60);
/// Least time between two rounds of closing connections, and most closed in one round: the closed
/// ones dial elsewhere, and should not do so all at once.
pub const PRUNE_SPACING: Duration = Duration::from_secs(10);
/// Most connections closed in one round.
pub const PRUNES_MAX: usize = 4;
/// A connection that broke before this age counts as a failed dial; an older one ends the count.
pub const STABLE_AGE: Duration = Duration::from_secs(10);
/// After contact returns, the back-off of everyone else starts over within this time.
pub const RECOVERY_SPREAD: Duration = Duration::from_secs(5);

/// What a dial aims at: reported back with its result.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DialTarget {
    /// This peer: whoever else answers is refused.
    Peer(AuthorKey),
    /// Whoever answers at a seed's address.
    Seed(Address),
}

/// Which side opened a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// The other side.
    Inbound,
    /// This node, by this dial.
    Outbound(DialTarget),
}

/// What the shell is asked to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectAction {
    /// Dial these addresses, in this order of preference, and report the result for `target`.
    Dial {
        /// What to report back.
        target: DialTarget,
        /// The peer that must answer; for a seed anyone may.
        peer: Option<AuthorKey>,
        /// At most 16.
        addresses: Vec<Address>,
    },
    /// Close every connection with this peer.
    Disconnect {
        /// Whom.
        peer: AuthorKey,
        /// Why.
        reason: DisconnectReason,
    },
}

/// Why a peer is disconnected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DisconnectReason {
    /// It is blocked.
    Blocked,
    /// There are more connections than needed.
    TooMany,
}

impl DisconnectReason {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            DisconnectReason::Blocked => "blocked",
            DisconnectReason::TooMany => "too_many",
        }
    }
}

/// No more seeds can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no more than {SEEDS_MAX} seed addresses can be kept")]
pub struct TooManySeeds;

#[derive(Debug, Clone, Default)]
struct Seed {
    /// Who answered there last.
    peer: Option<AuthorKey>,
    retry: Retry,
}

#[derive(Debug, Clone)]
struct Connection {
    since: Moment,
    outbound: bool,
    /// Whether it leads to a wanted peer.
    wanted: bool,
}

/// Decides about the connections of one node, for all its spaces.
#[derive(Debug)]
pub struct ConnectPolicy {
    own: AuthorKey,
    seeds: BTreeMap<Address, Seed>,
    known: KnownPeers,
    connected: BTreeMap<AuthorKey, Connection>,
    /// Dials under way, and when they are given up.
    dialling: BTreeMap<DialTarget, Moment>,
    blocked: BTreeMap<AuthorKey, Option<Moment>>,
    /// Peers asked to be disconnected and not yet reported down.
    closing: BTreeSet<AuthorKey>,
    /// Members of this node's spaces, other than itself.
    wanted: WantedPeers,
    bridge_next: Moment,
    prune_next: Moment,
    wakeup: Option<Moment>,
}

impl ConnectPolicy {
    /// No seeds, nobody known.
    pub fn new(own: AuthorKey) -> Self {
        Self {
            own,
            seeds: BTreeMap::new(),
            known: KnownPeers::default(),
            connected: BTreeMap::new(),
            dialling: BTreeMap::new(),
            blocked: BTreeMap::new(),
            closing: BTreeSet::new(),
            wanted: WantedPeers::default(),
            bridge_next: Moment(0),
            prune_next: Moment(0),
            wakeup: Some(Moment(0)),
        }
    }

    /// Adds an address the operator gave or a ticket held; it is dialled at once and retried for
    /// ever. Given again, its back-off starts over.
    ///
    /// # Errors
    /// [`TooManySeeds`] past [`SEEDS_MAX`].
    pub fn add_seed(&mut self, now: Moment, address: Address) -> Result<(), TooManySeeds> {
        if self.seeds.len() >= SEEDS_MAX && !self.seeds.contains_key(&address) {
            return Err(TooManySeeds);
        }
        let seed = self.seeds.entry(address).or_default();
        seed.retry.start_over(now);
        if seed.peer == Some(self.own) {
            // The address may belong to somebody else by now.
            seed.peer = None;
        }
        self.wake(now);
        Ok(())
    }

    /// Forgets a seed. Returns whether it was one.
    pub fn remove_seed(&mut self, address: &Address) -> bool {
        self.seeds.remove(address).is_some()
    }

    /// The seeds, with who answered there last.
    pub fn seeds(&self) -> impl Iterator<Item = (&Address, Option<AuthorKey>)> {
        self.seeds.iter().map(|(address, seed)| (address, seed.peer))
    }

    /// Learns where a peer may be dialled. What is new gives hope, and its back-off starts over.
    pub fn on_addresses(
        &mut self,
        now: Moment,
        rng: &mut ChaCha8Rng,
        peer: AuthorKey,
        addresses: &[Address],
        source: AddressSource,
    ) {
        if peer == self.own || addresses.is_empty() {
            return;
        }
        let (connected, wanted) = (&self.connected, &self.wanted);
        let keep = |peer: &AuthorKey| connected.contains_key(peer) || wanted.contains(*peer);
        if self.known.learn(now, rng, peer, addresses, source, keep) {
            self.wake(now);
        }
    }

    /// A connection stands; for each peer the first one counts.
    pub fn on_peer_up(&mut self, now: Now, rng: &mut ChaCha8Rng, peer: AuthorKey, direction: &Direction) {
        let moment = now.monotonic;
        if let Direction::Outbound(target) = direction {
            self.dialling.remove(target);
            if let DialTarget::Seed(address) = target
                && let Some(seed) = self.seeds.get_mut(address)
            {
                seed.peer = Some(peer);
            }
        }
        self.wake(moment);
        if peer == self.own {
            return;
        }
        self.closing.remove(&peer);
        let outbound = matches!(direction, Direction::Outbound(_));
        let (connected, wanted) = (&self.connected, &self.wanted);
        let keep = |peer: &AuthorKey| connected.contains_key(peer) || wanted.contains(*peer);
        let failures = self.known.on_contact(now, peer, keep);
        let alone = self.connected.len() < DEGREE_TARGET / 2;
        let wanted = self.wanted.contains(peer);
        self.connected.entry(peer).or_insert(Connection { since: moment, outbound, wanted });
        if alone && failures > 0 {
            // Contact returns after an absence: others are likely back too.
            self.known.hope(moment, rng, RECOVERY_SPREAD);
            for seed in self.seeds.values_mut() {
                seed.retry.hope(moment, rng, RECOVERY_SPREAD);
            }
        }
    }

    /// The last connection with a peer ended.
    pub fn on_peer_down(&mut self, now: Moment, rng: &mut ChaCha8Rng, peer: AuthorKey) {
        let pruned = self.closing.remove(&peer);
        let Some(connection) = self.connected.remove(&peer) else {
            return;
        };
        let stable = now.since(connection.since) >= STABLE_AGE;
        let retries = self.seeds.values_mut().filter(|seed| seed.peer == Some(peer));
        let retries = retries.map(|seed| &mut seed.retry).chain(self.known.retry_mut(peer));
        for retry in retries {
            if pruned {
                retry.rest(now, PRUNE_AGE_MIN);
            } else {
                retry.lose(now, rng, stable);
            }
        }
        self.wake(now);
    }

    /// A dial did not lead to a connection.
    pub fn on_dial_failed(&mut self, now: Moment, rng: &mut ChaCha8Rng, target: &DialTarget) {
        if self.dialling.remove(target).is_none() {
            return;
        }
        match target {
            DialTarget::Peer(peer) => {
                if let Some(retry) = self.known.retry_mut(*peer) {
                    retry.fail(now, rng);
                }
            }
            DialTarget::Seed(address) => {
                if let Some(seed) = self.seeds.get_mut(address) {
                    seed.retry.fail(now, rng);
                }
            }
        }
        self.wake(now);
    }

    /// A member of one of this node's spaces is to be connected with as far as the degree allows; `away`
    /// as far as presence knows: then a connection with it may bridge a partition.
    pub fn want(&mut self, now: Moment, peer: AuthorKey, away: bool) {
        if peer == self.own {
            return;
        }
        if self.wanted.insert(peer, away) {
            self.wake(now);
        }
        if let Some(connection) = self.connected.get_mut(&peer) {
            connection.wanted = true;
        }
    }

    /// Somebody belongs to none of this node's spaces any more.
    pub fn unwant(&mut self, now: Moment, peer: AuthorKey) {
        if self.wanted.remove(peer) {
            self.wake(now);
        }
        if let Some(connection) = self.connected.get_mut(&peer) {
            connection.wanted = false;
        }
    }

    /// The wanted peers, ordered by key.
    pub fn wanted(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.wanted.peers()
    }

    /// Decides what to do now. To be called when [`Self::next_wakeup`] has come.
    pub fn tick(&mut self, now: Moment, rng: &mut ChaCha8Rng) -> Vec<ConnectAction> {
        plan::tick(self, now, rng)
    }

    /// When to call [`Self::tick`] next, if ever.
    pub fn next_wakeup(&self) -> Option<Moment> {
        self.wakeup
    }

    /// The connected peers, and whether this node opened the connection.
    pub fn connected(&self) -> impl Iterator<Item = (AuthorKey, bool)> + '_ {
        self.connected.iter().map(|(peer, connection)| (*peer, connection.outbound))
    }

    /// Whether a peer is connected.
    pub fn is_connected(&self, peer: AuthorKey) -> bool {
        self.connected.contains_key(&peer)
    }

    /// Where a peer may be dialled, best first.
    pub fn addresses(&self, peer: AuthorKey) -> Vec<Address> {
        self.known.addresses(peer)
    }

    /// Everyone known with an address, ordered by key.
    pub fn known_peers(&self) -> impl Iterator<Item = AuthorKey> + '_ {
        self.known.peers()
    }

    /// Brings the next wake-up forward to `at`.
    fn wake(&mut self, at: Moment) {
        self.wakeup = Some(self.wakeup.map_or(at, |wakeup| wakeup.min(at)));
    }
}

#[cfg(test)]
mod tests;
