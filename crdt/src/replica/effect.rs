//! What comes out of a step, once what it says is durable.

mod compared;
mod told;

use minicbor::{Decode, Encode};

pub use compared::*;
pub use told::*;

use super::input::{MessageToken, RequestTicket};
use crate::address::Address;
use crate::budget::Offence;
use crate::charter::{IssueError, JoinRefused, Ticket, VoidReason};
use crate::connect::DialTarget;
use crate::document::EditError;
use crate::id::{AuthorKey, ChangeHash, DocumentName, Position, SpaceId, Topic};
use crate::presence::StateChange;
use crate::store::StoreError;

/// One thing to do or to tell.
#[derive(Debug)]
pub enum Effect {
    /// Answer a local request.
    Reply {
        /// Which.
        ticket: RequestTicket,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// Listen to a topic.
    Subscribe(Topic),
    /// Listen to a topic no longer.
    Unsubscribe(Topic),
    /// Gossip a sealed payload.
    Publish {
        /// Where.
        topic: Topic,
        /// What.
        payload: Vec<u8>,
    },
    /// Judge a gossip message.
    Verdict {
        /// Which.
        token: MessageToken,
        /// How.
        verdict: Verdict,
    },
    /// Ask a peer; its answer comes back as an input.
    Ask {
        /// Whom.
        peer: AuthorKey,
        /// The number of the question.
        id: u64,
        /// The encoded request.
        body: Vec<u8>,
    },
    /// Answer a peer.
    Answer {
        /// Whom.
        peer: AuthorKey,
        /// The number of its question.
        id: u64,
        /// The encoded response.
        body: Vec<u8>,
    },
    /// Open a connection.
    Dial {
        /// Comes back with the result.
        target: DialTarget,
        /// Whom to expect there, if known.
        peer: Option<AuthorKey>,
        /// Where, in order of preference.
        addresses: Vec<Address>,
    },
    /// Close every connection to a peer.
    Disconnect {
        /// Whom.
        peer: AuthorKey,
        /// Why, for the log.
        reason: &'static str,
    },
    /// Refuse connections with a peer from now on.
    Block(AuthorKey),
    /// Accept them again.
    Unblock(AuthorKey),
    /// A document changed.
    Changed(DocumentChange),
    /// A peer did wrong.
    Offence {
        /// Who.
        peer: AuthorKey,
        /// What.
        offence: Offence,
        /// A stable short code of the very fault.
        code: &'static str,
    },
    /// A member's state changed.
    MemberChanged {
        /// In which space.
        space: SpaceId,
        /// Who, from which state to which, and why.
        change: StateChange,
    },
    /// Something happened that is counted.
    Count {
        /// What.
        what: Counted,
        /// How often.
        by: u64,
    },
    /// Something happened that an operator may want to read.
    Note(Note),
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on, and blame nobody.
    Ignore,
    /// Do not pass it on, and hold it against the neighbour.
    Reject,
}

/// A document changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentChange {
    /// The space.
    pub space: SpaceId,
    /// The document.
    pub document: DocumentName,
    /// Heads of its view, sorted.
    pub heads: Vec<ChangeHash>,
    /// Author of the change taken in last.
    pub author: AuthorKey,
    /// The commit, for `watch` to resume from.
    pub position: Position,
    /// Whether it is deleted now.
    pub deleted: bool,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Counted {
    /// Changes made here.
    Written,
    /// Changes of others admitted.
    Admitted,
    /// Deltas refused, by stable code.
    Refused(&'static str),
    /// Deltas that wait for something.
    Orphaned,
    /// Orphans dropped to make room.
    OrphansDropped,
    /// Fork proofs stored.
    Forks,
    /// Changes put into quarantine.
    Quarantined,
    /// Exchanges begun.
    Exchanges,
    /// Bytes of deltas served to peers.
    ServedBytes,
    /// Bytes of deltas fetched from peers.
    FetchedBytes,
}

/// What an operator may want to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// This node was witnessed and is a member now.
    Joined {
        /// Of which space.
        space: SpaceId,
    },
    /// A peer refused to witness this node's join.
    JoinRefused {
        /// Of which space.
        space: SpaceId,
        /// Who refused.
        peer: AuthorKey,
        /// Why, in its words.
        reason: String,
    },
    /// An author signed two changes with one number.
    Fork {
        /// In which space.
        space: SpaceId,
        /// In which document.
        document: DocumentName,
        /// Who.
        author: AuthorKey,
        /// At which sequence number.
        seq: u64,
    },
    /// A change left the view.
    Quarantined {
        /// In which space.
        space: SpaceId,
        /// In which document.
        document: DocumentName,
        /// Which change.
        change: ChangeHash,
        /// Why.
        reason: String,
    },
    /// A peer refused an exchange.
    ExchangeRefused {
        /// Who.
        peer: AuthorKey,
        /// Why, in its words.
        reason: String,
    },
    /// A statement is without effect.
    VoidStatement {
        /// In which space.
        space: SpaceId,
        /// Why.
        reason: VoidReason,
    },
    /// Rows of the store could not be read while handling one input; the rest went on.
    StoreFault {
        /// What the store said.
        error: StoreError,
    },
}

/// The answer to a local request.
#[derive(Debug)]
pub enum Reply {
    /// A space was made.
    Space(SpaceId),
    /// A join is under way, or done already.
    Joining {
        /// Which space.
        space: SpaceId,
        /// Whether this node is a member.
        joined: bool,
    },
    /// A ticket.
    Ticket(Box<Ticket>),
    /// A write is durable here.
    Written(Written),
    /// Who holds what was asked about.
    Waited(Waited),
    /// What differs from another node.
    Compared(Compared),
    /// Deltas were merged.
    Compacted(Compacted),
    /// How this node is.
    Status(Box<Status>),
    /// Members of a space.
    Members(Vec<MemberReport>),
    /// Peers, connected or blocked.
    Peers(Vec<PeerReport>),
    /// Done.
    Done,
}

/// A write that is durable here.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Written {
    /// Heads of the document after it.
    #[n(0)]
    pub heads: Vec<ChangeHash>,
    /// The commit it is in.
    #[n(1)]
    pub position: Position,
    /// Whether anything changed.
    #[n(2)]
    pub changed: bool,
    /// Whether it made what it names: the document, or for an increment the counter.
    #[n(3)]
    pub created: bool,
}

