//! The DAG of statements: those in effect in causal order, those that wait, those that are void.
//!
//! Positions are places in the order in which statements took effect here. They differ between
//! nodes; every verdict speaks of closures and identifiers only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{VerifiedStatement, VoidReason};
use crate::id::StatementId;
use crate::limits::{STATEMENTS_VOID_MAX, STATEMENTS_WAITING_MAX};

#[derive(Debug, Clone)]
struct Entry {
    statement: VerifiedStatement,
    parents: Vec<usize>,
    /// Length of the longest path to the genesis: the same on every node.
    generation: u32,
}

/// Everything some statements cite, and what that cites, themselves included.
pub(super) enum Closure {
    /// All statements in effect: the common case of someone who knew what we know.
    All,
    /// One bit per position.
    Some(Vec<u64>),
}

impl Closure {
    pub(super) fn contains(&self, position: usize) -> bool {
        match self {
            Closure::All => true,
            Closure::Some(bits) => {
                bits.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    entries: Vec<Entry>,
    positions: BTreeMap<StatementId, usize>,
    /// Positions that no other statement in effect cites.
    tips: BTreeSet<usize>,
    waiting: BTreeMap<StatementId, VerifiedStatement>,
    waiting_since: VecDeque<StatementId>,
    /// For each statement that is not here, those that cite it and wait.
    dependents: BTreeMap<StatementId, BTreeSet<StatementId>>,
    void: BTreeMap<StatementId, VoidReason>,
    void_since: VecDeque<StatementId>,
}

impl Graph {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn holds(&self, id: StatementId) -> bool {
        self.judged(id) || self.waiting.contains_key(&id)
    }

    pub(super) fn is_void(&self, id: StatementId) -> bool {
        self.void.contains_key(&id)
    }

    pub(super) fn position(&self, id: StatementId) -> Option<usize> {
        self.positions.get(&id).copied()
    }

    /// The statement at a position this graph gave out.
    pub(super) fn statement(&self, position: usize) -> &VerifiedStatement {
        &self.entries[position].statement
    }

    /// A place in an order that is the same on every node and never puts a statement before one it
    /// cites.
    pub(super) fn rank(&self, position: usize) -> (u32, StatementId) {
        let entry = &self.entries[position];
        (entry.generation, entry.statement.id())
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = &VerifiedStatement> {
        self.entries.iter().map(|entry| &entry.statement)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = StatementId> + '_ {
        self.positions.keys().copied()
    }

    pub(super) fn void(&self) -> impl Iterator<Item = (StatementId, VoidReason)> + '_ {
        self.void_since.iter().filter_map(|id| self.void.get(id).map(|reason| (*id, *reason)))
    }

    /// Takes in a statement all of whose tips are in effect, and returns its position.
    pub(super) fn push(&mut self, statement: VerifiedStatement) -> usize {
        let parents: Vec<usize> = statement.tips.iter().filter_map(|tip| self.position(*tip)).collect();
        let generation = parents.iter().map(|parent| self.entries[*parent].generation + 1).max();
        let position = self.entries.len();
        parents.iter().for_each(|parent| {
            self.tips.remove(parent);
        });
        self.tips.insert(position);
        self.positions.insert(statement.id(), position);
        self.entries.push(Entry { statement, parents, generation: generation.unwrap_or(0) });
        position
    }

    /// Remembers that `id` has no effect; past the bound the longest known is forgotten.
    pub(super) fn set_void(&mut self, id: StatementId, reason: VoidReason) {
        if self.void.insert(id, reason).is_none() {
            self.void_since.push_back(id);
        }
        while self.void_since.len() > STATEMENTS_VOID_MAX {
            if let Some(oldest) = self.void_since.pop_front() {
                self.void.remove(&oldest);
            }
        }
    }

    /// Up to `max` statements to cite, sorted: the tips, and when they are more than that, the
    /// statements at `needed` first.
    pub(super) fn tips(&self, max: usize, needed: &[usize]) -> Vec<StatementId> {
        let chosen: BTreeSet<usize> = if self.tips.len() <= max {
            self.tips.clone()
        } else {
            let needed = needed.iter().take(max / 2).copied();
            let mut chosen: BTreeSet<usize> = needed.collect();
            for tip in &self.tips {
                if chosen.len() == max {
                    break;
                }
                chosen.insert(*tip);
            }
            chosen
        };
        let mut ids: Vec<_> = chosen.into_iter().map(|at| self.statement(at).id()).collect();
        ids.sort();
        ids
    }

    /// The closure of statements at these positions.
    pub(super) fn closure(&self, positions: &[usize]) -> Closure {
        if self.tips.is_subset(&positions.iter().copied().collect()) {
            return Closure::All;
        }
        let mut bits = vec![0_u64; self.entries.len().div_ceil(64)];
        let mut open: Vec<usize> = positions.to_vec();
        while let Some(position) = open.pop() {
            let word = &mut bits[position / 64];
            let bit = 1 << (position % 64);
            if *word & bit == 0 {
                *word |= bit;
                open.extend(&self.entries[position].parents);
            }
        }
        Closure::Some(bits)
    }

    /// Statements that are not here and that these, or waiting ones among them, cite.
    pub(super) fn missing(&self, tips: &[StatementId]) -> Vec<StatementId> {
        let mut missing = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<StatementId> = tips.to_vec();
        while let Some(id) = open.pop() {
            if self.judged(id) || !seen.insert(id) {
                continue;
            }
            match self.waiting.get(&id) {
                Some(statement) => open.extend(&statement.tips),
                None => {
                    missing.insert(id);
                }
            }
        }
        missing.into_iter().collect()
    }

    pub(super) fn wanted(&self) -> BTreeSet<StatementId> {
        let absent = |id: &&StatementId| !self.waiting.contains_key(id);
        self.dependents.keys().filter(absent).copied().collect()
    }

    /// Keeps a statement until what it cites is here; past the bound the longest waiting is dropped.
    pub(super) fn wait(&mut self, statement: VerifiedStatement) {
        let id = statement.id();
        let absent: Vec<_> = statement.tips.iter().filter(|tip| !self.judged(**tip)).copied().collect();
        for tip in absent {
            self.dependents.entry(tip).or_default().insert(id);
        }
        self.waiting.insert(id, statement);
        self.waiting_since.push_back(id);
        while self.waiting_since.len() > STATEMENTS_WAITING_MAX {
            if let Some(oldest) = self.waiting_since.pop_front() {
                self.stop_waiting(oldest);
            }
        }
    }

    /// Takes out the waiting statements that cite `judged` and nothing that is still missing.
    pub(super) fn release(&mut self, judged: StatementId) -> Vec<VerifiedStatement> {
        let mut released = Vec::new();
        for id in self.dependents.remove(&judged).unwrap_or_default() {
            let ready = self
                .waiting
                .get(&id)
                .is_some_and(|statement| statement.tips.iter().all(|tip| self.judged(*tip)));
            if ready {
                released.extend(self.stop_waiting(id));
                self.waiting_since.retain(|waiting| *waiting != id);
            }
        }
        released
    }

    fn judged(&self, id: StatementId) -> bool {
        self.positions.contains_key(&id) || self.void.contains_key(&id)
    }

    fn stop_waiting(&mut self, id: StatementId) -> Option<VerifiedStatement> {
        let statement = self.waiting.remove(&id)?;
        for tip in &statement.tips {
            if let Some(dependents) = self.dependents.get_mut(tip) {
                dependents.remove(&id);
                if dependents.is_empty() {
                    self.dependents.remove(tip);
                }
            }
        }
        Some(statement)
    }
}
