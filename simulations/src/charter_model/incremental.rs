//! The same judgement kept up to date record by record, as a node does it.
//!
//! A new change is looked at once; its endorsement walks back over what it depends on. A statement,
//! a proof or a re-issue leads to a new judgement only when it changes what reaches older changes:
//! a standing removal, a link, a clearing, a cut, something given up.

use super::charter::Charter;
use super::clean::{self, Judgement};
use super::forks;
use super::records::{ChangeId, Kind, Known, Prefix, Record, Role, StatementId};
use super::rules::Defect;

/// One node's judgement of what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incremental {
    /// What it holds.
    pub known: Known,
    /// What that amounts to.
    pub judgement: Judgement,
    /// How often it had to judge everything again.
    pub rebuilds: usize,
}

impl Incremental {
    /// The judgement of a node that holds `known`, from scratch.
    #[must_use]
    pub fn at(charter: &Charter<'_>, known: Known) -> Self {
        Self { known, judgement: clean::judge(charter, &known), rebuilds: 0 }
    }

    /// Takes in one record that is ready.
    pub fn take(&mut self, charter: &Charter<'_>, record: Record) {
        let before = self.known;
        self.known = self.known.with(record);
        if charter.rules.has(Defect::JudgeOnReceipt) {
            return self.judge_on_receipt(charter, record);
        }
        match record {
            Record::Statement(id) if reaches_back(charter, &before, id) => self.rebuild(charter),
            Record::Change(id) if self.disturbs(charter, &before, id) => self.rebuild(charter),
            Record::Change(id) => self.add_change(charter, id),
            Record::Proof(_)
                if forks::raw_cuts(charter, &before) != forks::raw_cuts(charter, &self.known) =>
            {
                self.rebuild(charter);
            }
            Record::Statement(_) | Record::Proof(_) => {}
        }
    }

    fn rebuild(&mut self, charter: &Charter<'_>) {
        self.rebuilds += 1;
        self.judgement = clean::judge(charter, &self.known);
    }

    /// Whether a change's arrival can alter the judgement of another.
    fn disturbs(&self, charter: &Charter<'_>, before: &Known, id: ChangeId) -> bool {
        let history = charter.history;
        let gives_up = !history.changes[id].gives_up.is_empty();
        let given_up = before.changes.iter().any(|other| history.changes[other].gives_up.contains(id));
        let unlike = charter.rules.has(Defect::EndorsementIgnored);
        unlike || gives_up || given_up || history.proofs_seen(before) != history.proofs_seen(&self.known)
    }

    fn add_change(&mut self, charter: &Charter<'_>, id: ChangeId) {
        let verdict = charter.evaluate(self.known.statements);
        let cut = forks::is_cut(charter, &forks::raw_cuts(charter, &self.known), id)
            && !forks::pinned(charter, &verdict).contains(id);
        let past = charter.history.changes[id].past;
        if cut || !clean::has_right(charter, &verdict, id) || !past.is_subset(self.judgement.admissible) {
            return;
        }
        self.judgement.admissible = self.judgement.admissible.with(id);
        if clean::stands(charter, &verdict, id) {
            self.judgement.standing = self.judgement.standing.with(id);
            self.judgement.clean = self.judgement.clean.union(past).with(id);
        }
    }

    fn judge_on_receipt(&mut self, charter: &Charter<'_>, record: Record) {
        let Record::Change(id) = record else { return };
        let change = &charter.history.changes[id];
        let now = charter.evaluate(self.known.statements);
        let may = now.may(change.author, Role::Writer, Prefix::Only(change.document));
        if may && change.past.is_subset(self.judgement.clean) {
            self.judgement.admissible = self.judgement.admissible.with(id);
            self.judgement.standing = self.judgement.standing.with(id);
            self.judgement.clean = self.judgement.clean.with(id);
        }
    }
}

/// Whether a statement changes how older changes are judged.
fn reaches_back(charter: &Charter<'_>, before: &Known, id: StatementId) -> bool {
    if charter.rules.has(Defect::NeverShrink) {
        return false;
    }
    let old = charter.evaluate(before.statements);
    let new = charter.evaluate(before.statements.with(id));
    let clears = matches!(charter.history.statements[id].kind, Kind::Clear { .. });
    let older_links = new.links.without(id);
    let moved = old.level.iter().any(|(statement, level)| new.level.get(statement) != Some(level));
    clears || moved || new.removals != old.removals || older_links != old.links
}
