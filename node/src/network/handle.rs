//! The driver's end of the command queue.
//!
//! Promises: sending never blocks. Commands with data, and commands without, have each their own
//! room. A verdict or an answer needs none: each uses up a token that the network handed out, and
//! those are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use starling_crdt::id::AuthorKey;
use starling_crdt::limits::{EXCHANGE_FRAME_BYTES_MAX, GOSSIP_BYTES_MAX};
use tokio::sync::{mpsc, watch};

use super::command::Command;
use super::counters::{NetworkCounts, SharedCounters};
use super::limits::{CONTROL_COMMANDS_MAX, DATA_COMMANDS_BYTES_MAX, DATA_COMMANDS_MAX, STOP_TIMEOUT};

/// Why a command was not taken. It had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many commands wait already; try again later.
    #[error("the network is overloaded; try again")]
    Full,
    /// The payload or body is longer than the protocol allows.
    #[error("{bytes} bytes are more than the {limit} allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// Sends commands to the network; clones lead to the same one.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    local: AuthorKey,
    commands: mpsc::UnboundedSender<Queued>,
    data: Arc<Room>,
    control: Arc<Room>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    counters: SharedCounters,
}

/// The task's end.
pub(super) struct CommandQueue {
    pub(super) commands: mpsc::UnboundedReceiver<Queued>,
    pub(super) stop: watch::Receiver<bool>,
    /// Dropped when the task ends, whichever way.
    pub(super) stopped: watch::Sender<bool>,
}

/// A command in the queue, with its place in the room until it is taken out.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) command: Command,
    _place: Option<Place>,
}

impl NetworkHandle {
    pub(super) fn new(local: AuthorKey, counters: SharedCounters) -> (Self, CommandQueue) {
        let (commands, commands_out) = mpsc::unbounded_channel();
        let (stop, stop_out) = watch::channel(false);
        let (stopped_in, stopped) = watch::channel(false);
        let data = Arc::new(Room::new(DATA_COMMANDS_MAX, DATA_COMMANDS_BYTES_MAX));
        let control = Arc::new(Room::new(CONTROL_COMMANDS_MAX, usize::MAX));
        let handle = Self { local, commands, data, control, stop, stopped, counters };
        let queue = CommandQueue { commands: commands_out, stop: stop_out, stopped: stopped_in };
        (handle, queue)
    }

    /// The node's own key.
    pub fn local(&self) -> AuthorKey {
        self.local
    }

    /// Gives `command` to the network.
    ///
    /// # Errors
    /// [`SendError`]; the command is dropped. [`Command::Verdict`], [`Command::Respond`] and
    /// [`Command::Decline`] are never refused as [`SendError::Full`].
    pub fn send(&self, command: Command) -> Result<(), SendError> {
        let place = match &command {
            Command::Publish { payload, .. } => {
                Some(Room::enter(&self.data, within(payload.len(), GOSSIP_BYTES_MAX)?)?)
            }
            Command::Request { body, .. } => {
                Some(Room::enter(&self.data, within(body.len(), EXCHANGE_FRAME_BYTES_MAX)?)?)
            }
            Command::Respond { body, .. } => {
                within(body.len(), EXCHANGE_FRAME_BYTES_MAX)?;
                None
            }
            Command::Verdict { .. } | Command::Decline { .. } => None,
            Command::Subscribe { .. }
            | Command::Unsubscribe { .. }
            | Command::Dial { .. }
            | Command::Disconnect { .. }
            | Command::Block { .. }
            | Command::Unblock { .. } => Some(Room::enter(&self.control, 0)?),
        };
        let queued = Queued { command, _place: place };
        self.commands.send(queued).map_err(|_| SendError::Stopped)
    }

    /// Totals since the start.
    pub fn counts(&self) -> NetworkCounts {
        self.counters.read()
    }

