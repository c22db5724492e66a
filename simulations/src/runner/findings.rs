//! Findings: what does not hold, once for each place, and the fault that may be behind it.

use super::faults::added;
use super::run::Run;
use crate::properties::{self, Finding};
use crate::record::{Band, FaultSpan, Violation};
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
        cut_between(&self.bands, (node, other), (from, to)).or_else(|| {
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

/// The cut that kept a node from another, or from anybody, for most of a span; of two that did as long the earlier.
fn cut_between(bands: &[Band], nodes: (usize, Option<usize>), (from, to): (Time, Time)) -> Option<u32> {
    let mut stood: Vec<(u32, Time)> = Vec::new();
    for band in bands.iter().filter(|band| band.from_us <= to && band.to_us >= from && parts(band, nodes)) {
        let covered = band.to_us.min(to) - band.from_us.max(from);
        match stood.iter_mut().find(|(fault, _)| *fault == band.fault) {
            Some((_, all)) => *all += covered,
            None => stood.push((band.fault, covered)),
        }
    }
    let longest = stood.iter().map(|(_, covered)| *covered).max()?;
    stood.into_iter().find(|(_, covered)| *covered == longest).map(|(fault, _)| fault)
}

/// Whether a cut has one of two nodes in a side, and the other not in that side.
fn parts(band: &Band, (node, other): (usize, Option<usize>)) -> bool {
    let side = |node: usize| band.sides.iter().position(|side| side.contains(&(node as u32)));
    let apart = other.is_none_or(|other| band.sides.len() == 1 || side(node) != side(other));
    apart && (side(node).is_some() || other.is_some_and(|other| side(other).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(fault: u32, from_us: Time, to_us: Time, sides: &[&[u32]]) -> Band {
        let sides = sides.iter().map(|side| side.to_vec()).collect();
        Band { fault, from_us, to_us, sides, words: String::new() }
    }

    #[test]
    fn of_overlapping_cuts_the_one_that_covers_most_of_a_wait_is_blamed() {
        let (halves, islands): (&[&[u32]], &[&[u32]]) = (&[&[0, 1], &[2, 3]], &[&[0], &[1], &[2, 3]]);
        let bands = [band(4, 0, 30, halves), band(7, 20, 100, islands)];
        let blamed = |nodes, span| cut_between(&bands, nodes, span);
        assert_eq!(blamed((0, Some(2)), (10, 90)), Some(7), "20 of the wait, and 70");
        assert_eq!(blamed((0, Some(2)), (0, 40)), Some(4), "30 of the wait, and 20");
        assert_eq!(blamed((0, Some(2)), (10, 40)), Some(4), "as much of it: the earlier");
        assert_eq!(blamed((0, Some(2)), (25, 25)), Some(4), "a moment in both");
        assert_eq!(blamed((0, Some(1)), (0, 30)), Some(7), "the longer one leaves them together");
        assert_eq!(blamed((2, Some(3)), (0, 100)), None, "neither stands between them");
        assert_eq!(blamed((0, Some(2)), (101, 200)), None, "both are over");
        assert_eq!(blamed((2, None), (10, 90)), Some(7), "from anybody");
    }

    #[test]
    fn a_cut_that_comes_and_goes_counts_as_long_as_it_stood_in_all() {
        let sides: &[&[u32]] = &[&[0], &[1]];
        let flaps = [0, 20, 40, 60].map(|from| band(1, from, from + 10, sides));
        let bands = [&flaps[..], &[band(2, 5, 35, sides)], &[band(3, 70, u64::MAX, &[&[2]])]].concat();
        assert_eq!(cut_between(&bands, (0, Some(1)), (0, 70)), Some(1));
        assert_eq!(cut_between(&bands, (0, Some(1)), (0, 35)), Some(2));
        assert_eq!(
            cut_between(&bands, (0, Some(2)), (50, 100)),
            Some(3),
            "one alone on its side, to the end"
        );
    }
}
