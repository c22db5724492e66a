//! Who may sign what next: honest nodes from what they hold, hostile ones anything that parses.
//!
//! An honest author is taken to hold some closed set of records that contains its own; nothing is
//! assumed about how it came by them. It writes on what it shows, cites the statements it holds
//! when its incarnation starts, and as an admin accepts what counts for it. A hostile author names
//! any past it likes, within the structure a receiver checks.

use super::charter::Charter;
use super::clean;
use super::records::{Change, Document, Effect, History, Key, Kind, Known, Prefix, Record, Role, Statement};
use super::rules::Rules;
use super::set::Set;
use std::collections::BTreeSet;

/// Every closed set of records between `floor` and the whole history, smallest first.
#[must_use]
pub fn holdings(history: &History, floor: Known) -> Vec<Known> {
    let mut found = BTreeSet::from([floor]);
    let mut layer = vec![floor];
    while !layer.is_empty() {
        let grown: BTreeSet<Known> = layer.iter().flat_map(|known| next_holdings(history, known)).collect();
        layer = grown.into_iter().filter(|known| found.insert(*known)).collect();
    }
    found.into_iter().collect()
}

/// The holdings one record larger.
pub fn next_holdings(history: &History, known: &Known) -> impl Iterator<Item = Known> {
    let new = |record: &Record| !known.contains(*record) && history.is_ready(known, *record);
    history.records().filter(new).map(|record| known.with(record))
}

/// What an honest author must hold: what everyone holds and all its own records rest on.
#[must_use]
pub fn floor(history: &History, common: Known, author: Key) -> Known {
    let statements = history.statements.iter().enumerate().filter(|(_, own)| own.issuer == author);
    let issued = statements.fold(common, |floor, (id, statement)| {
        let frontier = frontier_of(&statement.kind);
        let own = Known { statements: statement.past.with(id), ..history.needs(frontier) };
        floor.union(&own).union(&history.needs(frontier))
    });
    issued.union(&history.needs(history.of_author(author)))
}

pub(super) fn frontier_of(kind: &Kind) -> Set {
    match *kind {
        Kind::Revoke { frontier, .. } | Kind::Succession { frontier, .. } | Kind::Clear { frontier, .. } => {
            frontier
        }
        _ => Set::EMPTY,
    }
}

/// The change an honest author makes on a document it shows, if it may write there.
#[must_use]
pub fn honest_change(
    history: &History,
    known: &Known,
    author: Key,
    document: Document,
    effect: Effect,
) -> Option<Change> {
    let charter = Charter::new(history, Rules::INTENDED);
    let now = charter.evaluate(known.statements);
    if !now.may(author, Role::Writer, Prefix::Only(document)) {
        return None;
    }
    let view = clean::judge(&charter, known).clean.intersection(history.of_document(document));
    if effect.deletes && view.is_empty() {
        return None;
    }
    let own = history.of_author(author).iter().filter(|&id| history.changes[id].document == document).max();
    let rights = |statements| {
        charter
            .evaluate(statements)
            .titles_of(author, Role::Writer, Prefix::Only(document))
            .cloned()
            .collect::<Vec<_>>()
    };
    let continued = own
        .map(|id| (id, &history.changes[id]))
        .filter(|(id, change)| view.contains(*id) && rights(change.cites) == rights(known.statements));
    let (actor, cites, sequence) = match continued {
        Some((_, change)) => (change.actor, change.cites, change.sequence + 1),
        None => (history.changes.len(), known.statements, 1),
    };
    let (answers, gives_up) = (Set::EMPTY, Set::EMPTY);
    Some(Change {
        author,
        actor,
        cites,
        document,
        sequence,
        past: view,
        answers,
        gives_up,
        effect,
        time: history.changes.len() + history.statements.len(),
    })
}

