//! Spaces: made, shown, invited to, joined; their members, and waiting for them.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use starling_api::{
    Code,
    member::{MemberList, Nodes, Wait, Waited},
    space::{
        CreateInvite, CreateSpace, Invite, Join, JoinState, Joined, LeaveQuery, Space, SpaceLeft, SpaceList,
    },
};
use starling_crdt::{
    charter::{Label, Prefix, Ticket},
    replica,
};

use super::{
    answer::{Answer, Asked, Names, Refused, Shaped, refused},
    input,
    limits::{LEAVE_TIME_MAX, WAIT_TIME_MAX},
    report,
    state::Api,
};

pub(super) async fn list(State(api): State<Api>) -> Result<Answer<SpaceList>, Refused> {
    let status = api.node.status().await?;
    let mut items: Vec<Space> = status.spaces.iter().map(report::space).collect();
    items.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(Answer(StatusCode::OK, SpaceList { items }))
}

pub(super) async fn show(
    State(api): State<Api>,
    Names(space): Names<String>,
) -> Result<Answer<Space>, Refused> {
    let id = api.node.space(&space).await?;
    api.node.space_report(id).await.map(|space| Answer(StatusCode::OK, report::space(&space)))
}

pub(super) async fn create(
    State(api): State<Api>,
    Shaped(asked): Shaped<CreateSpace>,
) -> Result<Answer<Space>, Refused> {
    let name = Label::new(asked.name).map_err(|error| refused(Code::BadSpaceName, error.to_string()))?;
    let id = api.node.create_space(name).await?;
    api.node.space_report(id).await.map(|space| Answer(StatusCode::CREATED, report::space(&space)))
}

/// Leaves a space. What only this node holds is not removed unless that is asked for.
pub(super) async fn leave(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<LeaveQuery>,
) -> Result<Answer<SpaceLeft>, Refused> {
    let id = api.node.space(&space).await?;
    let report = api.node.space_report(id).await?;
    let (mut held, mut holders) = (None, Vec::new());
    if !query.force && report.changes > 0 {
        let waited = api.node.wait(id, None, replica::Nodes::Count(1), LEAVE_TIME_MAX).await?;
        if !waited.satisfied {
            return Err(replica::Refusal::HeldNowhereElse.into());
        }
        // What was written since the report is more than this; then the core refuses.
        held = Some(report.fingerprint);
        let members = api.node.members(id).await?;
        holders = waited.holders.into_iter().map(|key| report::holder(key, &members)).collect();
    }
    api.node.leave_space(id, held).await?;
    let left = SpaceLeft {
        id: id.to_string(),
        name: report.name,
        documents: report.documents,
        changes: report.changes,
        holders,
    };
    Ok(Answer(StatusCode::OK, left))
}

pub(super) async fn invite(
    State(api): State<Api>,
    Names(space): Names<String>,
    Shaped(asked): Shaped<CreateInvite>,
) -> Result<Answer<Invite>, Refused> {
    let space = api.node.space(&space).await?;
    let prefix = asked.prefix.map(Prefix::new).transpose();
    let prefix = prefix.map_err(|error| refused(Code::BadRequest, error.to_string()))?;
    let expires_in = asked.expires_in_s.map(Duration::from_secs);
    let role = report::role_for_core(asked.role);
    let ticket = api.node.invite(space, role, prefix, asked.uses, expires_in).await?;
    let invite = Invite { ticket: ticket.to_text().to_string(), invite: ticket.invite.to_string() };
    Ok(Answer(StatusCode::CREATED, invite))
}

pub(super) async fn join(
    State(api): State<Api>,
    Shaped(asked): Shaped<Join>,
) -> Result<Answer<Joined>, Refused> {
    let ticket =
        Ticket::parse(asked.ticket.trim()).map_err(|error| refused(Code::BadTicket, error.to_string()))?;
    let name = ticket.genesis.name().as_str().to_owned();
    let (space, joined) = api.node.join(ticket).await?;
    let (status, state) =
        if joined { (StatusCode::OK, JoinState::Joined) } else { (StatusCode::ACCEPTED, JoinState::Joining) };
    Ok(Answer(status, Joined { space: space.to_string(), name: Some(name), state }))
}

pub(super) async fn members(
    State(api): State<Api>,
    Names(space): Names<String>,
) -> Result<Answer<MemberList>, Refused> {
    let space = api.node.space(&space).await?;
    let mut items: Vec<_> = api.node.members(space).await?.iter().map(report::member).collect();
    items.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
    Ok(Answer(StatusCode::OK, MemberList { items }))
}

pub(super) async fn wait(
    State(api): State<Api>,
    Names(space): Names<String>,
    Shaped(asked): Shaped<Wait>,
) -> Result<Answer<Waited>, Refused> {
    let space = api.node.space(&space).await?;
    let document = asked.doc.as_deref().map(input::document_name).transpose()?;
    let nodes = match asked.nodes {
        Nodes::All => replica::Nodes::All,
        Nodes::AtLeast(count) => {
            replica::Nodes::Count(usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(1))
        }
    };
    let timeout = Duration::from_millis(asked.timeout_ms).min(WAIT_TIME_MAX);
    let waited = api.node.wait(space, document, nodes, timeout).await?;
    let members = api.node.members(space).await?;
    let named = |keys: Vec<_>| keys.into_iter().map(|key| report::holder(key, &members)).collect();
    let status = if waited.satisfied { StatusCode::OK } else { StatusCode::ACCEPTED };
    let answer = Waited {
        satisfied: waited.satisfied,
        holders: named(std::iter::once(api.node.key()).chain(waited.holders).collect()),
        missing: named(waited.missing),
        not_waited_for: named(waited.not_waited_for),
    };
    Ok(Answer(status, answer))
}
