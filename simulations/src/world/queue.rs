//! What will happen, in (time, sequence) order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual time since the start of a run, in microseconds. Nobody inside the run sees it: each node
/// has a clock of its own.
pub type Time = u64;

/// One second of virtual time.
pub const SECOND: Time = 1_000_000;

/// One millisecond of virtual time.
pub const MILLISECOND: Time = 1_000;

/// A stretch of time whose events are put in order together.
const STRETCH: Time = 512;
/// Stretches after the present one whose events lie in a list each: a second and a bit, in which nearly
/// everything that is on its way through a network arrives. A multiple of 64.
const STRETCHES: usize = 2_048;

/// When, in which order of scheduling, and the event's place.
type Key = (Time, u64, u32);

/// The events to come. Small keys are put in order; the events themselves stay where they were put.
///
/// A heap of all of them would be as large as everything under way in a fleet of hundreds. So only the
/// present stretch of time has one, small enough for a processor's nearest cache; what comes soon is
/// gathered by its stretch, and what comes later has a heap of its own.
pub struct Queue<E> {
    /// Number of the present stretch.
    present: u64,
    /// Events of the present stretch and before.
    near: BinaryHeap<Reverse<Key>>,
    /// Events of the stretches that follow, by the remainder of the stretch's number.
    soon: Vec<Vec<Key>>,
    /// Which of these lists hold any, one bit each.
    filled: [u64; STRETCHES / 64],
    far: BinaryHeap<Reverse<Key>>,
    events: Vec<Option<E>>,
    /// Places that are empty.
    free: Vec<u32>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            present: 0,
            near: BinaryHeap::new(),
            soon: vec![Vec::new(); STRETCHES],
            filled: [0; STRETCHES / 64],
            far: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            sequence: 0,
        }
    }
}

fn stretch_of(at: Time) -> u64 {
    at / STRETCH
}

fn slot_of(stretch: u64) -> usize {
    (stretch % STRETCHES as u64) as usize
}

impl<E> Queue<E> {
    /// Lets `event` happen at `at`, after everything scheduled for that moment before.
    pub fn schedule(&mut self, at: Time, event: E) {
        self.sequence += 1;
        let place = self.free.pop().unwrap_or(self.events.len() as u32);
        match self.events.get_mut(place as usize) {
            Some(slot) => *slot = Some(event),
            None => self.events.push(Some(event)),
        }
        let key = (at, self.sequence, place);
        let stretch = stretch_of(at);
        if stretch <= self.present {
            self.near.push(Reverse(key));
        } else if stretch < self.present + STRETCHES as u64 {
            let slot = slot_of(stretch);
            self.soon[slot].push(key);
            self.filled[slot / 64] |= 1 << (slot % 64);
        } else {
            self.far.push(Reverse(key));
        }
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Time, E)> {
        while self.near.is_empty() {
            self.enter(self.next_stretch()?);
        }
        let Reverse((at, _, place)) = self.near.pop()?;
        self.free.push(place);
        // Every key names a place that was filled with it.
        let event = self.events.get_mut(place as usize)?.take()?;
        Some((at, event))
    }

    /// The first stretch after the present one that holds an event.
    fn next_stretch(&self) -> Option<u64> {
        let far = self.far.peek().map(|Reverse((at, ..))| stretch_of(*at));
        let first = slot_of(self.present + 1);
        let soon = self.first_filled(first, STRETCHES).or_else(|| self.first_filled(0, first));
        let soon = soon.map(|slot| {
            let ahead = (slot + STRETCHES - first) % STRETCHES;
            self.present + 1 + ahead as u64
        });
        far.into_iter().chain(soon).min()
    }

    /// The first list from `from` to before `to` that holds anything.
    fn first_filled(&self, from: usize, to: usize) -> Option<usize> {
        (from / 64..to.div_ceil(64)).find_map(|word| {
            let before = if word == from / 64 { (1 << (from % 64)) - 1 } else { 0 };
            let bits = self.filled[word] & !before;
            let slot = word * 64 + bits.trailing_zeros() as usize;
            (bits != 0 && slot < to).then_some(slot)
        })
    }

    /// Begins a later stretch.
    fn enter(&mut self, stretch: u64) {
        self.present = stretch;
        let slot = slot_of(stretch);
        // What is gathered here is of this stretch: a later one with this remainder was too far until now.
        self.near.extend(self.soon[slot].drain(..).map(Reverse));
        self.filled[slot / 64] &= !(1 << (slot % 64));
        while self.far.peek().is_some_and(|Reverse((at, ..))| stretch_of(*at) <= stretch) {
            self.near.extend(self.far.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Chance, Purpose};
    use super::*;

    #[test]
    fn events_come_by_time_then_by_the_order_of_scheduling() {
        let mut queue = Queue::default();
        queue.schedule(5, "third");
        queue.schedule(3, "first");
        queue.schedule(5, "fourth");
        queue.schedule(4, "second");
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ["first", "second", "third", "fourth"]);
        queue.schedule(9, "last");
        queue.schedule(7, "fifth");
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, ["fifth", "last"], "places are used again");
    }

    /// Against a list that is sorted anew each time: near and far, at one moment, and while events are taken.
    #[test]
    fn events_of_any_distance_come_in_order() {
        let mut draws = Chance::new(1).stream(Purpose::Latency, 0, 0);
        let (mut queue, mut model) = (Queue::default(), Vec::new());
        let mut now = 0;
        for number in 0..20_000_u64 {
            let furthest = [1, STRETCH, 200 * MILLISECOND, 2 * SECOND, 90 * SECOND][draws.below(5) as usize];
            let at = now + draws.below(furthest);
            queue.schedule(at, number);
            model.push((at, number));
            if draws.below(2) == 0 {
                model.sort_unstable_by(|one, other| other.cmp(one));
                let taken = queue.pop();
                assert_eq!(taken, model.pop());
                now = taken.map_or(now, |(at, _)| at);
            }
        }
        model.sort_unstable();
        assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), model);
        assert_eq!(queue.pop(), None);
    }
}
