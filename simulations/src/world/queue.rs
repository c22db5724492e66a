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

/// The events to come. The heap moves small keys; the events themselves stay where they were put.
pub struct Queue<E> {
    /// When, in which order of scheduling, and the event's place.
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    events: Vec<Option<E>>,
    /// Places that are empty.
    free: Vec<u32>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), sequence: 0 }
    }
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
        self.heap.push(Reverse((at, self.sequence, place)));
    }

    /// When the next event happens.
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Time, E)> {
        let Reverse((at, _, place)) = self.heap.pop()?;
        self.free.push(place);
        // Every key in the heap names a place that was filled with it.
        let event = self.events.get_mut(place as usize)?.take()?;
        Some((at, event))
    }

    /// Events waiting.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing will happen any more.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
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
}
