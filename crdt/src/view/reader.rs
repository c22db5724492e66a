//! Reads that never wait for the writer.
//!
//! A [`Reader`] sees the store's last commit. It builds a document when somebody asks for it, keeps
//! it within a budget, and brings it up to date by what was added since.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Built, BuiltView, DocumentKey, LargeDocuments, ViewCache, Witness};
use crate::document::Poison;
use crate::history::frontier;
use crate::id::{DocumentName, SpaceId};
use crate::limits::{DOCUMENT_OBJECTS_ADVISED, DOCUMENTS_SPARED_BYTES};
use crate::store::tables::{
    DocumentRecord, SpaceIndex, SpaceRecord, changed_key, document_record, space_record,
};
use crate::store::{KeyRange, StoreError, StoreRead, Table, after_prefix};

/// Rows a listing looks at for one page, whatever it shows of them.
const LISTED_ROWS_MAX: usize = 4_096;

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// This node does not hold the space.
    #[error("unknown space {0}")]
    UnknownSpace(SpaceId),
    /// There is no such document.
    #[error("no document {0:?}")]
    UnknownDocument(DocumentName),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentPage {
    /// Names and what is known of them, in order of name.
    pub documents: Vec<(DocumentName, DocumentRecord)>,
    /// Where the next page starts after; none at the end.
    pub next: Option<String>,
}

/// Times a view is brought up to date for one read while a writer keeps adding; after that the view
/// is a little ahead of its record, or behind.
const VIEW_PASSES_MAX: usize = 4;

type Shared = Arc<Mutex<BuiltView>>;

/// Reads documents and listings beside the writer. Clones share their cache.
#[derive(Clone)]
pub struct Reader {
    store: Arc<dyn StoreRead>,
    views: Arc<Mutex<ViewCache<Shared>>>,
    large: Arc<Mutex<LargeDocuments>>,
}

impl Reader {
    /// Over `store`, with at most `bytes_max` bytes of built documents.
    pub fn new(store: Arc<dyn StoreRead>, bytes_max: usize) -> Self {
        Self { store, views: Arc::new(Mutex::new(ViewCache::new(bytes_max))), large: Arc::default() }
    }

    /// The store read from.
    pub fn store(&self) -> &dyn StoreRead {
        self.store.as_ref()
    }

    /// The space's record.
    ///
    /// # Errors
    /// [`ReadFault`] when this node does not hold it, or the store fails.
    pub fn space(&self, space: SpaceId) -> Result<SpaceRecord, ReadFault> {
        space_record(self.store(), space)?.ok_or(ReadFault::UnknownSpace(space))
    }

