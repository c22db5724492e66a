//! The oracle: it knows what was written, what was acknowledged, and who holds what.
//!
//! It watches from outside: replies to clients, the rows of stores, and what documents show. It
//! shares no code with the core beyond its public reading interface, and judges nothing: that is
//! what [`crate::properties`] does with what it knows.

pub mod causal;
pub mod chunk;
pub mod ledger;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use starling_crdt::id::DocumentName;
use starling_crdt::store::tables::{
    DeltaRecord, FrontierRecord, SpaceIndex, SpaceRecord, delta_key, frontier_key, record,
};
use starling_crdt::store::{KeyRange, Row, StoreRead, Table, after_prefix};

use self::chunk::Hash;
use self::ledger::{Actor, Ledger, RunKey, Wrong};
use crate::world::World;
use crate::world::queue::Time;

/// Rows read at once.
const PAGE_ROWS: usize = 1_024;

/// An arrival that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Where.
    pub node: usize,
    /// Whose change it is.
    pub author: usize,
    /// Of which run.
    pub key: RunKey,
    /// Of which change in it.
    pub seq: u64,
    /// How long it took.
    pub took: Time,
    /// When it came.
    pub at: Time,
}

/// Everything acknowledged until a fault was over, to be held by everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// When the fault was over.
    pub since: Time,
    /// Pairs of honest nodes and changes still missing.
    pub missing: u64,
    /// When none was missing any more.
    pub reached: Option<Time>,
}

/// Arrivals that took at least this long are remembered, in microseconds.
const WAIT_MIN: Time = 1_000_000;
/// Remembered waits. Past twice as many the shorter half is forgotten.
const WAITS_MAX: usize = 2_000;

/// What is known from outside.
#[derive(Default)]
pub struct Oracle {
    /// Every change and who holds it.
    pub ledger: Ledger,
    /// Times from a change's birth to its arrival at another node, in microseconds.
    pub delays: Vec<u64>,
    /// Long ones that nobody has taken yet.
    fresh: Vec<Wait>,
    /// The longest of those that were.
    pub waits: Vec<Wait>,
    /// What everyone is to have caught up with.
    pub goal: Option<Goal>,
    /// Nodes that did not keep to the protocol at some time: nothing is asked of them, and nothing
    /// they hold counts as held.
    pub hostile: BTreeSet<usize>,
    /// A write that was given up turned up again: whoever counts what is missing counts anew.
    pub revived: bool,
    authors: BTreeMap<Actor, usize>,
    /// Digests of deltas whose signatures were checked: the same bytes need it once.
    verified: RefCell<BTreeSet<Hash>>,
    index: Option<SpaceIndex>,
}

