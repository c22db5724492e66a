//! Samples: figures noted at even steps of time, for the report.

use std::collections::BTreeSet;

use super::run::Run;
use crate::properties;
use crate::record::{Bytes, Divergence, Resources};

impl Run<'_> {
    pub(super) fn sample(&mut self) {
        let at = self.world.now();
        self.progress();
        self.sides_agree();
        self.lag.at_us.push(at);
        let mut states = BTreeSet::new();
        let (mut missing_all, mut used_max) = (0, properties::bounds::Use::default());
        let mut memory_all = 0;
        let mut memory_max = 0;
        for node in 0..self.world.nodes().len() {
            let runs = self.world.node(node).runs();
            let missing = self.oracle.ledger.missing(node);
            if let Some(line) = self.lag.missing.get_mut(node) {
                line.push(if runs { missing as i64 } else { -1 });
            }
            if !self.is_honest(node) || !runs {
                continue;
            }
            states.insert(self.oracle.ledger.holdings().get(node).map_or(0, |holding| holding.shown));
            missing_all += missing;
            let memory = self.world.node(node).memory();
            let used = properties::bounds::Use {
                inbox: self.world.node(node).waiting(),
                orphans: memory.orphans,
                views: memory.histories + memory.views,
            };
            self.count_check(11);
            if let Some(found) = properties::bounds::check(node, &used) {
                self.find(found);
            }
            let bytes = (used.orphans + used.views) as u64;
            memory_all += bytes;
            memory_max = memory_max.max(bytes);
            used_max.inbox = used_max.inbox.max(used.inbox);
            used_max.orphans = used_max.orphans.max(used.orphans);
        }
        self.divergence.push(Divergence { at_us: at, states: states.len() as u64, missing: missing_all });
        let traffic = self.world.traffic();
        let (useful, redundant, control) = (traffic.useful, traffic.redundant, traffic.control);
        self.bytes.push(Bytes { at_us: at, useful, redundant, control });
        self.resources.push(Resources {
            at_us: at,
            memory_max,
            memory_all,
            inbox_max: used_max.inbox as u64,
            orphans_max: used_max.orphans as u64,
            frames: self.world.frames_under_way(),
        });
    }
}
