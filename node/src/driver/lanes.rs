//! A queue with a lane for each space, taken in turns.
//!
//! Promises: within a lane the order is kept; what belongs to no space (connections, questions about
//! the node) comes first in each round; while several spaces have something waiting, or had a moment
//! ago, one step takes only [`SHARE`] inputs of each, so that nobody's step becomes long through the
//! flood of another; and the last eighth of the room is for spaces that hold little of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use starling_crdt::id::SpaceId;
use starling_crdt::limits::{INBOX_BYTES_MAX, INBOX_INPUTS_MAX};
use starling_crdt::replica::Input;

/// Inputs of one space in a step while others wait too: few enough that the step takes about as long as
/// two single writes do, and enough that a flood still shares its commits.
const SHARE: usize = 8;
/// For how long after its last input a space counts as one that others must leave room for.
const ACTIVE: Duration = Duration::from_secs(1);
/// Room that only spaces with little waiting may take.
const RESERVED_INPUTS: usize = INBOX_INPUTS_MAX / 8;
const RESERVED_BYTES: usize = INBOX_BYTES_MAX / 8;
/// What is little.
const LITTLE_INPUTS: usize = 64;
const LITTLE_BYTES: usize = 1024 * 1024;

#[derive(Default)]
struct Lane {
    waiting: VecDeque<(Input, usize)>,
    bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Lanes {
    /// None is empty.
    lanes: BTreeMap<Option<SpaceId>, Lane>,
    inputs: usize,
    bytes: usize,
    /// Whose turn was last.
    served: Option<SpaceId>,
    /// When a space last put something in.
    active: BTreeMap<SpaceId, Instant>,
}

impl Lanes {
    /// Inputs waiting.
    pub(super) fn len(&self) -> usize {
        self.inputs
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.inputs == 0
    }

    /// Whether an input of so many bytes may be put in.
    pub(super) fn has_room(&self, space: Option<SpaceId>, bytes: usize) -> bool {
        let fits = |inputs: usize, all: usize| self.inputs < inputs && self.bytes + bytes <= all;
        let little = self
            .lanes
            .get(&space)
            .is_none_or(|lane| lane.waiting.len() < LITTLE_INPUTS && lane.bytes + bytes <= LITTLE_BYTES);
        if little {
            fits(INBOX_INPUTS_MAX, INBOX_BYTES_MAX)
        } else {
            fits(INBOX_INPUTS_MAX - RESERVED_INPUTS, INBOX_BYTES_MAX - RESERVED_BYTES)
        }
    }

    /// Puts an input in, whether or not there is room.
    pub(super) fn push(&mut self, space: Option<SpaceId>, input: Input, bytes: usize, now: Instant) {
        let lane = self.lanes.entry(space).or_default();
        lane.waiting.push_back((input, bytes));
        lane.bytes += bytes;
        self.inputs += 1;
        self.bytes += bytes;
        if let Some(space) = space {
            self.active.insert(space, now);
        }
    }

    /// Begins a step at `now`.
    pub(super) fn round(&mut self, now: Instant) -> Round {
        self.active.retain(|space, last| {
            now.saturating_duration_since(*last) < ACTIVE || self.lanes.contains_key(&Some(*space))
        });
        let share = if self.active.len() > 1 { SHARE } else { usize::MAX };
        Round { share, taken: BTreeMap::new() }
    }

    /// The next input in turn, with its bytes; none when nothing waits whose share is not used up.
    pub(super) fn pop(&mut self, round: &mut Round) -> Option<(Input, usize)> {
        let open = |space: &Option<SpaceId>| {
            space.is_none_or(|space| round.taken.get(&space).is_none_or(|taken| *taken < round.share))
        };
        let after = self.lanes.range((std::ops::Bound::Excluded(self.served), std::ops::Bound::Unbounded));
        let space = if self.lanes.contains_key(&None) {
            None
        } else {
            let mut in_turn = after.chain(self.lanes.iter()).map(|(space, _)| *space);
            in_turn.find(open)?
        };
        let lane = self.lanes.get_mut(&space)?;
        let (input, bytes) = lane.waiting.pop_front()?;
        lane.bytes -= bytes;
        if lane.waiting.is_empty() {
            self.lanes.remove(&space);
        }
        self.inputs -= 1;
        self.bytes -= bytes;
        if let Some(space) = space {
            self.served = Some(space);
            *round.taken.entry(space).or_default() += 1;
        }
        Some((input, bytes))
    }
}

/// What one step has taken.
pub(super) struct Round {
    share: usize,
    taken: BTreeMap<SpaceId, usize>,
}

#[cfg(test)]
mod tests {
    use starling_crdt::replica::{LocalRequest, RequestTicket};

