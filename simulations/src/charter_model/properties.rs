//! What must hold of every set of records, stated without the functions that compute it wherever
//! the statement allows.

use super::charter::{Charter, Verdict};
use super::clean;
use super::families::Family;
use super::incremental::Incremental;
use super::outcome;
use super::records::{ChangeId, History, Key, Kind, Known, Prefix, Record, Role, StatementId};
use super::rules::Rules;
use super::set::Set;
use super::{document, forks, recovery};

/// The name of a property and what is wrong.
pub type Failure = (&'static str, String);

/// A set of records under judgement.
pub struct Case<'c, 'h> {
    /// The charter of the history.
    pub charter: &'c Charter<'h>,
    /// The records held.
    pub known: Known,
    /// The keys that behave.
    pub honest: Set,
}

/// A set of records with its verdicts.
pub(super) struct Judged<'c, 'h> {
    pub(super) charter: &'c Charter<'h>,
    pub(super) history: &'h History,
    pub(super) known: Known,
    pub(super) honest: Set,
    pub(super) verdict: std::rc::Rc<Verdict>,
    pub(super) judgement: clean::Judgement,
}

/// Checks everything that must hold of one set of records; returns the arrival steps checked.
///
/// # Errors
///
/// The first property that does not hold.
pub fn check_set(case: &Case<'_, '_>) -> Result<usize, Failure> {
    let judged = Judged {
        charter: case.charter,
        history: case.charter.history,
        known: case.known,
        honest: case.honest,
        verdict: case.charter.evaluate(case.known.statements),
        judgement: clean::judge(case.charter, &case.known),
    };
    named("order_does_not_matter", order_does_not_matter(&judged))?;
    named(
        "clean_is_closed_and_unforked",
        clean_is_closed_and_unforked(&judged),
    )?;
    named("removed_gain_nothing", removed_gain_nothing(&judged))?;
    named("rights_never_widen", rights_never_widen(&judged))?;
    named("untouched_work_stays", untouched_work_stays(&judged))?;
    named("accepted_work_stays", accepted_work_stays(&judged))?;
    named(
        "removals_end_as_stated",
        outcome::removals_end_as_stated(&judged),
    )?;
    named(
        "nearer_outlast_farther",
        outcome::nearer_outlast_farther(&judged),
    )?;
    named(
        "removed_keys_stay_out",
        outcome::removed_keys_stay_out(&judged),
    )?;
    named(
        "retired_keys_state_nothing",
        outcome::retired_keys_state_nothing(&judged),
    )?;
    named(
        "overruns_are_visible",
        outcome::overruns_are_visible(&judged),
    )?;
    named(
        "documents_exist_by_their_edits",
        documents_exist_by_their_edits(&judged),
    )?;
    named("edits_count_once", edits_count_once(&judged))?;
    check_steps(&judged)
}

/// Checks what must hold of a whole history; returns the splits between two nodes tried.
///
/// # Errors
///
/// The first property that does not hold.
pub fn check_history(family: &Family, history: &History, rules: Rules) -> Result<usize, Failure> {
    named("no_clock", no_clock(history, rules))?;
    if family.recovers {
        recovery::check(family, history, rules)
    } else {
        Ok(0)
    }
}

pub(super) fn named(property: &'static str, result: Result<(), String>) -> Result<(), Failure> {
    result.map_err(|reason| (property, reason))
}

fn check_steps(judged: &Judged<'_, '_>) -> Result<usize, Failure> {
    let mut steps = 0;
    for (smaller, last) in last_arrivals(judged.history, &judged.known) {
        named(
            "incremental_equals_scratch",
            step_equals_scratch(judged, smaller, last),
        )?;
        named("cuts_only_fall", cuts_only_fall(judged, &smaller))?;
        named(
            "joins_displace_no_joins",
            outcome::joins_displace_no_joins(judged, &smaller, last),
        )?;
        steps += 1;
    }
    Ok(steps)
}

/// Every record that can have come last, and the set before it.
fn last_arrivals(history: &History, known: &Known) -> Vec<(Known, Record)> {
    let statements = known.statements.iter().map(|id| {
        (
            Known {
                statements: known.statements.without(id),
                ..*known
            },
            Record::Statement(id),
        )
    });
    let changes = known.changes.iter().map(|id| {
        (
            Known {
                changes: known.changes.without(id),
                ..*known
            },
            Record::Change(id),
        )
    });
    let proofs = known.proofs.iter().map(|id| {
        (
            Known {
                proofs: known.proofs.without(id),
                ..*known
            },
            Record::Proof(id),
        )
    });
    let all = statements.chain(changes).chain(proofs);
    all.filter(|(smaller, _)| is_closed(history, smaller))
        .collect()
}

fn is_closed(history: &History, known: &Known) -> bool {
    let ready = |record: Record| !known.contains(record) || history.is_ready(known, record);
    history.records().all(ready)
}

fn step_equals_scratch(
    judged: &Judged<'_, '_>,
    smaller: Known,
    last: Record,
) -> Result<(), String> {
    let mut node = Incremental::at(judged.charter, smaller);
    node.take(judged.charter, last);
    if node.judgement == judged.judgement {
        return Ok(());
    }
    Err(format!(
        "after {last:?} arrived: {:?}, from scratch: {:?}",
        node.judgement, judged.judgement
    ))
}

/// One node takes every record as early as it can in one order, another in the opposite one.
fn order_does_not_matter(judged: &Judged<'_, '_>) -> Result<(), String> {
    let forward: Vec<Record> = judged
        .history
        .records()
        .filter(|record| judged.known.contains(*record))
        .collect();
    let backward: Vec<Record> = forward.iter().rev().copied().collect();
    let (one, two) = (arrive(judged, &forward), arrive(judged, &backward));
    if one.judgement == two.judgement {
        Ok(())
    } else {
        Err(format!("{:?} against {:?}", one.judgement, two.judgement))
    }
}

fn arrive(judged: &Judged<'_, '_>, preference: &[Record]) -> Incremental {
    let mut node = Incremental::default();
    let ready = |node: &Incremental, record: Record| {
        !node.known.contains(record) && judged.history.is_ready(&node.known, record)
    };
    while let Some(&next) = preference.iter().find(|&&record| ready(&node, record)) {
        node.take(judged.charter, next);
    }
    node
}

/// Invariants 4 and 6: nothing without its dependencies, never two changes in one place of a run.
fn clean_is_closed_and_unforked(judged: &Judged<'_, '_>) -> Result<(), String> {
    let clean = judged.judgement.clean;
    for id in clean.iter() {
        if !judged.history.changes[id].past.is_subset(clean) {
            return Err(format!("c{id} is clean without all it depends on"));
        }
        if clean
            .iter()
            .any(|other| judged.history.are_siblings(id, other))
        {
            return Err(format!("c{id} is clean together with its sibling"));
        }
    }
    Ok(())
}

/// A change by an outcast is clean only below a clean change that is none: by someone else, or by
/// its author after it was let in again.
fn removed_gain_nothing(judged: &Judged<'_, '_>) -> Result<(), String> {
    let changes = &judged.history.changes;
    for id in judged
        .judgement
        .clean
        .iter()
        .filter(|&id| is_outcast(judged, id))
    {
        let author = changes[id].author;
        let endorses =
            |&other: &ChangeId| changes[other].past.contains(id) && !is_outcast(judged, other);
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
fn rights_never_widen(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let gives = |id: StatementId, role: Role, prefix: Prefix| match statements[id].kind {
        Kind::Grant {
            role: given,
            prefix: over,
            ..
        } => given >= role && over.covers(prefix),
        Kind::Join { invite, .. } => {
            let (given, over) = judged.charter.invite(invite);
            given >= role && over.covers(prefix)
        }
        _ => true,
    };
    let holds = |key: Key, cited: Set, role: Role, prefix: Prefix| {
        judged.history.founders.contains(key)
            || admissions(judged.history, cited, key)
                .iter()
                .any(|id| gives(id, role, prefix))
    };
    for id in judged.judgement.clean.iter() {
        let change = &judged.history.changes[id];
        if !holds(
            change.author,
            change.cites,
            Role::Writer,
            Prefix::Only(change.document),
        ) {
            return Err(format!("c{id} was written without a right to its document"));
        }
    }
    for id in judged.verdict.links.union(judged.verdict.removals).iter() {
        let statement = &statements[id];
        let (Kind::Grant { prefix, .. }
        | Kind::Invite { prefix, .. }
        | Kind::Revoke { scope: prefix, .. }) = statement.kind
        else {
            continue;
        };
        if !holds(statement.issuer, statement.past, Role::Admin, prefix) {
            return Err(format!(
                "s{id} was issued without a right to all it speaks of"
            ));
        }
    }
    Ok(())
}

/// Whether a change comes from someone removed or never rightly admitted, and nobody accepted it.
fn is_outcast(judged: &Judged<'_, '_>, id: ChangeId) -> bool {
    let change = &judged.history.changes[id];
    let statements = &judged.history.statements;
    let accepted = judged
        .verdict
        .removals
        .iter()
        .any(|removal| judged.charter.frontier(removal).contains(id));
    let admissions = admissions(judged.history, change.cites, change.author);
    let never_admitted = !judged.history.founders.contains(change.author)
        && admissions.intersection(judged.verdict.links).is_empty();
    let removed = judged.verdict.removals.iter().any(|removal| {
        let names = matches!(statements[removal].kind, Kind::Revoke { of, scope: Prefix::All, .. } if of == change.author);
        let knew = change.cites.contains(removal) || admissions.iter().any(|id| statements[id].past.contains(removal));
        let leaves_out = !judged.charter.frontier(removal).contains(id);
        names && !knew && leaves_out && judged.verdict.level.get(&removal) == Some(&0)
    });
    removed || never_admitted && !accepted
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
fn accepted_work_stays(judged: &Judged<'_, '_>) -> Result<(), String> {
    let statements = &judged.history.statements;
    let revocations = judged.verdict.removals.iter().filter(|&id| {
        judged.honest.contains(statements[id].issuer)
            && matches!(
                statements[id].kind,
                Kind::Revoke {
                    scope: Prefix::All,
                    ..
                }
            )
    });
    for revocation in revocations {
        let accepted = judged
            .charter
            .frontier(revocation)
            .intersection(judged.known.changes);
        for id in accepted.iter().filter(|&id| is_accepted_by_all(judged, id)) {
            if !judged.judgement.clean.contains(id) {
                return Err(format!(
                    "s{revocation} accepted c{id}, which no longer counts"
                ));
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
        !closes
            && (judged.charter.frontier(removal).contains(id)
                || changes[id].cites.contains(removal))
    });
    let standing = judged.verdict.removals.union(judged.verdict.links);
    let disputed = standing.iter().any(|other| {
        let named = judged.charter.frontier(other);
        named.iter().any(|other| {
            run.iter()
                .any(|mine| judged.history.are_siblings(mine, other))
        })
    });
    let given_up = judged
        .known
        .changes
        .iter()
        .any(|other| !changes[other].gives_up.intersection(run).is_empty());
    removals && !disputed && !given_up
}

/// Work of an honest author whom nobody names, admitted by a founder whom nobody names, counts from
/// the start and for ever where nobody forked.
fn untouched_work_stays(judged: &Judged<'_, '_>) -> Result<(), String> {
    let (changes, statements) = (&judged.history.changes, &judged.history.statements);
    let forked = |document| {
        let proofs = judged.history.proofs_seen(&judged.known);
        proofs
            .iter()
            .any(|proof| changes[judged.history.proofs[proof].one].document == document)
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
                || admissions(judged.history, judged.known.statements, author)
                    .iter()
                    .any(granted))
    };
    let missing = judged.known.changes.minus(judged.judgement.clean);
    match missing
        .iter()
        .find(|&id| untouched(changes[id].author) && !forked(changes[id].document))
    {
        Some(id) => Err(format!("c{id} by {} does not count", changes[id].author)),
        None => Ok(()),
    }
}

/// No record changes its effect with the time it claims.
fn no_clock(history: &History, rules: Rules) -> Result<(), String> {
    let mut retimed = history.clone();
    retimed
        .statements
        .iter_mut()
        .for_each(|statement| statement.time = 1000 - statement.time);
    retimed
        .changes
        .iter_mut()
        .for_each(|change| change.time = 1000 - change.time);
    let all = history.all();
    let one = clean::judge(&Charter::new(history, rules), &all);
    let two = clean::judge(&Charter::new(&retimed, rules), &all);
    if one == two {
        Ok(())
    } else {
        Err(format!("{one:?}, with other clocks {two:?}"))
    }
}

/// A known cut never rises.
fn cuts_only_fall(judged: &Judged<'_, '_>, smaller: &Known) -> Result<(), String> {
    let before = forks::raw_cuts(judged.charter, smaller);
    let after = forks::raw_cuts(judged.charter, &judged.known);
    match before
        .iter()
        .find(|(run, cut)| after.get(run).is_none_or(|new| new > cut))
    {
        Some((run, cut)) => Err(format!(
            "the cut of {run:?} at {cut} became {:?}",
            after.get(run)
        )),
        None => Ok(()),
    }
}

/// No increment counts twice, whatever was re-issued and came back.
fn edits_count_once(judged: &Judged<'_, '_>) -> Result<(), String> {
    let changes = &judged.history.changes;
    let mut counted = Set::EMPTY;
    for id in judged
        .judgement
        .clean
        .iter()
        .filter(|&id| judged.honest.contains(changes[id].author))
    {
        let again = changes[id].effect.increments.intersection(counted);
        if !again.is_empty() {
            return Err(format!("c{id} counts {again:?} again"));
        }
        counted = counted.union(changes[id].effect.increments);
    }
    Ok(())
}

/// A document is gone exactly if it was deleted and every edit is below some delete.
fn documents_exist_by_their_edits(judged: &Judged<'_, '_>) -> Result<(), String> {
    let changes = &judged.history.changes;
    let documents: Set = judged
        .known
        .changes
        .iter()
        .map(|id| changes[id].document)
        .collect();
    for document in documents.iter() {
        let view = judged
            .judgement
            .clean
            .intersection(judged.history.of_document(document));
        let (deletes, edits): (Vec<_>, Vec<_>) =
            view.iter().partition(|&id| changes[id].effect.deletes);
        let deleted = |edit: &ChangeId| {
            deletes
                .iter()
                .any(|&delete| changes[delete].past.contains(*edit))
        };
        let expected = !edits.iter().all(deleted);
        let shown = document::show(judged.charter, judged.judgement.clean, document);
        if shown.exists != expected {
            return Err(format!(
                "document {document} is shown as existing: {}",
                shown.exists
            ));
        }
    }
    Ok(())
}
