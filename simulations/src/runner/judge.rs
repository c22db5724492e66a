//! Sweeps: everything is looked at when the fleet is healed, and when the run is over.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use starling_crdt::id::DocumentName;
use starling_crdt::incarnation::Incarnation;
use starling_crdt::store::tables::{DeltaRecord, delta_key, record};
use starling_crdt::store::{StoreRead, Table};

use super::run::Run;
use crate::oracle::ledger::RunKey;
use crate::oracle::{self, chunk};
use crate::properties::{self, Finding, authenticity, availability, convergence, durability, integrity};
use crate::scenario::Role;
use crate::world::founding::document_name;

/// When a sweep is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occasion {
    /// All faults are over, and nodes may still differ.
    Heal,
    /// The run is over.
    End,
}

/// Nodes whose documents are read whole in one sweep; of larger fleets, as many evenly spread.
const READ_NODES_MAX: usize = 24;

impl Run<'_> {
    fn read_nodes(&self) -> Vec<usize> {
        let sound = self.sound();
        let every = sound.len().div_ceil(READ_NODES_MAX).max(1);
        sound.into_iter().step_by(every).collect()
    }

    /// A full sweep.
    pub(super) fn sweep_all(&mut self, occasion: Occasion) {
        let nodes = self.read_nodes();
        let mut shown = Vec::new();
        for node in &nodes {
            self.sweep_store(*node);
            self.shown(*node, &mut shown);
        }
        self.count_check(1);
        for finding in convergence::check(&shown) {
            self.find(finding);
        }
        if occasion == Occasion::End {
            self.counters(&nodes);
        }
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
            if !self.rotten(node) {
                findings.extend(integrity::check(&row));
            }
            findings.extend(self.unsigned(node, store, key));
        }
        for (document, changes) in &by_document {
            if !self.rotten(node) {
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

    fn rotten(&self, node: usize) -> bool {
        use crate::scenario::FaultKind;
        self.faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::BitRot { .. })
                && fault.occurrences.iter().any(|occurrence| occurrence.nodes.contains(&node))
        })
    }

    /// Deltas of a run that nobody signed who may.
    fn unsigned(&self, node: usize, store: &dyn StoreRead, key: &RunKey) -> Vec<Finding> {
        let index = self.oracle.space_index();
        let actor = starling_crdt::id::Actor(key.1);
        let Ok(name) = DocumentName::new(key.0.as_str()) else { return Vec::new() };
        let Ok(rows) = oracle::rows(store, Table::Deltas, &index.actor_rows(&name, actor)) else {
            return Vec::new();
        };
        let certificate = store.value(Table::Incarnations, &index.incarnation(actor)).ok().flatten();
        let author =
            certificate.as_deref().and_then(|bytes| record::<Incarnation>(bytes, "incarnation").ok());
        let Some(author) = author else {
            return vec![
                Finding::at(5, node, "shows changes of an actor without an author").in_document(&key.0),
            ];
        };
        let plans = self.scenario.nodes();
        let may_write = self
            .world
            .nodes_of(author.author)
            .next()
            .and_then(|place| plans.get(place))
            .is_some_and(|plan| plan.group.role != Role::Reader);
        let mut found = Vec::new();
        for (row, value) in rows {
            let digest: [u8; 32] = Sha256::digest([row.as_slice(), &value].concat()).into();
            if delta_key(&row).is_none() || self.oracle.has_verified(&digest) {
                continue;
            }
            let Ok(delta) = record::<DeltaRecord>(&value, "delta record") else { continue };
            let Some(last) = delta.changes.last().and_then(|bytes| chunk::read(bytes)) else { continue };
            let signed = authenticity::Signed {
                node,
                space: self.founding.space.0,
                document: key.0.clone(),
                actor: key.1,
                last_seq: last.seq,
                last_hash: last.hash,
                author: author.author.0,
                signature: delta.signature,
                may_write,
            };
            match authenticity::check(&signed) {
                Some(finding) => found.push(finding),
                None => self.oracle.note_verified(digest),
            }
        }
        found
    }

    fn shown(&self, node: usize, all: &mut Vec<convergence::Shown>) {
        let Some(reader) = self.world.node(node).reader() else { return };
        let Some(holding) = self.oracle.ledger.holdings().get(node) else { return };
        for document in 0..self.scenario.workload.documents {
            let name = document_name(document);
            let read = reader.view(self.founding.space, &name, |view, known| {
                let json = view.document().read(None, None).ok().map(|json| json.to_text());
                (json, known.heads.iter().map(|head| head.0).collect::<Vec<_>>())
            });
            let Ok(((json, heads), _)) = read else { continue };
            let first = (name.as_str().to_owned(), [0; 16]);
            let last = (name.as_str().to_owned(), [0xff; 16]);
            let records =
                holding.tips.range(first..=last).map(|(key, (seq, hash))| (key.1, *seq, *hash)).collect();
            all.push(convergence::Shown { node, document: name.as_str().to_owned(), records, heads, json });
        }
    }

    fn counters(&mut self, nodes: &[usize]) {
        if self.scenario.workload.mix.counter == 0 || self.faults.iter().any(|_| !self.destroyed_none()) {
            return;
        }
        let sums: Vec<(u32, (i64, i64))> = self.increments.iter().map(|(doc, sums)| (*doc, *sums)).collect();
        for (document, (sure, perhaps)) in sums {
            let name = document_name(document);
            for node in nodes {
                if self.oracle.ledger.missing(*node) > 0 {
                    continue;
                }
                let Some(reader) = self.world.node(*node).reader() else { continue };
                let read = reader.view(self.founding.space, &name, |view, _| {
                    view.document().read(None, None).ok().map(|json| json.to_text())
                });
                let Ok((Some(text), _)) = read else { continue };
                let Some(value) = counter_in(&text) else { continue };
                self.count_check(9);
                if let Some(found) =
                    properties::idempotence::check_counter(*node, name.as_str(), value, sure, perhaps)
                {
                    self.find(found);
                }
            }
        }
    }

    fn destroyed_none(&self) -> bool {
        (0..self.world.nodes().len()).all(|node| !self.destroyed_ever(node))
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
        let settled = properties::liveness::Settled { missing, states: states.len(), within };
        for finding in properties::liveness::check(&settled) {
            self.find(finding);
        }
        self.count_check(12);
        let harm = !self.hostile.is_empty();
        let despite = properties::isolation::Despite { harm, missing: all, charged: Vec::new() };
        for finding in properties::isolation::check(&despite) {
            self.find(finding);
        }
        self.fates(&sound);
        self.answers();
        self.idle(sound.len() as u64);
        self.count_check(16);
        self.count_check(18);
        let requested = self.faults.iter().zip(&self.fired).filter(|(fault, _)| !fault.drawn);
        let requested: Vec<(&str, u64)> =
            requested.map(|(fault, fired)| (fault.kind.name(), *fired)).collect();
        let never = properties::firing::check(requested);
        self.undecided.extend(never);
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
            if entry.acknowledged.is_none() || !self.is_honest(entry.author) {
                continue;
            }
            checked += 1;
            let holders = sound.iter().filter(|node| holds(**node, key, seq)).count();
            let fate = durability::Fate {
                number: entry.number,
                author: entry.author,
                document: key.0.clone(),
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
        let open: Vec<(usize, u64, u64)> = self
            .asked
            .values()
            .filter(|asked| !asked.answered)
            .map(|asked| (asked.node, asked.at, asked.starts))
            .collect();
        for (node, at, starts) in open {
            self.counts.unanswered += 1;
            let harmed = self.world.node(node).starts != starts || self.is_harmed(node);
            let fared = availability::Fared { node, took: now - at, refused: None, harmed };
            if let Some(found) = availability::check(&fared) {
                self.find(found);
            }
        }
    }

    fn idle(&mut self, nodes: u64) {
        let Some((from, bytes)) = self.idle_from else { return };
        let seconds = (self.world.now() - from) / 1_000_000;
        let rests = self.converged.is_some_and(|converged| converged <= from);
        if seconds < 10 || !rests || !self.hostile.is_empty() {
            return;
        }
        self.count_check(14);
        let idle =
            properties::quiescence::Idle { bytes: self.world.traffic().total() - bytes, seconds, nodes };
        if let Some(found) = properties::quiescence::check(&idle) {
            self.find(found);
        }
    }
}

fn counter_in(text: &str) -> Option<i64> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let counter = value.get("counter")?;
    counter.get("$counter").unwrap_or(counter).as_i64()
}
