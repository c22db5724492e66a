//! Opening and checking what the network brings, before the replica sees it.
//!
//! A few threads, each with its own bounded queue; what one peer sends is handled by one thread, so
//! its order stays. When a queue is full the network gets the event back and drops or retries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use starling_crdt::exchange::decode_message;
use starling_crdt::gossip::Screener;
use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{Input, MessageToken};

use super::Inbox;
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
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (mut queues, mut threads) = (Vec::new(), Vec::new());
        for number in 0..cores.min(THREADS_MAX) {
            let (queue, queued) = sync_channel(QUEUED_MAX);
            let (screener, inbox, waiting) = (screener.clone(), inbox.clone(), waiting.clone());
            let thread = std::thread::Builder::new()
                .name(format!("screening-{number}"))
                .spawn(move || screen_all(&queued, &screener, &inbox, &waiting))?;
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

fn screen_all(queued: &Receiver<Raw>, screener: &Screener, inbox: &Inbox, waiting: &AtomicUsize) {
    for raw in queued {
        let bytes = raw.origin().map_or(0, |(_, bytes)| bytes);
        if let Some(input) = screened(raw, screener) {
            inbox.bring(input, bytes);
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn screened(Raw { event, token }: Raw, screener: &Screener) -> Option<Input> {
    match event {
        Event::Gossip { topic, from, payload, .. } => {
            let (space, frame) = screener.screen_gossip(topic, &payload);
            Some(Input::Gossip { from, token, space, frame })
        }
        Event::Request { peer, id, body } => Some(Input::Asked { peer, id, request: decode_message(&body) }),
        Event::Response { peer, id, result: Ok(body) } => {
            Some(Input::Answered { peer, id, answer: Ok(screener.screen_answer(&body)) })
        }
        _ => None,
    }
}
