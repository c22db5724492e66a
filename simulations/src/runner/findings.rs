//! Findings: what does not hold, once for each place, and the fault that may be behind it.

use super::faults::added;
use super::run::Run;
use crate::properties::{self, Finding};
use crate::record::{FaultSpan, Violation};
use crate::scenario::FaultKind;
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
        let fault = self.culprit(&finding, at);
        let culprits = self.culprits(&finding, fault);
        let mut words = finding.words;
        for (place, node) in [("{other}", finding.other), ("{sender}", finding.sent_by)] {
            if let Some(node) = node {
                words = words.replace(place, &self.world.node(node).name);
            }
        }
        self.findings.push(Violation {
            property: Some(finding.property),
            name: properties::name(finding.property).to_owned(),
            at_us: at,
            node: finding.node.map(|node| node as u32),
            document: finding.document,
            fault,
            words,
            culprits,
        });
    }

    /// The nodes whose doing it is, where that can be told: whoever went wrong, and who was hostile.
    fn culprits(&self, finding: &Finding, fault: Option<u32>) -> Vec<u32> {
        let places = match finding.property {
            // What a node does wrong that nothing struck is its own doing.
            3 | 4 | 8 | 10 | 16 if fault.is_none() => vec![finding.node],
            // Whoever forked, wherever it was noticed.
            7 => vec![finding.other],
            5 => vec![finding.node, finding.sent_by],
            12 => self.oracle.hostile.iter().copied().map(Some).collect(),
            _ => Vec::new(),
        };
        places.into_iter().flatten().map(|node| node as u32).collect()
    }

    /// The fault that explains a finding best, if one could.
    fn culprit(&self, finding: &Finding, at: Time) -> Option<u32> {
        let node = finding.node?;
        let from = finding.since.unwrap_or(at);
        match finding.property {
            // What a node loses or does wrong by itself is explained by what struck it, never by a line.
            3 | 7 | 8 | 10 | 16 => self.strike_at(finding.other.unwrap_or(node), from, at),
            // Whatever strangers make a node show or suffer, somebody hostile sent.
            5 | 12 => self.hostility(finding.sent_by, at),
            _ => self.blame(node, finding.other, from, at),
        }
    }

    /// The last fault of a process, a disk or a clock that struck a node within a span.
    fn strike_at(&self, node: usize, from: Time, to: Time) -> Option<u32> {
        let strikes = self.spans.iter().enumerate().filter(|(fault, _)| {
            let kind = &self.faults[*fault].kind;
            !matches!(kind, FaultKind::Partition(_) | FaultKind::Hostile { .. }) && added(kind).is_none()
        });
        let within = |span: &&FaultSpan| {
            span.nodes.contains(&(node as u32)) && span.from_us <= to && span.to_us >= from
        };
        let struck = strikes.flat_map(|(fault, spans)| {
            spans.iter().filter(within).map(move |span| (span.from_us, fault as u32))
        });
        struck.max().map(|(_, fault)| fault)
    }

    /// The last fault that made this node, or somebody, hostile until then.
    fn hostility(&self, whom: Option<usize>, until: Time) -> Option<u32> {
        let is_meant = |span: &&FaultSpan| whom.is_none_or(|whom| span.nodes.contains(&(whom as u32)));
        let hostile = self
            .faults
            .iter()
            .zip(&self.spans)
            .enumerate()
            .filter(|(_, (fault, _))| matches!(fault.kind, FaultKind::Hostile { .. }));
        let begun = hostile.flat_map(|(number, (_, spans))| {
            let begun = spans.iter().filter(is_meant).filter(|span| span.from_us <= until);
            begun.map(move |span| (span.from_us, number as u32))
        });
        begun.max().map(|(_, fault)| fault)
    }

    /// The fault that was going on at a node, or between it and another, at some time of a span.
    pub(super) fn blame(&self, node: usize, other: Option<usize>, from: Time, to: Time) -> Option<u32> {
        let overlaps = |since: u64, until: u64| since <= to && until >= from;
        let between = self.bands.iter().filter(|band| overlaps(band.from_us, band.to_us)).find(|band| {
            let apart = other.is_none_or(|other| {
                let side = |node: usize| band.sides.iter().position(|side| side.contains(&(node as u32)));
                band.sides.len() == 1 || side(node) != side(other)
            });
            let touches = band.sides.iter().flatten().any(|one| *one as usize == node)
                || other.is_some_and(|other| band.sides.iter().flatten().any(|one| *one as usize == other));
            apart && touches
        });
        between.map(|band| band.fault).or_else(|| {
            let keeps_away = |fault: usize| {
                // What comes twice, or later than what was sent after it, comes all the same.
                !matches!(self.faults[fault].kind, FaultKind::Duplicate { .. } | FaultKind::Reorder { .. })
            };
            let strikes = |span: &FaultSpan| {
                let struck = |node: usize| span.nodes.contains(&(node as u32));
                (struck(node) || other.is_some_and(struck)) && overlaps(span.from_us, span.to_us)
            };
            // A cut that does not stand between them is the last to be thought of.
            let is_cut = |fault: &usize| matches!(self.faults[*fault].kind, FaultKind::Partition(_));
            let mut struck: Vec<usize> = (0..self.faults.len())
                .filter(|fault| keeps_away(*fault) && self.spans[*fault].iter().any(strikes))
                .collect();
            struck.sort_by_key(is_cut);
            struck.first().map(|fault| *fault as u32)
        })
    }
}
