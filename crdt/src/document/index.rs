//! What the validator knows of a document: its changes as a graph, and for every operation the
//! object and key it belongs to and what it does.
//!
//! Promises: about a dozen bytes an operation; whether an operation lies in a change's causal past
//! is answered from a clock; taking back the change that was being added leaves no trace but
//! interned names. Leaves out the rules, which `validate` has, and the values, which automerge has.

mod past;

pub use past::PastChange;

use std::collections::BTreeMap;

use crate::id::{Actor, ChangeHash};
use crate::limits::VALIDATOR_CLOCKS_MAX;

/// Every so many changes a clock is kept for good, so that walks through the graph stay short.
const CLOCK_STEP: u32 = 128;
/// Estimated bytes of an empty document, of a change and of an operation, in automerge and here,
/// from the resident memory of documents of 1 to 20,000 changes and of up to 90,000 operations.
const DOCUMENT_BYTES: usize = 22 * 1024;
const CHANGE_BYTES: usize = 320;
const OP_BYTES: usize = 48;

/// An operation's place in [`Index::ops`].
pub(super) type OpRef = u32;
/// An object's place in [`Index::objects`]; the root is 0.
pub(super) type ObjectRef = u32;
/// A change's place in [`Index::nodes`].
type NodeRef = u32;
/// An actor's place in [`Index::runs`].
pub(super) type ActorRef = u32;

/// The root object.
pub(super) const ROOT: ObjectRef = 0;

/// What kind of object a make operation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    List,
    Text,
}

/// What an operation does at its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Scalar,
    Counter,
    Make,
    Delete,
    Increment,
}

impl Effect {
    /// Whether the operation puts a value there, which others may name as predecessor.
    pub(super) fn is_value(self) -> bool {
        matches!(self, Self::Scalar | Self::Counter | Self::Make)
    }
}

/// Where in its object an operation acts. In a map an interned name, in a list or text the
/// operation that inserted the element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) object: ObjectRef,
    pub(super) key: u32,
    pub(super) effect: Effect,
    pub(super) insert: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) depth: u8,
}

/// The operations of one change: consecutive counters, consecutive places.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    length: u32,
    first: OpRef,
}

#[derive(Debug, Clone)]
struct Node {
    actor: ActorRef,
    seq: u64,
    /// Largest operation counter of the change, or one less than its first when it has none.
    max_op: u32,
    deletion: bool,
    /// Seconds since 1970, as its author claims.
    time: i64,
    /// One above the highest step among its dependencies: an order in which every change comes after
    /// what it rests on, the same on every node.
    step: u32,
    dependencies: Box<[NodeRef]>,
}

/// An actor's last change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) hash: ChangeHash,
}

/// Per actor the largest operation counter in a causal past; zero where there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock(Vec<u32>);

impl Clock {
    pub(super) fn covers(&self, actor: ActorRef, counter: u32) -> bool {
        self.0.get(actor as usize).is_some_and(|max| counter <= *max)
    }

    fn raise(&mut self, actor: ActorRef, counter: u32) {
        let place = actor as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] = self.0[place].max(counter);
    }

    fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
    }
}

/// What a change says of itself, for the graph.
pub(super) struct NewChange<'a> {
    pub(super) hash: ChangeHash,
    pub(super) actor: Actor,
    pub(super) seq: u64,
    pub(super) start_op: u32,
    pub(super) dependencies: &'a [ChangeHash],
    pub(super) deletion: bool,
    pub(super) time: i64,
    pub(super) bytes: usize,
}

