//! What can happen in the world, and what it tells to those who watch.

use std::sync::Arc;

use starling_crdt::connect::DialTarget;
use starling_crdt::id::{AuthorKey, Position};
use starling_crdt::presence::StateChange;
use starling_crdt::replica::{Counted, DocumentChange, Effect, Note, Refusal, Reply, Verdict};

use super::queue::Time;

/// Something that will happen.
pub(super) enum Event {
    /// A timer of a process is due.
    Wake { node: usize, process: u64 },
    /// A process takes what waits for it.
    Step { node: usize, process: u64 },
    /// What a process did becomes visible outside it.
    Release { node: usize, process: u64, effects: Vec<Effect> },
    /// A frame arrives.
    Arrive { connection: u64, way: usize, parcel: Parcel },
    /// A dial reaches somebody, or nobody.
    Dialled { node: usize, process: u64, dial: Box<Dial> },
    /// A dial is given up.
    DialFailed { node: usize, process: u64, target: Box<DialTarget> },
    /// A question was not answered in time.
    AskTimeout { node: usize, process: u64, peer: AuthorKey, id: u64 },
    /// Upkeep of a process's gossip mesh.
    Heartbeat { node: usize, process: u64 },
    /// A connection that carried nothing for a while is noticed to be dead.
    Silence { connection: u64, cut: u64 },
    /// A process learns that its connection is gone.
    Lost { node: usize, process: u64, peer: AuthorKey, connection: u64 },
    /// A message that a neighbour offered and the node asked for arrives.
    Offered { connection: u64, way: usize, message: u32 },
    /// The time of whoever drives the world.
    Agenda(u64),
}

/// A dial under way. Events are many and dials few, so it lies beside its event.
pub(super) struct Dial {
    pub(super) target: DialTarget,
    /// Who must answer.
    pub(super) expected: Option<AuthorKey>,
    /// Who is there.
    pub(super) to: Option<usize>,
}

/// What travels over a connection.
#[derive(Clone)]
pub(super) enum Parcel {
    /// A gossip message; delivered even if it was seen if `again`.
    Gossip { message: u32, again: bool },
    /// A question.
    Ask { id: u64, body: Arc<[u8]> },
    /// An answer.
    Answer { id: u64, body: Arc<[u8]> },
    /// A frame that was damaged on its way.
    Damaged,
}

/// Something that those who watch may want to know.
#[derive(Debug)]
pub enum Observation {
    /// A process started.
    Started {
        /// Where.
        node: usize,
    },
    /// A process could not start.
    NotStarted {
        /// Where.
        node: usize,
        /// What its store said.
        why: String,
    },
    /// A process ended.
    Ended {
        /// Where.
        node: usize,
    },
    /// The core panicked: the process is gone.
    Panicked {
        /// Where.
        node: usize,
        /// The panic's words.
        words: String,
    },
    /// The core asks to be woken again and again without doing anything.
    Spins {
        /// Where.
        node: usize,
    },
    /// A local request was answered.
    Replied {
        /// Where.
        node: usize,
        /// Its number.
        ticket: u64,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// A document changed.
    Changed {
        /// Where.
        node: usize,
        /// How.
        change: DocumentChange,
    },
    /// A node judged a change that came by gossip, and did not reject it.
    Taken {
        /// Where.
        node: usize,
        /// From whom it came.
        from: usize,
        /// The message it came in.
        message: u32,
        /// Accepted: it is in history now or was before. Ignored: it may wait for something.
        verdict: Verdict,
    },
    /// A node charged a peer with an offence.
    Offence {
        /// Who charges.
        node: usize,
        /// Who is charged.
        peer: AuthorKey,
        /// With what.
        code: &'static str,
    },
    /// A node saw a member come or go, or came to doubt it.
    Member {
        /// Who sees it.
        node: usize,
        /// What.
        change: StateChange,
    },
    /// A node counted something.
    Count {
        /// Where.
        node: usize,
        /// What.
        what: Counted,
        /// How often.
        by: u64,
    },
    /// A node noted something.
    Noted {
        /// Where.
        node: usize,
        /// What.
        note: Note,
    },
    /// A fault really did something.
    Fired {
        /// Its number.
        fault: usize,
        /// How often.
        by: u64,
    },
    /// A step gave out effects.
    Stepped {
        /// Where.
        node: usize,
        /// Inputs it took.
        inputs: usize,
        /// Effects it gave.
        effects: usize,
        /// Bytes of what leaves the process.
        bytes: usize,
    },
}

/// When something was seen.
#[derive(Debug)]
pub struct Seen {
    /// When.
    pub at: Time,
    /// What.
    pub what: Observation,
}

/// A position as two runs can compare it.
pub fn position_key(position: &Position) -> ([u8; 16], u64) {
    (position.store.0, position.commit)
}
