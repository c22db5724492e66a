//! Local edits: each one automerge change, or none.

mod commit;
mod made;
mod patch;
mod steps;

use super::json::Json;
use super::patch::{Patch, PatchStep};
use super::pointer::Pointer;
use super::read::ReadError;
use super::write::WriteError;
use super::{DELETION_MESSAGE, Document, is_deletion};
use crate::chunk::ChangeChunk;
use crate::id::{Actor, ChangeHash};
use crate::limits::{
    CHANGE_DEPENDENCIES_MAX, CHANGE_MESSAGE_BYTES_MAX, CHANGE_TIME_SECONDS_MAX, COUNTER_START_MAX,
    COUNTER_STEP_MAX, DOCUMENT_DEPTH_MAX,
};
use commit::{Finish, hashes};
pub(super) use made::Made;

/// Most heads that one change merges: its actor's own last change may come on top.
const MERGED_HEADS_MAX: usize = CHANGE_DEPENDENCIES_MAX - 1;

/// Who writes, and what the change says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The actor of the writing incarnation.
    pub actor: Actor,
    /// Wall-clock time, in seconds since 1970.
    pub time_seconds: i64,
    /// A message, such as that of a re-issued change. Deletions have their own.
    pub message: Option<&'a str>,
}

/// What to do with a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Makes the document `value`, as far as `value` differs from what the client read: the
    /// document at `base`, or the present one. What others changed meanwhile stays.
    Put {
        /// The whole document, an object.
        value: Json,
        /// Heads of the document the client read.
        base: Option<Vec<ChangeHash>>,
    },
    /// Makes the value at `pointer` what is given. Its parent must exist; in a list the last step
    /// is a position, or `-` to append.
    Set {
        /// Where.
        pointer: Pointer,
        /// The value there afterwards.
        value: Json,
    },
    /// Removes the value at `pointer`: a member, or an element of a list.
    Unset {
        /// Where.
        pointer: Pointer,
    },
    /// Inserts an element into a list, before the position that is the last step of `pointer`.
    Insert {
        /// Where.
        pointer: Pointer,
        /// The new element.
        value: Json,
    },
    /// Replaces characters of a text. Positions count Unicode code points.
    Splice {
        /// The text.
        pointer: Pointer,
        /// Position of the first character replaced.
        at: usize,
        /// How many characters are removed.
        delete: usize,
        /// What takes their place.
        insert: String,
    },
    /// Applies a JSON Merge Patch (RFC 7396) to the value at `pointer`. A special form in it is one
    /// value.
    Merge {
        /// Where; the document itself at the root.
        pointer: Pointer,
        /// The patch.
        patch: Json,
    },
    /// Applies a JSON Patch (RFC 6902) to the document: all of its operations, or none.
    Patch(Patch),
    /// Adds to a counter, which is created when nothing is there.
    Increment {
        /// Where.
        pointer: Pointer,
        /// By how much; may be negative.
        by: i64,
    },
    /// Settles a conflict: one value in place of every value at `pointer`. At the root it settles a
    /// deletion that ran into edits, in favour of the edits.
    Resolve {
        /// Where.
        pointer: Pointer,
        /// The value that stands; without it, the one that is shown.
        value: Option<Json>,
    },
    /// Makes the document what it was at earlier heads; deletes it, if it was deleted then.
    Revert {
        /// The heads.
        to: Vec<ChangeHash>,
    },
    /// Deletes the document: removes every member of the root.
    Remove,
}

impl Edit {
    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Put { value, .. } | Self::Set { value, .. } | Self::Insert { value, .. } => value.weight(),
            Self::Merge { patch, .. } => patch.weight(),
            Self::Patch(patch) => patch.weight(),
            Self::Splice { insert, .. } => insert.len(),
            Self::Resolve { value, .. } => value.as_ref().map_or(0, Json::weight),
            Self::Unset { .. } | Self::Increment { .. } | Self::Revert { .. } | Self::Remove => 0,
        }
    }
}

/// A change made here, to be signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChange {
    /// What it says of itself, its hash included.
    pub chunk: ChangeChunk,
    /// The uncompressed change chunk.
    pub bytes: Vec<u8>,
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edited {
    /// The changes made, in causal order: none when nothing changed, otherwise one, after any merge
    /// changes that were needed because the document had too many heads.
    pub changes: Vec<LocalChange>,
    /// Whether an increment created its counter.
    pub created: bool,
}

