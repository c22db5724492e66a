//! How a comparison with another node ended.

use std::time::Duration;

use crate::id::{Actor, AuthorKey, DocumentName, Position};

/// How a comparison ended.
#[derive(Clone, Debug)]
pub enum Compared {
    /// The other node could not be asked.
    Unasked(Unasked),
    /// What was found.
    With(Box<Comparison>),
}

/// Why a node could not be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unasked {
    /// No connection with it stands.
    NotConnected,
    /// The connection broke before the end.
    Lost,
    /// It did not answer in time.
    TimedOut,
    /// It refused, or its answer made no sense, in these words.
    Refused(String),
}

/// What a node held at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Its last commit.
    pub position: Position,
    /// Fingerprint of all its items of the space: equal for equal items.
    pub fingerprint: u64,
}

/// What differs between this node and another.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// This node when the comparison began.
    pub ours: Held,
    /// This node when it ended.
    pub ours_after: Held,
    /// The other node when it was asked first.
    pub theirs: Held,
    /// The other node when it was asked last.
    pub theirs_after: Held,
    /// Whether both hold the same statements of the charter.
    pub charters_equal: bool,
    /// Items that differ, by document and actor; at most [`crate::limits::COMPARED_ITEMS_MAX`].
    pub differences: Vec<Difference>,
    /// How many differ, at least.
    pub differing: u64,
    /// Whether everything that differs is among the differences.
    pub complete: bool,
    /// Questions that were answered.
    pub round_trips: u32,
    /// Bytes of the questions.
    pub sent: u64,
    /// Bytes of the answers.
    pub received: u64,
    /// How long it took.
    pub took: Duration,
}

/// One actor's run in one document that differs between two nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The document; absent if this node does not hold the item and the other no longer names it.
    pub document: Option<DocumentName>,
    /// The actor.
    pub actor: Option<Actor>,
    /// Its author, where this node knows the actor.
    pub author: Option<AuthorKey>,
    /// Highest sequence number here; 0: none.
    pub ours: u64,
    /// Highest sequence number there; 0: none.
    pub theirs: u64,
    /// The numbers are equal and the changes are not.
    pub forked: bool,
}
