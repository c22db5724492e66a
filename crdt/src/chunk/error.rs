//! Why a change chunk is refused.

use crate::limits::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_COLUMNS_MAX, CHANGE_DEPENDENCIES_MAX,
    CHANGE_MESSAGE_BYTES_MAX, CHANGE_OPS_MAX, CHANGE_PREDECESSORS_MAX, CHANGE_TIME_SECONDS_MAX,
    OP_COUNTER_MAX,
};

/// Why bytes are no change this protocol admits. All of them are the sender's fault, and none
/// leaves a trace in any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// More bytes than a change may have.
    #[error("a change of {bytes} bytes, where {CHANGE_BYTES_MAX} are allowed")]
    TooLong {
        /// Bytes given.
        bytes: usize,
    },
    /// The bytes end before the change does.
    #[error("the bytes end before the change does")]
    Truncated,
    /// The first four bytes are not automerge's.
    #[error("no automerge chunk: the first four bytes differ")]
    Magic,
    /// A deflated change: how much it inflates to has no bound.
    #[error("a compressed change, where only uncompressed ones are taken")]
    Compressed,
    /// A document, a bundle or an unknown type.
    #[error("a chunk of type {chunk_type}, where only changes (type 1) are taken")]
    NotAChange {
        /// The type byte found.
        chunk_type: u8,
    },
    /// The checksum does not match the content.
    #[error("the checksum does not match the content")]
    Checksum,
    /// Bytes after the chunk's end.
    #[error("{bytes} bytes after the end of the chunk")]
    Trailing {
        /// Number of bytes left over.
        bytes: usize,
    },
    /// Bytes inside the chunk after its last column.
    #[error("{bytes} bytes after the last column")]
    ExtraBytes {
        /// Number of bytes left over.
        bytes: usize,
    },
    /// A number is not written in its shortest form, or does not fit its type.
    #[error("a number that is malformed or not in its shortest form")]
    Number,
    /// A text is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// More dependencies than allowed.
    #[error("{dependencies} dependencies, where {CHANGE_DEPENDENCIES_MAX} are allowed")]
    TooManyDependencies {
        /// Dependencies announced.
        dependencies: usize,
    },
    /// Dependencies are not sorted and distinct.
    #[error("dependencies that are not sorted and distinct")]
    DependencyOrder,
    /// An actor is not 16 bytes long.
    #[error("an actor of {bytes} bytes, where 16 are required")]
    ActorLength {
        /// Bytes found.
        bytes: usize,
    },
    /// More other actors than allowed.
    #[error("{actors} other actors, where {CHANGE_ACTORS_MAX} are allowed")]
    TooManyActors {
        /// Actors announced.
        actors: usize,
    },
    /// Other actors are not sorted and distinct, or contain the change's own.
    #[error("other actors that are not sorted and distinct, or contain the author's own")]
    ActorOrder,
    /// An operation refers to an actor that the change does not list.
    #[error("an operation refers to actor {place} of a shorter list")]
    UnknownActor {
        /// The place in the list of actors.
        place: u64,
    },
    /// Sequence numbers start at 1.
    #[error("sequence number 0")]
    ZeroSequence,
    /// The first operation's counter is 0, or the last one's too large.
    #[error("operation counters from {start_op} on, where 1 to below {OP_COUNTER_MAX} are allowed")]
    OpCounter {
        /// Counter of the first operation.
        start_op: u64,
    },
    /// The time it claims lies too far from 1970.
    #[error("a time of {seconds} s from 1970, where {CHANGE_TIME_SECONDS_MAX} either way are allowed")]
    Time {
        /// Seconds since 1970.
        seconds: i64,
    },
    /// The message is too long.
    #[error("a message of {bytes} bytes, where {CHANGE_MESSAGE_BYTES_MAX} are allowed")]
    MessageTooLong {
        /// Bytes announced.
        bytes: usize,
    },
    /// More columns than allowed.
    #[error("{columns} columns, where {CHANGE_COLUMNS_MAX} are allowed")]
    TooManyColumns {
        /// Columns announced.
        columns: usize,
    },
    /// A column is deflated.
    #[error("a compressed column")]
    CompressedColumn,
    /// A column of no meaning in this protocol version.
    #[error("column {spec} is unknown")]
    UnknownColumn {
        /// The column's specification number.
        spec: u64,
    },
    /// Columns are not sorted and distinct, or one is empty.
    #[error("columns that are not sorted, distinct and non-empty")]
    ColumnOrder,
    /// A column does not hold one row per operation, or not the bytes its rows announce.
    #[error("column {spec} does not match the number of operations")]
    ColumnRows {
        /// The column's specification number.
        spec: u64,
    },
    /// More operations than allowed.
    #[error("more than {CHANGE_OPS_MAX} operations")]
    TooManyOps,
    /// More predecessors than allowed.
    #[error("more than {CHANGE_PREDECESSORS_MAX} predecessors")]
    TooManyPredecessors,
}

impl ChunkError {
    /// A short, stable name for metrics, logs and the answer to the sender.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "change-too-long",
            Self::Truncated => "change-truncated",
            Self::Magic => "change-magic",
            Self::Compressed => "change-compressed",
            Self::NotAChange { .. } => "not-a-change",
            Self::Checksum => "change-checksum",
            Self::Trailing { .. } => "change-trailing",
            Self::ExtraBytes { .. } => "change-extra-bytes",
            Self::Number => "change-number",
            Self::NotUtf8 => "change-not-utf8",
            Self::TooManyDependencies { .. } => "change-dependencies",
            Self::DependencyOrder => "change-dependency-order",
            Self::ActorLength { .. } => "change-actor-length",
            Self::TooManyActors { .. } => "change-actors",
            Self::ActorOrder => "change-actor-order",
            Self::UnknownActor { .. } => "change-actor-unknown",
            Self::ZeroSequence => "change-sequence",
            Self::OpCounter { .. } => "change-op-counter",
            Self::Time { .. } => "change-time",
            Self::MessageTooLong { .. } => "change-message",
            Self::TooManyColumns { .. } => "change-columns",
            Self::CompressedColumn => "change-column-compressed",
            Self::UnknownColumn { .. } => "change-column-unknown",
            Self::ColumnOrder => "change-column-order",
            Self::ColumnRows { .. } => "change-column-rows",
            Self::TooManyOps => "change-ops",
            Self::TooManyPredecessors => "change-predecessors",
        }
    }
}
