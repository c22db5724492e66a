//! `watch --exec`: one run of a command for each change.
//!
//! Promises: what `queue` and `hook` promise; a failure is told with its cause and what follows; a
//! position is kept only when everything before it was handled; Ctrl-C and SIGTERM end the commands that
//! run and keep what is done. Leaves out where changes come from.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use starling_api::ExitCode as Exit;
use starling_api::document::WatchEvent;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::follow::{Follower, Told};
use super::hook::{Ending, Hook};
use super::place::Place;
use super::queue::{Bounds, Queue, Run, Verdict};
use super::{TOLD_MAX, until};
use crate::backoff::random;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// What became of a change, as `--output json` prints it.
#[derive(Serialize)]
struct Handled<'a> {
    event: &'a WatchEvent,
    /// `done`, or `given-up`.
    outcome: &'static str,
    tries: u32,
    /// Of the last try.
    took_ms: u64,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// One end of a command.
struct Done {
    run: Run,
    ending: Ending,
    took: Duration,
}

/// What the loop works with.
struct Work<'a> {
    queue: Queue,
    place: Option<Place>,
    out: &'a mut Output,
    bounds: Bounds,
}

/// Runs the command for each change until a signal, a refusal of the node, or a change that is given up
/// although its position is kept.
pub(super) async fn run(
    follower: Follower<'_>,
    place: Option<Place>,
    hook: &Hook,
    bounds: Bounds,
    out: &mut Output,
) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| Failure::failed("cannot start").caused_by(&error))?;
    let (stop, stopped) = watch::channel(false);
    let (to, mut told) = mpsc::channel(TOLD_MAX);
    let mut follow = pin!(follower.run(to));
    let mut running = FuturesUnordered::new();
    let mut work = Work { queue: Queue::new(bounds), place, out, bounds };
    let ended: Outcome = loop {
        while let Some(run) = work.queue.start(Instant::now()) {
            running.push(one(hook, run, stopped.clone()));
        }
        let (wakeup, save_due) = (work.queue.next_wakeup(), work.place.as_ref().and_then(Place::save_due));
        tokio::select! {
            change = told.recv(), if !work.queue.is_full() => work.take(change),
            refused = &mut follow => break refused.map(|()| Exit::Done),
            Some(done) = running.next() => if let Err(failure) = work.end(done) { break Err(failure) },
            () = until(wakeup), if wakeup.is_some() => {}
            () = until(save_due), if save_due.is_some() => work.save()?,
            () = signals.heard() => break Ok(Exit::Interrupted),
        }
    };
    stop.send_replace(true);
    while let Some(done) = running.next().await {
        // What was ended with the watch is not handled and begins anew with the next.
        if !matches!(done.ending, Ending::Stopped) && ended.is_ok() {
            work.end(done)?;
        }
    }
    work.save()?;
    ended
}

async fn one(hook: &Hook, run: Run, stopped: watch::Receiver<bool>) -> Done {
    let began = Instant::now();
    let ending = hook.run(&run, stopped).await;
    Done { run, ending, took: began.elapsed() }
}

impl Work<'_> {
    fn take(&mut self, told: Option<Told>) {
        match told {
            Some(Told::Change(event)) => self.queue.push(event),
            Some(Told::Reached(position)) => self.queue.reached(position),
            None => {}
        }
        self.keep();
    }

    /// Takes in the end of a command. A change that is given up ends the watch where its position is
    /// kept: going on would pass it over for good.
    fn end(&mut self, done: Done) -> Result<(), Failure> {
        let (name, tries) = (&done.run.event.name, done.run.attempt);
        let verdict = match done.ending {
            Ending::Succeeded => self.queue.succeeded(name),
            _ => self.queue.failed(name, Instant::now(), random()),
        };
        match verdict {
            Verdict::Handled => self.report(&done, "done", None)?,
            Verdict::Again(pause) => {
                let most = self.bounds.tries.map_or_else(String::new, |tries| format!(" of {tries}"));
                note(&format!(
                    "watch: {name}: {}, try {tries}{most}; again in {:.1} s",
                    done.ending,
                    pause.as_secs_f64()
                ));
            }
            Verdict::GivenUp => {
                self.report(&done, "given-up", Some(done.ending.to_string()))?;
                if let Some(place) = &self.place {
                    return Err(given_up(&done, place));
                }
                note(&format!(
                    "watch: {name}: {}, try {tries}; given up until it changes again",
                    done.ending
                ));
            }
        }
        self.keep();
        Ok(())
    }

    fn report(&mut self, done: &Done, outcome: &'static str, why: Option<String>) -> io::Result<()> {
        if !self.out.is_json() {
            return Ok(());
        }
        let took_ms = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
        let (event, tries) = (&done.run.event, done.run.attempt);
        self.out.json_line(&Handled { event, outcome, tries, took_ms, why })
    }

    fn keep(&mut self) {
        if let (Some(place), Some(position)) = (&mut self.place, self.queue.handled()) {
            place.keep(position);
        }
    }

    fn save(&mut self) -> Result<(), Failure> {
        self.place.as_mut().map_or(Ok(()), Place::save)
    }
}

fn given_up(done: &Done, place: &Place) -> Failure {
    Failure::new(
        Exit::Failed,
        "command-failed",
        format!("{}: given up after {} tries", done.run.event.name, done.run.attempt),
    )
    .because(done.ending.to_string())
    .because(format!(
        "the position in {} stays before this change, so nothing is lost",
        place.path().display()
    ))
    .next("mend the command and start the watch again; `--tries 0` never gives up")
}

/// The signals that end a watch.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
