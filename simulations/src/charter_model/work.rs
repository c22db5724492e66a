//! Properties of changes: whose work counts, whose does not, and what is never lost.

use super::properties::Judged;
use super::records::{ChangeId, History, Key, Kind, Prefix, Role, StatementId};
use super::set::Set;

/// A change by an outcast is clean only below a clean change that is none: by someone else, or by
/// its author after it was let in again.
pub(super) fn removed_gain_nothing(judged: &Judged<'_, '_>) -> Result<(), String> {
    let changes = &judged.history.changes;
    for id in judged.judgement.clean.iter().filter(|&id| is_outcast(judged, id)) {
        let author = changes[id].author;
        let endorses = |&other: &ChangeId| changes[other].past.contains(id) && !is_outcast(judged, other);
        if !judged.judgement.clean.iter().any(|other| endorses(&other)) {
            return Err(format!(
                "c{id} counts although its author {author} is out and nobody in good standing built on it"
            ));
        }
    }
    Ok(())
}

/// Every clean change lies under an admission of its author, and every standing grant under one of
/// its issuer.
pub(super) fn rights_never_widen(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let gives = |id: StatementId, role: Role, prefix: Prefix| match statements[id].kind {
        Kind::Grant { role: given, prefix: over, .. } => given >= role && over.covers(prefix),
        Kind::Join { invite, .. } => {
            let (given, over) = judged.charter.invite(invite);
            given >= role && over.covers(prefix)
        }
        _ => true,
    };
    let holds = |key: Key, cited: Set, role: Role, prefix: Prefix| {
        judged.history.founders.contains(key)
            || admissions(judged.history, cited, key).iter().any(|id| gives(id, role, prefix))
    };
    for id in judged.judgement.clean.iter() {
        let change = &judged.history.changes[id];
        if !holds(change.author, change.cites, Role::Writer, Prefix::Only(change.document)) {
            return Err(format!("c{id} was written without a right to its document"));
        }
    }
    for id in judged.verdict.links.union(judged.verdict.removals).iter() {
        let statement = &statements[id];
        let (Kind::Grant { prefix, .. } | Kind::Invite { prefix, .. } | Kind::Revoke { scope: prefix, .. }) =
            statement.kind
        else {
            continue;
        };
        if !holds(statement.issuer, statement.past, Role::Admin, prefix) {
            return Err(format!("s{id} was issued without a right to all it speaks of"));
        }
    }
    Ok(())
}

/// Whether a change comes from someone removed or never rightly admitted, and nobody accepted it.
fn is_outcast(judged: &Judged<'_, '_>, id: ChangeId) -> bool {
    let change = &judged.history.changes[id];
    let statements = &judged.history.statements;
    let accepted =
        judged.verdict.removals.iter().any(|removal| judged.charter.frontier(removal).contains(id));
    let admissions = admissions(judged.history, change.cites, change.author);
    let is_member = !judged.history.founders.contains(change.author)
        && admissions.iter().all(|id| gives_less_than_admin(judged, id));
    let never_admitted = !judged.history.founders.contains(change.author)
        && admissions.intersection(judged.verdict.links).is_empty();
    let removed = judged.verdict.removals.iter().any(|removal| {
        let names = matches!(statements[removal].kind, Kind::Revoke { of, scope: Prefix::All, .. } if of == change.author);
        let knew = change.cites.contains(removal) || admissions.iter().any(|id| statements[id].past.contains(removal));
        let leaves_out = !judged.charter.frontier(removal).contains(id);
        names && !knew && leaves_out && (is_member || judged.verdict.level.get(&removal) == Some(&0))
    });
    removed || never_admitted && !accepted
}

fn gives_less_than_admin(judged: &Judged<'_, '_>, admission: StatementId) -> bool {
    match judged.history.statements[admission].kind {
        Kind::Grant { role, .. } => role < Role::Admin,
        Kind::Join { invite, .. } => judged.charter.invite(invite).0 < Role::Admin,
        _ => false,
    }
}

/// The statements that gave a key rights.
pub(super) fn admissions(history: &History, statements: Set, key: Key) -> Set {
    let admits = |&id: &StatementId| match history.statements[id].kind {
        Kind::Grant { to, .. } | Kind::Succession { to, .. } => to == key,
        Kind::Join { .. } => history.statements[id].issuer == key,
        _ => false,
    };
    statements.iter().filter(admits).collect()
}

/// What an honest admin accepted when it removed someone stays, whatever else becomes known, unless
/// another removal leaves it out.
pub(super) fn accepted_work_stays(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let revocations = judged.verdict.removals.iter().filter(|&id| {
        judged.honest.contains(statements[id].issuer)
            && matches!(statements[id].kind, Kind::Revoke { scope: Prefix::All, .. })
    });
    for revocation in revocations {
        let accepted = judged.charter.frontier(revocation).intersection(judged.known.changes);
        for id in accepted.iter().filter(|&id| is_accepted_by_all(judged, id)) {
            if !judged.judgement.clean.contains(id) {
                return Err(format!("s{revocation} accepted c{id}, which no longer counts"));
            }
        }
    }
    Ok(())
}

fn is_accepted_by_all(judged: &Judged<'_, '_>, id: ChangeId) -> bool {
    let (changes, statements) = (&judged.history.changes, &judged.history.statements);
    let run = changes[id].past.with(id);
    let removals = judged.verdict.removals.iter().all(|removal| {
        let closes = matches!(statements[removal].kind, Kind::Close { .. });
        !closes && (judged.charter.frontier(removal).contains(id) || changes[id].cites.contains(removal))
    });
    let standing = judged.verdict.removals.union(judged.verdict.links);
    let disputed = standing.iter().any(|other| {
        let named = judged.charter.frontier(other);
        named.iter().any(|other| run.iter().any(|mine| judged.history.are_siblings(mine, other)))
    });
    let given_up =
        judged.known.changes.iter().any(|other| !changes[other].gives_up.intersection(run).is_empty());
    removals && !disputed && !given_up
}

/// Work of an honest author whom nobody names, admitted by a founder whom nobody names, counts from
/// the start and for ever where nobody forked.
pub(super) fn untouched_work_stays(judged: &Judged<'_, '_>) -> Result<(), String> {
    let (changes, statements) = (&judged.history.changes, &judged.history.statements);
    let forked = |document| {
        let proofs = judged.history.proofs_seen(&judged.known);
        proofs.iter().any(|proof| changes[judged.history.proofs[proof].one].document == document)
    };
    let named: Set = judged
        .known
        .statements
        .iter()
        .filter_map(|id| match statements[id].kind {
            Kind::Revoke { of, .. } => Some(of),
            Kind::Succession { .. } => Some(statements[id].issuer),
            _ => None,
        })
        .collect();
    let untouched = |author: Key| {
        let granted = |id: StatementId| {
            let issuer = statements[id].issuer;
            matches!(statements[id].kind, Kind::Grant { .. })
                && judged.history.founders.contains(issuer)
                && !named.contains(issuer)
        };
        judged.honest.contains(author)
            && !named.contains(author)
            && (judged.history.founders.contains(author)
                || admissions(judged.history, judged.known.statements, author).iter().any(granted))
    };
    let missing = judged.known.changes.minus(judged.judgement.clean);
    match missing.iter().find(|&id| untouched(changes[id].author) && !forked(changes[id].document)) {
        Some(id) => Err(format!("c{id} by {} does not count", changes[id].author)),
        None => Ok(()),
    }
}
