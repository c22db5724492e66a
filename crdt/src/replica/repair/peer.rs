//! A connected peer, and how far the dialogue with it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::standoff::Standoff;
use super::{Asked, Goals, Task};
use crate::address::Address;
use crate::history::ItemKey;
use crate::id::SpaceId;
use crate::limits::REFUSED_ITEMS_MAX;
use crate::time::Moment;

/// Items that wait to be fetched because a peer offered them, per peer and space. Past it further ones
/// are left to the next reconciliation.
const OFFERED_GOALS_MAX: usize = 65_536;
/// How long what a peer sent of an item and was refused is not asked of it again: the two sides of a fork
/// would otherwise send each other their runs with every repair.
const REFUSED_MEMORY: Duration = Duration::from_secs(10 * 60);

/// A connected peer.
pub(in crate::replica) struct Peer {
    pub(in crate::replica) address: Address,
    pub(in crate::replica) inbound: bool,
    pub(in crate::replica) since: Moment,
    pub(in crate::replica) round_trip: Option<Duration>,
    /// Whether anything came from it over this connection.
    pub(in crate::replica) spoke: bool,
    /// Whether the charter of some space admits it.
    pub(in crate::replica) member: bool,
    pub(in crate::replica) asked: BTreeMap<u64, Asked>,
    pub(super) tasks: VecDeque<Task>,
    /// When the next dialogue starts.
    pub(super) due: Moment,
    pub(super) running: bool,
    pub(super) failures: u32,
    /// Something was found to do in the dialogue under way.
    pub(super) busy: bool,
    /// Dialogues in a row that found nothing.
    pub(super) calm: u32,
    /// Spaces whose statements were pushed because the peer did not see this node as a member.
    pub(super) pushed: BTreeSet<SpaceId>,
    /// Items of which this peer's run was refused, up to which number, and until when that is remembered.
    pub(super) refused: BTreeMap<(SpaceId, ItemKey), (u64, Moment)>,
    /// Spaces in which this peer and this node differ, and nothing is left to fetch.
    pub(super) standoffs: BTreeMap<SpaceId, Standoff>,
    /// This dialogue is the first since the connection came up: the other side has one, too.
    pub(super) greeting: bool,
}

impl Peer {
    pub(in crate::replica) fn new(address: Address, inbound: bool, now: Moment) -> Self {
        Self {
            address,
            inbound,
            since: now,
            round_trip: None,
            spoke: false,
            member: false,
            asked: BTreeMap::new(),
            tasks: VecDeque::new(),
            due: now,
            running: false,
            failures: 0,
            busy: false,
            calm: 0,
            pushed: BTreeSet::new(),
            refused: BTreeMap::new(),
            standoffs: BTreeMap::new(),
            greeting: true,
        }
    }

    /// Remembers that the peer's run of an item, up to `seq`, was refused.
    pub(super) fn refuse(&mut self, now: Moment, item: (SpaceId, ItemKey), seq: u64) {
        self.refused.insert(item, (seq, now + REFUSED_MEMORY));
        if self.refused.len() > REFUSED_ITEMS_MAX {
            let oldest = self.refused.iter().min_by_key(|(_, (_, until))| *until).map(|(item, _)| *item);
            oldest.and_then(|oldest| self.refused.remove(&oldest));
        }
    }

    /// Whether asking for an item up to `seq` would bring what was refused lately.
    pub(super) fn is_refused(&self, now: Moment, item: (SpaceId, ItemKey), seq: u64) -> bool {
        self.refused.get(&item).is_some_and(|(refused, until)| seq <= *refused && now < *until)
    }

    /// Plans a fetch, as part of the one planned already if there is one: a peer that offers faster
    /// than it answers must not fill memory.
    pub(super) fn plan_fetch(&mut self, space: SpaceId, more: Goals) {
        let planned = self.tasks.iter_mut().find_map(|task| match task {
            Task::Fetch { space: planned, goals } if *planned == space => Some(goals),
            _ => None,
        });
        match planned {
            Some(goals) => {
                let room = OFFERED_GOALS_MAX.saturating_sub(goals.len());
                goals.extend(more.into_iter().take(room));
            }
            None => self.tasks.push_back(Task::Fetch { space, goals: more }),
        }
    }
}