    /// Who signed what in a space.
    ///
    /// # Errors
    /// [`ReadFault`] when this node does not hold it, or the store fails.
    pub fn witness(&self, space: SpaceId) -> Result<Witness<'_>, ReadFault> {
        Ok(Witness::new(self.store(), space, self.space(space)?.index))
    }

    /// What is known of a document without building it; deleted ones included.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn document(&self, space: SpaceId, name: &DocumentName) -> Result<DocumentRecord, ReadFault> {
        let index = self.space(space)?.index;
        let value = self.store.value(Table::Documents, &index.document(name.as_str()))?;
        let value = value.ok_or_else(|| ReadFault::UnknownDocument(name.clone()))?;
        Ok(document_record(name, &value)?)
    }

    /// Builds the document if need be, brings it up to date, and looks at it. The second value holds
    /// the changes that building it could not apply: the caller reports them to the replica.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn view<T>(
        &self,
        space: SpaceId,
        name: &DocumentName,
        look: impl FnOnce(&BuiltView, &DocumentRecord) -> T,
    ) -> Result<(T, Vec<Poison>), ReadFault> {
        let index = self.space(space)?.index;
        let mut record = self.document(space, name)?;
        let key = (index, name.clone());
        let shared = self.shared(&key);
        // A build that panicked is contained in the document; a poisoned lock holds a usable view.
        let mut view = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut poison = Vec::new();
        for _ in 0..VIEW_PASSES_MAX {
            if view.document().heads() == record.heads || !poison.is_empty() {
                break;
            }
            poison = view.refresh(self.store(), index, name)?;
            record = self.document(space, name)?;
        }
        let seen = look(&view, &record);
        let bytes = view.approximate_bytes();
        if view.document().objects() > DOCUMENT_OBJECTS_ADVISED {
            self.large.lock().unwrap_or_else(PoisonError::into_inner).note(&key, view.document());
        }
        drop(view);
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.resize(&key, bytes);
        views.trim();
        Ok((seen, poison))
    }

    /// Drops built documents that nobody read since the last call, but for [`DOCUMENTS_SPARED_BYTES`].
    pub fn drop_idle(&self) {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).drop_idle(DOCUMENTS_SPARED_BYTES);
    }

    /// How much is built, and what the budget has cost so far.
    pub fn built(&self) -> Built {
        self.views.lock().unwrap_or_else(PoisonError::into_inner).built()
    }

    /// Documents of a space that have more objects than advised and are not deleted, as far as somebody read them:
    /// by name, each with its objects. `others` are those known from elsewhere.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn large_documents(
        &self,
        space: SpaceId,
        others: &BTreeMap<DocumentName, usize>,
    ) -> Result<BTreeMap<DocumentName, usize>, ReadFault> {
        let index = self.space(space)?.index;
        let mut large = self.large.lock().unwrap_or_else(PoisonError::into_inner).of(index);
        for (name, objects) in others {
            let known = large.entry(name.clone()).or_default();
            *known = (*known).max(*objects);
        }
        // What cannot be looked up is no reason to say nothing of the others.
        large.retain(|name, _| self.document(space, name).is_ok_and(|known| !known.deleted));
        Ok(large)
    }

    fn shared(&self, key: &DocumentKey) -> Shared {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = views.touch(key) {
            return shared.clone();
        }
        let shared = Shared::new(Mutex::new(BuiltView::empty()));
        views.insert(key.clone(), shared.clone(), 0);
        shared
    }

    /// Up to `limit` documents whose names start with `prefix` and follow `after`; deleted ones only
    /// if asked for.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn list(
        &self,
        space: SpaceId,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        deleted: bool,
    ) -> Result<DocumentPage, ReadFault> {
        let index = self.space(space)?.index;
        let first = index.document(prefix);
        let past = after_prefix(&first);
        let end = past.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let after = after.map(|name| index.document(name)).filter(|key| *key >= first);
        let start = after.as_deref().map_or(Bound::Included(first.as_slice()), Bound::Excluded);
        let rows = self.store.rows(Table::Documents, KeyRange { start, end }, LISTED_ROWS_MAX)?;
        let full = rows.len() == LISTED_ROWS_MAX;
        let mut page = DocumentPage::default();
        let mut last = None;
        for (key, value) in rows {
            let (name, known) = listed(index, &key, &value)?;
            if page.documents.len() == limit {
                page.next = last;
                return Ok(page);
            }
            last = Some(name.as_str().to_owned());
            if deleted || !known.deleted {
                page.documents.push((name, known));
            }
        }
        page.next = last.filter(|_| full);
        Ok(page)
    }

    /// Up to `limit` documents that changed after commit `since`, in the order of their last change.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn changed_since(
        &self,
        space: SpaceId,
        since: u64,
        limit: usize,
    ) -> Result<Vec<(DocumentName, DocumentRecord)>, ReadFault> {
        let index = self.space(space)?.index;
        let all = index.all();
        let start = [all.as_slice(), &since.saturating_add(1).to_be_bytes()].concat();
        let past = after_prefix(&all);
        let end = past.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = KeyRange { start: Bound::Included(&start), end };
        let mut changed = Vec::new();
        for (key, _) in self.store.rows(Table::Changed, range, limit)? {
            let (_, name) = changed_key(&key).ok_or_else(|| damaged("a key of the change order"))?;
            match self.document(space, &name) {
                Ok(known) => changed.push((name, known)),
                // It changed again between the two reads, and comes later in the order.
                Err(ReadFault::UnknownDocument(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(changed)
    }

    /// The document that changed last before this commit and name, in the order of the last changes on
    /// this node; the last of all without any. None at the beginning.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn changed_before(
        &self,
        space: SpaceId,
        before: Option<(u64, &DocumentName)>,
    ) -> Result<Option<(u64, DocumentName)>, ReadFault> {
        let index = self.space(space)?.index;
        let all = index.all();
        let end = before.map(|(commit, name)| index.changed(commit, name)).or_else(|| after_prefix(&all));
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = KeyRange { start: Bound::Included(&all), end };
        let Some((key, _)) = self.store.last_row(Table::Changed, range)? else { return Ok(None) };
        changed_key(&key).map(Some).ok_or_else(|| damaged("a key of the change order"))
    }

    /// How many actors changed a document, without building it.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn actors(&self, space: SpaceId, name: &DocumentName) -> Result<usize, ReadFault> {
        Ok(frontier(self.store(), self.space(space)?.index, name)?.len())
    }
}

fn damaged(what: &str) -> ReadFault {
    ReadFault::Store(StoreError::Corrupt(format!("{what} is malformed")))
}

fn listed(index: SpaceIndex, key: &[u8], value: &[u8]) -> Result<(DocumentName, DocumentRecord), ReadFault> {
    let name = key.get(index.all().len()..).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.and_then(|name| DocumentName::new(name).ok()).ok_or_else(|| damaged("a document key"))?;
    let known = document_record(&name, value)?;
    Ok((name, known))
}
