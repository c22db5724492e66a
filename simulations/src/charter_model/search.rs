//! Every history a family of behaviours can produce, and every set of its records, each once.
//!
//! A record's *code* is a hash of its content, with the codes of what it names: as with real
//! hashes, records made in another order are the same records. A set's code is the sum of its
//! records' codes, the least over the permutations of interchangeable authors. Histories and sets
//! already seen under their code are not looked at again.
//!
//! Arrival orders need no enumeration of their own. For every closed set of records and every
//! record that can be the last to arrive, the step from the smaller set is checked; that every order
//! ends in the same judgement follows by induction over the size of the set. A merge of two nodes'
//! records is a path of such steps from either side.

use super::behaviour::holdings;
use super::charter::Charter;
use super::codes::Codes;
use super::families::Family;
use super::properties::{self, Case};
use super::records::{History, Known, Record};
use super::rules::Rules;
use super::set::Set;
use std::collections::BTreeSet;
use std::fmt;

/// What a search went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Histories produced, up to symmetry.
    pub histories: usize,
    /// Closed sets of records judged, up to symmetry.
    pub sets: usize,
    /// Steps from a set to a set with one record more.
    pub steps: usize,
    /// Pairs of two nodes' holdings from which lost edits were re-issued.
    pub splits: usize,
    /// The most statements in one history.
    pub statements_max: usize,
    /// The most changes in one history.
    pub changes_max: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories, {} record sets, {} arrival steps, {} splits, up to {} statements and {} changes",
            self.histories, self.sets, self.steps, self.splits, self.statements_max, self.changes_max
        )
    }
}

/// A history in which a property does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property's name.
    pub property: &'static str,
    /// What is wrong.
    pub reason: String,
    /// The history.
    pub history: History,
    /// The records held.
    pub known: Known,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.property, self.reason)?;
        writeln!(f, "held: {:?}", self.known)?;
        for (id, statement) in self.history.statements.iter().enumerate() {
            writeln!(f, "  s{id}: {statement:?}")?;
        }
        for (id, change) in self.history.changes.iter().enumerate() {
            writeln!(f, "  c{id}: {change:?}")?;
        }
        for (id, proof) in self.history.proofs.iter().enumerate() {
            writeln!(f, "  p{id}: {proof:?}")?;
        }
        Ok(())
    }
}

/// Searches a family under the given rules until a property fails or nothing is left.
///
/// # Errors
///
/// The first violation found.
pub fn search(family: &Family, rules: Rules) -> Result<Counts, Box<Violation>> {
    let mut search = Search { family, rules, counts: Counts::default(), seen_sets: BTreeSet::new() };
    let mut seen = BTreeSet::new();
    let mut layer = vec![family.start.clone()];
    search.check_sets(&family.start, Known::default())?;
    for _ in 0..family.depth {
        let mut next = Vec::new();
        for history in &layer {
            for (extended, newest) in family.extend(history) {
                let codes = Codes::of(&extended, &family.permutations);
                if seen.insert(codes.of_set(&extended.all())) {
                    search.check_sets(&extended, needs(&extended, newest))?;
                    // A proof may travel ahead of the changes that made it possible.
                    for proof in history.proofs.len()..extended.proofs.len() {
                        search.check_sets(&extended, needs(&extended, Record::Proof(proof)))?;
                    }
                    search.check_history(&extended)?;
                    next.push(extended);
                }
            }
        }
        layer = next;
    }
    Ok(search.counts)
}

struct Search<'f> {
    family: &'f Family,
    rules: Rules,
    counts: Counts,
    seen_sets: BTreeSet<u128>,
}

impl Search<'_> {
    fn check_history(&mut self, history: &History) -> Result<(), Box<Violation>> {
        self.counts.histories += 1;
        self.counts.statements_max = self.counts.statements_max.max(history.statements.len());
        self.counts.changes_max = self.counts.changes_max.max(history.changes.len());
        let checked = properties::check_history(self.family, history, self.rules);
        let splits =
            checked.map_err(|(property, reason)| self.violation(property, reason, history, history.all()))?;
        self.counts.splits += splits;
        Ok(())
    }

    /// Checks every closed set above `floor` that no earlier history contained.
    fn check_sets(&mut self, history: &History, floor: Known) -> Result<(), Box<Violation>> {
        let codes = Codes::of(history, &self.family.permutations);
        let charter = Charter::new(history, self.rules);
        for known in holdings(history, floor) {
            if !self.seen_sets.insert(codes.of_set(&known)) {
                continue;
            }
            self.counts.sets += 1;
            let case = Case { charter: &charter, known, honest: self.family.honest };
            let steps = properties::check_set(&case)
                .map_err(|(property, reason)| self.violation(property, reason, history, known))?;
            self.counts.steps += steps;
        }
        Ok(())
    }

    fn violation(
        &self,
        property: &'static str,
        reason: String,
        history: &History,
        known: Known,
    ) -> Box<Violation> {
        let reason = format!("{reason} (family {})", self.family.name);
        Box::new(Violation { property, reason, history: history.clone(), known })
    }
}

fn needs(history: &History, newest: Record) -> Known {
    match newest {
        Record::Statement(id) => {
            Known { statements: history.statements[id].past.with(id), ..Known::default() }
        }
        Record::Change(id) => history.needs(Set::one(id)),
        Record::Proof(id) => Known { proofs: Set::one(id), ..Known::default() },
    }
}
