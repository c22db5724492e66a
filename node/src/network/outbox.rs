//! Events on their way to the driver, and what happens when it is full.

use std::collections::VecDeque;

use super::counters::SharedCounters;
use super::event::{Event, RequestFailure};
use super::limits::BACKLOG_EVENTS_MAX;

/// Hands one event to the driver, or gives it back when there is no room.
pub(super) type Deliver = Box<dyn FnMut(Event) -> Result<(), Box<Event>> + Send>;

/// Three ways out, by what a loss would mean.
pub(super) struct Outbox {
    deliver: Deliver,
    /// Events that must arrive, oldest first, while the driver is full.
    backlog: VecDeque<Event>,
    counters: SharedCounters,
}

impl Outbox {
    pub(super) fn new(deliver: Deliver, counters: SharedCounters) -> Self {
        Self { deliver, backlog: VecDeque::new(), counters }
    }

    /// For an event that must arrive: now, or as soon as there is room, in order.
    pub(super) fn insist(&mut self, event: Event) {
        if self.backlog.is_empty() {
            match (self.deliver)(event) {
                Ok(()) => {}
                Err(event) => self.backlog.push_back(lightened(*event)),
            }
        } else {
            self.backlog.push_back(lightened(event));
        }
    }

    /// For an event the sender can take back; false when the driver did not take it.
    pub(super) fn offer(&mut self, event: Event) -> bool {
        self.backlog.is_empty() && (self.deliver)(event).is_ok()
    }

    /// For an event without consequence.
    pub(super) fn mention(&mut self, event: Event) {
        if !self.offer(event) {
            self.counters.events_dropped.increment();
        }
    }

    /// Tries again to deliver what waits.
    pub(super) fn retry(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            if let Err(event) = (self.deliver)(event) {
                self.backlog.push_front(*event);
                return;
            }
        }
    }

    /// Whether anything waits.
    pub(super) fn waits(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Whether so much waits that nothing more may happen.
    pub(super) fn is_full(&self) -> bool {
        self.backlog.len() >= BACKLOG_EVENTS_MAX
    }
}

/// An event as it may wait: without an answer's body, for which there is no room.
fn lightened(event: Event) -> Event {
    match event {
        Event::Response { peer, id, result: Ok(_) } => {
            Event::Response { peer, id, result: Err(RequestFailure::Overloaded) }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, TrySendError, sync_channel};

    use starling_crdt::id::AuthorKey;

    use super::*;

    fn outbox(room: usize) -> (Outbox, Receiver<Event>) {
        let (sender, receiver) = sync_channel(room);
        let deliver = move |event| {
            sender.try_send(event).map_err(|error| match error {
                TrySendError::Full(event) | TrySendError::Disconnected(event) => Box::new(event),
            })
        };
        (Outbox::new(Box::new(deliver), SharedCounters::default()), receiver)
    }

    fn down(n: u8) -> Event {
        Event::PeerDown { peer: AuthorKey([n; 32]) }
    }

    #[test]
    fn what_must_arrive_waits_in_order_and_nothing_overtakes_it() {
        let (mut outbox, driver) = outbox(1);
        for n in 1..=3 {
            outbox.insist(down(n));
        }
        assert!(outbox.waits());
        assert_eq!(driver.try_recv(), Ok(down(1)));
        assert!(!outbox.offer(down(9)), "there is room, but older events wait");
        outbox.mention(down(8));
        outbox.retry();
        assert_eq!(driver.try_recv(), Ok(down(2)));
        outbox.retry();
        assert_eq!(driver.try_recv(), Ok(down(3)));
        assert!(!outbox.waits());
        assert!(outbox.offer(down(4)));
        assert_eq!(outbox.counters.read().events_dropped, 1);
    }

    #[test]
    fn a_waiting_answer_keeps_no_body() {
        let (mut outbox, driver) = outbox(0);
        let peer = AuthorKey([1; 32]);
        outbox.insist(Event::Response { peer, id: 7, result: Ok(vec![0; 1 << 20]) });
        let failed = Event::Response { peer, id: 7, result: Err(RequestFailure::Overloaded) };
        assert_eq!(outbox.backlog, [failed]);
        drop(driver);
    }

    #[test]
    fn a_full_backlog_says_so() {
        let (mut outbox, _driver) = outbox(0);
        for _ in 0..BACKLOG_EVENTS_MAX {
            assert!(!outbox.is_full());
            outbox.insist(down(1));
        }
        assert!(outbox.is_full());
    }
}
