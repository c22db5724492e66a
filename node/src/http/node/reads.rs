//! Documents as they are read: listings, values, conflicts.

use std::collections::BTreeMap;

use starling_api::{
    Code, Problem,
    document::{Conflict, ConflictList, ConflictValue, DocumentList, ListQuery},
};
use starling_crdt::{
    document::{Document, Json, Pointer, Poison, ReadError},
    id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId},
    incarnation::Incarnation,
    replica::{LocalRequest, MemberReport},
    store::{
        Table,
        tables::{DocumentRecord, SpaceIndex, record},
    },
    view::{ReadFault, Reader},
};

use super::{
    super::{
        answer::{Refused, refused},
        limits::PAGE_ITEMS_MAX,
        problems, report,
    },
    Node,
};

/// A document's value as JSON text, and the heads it was read at.
pub(in super::super) struct Found {
    pub(in super::super) text: String,
    pub(in super::super) heads: Vec<ChangeHash>,
}

/// A document as an automerge file, and its heads.
pub(in super::super) struct File {
    pub(in super::super) bytes: Vec<u8>,
    pub(in super::super) heads: Vec<ChangeHash>,
}

impl Node {
    pub(in super::super) async fn list(
        &self,
        space: SpaceId,
        query: ListQuery,
    ) -> Result<DocumentList, Refused> {
        let asked = query.limit.map_or(PAGE_ITEMS_MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let limit = asked.clamp(1, PAGE_ITEMS_MAX);
        let page = self
            .aside(move |reader| {
                let prefix = query.prefix.as_deref().unwrap_or_default();
                reader.list(space, prefix, query.after.as_deref(), limit, query.deleted)
            })
            .await??;
        let items = page.documents.iter().map(|(name, known)| report::document_item(name, known)).collect();
        Ok(DocumentList { items, next: page.next })
    }

    /// The present heads of a document, without building it.
    pub(in super::super) async fn heads(
        &self,
        space: SpaceId,
        name: &DocumentName,
    ) -> Result<Vec<ChangeHash>, Refused> {
        let known = self.reader().document(space, name)?;
        if known.deleted { Err(deleted(name)) } else { Ok(known.heads) }
    }

    pub(in super::super) async fn read(
        &self,
        space: SpaceId,
        name: DocumentName,
        at: Option<Vec<ChangeHash>>,
        pointer: Option<Pointer>,
    ) -> Result<Found, Refused> {
        self.look(space, name, move |document, known, name| {
            if at.is_none() && known.deleted {
                return Err(deleted(name));
            }
            let value =
                document.read(pointer.as_ref(), at.as_deref()).map_err(|error| problems::read(&error))?;
            Ok(Found { text: value.to_text(), heads: at.unwrap_or_else(|| document.heads()) })
        })
        .await?
    }

    pub(in super::super) async fn automerge_file(
        &self,
        space: SpaceId,
        name: DocumentName,
    ) -> Result<File, Refused> {
        self.look(space, name, |document, known, name| {
            if known.deleted {
                return Err(deleted(name));
            }
            Ok(File { bytes: document.to_automerge_file(), heads: document.heads() })
        })
        .await?
    }

    pub(in super::super) async fn conflicts(
        &self,
        space: SpaceId,
        name: DocumentName,
    ) -> Result<ConflictList, Refused> {
        let found = self.look(space, name, |document, _, _| document.conflicts()).await?;
        let found = found.map_err(|error: ReadError| problems::read(&error))?;
        if found.is_empty() {
            return Ok(ConflictList::default());
        }
        let members = self.members(space).await?;
        let index = self.reader().space(space)?.index;
        let mut authors = Authors { reader: self.reader(), index, members: &members, known: BTreeMap::new() };
        let mut items = Vec::with_capacity(found.len());
        for conflict in &found {
            let mut values = Vec::with_capacity(conflict.values.len());
            for (rank, value) in conflict.values.iter().enumerate() {
                let (author, author_name) = authors.of(value.actor)?;
                values.push(ConflictValue {
                    value: value.value.as_ref().map(plain).transpose()?,
                    actor: value.actor.to_string(),
                    author: author.to_string(),
                    author_name,
                    change: Some(value.change.to_string()),
                    shown: rank == 0,
                });
            }
            items.push(Conflict { pointer: conflict.pointer.to_string(), values });
        }
        Ok(ConflictList { items })
    }

    /// Looks at a built document; what could not be built is reported to the node.
    async fn look<T: Send + 'static>(
        &self,
        space: SpaceId,
        name: DocumentName,
        look: impl FnOnce(&Document, &DocumentRecord, &DocumentName) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let document = name.clone();
        let (seen, poison) = self
            .aside(move |reader| reader.view(space, &name, |view, known| look(view.document(), known, &name)))
            .await??;
        self.quarantine(space, document, poison);
        Ok(seen)
    }

    fn quarantine(&self, space: SpaceId, document: DocumentName, poison: Vec<Poison>) {
        if !poison.is_empty() {
            // A node too busy to take this is told again by the next read.
            let _ = self.handle.submit(LocalRequest::Quarantine { space, document, poison });
        }
    }

    /// Does work that may take long, or wait for the disk, beside the tasks that serve.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let reader = self.reader().clone();
        tokio::task::spawn_blocking(move || work(&reader))
            .await
            .map_err(|_| refused(Code::Internal, "reading failed inside; the log says more"))
    }
}

fn deleted(name: &DocumentName) -> Refused {
    Problem::new(Code::UnknownDocument, format!("document {name:?} is deleted"))
        .with_hint("its past still answers: read it with at=HEADS, or list with deleted=true")
        .into()
}

/// The API's value of a document's value. Both spell special forms alike, so the text is the way.
fn plain(value: &Json) -> Result<serde_json::Value, Refused> {
    serde_json::from_str(&value.to_text())
        .map_err(|error| refused(Code::Internal, format!("a stored value has no JSON form: {error}")))
}

impl From<ReadFault> for Refused {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::UnknownSpace(space) => starling_crdt::replica::Refusal::UnknownSpace(space).into(),
            ReadFault::UnknownDocument(name) => starling_crdt::replica::Refusal::UnknownDocument(name).into(),
            ReadFault::Store(error) => problems::store(&error).into(),
        }
    }
}

/// Who is behind an actor, and what they are called.
struct Authors<'a> {
    reader: &'a Reader,
    index: SpaceIndex,
    members: &'a [MemberReport],
    known: BTreeMap<Actor, AuthorKey>,
}

impl Authors<'_> {
    fn of(&mut self, actor: Actor) -> Result<(AuthorKey, Option<String>), Refused> {
        let author = match self.known.get(&actor) {
            Some(author) => *author,
            None => {
                let author = self.stored(actor)?;
                self.known.insert(actor, author);
                author
            }
        };
        let member = self.members.iter().find(|report| report.member.key == author);
        Ok((author, member.map(|report| report::member(report).name)))
    }

    fn stored(&self, actor: Actor) -> Result<AuthorKey, Refused> {
        let store = self.reader.store();
        let value = store.value(Table::Incarnations, &self.index.incarnation(actor));
        let value = value.map_err(|error| problems::store(&error))?;
        let value = value.ok_or_else(|| {
            refused(Code::StoreFailed, format!("the store lost the incarnation of actor {actor}"))
        })?;
        let incarnation: Incarnation =
            record(&value, "incarnation").map_err(|error| problems::store(&error))?;
        Ok(incarnation.author)
    }
}
