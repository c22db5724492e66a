//! What time alone brings about: beacons, dials, dialogues, and the upkeep of memory and store.
//!
//! A node with nothing to do sleeps: whatever is due only while there is something to look after asks for
//! no wake-up when there is nothing.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use super::core::Core;
use super::effect::Effect;
use super::step::Step;
use crate::connect::ConnectAction;
use crate::id::AuthorKey;
use crate::limits::{DOCUMENTS_SPARED_BYTES, HISTORIES_SPARED_BYTES, REQUEST_MEMORY};
use crate::presence::{Everybody, Reason, Sighting, State};
use crate::store::tables::{RequestRecord, record};
use crate::store::{KeyRange, StoreError, StoreRead, Table};
use crate::time::{Moment, WallTime};

/// Least time between two rounds over remembered requests that drop what has expired.
const FORGET_REQUESTS_EVERY: Duration = Duration::from_secs(60);
/// Between two pages of a round.
const FORGET_REQUESTS_PAUSE: Duration = Duration::from_secs(1);
/// Remembered requests looked at in one page.
const FORGET_REQUESTS_ROWS: usize = 512;
/// Between two passes that drop built documents and indexes not used since the one before.
const DROP_IDLE_EVERY: Duration = Duration::from_secs(15);
/// Least time between two writings of peers' addresses to the store: a crash forgets no more than that,
/// and peers that come and go cause no more commits.
const PEERS_STORED_EVERY: Duration = Duration::from_secs(2);
/// After a commit failed, how long until what it said of peers and members is told again: no more often, for
/// each further failure makes this node read its store anew.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Time between two writings of everything known of members; whose state changed is written with the peers.
/// After a crash a member's figures look that much older than they are.
const SIGHTINGS_STORED_EVERY: Duration = Duration::from_secs(600);

/// When upkeep is due next.
pub(super) struct Upkeep {
    store_peers_at: Moment,
    store_sightings_at: Moment,
    /// Absent while no request is remembered.
    forget_requests_at: Option<Moment>,
    /// The last request looked at in the round under way.
    forget_after: Vec<u8>,
    /// The first expiry met in the round under way.
    first_expiry: Option<WallTime>,
    drop_idle_at: Moment,
}

impl Upkeep {
    /// What the store remembers is not known yet, so it is looked at soon.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            store_peers_at: now,
            store_sightings_at: now + SIGHTINGS_STORED_EVERY,
            forget_requests_at: Some(now),
            forget_after: Vec::new(),
            first_expiry: None,
            drop_idle_at: now + DROP_IDLE_EVERY,
        }
    }
}

impl Core {
    /// What time alone brings about.
    pub(super) fn tick(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let now = step.now.monotonic;
        self.admit_ripe(step)?;
        let mut from = Bound::Unbounded;
        while let Some((space, held)) = self.spaces.range_mut((from, Bound::Unbounded)).next() {
            let space = *space;
            from = Bound::Excluded(space);
            let changes = held.presence.tick(now);
            // Before it is witnessed a node is nobody in the space; then it speaks at once.
            let belongs = held.presence.belongs();
            if belongs {
                let holdings = (held.charter.fingerprint(), held.items.fingerprint().to_be_bytes());
                held.presence.notice(now, &mut self.rng, holdings);
            }
            let speaks = belongs && held.presence.beacon_due(now);
            self.member_changes(step, space, changes);
            if speaks {
                self.speak(step, space, false);
            }
        }
        self.connect_tick(step);
        self.repair_news(now);
        self.repair_tick(step)?;
        self.wait_tick(step);
        self.compare_tick(step);
        self.leave_tick(step)?;
        self.compact_tick(step)?;
        self.check_tick(step);
        if now >= self.upkeep.store_sightings_at {
            self.upkeep.store_sightings_at = now + SIGHTINGS_STORED_EVERY;
            self.store_sightings(step, Everybody::Too);
        }
        if now >= self.upkeep.store_peers_at && self.is_to_be_stored() {
            self.upkeep.store_peers_at = now + PEERS_STORED_EVERY;
            self.store_peers(step);
            self.store_sightings(step, Everybody::Not);
        }
        // What this step loaded counts as used, so nothing it still needs is dropped.
        if now >= self.upkeep.drop_idle_at {
            self.upkeep.drop_idle_at = now + DROP_IDLE_EVERY;
            self.histories.drop_idle(HISTORIES_SPARED_BYTES);
            self.views.drop_idle(DOCUMENTS_SPARED_BYTES);
        }
        if self.upkeep.forget_requests_at.is_some_and(|at| at <= now) {
            self.upkeep.forget_requests_at = Some(now + FORGET_REQUESTS_EVERY);
            self.forget_requests(step)?;
        }
        Ok(())
    }

    /// Tells the connect policy about one member: whoever is away in every space it shares with this
    /// node may be behind a partition. Whoever said farewell is not.
    pub(super) fn want(&mut self, now: Moment, member: AuthorKey) {
        let mut seen = self.spaces.values().filter_map(|space| space.presence.member(member)).peekable();
        if seen.peek().is_none() {
            self.connect.unwant(now, member);
        } else {
            // Nobody knows yet what became of those that are only remembered.
            let away = |seen: &Sighting| seen.state == State::Away || seen.reason == Reason::Remembered;
            let away = seen.all(away);
            self.connect.want(now, member, away);
        }
    }

