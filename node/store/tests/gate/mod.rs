//! A simulated disk on which a takeover does what a test lets it do, when it does: the store's thread waits
//! before every operation of its own, and the thread that made the disk goes on.
//!
//! After the first error everything passes, since then the store waits for what is under way.

use std::io::Result as IoResult;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use redb::StorageBackend;
use starling_store::backend::LossyBackend;

/// What reached the disk in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sync of the thread that made the disk: once the store is open, a batch in the log.
    Appended,
    /// A sync of another thread: a takeover.
    TakenOver,
}

/// The disk. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Gated {
    disk: LossyBackend,
    writer: ThreadId,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    passing: Mutex<Passing>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Passing {
    /// Operations let through, and those of them that began.
    allowed: u64,
    passed: u64,
    /// A takeover waits for its next operation.
    waits: bool,
    /// The takeover that was let through is over.
    over: bool,
    open: bool,
    events: Vec<Event>,
}

impl Gated {
    /// A disk whose gate is closed for all but the calling thread.
    pub fn on(disk: &LossyBackend) -> Self {
        Self { disk: disk.clone(), writer: thread::current().id(), gate: Arc::default() }
    }

    fn passing(&self) -> MutexGuard<'_, Passing> {
        self.gate.passing.lock().unwrap()
    }

    /// Lets so many more operations through, and waits until they are done.
    pub fn let_through(&self, operations: u64) {
        let mut passing = self.passing();
        passing.allowed = passing.allowed.saturating_add(operations);
        self.gate.changed.notify_all();
        let done = |passing: &mut Passing| {
            passing.open || passing.over || (passing.waits && passing.passed == passing.allowed)
        };
        drop(self.gate.changed.wait_while(passing, |passing| !done(passing)).unwrap());
    }

    /// Lets the takeover that was begun end, and waits until it has; the next one meets a closed gate.
    pub fn let_all_through(&self) {
        self.let_through(u64::MAX);
        let mut passing = self.passing();
        (passing.allowed, passing.passed, passing.over) = (0, 0, false);
    }

    /// Lets everything through from now on.
    pub fn open(&self) {
        self.passing().open = true;
        self.gate.changed.notify_all();
    }

    /// Operations of the takeover so far.
    pub fn passed(&self) -> u64 {
        self.passing().passed
    }

    /// What was synced so far.
    pub fn events(&self) -> Vec<Event> {
        self.passing().events.clone()
    }

    fn change(&self, change: impl FnOnce(&LossyBackend) -> IoResult<()>) -> IoResult<()> {
        let taking_over = thread::current().id() != self.writer;
        if taking_over {
            let mut passing = self.passing();
            passing.waits = true;
            self.gate.changed.notify_all();
            let closed = |passing: &mut Passing| !passing.open && passing.passed == passing.allowed;
            let mut passing = self.gate.changed.wait_while(passing, closed).unwrap();
            (passing.waits, passing.passed) = (false, passing.passed + 1);
        }
        let done = change(&self.disk);
        if done.is_err() {
            self.open();
        }
        done
    }
}

impl StorageBackend for Gated {
    fn len(&self) -> IoResult<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> IoResult<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> IoResult<()> {
        self.change(|disk| disk.set_len(len))
    }

    fn sync_data(&self) -> IoResult<()> {
        self.change(LossyBackend::sync_data)?;
        let taken_over = thread::current().id() != self.writer;
        let mut passing = self.passing();
        passing.over |= taken_over;
        passing.events.push(if taken_over { Event::TakenOver } else { Event::Appended });
        self.gate.changed.notify_all();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> IoResult<()> {
        self.change(|disk| disk.write(offset, data))
    }
}
