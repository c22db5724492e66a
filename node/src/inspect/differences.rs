//! What differs between two states of a document.

use starling_api::past::{Diff, DiffQuery, Difference, PatchOp};
use starling_crdt::{
    document::{self, Document, compare},
    id::DocumentName,
};

use super::{Inspected, Inspector, heads_of, moment, plain, unreadable};

impl Inspector<'_> {
    /// A JSON Patch from one state of a document to another.
    ///
    /// # Errors
    /// A problem, when the document or one of the states is unknown.
    pub fn diff(&mut self, name: &DocumentName, query: &DiffQuery) -> Inspected<Diff> {
        moment::check(&query.from)?;
        query.to.as_deref().map_or(Ok(()), moment::check)?;
        self.look(name, |document, _| between(document, query))?
    }
}

fn between(document: &Document, query: &DiffQuery) -> Inspected<Diff> {
    let from = moment::heads(document, &query.from)?;
    let to = query.to.as_deref().map(|text| moment::heads(document, text)).transpose()?;
    let before = document.read(None, Some(&from)).map_err(|error| unreadable(&error))?;
    let after = document.read(None, to.as_deref()).map_err(|error| unreadable(&error))?;
    let patch = compare(&before, &after).iter().map(difference).collect::<Inspected<_>>()?;
    let to = to.unwrap_or_else(|| document.heads());
    Ok(Diff { from: heads_of(&from), to: heads_of(&to), patch })
}

fn difference(found: &document::Difference) -> Inspected<Difference> {
    let op = match (&found.before, &found.after) {
        (None, _) => PatchOp::Add,
        (Some(_), None) => PatchOp::Remove,
        (Some(_), Some(_)) => PatchOp::Replace,
    };
    let value = |side: &Option<document::Json>| side.as_ref().map(plain).transpose();
    Ok(Difference {
        op,
        path: found.pointer.to_string(),
        value: value(&found.after)?,
        before: value(&found.before)?,
    })
}
