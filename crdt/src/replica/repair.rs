//! The asking side of exchanges: with each peer one dialogue at a time, a task after another.
//!
//! A dialogue starts when a connection comes up, when something is found missing, when a beacon
//! shows a difference, and now and then. It may end anywhere; what it brought is kept, and the next
//! one asks only for the rest.

mod answers;
mod greetings;
mod peer;
mod questions;
mod rest;
mod standoff;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) use peer::Peer;
pub(super) use rest::Rest;
use standoff::Holdings;

use super::core::Core;
use super::effect::Counted;
use super::step::Step;
use super::{compare, wait};
use crate::charter::Charter;
use crate::exchange::{OfferedItem, Reconciliation};
use crate::history::ItemKey;
use crate::id::{AuthorKey, SpaceId, StatementId};
use crate::jitter::between;
use crate::limits::EXCHANGES_MAX;
use crate::store::StoreError;
use crate::time::Moment;

/// Between two dialogues with a peer, while something happens and peers are few.
const REPAIR_PERIOD: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(40));
/// Peers of whom each is asked once a period. With more, each is asked less often: this node asks
/// somebody every seven seconds, and is asked as often.
const REPAIR_PEERS: u32 = 4;
/// While nothing changes here and dialogues find nothing, the pause doubles at most so often.
const REPAIR_CALM_DOUBLINGS: u32 = 3;
/// Longest pause between two dialogues with a peer, however many peers there are and however calm it is.
const REPAIR_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// After something was found missing: most of it is on its way by gossip.
const REPAIR_SOON: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// After a beacon showed a difference: it may be one that gossip is about to close.
const REPAIR_LATER: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(1_500));
/// After a dialogue failed, doubled with each further failure.
const REPAIR_RETRY: Duration = Duration::from_secs(1);
/// After a peer said it is busy, whatever time it named: neither at once nor never.
const REPAIR_BUSY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// Doublings of the retry delay.
const REPAIR_RETRY_DOUBLINGS: u32 = 5;

/// One thing to ask a peer.
pub(super) enum Task {
    Hello,
    Join { space: SpaceId, request: Vec<u8> },
    Statements { space: SpaceId, pull: Pull },
    Push { space: SpaceId, ids: VecDeque<StatementId> },
    Reconcile { space: SpaceId, holdings: Holdings, run: Box<Reconciliation> },
    Offer { space: SpaceId, items: Vec<OfferedItem> },
    Fetch { space: SpaceId, goals: Goals },
}

/// How far the statements of a peer were asked for. The tips stay those of the first question, so that
/// the peer goes on where it stopped, whatever this node learns meanwhile.
pub(super) struct Pull {
    pub(super) tips: Vec<StatementId>,
    pub(super) after: u64,
}

impl Pull {
    pub(super) fn new(charter: &Charter) -> Self {
        Self { tips: charter.told_tips(), after: 0 }
    }
}

/// What is wanted of each item.
pub(super) type Goals = BTreeMap<ItemKey, Goal>;

/// How far an item is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// Up to this sequence number.
    Reach(u64),
    /// The peer's other change at this sequence number: it makes the proof of a fork.
    Contradict(u64),
}

/// A question that waits for its answer.
pub(super) enum Asked {
    Task(Task),
    Fetch { space: SpaceId, goals: Goals, rest: Goals },
    Confirm(wait::Question),
    Compare(compare::Question),
}

impl Core {
    pub(super) fn repair_now(&mut self, now: Moment, peer: AuthorKey) {
        self.repair_by(peer, now);
    }

    pub(super) fn repair_soon(&mut self, now: Moment, peer: AuthorKey) {
        let at = now + between(&mut self.rng, REPAIR_SOON.0, REPAIR_SOON.1);
        self.repair_by(peer, at);
    }

    pub(super) fn repair_later(&mut self, now: Moment, peer: AuthorKey) {
        let at = now + between(&mut self.rng, REPAIR_LATER.0, REPAIR_LATER.1);
        self.repair_by(peer, at);
    }

