//! Documents through time, with the names that members go by.

use std::collections::BTreeMap;

use starling_api::{
    document::ConflictList,
    evidence::{ForksPage, ForksQuery, QuarantinePage, QuarantineQuery},
    past::{
        BlamePage, BlameQuery, ConflictsPage, ConflictsQuery, Diff, DiffQuery, HistoryPage, HistoryQuery,
    },
};
use starling_crdt::id::{AuthorKey, ChangeHash, DocumentName, SpaceId};

use super::{
    super::{answer::Refused, report},
    Node,
};

impl Node {
    /// What the members of a space are called.
    async fn called(&self, space: SpaceId) -> Result<BTreeMap<AuthorKey, String>, Refused> {
        let members = self.members(space).await?;
        Ok(members.iter().map(|found| (found.member.key, report::member(found).name)).collect())
    }

    pub(in super::super) async fn history(
        &self,
        space: SpaceId,
        name: Option<DocumentName>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, Refused> {
        let names = self.called(space).await?;
        self.inspect(space, names, move |inspector| match name {
            Some(name) => inspector.history(&name, &query),
            None => inspector.space_history(&query),
        })
        .await
    }

    pub(in super::super) async fn blame(
        &self,
        space: SpaceId,
        name: DocumentName,
        query: BlameQuery,
    ) -> Result<BlamePage, Refused> {
        let names = self.called(space).await?;
        self.inspect(space, names, move |inspector| inspector.blame(&name, &query)).await
    }

    pub(in super::super) async fn diff(
        &self,
        space: SpaceId,
        name: DocumentName,
        query: DiffQuery,
    ) -> Result<Diff, Refused> {
        self.inspect(space, BTreeMap::new(), move |inspector| inspector.diff(&name, &query)).await
    }

    pub(in super::super) async fn conflicts(
        &self,
        space: SpaceId,
        name: DocumentName,
    ) -> Result<ConflictList, Refused> {
        let names = self.called(space).await?;
        let items = self.inspect(space, names, move |inspector| inspector.conflicts(&name)).await?;
        Ok(ConflictList { items })
    }

    pub(in super::super) async fn space_conflicts(
        &self,
        space: SpaceId,
        query: ConflictsQuery,
    ) -> Result<ConflictsPage, Refused> {
        let names = self.called(space).await?;
        self.inspect(space, names, move |inspector| inspector.space_conflicts(&query)).await
    }

    pub(in super::super) async fn quarantined(
        &self,
        space: SpaceId,
        query: QuarantineQuery,
    ) -> Result<QuarantinePage, Refused> {
        let names = self.called(space).await?;
        self.inspect(space, names, move |inspector| inspector.quarantine(&query)).await
    }

    pub(in super::super) async fn forks(
        &self,
        space: SpaceId,
        query: ForksQuery,
    ) -> Result<ForksPage, Refused> {
        let names = self.called(space).await?;
        self.inspect(space, names, move |inspector| inspector.forks(&query)).await
    }

    /// The heads that a text stands for in a document.
    pub(in super::super) async fn heads_named(
        &self,
        space: SpaceId,
        name: DocumentName,
        text: String,
    ) -> Result<Vec<ChangeHash>, Refused> {
        self.inspect(space, BTreeMap::new(), move |inspector| inspector.heads(&name, &text)).await
    }
}
