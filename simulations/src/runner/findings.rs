//! Findings: what does not hold, once for each place, and the fault that may be behind it.

use super::run::Run;
use crate::properties::{self, Finding};
use crate::record::{FaultSpan, Violation};
use crate::world::queue::Time;

/// Violations kept of one run: the first ones tell the cause.
const VIOLATIONS_MAX: usize = 100;

impl Run<'_> {
    /// Notes that a property was checked.
    pub(super) fn count_check(&mut self, property: u32) {
        *self.checks.entry(property).or_default() += 1;
    }

    /// Notes that something does not hold, once for each place.
    pub(super) fn find(&mut self, finding: Finding) {
        let key = (finding.property, finding.node, finding.document.clone());
        if self.findings.len() >= VIOLATIONS_MAX || !self.known.insert(key) {
            return;
        }
        let at = self.world.now();
        self.findings.push(Violation {
            property: Some(finding.property),
            name: properties::name(finding.property).to_owned(),
            at_us: at,
            node: finding.node.map(|node| node as u32),
            document: finding.document,
            fault: finding.node.and_then(|node| self.blame(node, None, at, at)),
            words: finding.words,
        });
    }

    /// The fault that was going on at a node, or between it and another, at some time of a span.
    pub(super) fn blame(&self, node: usize, other: Option<usize>, from: Time, to: Time) -> Option<u32> {
        let overlaps = |since: u64, until: u64| since <= to && until >= from;
        let between = self.bands.iter().find(|band| {
            let apart = other.is_none_or(|other| {
                let side = |node: usize| band.sides.iter().position(|side| side.contains(&(node as u32)));
                band.sides.len() == 1 || side(node) != side(other)
            });
            let touches = band.sides.iter().flatten().any(|one| *one as usize == node)
                || other.is_some_and(|other| band.sides.iter().flatten().any(|one| *one as usize == other));
            apart && touches && overlaps(band.from_us, band.to_us)
        });
        between.map(|band| band.fault).or_else(|| {
            let strikes = |span: &FaultSpan| {
                let struck = |node: usize| span.nodes.contains(&(node as u32));
                (struck(node) || other.is_some_and(struck)) && overlaps(span.from_us, span.to_us)
            };
            self.spans.iter().position(|spans| spans.iter().any(strikes)).map(|fault| fault as u32)
        })
    }
}
