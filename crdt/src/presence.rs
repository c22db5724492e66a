//! Who is there: beacons of members, and what becomes of those that fall silent.
//!
//! Every node speaks now and then in each of its spaces ([`Beacon`]). A member is *alive* while it
//! is connected directly or its beacons come, *suspect* from the moment a connection with it breaks,
//! a neighbour reports it lost or its beacons stop, *away* when nothing refutes that within
//! [`SUSPECT_FOR`], and *left* once it said so. As serf and foca do, a node that hears itself
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
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

pub use beacon::{Beacon, BeaconError, Facts, Lost, VerifiedBeacon};
pub use state::{Reason, Sighting, State, StateChange};

use crate::id::{AuthorKey, SpaceId};
use crate::identity::{Identity, Signature};
use crate::jitter::between;
use crate::limits::BEACON_LOST_MAX;
use crate::planted::is_planted;
use crate::time::{Moment, Now, WallTime};

/// Period of beacons in a small space where something happens: a quarter minute of silence is noticed.
pub const BEACON_PERIOD_MIN: Duration = Duration::from_secs(5);
/// Period above which beacons would say too little.
pub const BEACON_PERIOD_MAX: Duration = Duration::from_secs(60 * 60);
/// Members up to which the shortest period is used.
pub const BEACON_MEMBERS_FLAT: u32 = 5;
/// What each further member adds to the period: a large space carries a beacon in four seconds. Passed on
/// and offered by everyone, a beacon costs each node up to 3 kB, so beacons cost it less than 1 kB/s
/// however large the space is.
pub const BEACON_PERIOD_PER_MEMBER: Duration = Duration::from_secs(4);
/// While a node has nothing new to say its period doubles with each beacon, at most so often.
pub const CALM_DOUBLINGS_MAX: u32 = 4;
/// Least time between two beacons of one node, however much there is to report: a bound on what one
/// flapping link costs.
pub const BEACON_SPACING_MIN: Duration = Duration::from_secs(1);
/// Periods without a beacon after which a member is suspect: two lost beacons are no event.
pub const BEACONS_MISSED: u32 = 3;
/// How long a suspect has to show itself. A refutation takes a few round trips; with it a dead
/// neighbour is away everywhere well within ten seconds.
pub const SUSPECT_FOR: Duration = Duration::from_secs(4);
/// Neighbours of a dead node wait up to this long before they report it, so that most find it
/// reported already.
const REPORT_JITTER: Duration = Duration::from_millis(400);

/// How often a node of a space with this many members sends a beacon while something happens.
pub fn own_beacon_period(members: usize) -> Duration {
    let further = u32::try_from(members).unwrap_or(u32::MAX).saturating_sub(BEACON_MEMBERS_FLAT);
    let grown = BEACON_PERIOD_MIN.saturating_add(BEACON_PERIOD_PER_MEMBER.saturating_mul(further));
    grown.min(BEACON_PERIOD_MAX)
}

/// Fingerprints of a node's statements and documents.
pub type Holdings = ([u8; 8], [u8; 8]);

/// When this node speaks next, and what it has to say besides its facts.
#[derive(Debug)]
struct OwnVoice {
    counter: u64,
    /// When the next beacon is due by the period.
    regular: Moment,
    /// When it is due because there is something to say.
    early: Option<Moment>,
    last: Option<Moment>,
    /// Somebody reported this node lost.
    refuting: bool,
    /// What the last beacon said about charter and documents.
    said: Option<Holdings>,
    /// Somebody came who may not have heard this node for long.
    news: bool,
    /// Beacons in a row with nothing new in them.
    calm: u32,
    /// Neighbours lost since the last beacon, with the counter last heard.
    lost: BTreeMap<AuthorKey, u64>,
}

impl OwnVoice {
    fn next(&self) -> Moment {
        self.early.map_or(self.regular, |early| early.min(self.regular))
    }

    /// Makes the next beacon due at `at` or, if one was sent just before, as close to it as the
    /// spacing allows.
    fn speak_early(&mut self, at: Moment) {
        let at = self.last.map_or(at, |last| at.max(last + BEACON_SPACING_MIN));
        self.early = Some(self.early.map_or(at, |early| early.min(at)));
    }