    /// Who belongs here, after charters changed.
    fn want_members(&mut self, now: Moment) {
        self.admit_peers();
        let members = self.spaces.values().flat_map(|space| space.presence.members());
        let known = members.map(|(member, _)| member).chain(self.connect.wanted());
        for member in known.collect::<BTreeSet<AuthorKey>>() {
            self.want(now, member);
        }
    }

    fn connect_tick(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        if std::mem::take(&mut self.members_changed) {
            self.want_members(now);
        }
        if self.connect.next_wakeup().is_none_or(|wakeup| wakeup > now) {
            return;
        }
        let blocked: Vec<AuthorKey> = self.connect.blocked().map(|(peer, _)| peer).collect();
        for action in self.connect.tick(now, &mut self.rng) {
            step.effects.push(match action {
                ConnectAction::Dial { target, peer, addresses } => Effect::Dial { target, peer, addresses },
                ConnectAction::Disconnect { peer, reason } => {
                    Effect::Disconnect { peer, reason: reason.code() }
                }
            });
        }
        // Blocks that ran out are lifted in the network as well.
        let over = blocked.into_iter().filter(|peer| !self.connect.is_blocked(now, *peer));
        step.effects.extend(over.map(Effect::Unblock));
    }

    /// Stores what changed about peers since the last time.
    pub(super) fn store_peers(&mut self, step: &mut Step<'_>) {
        for peer in self.connect.take_changed() {
            self.store_peer(step, peer);
        }
    }

    /// A commit failed: the store may not know what was told it of peers.
    pub(super) fn tell_again(&mut self, now: Moment) {
        self.connect.forget_stored();
        self.rest.store_failed(now, &mut self.rng);
        self.upkeep.store_peers_at = now + TOLD_AGAIN_AFTER;
    }

    /// Whether the store does not know yet what is new about peers and members.
    fn is_to_be_stored(&self) -> bool {
        self.connect.has_changed() || self.spaces.values().any(|space| space.presence.has_news())
    }

    /// Stores how members stand.
    pub(super) fn store_sightings(&mut self, step: &mut Step<'_>, everybody: Everybody) {
        for space in self.spaces.values_mut() {
            for (member, seen) in space.presence.take_news(step.now, everybody) {
                let key = space.index.sighting(member);
                match seen {
                    Some(seen) => step.transaction.put(Table::Sightings, key, &seen),
                    None => step.transaction.remove(Table::Sightings, key),
                }
            }
        }
    }

    pub(super) fn store_peer(&mut self, step: &mut Step<'_>, peer: AuthorKey) {
        match self.connect.record(step.now, peer) {
            Some(known) => step.transaction.put(Table::Peers, peer.0.to_vec(), &known),
            None => step.transaction.remove(Table::Peers, peer.0.to_vec()),
        }
    }

    /// Drops remembered requests that have expired, a page at a time, round and round. After a round the
    /// next begins when the first of those left expires, if any is left.
    fn forget_requests(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let now = step.now;
        let after = std::mem::take(&mut self.upkeep.forget_after);
        let range = KeyRange { start: Bound::Excluded(after.as_slice()), end: Bound::Unbounded };
        let rows = step.transaction.rows(Table::Requests, range, FORGET_REQUESTS_ROWS)?;
        let more = rows.len() == FORGET_REQUESTS_ROWS;
        if more {
            self.upkeep.forget_after = rows.last().map(|(key, _)| key.clone()).unwrap_or_default();
        }
        for (key, value) in rows {
            let known: RequestRecord = record(&value, "request record")?;
            if known.expires < now.wall {
                step.transaction.remove(Table::Requests, key);
            } else {
                let first = self.upkeep.first_expiry.get_or_insert(known.expires);
                *first = known.expires.min(*first);
            }
        }
        self.upkeep.forget_requests_at = if more {
            Some(now.monotonic + FORGET_REQUESTS_PAUSE)
        } else {
            self.upkeep.first_expiry.take().map(|first| {
                let left = u64::try_from(first.0.saturating_sub(now.wall.0)).unwrap_or(0);
                now.monotonic + FORGET_REQUESTS_EVERY.max(Duration::from_millis(left.saturating_add(1)))
            })
        };
        Ok(())
    }

    /// A request was remembered until `expires`.
    pub(super) fn remembers_request(&mut self, now: Moment, expires: WallTime) {
        // The round under way may be past its row already.
        self.upkeep.first_expiry.get_or_insert(expires);
        self.upkeep.forget_requests_at.get_or_insert(now + REQUEST_MEMORY);
    }

    /// When time alone will bring something about.
    pub(super) fn next_wakeup(&self) -> Moment {
        let presence = self.spaces.values().filter_map(|space| space.presence.next_wakeup());
        presence
            .chain(self.connect.next_wakeup())
            .chain(self.repair_wakeup().filter(|_| !self.spaces.is_empty()))
            .chain(self.wait_wakeup())
            .chain(self.compare_wakeup())
            .chain(self.compact_wakeup())
            .chain(self.check_wakeup())
            .chain((!self.leaving.is_empty()).then_some(self.now))
            .chain(self.is_to_be_stored().then_some(self.upkeep.store_peers_at))
            .chain(self.holds_much().then_some(self.upkeep.drop_idle_at))
            .chain(self.upkeep.forget_requests_at)
            .fold(Moment(u64::MAX), Moment::min)
    }

    /// Whether so much is held in memory that what falls idle is dropped.
    fn holds_much(&self) -> bool {
        self.histories.bytes() > HISTORIES_SPARED_BYTES || self.views.bytes() > DOCUMENTS_SPARED_BYTES
    }
}
