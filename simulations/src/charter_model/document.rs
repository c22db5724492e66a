//! What a document shows: a pure function of its clean changes.
//!
//! Enough of automerge to see loss and doubling: a counter whose increments carry the names of the
//! user's edits, one register, and existence by the heads.

use super::charter::Charter;
use super::records::Document;
use super::rules::Defect;
use super::set::Set;

/// What a reader sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// Whether the document is listed.
    pub exists: bool,
    /// The edits counted, each as often as it counts.
    pub increments: Vec<usize>,
    /// The register's values, several when they conflict.
    pub values: Vec<usize>,
    /// The document's heads.
    pub heads: Set,
}

/// What the clean changes make of one document.
#[must_use]
pub fn show(charter: &Charter<'_>, clean: Set, document: Document) -> Shown {
    let history = charter.history;
    let view = clean.intersection(history.of_document(document));
    let heads = history.heads(view);
    let deletes = |id: usize| history.changes[id].effect.deletes;
    let gone = if charter.rules.has(Defect::DeleteWins) {
        view.iter().any(deletes)
    } else {
        heads.iter().all(deletes)
    };
    let mut increments: Vec<usize> =
        view.iter().flat_map(|id| history.changes[id].effect.increments.iter()).collect();
    increments.sort_unstable();
    let puts: Set = view.iter().filter(|&id| history.changes[id].effect.put.is_some()).collect();
    let mut values: Vec<usize> =
        history.heads(puts).iter().filter_map(|id| history.changes[id].effect.put).collect();
    values.sort_unstable();
    Shown { exists: !view.is_empty() && !gone, increments, values, heads }
}
