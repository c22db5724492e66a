//! Documents through time: who changed what, when by their own word, and what was hidden.

use axum::{extract::State, http::StatusCode};
use starling_api::{
    document::ConflictList,
    evidence::{ForksPage, ForksQuery, QuarantinePage, QuarantineQuery},
    past::{
        BlamePage, BlameQuery, ConflictsPage, ConflictsQuery, Diff, DiffQuery, HistoryPage, HistoryQuery,
    },
};

use super::{
    answer::{Answer, Asked, Names, Refused},
    input,
    state::Api,
};

pub(super) async fn history(
    State(api): State<Api>,
    Names((space, name)): Names<(String, String)>,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Answer<HistoryPage>, Refused> {
    let space = api.node.space(&space).await?;
    let name = input::document_name(&name)?;
    api.node.history(space, Some(name), query).await.map(|page| Answer(StatusCode::OK, page))
}

pub(super) async fn space_history(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Answer<HistoryPage>, Refused> {
    let space = api.node.space(&space).await?;
    api.node.history(space, None, query).await.map(|page| Answer(StatusCode::OK, page))
}

pub(super) async fn blame(
    State(api): State<Api>,
    Names((space, name)): Names<(String, String)>,
    Asked(query): Asked<BlameQuery>,
) -> Result<Answer<BlamePage>, Refused> {
    let space = api.node.space(&space).await?;
    let name = input::document_name(&name)?;
    api.node.blame(space, name, query).await.map(|page| Answer(StatusCode::OK, page))
}

pub(super) async fn diff(
    State(api): State<Api>,
    Names((space, name)): Names<(String, String)>,
    Asked(query): Asked<DiffQuery>,
) -> Result<Answer<Diff>, Refused> {
    let space = api.node.space(&space).await?;
    let name = input::document_name(&name)?;
    api.node.diff(space, name, query).await.map(|diff| Answer(StatusCode::OK, diff))
}

pub(super) async fn conflicts(
    State(api): State<Api>,
    Names((space, name)): Names<(String, String)>,
) -> Result<Answer<ConflictList>, Refused> {
    let space = api.node.space(&space).await?;
    let name = input::document_name(&name)?;
    api.node.conflicts(space, name).await.map(|list| Answer(StatusCode::OK, list))
}

pub(super) async fn space_conflicts(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<ConflictsQuery>,
) -> Result<Answer<ConflictsPage>, Refused> {
    let space = api.node.space(&space).await?;
    api.node.space_conflicts(space, query).await.map(|page| Answer(StatusCode::OK, page))
}

pub(super) async fn quarantine(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<QuarantineQuery>,
) -> Result<Answer<QuarantinePage>, Refused> {
    let space = api.node.space(&space).await?;
    api.node.quarantined(space, query).await.map(|page| Answer(StatusCode::OK, page))
}

pub(super) async fn forks(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<ForksQuery>,
) -> Result<Answer<ForksPage>, Refused> {
    let space = api.node.space(&space).await?;
    api.node.forks(space, query).await.map(|page| Answer(StatusCode::OK, page))
}