/// What a pass of compaction gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// Documents looked at.
    pub documents: u64,
    /// Deltas found.
    pub deltas_before: u64,
    /// Deltas left.
    pub deltas_after: u64,
    /// Bytes of the rows of those found.
    pub bytes_before: u64,
    /// Bytes of the rows of those left.
    pub bytes_after: u64,
    /// Groups left as they were because their signature does not fit: a part of them is damaged.
    pub refused: u64,
}

/// How a wait ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Waited {
    /// Whether as many as asked hold it.
    pub satisfied: bool,
    /// Who holds it.
    pub holders: Vec<AuthorKey>,
    /// Who was asked and does not, or did not answer.
    pub missing: Vec<AuthorKey>,
    /// Members that are away or left, and were not waited for.
    pub not_waited_for: Vec<AuthorKey>,
}

/// Why a local request is refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This node does not hold the space.
    #[error("this node holds no space {0}")]
    UnknownSpace(SpaceId),
    /// It holds the space already.
    #[error("this node holds space {0} already")]
    KnownSpace(SpaceId),
    /// The own key lacks the right.
    #[error("this node may not {action}")]
    NotAllowed {
        /// What it may not do.
        action: &'static str,
    },
    /// The precondition does not hold.
    #[error("the document is not as the precondition says")]
    Precondition {
        /// Its heads.
        heads: Vec<ChangeHash>,
    },
    /// There is no such document.
    #[error("no document {0:?}")]
    UnknownDocument(DocumentName),
    /// The edit does not fit the document.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The request id was used for another write.
    #[error("request id {0:?} was used for another write within the last 24 hours")]
    RequestIdReused(String),
    /// The join cannot be.
    #[error(transparent)]
    Join(#[from] JoinRefused),
    /// The statement would have no effect.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The charter takes no more statements.
    #[error("the charter is full")]
    CharterFull,
    /// A bound of this node is reached.
    #[error("too many {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// The space holds as much as this node keeps of one.
    #[error("the space holds {bytes} bytes of changes, and this node keeps {most} of one")]
    SpaceFull {
        /// Bytes of its changes.
        bytes: u64,
        /// The node's quota.
        most: u64,
    },
    /// No other node is known to hold what this one holds of the space.
    #[error("no other node confirmed that it holds all of this space")]
    HeldNowhereElse,
    /// A peer cannot be this node itself.
    #[error("that is this node itself")]
    ThisNode,
    /// The store failed: whether the write is durable is unknown.
    #[error("the store failed; whether the write is durable is unknown")]
    Store(#[from] StoreError),
    /// Automerge failed on the document: a defect of Starling. Nothing was written.
    #[error("building or changing the document failed inside; nothing was written")]
    Internal,
}
