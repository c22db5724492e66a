//! What waits for the replica, within bounds.
//!
//! Local requests and what comes from the network wait apart and are taken in turns, so that neither
//! keeps the other out, and so do the spaces on each side. A full inbox refuses local requests with
//! "try again"; whoever brings remote inputs waits, and the network in front of it drops what repair
//! brings again.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starling_crdt::limits::STEP_BYTES_MAX;
use starling_crdt::replica::{Input, LocalRequest, Refusal, Reply, RequestTicket};
use tokio::sync::oneshot;

use super::lanes::Lanes;
use crate::handle::AskError;

type ReplySender = oneshot::Sender<Result<Reply, Refusal>>;

/// The replica's inbox.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct State {
    local: Lanes,
    remote: Lanes,
    replies: BTreeMap<RequestTicket, ReplySender>,
    tickets: u64,
    /// How many wait for room.
    crowd: usize,
    closed: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }

    fn push(&mut self, request: LocalRequest, bytes: usize, reply: ReplySender) {
        self.tickets += 1;
        let ticket = RequestTicket(self.tickets);
        self.replies.insert(ticket, reply);
        let space = request.space();
        self.local.push(space, Input::Local { ticket, request }, bytes, Instant::now());
    }
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a local request in.
    pub(crate) fn ask(&self, request: LocalRequest, reply: ReplySender) -> Result<(), AskError> {
        let mut state = self.state();
        if state.closed {
            return Err(AskError::Stopped);
        }
        let bytes = request.weight();
        if !state.local.has_room(request.space(), bytes) {
            return Err(AskError::Busy);
        }
        state.push(request, bytes, reply);
        self.wake(state);
        Ok(())
    }

    /// Puts in what came from the network, waiting for room. Once the inbox is closed it is dropped.
    pub(crate) fn bring(&self, input: Input, bytes: usize) {
        let mut state = self.state();
        let space = input.space();
        while !state.closed && !state.remote.has_room(space, bytes) {
            state.crowd += 1;
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.crowd -= 1;
        }
        if !state.closed {
            state.remote.push(space, input, bytes, Instant::now());
            self.wake(state);
        }
    }

    /// Wakes the replica, once the lock is free: woken before, it would only wait again.
    fn wake(&self, state: MutexGuard<'_, State>) {
        drop(state);
        self.filled.notify_one();
    }

    /// Whether something small from the network still has room.
    pub(crate) fn has_room(&self) -> bool {
        self.state().remote.has_room(None, 0)
    }

    /// Puts in something small: what came from the network after [`Inbox::has_room`], or what the
    /// release of an effect brought about, which is at most one input for each.
    pub(crate) fn put(&self, input: Input) {
        let space = input.space();
        let mut state = self.state();
        state.remote.push(space, input, 0, Instant::now());
        self.wake(state);
    }

    /// Waits until something is there, the time is up or the inbox is closed; then takes up to `most`
    /// inputs, from both sides in turns. The flag tells whether the inbox is closed.
    pub(crate) fn take(&self, most: usize, wait: Duration) -> (Vec<Input>, bool) {
        let until = Instant::now() + wait;
        let mut state = self.state();
        while state.is_empty() && !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut inputs = Vec::with_capacity(most.min(state.local.len() + state.remote.len()));
        let mut taken = 0;
        let now = Instant::now();
        let (mut local, mut remote) = (state.local.round(now), state.remote.round(now));
        while inputs.len() < most && taken < STEP_BYTES_MAX {
            let next = [state.local.pop(&mut local), state.remote.pop(&mut remote)];
            let before = inputs.len();
            for (input, bytes) in next.into_iter().flatten() {
                taken += bytes;
                inputs.push(input);
            }
            if inputs.len() == before {
                break;
            }
        }
        let (crowd, closed) = (state.crowd, state.closed);
        drop(state);
        if crowd > 0 {
            self.drained.notify_all();
        }
        (inputs, closed)
    }

    /// Gives each reply to whoever waits for it; nobody may.
    pub(crate) fn reply(&self, replies: Vec<(RequestTicket, Result<Reply, Refusal>)>) {
        if replies.is_empty() {
            return;
        }
        let mut state = self.state();
        let waiting: Vec<_> =
            replies.into_iter().map(|(ticket, reply)| (state.replies.remove(&ticket), reply)).collect();
        drop(state);
        for (waiting, reply) in waiting {
            if let Some(waiting) = waiting {
                waiting.send(reply).ok();
            }
        }
    }

    /// Tells everybody who waits that no reply will come.
    pub(crate) fn fail_waiting(&self) {
        self.state().replies.clear();
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Whether it takes nothing in any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    /// How many inputs wait.
    pub(crate) fn depth(&self) -> usize {
        let state = self.state();
        state.local.len() + state.remote.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_refuses_and_takes_again_after_a_drain() {
        let inbox = Inbox::default();
        let mut waiting = Vec::new();
        let refused = loop {
            let (reply, replied) = oneshot::channel();
            match inbox.ask(LocalRequest::Status, reply) {
                Ok(()) => waiting.push(replied),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused, AskError::Busy);
        let depth = inbox.depth();
        let (inputs, closed) = inbox.take(10, Duration::ZERO);
        assert_eq!((inputs.len(), closed, inbox.depth()), (10, false, depth - 10));
        assert!(inbox.ask(LocalRequest::Status, oneshot::channel().0).is_ok());
    }

    #[test]
    fn both_sides_are_taken_in_turns() {
        let inbox = Inbox::default();
        for _ in 0..10 {
            inbox.ask(LocalRequest::Status, oneshot::channel().0).unwrap();
            inbox.put(Input::Listening { addresses: Vec::new() });
        }
        let (inputs, _) = inbox.take(10, Duration::ZERO);
        let local = inputs.iter().filter(|input| matches!(input, Input::Local { .. })).count();
        assert_eq!((inputs.len(), local), (10, 5));
    }

    #[test]
    fn a_closed_inbox_wakes_everybody_and_takes_nothing() {
        let inbox = Inbox::default();
        let (reply, mut replied) = oneshot::channel();
        inbox.ask(LocalRequest::Status, reply).unwrap();
        inbox.close();
        assert_eq!(inbox.ask(LocalRequest::Status, oneshot::channel().0), Err(AskError::Stopped));
        assert!(inbox.take(10, Duration::from_secs(60)).1);
        inbox.fail_waiting();
        assert!(replied.try_recv().is_err());
    }
}
