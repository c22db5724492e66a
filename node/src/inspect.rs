//! Documents through time, as the API tells them: of a running node, and of a store that lies still.
//!
//! Promises: every answer comes in pages of bounded length, weight and work; of each change that is told,
//! a signature of its author is checked for the answer. Leaves out where requests come from, and what
//! members call themselves, which the caller says.

mod blame;
mod conflicts;
mod differences;
mod evidence;
mod history;
mod moment;
mod people;

use std::collections::BTreeMap;

use starling_api::{Code, Heads, Problem};
use starling_crdt::{
    document::{Document, Json, Poison, ReadError},
    id::{AuthorKey, ChangeHash, DocumentName, SpaceId},
    store::{StoreError, tables::DocumentRecord},
    view::{ReadFault, Reader},
};

/// Changes or values in one page, unless fewer are asked for.
const PAGE_ITEMS_MAX: usize = 1_000;
/// Bytes of values after which a page ends, however few items it has.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Documents that one page of a space looks into.
const PAGE_DOCUMENTS_MAX: usize = 1_000;

/// What an inspection gives, or why it gives nothing.
pub type Inspected<T> = Result<T, Box<Problem>>;

/// Changes that could not be built into their documents, to be reported to the node.
pub type Unbuilt = Vec<(DocumentName, Vec<Poison>)>;

/// Looks into the documents of one space.
pub struct Inspector<'a> {
    reader: &'a Reader,
    space: SpaceId,
    names: BTreeMap<AuthorKey, String>,
    unbuilt: Unbuilt,
}

impl<'a> Inspector<'a> {
    /// Of a space that the reader's store holds; `names` are what its members call themselves.
    pub fn new(reader: &'a Reader, space: SpaceId, names: BTreeMap<AuthorKey, String>) -> Self {
        Self { reader, space, names, unbuilt: Vec::new() }
    }

    /// The changes that could not be built since this was asked last.
    pub fn take_unbuilt(&mut self) -> Unbuilt {
        std::mem::take(&mut self.unbuilt)
    }

    /// The present heads that a text stands for in a document: heads, beginnings of them, or a time.
    ///
    /// # Errors
    /// A problem, when it stands for none or for several.
    pub fn heads(&mut self, name: &DocumentName, text: &str) -> Inspected<Vec<ChangeHash>> {
        moment::check(text)?;
        self.look(name, |document, _| moment::heads(document, text))?
    }

    /// The value at a pointer as JSON, and the heads it was read at: those a text stands for, or the
    /// present ones. A deleted document has none without a text.
    ///
    /// # Errors
    /// A problem, when there is nothing to read.
    pub fn read(
        &mut self,
        name: &DocumentName,
        at: Option<&str>,
        pointer: Option<&starling_crdt::document::Pointer>,
    ) -> Inspected<(Json, Vec<ChangeHash>)> {
        at.map_or(Ok(()), moment::check)?;
        self.look(name, |document, known| {
            let Some(text) = at else {
                if known.deleted {
                    return Err(deleted(name));
                }
                return Ok((
                    document.read(pointer, None).map_err(|error| unreadable(&error))?,
                    document.heads(),
                ));
            };
            let heads = moment::heads(document, text)?;
            let value = document.read(pointer, Some(&heads)).map_err(|error| unreadable(&error))?;
            Ok((value, heads))
        })?
    }

    /// Looks at a built document; what could not be built is kept for the node.
    fn look<T>(
        &mut self,
        name: &DocumentName,
        look: impl FnOnce(&Document, &DocumentRecord) -> T,
    ) -> Inspected<T> {
        let seen = self.reader.view(self.space, name, |view, known| look(view.document(), known));
        let (seen, poison) = seen.map_err(|fault| unread(&fault))?;
        if !poison.is_empty() {
            self.unbuilt.push((name.clone(), poison));
        }
        Ok(seen)
    }
}

fn problem(code: Code, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(code, detail))
}

fn deleted(name: &DocumentName) -> Box<Problem> {
    let problem = Problem::new(Code::UnknownDocument, format!("document {name:?} is deleted"));
    Box::new(problem.with_hint("its past still answers: see its history, or read it at earlier heads"))
}

/// Why a document cannot be read, as a problem.
pub(crate) fn unreadable(error: &ReadError) -> Box<Problem> {
    let code = match error {
        ReadError::UnknownHead(_) => Code::UnknownHeads,
        ReadError::NotFound(_) => Code::UnknownPointer,
        ReadError::Damaged | ReadError::Crash => Code::Internal,
    };
    problem(code, error.to_string())
}

/// Why there is no document to read, as a problem.
pub(crate) fn unread(fault: &ReadFault) -> Box<Problem> {
    match fault {
        ReadFault::UnknownSpace(_) => problem(Code::UnknownSpace, fault.to_string()),
        ReadFault::UnknownDocument(_) => problem(Code::UnknownDocument, fault.to_string()),
        ReadFault::Store(error) => broken(error),
    }
}

fn broken(error: &StoreError) -> Box<Problem> {
    Box::new(Problem::new(Code::StoreFailed, error.to_string()).with_hint("the log of the node says more"))
}

/// The API's value of a document's value. Both spell special forms alike, so the text is the way.
pub(crate) fn plain(value: &Json) -> Inspected<serde_json::Value> {
    serde_json::from_str(&value.to_text())
        .map_err(|error| problem(Code::Internal, format!("a stored value has no JSON form: {error}")))
}

fn heads_of(hashes: &[ChangeHash]) -> Heads {
    // Hashes of the core are hex of the right length, and fewer than one answer may hold.
    Heads::try_from(hashes.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_or_default()
}

/// How many items a page has: what was asked for, within the node's bound.
fn page_items(asked: Option<u32>) -> usize {
    let asked = asked.map_or(PAGE_ITEMS_MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    asked.clamp(1, PAGE_ITEMS_MAX)
}
