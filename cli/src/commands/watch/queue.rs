//! What waits to be handled: which document may run next, and up to which position everything is done.
//!
//! Promises: of one document at most one command runs; what changes meanwhile is one more run with the
//! last state; the document that has waited longest goes first; a position is given only when every
//! change told before it was handled. Pure: time and random numbers are arguments.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use starling_api::Position;
use starling_api::document::WatchEvent;

use crate::backoff::Growth;

/// Documents that wait or run at once. When there are so many, the node is not read further: it keeps
/// what comes.
const DOCUMENTS_MAX: usize = 1_024;

/// Positions remembered until what stands before them is handled. When there are more, the newest takes
/// the place of the one before it: a restart then repeats a little more.
const MARKS_MAX: usize = 4_096;

/// Pauses after failures of one document's command.
const RETRY: Growth = Growth { first: Duration::from_millis(400), most: Duration::from_secs(60) };

/// How much happens at once, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Commands that run at once.
    pub(super) jobs: usize,
    /// Failures in a row after which a change is given up; without it never.
    pub(super) tries: Option<NonZeroU32>,
}

/// One start of the command.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// The document's last change.
    pub(super) event: WatchEvent,
    /// Which try this is, from one.
    pub(super) attempt: u32,
}

/// What follows from the end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The change is handled.
    Handled,
    /// It is tried again after this pause.
    Again(Duration),
    /// It failed as often as it may.
    GivenUp,
}

/// Changes, numbered as they came. `oldest` is the first that a run covers.
#[derive(Debug)]
struct Work {
    event: WatchEvent,
    oldest: u64,
}

#[derive(Debug, Default)]
struct Entry {
    running: Option<Work>,
    waiting: Option<Work>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Entry {
    fn oldest(&self) -> Option<u64> {
        [&self.running, &self.waiting].into_iter().flatten().map(|work| work.oldest).min()
    }

    /// When it may start, counted by what has waited longest; nothing while it runs.
    fn ready(&self, now: Instant) -> Option<u64> {
        let due = self.not_before.is_none_or(|at| at <= now);
        self.waiting.as_ref().filter(|_| due && self.running.is_none()).map(|work| work.oldest)
    }
}

/// What waits and what runs.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    documents: BTreeMap<String, Entry>,
    marks: VecDeque<(u64, Position)>,
    told: u64,
    running: usize,
}

