//! Places where concurrent writes left more than one value, in one document or in all of a space.

use starling_api::{
    document::{Conflict, ConflictValue},
    past::{ConflictsPage, ConflictsQuery, DocumentConflict},
};
use starling_crdt::{document, id::DocumentName, view::Witness};

use super::{
    Inspected, Inspector, PAGE_BYTES_MAX, PAGE_DOCUMENTS_MAX, PAGE_ITEMS_MAX, broken, plain, unread,
    unreadable,
};

impl Inspector<'_> {
    /// The conflicts of one document.
    ///
    /// # Errors
    /// A problem, when the document is unknown.
    pub fn conflicts(&mut self, name: &DocumentName) -> Inspected<Vec<Conflict>> {
        let seen = self.look(name, |document, _| {
            let found = document.conflicts().map_err(|error| unreadable(&error))?;
            let values = found.iter().flat_map(|conflict| &conflict.values);
            let changes: Vec<_> = values.filter_map(|value| document.change(&value.change)).collect();
            Inspected::Ok((found, changes))
        });
        let (found, changes) = seen??;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut witness = self.reader.witness(self.space).map_err(|fault| unread(&fault))?;
        // Whoever is named signed what is shown.
        witness.signed(name, changes).map_err(|error| broken(&error))?;
        found.iter().map(|conflict| self.conflict(conflict, &mut witness)).collect()
    }

    /// One page of the conflicts of a space's documents, by name.
    ///
    /// # Errors
    /// A problem of the store.
    pub fn space_conflicts(&mut self, query: &ConflictsQuery) -> Inspected<ConflictsPage> {
        let prefix = query.prefix.as_deref().unwrap_or_default();
        let listed = self.reader.list(self.space, prefix, query.after.as_deref(), PAGE_DOCUMENTS_MAX, false);
        let listed = listed.map_err(|fault| unread(&fault))?;
        let (mut items, mut weight) = (Vec::new(), 0);
        for (name, _) in listed.documents {
            // What one process of one host wrote alone has nothing concurrent in it.
            if self.reader.actors(self.space, &name).map_err(|fault| unread(&fault))? < 2 {
                continue;
            }
            for conflict in self.conflicts(&name)? {
                let values = conflict.values.iter().filter_map(|value| value.value.as_ref());
                weight += values.map(|value| value.to_string().len()).sum::<usize>();
                items.push(DocumentConflict { doc: name.to_string(), conflict });
            }
            if items.len() >= PAGE_ITEMS_MAX || weight >= PAGE_BYTES_MAX {
                return Ok(ConflictsPage { items, next: Some(name.to_string()) });
            }
        }
        Ok(ConflictsPage { items, next: listed.next })
    }

    fn conflict(&self, conflict: &document::Conflict, witness: &mut Witness<'_>) -> Inspected<Conflict> {
        let mut values = Vec::with_capacity(conflict.values.len());
        for (rank, value) in conflict.values.iter().enumerate() {
            let author = witness.author(value.actor).map_err(|error| broken(&error))?;
            values.push(ConflictValue {
                value: value.value.as_ref().map(plain).transpose()?,
                actor: value.actor.to_string(),
                author: author.to_string(),
                author_name: self.names.get(&author).cloned(),
                change: Some(value.change.to_string()),
                shown: rank == 0,
            });
        }
        Ok(Conflict { pointer: conflict.pointer.to_string(), values })
    }
}
