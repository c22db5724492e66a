//! The sides of a partition: each is a connected set of honest nodes, and goes on agreeing within itself.

use super::run::Run;
use crate::properties::liveness;
use crate::scenario::FaultKind;
use crate::scenario::fault::Shape;
use crate::world::queue::Time;

/// What stands between the nodes at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The bands that are open, by their places in the record.
    open: Vec<usize>,
    /// Since when they are, and nothing else is wrong.
    since: Time,
    /// Writes acknowledged until then were looked at.
    looked_until: Time,
}

impl Run<'_> {
    /// Whether the nodes of one side hold each other's writes, while a cut into sides stands and nothing else is
    /// wrong.
    pub(super) fn sides_agree(&mut self) {
        let now = self.world.now();
        let open: Vec<usize> = (0..self.bands.len()).filter(|band| self.bands[*band].to_us > now).collect();
        let wrong = self.faults.iter().zip(&self.spans).any(|(fault, spans)| {
            !matches!(fault.kind, FaultKind::Partition(_)) && spans.iter().any(|span| span.to_us >= now)
        });
        let harmed = self.sound().into_iter().any(|node| self.is_harmed(node));
        if open != self.standing.open || wrong || harmed || self.sound().len() < self.world.nodes().len() {
            self.standing = Standing { open, since: now, looked_until: 0 };
            return;
        }
        let until = now.saturating_sub(liveness::SIDE_WITHIN);
        let due = until >= self.standing.since && until >= self.standing.looked_until + liveness::SIDE_WITHIN;
        let Some(sides) = self.sides_apart().filter(|_| due) else { return };
        let from = std::mem::replace(&mut self.standing.looked_until, until);
        for side in sides {
            for node in &side {
                self.side_at(*node, &side, from..until);
            }
        }
    }

    /// The sides of the one cut that stands, if each of them hears only itself.
    fn sides_apart(&self) -> Option<Vec<Vec<usize>>> {
        let [band] = self.standing.open.as_slice() else { return None };
        let band = self.bands.get(*band)?;
        let FaultKind::Partition(partition) = &self.faults.get(band.fault as usize)?.kind else {
            return None;
        };
        let apart = matches!(partition.shape, Shape::Halves | Shape::Ways);
        let sides = band.sides.iter().map(|side| side.iter().map(|node| *node as usize).collect());
        apart.then(|| sides.collect())
    }

    /// Whether a node holds what its side wrote, of what was acknowledged in this span.
    fn side_at(&mut self, node: usize, side: &[usize], span: std::ops::Range<Time>) {
        self.count_check(2);
        if self.oracle.ledger.missing(node) == 0 {
            return;
        }
        let Some(holding) = self.oracle.ledger.holdings().get(node) else { return };
        let overdue = self.oracle.ledger.entries().filter(|(key, seq, entry)| {
            entry.acknowledged.is_some_and(|at| span.contains(&at))
                && !entry.excused
                && side.contains(&entry.author)
                && holding.tips.get(*key).is_none_or(|(held, _)| held < seq)
        });
        let overdue = overdue.count() as u64;
        if let Some(found) = liveness::check_side(node, overdue) {
            self.find(found);
        }
    }
}