/// Where the index stood before a change, to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    ops: usize,
    objects: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Index {
    actors: BTreeMap<Actor, ActorRef>,
    tips: Vec<Option<Tip>>,
    runs: Vec<Vec<Run>>,
    ops: Vec<Op>,
    names: BTreeMap<String, u32>,
    objects: Vec<Object>,
    /// The object each make operation made.
    made: BTreeMap<OpRef, ObjectRef>,
    nodes: Vec<Node>,
    by_hash: BTreeMap<ChangeHash, NodeRef>,
    heads: BTreeMap<ChangeHash, NodeRef>,
    clocks: BTreeMap<NodeRef, Clock>,
    bytes: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            actors: BTreeMap::new(),
            tips: Vec::new(),
            runs: Vec::new(),
            ops: Vec::new(),
            names: BTreeMap::new(),
            objects: vec![Object { kind: Kind::Map, depth: 0 }],
            made: BTreeMap::new(),
            nodes: Vec::new(),
            by_hash: BTreeMap::new(),
            heads: BTreeMap::new(),
            clocks: BTreeMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn heads(&self) -> Vec<ChangeHash> {
        self.heads.keys().copied().collect()
    }

    pub(super) fn heads_count(&self) -> usize {
        self.heads.len()
    }

    /// The largest operation counter in the document.
    pub(super) fn heads_max_op(&self) -> u32 {
        self.heads.values().map(|node| self.nodes[*node as usize].max_op).max().unwrap_or(0)
    }

    pub(super) fn contains(&self, change: &ChangeHash) -> bool {
        self.by_hash.contains_key(change)
    }

    pub(super) fn changes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn approximate_bytes(&self) -> usize {
        let clocks = self.clocks.len() * self.runs.len() * size_of::<u32>();
        let graph = self.nodes.len() * CHANGE_BYTES + clocks;
        DOCUMENT_BYTES + graph + self.ops.len() * OP_BYTES + self.bytes
    }

    /// Whether there are heads and each of them is a known deletion.
    pub(super) fn all_deletions(&self, heads: &[ChangeHash]) -> bool {
        let deletion = |hash| self.by_hash.get(hash).is_some_and(|node| self.nodes[*node as usize].deletion);
        !heads.is_empty() && heads.iter().all(deletion)
    }

    /// The largest operation counter of a change.
    pub(super) fn max_op(&self, change: &ChangeHash) -> Option<u32> {
        self.by_hash.get(change).map(|node| self.nodes[*node as usize].max_op)
    }

    /// The sequence numbers of those of the given changes that an actor made.
    pub(super) fn own_seqs(&self, actor: Actor, changes: &[ChangeHash]) -> Vec<u64> {
        let Some(actor) = self.actor(actor) else {
            return Vec::new();
        };
        let nodes = changes.iter().filter_map(|hash| self.by_hash.get(hash));
        let nodes = nodes.map(|node| &self.nodes[*node as usize]);
        nodes.filter(|node| node.actor == actor).map(|node| node.seq).collect()
    }

    /// The actor that made a change.
    pub(super) fn author(&self, change: &ChangeHash) -> Option<Actor> {
        let node = self.by_hash.get(change)?;
        let wanted = self.nodes[*node as usize].actor;
        self.actors.iter().find(|(_, place)| **place == wanted).map(|(actor, _)| *actor)
    }

    pub(super) fn tip(&self, actor: Actor) -> Option<Tip> {
        self.tips[*self.actors.get(&actor)? as usize]
    }

    /// The actor's place, given one if it has none yet.
    pub(super) fn enter_actor(&mut self, actor: Actor) -> ActorRef {
        let next = self.runs.len() as ActorRef;
        let place = *self.actors.entry(actor).or_insert(next);
        if place == next {
            self.runs.push(Vec::new());
            self.tips.push(None);
        }
        place
    }

    pub(super) fn actor(&self, actor: Actor) -> Option<ActorRef> {
        self.actors.get(&actor).copied()
    }

    /// The operation of a change already in the graph.
    pub(super) fn find(&self, actor: ActorRef, counter: u32) -> Option<OpRef> {
        let runs = self.runs.get(actor as usize)?;
        let after = runs.partition_point(|run| run.start <= counter);
        let run = runs.get(after.checked_sub(1)?)?;
        let offset = counter - run.start;
        (offset < run.length).then(|| run.first + offset)
    }

    pub(super) fn op(&self, op: OpRef) -> Op {
        self.ops[op as usize]
    }

    pub(super) fn object(&self, object: ObjectRef) -> Object {
        self.objects[object as usize]
    }

    pub(super) fn made(&self, op: OpRef) -> Option<ObjectRef> {
        self.made.get(&op).copied()
    }

    /// The element of a list or text that an operation inserted or changed.
    pub(super) fn element(&self, id: (u64, Actor)) -> Option<OpRef> {
        let (counter, actor) = id;
        let op = self.find(self.actor(actor)?, u32::try_from(counter).ok()?)?;
        Some(self.op(op).key)
    }

    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(place) = self.names.get(name) {
            return *place;
        }
        let place = self.names.len() as u32;
        self.names.insert(name.to_owned(), place);
        place
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { ops: self.ops.len(), objects: self.objects.len() }
    }

    /// Takes back every operation and object since `mark`.
    pub(super) fn reset(&mut self, mark: Mark) {
        self.ops.truncate(mark.ops);
        self.objects.truncate(mark.objects);
        drop(self.made.split_off(&(mark.ops as OpRef)));
    }

    /// The place the next operation gets.
    pub(super) fn next_op(&self) -> OpRef {
        self.ops.len() as OpRef
    }

    pub(super) fn push_op(&mut self, op: Op, makes: Option<Object>) {
        if let Some(object) = makes {
            self.made.insert(self.next_op(), self.objects.len() as ObjectRef);
            self.objects.push(object);
        }
        self.ops.push(op);
    }

    /// The clock of everything the given changes know, themselves included. All must be known.
    pub(super) fn past(&self, dependencies: &[ChangeHash]) -> Clock {
        let mut clock = Clock::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut walk: Vec<NodeRef> =
            dependencies.iter().filter_map(|hash| self.by_hash.get(hash).copied()).collect();
        while let Some(node) = walk.pop() {
            if !seen.insert(node) {
                continue;
            }
            if let Some(known) = self.clocks.get(&node) {
                clock.merge(known);
                continue;
            }
            let Node { actor, max_op, dependencies, .. } = &self.nodes[node as usize];
            clock.raise(*actor, *max_op);
            walk.extend(dependencies.iter().copied());
        }
        clock
    }

    /// Adds the change whose operations were pushed since `mark`, and whose past is `clock`.
    pub(super) fn commit(&mut self, change: &NewChange<'_>, mark: Mark, mut clock: Clock) {
        let actor = self.enter_actor(change.actor);
        let node = self.nodes.len() as NodeRef;
        let length = (self.ops.len() - mark.ops) as u32;
        let max_op = change.start_op + length - 1;
        let dependencies: Box<[NodeRef]> =
            change.dependencies.iter().filter_map(|hash| self.by_hash.get(hash).copied()).collect();
        let before = dependencies.iter().map(|node| self.nodes[*node as usize].step).max();
        self.nodes.push(Node {
            actor,
            seq: change.seq,
            max_op,
            deletion: change.deletion,
            time: change.time,
            step: before.unwrap_or(0) + 1,
            dependencies,
        });
        if length > 0 {
            self.runs[actor as usize].push(Run { start: change.start_op, length, first: mark.ops as OpRef });
        }
        for dependency in change.dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(change.hash, node);
        self.by_hash.insert(change.hash, node);
        self.tips[actor as usize] = Some(Tip { seq: change.seq, hash: change.hash });
        self.bytes += change.bytes;
        clock.raise(actor, max_op);
        self.clocks.insert(node, clock);
        self.forget_clock(node);
    }

    /// Drops the clock that leaves the window of recent ones, unless it is kept for good.
    fn forget_clock(&mut self, newest: NodeRef) {
        if let Some(old) = newest.checked_sub(VALIDATOR_CLOCKS_MAX as NodeRef)
            && old % CLOCK_STEP != 0
        {
            self.clocks.remove(&old);
        }
    }
}