/// Why an edit was not made. The document is as it was, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The root of a document is an object.
    #[error("the root of a document is a plain object")]
    RootNotObject,
    /// What should hold the value does not exist.
    #[error("nothing at {0}, so nothing can be put into it; create it first")]
    MissingParent(Pointer),
    /// What should hold the value is neither an object nor a list.
    #[error("{0} is neither an object nor a list, so nothing can be put into it")]
    NotAContainer(Pointer),
    /// A list has no such position.
    #[error("the list has no position {0}; use a smaller one, or `-` to append")]
    NoPosition(Pointer),
    /// The value to increment is no counter.
    #[error("{0} is no counter; a counter is written {{\"$counter\": 0}}")]
    NotACounter(Pointer),
    /// Nothing is there to be changed or removed.
    #[error("nothing at {0}")]
    NotFound(Pointer),
    /// The value is no text.
    #[error("{0} is no text; a text is written {{\"$text\": \"\"}}")]
    NotAText(Pointer),
    /// The value is no list.
    #[error("{0} is no list")]
    NotAList(Pointer),
    /// A text has no such position.
    #[error("the text at {pointer} has {length} characters, too few for this position")]
    TextTooShort {
        /// The text.
        pointer: Pointer,
        /// Its length in code points.
        length: usize,
    },
    /// A patch tests for a value that is not there. Nothing was written.
    #[error("the patch expects another value at {0}")]
    TestFailed(Pointer),
    /// A value cannot be moved into itself.
    #[error("{0} cannot be moved into itself")]
    IntoItself(Pointer),
    /// A counter would start or move farther than allowed, or leave the range of 64 bits.
    #[error(
        "out of range: a counter starts within ±{COUNTER_START_MAX}, moves by at most {COUNTER_STEP_MAX} at once, \
         and stays within 64 bits"
    )]
    CounterOverflow,
    /// The value nests too deep.
    #[error("the document would nest deeper than {DOCUMENT_DEPTH_MAX} levels")]
    TooDeep,
    /// The value holds a number that is infinite or none, which JSON cannot say.
    #[error("a number that is not finite; store it as a string")]
    NotFinite,
    /// The change would exceed the limits of one change.
    #[error("the edit is too large for one change; split it")]
    TooLarge,
    /// The message is too long.
    #[error("a message of {0} bytes, where {CHANGE_MESSAGE_BYTES_MAX} are allowed")]
    MessageTooLong(usize),
    /// The message belongs to deletions.
    #[error("the message {DELETION_MESSAGE:?} belongs to deletions")]
    ReservedMessage,
    /// The document has no such change.
    #[error("the document has no change {0} to compare with; read it again")]
    UnknownBase(ChangeHash),
    /// The document has used up its operation counters.
    #[error("the document has used up its operation counters; continue in a new one")]
    Exhausted,
    /// The document must be built anew from its changes.
    #[error("the document must be built anew from its changes: automerge failed on it")]
    Damaged,
    /// Automerge failed or produced what the validator refuses: a defect of this program. The
    /// document may have to be built anew ([`Document::is_damaged`]).
    #[error("automerge fails on the edit: a defect of this program")]
    Crash,
}

impl EditError {
    /// A short, stable name for answers and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootNotObject => "root-not-object",
            Self::MissingParent(_) => "missing-parent",
            Self::NotAContainer(_) => "not-a-container",
            Self::NoPosition(_) => "no-position",
            Self::NotACounter(_) => "not-a-counter",
            Self::NotFound(_) => "not-found",
            Self::NotAText(_) => "not-a-text",
            Self::NotAList(_) => "not-a-list",
            Self::TextTooShort { .. } => "text-too-short",
            Self::TestFailed(_) => "test-failed",
            Self::IntoItself(_) => "into-itself",
            Self::CounterOverflow => "counter-overflow",
            Self::TooDeep => "too-deep",
            Self::NotFinite => "not-finite",
            Self::TooLarge => "edit-too-large",
            Self::MessageTooLong(_) => "message-too-long",
            Self::ReservedMessage => "reserved-message",
            Self::UnknownBase(_) => "unknown-base",
            Self::Exhausted => "document-exhausted",
            Self::Damaged => "document-damaged",
            Self::Crash => "document-crash",
        }
    }
}

impl From<WriteError> for EditError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::TooLarge => Self::TooLarge,
            WriteError::CounterOverflow => Self::CounterOverflow,
            WriteError::Automerge => Self::Crash,
        }
    }
}

impl From<ReadError> for EditError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::UnknownHead(hash) => Self::UnknownBase(hash),
            ReadError::Damaged => Self::Damaged,
            ReadError::NotFound(_) | ReadError::Crash => Self::Crash,
        }
    }
}

impl From<automerge::AutomergeError> for EditError {
    fn from(_: automerge::AutomergeError) -> Self {
        Self::Crash
    }
}

