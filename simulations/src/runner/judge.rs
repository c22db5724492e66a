//! Sweeps: everything is looked at when the fleet is healed, and when the run is over.

use std::collections::{BTreeMap, BTreeSet};

use starling_crdt::store::Table;

use super::faults::PlannedFault;
use super::run::Run;
use crate::oracle::ledger::RunKey;
use crate::oracle::{self, chunk};
use crate::properties::{self, availability, bounds, durability, integrity, isolation, quiescence};
use crate::record::FaultSpan;
use crate::scenario::FaultKind;
use crate::world::queue::Time;

/// When a sweep is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occasion {
    /// All faults are over, and nodes may still differ.
    Heal,
    /// The run is over.
    End,
}

/// What was noted when everything was healed.
#[derive(Clone, Copy)]
pub(super) struct HealNoted {
    at: Time,
    bytes: u64,
    lacking: u64,
}

impl Run<'_> {
    /// A full sweep over every honest node.
    pub(super) fn sweep_all(&mut self, occasion: Occasion) {
        for node in self.sound() {
            // What a node has committed and not let out yet is in its store and in nobody's ears.
            self.look_into(node, None);
            self.count_anew();
        }
        for node in self.sound() {
            self.sweep_store(node);
            self.disk_bounded(node);
        }
        self.read_all(occasion);
    }

    /// Everything one node stores: whole, closed, signed.
    pub(super) fn sweep_store(&mut self, node: usize) {
        if !self.is_honest(node) {
            return;
        }
        let Some(reader) = self.world.node(node).reader() else { return };
        let store = reader.store();
        let mut findings = Vec::new();
        let tips =
            self.oracle.ledger.holdings().get(node).map(|holding| holding.tips.clone()).unwrap_or_default();
        let mut by_document: BTreeMap<String, Vec<chunk::Change>> = BTreeMap::new();
        for (key, tip) in &tips {
            let stored = self.oracle.stored(store, key, 0);
            if let Ok(changes) = &stored {
                let admitted = changes.iter().filter(|change| change.seq <= tip.0).cloned();
                by_document.entry(key.0.clone()).or_default().extend(admitted);
            }
            let stored =
                stored.map(|changes| changes.iter().map(|change| (change.seq, change.hash)).collect());
            let row = integrity::Row { node, document: key.0.clone(), tip: *tip, stored };
            // Rows that rotted are known to be bad: what is asked is that they are never shown.
            if !self.is_rotten(node) {
                findings.extend(integrity::check(&row));
            }
            findings.extend(self.unsigned(node, store, key));
        }
        for (document, changes) in &by_document {
            if !self.is_rotten(node) {
                findings.extend(properties::closure::check(node, document, changes));
            }
        }
        for property in [4, 5, 10] {
            self.count_check(property);
        }
        for finding in findings {
            self.find(finding);
        }
    }

    /// Whether bits of a node's disk rotted.
    pub(super) fn is_rotten(&self, node: usize) -> bool {
        self.faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::BitRot { .. })
                && fault.occurrences.iter().any(|occurrence| occurrence.nodes.contains(&node))
        })
    }

    /// The judgement at the end.
    pub(super) fn judge_end(&mut self) {
        self.sweep_all(Occasion::End);
        let sound = self.sound();
        let missing: Vec<(usize, u64)> = sound.iter().map(|node| (*node, self.unexcused(*node))).collect();
        let states: BTreeSet<u64> = sound
            .iter()
            .filter_map(|node| self.oracle.ledger.holdings().get(*node))
            .map(|holding| holding.shown)
            .collect();
        let all: u64 = missing.iter().map(|(_, missing)| missing).sum();
        let within = self.world.now() - self.healed.unwrap_or(0);
        self.count_check(2);
        let down = (0..self.world.nodes().len()).filter(|node| self.is_honest(*node));
        let down = down.filter(|node| !self.world.node(*node).runs()).collect();
        let settled = properties::liveness::Settled { missing, down, states: states.len(), within };
        for finding in properties::liveness::check(&settled) {
            self.find(finding);
        }
        self.isolated(all);
        self.fates(&sound);
        self.answers();
        self.idle(sound.len() as u64);
        self.storm(&sound);
        self.count_check(16);
        self.count_check(18);
        let requested = self.faults.iter().zip(&self.fired).filter(|(fault, _)| !fault.drawn);
        let requested: Vec<(&str, u64)> =
            requested.map(|(fault, fired)| (fault.kind.name(), *fired)).collect();
        let mut never = properties::firing::check(requested);
        let behaved =
            self.plans.iter().enumerate().filter(|(_, plan)| plan.group.behaviour.hostility().is_some());
        let behaved =
            behaved.map(|(node, plan)| (plan.name.as_str(), self.acts.get(&node).copied().unwrap_or(0)));
        never.extend(properties::firing::check_behaviours(behaved));
        self.undecided.extend(never);
        if self.world.unseen() > 0 {
            self.undecided.push(format!("{} things happened that nobody looked at", self.world.unseen()));
        }
        if self.writes.is_empty() && self.scenario.workload.rate > 0.0 {
            self.undecided.push("the workload wrote nothing".to_owned());
        }
    }

    /// Acknowledged writes a node does not hold although somebody's disk still has them.
    pub(super) fn unexcused(&self, node: usize) -> u64 {
        self.unexcused_before(node, u64::MAX)
    }

    /// Of those acknowledged until a time, the ones a node does not hold although somebody's disk still has them.
    pub(super) fn unexcused_before(&self, node: usize, until: u64) -> u64 {
        let Some(holding) = self.oracle.ledger.holdings().get(node) else { return 0 };
        if self.oracle.ledger.missing(node) == 0 {
            return 0;
        }
        let lacking = self.oracle.ledger.entries().filter(|(key, seq, entry)| {
            entry.acknowledged.is_some_and(|at| at <= until)
                && !entry.excused
                && holding.tips.get(*key).is_none_or(|(held, _)| held < seq)
        });
        lacking.count() as u64
    }

    fn fates(&mut self, sound: &[usize]) {
        let holdings = self.oracle.ledger.holdings();
        let holds = |node: usize, key: &RunKey, seq: u64| {
            holdings.get(node).and_then(|holding| holding.tips.get(key)).is_some_and(|(held, _)| *held >= seq)
        };
        let mut findings = Vec::new();
        let mut checked = 0;
        for (key, seq, entry) in self.oracle.ledger.entries() {
            let Some(acknowledged) = entry.acknowledged.filter(|_| self.is_honest(entry.author)) else {
                continue;
            };
            checked += 1;
            let holders = sound.iter().filter(|node| holds(**node, key, seq)).count();
            let fate = durability::Fate {
                number: entry.number,
                author: entry.author,
                document: key.0.clone(),
                acknowledged,
                at_author: !self.world.node(entry.author).runs() || holds(entry.author, key, seq),
                holders,
                excused: entry.excused,
            };
            findings.extend(durability::check(&fate));
        }
        *self.checks.entry(3).or_default() += checked;
        for finding in findings {
            self.find(finding);
        }
    }

    fn answers(&mut self) {
        let now = self.world.now();
        let open: Vec<(usize, u64, u64, bool)> = self
            .asked
            .values()
            .filter(|asked| !asked.answered)
            .map(|asked| (asked.node, asked.at, asked.starts, asked.fair))
            .collect();
        for (node, at, starts, fair) in open {
            self.counts.unanswered += 1;
            let harmed = self.world.node(node).starts != starts || self.is_harmed(node);
            self.fair.0 += u64::from(fair && !harmed);
            let fared = availability::Fared { node, took: now - at, refused: None, harmed };
            if let Some(found) = availability::check(&fared) {
                self.find(found);
            }
        }
    }

    /// Whether anybody honest paid for what others did.
    fn isolated(&mut self, missing: u64) {
        self.count_check(12);
        let harm = !self.oracle.hostile.is_empty();
        let honest = |node: usize| self.is_honest(node) && !self.is_rotten(node);
        let charged = self.offences.iter().filter(|((by, of), _)| honest(*by) && honest(*of));
        let charged = charged.map(|((by, of), times)| (*of, *by, *times)).collect();
        for finding in isolation::check(&isolation::Despite { harm, missing, charged }) {
            self.find(finding);
        }
    }

    /// Whether honest writes go on arriving while somebody misbehaves and nothing else is wrong.
    pub(super) fn progress(&mut self) {
        let now = self.world.now();
        let disturbs = |(fault, spans): (&PlannedFault, &Vec<FaultSpan>)| {
            !matches!(fault.kind, FaultKind::Hostile { .. }) && spans.iter().any(|span| span.to_us >= now)
        };
        let staged = self.bands.iter().any(|band| band.to_us >= now);
        if staged || self.faults.iter().zip(&self.spans).any(disturbs) || !self.harmed_now().is_empty() {
            self.disturbed = now;
        }
        let misbehaves = self.world.nodes().iter().any(|node| node.hostile.is_some());
        let Some(until) = now.checked_sub(isolation::ARRIVES_WITHIN).filter(|until| *until >= self.disturbed)
        else {
            return;
        };
        if !misbehaves {
            return;
        }
        self.count_check(12);
        for node in self.sound() {
            let progress = isolation::Progress { node, overdue: self.unexcused_before(node, until) };
            if let Some(found) = isolation::check_progress(&progress) {
                self.find(found);
            }
        }
    }

    fn harmed_now(&self) -> Vec<usize> {
        self.sound().into_iter().filter(|node| self.is_harmed(*node)).collect()
    }

    /// What nodes lack when everything is healed: what it costs to bring it is judged at the end.
    pub(super) fn note_heal(&mut self) {
        let nodes = self.sound();
        let holdings = self.oracle.ledger.holdings();
        let lacks = |node: &&usize, key: &RunKey, seq: u64| {
            let tips = holdings.get(**node).map(|holding| &holding.tips);
            tips.and_then(|tips| tips.get(key)).is_none_or(|(held, _)| *held < seq)
        };
        let lacking = self.oracle.ledger.entries().map(|(key, seq, entry)| {
            entry.bytes * nodes.iter().filter(|node| lacks(node, key, seq)).count() as u64
        });
        let lacking = lacking.sum();
        self.heal_noted =
            Some(HealNoted { at: self.world.now(), bytes: self.world.traffic().total(), lacking });
    }

    fn storm(&mut self, nodes: &[usize]) {
        let Some(noted) = self.heal_noted.filter(|_| self.oracle.hostile.is_empty()) else { return };
        self.count_check(14);
        let after: u64 = self
            .oracle
            .ledger
            .entries()
            .filter(|(_, _, entry)| entry.born > noted.at)
            .map(|(_, _, entry)| entry.bytes * nodes.len() as u64)
            .sum();
        let ends: usize = nodes.iter().map(|node| self.world.node(*node).connected().count()).sum();
        let heal = quiescence::Heal {
            bytes: self.world.traffic().total() - noted.bytes,
            seconds: (self.world.now() - noted.at) / 1_000_000,
            nodes: nodes.len() as u64,
            lacking: noted.lacking + after,
            pairs: ends as u64 / 2,
        };
        if let Some(found) = quiescence::check_heal(&heal) {
            self.find(found);
        }
    }

    /// Whether a node stores no more than what it admitted explains.
    fn disk_bounded(&mut self, node: usize) {
        let Some(reader) = self.world.node(node).reader() else { return };
        let mut stored = 0;
        for table in Table::ALL {
            let Ok(rows) = oracle::rows(reader.store(), table, &[]) else { return };
            stored += rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        }
        let mut disk = bounds::Disk { stored, ..bounds::Disk::default() };
        let Some(holding) = self.oracle.ledger.holdings().get(node) else { return };
        for (key, (held, _)) in &holding.tips {
            let run = self.oracle.ledger.run(key).map_or(&[][..], Vec::as_slice);
            let held = run.iter().take(*held as usize);
            disk.changes += held.len() as u64;
            disk.admitted += held.map(|entry| entry.bytes).sum::<u64>();
        }
        self.count_check(11);
        if let Some(found) = bounds::check_disk(node, &disk) {
            self.find(found);
        }
    }

    fn idle(&mut self, nodes: u64) {
        let Some((from, bytes)) = self.idle_from else { return };
        let seconds = (self.world.now() - from) / 1_000_000;
        let rests = self.converged.is_some_and(|converged| converged <= from);
        // Two processes of one key take each other's connections for ever, as the network is modelled.
        let twins = self.world.nodes().len() > self.plans.len();
        if seconds < 10 || !rests || twins || !self.oracle.hostile.is_empty() {
            return;
        }
        self.count_check(14);
        let bytes = self.world.traffic().total() - bytes;
        let rested = self.healed.map_or(0, |healed| from.saturating_sub(healed) / 1_000_000);
        let idle = quiescence::Idle { bytes, seconds, nodes, rested };
        if let Some(found) = quiescence::check(&idle) {
            self.find(found);
        }
    }
}
