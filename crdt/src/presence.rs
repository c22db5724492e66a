//! Who is there: beacons of members, and what becomes of those that fall silent.
//!
//! Every node speaks now and then in each of its spaces ([`Beacon`]). A member is *alive* while it
//! is connected directly or its beacons come, *suspect* from the moment a connection with it breaks,
//! a neighbour reports it lost or its beacons stop, *away* when nothing refutes that within
//! [`SUSPECT_FOR`], and *left* from when it said so until it speaks or greets here again. As serf and foca do, a node that hears itself
//! reported lost refutes it with a beacon at once.
//!
//! Promises: expiry goes by the receiver's monotonic clock alone; a replayed or older beacon changes
//! nothing; idle traffic does not grow with the fleet, because the period does, and shrinks while
//! nothing happens, because then the period doubles; nothing is kept
//! about anyone but members and connected peers. A member is never forgotten for being away.
//!
//! Leaves out: how beacons travel, and that a dead connection is noticed: whoever holds connections
//! must report a silent one as down within a few seconds.

mod beacon;
mod health;
mod memory;
mod state;
mod voice;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

pub use beacon::{Beacon, BeaconError, Facts, Lost, VerifiedBeacon};
pub use memory::{Everybody, SightingRecord};
pub use state::{Reason, Seen, Sighting, State, StateChange};
pub use voice::{
    BEACON_MEMBERS_FLAT, BEACON_PERIOD_MAX, BEACON_PERIOD_MIN, BEACON_PERIOD_PER_MEMBER, BEACON_SPACING_MIN,
    CALM_DOUBLINGS_MAX, Holdings, own_beacon_period,
};

use self::health::{Doubts, Health};
use self::voice::{OwnVoice, REPORT_JITTER};
use crate::id::{AuthorKey, SpaceId};
use crate::identity::{Identity, Signature};
use crate::jitter::between;
use crate::planted::is_planted;
use crate::time::{Moment, Now, WallTime};

/// Periods without a beacon after which a member is suspect: two lost beacons are no event.
pub const BEACONS_MISSED: u32 = 3;
/// How long a suspect has to show itself. A refutation takes a few round trips; with it a dead
/// neighbour is away everywhere well within ten seconds. A node that stood still, or was itself reported
/// lost, has more patience, and so has every node with a member that came back from a doubt just now.
pub const SUSPECT_FOR: Duration = Duration::from_secs(4);
/// Beacons of one author that may overtake one another on their way.
const OVERTAKEN_MAX: u64 = 16;

/// Who is there in one space.
#[derive(Debug)]
pub struct Presence {
    space: SpaceId,
    own: AuthorKey,
    voice: OwnVoice,
    /// Whether this node is a member itself.
    belongs: bool,
    members: BTreeMap<AuthorKey, Sighting>,
    connected: BTreeSet<AuthorKey>,
    /// When each member is looked at next, at its deadline or before.
    deadlines: BTreeSet<(Moment, AuthorKey)>,
    health: Health,
    /// Members whose state changed since the store was told.
    news: BTreeSet<AuthorKey>,
}

impl Presence {
    /// Nobody known yet. `counter` must be above every counter this author used before: the wall
    /// clock in milliseconds, or one more than the last one stored if that is higher. The first
    /// beacon is due at once.
    pub fn new(space: SpaceId, own: AuthorKey, counter: u64, now: Moment) -> Self {
        Self {
            space,
            own,
            voice: OwnVoice::new(counter, now),
            belongs: false,
            members: BTreeMap::new(),
            connected: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            health: Health::default(),
            news: BTreeSet::new(),
        }
    }

    /// Says who the members are: others are forgotten, new ones are away until heard of.
    pub fn set_members(&mut self, now: Moment, members: impl IntoIterator<Item = AuthorKey>) {
        let mut members: BTreeSet<AuthorKey> = members.into_iter().collect();
        self.belongs = members.remove(&self.own);
        let gone = self.members.keys().filter(|author| !members.contains(author));
        self.news.extend(gone);
        self.members.retain(|author, _| members.contains(author));
        self.deadlines.retain(|(_, author)| members.contains(author));
        self.voice.report_only(|author| members.contains(author));
        for author in members {
            let connected = self.connected.contains(&author);
            self.members.entry(author).or_insert_with(|| {
                let (state, reason) = if connected {
                    (State::Alive, Reason::Connected)
                } else {
                    (State::Away, Reason::NeverHeard)
                };
                Sighting {
                    state,
                    since: now.into(),
                    reason,
                    heard: None,
                    beacon: None,
                    clock_offset_ms: None,
                    deadline: None,
                    looked_at: None,
                    spared: false,
                    fresh: false,
                    corrected: None,
                    doubts: Doubts::default(),
                }
            });
        }
    }