/// Every row whose key begins with `prefix`.
///
/// # Errors
/// What the store says.
pub fn rows(store: &dyn StoreRead, table: Table, prefix: &[u8]) -> Result<Vec<Row>, String> {
    let end = after_prefix(prefix).unwrap_or_else(|| vec![0xff; 8]);
    let mut start = prefix.to_vec();
    let mut all = Vec::new();
    loop {
        let page = store
            .rows(table, KeyRange::between(&start, &end), PAGE_ROWS)
            .map_err(|error| error.to_string())?;
        let full = page.len() == PAGE_ROWS;
        if let Some((last, _)) = page.last() {
            start = [last.as_slice(), &[0]].concat();
        }
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

impl Oracle {
    /// Of a fleet in which these do not keep to the protocol from the start.
    pub fn watching(hostile: BTreeSet<usize>) -> Self {
        Self { hostile, ..Self::default() }
    }

    /// Takes note of what every node starts with.
    pub fn founding(&mut self, world: &World, nodes: usize) {
        for node in 0..nodes {
            if let Some(store) = world.node(node).reader().map(|reader| reader.store()) {
                self.index = self.index_of(world, store);
                for (key, _, _) in self.frontiers(store, &[]).unwrap_or_default() {
                    self.ledger.founding.insert(key);
                }
                break;
            }
        }
    }

    fn index_of(&self, world: &World, store: &dyn StoreRead) -> Option<SpaceIndex> {
        let value = store.value(Table::Spaces, &world.space().0).ok()??;
        let space: SpaceRecord = record(&value, "space record").ok()?;
        Some(space.index)
    }

    /// The number of the fleet's space in its stores.
    pub fn space_index(&self) -> SpaceIndex {
        self.index.unwrap_or(SpaceIndex(0))
    }

    /// How far each run of a document has come in a store: of all documents, if `of` is empty.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn frontiers(&self, store: &dyn StoreRead, of: &[u8]) -> Result<Vec<(RunKey, u64, Hash)>, String> {
        let prefix = [self.space_index().all().as_slice(), of].concat();
        let mut found = Vec::new();
        for (key, value) in rows(store, Table::Frontiers, &prefix)? {
            let (name, actor) = frontier_key(&key).ok_or("a frontier key is malformed")?;
            let tip: FrontierRecord = record(&value, "frontier record").map_err(|error| error.to_string())?;
            found.push(((name.as_str().to_owned(), actor.0), tip.seq, tip.hash.0));
        }
        Ok(found)
    }

    /// The changes one run holds in a store after `after`: sequence numbers, hashes, dependencies.
    ///
    /// # Errors
    /// What is wrong with the store.
    pub fn stored(
        &self,
        store: &dyn StoreRead,
        key: &RunKey,
        after: u64,
    ) -> Result<Vec<chunk::Change>, String> {
        let name = DocumentName::new(key.0.as_str()).map_err(|error| error.to_string())?;
        let prefix = self.space_index().actor_rows(&name, starling_crdt::id::Actor(key.1));
        let mut found = Vec::new();
        for (row, value) in rows(store, Table::Deltas, &prefix)? {
            delta_key(&row).ok_or("a delta key is malformed")?;
            let delta: DeltaRecord = record(&value, "delta record").map_err(|error| error.to_string())?;
            for bytes in &delta.changes {
                let change = chunk::read(bytes).ok_or("a stored change does not read")?;
                if change.seq > after {
                    found.push(change);
                }
            }
        }
        Ok(found)
    }

    /// A document changed at a node, or all of them if it just started.
    pub fn look(&mut self, world: &World, node: usize, document: Option<&str>) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let Some(reader) = world.node(node).reader() else { return wrong };
        let store = reader.store();
        let of = document.map_or(Vec::new(), |name| [name.as_bytes(), &[0]].concat());
        // A store that cannot be read now is looked at again at the next change or sweep.
        let Ok(tips) = self.frontiers(store, &of) else { return wrong };
        let mut news = Vec::new();
        for (key, seq, hash) in tips {
            if self.ledger.holding(node).tips.get(&key) == Some(&(seq, hash)) {
                continue;
            }
            self.births(world, store, node, &key, seq, &mut wrong);
            match self.ledger.hold(node, &key, seq, hash) {
                Ok((first, last)) => {
                    self.arrived(world.now(), node, &key, first, last);
                    news.push((key, first, last));
                }
                Err(found) => wrong.push(found),
            }
        }
        let bare = news.iter().filter_map(|(key, first, last)| self.bare(node, key, *first, *last));
        wrong.extend(bare);
        wrong
    }

    /// The first of these changes of a run that a node holds without something it rests on.
    fn bare(&self, node: usize, key: &RunKey, first: u64, last: u64) -> Option<Wrong> {
        let run = self.ledger.run(key)?.iter().enumerate();
        let mut news = run.take(last as usize).skip(first.saturating_sub(1) as usize);
        // What every node started with is known by no hash: sweeps look at the whole.
        let lacks =
            |on: &Hash| self.ledger.change(&key.0, on).is_some() && !self.ledger.holds(node, &key.0, on);
        let (place, _) = news.find(|(_, entry)| entry.dependencies.iter().any(lacks))?;
        Some(Wrong::Bare { document: key.0.clone(), seq: place as u64 + 1 })
    }

    /// Takes note of changes of a run that nobody has seen before, if their author made them.
    fn births(
        &mut self,
        world: &World,
        store: &dyn StoreRead,
        node: usize,
        key: &RunKey,
        seq: u64,
        wrong: &mut Vec<Wrong>,
    ) {
        let known = self.ledger.run(key).map_or(0, Vec::len) as u64;
        if seq <= known || self.ledger.is_founding(key) {
            return;
        }
        let Some(author) = self.author(world, store, key.1) else { return };
        // A twin writes under the same key: what it makes is its own.
        let is_here = world.node(node).key == world.node(author).key;
        let here = if is_here { node } else { author };
        for change in self.stored(store, key, known).unwrap_or_default() {
            if change.seq > seq {
                continue;
            }
            if is_here || self.made_by(world, author, key, &change) {
                wrong.extend(self.ledger.born(key, &change, here, world.now()));
            }
        }
        let born = self.ledger.run(key).map_or(0, Vec::len) as u64;
        if is_here && born < seq {
            wrong.push(Wrong::Hollow { document: key.0.clone(), seq: born + 1 });
        }
    }

    /// Whether an author made a change that is first seen elsewhere. What a node makes is in its
    /// store before anybody hears of it, so an honest author has it, or its process is gone; a
    /// hostile one may have made it by hand.
    fn made_by(&self, world: &World, author: usize, key: &RunKey, change: &chunk::Change) -> bool {
        if world.made_by_hand(&change.hash) {
            return self.hostile.contains(&author);
        }
        world.nodes_of(world.node(author).key).any(|place| {
            world.node(place).reader().is_none_or(|reader| {
                let stored = self.stored(reader.store(), key, change.seq - 1);
                stored.is_ok_and(|stored| stored.iter().any(|one| one.hash == change.hash))
            })
        })
    }

    /// Whether these bytes were checked before.
    pub fn has_verified(&self, digest: &Hash) -> bool {
        self.verified.borrow().contains(digest)
    }

    /// Remembers that these bytes are signed as they should be.
    pub fn note_verified(&self, digest: Hash) {
        self.verified.borrow_mut().insert(digest);
    }

    /// Who wrote as an actor: a place in the fleet.
    pub fn author(&mut self, world: &World, store: &dyn StoreRead, actor: Actor) -> Option<usize> {
        if let Some(author) = self.authors.get(&actor) {
            return Some(*author);
        }
        let key = self.space_index().incarnation(starling_crdt::id::Actor(actor));
        let value = store.value(Table::Incarnations, &key).ok()??;
        let incarnation: starling_crdt::incarnation::Incarnation = record(&value, "incarnation").ok()?;
        let author = world.nodes_of(incarnation.author).next()?;
        self.authors.insert(actor, author);
        Some(author)
    }

    fn arrived(&mut self, now: Time, node: usize, key: &RunKey, first: u64, last: u64) {
        let is_honest = !self.hostile.contains(&node);
        if is_honest && self.ledger.revive(key, first, last) {
            self.revived = true;
        }
        let Some(run) = self.ledger.run(key) else { return };
        for (place, entry) in
            run.iter().enumerate().take(last as usize).skip(first.saturating_sub(1) as usize)
        {
            if let Some(goal) = self.goal.as_mut().filter(|goal| is_honest && goal.missing > 0)
                && entry.acknowledged.is_some_and(|at| at <= goal.since)
            {
                goal.missing -= 1;
                if goal.missing == 0 {
                    goal.reached = Some(now);
                }
            }
            if entry.author == node {
                continue;
            }
            let took = now.saturating_sub(entry.born);
            self.delays.push(took);
            if took >= WAIT_MIN {
                let (author, seq) = (entry.author, place as u64 + 1);
                self.fresh.push(Wait { node, author, key: key.clone(), seq, took, at: now });
            }
        }
    }

    /// Long waits that ended since this was asked last; the longest of all are kept in [`Oracle::waits`].
    pub fn fresh_waits(&mut self) -> Vec<Wait> {
        let fresh = std::mem::take(&mut self.fresh);
        self.waits.extend(fresh.iter().cloned());
        if self.waits.len() > 2 * WAITS_MAX {
            self.waits.sort_by_key(|wait| std::cmp::Reverse(wait.took));
            self.waits.truncate(WAITS_MAX);
        }
        fresh
    }
}
