//! Properties of re-issue: two honest nodes, each holding any part of the records, carry their lost
//! edits over, meet, and go on until nothing is lost.

use super::behaviour::{floor, holdings};
use super::charter::Charter;
use super::clean;
use super::document;
use super::families::Family;
use super::forks;
use super::properties::{Failure, named};
use super::records::{Change, Document, History, Key, Kind, Known, Prefix, Role};
use super::reissue::reissue;
use super::rules::Rules;
use super::set::Set;
use std::collections::BTreeSet;

/// The document in which the families equivocate.
const DOCUMENT: Document = 0;

/// Tries every pair of holdings of the two recovering authors; returns how many there are.
///
/// # Errors
///
/// The first property that does not hold.
pub fn check(family: &Family, history: &History, rules: Rules) -> Result<usize, Failure> {
    let [one, other] = &family.recovering;
    let (ones, one_holdings) = first_reissues(family, history, rules, one);
    let (others, other_holdings) = first_reissues(family, history, rules, other);
    for first in &ones {
        for second in &others {
            let mut met = history.clone();
            for change in first.iter().chain(second) {
                add_reissue(&mut met, change.clone());
            }
            named("reissue_ends", settle(&mut met, rules, [one, other]))?;
            named("edits_count_once", edits_count_once(family, &met, rules))?;
            named("edits_are_not_lost", edits_are_not_lost(family, &met, rules))?;
        }
    }
    Ok(one_holdings * other_holdings)
}

/// What an author re-issues first, over every holding it may have: nothing, or one of these.
fn first_reissues(
    family: &Family,
    history: &History,
    rules: Rules,
    keys: &[Key],
) -> (BTreeSet<Option<Change>>, usize) {
    let charter = Charter::new(history, rules);
    let floor = keys.iter().fold(family.common, |known, key| floor(history, known, *key));
    let held = holdings(history, floor);
    let first = held.iter().map(|known| reissue_by_node(&charter, known, keys)).collect();
    (first, held.len())
}

/// A node re-issues by the last of its keys that may write.
fn reissue_by_node(charter: &Charter<'_>, known: &Known, keys: &[Key]) -> Option<Change> {
    let verdict = charter.evaluate(known.statements);
    let may = |key: &&Key| verdict.may(**key, Role::Writer, Prefix::Only(DOCUMENT));
    let key = keys.iter().rev().find(may)?;
    reissue(charter, known, *key, DOCUMENT)
}

/// Adds a re-issue under an actor of its own: the other node numbered without knowing of this one.
fn add_reissue(history: &mut History, mut change: Change) {
    change.actor = history.changes.len();
    history.add_change(change);
}

/// Both authors learn everything and re-issue in turn until neither has anything left to re-issue.
fn settle(history: &mut History, rules: Rules, nodes: [&[Key]; 2]) -> Result<(), String> {
    let suspects: Set = history.proofs.iter().map(|proof| history.changes[proof.one].author).collect();
    let edits =
        history.changes.iter().map(|change| change.effect.increments.len() + 2).max().unwrap_or_default();
    for _ in 0..=(suspects.len() + 1) * edits {
        let mut quiet = true;
        for keys in nodes {
            let next = reissue_by_node(&Charter::new(history, rules), &history.all(), keys);
            if let Some(change) = next {
                quiet = false;
                add_reissue(history, change);
            }
        }
        if quiet {
            return at_most_once_per_suspect(history, suspects);
        }
    }
    Err("re-issues follow each other without end".to_owned())
}

/// An edit is re-issued at most once for every author that equivocated.
fn at_most_once_per_suspect(history: &History, suspects: Set) -> Result<(), String> {
    let reissues = |edit: usize| {
        let carries =
            |change: &&Change| !change.gives_up.is_empty() && change.effect.increments.contains(edit);
        history.changes.iter().filter(carries).count()
    };
    let cleared =
        history.statements.iter().filter(|statement| matches!(statement.kind, Kind::Clear { .. })).count();
    let bound = suspects.len() * (1 + cleared);
    match (0..history.changes.len()).find(|&edit| reissues(edit) > bound) {
        Some(edit) => Err(format!("edit {edit} was re-issued {} times for {suspects:?}", reissues(edit))),
        None => Ok(()),
    }
}

/// In no set of records a node can hold does an increment count twice.
fn edits_count_once(family: &Family, history: &History, rules: Rules) -> Result<(), String> {
    let charter = Charter::new(history, rules);
    for known in holdings(history, family.common) {
        let shown = document::show(&charter, clean::judge(&charter, &known).clean, DOCUMENT);
        if let Some(pair) = shown.increments.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("edit {} counts twice for one who holds {known:?}: {history:?}", pair[0]));
        }
    }
    Ok(())
}

/// With everything known, every edit of an author that still writes counts, and its last value
/// shows unless someone who did not equivocate wrote after it.
fn edits_are_not_lost(family: &Family, history: &History, rules: Rules) -> Result<(), String> {
    let charter = Charter::new(history, rules);
    let all: Known = history.all();
    let verdict = charter.evaluate(all.statements);
    let clean = clean::judge(&charter, &all).clean;
    let shown = document::show(&charter, clean, DOCUMENT);
    let suspects = forks::suspects(&charter, &all, &verdict, DOCUMENT);
    for keys in &family.recovering {
        if !keys.iter().any(|key| verdict.may(*key, Role::Writer, Prefix::Only(DOCUMENT))) {
            continue;
        }
        let own = keys.iter().fold(Set::EMPTY, |own, key| own.union(history.of_author(*key)));
        for id in own.iter() {
            let change = &history.changes[id];
            let lost = !clean::stands(&charter, &verdict, id);
            if change.document != DOCUMENT || !change.gives_up.is_empty() || lost {
                continue;
            }
            if let Some(edit) = change.effect.increments.iter().find(|edit| !shown.increments.contains(edit))
            {
                return Err(format!("increment {edit} of {keys:?} is lost: {history:?}"));
            }
            let overwritten = history.changes.iter().any(|later| {
                later.past.contains(id) && later.effect.put.is_some() && !suspects.contains(later.author)
            }) || clean.iter().any(|later| {
                history.changes[later].past.contains(id) && history.changes[later].effect.put.is_some()
            });
            if let Some(value) =
                change.effect.put.filter(|value| !overwritten && !shown.values.contains(value))
            {
                return Err(format!("value {value} of {keys:?} is lost: {history:?}"));
            }
        }
    }
    Ok(())
}