    /// Takes in a beacon of this space. Those of strangers, and those with a counter not above the
    /// last one heard, are ignored. One of this node's own key with a higher counter than its own
    /// comes from an earlier process whose clock was ahead: the next beacon goes above it.
    pub fn on_beacon(
        &mut self,
        now: Moment,
        rng: &mut ChaCha8Rng,
        beacon: VerifiedBeacon,
    ) -> Vec<StateChange> {
        let author = beacon.author;
        if author == self.own && beacon.space == self.space && beacon.counter > self.voice.counter {
            self.voice.overtaken(now, beacon.counter);
        }
        let Some(sighting) = self.members.get_mut(&author) else {
            return Vec::new();
        };
        if beacon.space != self.space || beacon.counter <= sighting.counter() {
            return Vec::new();
        }
        let (leaving, lost) = (beacon.leaving, beacon.lost.clone());
        if sighting.beacon.is_none() {
            self.news.insert(author);
        }
        sighting.heard = Some(now.into());
        sighting.beacon = Some(beacon);
        sighting.fresh = true;
        self.voice.unsay(author);
        let connected = self.connected.contains(&author);
        let own = if leaving {
            self.enter(author, now, State::Left, Reason::Farewell)
        } else if connected {
            self.enter(author, now, State::Alive, Reason::Connected)
        } else {
            self.enter(author, now, State::Alive, Reason::Heard)
        };
        let mut changes: Vec<StateChange> = own.into_iter().collect();
        for lost in lost {
            changes.extend(self.on_report(now, rng, author, lost));
        }
        changes
    }

    /// Compares the clock of the author of the beacon taken in last with this node's.
    pub fn on_clock(&mut self, author: AuthorKey, theirs: WallTime, own: WallTime) {
        if let Some(sighting) = self.members.get_mut(&author) {
            sighting.clock_offset_ms = Some(theirs.0.saturating_sub(own.0));
        }
    }

    /// A connection with `author` stands. That alone takes no farewell back: the node may have left only
    /// this space.
    pub fn on_peer_up(&mut self, now: Moment, author: AuthorKey) -> Option<StateChange> {
        self.connected.insert(author);
        self.voice.unsay(author);
        if self.member(author)?.state == State::Left {
            return None;
        }
        self.enter(author, now, State::Alive, Reason::Connected)
    }

    /// `author`, connected for so long, greeted in this space, which only a node does that holds it. If the
    /// connection is younger than its farewell, it is back.
    pub fn on_greeting(
        &mut self,
        now: Moment,
        author: AuthorKey,
        connected: Duration,
    ) -> Option<StateChange> {
        let seen = self.member(author)?;
        let is_back = seen.state == State::Left && connected < seen.since.age(now);
        if is_back { self.enter(author, now, State::Alive, Reason::Connected) } else { None }
    }

    /// The last connection with `author` ended. It becomes suspect, and the next beacon, which is
    /// due soon, reports the loss.
    pub fn on_peer_down(
        &mut self,
        now: Moment,
        rng: &mut ChaCha8Rng,
        author: AuthorKey,
    ) -> Option<StateChange> {
        self.connected.remove(&author);
        let sighting = self.members.get(&author)?;
        if sighting.state != State::Alive {
            return None;
        }
        let counter = sighting.counter();
        self.voice.report(author, counter, now + between(rng, Duration::ZERO, REPORT_JITTER));
        self.enter(author, now, State::Suspect, Reason::ConnectionLost)
    }

    /// Lets time pass: what is overdue becomes suspect, then away. When this node stood still meanwhile,
    /// suspects first get their time anew: nobody could be heard.
    pub fn tick(&mut self, now: Moment) -> Vec<StateChange> {
        let mut changes = Vec::new();
        let first = self.deadlines.first().map(|(at, _)| *at);
        let stood_still = first.is_some_and(|due| Health::stood_still(now, due));
        if stood_still {
            self.health.worsens(now);
        }
        while let Some((at, author)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            let Some(sighting) = self.members.get_mut(&author) else {
                continue;
            };
            sighting.looked_at = sighting.deadline.filter(|deadline| *deadline > at);
            if let Some(later) = sighting.looked_at {
                self.deadlines.insert((later, author));
                continue;
            }
            if sighting.deadline.is_none() {
                continue;
            }
            let (state, reason) = (sighting.state, sighting.reason);
            changes.extend(match state {
                State::Suspect if stood_still && !std::mem::replace(&mut sighting.spared, true) => {
                    let deadline = now + self.health.patience(now, &sighting.doubts);
                    sighting.deadline = Some(deadline);
                    look_in_time(&mut self.deadlines, author, sighting);
                    None
                }
                State::Alive => self.enter(author, now, State::Suspect, Reason::Silent),
                State::Suspect => self.enter(author, now, State::Away, reason),
                State::Away | State::Left => None,
            });
        }
        changes
    }

