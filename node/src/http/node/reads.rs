//! Documents as they are read: listings and values.

use std::collections::BTreeMap;

use starling_api::{
    Code, Problem,
    document::{DocumentList, ListQuery},
};
use starling_crdt::{
    document::{Pointer, Poison},
    id::{AuthorKey, ChangeHash, DocumentName, SpaceId},
    replica::LocalRequest,
    view::{Built, KeptOutCounts, ReadFault, Reader},
};

use super::{
    super::{
        answer::{Refused, refused},
        limits::PAGE_ITEMS_MAX,
        problems, report,
    },
    Node,
};
use crate::inspect::{Inspected, Inspector};

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
    pub(in super::super) async fn kept_out_counts(&self, space: SpaceId) -> Result<KeptOutCounts, Refused> {
        Ok(self.aside(move |reader| reader.kept_out_counts(space)).await??)
    }

    /// Documents of a space that have more objects than advised; `others` are those known already.
    pub(in super::super) async fn large_documents(
        &self,
        space: SpaceId,
        others: BTreeMap<DocumentName, usize>,
    ) -> Result<BTreeMap<DocumentName, usize>, Refused> {
        Ok(self.aside(move |reader| reader.large_documents(space, &others)).await??)
    }

    /// How much readers have built.
    pub(in super::super) fn built(&self) -> Built {
        self.reader().built()
    }

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

    /// The value a document has now, or at what `at` stands for.
    pub(in super::super) async fn read(
        &self,
        space: SpaceId,
        name: DocumentName,
        at: Option<String>,
        pointer: Option<Pointer>,
    ) -> Result<Found, Refused> {
        let (value, heads) = self
            .inspect(space, BTreeMap::new(), move |inspector| {
                inspector.read(&name, at.as_deref(), pointer.as_ref())
            })
            .await?;
        Ok(Found { text: value.to_text(), heads })
    }

    /// The whole present document with its history, as an automerge file.
    pub(in super::super) async fn automerge_file(
        &self,
        space: SpaceId,
        name: DocumentName,
    ) -> Result<File, Refused> {
        let document = name.clone();
        let (file, poison) = self
            .aside(move |reader| {
                reader.view(space, &document, |view, known| {
                    let document = view.document();
                    let file = File { bytes: document.to_automerge_file(), heads: document.heads() };
                    (!known.deleted).then_some(file)
                })
            })
            .await??;
        self.quarantine(space, name.clone(), poison);
        file.ok_or_else(|| deleted(&name))
    }

    /// Looks into documents, with these names for their authors; what could not be built is reported to
    /// the node.
    pub(super) async fn inspect<T: Send + 'static>(
        &self,
        space: SpaceId,
        names: BTreeMap<AuthorKey, String>,
        look: impl FnOnce(&mut Inspector<'_>) -> Inspected<T> + Send + 'static,
    ) -> Result<T, Refused> {
        let (seen, unbuilt) = self
            .aside(move |reader| {
                let mut inspector = Inspector::new(reader, space, names);
                let seen = look(&mut inspector);
                (seen, inspector.take_unbuilt())
            })
            .await?;
        for (document, poison) in unbuilt {
            self.quarantine(space, document, poison);
        }
        seen.map_err(Refused)
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
        .with_hint("its past still answers: see its history, or read it at earlier heads")
        .into()
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