impl Document {
    /// Makes one edit as `commit.actor`, whose own last change, if it has one here, must be part of
    /// the document.
    ///
    /// # Errors
    /// [`EditError`] when the edit cannot be made.
    pub fn edit(&mut self, commit: Commit<'_>, edit: &Edit) -> Result<Edited, EditError> {
        if self.damaged {
            return Err(EditError::Damaged);
        }
        if let Edit::Revert { to } = edit {
            let edit = self.going_back(to)?;
            return self.edit(commit, &edit);
        }
        check(commit, edit)?;
        // A clock that is so far off is no reason to refuse a write.
        let time_seconds = commit.time_seconds.clamp(-CHANGE_TIME_SECONDS_MAX, CHANGE_TIME_SECONDS_MAX);
        let commit = Commit { time_seconds, ..commit };
        let base = match edit {
            Edit::Put { base: Some(heads), .. } => Some(self.known_heads(heads)?),
            _ => None,
        };
        // The present is cheaper to read, when that is what the client read.
        let base = base.as_deref().filter(|base| !same_heads(base, &self.automerge.get_heads()));
        let mut changes = Vec::new();
        if self.index.heads_count() > MERGED_HEADS_MAX {
            if self.attempt(commit, edit, base, Finish::Rollback)?.is_none() {
                return Ok(Edited::default());
            }
            changes = self.merge_heads(commit)?;
        }
        match self.attempt(commit, edit, base, Finish::Commit) {
            Ok(None) => Ok(Edited { changes, created: false }),
            Ok(Some(outcome)) => {
                changes.extend(outcome.change);
                Ok(Edited { changes, created: outcome.created })
            }
            Err(error) => {
                self.take_back(&hashes(&changes));
                Err(error)
            }
        }
    }
}

impl Document {
    /// The edit that makes the document what it was.
    fn going_back(&self, to: &[ChangeHash]) -> Result<Edit, EditError> {
        self.known_heads(to)?;
        if self.is_deleted(Some(to)) {
            return Ok(Edit::Remove);
        }
        Ok(Edit::Put { value: self.read(None, Some(to))?, base: None })
    }
}

/// Whether the heads are those of the present document, which are sorted and distinct.
fn same_heads(heads: &[automerge::ChangeHash], present: &[automerge::ChangeHash]) -> bool {
    heads.len() == present.len() && present.iter().all(|head| heads.contains(head))
}

/// What can be refused without looking at the document.
fn check(commit: Commit<'_>, edit: &Edit) -> Result<(), EditError> {
    if let Some(message) = commit.message {
        if message.len() > CHANGE_MESSAGE_BYTES_MAX {
            return Err(EditError::MessageTooLong(message.len()));
        }
        if is_deletion(Some(message)) && !matches!(edit, Edit::Remove) {
            return Err(EditError::ReservedMessage);
        }
    }
    match edit {
        Edit::Put { value, .. } => check_value(&Pointer::root(), value),
        Edit::Set { pointer, value } | Edit::Insert { pointer, value } => check_value(pointer, value),
        Edit::Merge { pointer, patch } => check_value(pointer, patch),
        Edit::Patch(patch) => patch.steps().iter().try_for_each(|step| match step {
            PatchStep::Add { path, value } | PatchStep::Replace { path, value } => check_value(path, value),
            PatchStep::Remove { .. }
            | PatchStep::Move { .. }
            | PatchStep::Copy { .. }
            | PatchStep::Test { .. } => Ok(()),
        }),
        Edit::Increment { by, .. } if by.unsigned_abs() > COUNTER_STEP_MAX.unsigned_abs() => {
            Err(EditError::CounterOverflow)
        }
        Edit::Resolve { pointer, value: Some(value) } => check_value(pointer, value),
        Edit::Increment { .. }
        | Edit::Unset { .. }
        | Edit::Splice { .. }
        | Edit::Resolve { value: None, .. }
        | Edit::Revert { .. }
        | Edit::Remove => Ok(()),
    }
}

/// A value that is to stand at a place.
fn check_value(place: &Pointer, value: &Json) -> Result<(), EditError> {
    if place.is_root() && !matches!(value, Json::Map(_)) {
        return Err(EditError::RootNotObject);
    }
    if !value.is_finite() {
        return Err(EditError::NotFinite);
    }
    if !value.counters_fit() {
        return Err(EditError::CounterOverflow);
    }
    // The outermost container of the value lies as deep as the pointer has steps.
    if (place.steps().len() + value.depth()).saturating_sub(1) > DOCUMENT_DEPTH_MAX {
        return Err(EditError::TooDeep);
    }
    Ok(())
}