    /// There is no need to report `author` any more, nor to speak early if that was all.
    fn unsay(&mut self, author: AuthorKey) {
        let removed = self.lost.remove(&author).is_some();
        if removed && self.lost.is_empty() && !self.refuting {
            self.early = None;
        }
    }
}

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
}

impl Presence {
    /// Nobody known yet. `counter` must be above every counter this author used before: the wall
    /// clock in milliseconds, or one more than the last one stored if that is higher. The first
    /// beacon is due at once.
    pub fn new(space: SpaceId, own: AuthorKey, counter: u64, now: Moment) -> Self {
        Self {
            space,
            own,
            voice: OwnVoice {
                counter,
                regular: now,
                early: None,
                last: None,
                refuting: false,
                said: None,
                news: false,
                calm: 0,
                lost: BTreeMap::new(),
            },
            belongs: false,
            members: BTreeMap::new(),
            connected: BTreeSet::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Says who the members are: others are forgotten, new ones are away until heard of.
    pub fn set_members(&mut self, now: Moment, members: impl IntoIterator<Item = AuthorKey>) {
        let mut members: BTreeSet<AuthorKey> = members.into_iter().collect();
        self.belongs = members.remove(&self.own);
        self.members.retain(|author, _| members.contains(author));
        self.deadlines.retain(|(_, author)| members.contains(author));
        self.voice.lost.retain(|author, _| members.contains(author));
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
                    since: now,
                    reason,
                    heard: None,
                    beacon: None,
                    clock_offset_ms: None,
                    deadline: None,
                    looked_at: None,
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
            self.voice.counter = beacon.counter;
            self.voice.speak_early(now);
        }
        let Some(sighting) = self.members.get_mut(&author) else {
            return Vec::new();
        };
        if beacon.space != self.space || beacon.counter <= sighting.counter() {
            return Vec::new();
        }
        let (leaving, lost) = (beacon.leaving, beacon.lost.clone());
        sighting.heard = Some(now);
        sighting.beacon = Some(beacon);
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

    /// A connection with `author` stands.
    pub fn on_peer_up(&mut self, now: Moment, author: AuthorKey) -> Option<StateChange> {
        self.connected.insert(author);
        self.voice.unsay(author);
        self.enter(author, now, State::Alive, Reason::Connected)
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
        if self.voice.lost.len() < BEACON_LOST_MAX {
            self.voice.lost.insert(author, counter);
            self.voice.speak_early(now + between(rng, Duration::ZERO, REPORT_JITTER));
        }
        self.enter(author, now, State::Suspect, Reason::ConnectionLost)
    }

    /// Lets time pass: what is overdue becomes suspect, then away.
    pub fn tick(&mut self, now: Moment) -> Vec<StateChange> {
        let mut changes = Vec::new();
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
        self.voice.early = None;
        self.voice.refuting = false;
        self.voice.last = Some(now.monotonic);
        self.speak(now, identity, facts, false)
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

    /// When [`Self::tick`] or a beacon is due next.
    pub fn next_wakeup(&self) -> Moment {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        deadline.map_or(self.voice.next(), |deadline| deadline.min(self.voice.next()))
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
        self.voice.counter = self.voice.counter.saturating_add(1);
        let lost = std::mem::take(&mut self.voice.lost);
        let beacon = Beacon {
            space: self.space,
            author: self.own,
            counter: self.voice.counter,
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
            State::Suspect => Some(now + SUSPECT_FOR),
            State::Alive | State::Away | State::Left => None,
        };
        if let Some(deadline) = sighting.deadline
            && sighting.looked_at.is_none_or(|looked_at| deadline < looked_at)
        {
            if let Some(later) = sighting.looked_at.replace(deadline) {
                self.deadlines.remove(&(later, author));
            }
            self.deadlines.insert((deadline, author));
        }
        let from = std::mem::replace(&mut sighting.state, to);
        sighting.reason = reason;
        if from == to {
            return None;
        }
        sighting.since = now;
        // Whoever was gone may have forgotten, or never heard, what this node said.
        self.voice.news |= matches!((from, to), (State::Away | State::Left, State::Alive));
        Some(StateChange { author, from, to, reason })
    }
}

#[cfg(test)]
mod tests;