    use super::*;

    const FLOODED: Option<SpaceId> = Some(SpaceId([1; 32]));
    const QUIET: Option<SpaceId> = Some(SpaceId([2; 32]));

    fn push(lanes: &mut Lanes, space: Option<SpaceId>, number: u64, now: Instant) -> bool {
        let room = lanes.has_room(space, 256);
        if room {
            let input = Input::Local { ticket: RequestTicket(number), request: LocalRequest::Status };
            lanes.push(space, input, 256, now);
        }
        room
    }

    fn step(lanes: &mut Lanes, most: usize, now: Instant) -> Vec<u64> {
        let mut round = lanes.round(now);
        let mut numbers = Vec::new();
        while numbers.len() < most
            && let Some((Input::Local { ticket, .. }, _)) = lanes.pop(&mut round)
        {
            numbers.push(ticket.0);
        }
        numbers
    }

    #[test]
    fn a_flood_in_one_space_neither_shuts_out_another_nor_makes_its_step_long() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let flood = (0..INBOX_INPUTS_MAX as u64).take_while(|n| push(&mut lanes, FLOODED, *n, now)).count();
        assert_eq!(flood, INBOX_INPUTS_MAX - RESERVED_INPUTS);
        let quiet = 1_000_000;
        assert!(push(&mut lanes, QUIET, quiet, now), "its room is kept");
        let taken = step(&mut lanes, 1_024, now);
        assert!(taken.iter().position(|number| *number == quiet).is_some_and(|at| at < 2), "{taken:?}");
        assert_eq!(taken.len(), SHARE + 1);
        let flooded: Vec<u64> = taken.into_iter().filter(|number| *number != quiet).collect();
        assert_eq!(flooded, (0..SHARE as u64).collect::<Vec<_>>(), "in order");
        // The next step stays short, too, since the quiet one may come again.
        assert_eq!(step(&mut lanes, 1_024, now + ACTIVE / 2).len(), SHARE);
        assert_eq!(step(&mut lanes, 1_024, now + ACTIVE * 2).len(), 1_024, "alone it takes all");
    }

    #[test]
    fn many_spaces_share_a_step_and_none_waits_for_long() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        for space in 0..90 {
            for number in 0..40 {
                assert!(push(&mut lanes, Some(SpaceId([space; 32])), u64::from(space) * 100 + number, now));
            }
        }
        let mut waited = BTreeMap::new();
        for turn in 0.. {
            let taken = step(&mut lanes, 100, now);
            if taken.is_empty() {
                break;
            }
            for number in taken {
                waited.entry(number / 100).or_insert(turn);
            }
        }
        assert_eq!(waited.len(), 90);
        assert!(waited.values().all(|first| *first == 0), "{waited:?}");
        assert!(lanes.is_empty() && lanes.bytes == 0 && lanes.lanes.is_empty());
    }

    #[test]
    fn all_floods_together_stay_within_the_room() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        for number in 0..20 * INBOX_INPUTS_MAX as u64 {
            push(&mut lanes, Some(SpaceId([(number % 90) as u8; 32])), number, now);
        }
        assert!(lanes.len() <= INBOX_INPUTS_MAX);
        assert!(!lanes.has_room(FLOODED, INBOX_BYTES_MAX));
    }

    #[test]
    fn what_belongs_to_no_space_comes_first() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        push(&mut lanes, FLOODED, 1, now);
        push(&mut lanes, None, 2, now);
        push(&mut lanes, None, 3, now);
        assert_eq!(step(&mut lanes, 10, now), [2, 3, 1]);
    }
}