    /// Compares what this node holds with what it said last. A difference, or somebody who is back, ends
    /// the calm: the next beacon comes within the period of this space, not all nodes' at once.
    pub fn notice(&mut self, now: Moment, rng: &mut ChaCha8Rng, holdings: Holdings) {
        let voice = &mut self.voice;
        if voice.calm == 0 || !(voice.news || voice.said != Some(holdings)) {
            return;
        }
        voice.calm = 0;
        let period = own_beacon_period(self.members.len() + 1);
        voice.regular = voice.regular.min(now + between(rng, period / 2, period));
    }

    /// Whether a beacon of this node is due.
    pub fn beacon_due(&self, now: Moment) -> bool {
        self.voice.next() <= now
    }

    /// Somebody is there who has not heard this node yet: its next beacon is due within a moment.
    pub fn speak_soon(&mut self, now: Moment, rng: &mut ChaCha8Rng) {
        self.voice.speak_early(now + between(rng, Duration::ZERO, REPORT_JITTER));
    }

    /// Makes this node's next beacon, and sets the time of the one after.
    pub fn beacon(
        &mut self,
        now: Now,
        rng: &mut ChaCha8Rng,
        identity: &Identity,
        facts: Facts,
    ) -> VerifiedBeacon {
        let said = Some((facts.statements, facts.documents));
        let calm = said == self.voice.said && !self.voice.news;
        self.voice.calm = if calm { CALM_DOUBLINGS_MAX.min(self.voice.calm + 1) } else { 0 };
        (self.voice.said, self.voice.news) = (said, false);
        let period = self.own_period();
        let (low, high) = (period.mul_f64(0.85), period.mul_f64(1.15));
        let pause = between(rng, low, high);
        let talks_on = is_planted("talk-without-end");
        self.voice.regular = now.monotonic + if talks_on { pause / 500 } else { pause };
        (self.voice.early, self.voice.report) = (None, None);
        self.voice.refuting = false;
        self.voice.last = Some(now.monotonic);
        self.speak(now, identity, facts, false)
    }

    /// Whether another process speaks in this space with this node's identity.
    pub fn has_twin(&self, now: Moment) -> bool {
        self.voice.has_twin(now)
    }

    /// Makes this node's last beacon: it stops.
    pub fn farewell(&mut self, now: Now, identity: &Identity, facts: Facts) -> VerifiedBeacon {
        self.speak(now, identity, facts, true)
    }

    /// The counter of the last beacon made: worth storing, so that a clock set back does not make
    /// the next start unheard.
    pub fn own_counter(&self) -> u64 {
        self.voice.counter
    }

