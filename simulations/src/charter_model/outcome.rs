//! Properties of the charter alone: how removals and joins end.

use super::charter::MEMBER_LEVEL;
use super::properties::Judged;
use super::records::{Key, Kind, Known, Prefix, Record, Role, StatementId};
use super::set::Set;
use super::work::admissions;

/// A removal that was authorised fails only to a standing one, and a standing one that another
/// standing one strikes is on a cycle with it.
pub(super) fn removals_end_as_stated(judged: &Judged<'_, '_>) -> Result<(), String> {
    let standing = judged.verdict.removals;
    for id in judged.known.statements.iter().filter(|&id| is_revocation(judged, id)) {
        let authorised = !judged.charter.support(id).own.is_empty();
        if authorised && !standing.contains(id) && !has_fallen_rightly(judged, id) {
            return Err(format!("s{id} is void and no standing removal strikes it"));
        }
        if !standing.contains(id) || rests_on_several(judged, id) {
            continue;
        }
        for other in standing.iter().filter(|&other| strikes(judged, other, id)) {
            if !reaches(judged, id, other) {
                return Err(format!("s{id} stands although s{other} stands and strikes it"));
            }
        }
    }
    Ok(())
}

fn is_revocation(judged: &Judged<'_, '_>, id: StatementId) -> bool {
    matches!(judged.history.statements[id].kind, Kind::Revoke { .. })
}

fn has_fallen_rightly(judged: &Judged<'_, '_>, id: StatementId) -> bool {
    let statement = &judged.history.statements[id];
    let lines = forebears(judged, id);
    let admitted =
        lines.iter().fold(Set::EMPTY, |all, key| all.union(admissions(judged.history, statement.past, key)));
    judged.verdict.removals.iter().any(|other| strikes(judged, other, id))
        || !admitted.is_subset(judged.verdict.links)
}

fn rests_on_several(judged: &Judged<'_, '_>, id: StatementId) -> bool {
    judged.charter.support(id).own.len() != 1
}

/// The issuer of a statement and the keys it succeeded.
fn forebears(judged: &Judged<'_, '_>, id: StatementId) -> Set {
    let statements = &judged.history.statements;
    let mut keys = Set::one(statements[id].issuer);
    for past in statements[id].past.iter().collect::<Vec<_>>().into_iter().rev() {
        if matches!(statements[past].kind, Kind::Succession { to, .. } if keys.contains(to)) {
            keys = keys.with(statements[past].issuer);
        }
    }
    keys
}

/// Whether a removal names the issuer of `act` or one it has its right from, and neither knew nor accepts
/// nor was known by it, nor comes from farther away.
fn strikes(judged: &Judged<'_, '_>, removal: StatementId, act: StatementId) -> bool {
    let statements = &judged.history.statements;
    let (target, scope) = match statements[removal].kind {
        Kind::Revoke { of, scope, .. } => (of, scope),
        Kind::Succession { .. } => (statements[removal].issuer, Prefix::All),
        _ => return false,
    };
    let level = |id| judged.verdict.level.get(&id).copied().unwrap_or(MEMBER_LEVEL);
    removal != act
        && judged
            .charter
            .support(act)
            .own
            .iter()
            .any(|title| title.keys().contains(target) && scope.covers(title.prefix))
        && !statements[act].past.contains(removal)
        && !judged.charter.accepts(removal).contains(act)
        && level(removal) <= level(act)
}

/// Whether standing removals lead from one to another, each striking the next.
fn reaches(judged: &Judged<'_, '_>, from: StatementId, to: StatementId) -> bool {
    let mut reached = Set::one(from);
    loop {
        let standing = judged.verdict.removals.iter();
        let wider = standing.filter(|&next| reached.iter().any(|id| strikes(judged, id, next)));
        let wider = wider.collect::<Set>().union(reached);
        if wider.contains(to) || wider == reached {
            return wider.contains(to);
        }
        reached = wider;
    }
}

/// A founder stays admin unless a founder removes it; whom a founder made admin stays so unless a
/// founder or one of that same distance removes it.
pub(super) fn nearer_outlast_farther(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let removed_within = |key: Key, level: usize| {
        judged.verdict.removals.iter().any(|removal| {
            let names = match statements[removal].kind {
                Kind::Revoke { of, .. } => of == key,
                Kind::Succession { .. } => statements[removal].issuer == key,
                _ => false,
            };
            let retires = matches!(statements[removal].kind, Kind::Succession { .. });
            names && (retires || judged.verdict.level.get(&removal).is_none_or(|&at| at <= level))
        })
    };
    let is_admin = |key| judged.verdict.may(key, Role::Admin, Prefix::All);
    if let Some(key) = judged.history.founders.iter().find(|&key| !is_admin(key) && !removed_within(key, 0)) {
        return Err(format!("founder {key} is no admin any more and no founder removed it"));
    }
    for grant in judged.verdict.links.iter() {
        let Kind::Grant { to, role: Role::Admin, prefix: Prefix::All } = statements[grant].kind else {
            continue;
        };
        let by_founder = judged.verdict.level.get(&grant) == Some(&0);
        if by_founder && !is_admin(to) && !removed_within(to, 1) {
            return Err(format!("admin {to} was removed only by someone farther from the founders"));
        }
    }
    Ok(())
}

