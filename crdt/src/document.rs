//! Documents: automerge behind one module.
//!
//! Promises: this is the only place in the crate that makes automerge values, always with an actor
//! that the caller names; a [`Document`] is a function of the set of changes given to it, whatever
//! their order and batches; no change, however hostile, panics, overflows the stack or leaves a
//! document half changed; an edit is one automerge change within every limit of the protocol, or
//! no change at all.
//!
//! Leaves out: signatures, who may write, which changes are clean (`view`), and when a document is
//! built or dropped. Isolated transactions are never used: they write as a foreign actor.
//! `Automerge::new` and `fork` draw random actors; the former's is replaced before any use, the
//! latter is not called.
//!
//! ```
//! use starling_crdt::document::{Commit, Document, Edit, Json};
//! use starling_crdt::id::Actor;
//!
//! let mut document = Document::new();
//! let value = Json::parse(r#"{"flags": {"dark": true}, "visits": {"$counter": 3}}"#).unwrap();
//! let commit = Commit { actor: Actor([7; 16]), time_seconds: 0, message: None };
//! let edited = document.edit(commit, &Edit::Put { value: value.clone(), base: None }).unwrap();
//! assert_eq!(edited.changes.len(), 1);
//! assert_eq!(document.read(None, None).unwrap(), value);
//! ```

mod apply;
mod blame;
pub mod body;
mod bridge;
mod canonical;
mod compare;
mod conflicts;
mod diff;
mod edit;
mod index;
mod json;
mod patch;
mod pointer;
mod read;
mod timeline;
mod told;
mod validate;
mod write;

use automerge::Automerge;

pub use crate::chunk::{DELETION_MESSAGE, is_deletion};
use crate::id::ChangeHash;

pub use apply::{Poison, PoisonReason};
pub use blame::{BlamePage, BlameRange, Blamed, TextPart};
pub use canonical::{CanonicalError, canonical};
pub use compare::{Difference, compare};
pub use conflicts::{Conflict, ConflictValue};
pub use edit::{Commit, Edit, EditError, Edited, LocalChange};
pub use json::{Json, JsonError, JsonErrorKind};
pub use patch::{Patch, PatchError, PatchStep};
pub use pointer::{Pointer, PointerError};
pub use read::ReadError;
pub use timeline::{HeadsFault, PastChange};
pub use told::{Deed, TOLD_OPS_MAX, Telling, Told};

use index::Index;

/// One document, built from the changes of its view.
#[derive(Debug, Clone)]
pub struct Document {
    automerge: Automerge,
    /// What the validator knows of every change and operation in `automerge`.
    index: Index,
    /// Set when automerge failed in the middle of a change: what it holds is unknown.
    damaged: bool,
    /// Changes of its own that were collected from automerge, which takes the longer the more often a
    /// counter in them was incremented.
    #[cfg(test)]
    collected: usize,
}

impl Document {
    /// A document without changes.
    pub fn new() -> Self {
        Self {
            automerge: bridge::empty(),
            index: Index::new(),
            damaged: false,
            #[cfg(test)]
            collected: 0,
        }
    }

    /// Hashes of the changes that no other change depends on, sorted. Empty for a document that
    /// nobody has written yet.
    pub fn heads(&self) -> Vec<ChangeHash> {
        self.index.heads()
    }

    /// Whether the change is part of the document.
    pub fn contains(&self, change: &ChangeHash) -> bool {
        self.index.contains(change)
    }

    /// Number of changes.
    pub fn changes(&self) -> usize {
        self.index.changes()
    }

    /// Whether every head is a deletion: at the given heads, or now. A document without changes is
    /// not deleted but absent.
    pub fn is_deleted(&self, at: Option<&[ChangeHash]>) -> bool {
        match at {
            Some(heads) => self.index.all_deletions(heads),
            None => self.index.all_deletions(&self.heads()),
        }
    }

    /// Maps, lists and texts ever made in the document, its root included. The cost of applying a
    /// batch of changes grows with this.
    pub fn objects(&self) -> usize {
        self.index.objects()
    }

    /// Estimated memory of the document, in bytes: for deciding which documents to keep built.
    pub fn approximate_bytes(&self) -> usize {
        self.index.approximate_bytes()
    }

    /// Whether automerge failed inside an edit or on changes added later, so that the document must
    /// be built anew from its changes. Until then reads and edits are refused.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// The document as an automerge file, which any automerge program reads.
    pub fn to_automerge_file(&self) -> Vec<u8> {
        self.automerge.save()
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_move_between_threads() {
        fn is_send<T: Send + Sync>(_: &T) {}
        is_send(&Document::new());
    }
}
