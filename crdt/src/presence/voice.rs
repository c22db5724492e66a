//! When this node speaks in a space, and what it has to say besides its facts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::AuthorKey;
use crate::limits::BEACON_LOST_MAX;
use crate::time::Moment;

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
/// Neighbours of a dead node wait up to this long before they report it, so that most find it
/// reported already.
pub(super) const REPORT_JITTER: Duration = Duration::from_millis(400);

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
pub(super) struct OwnVoice {
    pub(super) counter: u64,
    /// When the next beacon is due by the period.
    pub(super) regular: Moment,
    /// When it is due because others wait for a word of this node.
    pub(super) early: Option<Moment>,
    /// When it is due because there are losses to report.
    pub(super) report: Option<Moment>,
    pub(super) last: Option<Moment>,
    /// Somebody reported this node lost.
    pub(super) refuting: bool,
    /// What the last beacon said about charter and documents.
    pub(super) said: Option<Holdings>,
    /// Somebody came who may not have heard this node for long.
    pub(super) news: bool,
    /// Beacons in a row with nothing new in them.
    pub(super) calm: u32,
    /// Neighbours lost since the last beacon, with the counter last heard.
    pub(super) lost: BTreeMap<AuthorKey, u64>,
    /// Who else speaks as this node.
    twin: Twin,
}

/// Signs that another process runs with this node's identity.
#[derive(Debug, Default)]
struct Twin {
    /// Times in a row that this node spoke and was then overtaken.
    rounds: u32,
    /// When it was overtaken last, and whether it spoke since.
    overtaken: Option<Moment>,
    spoke: bool,
}

/// Times that a beacon of this node's own key came with a number above its last one, each after this node went
/// above the one before, from which on another process must be running with its identity: what an earlier
/// process of its own said is overtaken at once, whatever its clock was.
const TWIN_ROUNDS: u32 = 3;
/// For how long after the last sign it counts: beacons of a calm node come every eighty seconds.
const TWIN_TOLD: Duration = Duration::from_secs(600);

impl OwnVoice {
    /// The first beacon is due at once.
    pub(super) fn new(counter: u64, now: Moment) -> Self {
        Self {
            counter,
            regular: now,
            early: None,
            report: None,
            last: None,
            refuting: false,
            said: None,
            news: false,
            calm: 0,
            lost: BTreeMap::new(),
            twin: Twin::default(),
        }
    }

    /// A beacon of this node's own key came with this number, above its own. The next goes above it: at once,
    /// unless somebody else goes on speaking as this node, whom no haste would silence.
    pub(super) fn overtaken(&mut self, now: Moment, counter: u64) {
        self.counter = counter;
        if self.twin.overtaken.is_some_and(|before| now.since(before) >= TWIN_TOLD) {
            self.twin.rounds = 0;
        }
        if self.twin.overtaken.is_none() || self.twin.spoke {
            self.twin.rounds = self.twin.rounds.saturating_add(1);
        }
        (self.twin.overtaken, self.twin.spoke) = (Some(now), false);
        if self.twin.rounds < TWIN_ROUNDS {
            self.speak_early(now);
        }
    }

    /// Takes the next number.
    pub(super) fn count(&mut self) -> u64 {
        self.twin.spoke = true;
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    /// Whether another process speaks as this node.
    pub(super) fn has_twin(&self, now: Moment) -> bool {
        let lately = |overtaken: Moment| now.since(overtaken) < TWIN_TOLD;
        self.twin.rounds >= TWIN_ROUNDS && self.twin.overtaken.is_some_and(lately)
    }

    pub(super) fn next(&self) -> Moment {
        self.early.into_iter().chain(self.report).fold(self.regular, Moment::min)
    }

    /// Makes the next beacon due at `at` or, if one was sent just before, as close to it as the
    /// spacing allows.
    pub(super) fn speak_early(&mut self, at: Moment) {
        let at = self.spaced(at);
        self.early = Some(self.early.map_or(at, |early| early.min(at)));
    }

    /// Has the next beacon report the loss of `author`, about when `at` says. With more losses than a
    /// beacon holds, others report the rest.
    pub(super) fn report(&mut self, author: AuthorKey, counter: u64, at: Moment) {
        if self.lost.len() < BEACON_LOST_MAX {
            self.lost.insert(author, counter);
            let at = self.spaced(at);
            self.report = Some(self.report.map_or(at, |report| report.min(at)));
        }
    }

    /// There is no need to report `author` any more. A beacon that others wait for stays due.
    pub(super) fn unsay(&mut self, author: AuthorKey) {
        self.report_only(|lost| *lost != author);
    }

    /// Keeps of what there is to report only what is about these.
    pub(super) fn report_only(&mut self, about: impl Fn(&AuthorKey) -> bool) {
        self.lost.retain(|author, _| about(author));
        if self.lost.is_empty() {
            self.report = None;
        }
    }

    fn spaced(&self, at: Moment) -> Moment {
        self.last.map_or(at, |last| at.max(last + BEACON_SPACING_MIN))
    }
}