/// After a removal by a founder, or of a plain member, only a grant made in its knowledge lets the
/// key in again; what the key witnessed, handed on or made tickets for counts only as accepted.
pub(super) fn removed_keys_stay_out(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    for removal in judged.verdict.removals.iter() {
        let Kind::Revoke { of, scope: Prefix::All, accepts, .. } = statements[removal].kind else {
            continue;
        };
        let near = judged.verdict.level.get(&removal) == Some(&0);
        for title in judged.verdict.titles.iter().filter(|title| near || title.role < Role::Admin) {
            let granted_knowing = |link: StatementId| {
                statements[link].past.contains(removal) && !matches!(statements[link].kind, Kind::Join { .. })
            };
            let entries = title.line.iter().filter(|holder| holder.key == of);
            if let Some(entry) = entries.into_iter().find(|entry| !entry.link.is_some_and(granted_knowing)) {
                return Err(format!("{} holds a right through {entry:?} after s{removal}", title.holder()));
            }
            let used = title.links().filter(|&link| near && relies_on(judged, link, of));
            let mut unaccepted =
                used.filter(|&link| !accepts.contains(link) && !is_new_start(judged, removal, link, of));
            if let Some(link) = unaccepted.next() {
                return Err(format!(
                    "{} holds a right by s{link} of {of}, which s{removal} does not accept",
                    title.holder()
                ));
            }
        }
    }
    Ok(())
}

/// After a key was handed on, what it states without knowing so stands only if accepted, or as part
/// of a cycle of removals.
pub(super) fn retired_keys_state_nothing(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let standing = judged.verdict.links.union(judged.verdict.removals);
    for retired in judged.verdict.removals.iter() {
        let Kind::Succession { accepts, .. } = statements[retired].kind else {
            continue;
        };
        let stray = |&id: &StatementId| {
            let same = statements[id].issuer == statements[retired].issuer && id != retired;
            let signed = !matches!(statements[id].kind, Kind::Join { .. });
            same && signed
                && !statements[id].past.contains(retired)
                && !accepts.contains(id)
                && !reaches(judged, id, retired)
        };
        if let Some(id) = standing.iter().find(stray) {
            return Err(format!("s{id} stands although s{retired} had retired its key"));
        }
    }
    Ok(())
}

/// Whether a link was signed or witnessed by a key or by a ticket it made.
fn relies_on(judged: &Judged<'_, '_>, link: StatementId, key: Key) -> bool {
    let statements = &judged.history.statements;
    match statements[link].kind {
        Kind::Join { invite, witness } => witness == key || statements[invite].issuer == key,
        _ => statements[link].issuer == key,
    }
}

/// Whether the key was let in again after the removal, before it did this.
fn is_new_start(judged: &Judged<'_, '_>, removal: StatementId, link: StatementId, key: Key) -> bool {
    let statements = &judged.history.statements;
    let past = statements[link].past;
    let again = |id: StatementId| statements[id].past.contains(removal);
    past.contains(removal) && admissions(judged.history, past, key).iter().any(again)
}

/// A join never takes another join's place.
pub(super) fn joins_displace_no_joins(
    judged: &Judged<'_, '_>,
    smaller: &Known,
    last: Record,
) -> Result<(), String> {
    let statements = &judged.history.statements;
    let is_join = |id: &StatementId| matches!(statements[*id].kind, Kind::Join { .. });
    let Record::Statement(new) = last else {
        return Ok(());
    };
    let before: Set = judged.charter.evaluate(smaller.statements).links.iter().filter(is_join).collect();
    if is_join(&new) && !before.is_subset(judged.verdict.links) {
        return Err(format!("s{new} displaced one of {before:?}"));
    }
    Ok(())
}

/// More keys let in by a ticket than it allows are reported.
pub(super) fn overruns_are_visible(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
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
    let closed = judged.known.statements.iter().any(|id| matches!(statements[id].kind, Kind::Close { .. }));
    for invite in judged.known.statements.iter() {
        let Kind::Invite { uses, .. } = statements[invite].kind else {
            continue;
        };
        let undisturbed = |id: &StatementId| {
            matches!(statements[*id].kind, Kind::Join { invite: of, witness } if of == invite
            && !named.contains(witness) && was_witnessed_by_none_of(judged, *id, named))
        };
        let joiners: Set =
            judged.known.statements.iter().filter(undisturbed).map(|id| statements[id].issuer).collect();
        let quiet = !closed && !named.contains(statements[invite].issuer);
        let reported = judged.charter.overruns(&judged.verdict).contains_key(&invite);
        if quiet && joiners.len() > uses && !reported {
            return Err(format!("s{invite} let {joiners:?} in for {uses} and nothing reports it"));
        }
    }
    Ok(())
}

/// Whether a join was authorised, by a witness whose right comes from none of these keys.
fn was_witnessed_by_none_of(judged: &Judged<'_, '_>, join: StatementId, named: Set) -> bool {
    let support = judged.charter.support(join);
    let witnesses = support.witness.as_deref().unwrap_or_default();
    let undisturbed = witnesses.iter().any(|title| title.keys().intersection(named).is_empty());
    !support.own.is_empty() && undisturbed
}
