//! The view: the part of a document's history that is shown, and the document built from it.
//!
//! Promises: a document is a function of its view, whatever the order in which the view grew; it is
//! built in batches when somebody looks, at most once at a time. A change that cannot be applied is
//! kept out together with what rests on it, and reported, so that the replica quarantines it.
//!
//! Leaves out cuts and the validator of hostile changes: a change is kept out here because building
//! failed on it.

mod built;
mod cache;
mod kept_out;
mod large;
mod reader;
mod witness;

pub use built::BuiltView;
pub use cache::{Built, ViewCache};
pub use kept_out::{ForkPlace, KeptFork, KeptOut, KeptOutCounts, KeptOutDocument, KeptOutWriter};
pub use large::LargeDocuments;
pub use reader::{DocumentPage, ReadFault, Reader};
pub use witness::{SignedChange, Witness};

use crate::id::DocumentName;
use crate::store::tables::SpaceIndex;

/// Names a document across the spaces of one store.
pub type DocumentKey = (SpaceIndex, DocumentName);