/// Every change a hostile author can sign that receivers find sound: any statements it cites under
/// which it may write, any past, continuing, branching or starting a run.
#[must_use]
pub fn hostile_changes(
    history: &History,
    common: Known,
    author: Key,
    document: Document,
    effect: Effect,
    unauthorised: bool,
) -> Vec<Change> {
    let charter = Charter::new(history, Rules::INTENDED);
    let statements_only = History { changes: Vec::new(), proofs: Vec::new(), ..history.clone() };
    let floor = Known { statements: common.statements, ..Known::default() };
    let cites =
        holdings(&statements_only, floor).into_iter().map(|known| known.statements).filter(|&cites| {
            unauthorised || charter.evaluate(cites).may(author, Role::Writer, Prefix::Only(document))
        });
    let cites: Vec<Set> = cites.collect();
    let pasts = pasts(history, document);
    let mut made = Vec::new();
    for &past in &pasts {
        let runs = own_runs(history, author, past);
        for (actor, cited, sequence) in runs {
            made.push(change(author, actor, cited, document, sequence, past, effect));
        }
        for &cited in &cites {
            made.push(change(author, history.changes.len(), cited, document, 1, past, effect));
        }
    }
    made.extend(first_branches(history, author, document, &pasts, effect));
    made
}

fn change(
    author: Key,
    actor: usize,
    cites: Set,
    document: Document,
    sequence: usize,
    past: Set,
    effect: Effect,
) -> Change {
    Change {
        author,
        actor,
        cites,
        document,
        sequence,
        past,
        answers: Set::EMPTY,
        gives_up: Set::EMPTY,
        effect,
        time: 0,
    }
}

/// Every closed set of changes of a document.
fn pasts(history: &History, document: Document) -> Vec<Set> {
    let mut found = BTreeSet::from([Set::EMPTY]);
    for id in history.of_document(document).iter() {
        let grown: Vec<Set> = found
            .iter()
            .filter(|past| history.changes[id].past.is_subset(**past))
            .map(|past| past.with(id))
            .collect();
        found.extend(grown);
    }
    found.into_iter().collect()
}

/// The author's runs that a past contains unbranched, to be continued.
fn own_runs(history: &History, author: Key, past: Set) -> Vec<(usize, Set, usize)> {
    let own = past.intersection(history.of_author(author));
    let last = |&id: &usize| {
        let same = own.iter().filter(|&other| history.changes[other].actor == history.changes[id].actor);
        same.into_iter().all(|other| other == id || history.changes[id].past.contains(other))
    };
    own.iter()
        .filter(last)
        .map(|id| &history.changes[id])
        .map(|tip| (tip.actor, tip.cites, tip.sequence + 1))
        .collect()
}

/// Second first changes of an existing run.
fn first_branches(
    history: &History,
    author: Key,
    document: Document,
    pasts: &[Set],
    effect: Effect,
) -> Vec<Change> {
    let firsts: Vec<&Change> = history
        .changes
        .iter()
        .filter(|first| first.author == author && first.sequence == 1 && first.document == document)
        .collect();
    let mut made = Vec::new();
    for first in firsts {
        let free = |past: &&Set| past.iter().all(|id| history.changes[id].actor != first.actor);
        for &past in pasts.iter().filter(free) {
            made.push(change(author, first.actor, first.cites, document, 1, past, effect));
        }
    }
    made
}

/// A statement by an honest admin who holds `known`; revocations and clearings accept what counts
/// for it. Nothing when it may not issue that.
#[must_use]
pub fn honest_statement(history: &History, known: &Known, issuer: Key, kind: Kind) -> Option<Statement> {
    let charter = Charter::new(history, Rules::INTENDED);
    let clean = clean::judge(&charter, known).clean;
    let kind = match kind {
        Kind::Revoke { of, scope, .. } => {
            Kind::Revoke { of, scope, accepts: known.statements, frontier: clean }
        }
        Kind::Close { invite, .. } => Kind::Close { invite, accepts: known.statements },
        Kind::Succession { to, .. } => Kind::Succession { to, accepts: known.statements, frontier: clean },
        Kind::Clear { of, .. } => Kind::Clear { of, proofs: history.proofs_seen(known), frontier: clean },
        kind => kind,
    };
    authorised(
        history,
        Statement {
            issuer,
            past: known.statements,
            kind,
            time: history.changes.len() + history.statements.len(),
        },
    )
}

/// A statement, unless its issuer had no right to it in its own past.
#[must_use]
pub fn authorised(history: &History, statement: Statement) -> Option<Statement> {
    let mut extended = history.clone();
    let id = extended.add_statement(statement.clone());
    let charter = Charter::new(&extended, Rules::INTENDED);
    let support = charter.support(id);
    let witnessed = support.witness.as_ref().is_none_or(|titles| !titles.is_empty());
    (!support.own.is_empty() && witnessed).then_some(statement)
}
