//! Settling: from when everything is healed, and what everyone is to have caught up with.

use super::judge;
use super::run::Run;
use crate::oracle::Goal;
use crate::world::queue::Time;

impl Run<'_> {
    /// From now on everyone is to catch up with what is acknowledged by now.
    pub(super) fn set_goal(&mut self, since: Time) {
        let nodes = (0..self.world.nodes().len()).filter(|node| self.is_honest(*node));
        let missing = nodes.map(|node| self.unexcused_before(node, since)).sum();
        let reached = (missing == 0).then(|| self.world.now());
        self.oracle.goal = Some(Goal { since, missing, reached });
    }

    pub(super) fn maybe_converged(&mut self) {
        if self.healed.is_none() {
            return;
        }
        if self.is_converged() {
            self.converged = self.converged.or(Some(self.world.now()));
        } else {
            self.converged = None;
        }
    }

    /// Whether all honest nodes run, show the same and miss nothing.
    pub(super) fn is_converged(&self) -> bool {
        let holdings = self.oracle.ledger.holdings();
        let mut honest = (0..self.world.nodes().len()).filter(|node| self.is_honest(*node));
        let Some(first) = honest.next().and_then(|node| holdings.get(node)) else { return true };
        self.world.node(0).runs()
            && honest.all(|node| {
                self.world.node(node).runs()
                    && holdings.get(node).is_some_and(|holding| holding.shown == first.shown)
            })
    }

    pub(super) fn heal(&mut self) {
        self.heal_faults();
        let harm = self.faults.iter().any(|fault| {
            fault.occurrences.iter().any(|occurrence| occurrence.when.to.0 >= self.scenario.duration.0)
        });
        self.healed = Some(self.world.now());
        if harm || self.oracle.goal.is_none() {
            self.set_goal(self.world.now());
        }
        self.sweep_all(judge::Occasion::Heal);
        self.maybe_converged();
    }
}
