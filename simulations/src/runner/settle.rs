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
        let before = self.oracle.goal.filter(|goal| goal.since == since).and_then(|goal| goal.reached);
        let reached = (missing == 0).then(|| before.unwrap_or(self.world.now()));
        self.oracle.goal = Some(Goal { since, missing, reached });
    }

    /// What was thought lost is there again: everyone is to have it.
    pub(super) fn count_anew(&mut self) {
        if std::mem::take(&mut self.oracle.revived)
            && let Some(goal) = self.oracle.goal
        {
            self.set_goal(goal.since);
        }
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
        let mut shown = None;
        honest.all(|node| {
            let Some(holding) = holdings.get(node).filter(|_| self.world.node(node).runs()) else {
                return false;
            };
            *shown.get_or_insert(holding.shown) == holding.shown
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
        self.note_heal();
        self.sweep_all(judge::Occasion::Heal);
        self.maybe_converged();
    }
}
