//! Writes: asked of nodes as clients do, and their answers held against what was promised.

use starling_crdt::replica::{Refusal, Reply};

use super::run::{AskedWrite, Run};
use super::workload::{PlannedEdit, PlannedWrite};
use crate::properties;
use crate::world::founding::document_name;
use crate::world::queue::{SECOND, Time};

/// With one write of so many the document is read before, as a client does that wants to see what it changes.
const READ_EVERY: u64 = 16;
/// How long after its disk was broken a node is not read: the next commit makes it whole.
const CALM_AFTER: Time = 10 * SECOND;

impl Run<'_> {
    /// Whether nothing was wrong with a node's disk for a while.
    fn is_calm(&self, node: usize) -> bool {
        let until = self.harmed_until.get(&node);
        until.is_none_or(|until| until + CALM_AFTER < self.world.now())
    }

    pub(super) fn write(&mut self, planned: usize) {
        let write = self.writes[planned].clone();
        let node = write.node;
        if !self.is_honest(node) {
            return;
        }
        self.counts.asked += 1;
        let harmed = self.is_harmed(node);
        if !harmed && write.number.is_multiple_of(READ_EVERY) && self.is_calm(node) {
            self.read_locally(node, write.document);
        }
        let request = write.request(self.founding.space, self.scenario.workload.value.0);
        if let PlannedEdit::Counter(by) = write.what
            && !write.repeats
        {
            self.increments.entry(write.document).or_default().1 += by;
        }
        match self.world.submit(node, request) {
            Some(ticket) => {
                let starts = self.world.node(node).starts;
                let at = self.world.now();
                let asked = AskedWrite { planned, node, at, starts, answered: false, fair: !harmed };
                self.asked.insert(ticket, asked);
            }
            None => self.counts.unanswered += 1,
        }
    }

    pub(super) fn replied(&mut self, at: Time, node: usize, ticket: u64, reply: Result<Reply, Refusal>) {
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        asked.answered = true;
        let (asked_at, planned, fair) = (asked.at, asked.planned, asked.fair);
        let took = at - asked_at;
        let harmed =
            self.is_harmed(node) || self.harmed_until.get(&node).is_some_and(|until| *until >= asked_at);
        let write = self.writes[planned].clone();
        self.count_check(13);
        // What was harmed while it was at it counts for nothing.
        let fair = fair && !harmed;
        self.fair.0 += u64::from(fair);
        let refused = match reply {
            Ok(Reply::Written(written)) => {
                self.counts.acknowledged += 1;
                self.fair.1 += u64::from(fair);
                let heads: Vec<[u8; 32]> = written.heads.iter().map(|head| head.0).collect();
                self.acknowledged(at, node, &write, heads, written.changed);
                None
            }
            Ok(_) => return,
            Err(refusal) => {
                self.counts.refused += 1;
                Some(refusal.to_string())
            }
        };
        let fared = properties::availability::Fared { node, took, refused, harmed };
        if let Some(found) = properties::availability::check(&fared) {
            self.find(found);
        }
    }

    fn acknowledged(
        &mut self,
        at: Time,
        node: usize,
        write: &PlannedWrite,
        heads: Vec<[u8; 32]>,
        changed: bool,
    ) {
        let name = document_name(write.document);
        let first = self.replies.get(&write.number).cloned();
        if let Some(first) = first {
            self.count_check(9);
            // A disk that was destroyed or set back forgets what it was asked as well.
            if !self.destroyed_ever(node)
                && let Some(found) =
                    properties::idempotence::check_replies(node, name.as_str(), &first, &heads)
            {
                self.find(found);
            }
            return;
        }
        self.replies.insert(write.number, heads.clone());
        if let PlannedEdit::Counter(by) = write.what {
            let sums = self.increments.entry(write.document).or_default();
            sums.0 += by;
            sums.1 -= by;
        }
        if !changed {
            return;
        }
        self.note_written(node, write, &heads);
        let mut is_held = !heads.is_empty();
        for head in &heads {
            self.oracle.ledger.acknowledge(name.as_str(), head, at);
            is_held &= self.oracle.ledger.holds(node, name.as_str(), head);
        }
        if let Some(found) = properties::sessions::own_write(node, name.as_str(), is_held) {
            self.find(found);
        }
    }

    pub(super) fn destroyed_ever(&self, node: usize) -> bool {
        use crate::scenario::FaultKind;
        self.faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::Wipe | FaultKind::Restore { .. } | FaultKind::BitRot { .. })
                && fault.occurrences.iter().any(|occurrence| occurrence.nodes.contains(&node))
        })
    }
}
