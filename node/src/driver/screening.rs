//! Opening and checking what the network brings, before the replica sees it.
//!
//! A few threads, each with its own bounded queue; what one peer sends is handled by one thread, so
//! its order stays. When a queue is full the network gets the event back and drops or retries it.
//!
//! A panic while one event is checked is a defect of this program: it is counted and logged, the event
//! is given up as if it had not come, and the thread goes on with the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use starling_crdt::gossip::{Refused, ScreenedFrame, Screener};
use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{Input, MessageToken};

use super::Inbox;
use crate::metrics::Metrics;
use crate::network::Event;

/// Threads that check signatures: more than cores would only take turns with the replica.
const THREADS_MAX: usize = 4;
/// Items that wait for one thread.
const QUEUED_MAX: usize = 1_024;
/// Bytes that wait for all threads.
const QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// An event to open and check, with the number of its gossip message if it is one.
pub(crate) struct Raw {
    pub(crate) event: Event,
    pub(crate) token: MessageToken,
}

impl Raw {
    /// Whose it is, and how long; nothing for an event that needs no checking.
    fn origin(&self) -> Option<(AuthorKey, usize)> {
        match &self.event {
            Event::Gossip { from: peer, payload: body, .. }
            | Event::Request { peer, body, .. }
            | Event::Response { peer, result: Ok(body), .. } => Some((*peer, body.len())),
            _ => None,
        }
    }
}

/// The threads that check. They end when this is dropped.
pub(crate) struct Screening {
    queues: Vec<SyncSender<Raw>>,
    waiting: Arc<AtomicUsize>,
}

impl Screening {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        screener: &Screener,
        inbox: &Arc<Inbox>,
        metrics: &Metrics,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::start_threads(cores.min(THREADS_MAX), inbox, metrics, {
            let screener = screener.clone();
            move |raw| screened(raw, &screener)
        })
    }

    fn start_threads(
        count: usize,
        inbox: &Arc<Inbox>,
        metrics: &Metrics,
        check: impl Fn(Raw) -> Option<Input> + Clone + Send + 'static,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (queue, queued) = sync_channel(QUEUED_MAX);
            let screen = Screen {
                inbox: inbox.clone(),
                waiting: waiting.clone(),
                metrics: metrics.clone(),
                check: check.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("screening-{number}"))
                .spawn(move || screen.all(&queued))?;
            queues.push(queue);
            threads.push(thread);
        }
        Ok((Self { queues, waiting }, threads))
    }

    /// Queues an event; gives it back when there is no room, or when it needs no checking.
    pub(crate) fn queue(&self, raw: Raw) -> Result<(), Box<Raw>> {
        let Some((peer, bytes)) = raw.origin() else { return Err(Box::new(raw)) };
        let full = self.waiting.load(Ordering::Relaxed) + bytes > QUEUED_BYTES_MAX;
        let Some(queue) =
            self.queues.get(usize::from(peer.0[0]) % self.queues.len().max(1)).filter(|_| !full)
        else {
            return Err(Box::new(raw));
        };
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        queue.try_send(raw).map_err(|error| {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                TrySendError::Full(raw) | TrySendError::Disconnected(raw) => Box::new(raw),
            }
        })
    }
}

/// What one thread works with.
struct Screen<C> {
    inbox: Arc<Inbox>,
    waiting: Arc<AtomicUsize>,
    metrics: Metrics,
    check: C,
}

impl<C: Fn(Raw) -> Option<Input>> Screen<C> {
    /// Checks what is queued until nobody can queue any more.
    fn all(&self, queued: &Receiver<Raw>) {
        for raw in queued {
            let bytes = raw.origin().map_or(0, |(_, bytes)| bytes);
            if let Some(input) = self.one(raw) {
                self.inbox.bring(input, bytes);
            }
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn one(&self, raw: Raw) -> Option<Input> {
        let given_up = given_up(&raw);
        // The screener's maps change by single inserts, and everything else belongs to the one event.
        catch_unwind(AssertUnwindSafe(|| (self.check)(raw))).unwrap_or_else(|_| {
            self.metrics.screening_panicked();
            tracing::error!(
                event = "screening_panicked",
                "checking a message of a peer failed by a defect of this program; the message is dropped"
            );
            given_up
        })
    }
}

/// What stands for an event that could not be checked: gossip gets its verdict and a question of this
/// node its answer. A peer's question runs into its own time limit.
fn given_up(Raw { event, token }: &Raw) -> Option<Input> {
    match event {
        Event::Gossip { from, .. } => Some(Input::Gossip {
            from: *from,
            token: *token,
            space: None,
            frame: ScreenedFrame::Refused(Refused::Crash),
        }),
        Event::Response { peer, id, .. } => {
            Some(Input::Answered { peer: *peer, id: *id, answer: Err(Refused::Crash.to_string()) })
        }
        _ => None,
    }
}

fn screened(Raw { event, token }: Raw, screener: &Screener) -> Option<Input> {
    match event {
        Event::Gossip { topic, from, payload, .. } => {
            let (space, frame) = screener.screen_gossip(topic, &payload);
            Some(Input::Gossip { from, token, space, frame })
        }
        Event::Request { peer, id, body } => {
            Some(Input::Asked { peer, id, request: screener.screen_request(&body) })
        }
        Event::Response { peer, id, result: Ok(body) } => {
            Some(Input::Answered { peer, id, answer: Ok(screener.screen_answer(&body)) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use starling_crdt::id::Topic;

    use super::*;
    use crate::network::MessageToken as NetworkToken;

    const PEER: AuthorKey = AuthorKey([7; 32]);

    fn gossip(number: u64, payload: &[u8]) -> Raw {
        let event = Event::Gossip {
            topic: Topic([1; 32]),
            from: PEER,
            message: NetworkToken::of(PEER, vec![1]),
            payload: payload.to_vec(),
        };
        Raw { event, token: MessageToken(number) }
    }

    fn answer(id: u64, body: &[u8]) -> Raw {
        Raw { event: Event::Response { peer: PEER, id, result: Ok(body.to_vec()) }, token: MessageToken(0) }
    }

    #[test]
    fn a_thread_that_panics_on_a_message_goes_on_with_the_next() {
        let (inbox, metrics) = (Arc::new(Inbox::default()), Metrics::new());
        let screener = Screener::default();
        let check = move |raw: Raw| match &raw.event {
            Event::Gossip { payload: body, .. } | Event::Response { result: Ok(body), .. }
                if body == b"defect" =>
            {
                panic!("planted")
            }
            _ => screened(raw, &screener),
        };
        let (screening, threads) = Screening::start_threads(1, &inbox, &metrics, check).expect("a thread");
        for raw in [gossip(1, b"defect"), answer(2, b"defect"), gossip(3, b"fine"), answer(4, b"fine")] {
            assert!(screening.queue(raw).is_ok());
        }
        drop(screening);
        threads.into_iter().for_each(|thread| thread.join().expect("it ended in order"));
        let (inputs, _) = inbox.take(10, Duration::ZERO);
        let told: Vec<String> = inputs.iter().map(|input| format!("{input:?}")).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].contains("MessageToken(1)") && told[0].contains("Crash"), "{}", told[0]);
        assert!(told[1].contains("id: 2") && told[1].contains("Err("), "{}", told[1]);
        assert!(told[2].contains("MessageToken(3)") && told[2].contains("UnknownTopic"), "{}", told[2]);
        assert!(told[3].contains("id: 4") && told[3].contains("Malformed"), "{}", told[3]);
        assert!(metrics.render().contains("starling_screening_panics_total 2"), "{}", metrics.render());
    }
}
