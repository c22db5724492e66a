//! What must hold of every set of records, stated without the functions that compute it wherever
//! the statement allows.

use super::charter::{Charter, Verdict};
use super::clean;
use super::families::Family;
use super::incremental::Incremental;
use super::records::{ChangeId, History, Known, Record};
use super::rules::Rules;
use super::set::Set;
use super::{document, forks, outcome, recovery, work};

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
    named("clean_is_closed_and_unforked", clean_is_closed_and_unforked(&judged))?;
    named("removed_gain_nothing", work::removed_gain_nothing(&judged))?;
    named("rights_never_widen", work::rights_never_widen(&judged))?;
    named("untouched_work_stays", work::untouched_work_stays(&judged))?;
    named("accepted_work_stays", work::accepted_work_stays(&judged))?;
    named("removals_end_as_stated", outcome::removals_end_as_stated(&judged))?;
    named("nearer_outlast_farther", outcome::nearer_outlast_farther(&judged))?;
    named("removed_keys_stay_out", outcome::removed_keys_stay_out(&judged))?;
    named("retired_keys_state_nothing", outcome::retired_keys_state_nothing(&judged))?;
    named("overruns_are_visible", outcome::overruns_are_visible(&judged))?;
    named("documents_exist_by_their_edits", documents_exist_by_their_edits(&judged))?;
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
    if family.recovers { recovery::check(family, history, rules) } else { Ok(0) }
}

pub(super) fn named(property: &'static str, result: Result<(), String>) -> Result<(), Failure> {
    result.map_err(|reason| (property, reason))
}

fn check_steps(judged: &Judged<'_, '_>) -> Result<usize, Failure> {
    let mut steps = 0;
    for (smaller, last) in last_arrivals(judged.history, &judged.known) {
        named("incremental_equals_scratch", step_equals_scratch(judged, smaller, last))?;
        named("cuts_only_fall", cuts_only_fall(judged, &smaller))?;
        named("joins_displace_no_joins", outcome::joins_displace_no_joins(judged, &smaller, last))?;
        steps += 1;
    }
    Ok(steps)
}

/// Every record that can have come last, and the set before it.
fn last_arrivals(history: &History, known: &Known) -> Vec<(Known, Record)> {
    let statements = known
        .statements
        .iter()
        .map(|id| (Known { statements: known.statements.without(id), ..*known }, Record::Statement(id)));
    let changes = known
        .changes
        .iter()
        .map(|id| (Known { changes: known.changes.without(id), ..*known }, Record::Change(id)));
    let proofs = known
        .proofs
        .iter()
        .map(|id| (Known { proofs: known.proofs.without(id), ..*known }, Record::Proof(id)));
    let all = statements.chain(changes).chain(proofs);
    all.filter(|(smaller, _)| is_closed(history, smaller)).collect()
}

fn is_closed(history: &History, known: &Known) -> bool {
    let ready = |record: Record| !known.contains(record) || history.is_ready(known, record);
    history.records().all(ready)
}

fn step_equals_scratch(judged: &Judged<'_, '_>, smaller: Known, last: Record) -> Result<(), String> {
    let mut node = Incremental::at(judged.charter, smaller);
    node.take(judged.charter, last);
    if node.judgement == judged.judgement {
        return Ok(());
    }
    Err(format!("after {last:?} arrived: {:?}, from scratch: {:?}", node.judgement, judged.judgement))
}

/// One node takes every record as early as it can in one order, another in the opposite one.
fn order_does_not_matter(judged: &Judged<'_, '_>) -> Result<(), String> {
    let forward: Vec<Record> =
        judged.history.records().filter(|record| judged.known.contains(*record)).collect();
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
        if clean.iter().any(|other| judged.history.are_siblings(id, other)) {
            return Err(format!("c{id} is clean together with its sibling"));
        }
    }
    Ok(())
}

/// No record changes its effect with the time it claims.
fn no_clock(history: &History, rules: Rules) -> Result<(), String> {
    let mut retimed = history.clone();
    retimed.statements.iter_mut().for_each(|statement| statement.time = 1000 - statement.time);
    retimed.changes.iter_mut().for_each(|change| change.time = 1000 - change.time);
    let all = history.all();
    let one = clean::judge(&Charter::new(history, rules), &all);
    let two = clean::judge(&Charter::new(&retimed, rules), &all);
    if one == two { Ok(()) } else { Err(format!("{one:?}, with other clocks {two:?}")) }
}

/// A known cut never rises.
fn cuts_only_fall(judged: &Judged<'_, '_>, smaller: &Known) -> Result<(), String> {
    let before = forks::raw_cuts(judged.charter, smaller);
    let after = forks::raw_cuts(judged.charter, &judged.known);
    match before.iter().find(|(run, cut)| after.get(run).is_none_or(|new| new > cut)) {
        Some((run, cut)) => Err(format!("the cut of {run:?} at {cut} became {:?}", after.get(run))),
        None => Ok(()),
    }
}

/// No increment counts twice, whatever was re-issued and came back.
fn edits_count_once(judged: &Judged<'_, '_>) -> Result<(), String> {
    let changes = &judged.history.changes;
    let mut counted = Set::EMPTY;
    for id in judged.judgement.clean.iter().filter(|&id| judged.honest.contains(changes[id].author)) {
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
    let documents: Set = judged.known.changes.iter().map(|id| changes[id].document).collect();
    for document in documents.iter() {
        let view = judged.judgement.clean.intersection(judged.history.of_document(document));
        let (deletes, edits): (Vec<_>, Vec<_>) = view.iter().partition(|&id| changes[id].effect.deletes);
        let deleted = |edit: &ChangeId| deletes.iter().any(|&delete| changes[delete].past.contains(*edit));
        let expected = !edits.iter().all(deleted);
        let shown = document::show(judged.charter, judged.judgement.clean, document);
        if shown.exists != expected {
            return Err(format!("document {document} is shown as existing: {}", shown.exists));
        }
    }
    Ok(())
}
