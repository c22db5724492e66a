//! One built document and how far it has come.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, Poison};
use crate::history::stored_changes;
use crate::id::{Actor, ChangeHash, DocumentName};
use crate::store::tables::{SpaceIndex, walk_prefix};
use crate::store::{StoreError, StoreRead, Table};

/// A document built from its stored history.
pub struct BuiltView {
    document: Document,
    known: BTreeMap<Actor, u64>,
    quarantined: BTreeSet<ChangeHash>,
}

impl BuiltView {
    /// Of an empty history.
    pub fn empty() -> Self {
        Self { document: Document::new(), known: BTreeMap::new(), quarantined: BTreeSet::new() }
    }

    /// Takes in what the store has gained. Returns the changes that could not be applied, with those
    /// that rest on them: they are kept out of the document.
    ///
    /// # Errors
    /// [`StoreError`] of the store; the view is then as it was.
    pub fn refresh(
        &mut self,
        store: &dyn StoreRead,
        space: SpaceIndex,
        name: &DocumentName,
    ) -> Result<Vec<Poison>, StoreError> {
        let quarantined = quarantined(store, space, name)?;
        if quarantined != self.quarantined {
            *self = Self { quarantined, ..Self::empty() };
        }
        let held = |hash: &ChangeHash| self.document.contains(hash) || self.quarantined.contains(hash);
        let changes = stored_changes(store, space, name, &self.known, &held)?;
        let shown: Vec<&[u8]> = changes
            .iter()
            .filter(|change| !self.quarantined.contains(&change.chunk.hash))
            .map(|change| change.bytes.as_slice())
            .collect();
        let poison = if shown.is_empty() { Vec::new() } else { self.document.apply(&shown) };
        if self.document.is_damaged() && !self.known.is_empty() {
            // Automerge failed in place: built from nothing, the document finds the culprit.
            *self = Self { quarantined: std::mem::take(&mut self.quarantined), ..Self::empty() };
            return self.refresh(store, space, name);
        }
        for change in &changes {
            self.known.insert(change.chunk.actor, change.chunk.seq);
        }
        self.quarantined.extend(poison.iter().map(|poison| poison.hash));
        Ok(poison)
    }

    /// The document, after the last refresh.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The document, to edit; [`BuiltView::wrote`] must follow each change made.
    pub fn document_mut(&mut self) -> &mut Document {
        &mut self.document
    }

    /// Notes that this node's own change `seq` is in the document already.
    pub fn wrote(&mut self, actor: Actor, seq: u64) {
        self.known.insert(actor, seq);
    }

    /// Estimated memory, in bytes.
    pub fn approximate_bytes(&self) -> usize {
        self.document.approximate_bytes() + 64 * (self.known.len() + self.quarantined.len())
    }
}

fn quarantined(
    store: &dyn StoreRead,
    space: SpaceIndex,
    name: &DocumentName,
) -> Result<BTreeSet<ChangeHash>, StoreError> {
    let prefix = space.document_rows(name);
    let mut hashes = BTreeSet::new();
    walk_prefix(store, Table::Quarantine, &prefix, |key, _| {
        hashes.extend(key.get(prefix.len()..).and_then(ChangeHash::from_slice));
        Ok(())
    })?;
    Ok(hashes)
}
