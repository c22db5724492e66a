//! What nodes were without: counted whole for each node and fault, and one by one as far as there is room.

use std::cmp::Reverse;

use super::run::Run;
use crate::record::{MISSED_MAX, Missed, Waited};

/// What was missed, in numbers and one by one.
pub(super) struct Told {
    pub(super) missed: Vec<Missed>,
    pub(super) total: u64,
    pub(super) waits: Vec<Waited>,
}

impl Run<'_> {
    /// Looks at what a node's store holds now, or holds of one document.
    pub(super) fn look_into(&mut self, node: usize, document: Option<&str>) {
        let wrong = self.oracle.look(&self.world, node, document);
        self.wrongs(node, wrong);
        self.count_waits();
    }

    /// Counts long waits that ended, by node and fault.
    fn count_waits(&mut self) {
        for wait in self.oracle.fresh_waits() {
            let born = wait.at.saturating_sub(wait.took);
            let fault = self.blame(wait.node, Some(wait.author), born, wait.at);
            let waited = self.waited_at(wait.node, fault);
            waited.late += 1;
            if wait.took > waited.longest_us {
                (waited.longest_us, waited.since_us) = (wait.took, born);
            }
        }
    }

    fn waited_at(&mut self, node: usize, fault: Option<u32>) -> &mut Waited {
        let empty = Waited { node: node as u32, fault, ..Waited::default() };
        self.waited.entry((node, fault)).or_insert(empty)
    }

    /// What nodes never got, and what they waited for longest.
    pub(super) fn missed(&mut self) -> Told {
        let mut missed = self.never_came();
        for one in &missed {
            self.waited_at(one.node as usize, one.fault).never += 1;
        }
        let late = self.oracle.waits.iter().filter_map(|wait| {
            let entry = self.oracle.ledger.run(&wait.key)?.get(wait.seq as usize - 1)?;
            Some(Missed {
                node: wait.node as u32,
                author: entry.author as u32,
                document: wait.key.0.clone(),
                write: entry.number,
                since_us: entry.born,
                until_us: Some(wait.at),
                fault: self.blame(wait.node, Some(entry.author), entry.born, wait.at),
                received: self.received(wait.node, &wait.key, wait.seq),
            })
        });
        missed.extend(late);
        missed.sort_by_key(|missed| {
            let waited = missed.until_us.unwrap_or(u64::MAX).saturating_sub(missed.since_us);
            (missed.until_us.is_some(), Reverse(waited), missed.node, missed.write)
        });
        missed.truncate(MISSED_MAX);
        let mut waits: Vec<Waited> = self.waited.values().copied().collect();
        waits.sort_by_key(|waited| (Reverse((waited.never, waited.longest_us)), waited.node, waited.fault));
        let total = waits.iter().map(|waited| waited.late + waited.never).sum();
        Told { missed, total, waits }
    }

    /// Acknowledged writes that honest nodes do not hold at the end.
    fn never_came(&self) -> Vec<Missed> {
        let mut all = Vec::new();
        let holdings = self.oracle.ledger.holdings();
        let now = self.world.now();
        for (key, seq, entry) in self.oracle.ledger.entries() {
            let Some(since_us) = entry.acknowledged.filter(|_| !entry.excused) else { continue };
            for (node, holding) in holdings.iter().enumerate() {
                if holding.tips.get(key).is_some_and(|(held, _)| *held >= seq) || !self.is_honest(node) {
                    continue;
                }
                all.push(Missed {
                    node: node as u32,
                    author: entry.author as u32,
                    document: key.0.clone(),
                    write: entry.number,
                    since_us,
                    until_us: None,
                    fault: self.blame(node, Some(entry.author), since_us, now),
                    received: self.received(node, key, seq),
                });
            }
        }
        all
    }
}
