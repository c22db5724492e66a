//! What faults do: they begin, go on and end.

use super::faults::{added, cut};
use super::run::{Agenda, Run};
use super::tell::span_words;
use crate::record::{Band, FaultSpan};
use crate::scenario::FaultKind;
use crate::scenario::fault::{Partition, Shape};
use crate::world::chance::Purpose;
use crate::world::disk::Disk;
use crate::world::link::ppm;
use crate::world::process::Death;
use crate::world::queue::{SECOND, Time};

/// How long a process that dies for a moment stays down.
const DOWN: Time = SECOND;
/// Disk operations of one small commit, from which a crash draws the one it strikes.
const COMMIT_OPERATIONS: u64 = 6;
/// Turns of one flapping link: what keeps a file from asking for a run without end.
const FLAPS_MAX: usize = 10_000;

impl Run<'_> {
    /// Puts every fault on the agenda.
    pub(super) fn plan_faults(&mut self) {
        for fault in 0..self.faults.len() {
            for time in 0..self.faults[fault].occurrences.len() {
                let occurrence = self.faults[fault].occurrences[time].clone();
                let (from, to) = (occurrence.when.from.0, occurrence.when.to.0);
                if let FaultKind::Restore { age } = self.faults[fault].kind {
                    self.put(from.saturating_sub(age.0), Agenda::Backup { fault, time });
                }
                self.put(from, Agenda::Begin { fault, time });
                let to = if dies(&self.faults[fault].kind) { to.max(from + DOWN) } else { to };
                self.put(to, Agenda::End { fault, time });
            }
        }
        for node in self.oracle.hostile.clone() {
            self.put(SECOND, Agenda::Hostile { fault: None, time: 0, node, round: 0 });
        }
    }

    /// Does what is due of a fault.
    pub(super) fn act(&mut self, due: Agenda) {
        match due {
            Agenda::Begin { fault, time } => self.begin_fault(fault, time),
            Agenda::End { fault, time } => self.end_fault(fault, time),
            Agenda::Backup { fault, time } => {
                for node in self.struck(fault, time) {
                    if let Some(disk) = self.world.backup(node, (fault * 1_000 + time) as u64) {
                        self.backups.insert((fault, time, node), disk);
                    }
                }
            }
            Agenda::Cut { fault, time } => self.cut_now(fault, time),
            Agenda::Mend { fault, time } => self.mend_now(fault, time),
            Agenda::Release { fault, time, node } => {
                if let Some(handle) = self.handles.get(&(fault, time, usize::MAX)) {
                    self.world.release_from_cut(*handle, node);
                }
            }
            Agenda::Silence { fault, time, node } => {
                let handle = self.world.cut(cut(fault, Shape::Isolate, &[vec![node]]));
                self.handles.insert((fault, time, node), handle);
                self.band(fault, vec![vec![node]]);
            }
            Agenda::Hear { fault, time, node } => {
                if let Some(handle) = self.handles.remove(&(fault, time, node)) {
                    self.world.mend(handle);
                    self.close_bands(fault, Some(node));
                }
            }
            Agenda::Start(node) => self.start(node),
            Agenda::ChurnDown { fault, time, node, round } => self.churn_down(fault, time, node, round),
            Agenda::ChurnUp { fault, time, node, round } => self.churn_up(fault, time, node, round),
            Agenda::KillAnyway { fault, node } => self.kill_anyway(fault, node),
            Agenda::Hostile { fault, time, node, round } => self.hostile_act(fault, time, node, round),
            Agenda::Write(_) | Agenda::Sample | Agenda::Healed | Agenda::Idle | Agenda::Over => {}
        }
    }

    fn struck(&self, fault: usize, time: usize) -> Vec<usize> {
        self.faults[fault].occurrences[time].nodes.clone()
    }

    fn harm(&mut self, node: usize) {
        *self.harmed.entry(node).or_default() += 1;
    }

    fn unharm(&mut self, node: usize) {
        if let Some(reasons) = self.harmed.get_mut(&node) {
            *reasons = reasons.saturating_sub(1);
        }
        self.harmed_until.insert(node, self.world.now());
    }

    fn open_span(&mut self, fault: usize, nodes: &[usize]) {
        let from_us = self.world.now();
        let nodes = nodes.iter().map(|node| *node as u32).collect();
        self.spans[fault].push(FaultSpan { from_us, to_us: u64::MAX, nodes });
    }

    fn close_span(&mut self, fault: usize) {
        let now = self.world.now();
        if let Some(span) = self.spans[fault].iter_mut().find(|span| span.to_us == u64::MAX) {
            span.to_us = now;
        }
    }

    fn band(&mut self, fault: usize, sides: Vec<Vec<usize>>) {
        let words = span_words(self, fault, &sides);
        let sides =
            sides.into_iter().map(|side| side.into_iter().map(|node| node as u32).collect()).collect();
        let from_us = self.world.now();
        self.bands.push(Band { fault: fault as u32, from_us, to_us: u64::MAX, sides, words });
    }

    fn close_bands(&mut self, fault: usize, of: Option<usize>) {
        let now = self.world.now();
        for band in &mut self.bands {
            let ours =
                of.is_none_or(|node| band.sides.first().is_some_and(|side| side.contains(&(node as u32))));
            if band.fault == fault as u32 && band.to_us == u64::MAX && ours {
                band.to_us = now;
            }
        }
    }

    fn begin_fault(&mut self, fault: usize, time: usize) {
        let nodes = self.struck(fault, time);
        self.world.trace_note(fault, b"fault begins");
        self.open_span(fault, &nodes);
        let kind = self.faults[fault].kind.clone();
        if let FaultKind::Partition(partition) = &kind {
            self.begin_partition(fault, time, partition);
        } else if let Some(added) = added(&kind) {
            let handle = self.world.add_to_links(fault, nodes, added);
            self.handles.insert((fault, time, usize::MAX), handle);
        } else {
            for node in nodes {
                self.strike(fault, time, node, &kind);
            }
        }
    }

    fn strike(&mut self, fault: usize, time: usize, node: usize, kind: &FaultKind) {
        let drawn = |run: &Self, bound: u64| {
            let counter = (node as u64) << 32 | time as u64;
            run.world.chance().stream(Purpose::Fault, fault as u64 + (1 << 20), counter).between(1, bound)
        };
        match kind {
            FaultKind::Pause => {
                self.harm(node);
                self.fired[fault] += u64::from(self.world.pause(node));
            }
            FaultKind::Crash => {
                let step = drawn(self, COMMIT_OPERATIONS);
                self.kill(fault, node, step, Death::Torn);
            }
            FaultKind::KillInIo { step } => self.kill(fault, node, *step, Death::Torn),
            FaultKind::TornWrite => {
                let step = drawn(self, COMMIT_OPERATIONS);
                self.kill(fault, node, step, Death::Torn);
            }
            FaultKind::LoseUnsynced => {
                let step = drawn(self, COMMIT_OPERATIONS);
                self.kill(fault, node, step, Death::Unsynced);
            }
            FaultKind::Restart => {
                self.harm(node);
                self.fired[fault] += u64::from(self.world.end(node, Death::InOrder));
            }
            FaultKind::Wipe => {
                let empty = self.world.empty_disk(node);
                self.set_back(fault, node, Some(empty));
            }
            FaultKind::Restore { .. } => {
                let backup = self.backups.remove(&(fault, time, node));
                self.set_back(fault, node, backup);
            }
            FaultKind::BitRot { bits } => self.rot(fault, time, node, *bits),
            FaultKind::Clone => {
                let name = format!("{}-twin", self.world.node(node).name);
                if let Some(twin) = self.world.clone_node(node, name) {
                    self.lag.missing.push(vec![-1; self.lag.at_us.len()]);
                    self.world.start(twin);
                    self.fired[fault] += 1;
                }
            }
            FaultKind::Churn { up, .. } => {
                let delay = self.churn_delay(fault, node, 0, up.0);
                let at = self.world.now() + delay;
                self.put(at, Agenda::ChurnDown { fault, time, node, round: 0 });
            }
            FaultKind::ClockOffset { by } | FaultKind::ClockStep { by } => {
                self.world.clock_mut(node).step(by.0 / 1_000);
                self.fired[fault] += 1;
            }
            FaultKind::ClockDrift { ppm } => {
                let now = self.world.now();
                self.world.clock_mut(node).drift(now, ppm.round() as i32);
                self.world.clock_changed(node);
                self.fired[fault] += 1;
            }
            FaultKind::IoError { rate } => {
                self.harm(node);
                self.world.io_errors(node, Some((ppm(*rate), fault)));
            }
            FaultKind::DiskFull => {
                self.harm(node);
                self.world.fill_disk(node, Some(fault));
            }
            FaultKind::Hostile { does } => {
                self.oracle.hostile.insert(node);
                self.world.turn(node, Some(*does));
                let now = self.world.now();
                self.put(now, Agenda::Hostile { fault: Some(fault), time, node, round: 0 });
            }
            _ => {}
        }
    }

    fn kill(&mut self, fault: usize, node: usize, step: u64, death: Death) {
        self.harm(node);
        if !self.world.node(node).runs() {
            return;
        }
        self.world.kill_in_io(node, step, fault, death);
        let at = self.world.now() + self.world.kill_wait();
        self.put(at, Agenda::KillAnyway { fault, node });
    }

    /// Cuts the power of a process that waited for a disk operation in vain.
    fn kill_anyway(&mut self, fault: usize, node: usize) {
        if self.world.kill_pending(node) {
            self.world.end(node, Death::Unsynced);
            self.fired[fault] += 1;
            *self.unmet.entry(fault).or_default() += 1;
        }
    }

    fn set_back(&mut self, fault: usize, node: usize, disk: Option<Disk>) {
        self.harm(node);
        let Some(disk) = disk else { return };
        self.world.end(node, Death::Killed);
        let held = self.oracle.ledger.holdings().get(node).cloned().unwrap_or_default();
        self.destroyed.insert(node, held);
        self.world.replace_disk(node, disk);
        self.fired[fault] += 1;
    }

    fn rot(&mut self, fault: usize, time: usize, node: usize, bits: u32) {
        self.harm(node);
        self.world.end(node, Death::Killed);
        let counter = (node as u64) << 32 | time as u64;
        let mut draws = self.world.chance().stream(Purpose::Rot, fault as u64, counter);
        if let Some(rotten) = self.world.node(node).disk.rotten(bits, &mut draws) {
            let held = self.oracle.ledger.holdings().get(node).cloned().unwrap_or_default();
            self.destroyed.insert(node, held);
            self.unsound.insert(node);
            self.world.replace_disk(node, rotten);
            self.fired[fault] += u64::from(bits);
        }
    }

    fn churn_delay(&self, fault: usize, node: usize, round: u64, mean: Time) -> Time {
        let key = fault as u64 + (1 << 21);
        let mut draws = self.world.chance().stream(Purpose::Fault, key, (node as u64) << 32 | round);
        draws.exponential(mean).max(SECOND / 10)
    }

    fn churn_down(&mut self, fault: usize, time: usize, node: usize, round: u64) {
        let FaultKind::Churn { down, .. } = self.faults[fault].kind else { return };
        if self.world.now() >= self.faults[fault].occurrences[time].when.to.0 {
            return;
        }
        self.harm(node);
        self.fired[fault] += u64::from(self.world.end(node, Death::Killed));
        let at = self.world.now() + self.churn_delay(fault, node, 2 * round + 1, down.0);
        self.put(at, Agenda::ChurnUp { fault, time, node, round });
    }

    fn churn_up(&mut self, fault: usize, time: usize, node: usize, round: u64) {
        let FaultKind::Churn { up, .. } = self.faults[fault].kind else { return };
        self.unharm(node);
        self.start(node);
        let at = self.world.now() + self.churn_delay(fault, node, 2 * round + 2, up.0);
        self.put(at, Agenda::ChurnDown { fault, time, node, round: round + 1 });
    }

    fn end_fault(&mut self, fault: usize, time: usize) {
        self.world.trace_note(fault, b"fault ends");
        let nodes = self.struck(fault, time);
        let kind = self.faults[fault].kind.clone();
        match &kind {
            FaultKind::Partition(partition) => self.end_partition(fault, time, partition),
            kind if added(kind).is_some() => {
                if let Some(handle) = self.handles.remove(&(fault, time, usize::MAX)) {
                    self.world.take_from_links(handle);
                }
            }
            kind => {
                for node in nodes {
                    self.relieve(fault, node, kind);
                }
            }
        }
        self.close_span(fault);
        if self.healed.is_none() {
            let now = self.world.now();
            self.set_goal(now);
        }
    }

    fn relieve(&mut self, fault: usize, node: usize, kind: &FaultKind) {
        match kind {
            FaultKind::Pause => {
                self.world.resume(node);
                self.unharm(node);
            }
            FaultKind::IoError { .. } => {
                self.world.io_errors(node, None);
                self.unharm(node);
            }
            FaultKind::DiskFull => {
                self.world.fill_disk(node, None);
                self.unharm(node);
            }
            FaultKind::ClockOffset { by } => self.world.clock_mut(node).step(-by.0 / 1_000),
            FaultKind::ClockDrift { .. } => {
                let now = self.world.now();
                let own = self.world.nodes().len();
                let ppm = self.plans.get(node.min(own)).map_or(0.0, |plan| plan.group.clock.drift_ppm);
                self.world.clock_mut(node).drift(now, ppm.round() as i32);
                self.world.clock_changed(node);
            }
            FaultKind::Hostile { .. } => self.world.turn(node, None),
            kind if dies(kind) => {
                // A kill that found no disk operation yet strikes now.
                self.kill_anyway(fault, node);
                self.unharm(node);
                self.start(node);
            }
            _ => {}
        }
    }

    fn begin_partition(&mut self, fault: usize, time: usize, partition: &Partition) {
        let occurrence = self.faults[fault].occurrences[time].clone();
        let (from, to) = (occurrence.when.from.0, occurrence.when.to.0);
        if partition.shape == Shape::SwizzleClog {
            self.plan_swizzle(fault, time, occurrence.sides.concat(), from, to);
            return;
        }
        let Some(flap) = partition.flap else {
            self.cut_now(fault, time);
            return;
        };
        let mut at = from;
        for _ in 0..FLAPS_MAX {
            if at >= to {
                break;
            }
            self.put(at, Agenda::Cut { fault, time });
            self.put((at + flap.cut.0).min(to), Agenda::Mend { fault, time });
            at += (flap.cut.0 + flap.whole.0).max(1);
        }
    }

    /// Nodes fall silent one after the other in the first half, and come back in another order.
    fn plan_swizzle(&mut self, fault: usize, time: usize, nodes: Vec<usize>, from: Time, to: Time) {
        let pace = (to - from) / 2 / (nodes.len() as u64).max(1);
        let mut back = nodes.clone();
        self.world.chance().stream(Purpose::Fault, fault as u64 + (1 << 22), time as u64).shuffle(&mut back);
        for (place, node) in nodes.into_iter().enumerate() {
            self.put(from + place as u64 * pace, Agenda::Silence { fault, time, node });
        }
        let middle = from + (to - from) / 2;
        for (place, node) in back.into_iter().enumerate() {
            self.put(middle + (place as u64 + 1) * pace, Agenda::Hear { fault, time, node });
        }
    }

    fn cut_now(&mut self, fault: usize, time: usize) {
        let FaultKind::Partition(partition) = &self.faults[fault].kind else { return };
        let sides = self.faults[fault].occurrences[time].sides.clone();
        let cut = cut(fault, partition.shape, &sides);
        let handle = self.world.cut(cut);
        self.handles.insert((fault, time, usize::MAX), handle);
        self.band(fault, sides);
    }

    fn mend_now(&mut self, fault: usize, time: usize) {
        if let Some(handle) = self.handles.remove(&(fault, time, usize::MAX)) {
            self.world.mend(handle);
        }
        self.close_bands(fault, None);
    }

    fn end_partition(&mut self, fault: usize, time: usize, partition: &Partition) {
        let nodes = self.faults[fault].occurrences[time].sides.concat();
        if let (Some(over), true) = (partition.heal_over, self.healed.is_none()) {
            let now = self.world.now();
            for (place, node) in nodes.iter().enumerate() {
                let at = now + over.0 * place as u64 / nodes.len().max(1) as u64;
                self.put(at, Agenda::Release { fault, time, node: *node });
            }
            self.put(now + over.0, Agenda::Mend { fault, time });
            return;
        }
        for node in nodes {
            if let Some(handle) = self.handles.remove(&(fault, time, node)) {
                self.world.mend(handle);
            }
        }
        self.mend_now(fault, time);
    }

    /// Ends whatever is still there.
    pub(super) fn heal_faults(&mut self) {
        let handles: Vec<u64> = std::mem::take(&mut self.handles).into_values().collect();
        for handle in handles {
            self.world.mend(handle);
            self.world.take_from_links(handle);
        }
        let now = self.world.now();
        for band in &mut self.bands {
            band.to_us = band.to_us.min(now);
        }
        for (node, _) in std::mem::take(&mut self.harmed).into_iter().filter(|(_, reasons)| *reasons > 0) {
            self.harmed_until.insert(node, now);
        }
        for node in 0..self.world.nodes().len() {
            self.world.resume(node);
            self.world.io_errors(node, None);
            self.world.fill_disk(node, None);
            if self.world.kill_pending(node) {
                self.world.end(node, Death::Unsynced);
            }
            if !self.world.node(node).runs() {
                self.harmed_until.insert(node, now);
                self.start(node);
            }
        }
    }

    fn hostile_act(&mut self, fault: Option<usize>, time: usize, node: usize, round: u64) {
        let over =
            fault.map_or(self.scenario.duration.0, |fault| self.faults[fault].occurrences[time].when.to.0);
        if self.world.now() >= over {
            return;
        }
        let did = self.world.misbehave(node, round);
        match fault {
            Some(fault) => self.fired[fault] += did,
            None => *self.acts.entry(node).or_default() += did,
        }
        let at = self.world.now() + SECOND / 2;
        self.put(at, Agenda::Hostile { fault, time, node, round: round + 1 });
    }
}

/// Whether a kind ends a process that starts again afterwards.
fn dies(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::Crash
            | FaultKind::KillInIo { .. }
            | FaultKind::TornWrite
            | FaultKind::LoseUnsynced
            | FaultKind::Restart
            | FaultKind::Wipe
            | FaultKind::Restore { .. }
            | FaultKind::BitRot { .. }
    )
}