    fn repair_by(&mut self, peer: AuthorKey, at: Moment) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.due = peer.due.min(at);
        }
    }

    /// Whether a dialogue with this peer may start now. Whoever no charter admits shares one place, so
    /// that strangers who never answer keep nobody waiting; a node that waits to be witnessed knows no
    /// members yet.
    fn may_start(&self) -> impl Fn(&Peer) -> bool + use<> {
        let running = self.peers.values().filter(|peer| peer.running).count();
        let strangers = self.peers.values().filter(|peer| peer.running && !peer.member).count();
        let joining = self.spaces.values().any(|space| space.ticket.is_some());
        let free = running < EXCHANGES_MAX;
        move |peer| free && !peer.running && (peer.member || joining || strangers == 0)
    }

    /// When the next dialogue may start.
    pub(super) fn repair_wakeup(&self) -> Option<Moment> {
        let may_start = self.may_start();
        let due = self.peers.values().filter(|peer| may_start(peer)).map(|peer| peer.due).min();
        due.map(|due| self.rest.after(due))
    }

    /// How long to leave a peer alone after a dialogue.
    fn repair_pause(&mut self) -> Duration {
        let peers = u32::try_from(self.peers.len()).unwrap_or(u32::MAX).max(REPAIR_PEERS);
        between(&mut self.rng, REPAIR_PERIOD.0, REPAIR_PERIOD.1).saturating_mul(peers) / REPAIR_PEERS
    }

    /// When anything changed here: gossip may have lost it on its way to some peer, so none is left alone
    /// for longer than the period.
    pub(super) fn repair_news(&mut self, now: Moment) {
        let held = self.spaces.values().fold(0, |sum: u64, space| {
            let statements = u64::from_be_bytes(space.charter.fingerprint());
            sum.wrapping_add(statements).wrapping_add(space.items.fingerprint())
        });
        if std::mem::replace(&mut self.held_at_last_step, held) == held {
            return;
        }
        let calm = self.peers.iter().filter(|(_, peer)| peer.calm > 0).map(|(key, _)| *key);
        for key in calm.collect::<Vec<_>>() {
            let pause = self.repair_pause();
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.calm = 0;
                if !peer.running {
                    peer.due = peer.due.min(now + pause);
                }
            }
        }
    }

    /// Notes which peers a charter admits.
    pub(super) fn admit_peers(&mut self) {
        for (key, peer) in &mut self.peers {
            peer.member = self.spaces.values().any(|space| space.charter.is_member(*key));
        }
    }

    /// Starts the dialogues that are due, the longest overdue first.
    pub(super) fn repair_tick(&mut self, step: &mut Step<'_>) -> Result<(), StoreError> {
        if self.spaces.is_empty() || self.rest.after(step.now.monotonic) > step.now.monotonic {
            return Ok(());
        }
        let running = self.peers.values().filter(|peer| peer.running).count();
        let may_start = self.may_start();
        let mut due: Vec<(bool, Moment, AuthorKey)> = self
            .peers
            .iter()
            .filter(|(_, peer)| may_start(peer) && peer.due <= step.now.monotonic)
            .map(|(key, peer)| (!peer.member, peer.due, *key))
            .collect();
        // Members first; of the others one at a time, unless this node waits to be witnessed.
        due.sort_unstable();
        let mut strangers = 0;
        let joining = self.spaces.values().any(|space| space.ticket.is_some());
        due.retain(|(stranger, _, _)| {
            strangers += usize::from(*stranger);
            !stranger || joining || strangers == 1
        });
        for (_, _, key) in due.into_iter().take(EXCHANGES_MAX.saturating_sub(running)) {
            let mut tasks: VecDeque<Task> = self.join_tasks().into();
            tasks.push_back(Task::Hello);
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.running = true;
                // Fetches that an offer asked for come first.
                peer.tasks.append(&mut tasks);
            }
            step.count(Counted::Exchanges, 1);
            self.next_task(step, key)?;
        }
        Ok(())
    }

    /// Asks the peer's next question, or ends the dialogue.
    fn next_task(&mut self, step: &mut Step<'_>, key: AuthorKey) -> Result<(), StoreError> {
        while let Some(task) = self.peers.get_mut(&key).and_then(|peer| peer.tasks.pop_front()) {
            if let Some(peer) = self.peers.get_mut(&key) {
                // Of a comparison its end says whether it found anything new.
                let compares = matches!(task, Task::Hello | Task::Reconcile { .. } | Task::Offer { .. });
                peer.busy |= !compares;
            }
            if let Some((asked, request)) = self.question(key, task) {
                self.ask(step, key, asked, &request);
                return Ok(());
            }
        }
        let pause = self.repair_pause();
        if let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.running) {
            let pause = pause.saturating_mul(1 << peer.calm).min(REPAIR_PAUSE_MAX);
            let busy = std::mem::take(&mut peer.busy);
            peer.calm = if busy { 0 } else { REPAIR_CALM_DOUBLINGS.min(peer.calm + 1) };
            peer.running = false;
            peer.failures = 0;
            peer.greeting = false;
            // What came up meanwhile stays due.
            peer.due = peer.due.min(step.now.monotonic + pause);
        }
        Ok(())
    }
}
