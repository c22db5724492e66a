//! Requests about documents through time.

use super::{Client, ClientError};
use crate::{
    evidence::{ForksPage, ForksQuery, QuarantinePage, QuarantineQuery},
    past::{
        BlamePage, BlameQuery, ConflictsPage, ConflictsQuery, Diff, DiffQuery, HistoryPage, HistoryQuery,
    },
    route,
};

impl Client {
    /// One page of a document's changes; of every document of the space without a name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn history(
        &self,
        space: &str,
        name: Option<&str>,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, ClientError> {
        let limit = query.limit.map(|limit| limit.to_string());
        let path = match name {
            Some(name) => route::history(space, name),
            None => route::space_history(space),
        };
        let members = [
            ("author", query.author.as_deref()),
            ("since", query.since.as_deref()),
            ("after", query.after.as_deref()),
            ("limit", limit.as_deref()),
        ];
        self.read_json(&route::with_query(&path, &members)).await
    }

    /// One page of a document's values with their authors.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn blame(&self, space: &str, name: &str, query: &BlameQuery) -> Result<BlamePage, ClientError> {
        let (skip, limit) =
            (query.skip.map(|skip| skip.to_string()), query.limit.map(|limit| limit.to_string()));
        let members = [
            ("pointer", query.pointer.as_deref()),
            ("at", query.at.as_deref()),
            ("skip", skip.as_deref()),
            ("limit", limit.as_deref()),
        ];
        self.read_json(&route::with_query(&route::blame(space, name), &members)).await
    }

    /// What differs between two states of a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn diff(&self, space: &str, name: &str, query: &DiffQuery) -> Result<Diff, ClientError> {
        let members = [("from", Some(query.from.as_str())), ("to", query.to.as_deref())];
        self.read_json(&route::with_query(&route::diff(space, name), &members)).await
    }

    /// One page of what is kept out of documents.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn quarantine(
        &self,
        space: &str,
        query: &QuarantineQuery,
    ) -> Result<QuarantinePage, ClientError> {
        let members = [("doc", query.doc.as_deref()), ("after", query.after.as_deref())];
        self.read_json(&route::with_query(&route::quarantine(space), &members)).await
    }

    /// One page of the proven forks.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn forks(&self, space: &str, query: &ForksQuery) -> Result<ForksPage, ClientError> {
        let members = [("doc", query.doc.as_deref()), ("after", query.after.as_deref())];
        self.read_json(&route::with_query(&route::forks(space), &members)).await
    }

    /// One page of the conflicts of a space's documents.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn space_conflicts(
        &self,
        space: &str,
        query: &ConflictsQuery,
    ) -> Result<ConflictsPage, ClientError> {
        let members = [("prefix", query.prefix.as_deref()), ("after", query.after.as_deref())];
        self.read_json(&route::with_query(&route::space_conflicts(space), &members)).await
    }
}
