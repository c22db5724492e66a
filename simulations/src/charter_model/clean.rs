//! Which changes count: a pure function of the records a node holds.
//!
//! *Right* is fixed by what the incarnation cites and never changes. *G* is what has the right, lies
//! before every cut or is pinned, was not given up, and depends on G only. A change of G *stands*
//! if one of its author's titles carries it past every standing removal. *Clean* is the causal
//! closure of the standing changes within G.

use super::charter::{Charter, Support, Title, Verdict};
use super::forks;
use super::records::{ChangeId, Kind, Known, StatementId};
use super::rules::Defect;
use super::set::Set;

/// What a set of records amounts to for documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Changes that have the right and that no fork reaches.
    pub admissible: Set,
    /// Changes of G that need nobody's endorsement.
    pub standing: Set,
    /// Changes that count.
    pub clean: Set,
}

/// Judges every change a node holds.
#[must_use]
pub fn judge(charter: &Charter<'_>, known: &Known) -> Judgement {
    let verdict = charter.evaluate(known.statements);
    let admissible = admissible(charter, known, &verdict);
    let standing: Set = admissible.iter().filter(|&id| stands(charter, &verdict, id)).collect();
    let clean = if charter.rules.has(Defect::EndorsementIgnored) {
        grow(charter, known, |id| standing.contains(id))
    } else {
        closure(charter, standing)
    };
    Judgement { admissible, standing, clean }
}

/// The changes of a set and everything they depend on.
#[must_use]
pub fn closure(charter: &Charter<'_>, changes: Set) -> Set {
    changes.iter().fold(changes, |all, id| all.union(charter.history.changes[id].past))
}

/// G.
#[must_use]
pub fn admissible(charter: &Charter<'_>, known: &Known, verdict: &Verdict) -> Set {
    let cuts = forks::raw_cuts(charter, known);
    let pinned = forks::pinned(charter, verdict);
    let raw =
        grow(charter, known, |id| has_right(charter, verdict, id) && !forks::is_cut(charter, &cuts, id));
    let given_up = given_up(charter, known).minus(raw);
    grow(charter, known, |id| {
        let survives = !forks::is_cut(charter, &cuts, id) || pinned.contains(id);
        has_right(charter, verdict, id) && survives && !given_up.contains(id)
    })
}

/// The changes that pass a test and depend only on such changes.
fn grow(charter: &Charter<'_>, known: &Known, passes: impl Fn(ChangeId) -> bool) -> Set {
    let step = |grown: Set, id: ChangeId| {
        let complete = charter.history.changes[id].past.is_subset(grown);
        if complete && passes(id) { grown.with(id) } else { grown }
    };
    known.changes.iter().fold(Set::EMPTY, step)
}

/// Changes their author, or a key it handed its rights to, has replaced by one it had the right to
/// make.
fn given_up(charter: &Charter<'_>, known: &Known) -> Set {
    if charter.rules.has(Defect::ReissueKeepsOriginal) {
        return Set::EMPTY;
    }
    let changes = &charter.history.changes;
    known.changes.iter().fold(Set::EMPTY, |all, id| {
        if changes[id].gives_up.is_empty() {
            return all;
        }
        let own = charter.rights(id).iter().fold(Set::EMPTY, |keys, title| keys.union(title.keys()));
        all.union(changes[id].gives_up.iter().filter(|&other| own.contains(changes[other].author)).collect())
    })
}

/// Whether a change was made under a right; later records never alter it.
#[must_use]
pub fn has_right(charter: &Charter<'_>, verdict: &Verdict, id: ChangeId) -> bool {
    let titles = charter.rights(id);
    if charter.rules.has(Defect::VoidGrantsBarHistory) {
        return titles.iter().any(|title| title.links().all(|link| verdict.links.contains(link)));
    }
    !titles.is_empty()
}

/// Whether a change needs nobody's endorsement.
#[must_use]
pub fn stands(charter: &Charter<'_>, verdict: &Verdict, id: ChangeId) -> bool {
    let judging = Judging { charter, verdict, change: id };
    if charter.rules.has(Defect::EndorsersNeverRemoved) {
        let author = charter.history.changes[id].author;
        return !verdict.removals.iter().any(|removal| {
            matches!(charter.history.statements[removal].kind, Kind::Revoke { of, .. } if of == author)
        });
    }
    let cites = charter.history.changes[id].cites;
    charter.rights(id).iter().any(|title| judging.carries(title, &|removal| cites.contains(removal)))
}

struct Judging<'c, 'h> {
    charter: &'c Charter<'h>,
    verdict: &'c Verdict,
    change: ChangeId,
}

impl Judging<'_, '_> {
    /// Whether a title carries the change past every standing removal, where `excused` says which
    /// removals the act that used the title knew or was accepted by.
    fn carries(&self, title: &Title, excused: &dyn Fn(StatementId) -> bool) -> bool {
        let reached = self.verdict.removals.iter().all(|removal| {
            let at = self.verdict.level.get(&removal).copied().unwrap_or_default();
            let acting = self.charter.acting(title, &self.verdict.level);
            excused(removal)
                || self.accepts_change(removal)
                || !self.charter.can_end(removal, at, title, acting)
        });
        reached && title.links().all(|link| self.is_carried(link))
    }

    /// Whether a link stands, or whoever voided it accepts the change all the same.
    fn is_carried(&self, link: StatementId) -> bool {
        let rules = self.charter.rules;
        if self.verdict.links.contains(link) || rules.has(Defect::VoidGrantsKeepWriting) {
            return true;
        }
        if rules.has(Defect::VoidGrantsEmptyFrontier) || rules.has(Defect::OverrunJoinsVoid) {
            return false;
        }
        let statement = &self.charter.history.statements[link];
        let excused = |removal: StatementId| {
            statement.past.contains(removal) || self.charter.accepts(removal).contains(link)
        };
        let Support { own, witness } = &*self.charter.support(link);
        let carried = |titles: &[Title]| titles.iter().any(|title| self.carries(title, &excused));
        let open = |invite: StatementId| {
            self.is_carried(invite)
                && self.verdict.removals.iter().all(|removal| {
                    let at = self.verdict.level.get(&removal).copied().unwrap_or_default();
                    excused(removal) || !self.charter.closes(removal, at, invite, &self.verdict.level)
                })
        };
        carried(own)
            && witness.as_deref().is_none_or(carried)
            && !matches!(statement.kind, Kind::Join { invite, .. } if !open(invite))
    }

    fn accepts_change(&self, removal: StatementId) -> bool {
        let statement = &self.charter.history.statements[removal];
        let claims_later = self.charter.rules.has(Defect::JudgeByClock)
            && self.charter.history.changes[self.change].time < statement.time;
        claims_later || self.charter.frontier(removal).contains(self.change)
    }
}
