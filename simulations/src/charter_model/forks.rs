//! Equivocation: where an actor's run is cut, and what an admin's word holds in place.
//!
//! The *raw cut* of an actor in a document lies just before its earliest proven fork and only moves
//! down. A change inside the frontier of a standing revocation or clearing is *pinned*: the admin
//! named it by hash, so no fork takes it away, unless another standing frontier names its sibling.

use super::charter::{Charter, Verdict};
use super::records::{ChangeId, Document, Key, Kind, Known, Prefix, StatementId};
use super::rules::Defect;
use super::set::Set;
use std::collections::BTreeMap;

/// Per (actor, document), the first sequence number that is cut.
pub type Cuts = BTreeMap<(usize, Document), usize>;

/// The raw cuts a node knows.
#[must_use]
pub fn raw_cuts(charter: &Charter<'_>, known: &Known) -> Cuts {
    let history = charter.history;
    let mut cuts = Cuts::new();
    for proof in history.proofs_seen(known).iter() {
        let change = &history.changes[history.proofs[proof].one];
        let cut = cuts.entry((change.actor, change.document)).or_insert(change.sequence);
        *cut = if charter.rules.has(Defect::CutAtLatestFork) {
            change.sequence.max(*cut)
        } else {
            change.sequence.min(*cut)
        };
    }
    cuts
}

/// Whether a change lies at or past its actor's raw cut.
#[must_use]
pub fn is_cut(charter: &Charter<'_>, cuts: &Cuts, id: ChangeId) -> bool {
    let change = &charter.history.changes[id];
    cuts.get(&(change.actor, change.document)).is_some_and(|&cut| change.sequence >= cut)
}

/// The changes that standing revocations and clearings hold in place.
#[must_use]
pub fn pinned(charter: &Charter<'_>, verdict: &Verdict) -> Set {
    if charter.rules.has(Defect::ForksCutAccepted) {
        return Set::EMPTY;
    }
    let history = charter.history;
    let revoking =
        verdict.removals.iter().filter(|&id| matches!(history.statements[id].kind, Kind::Revoke { .. }));
    let clearing =
        verdict.links.iter().filter(|&id| matches!(history.statements[id].kind, Kind::Clear { .. }));
    let named = revoking.chain(clearing).fold(Set::EMPTY, |named, id| {
        let own = charter.frontier(id).iter().filter(|&change| pins(charter, id, change));
        named.union(own.collect())
    });
    if charter.rules.has(Defect::BranchesBothAccepted) {
        return named;
    }
    named.iter().filter(|&id| named.iter().all(|other| !history.are_siblings(id, other))).collect()
}

/// Whether a statement's frontier may hold this change in place: the admin speaks for its document.
fn pins(charter: &Charter<'_>, statement: StatementId, change: ChangeId) -> bool {
    let document = Prefix::Only(charter.history.changes[change].document);
    match charter.history.statements[statement].kind {
        Kind::Revoke { scope, .. } => scope.covers(document),
        _ => true,
    }
}

/// Authors with a proof in this document that no standing clearing answers.
#[must_use]
pub fn suspects(charter: &Charter<'_>, known: &Known, verdict: &Verdict, document: Document) -> Set {
    let history = charter.history;
    let answered = |author: Key, proof: usize| {
        verdict.links.iter().any(|id| {
            matches!(history.statements[id].kind, Kind::Clear { of, proofs, .. } if of == author && proofs.contains(proof))
        })
    };
    let open = |&proof: &usize| {
        let change = &history.changes[history.proofs[proof].one];
        change.document == document && !answered(change.author, proof)
    };
    history
        .proofs_seen(known)
        .iter()
        .filter(open)
        .map(|proof| history.changes[history.proofs[proof].one].author)
        .collect()
}