impl Queue {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self { bounds, documents: BTreeMap::new(), marks: VecDeque::new(), told: 0, running: 0 }
    }

    /// True while nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.documents.len() >= DOCUMENTS_MAX
    }

    /// Takes in a change: it joins what already waits of its document.
    pub(super) fn push(&mut self, event: WatchEvent) {
        let number = self.told;
        self.told += 1;
        let entry = self.documents.entry(event.name.clone()).or_default();
        let oldest = entry.waiting.as_ref().map_or(number, |work| work.oldest);
        entry.waiting = Some(Work { event, oldest });
    }

    /// Notes that everything told so far stands before this position.
    pub(super) fn reached(&mut self, position: Position) {
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_back();
        }
        self.marks.push_back((self.told, position));
    }

    /// The next command to start, if one may.
    pub(super) fn start(&mut self, now: Instant) -> Option<Run> {
        if self.running >= self.bounds.jobs {
            return None;
        }
        let ready = self.documents.values_mut().filter_map(|entry| Some((entry.ready(now)?, entry)));
        let (_, entry) = ready.min_by_key(|(oldest, _)| *oldest)?;
        entry.running = entry.waiting.take();
        entry.not_before = None;
        self.running += 1;
        let event = entry.running.as_ref()?.event.clone();
        Some(Run { event, attempt: entry.failures + 1 })
    }

    /// When a document whose command failed may be tried again.
    pub(super) fn next_wakeup(&self) -> Option<Instant> {
        self.documents.values().filter_map(|entry| entry.not_before).min()
    }

    /// Takes in the success of a document's command.
    pub(super) fn succeeded(&mut self, document: &str) -> Verdict {
        self.end(document);
        Verdict::Handled
    }

    /// Takes in a failure: the change waits again, as one with what came meanwhile.
    pub(super) fn failed(&mut self, document: &str, now: Instant, random: u64) -> Verdict {
        let Some(entry) = self.documents.get_mut(document) else { return Verdict::Handled };
        let failures = entry.failures + 1;
        if self.bounds.tries.is_some_and(|tries| failures >= tries.get()) {
            self.end(document);
            return Verdict::GivenUp;
        }
        let pause = RETRY.pause(failures, random);
        if let Some(failed) = entry.running.take() {
            let event = entry.waiting.take().map_or(failed.event, |newer| newer.event);
            entry.waiting = Some(Work { event, oldest: failed.oldest });
            self.running -= 1;
        }
        entry.failures = failures;
        entry.not_before = Some(now + pause);
        Verdict::Again(pause)
    }

    /// The last position before which everything was handled, once each.
    pub(super) fn handled(&mut self) -> Option<Position> {
        let oldest = self.documents.values().filter_map(Entry::oldest).min().unwrap_or(self.told);
        let mut last = None;
        while self.marks.front().is_some_and(|(told, _)| *told <= oldest) {
            last = self.marks.pop_front().map(|(_, position)| position);
        }
        last
    }

    fn end(&mut self, document: &str) {
        let Some(entry) = self.documents.get_mut(document) else { return };
        if entry.running.take().is_some() {
            self.running -= 1;
        }
        entry.failures = 0;
        if entry.waiting.is_none() {
            self.documents.remove(document);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, commit: u64) -> WatchEvent {
        WatchEvent {
            space: "s".to_owned(),
            name: name.to_owned(),
            heads: Default::default(),
            author: None,
            position: at(commit),
            deleted: false,
            ops: None,
        }
    }

    fn at(commit: u64) -> Position {
        Position(format!("store-{commit}"))
    }

    fn queue(jobs: usize, tries: u32) -> Queue {
        Queue::new(Bounds { jobs, tries: NonZeroU32::new(tries) })
    }

    fn tell(queue: &mut Queue, name: &str, commit: u64) {
        queue.push(event(name, commit));
        queue.reached(at(commit));
    }

    #[test]
    fn one_document_runs_once_at_a_time_and_then_with_its_last_state() {
        let (mut queue, now) = (queue(4, 3), Instant::now());
        tell(&mut queue, "a", 1);
        assert_eq!(queue.start(now).map(|run| run.event.position), Some(at(1)));
        tell(&mut queue, "a", 2);
        tell(&mut queue, "a", 3);
        assert_eq!(queue.start(now), None, "it runs already");
        assert_eq!(queue.handled(), None);
        assert_eq!(queue.succeeded("a"), Verdict::Handled);
        assert_eq!(queue.handled(), Some(at(1)));
        assert_eq!(queue.start(now).map(|run| run.event.position), Some(at(3)));
        assert_eq!(queue.start(now), None, "the second was passed over");
        queue.succeeded("a");
        assert_eq!(queue.handled(), Some(at(3)));
    }

    #[test]
    fn no_more_run_at_once_than_may_and_the_longest_waiting_goes_first() {
        let (mut queue, now) = (queue(2, 3), Instant::now());
        for (commit, name) in [(1, "c"), (2, "b"), (3, "a")] {
            tell(&mut queue, name, commit);
        }
        let started: Vec<_> = std::iter::from_fn(|| queue.start(now)).map(|run| run.event.name).collect();
        assert_eq!(started, ["c", "b"]);
        queue.succeeded("b");
        assert_eq!(queue.handled(), None, "what stands before it still runs");
        assert_eq!(queue.start(now).map(|run| run.event.name).as_deref(), Some("a"));
        queue.succeeded("c");
        assert_eq!(queue.handled(), Some(at(2)));
    }

    #[test]
    fn a_failure_waits_and_others_go_on_meanwhile() {
        let (mut queue, now) = (queue(1, 3), Instant::now());
        tell(&mut queue, "a", 1);
        tell(&mut queue, "b", 2);
        queue.start(now).expect("a");
        let Verdict::Again(pause) = queue.failed("a", now, 7) else { panic!("it may be tried again") };
        assert_eq!(queue.next_wakeup(), Some(now + pause));
        assert_eq!(queue.start(now).map(|run| run.event.name).as_deref(), Some("b"));
        queue.succeeded("b");
        assert_eq!(queue.start(now), None, "the pause is not over");
        assert_eq!(queue.handled(), None, "the position stays before what is not handled");
        let run = queue.start(now + pause).expect("a again");
        assert_eq!((run.event.name.as_str(), run.attempt), ("a", 2));
        queue.succeeded("a");
        assert_eq!(queue.handled(), Some(at(2)));
    }

    #[test]
    fn a_newer_state_takes_the_place_of_the_one_that_failed() {
        let (mut queue, now) = (queue(1, 3), Instant::now());
        tell(&mut queue, "a", 1);
        queue.start(now).expect("a");
        tell(&mut queue, "a", 2);
        queue.failed("a", now, 0);
        tell(&mut queue, "a", 3);
        let run = queue.start(now + RETRY.most).expect("again");
        assert_eq!((run.event.position, run.attempt), (at(3), 2));
        assert_eq!(queue.handled(), None, "the first was never handled");
        queue.succeeded("a");
        assert_eq!(queue.handled(), Some(at(3)));
    }

    #[test]
    fn what_fails_as_often_as_it_may_is_given_up_and_its_next_change_starts_anew() {
        let (mut queue, mut now) = (queue(1, 2), Instant::now());
        tell(&mut queue, "a", 1);
        queue.start(now).expect("a");
        assert!(matches!(queue.failed("a", now, 0), Verdict::Again(_)));
        now += RETRY.most;
        queue.start(now).expect("again");
        assert_eq!(queue.failed("a", now, 0), Verdict::GivenUp);
        assert_eq!(queue.start(now), None);
        tell(&mut queue, "a", 2);
        assert_eq!(queue.start(now).map(|run| run.attempt), Some(1));
    }

    #[test]
    fn a_position_in_the_middle_of_a_listing_is_never_given() {
        let (mut queue, now) = (queue(1, 3), Instant::now());
        queue.push(event("a", 9));
        queue.start(now).expect("a");
        queue.succeeded("a");
        assert_eq!(queue.handled(), None);
        queue.push(event("b", 9));
        queue.reached(at(9));
        assert_eq!(queue.handled(), None);
        queue.start(now).expect("b");
        queue.succeeded("b");
        assert_eq!(queue.handled(), Some(at(9)));
    }

    #[test]
    fn what_waits_is_bounded_and_so_is_what_is_remembered() {
        let mut queue = queue(1, 3);
        for number in 0..DOCUMENTS_MAX {
            assert!(!queue.is_full());
            tell(&mut queue, &format!("d{number}"), number as u64);
        }
        assert!(queue.is_full());
        for commit in 0..2 * MARKS_MAX as u64 {
            queue.reached(at(commit));
        }
        assert_eq!(queue.marks.len(), MARKS_MAX);
    }
}
