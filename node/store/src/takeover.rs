//! Who takes a full part of the log over into redb: a thread beside the writer, or the writer itself.
//!
//! One takeover at a time. The thread is started by the first and ends with the [`Hand`], which waits for it.
//! A panic in the work becomes an error of the work.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use starling_crdt::store::StoreError;

use crate::fault::contain;

/// Who takes a full part of the log over into redb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// A thread of the store, while commits go on in the other part of the log.
    Beside,
    /// The commit that found the part full, before it goes on: one fixed order of what reaches the disk, for
    /// simulations and for tests that count operations.
    InTurn,
}

type Done = Result<(), StoreError>;
type Work = Box<dyn FnOnce() -> Done + Send>;

/// Does the takeovers of one handle.
pub(crate) struct Hand {
    how: Takeover,
    worker: Option<Worker>,
    state: State,
}

enum State {
    Idle,
    /// The worker has it.
    Begun,
    Ended(Done),
}

impl Hand {
    pub(crate) fn new(how: Takeover) -> Self {
        Self { how, worker: None, state: State::Idle }
    }

    /// Begins the work; the one before must have been [waited for](Self::wait).
    pub(crate) fn begin(&mut self, work: impl FnOnce() -> Done + Send + 'static) {
        assert!(matches!(self.state, State::Idle), "a takeover was not waited for");
        let work: Work = Box::new(work);
        let given = match self.how {
            Takeover::Beside => self.give(work),
            Takeover::InTurn => Err(work),
        };
        self.state = match given {
            Ok(()) => State::Begun,
            // Without a thread, for want of memory say, it only takes the writer's time.
            Err(work) => State::Ended(contain(work)),
        };
    }

    /// Gives the work to the thread, or back when there is none.
    fn give(&mut self, work: Work) -> Result<(), Work> {
        if self.worker.is_none() {
            self.worker = Worker::start().ok();
        }
        match self.worker.as_ref().and_then(|worker| worker.orders.as_ref()) {
            Some(orders) => orders.send(work).map_err(|refused| refused.0),
            None => Err(work),
        }
    }

    /// Waits for the work that was begun, if any was, and says how it ended.
    pub(crate) fn wait(&mut self) -> Option<Done> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => None,
            State::Ended(done) => Some(done),
            State::Begun => {
                let done = self.worker.as_ref().and_then(|worker| worker.done.recv().ok());
                Some(done.unwrap_or_else(|| Err(StoreError::Io("its takeover never ended".to_owned()))))
            }
        }
    }
}

/// The thread. Dropping this waits for it.
struct Worker {
    /// `None` only while dropping.
    orders: Option<SyncSender<Work>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        // One takeover at a time, so one place in each direction is enough for nobody ever to wait for room.
        let (orders, ordered) = sync_channel::<Work>(1);
        let (ended, done) = sync_channel(1);
        let work = move || {
            for work in ordered {
                if ended.send(contain(work)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("store-takeover".to_owned()).spawn(work)?;
        Ok(Self { orders: Some(orders), done, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Its panics are contained, so there is nothing to learn from how it ended.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_beside_runs_while_the_caller_goes_on_and_is_waited_for() {
        let mut hand = Hand::new(Takeover::Beside);
        assert_eq!(hand.wait(), None);
        for round in 0..3 {
            let (go_on, wait) = channel();
            hand.begin(move || {
                wait.recv().unwrap();
                if round == 1 { Err(StoreError::Full) } else { Ok(()) }
            });
            // If the caller had to do it, it would now wait for itself for ever.
            go_on.send(()).unwrap();
            let expected = if round == 1 { Err(StoreError::Full) } else { Ok(()) };
            assert_eq!((hand.wait(), hand.wait()), (Some(expected), None));
        }
    }

    #[test]
    fn a_panic_ends_the_work_and_not_the_thread() {
        for how in [Takeover::Beside, Takeover::InTurn] {
            let mut hand = Hand::new(how);
            hand.begin(|| panic!("planted"));
            assert!(matches!(hand.wait(), Some(Err(StoreError::Corrupt(_)))), "{how:?}");
            hand.begin(|| Ok(()));
            assert_eq!(hand.wait(), Some(Ok(())), "{how:?}");
        }
    }

    #[test]
    fn dropping_waits_for_what_was_begun() {
        let (said, heard) = channel();
        let mut hand = Hand::new(Takeover::Beside);
        hand.begin(move || {
            said.send(()).unwrap();
            Ok(())
        });
        drop(hand);
        assert_eq!(heard.try_recv(), Ok(()));
    }
}
