//! Where core and world meet: drain the inbox, step, release the effects.
//!
//! The replica runs on a thread of its own. Everything that waits, up to a bound, goes into one
//! step, so under load group commit and batches come by themselves. Signatures are checked before,
//! on the threads of `screening`. Effects are released in the order in which the step gave them, and
//! only after its commit.

mod effects;
mod inbox;
mod lanes;
mod screening;
mod tell;
mod timed;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use starling_crdt::limits::STEP_INPUTS_MAX;
use starling_crdt::replica::{Effect, Input, Replica};
use starling_crdt::store::Store;

pub(crate) use effects::{Intake, Outlet, Shared};
pub(crate) use inbox::Inbox;
pub(crate) use screening::Screening;
pub(crate) use timed::TimedStore;

use crate::clock::Clock;
use crate::metrics::Metrics;

/// After a step that could not even read the store, how long until the next try.
const STORE_RETRY: std::time::Duration = std::time::Duration::from_millis(500);
/// Between two passes that drop built documents nobody read meanwhile.
const DROP_IDLE_EVERY: std::time::Duration = std::time::Duration::from_secs(15);

/// Starts the replica's thread. It ends, after a farewell, when the inbox is closed.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start<S: Store + Send + 'static>(
    replica: Replica<S>,
    clock: Clock,
    inbox: Arc<Inbox>,
    outlet: Outlet,
    metrics: Metrics,
) -> std::io::Result<JoinHandle<()>> {
    let driver = Driver { replica, clock, inbox, outlet, metrics };
    std::thread::Builder::new().name("replica".into()).spawn(move || driver.run())
}

struct Driver<S: Store> {
    replica: Replica<S>,
    clock: Clock,
    inbox: Arc<Inbox>,
    outlet: Outlet,
    metrics: Metrics,
}

impl<S: Store> Driver<S> {
    fn run(mut self) {
        self.outlet.release(self.replica.standing_effects());
        let (documents, changes) = self.replica.held();
        self.metrics.held(documents, changes);
        let mut drop_idle_at = Instant::now() + DROP_IDLE_EVERY;
        loop {
            if Instant::now() >= drop_idle_at {
                drop_idle_at += DROP_IDLE_EVERY;
                self.outlet.handle.reader().drop_idle();
            }
            if let Err(error) = self.replica.ready(self.clock.now()) {
                tracing::error!(event = "store_unreadable", %error, "the store cannot be read; trying again");
                if self.inbox.is_closed() {
                    break;
                }
                std::thread::sleep(STORE_RETRY);
                continue;
            }
            let wait = self.clock.until(self.replica.next_wakeup());
            let (inputs, closed) = self.inbox.take(STEP_INPUTS_MAX, wait);
            self.step(inputs);
            if closed && self.inbox.is_empty() {
                break;
            }
        }
        match self.replica.leave(self.clock.now()) {
            Ok(effects) => self.release(effects),
            Err(error) => tracing::error!(event = "store_unreadable", %error, "stopping without a farewell"),
        }
        self.inbox.fail_waiting();
    }

    fn step(&mut self, inputs: Vec<Input>) {
        let began = Instant::now();
        let count = inputs.len() as u64;
        match self.replica.step(self.clock.now(), inputs) {
            Ok(effects) => {
                self.metrics.step(began.elapsed());
                self.metrics.inputs("all", count);
                self.release(effects);
                let (documents, changes) = self.replica.held();
                self.metrics.held(documents, changes);
            }
            Err(error) => {
                tracing::error!(event = "store_unreadable", %error, "the store cannot be read; trying again");
                self.inbox.fail_waiting();
                std::thread::sleep(STORE_RETRY);
            }
        }
    }

    fn release(&mut self, effects: Vec<Effect>) {
        self.outlet.release(effects);
    }
}