    /// Closes listeners and connections; within one second nothing is left. Commands sent before
    /// and not yet handled are dropped. A second call waits for the same end.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        // An error means that the task is gone, which is what is waited for.
        let ended = stopped.wait_for(|stopped| *stopped);
        if tokio::time::timeout(STOP_TIMEOUT * 2, ended).await.is_err() {
            tracing::warn!(
                event = "network_stuck",
                "the network's task does not end; its connections close with the process"
            );
        }
    }
}

fn within(bytes: usize, limit: usize) -> Result<usize, SendError> {
    if bytes > limit {
        return Err(SendError::TooLong { bytes, limit });
    }
    Ok(bytes)
}

/// How much may wait.
#[derive(Debug)]
struct Room {
    count: AtomicUsize,
    bytes: AtomicUsize,
    count_limit: usize,
    bytes_limit: usize,
}

/// A taken place in a [`Room`], free again when dropped.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    fn new(count_limit: usize, bytes_limit: usize) -> Self {
        Self { count: 0.into(), bytes: 0.into(), count_limit, bytes_limit }
    }

    fn enter(room: &Arc<Self>, bytes: usize) -> Result<Place, SendError> {
        add(&room.count, 1, room.count_limit)?;
        // From here the place gives back what it took, also on the way out by `?`.
        let mut place = Place { room: Arc::clone(room), bytes: 0 };
        add(&room.bytes, bytes, room.bytes_limit)?;
        place.bytes = bytes;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.count.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn add(used: &AtomicUsize, more: usize, limit: usize) -> Result<(), SendError> {
    let room = |used: usize| used.checked_add(more).filter(|sum| *sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).map(|_| ()).map_err(|_| SendError::Full)
}

#[cfg(test)]
mod tests {
    use starling_crdt::id::Topic;

    use super::*;

    const TOPIC: Topic = Topic([1; 32]);

    fn queue() -> (NetworkHandle, CommandQueue) {
        NetworkHandle::new(AuthorKey([1; 32]), SharedCounters::default())
    }

    #[test]
    fn data_is_refused_when_full_and_control_is_not() {
        let (handle, mut queue) = queue();
        let publish = || Command::Publish { topic: TOPIC, payload: vec![0] };
        for _ in 0..DATA_COMMANDS_MAX {
            assert_eq!(handle.send(publish()), Ok(()));
        }
        assert_eq!(handle.send(publish()), Err(SendError::Full));
        assert_eq!(handle.send(Command::Subscribe { topic: TOPIC }), Ok(()));
        drop(queue.commands.try_recv().expect("the first"));
        assert_eq!(handle.send(publish()), Ok(()));
    }

    #[test]
    fn bytes_are_bounded_and_given_back() {
        let (handle, mut queue) = queue();
        let peer = AuthorKey([2; 32]);
        let request = || Command::Request { peer, id: 1, body: vec![0; EXCHANGE_FRAME_BYTES_MAX] };
        let fit = DATA_COMMANDS_BYTES_MAX / EXCHANGE_FRAME_BYTES_MAX;
        for _ in 0..fit {
            assert_eq!(handle.send(request()), Ok(()));
        }
        assert_eq!(handle.send(request()), Err(SendError::Full));
        let respond = Command::Respond { peer, id: 1, body: vec![0; EXCHANGE_FRAME_BYTES_MAX] };
        assert_eq!(handle.send(respond), Ok(()), "an answer always has room");
        drop(queue.commands.try_recv().expect("the first"));
        assert_eq!(handle.send(request()), Ok(()));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (handle, _queue) = queue();
        let payload = vec![0; GOSSIP_BYTES_MAX + 1];
        let refused = SendError::TooLong { bytes: payload.len(), limit: GOSSIP_BYTES_MAX };
        assert_eq!(handle.send(Command::Publish { topic: TOPIC, payload }), Err(refused));
    }

    #[test]
    fn a_stopped_network_says_so() {
        let (handle, queue) = queue();
        drop(queue);
        assert_eq!(handle.send(Command::Subscribe { topic: TOPIC }), Err(SendError::Stopped));
    }
}
