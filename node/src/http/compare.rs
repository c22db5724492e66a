//! Comparing this node with other members, each over the connection that stands with it.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::State, http::StatusCode};
use futures::future::try_join_all;
use starling_api::{
    Code, Problem,
    compare::{
        Compare, Compared, ComparedList, DifferenceKind, DifferingRun, Outcome, Span, Told, UnaskedCode,
    },
    duration,
};
use starling_crdt::{
    id::{AuthorKey, DocumentName, SpaceId},
    replica::{self, Comparison, MemberReport, Unasked},
};

use super::{
    answer::{Answer, Names, Refused, Shaped, refused},
    input,
    limits::{COMPARE_TIME_DEFAULT, COMPARE_TIME_MAX, COMPARED_NODES_MAX},
    peers::one_of,
    report,
    state::Api,
};

pub(super) async fn compare(
    State(api): State<Api>,
    Names(space): Names<String>,
    Shaped(asked): Shaped<Compare>,
) -> Result<Answer<ComparedList>, Refused> {
    let space = api.node.space(&space).await?;
    let document = asked.doc.as_deref().map(input::document_name).transpose()?;
    if asked.nodes.is_empty() || asked.nodes.len() > COMPARED_NODES_MAX {
        let detail = format!("nodes names 1 to {COMPARED_NODES_MAX} members");
        return Err(refused(Code::BadRequest, detail));
    }
    let timeout = asked.timeout_ms.map_or(COMPARE_TIME_DEFAULT, Duration::from_millis).min(COMPARE_TIME_MAX);
    let members = api.node.members(space).await?;
    let named = members.iter().map(|found| (found.member.key, Some(report::member(found).name)));
    let named: BTreeMap<AuthorKey, Option<String>> = named.collect();
    // A key as a whole that no member has stands for nobody here.
    let keys: Vec<AuthorKey> =
        asked.nodes.iter().map(|text| one_of(&named, text)).collect::<Result<_, _>>()?;
    let comparisons = keys.iter().map(|key| api.node.compare(space, document.clone(), *key, timeout));
    let compared = try_join_all(comparisons).await?;
    let items: Vec<Compared> =
        keys.iter().zip(compared).map(|(key, compared)| told(*key, compared, &members)).collect();
    if let Some(name) = document {
        known_somewhere(&api, space, name, &items).await?;
    }
    Ok(Answer(StatusCode::OK, ComparedList { items }))
}

/// A document that neither this node nor any that was asked holds is no equal one.
async fn known_somewhere(
    api: &Api,
    space: SpaceId,
    name: DocumentName,
    items: &[Compared],
) -> Result<(), Refused> {
    let all_equal = items.iter().all(|item| matches!(item.outcome, Outcome::Equal(_)));
    match api.node.known(space, name).await {
        Err(Refused(problem)) if problem.code == Code::UnknownDocument && all_equal => {
            Err(Problem::new(Code::UnknownDocument, problem.detail + "; nor do the others hold any").into())
        }
        Err(Refused(problem)) if problem.code == Code::UnknownDocument => Ok(()),
        other => other,
    }
}

fn told(key: AuthorKey, compared: replica::Compared, members: &[MemberReport]) -> Compared {
    let outcome = match compared {
        replica::Compared::Unasked(why) => {
            unasked(&why, members.iter().find(|found| found.member.key == key))
        }
        replica::Compared::With(found) => {
            let told = found_between(&found, members);
            if told.differing == 0 && told.complete { Outcome::Equal(told) } else { Outcome::Differs(told) }
        }
    };
    let holder = report::holder(key, members);
    Compared { name: holder.name, key: holder.key, outcome }
}

fn unasked(why: &Unasked, member: Option<&MemberReport>) -> Outcome {
    let stands = member.map_or(String::new(), |member| {
        let known = report::member(member);
        let since = known
            .since_ms
            .map_or(String::new(), |ms| format!(" for {}", duration::told(Duration::from_millis(ms))));
        format!("; it is {}{since}", known.state)
    });
    let (code, why) = match why {
        Unasked::NotConnected => {
            (UnaskedCode::NotConnected, format!("this node has no connection with it{stands}"))
        }
        Unasked::Lost => {
            (UnaskedCode::ConnectionLost, format!("the connection broke before the end{stands}"))
        }
        Unasked::TimedOut => (UnaskedCode::TimedOut, "it did not answer in time".to_owned()),
        Unasked::Refused(reason) => (UnaskedCode::Refused, format!("it refused: {reason}")),
    };
    Outcome::Unasked { code, why }
}

fn found_between(found: &Comparison, members: &[MemberReport]) -> Told {
    let span = |from: replica::Held, to: replica::Held| Span {
        from: report::position(from.position),
        to: report::position(to.position),
    };
    let settled = found.ours.fingerprint == found.ours_after.fingerprint
        && found.theirs.fingerprint == found.theirs_after.fingerprint;
    Told {
        ours: span(found.ours, found.ours_after),
        theirs: span(found.theirs, found.theirs_after),
        settled,
        charters_equal: found.charters_equal,
        differing: found.differing,
        complete: found.complete,
        differences: found.differences.iter().map(|one| difference(one, members)).collect(),
        bytes: found.sent + found.received,
        round_trips: found.round_trips,
        took_ms: u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn difference(found: &replica::Difference, members: &[MemberReport]) -> DifferingRun {
    let author = found.author.map(|author| report::holder(author, members));
    DifferingRun {
        doc: found.document.as_ref().map(ToString::to_string),
        actor: found.actor.map(|actor| actor.to_string()),
        author_name: author.as_ref().map(|author| author.name.clone()),
        author: author.map(|author| author.key),
        kind: match (found.forked, found.ours < found.theirs) {
            (true, _) => DifferenceKind::Forked,
            (false, true) => DifferenceKind::LackedHere,
            (false, false) => DifferenceKind::LackedThere,
        },
        ours: found.ours,
        theirs: found.theirs,
    }
}
