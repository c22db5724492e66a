//! What an honest author does when a fork takes its own edits away.
//!
//! Only what left G is re-issued: that is the one loss no later record undoes. Work that merely
//! does not stand may come back, and is endorsed by a change on top (`readmit`) or left alone. A
//! re-issue names what it replaces (its author gives it up for good) and the proofs it answers, and
//! builds on nothing a suspect could still take away.

use super::charter::Charter;
use super::clean::{self, Judgement};
use super::forks;
use super::records::{Change, ChangeId, Document, Effect, Key, Known, Prefix, Role};
use super::rules::Defect;
use super::set::Set;

/// The one change by which `author`, holding `known`, carries its lost edits in `document` over,
/// or nothing when nothing is lost or the author may not write.
#[must_use]
pub fn reissue(charter: &Charter<'_>, known: &Known, author: Key, document: Document) -> Option<Change> {
    let history = charter.history;
    let verdict = charter.evaluate(known.statements);
    if !verdict.may(author, Role::Writer, Prefix::Only(document)) {
        return None;
    }
    let judgement = clean::judge(charter, known);
    let keys = verdict
        .titles_of(author, Role::Writer, Prefix::Only(document))
        .fold(Set::EMPTY, |keys, title| keys.union(title.keys()));
    let keys = if charter.rules.has(Defect::ReissueByOneKeyOnly) { Set::one(author) } else { keys };
    let by_own = keys.iter().fold(Set::EMPTY, |own, key| own.union(history.of_author(key)));
    let own = by_own.intersection(history.of_document(document)).intersection(known.changes);
    let replaced = own.iter().fold(Set::EMPTY, |all, id| all.union(history.changes[id].gives_up));
    let lost = own.minus(kept(charter, &judgement)).minus(replaced);
    let suspects = forks::suspects(charter, known, &verdict, document);
    let effect = carried_effect(charter, known, keys, lost, suspects);
    if effect == Effect::default() {
        return None;
    }
    let safe = safe_base(charter, judgement.clean, document, suspects);
    let base = seen_base(charter, safe, lost);
    Some(Change {
        author,
        actor: history.changes.len(),
        cites: known.statements,
        document,
        sequence: 1,
        past: base,
        answers: history.proofs_seen(known),
        gives_up: replaced.union(lost),
        effect,
        time: 0,
    })
}

fn kept(charter: &Charter<'_>, judgement: &Judgement) -> Set {
    if charter.rules.has(Defect::ReissueNotStanding) { judgement.clean } else { judgement.admissible }
}

/// What of the lost changes was still visible to their author.
fn carried_effect(charter: &Charter<'_>, known: &Known, own: Set, lost: Set, suspects: Set) -> Effect {
    let changes = &charter.history.changes;
    let increments = lost.iter().fold(Set::EMPTY, |sum, id| sum.union(changes[id].effect.increments));
    let heeds = |id: &ChangeId| {
        let by = changes[*id].author;
        own.contains(by) || charter.rules.has(Defect::EquivocatorsOverwrite) || !suspects.contains(by)
    };
    let later = |id: ChangeId| {
        known.changes.iter().filter(heeds).filter(move |&other| changes[other].past.contains(id))
    };
    let visible = |id: &ChangeId| later(*id).all(|other| changes[other].effect.put.is_none());
    let put = lost.iter().filter(visible).filter_map(|id| changes[id].effect.put).max();
    let last_word =
        |id: &ChangeId| changes[*id].effect.deletes && later(*id).all(|other| changes[other].effect.deletes);
    Effect { increments, put, deletes: lost.iter().any(|id| last_word(&id)) }
}

/// The clean changes of a document that depend on no change by a suspect, accepted by
/// an admin or not: an author who did not know of that word may have given up what it built there.
fn safe_base(charter: &Charter<'_>, clean: Set, document: Document, suspects: Set) -> Set {
    let history = charter.history;
    let clean = clean.intersection(history.of_document(document));
    if charter.rules.has(Defect::ReissueOnWholeView) {
        return clean;
    }
    let risky: Set = clean.iter().filter(|&id| suspects.contains(history.changes[id].author)).collect();
    let safe = |&id: &ChangeId| history.changes[id].past.with(id).intersection(risky).is_empty();
    clean.iter().filter(safe).collect()
}

/// The part of a base that the lost changes had seen, or the re-issues of what they had seen: what
/// was concurrent to them stays so, and shows as a conflict instead of being overwritten.
fn seen_base(charter: &Charter<'_>, safe: Set, lost: Set) -> Set {
    let changes = &charter.history.changes;
    if charter.rules.has(Defect::ReissueOverwritesUnseen) {
        return safe;
    }
    let seen = clean::closure(charter, lost);
    let stands_for_seen = |id: ChangeId| {
        let originals = changes[id].gives_up.iter().filter(|&original| changes[original].gives_up.is_empty());
        let originals: Set = originals.collect();
        !originals.is_empty() && originals.is_subset(seen)
    };
    let step = |base: Set, id: ChangeId| {
        let wanted = seen.contains(id) || stands_for_seen(id);
        if wanted && changes[id].past.is_subset(base) { base.with(id) } else { base }
    };
    safe.iter().fold(Set::EMPTY, step)
}