    /// When [`Self::tick`] or a beacon is due next. Who is no member has nothing to say.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        deadline.into_iter().chain(self.belongs.then(|| self.voice.next())).min()
    }

    /// What to show the author of this beacon, which he sent himself: one of his that was heard before and has
    /// a higher number. His clock was set back, and only beacons above that number will be heard. Nobody is
    /// shown one more often than members speak.
    pub fn correction(&mut self, now: Moment, beacon: &VerifiedBeacon) -> Option<&VerifiedBeacon> {
        let sighting = self.members.get_mut(&beacon.author)?;
        let is_recent = sighting.corrected.is_some_and(|at| now.since(at) < BEACON_PERIOD_MIN);
        let held = sighting.beacon.as_ref()?;
        if is_recent || held.counter <= beacon.counter.saturating_add(OVERTAKEN_MAX) {
            return None;
        }
        sighting.corrected = Some(now);
        Some(held)
    }

    /// Every member but this node, ordered by key.
    pub fn members(&self) -> impl Iterator<Item = (AuthorKey, &Sighting)> {
        self.members.iter().map(|(author, sighting)| (*author, sighting))
    }

    /// One member.
    pub fn member(&self, author: AuthorKey) -> Option<&Sighting> {
        self.members.get(&author)
    }

    /// Whether this node is a member itself: before it is witnessed it is nobody in the space.
    pub fn belongs(&self) -> bool {
        self.belongs
    }

    /// Whether a connection with `author` stands.
    pub fn is_connected(&self, author: AuthorKey) -> bool {
        self.connected.contains(&author)
    }

    /// How often this node sends a beacon now.
    pub fn own_period(&self) -> Duration {
        let lively = own_beacon_period(self.members.len() + 1);
        lively.saturating_mul(1 << self.voice.calm).min(BEACON_PERIOD_MAX)
    }

    fn speak(&mut self, now: Now, identity: &Identity, facts: Facts, leaving: bool) -> VerifiedBeacon {
        let counter = self.voice.count();
        let lost = std::mem::take(&mut self.voice.lost);
        let beacon = Beacon {
            space: self.space,
            author: self.own,
            counter,
            facts,
            period_ms: u32::try_from(self.own_period().as_millis()).unwrap_or(u32::MAX),
            leaving,
            lost: lost.into_iter().map(|(author, counter)| Lost { author, counter }).collect(),
            time: now.wall,
            signature: Signature([0; Signature::LEN]),
        };
        VerifiedBeacon::sign(beacon, identity)
    }

    fn on_report(
        &mut self,
        now: Moment,
        rng: &mut ChaCha8Rng,
        reporter: AuthorKey,
        lost: Lost,
    ) -> Option<StateChange> {
        if lost.author == self.own {
            // Still here: say so, unless a beacon that the reporter had not heard was sent just now.
            let just_spoke = self.voice.last.is_some_and(|last| now.since(last) < BEACON_SPACING_MIN);
            if lost.counter >= self.voice.counter || !just_spoke {
                // That link is bad, or this node was too slow to answer: it may misjudge others, too. Every
                // neighbour reports one loss, and a report that was refuted may still be on its way.
                if lost.counter >= self.voice.counter && !self.voice.refuting {
                    self.health.worsens(now);
                }
                self.voice.refuting = true;
                self.voice.speak_early(now + between(rng, Duration::ZERO, REPORT_JITTER / 8));
            }
            return None;
        }
        if self.voice.lost.get(&lost.author).is_some_and(|counter| *counter <= lost.counter) {
            // Somebody was faster: everyone knows what this node would have reported.
            self.voice.unsay(lost.author);
        }
        let sighting = self.members.get(&lost.author)?;
        let unrefuted = sighting.state == State::Alive && sighting.counter() <= lost.counter;
        if !unrefuted || self.connected.contains(&lost.author) {
            return None;
        }
        self.enter(lost.author, now, State::Suspect, Reason::ReportedLost(reporter))
    }

    /// Puts a member into a state and sets its deadline; a change only if the state differs.
    fn enter(&mut self, author: AuthorKey, now: Moment, to: State, reason: Reason) -> Option<StateChange> {
        let connected = self.connected.contains(&author);
        let sighting = self.members.get_mut(&author)?;
        sighting.deadline = match to {
            State::Alive if !connected => Some(now + sighting.period() * BEACONS_MISSED),
            State::Suspect => Some(now + self.health.patience(now, &sighting.doubts)),
            State::Alive | State::Away | State::Left => None,
        };
        look_in_time(&mut self.deadlines, author, sighting);
        let from = std::mem::replace(&mut sighting.state, to);
        // What this node did not see itself, before it started, is no doubt of the member.
        let was_seen = !matches!(sighting.reason, Reason::NeverHeard | Reason::Remembered);
        sighting.reason = reason;
        if from == to {
            return None;
        }
        sighting.fresh = true;
        sighting.since = now.into();
        sighting.spared = false;
        if to == State::Alive && was_seen && from != State::Left {
            sighting.doubts.clear(now);
        }
        // Whoever was gone may have forgotten, or never heard, what this node said.
        self.voice.news |= matches!((from, to), (State::Away | State::Left, State::Alive));
        let change = StateChange { author, from, to, reason };
        if !change.is_doubt() {
            self.news.insert(author);
        }
        Some(change)
    }
}

/// Sees to it that a member is looked at no later than at its deadline.
fn look_in_time(deadlines: &mut BTreeSet<(Moment, AuthorKey)>, author: AuthorKey, sighting: &mut Sighting) {
    if let Some(deadline) = sighting.deadline
        && sighting.looked_at.is_none_or(|looked_at| deadline < looked_at)
    {
        if let Some(later) = sighting.looked_at.replace(deadline) {
            deadlines.remove(&(later, author));
        }
        deadlines.insert((deadline, author));
    }
}

#[cfg(test)]
mod tests;
