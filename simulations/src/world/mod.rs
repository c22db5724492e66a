//! The world: virtual time, chance, a network, disks, and the real core on every node.
//!
//! Only this module knows time and chance. It runs `Replica` as the product's driver does (inbox,
//! screening, one step, effects released after the commit), with the gossip layer, connections and
//! disks as models. Promises: events happen in (time, sequence) order; equal seeds give equal traces;
//! nothing outside decides anything but through [`World`]'s methods.
//!
//! Left out: threads, sockets and the HTTP surface; those are tested on real processes.

pub mod chance;
pub mod clock;
mod connections;
pub mod cut;
pub mod disk;
pub mod event;
pub mod founding;
pub mod gossip;
pub mod harm;
pub mod hostile;
pub mod link;
pub mod log;
mod network;
pub mod node;
pub mod process;
pub mod queue;
pub mod trace;

use std::collections::{BTreeMap, BTreeSet};

use starling_crdt::gossip::Screener;
use starling_crdt::id::{AuthorKey, SpaceId, Topic};
use starling_crdt::replica::{Input, LocalRequest, RequestTicket};
use starling_crdt::seal::EpochKey;

use self::chance::Chance;
use self::connections::Connections;
use self::cut::Cut;
use self::event::{Event, Observation, Seen};
use self::gossip::Messages;
use self::link::{Added, Link};
use self::log::EventLog;
use self::node::{Node, NodeSetup};
use self::queue::{Queue, Time};
use self::trace::Trace;

/// What a world is made from.
pub struct WorldSetup {
    /// The seed of every draw.
    pub seed: u64,
    /// The nodes.
    pub nodes: Vec<NodeSetup>,
    /// The space they share.
    pub space: SpaceId,
    /// The key its gossip is sealed with.
    pub epoch_key: EpochKey,
    /// The different links there are.
    pub links: Vec<Link>,
    /// For each pair of nodes, from first to second, which link it is.
    pub link_of: Vec<u16>,
    /// Whether all nodes are on one network, so that their operator has them notice a dead connection soon.
    pub local: bool,
}

/// Bytes sent since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Of changes the receiver did not have.
    pub useful: u64,
    /// Of changes it had.
    pub redundant: u64,
    /// Of everything else.
    pub control: u64,
    /// By each node, of all kinds.
    pub by_node: Vec<u64>,
}

impl Traffic {
    fn count(&mut self, node: usize, bytes: u64) {
        if self.by_node.len() <= node {
            self.by_node.resize(node + 1, 0);
        }
        self.by_node[node] += bytes;
    }

    fn count_control(&mut self, node: usize, bytes: u64) {
        self.count(node, bytes);
        self.control += bytes;
    }

    fn count_gossip(&mut self, node: usize, bytes: u64, is_data: bool, is_new: bool) {
        self.count(node, bytes);
        match (is_data, is_new) {
            (false, _) => self.control += bytes,
            (true, true) => self.useful += bytes,
            (true, false) => self.redundant += bytes,
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.useful + self.redundant + self.control
    }
}

/// What a fault does to links while it is there.
struct Overlay {
    handle: u64,
    fault: usize,
    nodes: Vec<usize>,
    added: Added,
}

/// What came of letting the world go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Something happened inside.
    Inside,
    /// What was put on the agenda is due.
    Agenda(u64),
    /// Nothing will happen any more.
    Nothing,
}

/// Observations kept until somebody takes them. Past it none are added, and the run is undecided.
pub const OBSERVATIONS_MAX: usize = 1_000_000;

/// The world.
pub struct World {
    now: Time,
    queue: Queue<Event>,
    nodes: Vec<Node>,
    chance: Chance,
    space: SpaceId,
    fleet_screener: Screener,
    topic: Topic,
    epoch_key: EpochKey,
    messages: Messages,
    connections: Connections,
    links: Vec<Link>,
    link_of: Vec<u16>,
    local: bool,
    fleet: usize,
    cuts: Vec<(u64, Cut)>,
    overlays: Vec<Overlay>,
    handles: u64,
    traffic: Traffic,
    trace: Trace,
    tickets: u64,
    observations: Vec<Seen>,
    events: u64,
    /// Frames that were sent and have not arrived.
    under_way: u64,
    /// Hashes of the changes that hostile nodes made beside their cores.
    made_by_hand: BTreeSet<[u8; 32]>,
    /// Who sent a delta that its author did not sign, by the hash of its last change and its signature.
    forged: BTreeMap<([u8; 32], [u8; 64]), usize>,
    /// Observations that found no room.
    unseen: u64,
}

impl World {
    /// A world at time zero in which no process runs yet.
    pub fn new(setup: WorldSetup) -> Self {
        let fleet_screener = Screener::default();
        let topic = fleet_screener.learn_space(setup.space, setup.epoch_key.clone());
        let chance = Chance::new(setup.seed);
        let fleet = setup.nodes.len();
        let nodes = setup.nodes.into_iter().map(process::at_rest).collect();
        Self {
            now: 0,
            queue: Queue::default(),
            nodes,
            chance,
            space: setup.space,
            fleet_screener,
            topic,
            epoch_key: setup.epoch_key,
            messages: Messages::default(),
            connections: Connections::default(),
            links: setup.links,
            link_of: setup.link_of,
            local: setup.local,
            fleet,
            cuts: Vec::new(),
            overlays: Vec::new(),
            handles: 0,
            traffic: Traffic::default(),
            trace: Trace::default(),
            tickets: 0,
            observations: Vec::new(),
            events: 0,
            under_way: 0,
            made_by_hand: BTreeSet::new(),
            forged: BTreeMap::new(),
            unseen: 0,
        }
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The space the fleet shares.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The source of draws.
    pub fn chance(&self) -> Chance {
        self.chance
    }

    /// The nodes, clones at the end.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// Bytes sent.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Events handled.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Frames that were sent and have not arrived, those to ends that are gone by now among them.
    pub fn frames_under_way(&self) -> u64 {
        self.under_way
    }

    fn send_off(&mut self, at: Time, event: Event) {
        self.under_way += 1;
        self.queue.schedule(at, event);
    }

    /// The trace so far, as a hash in hex.
    pub fn trace_hash(&self) -> String {
        self.trace.hash()
    }

    /// Writes every event from now on to `log`.
    pub fn log_to(&mut self, log: EventLog) {
        self.trace.log_to(log);
        for node in &self.nodes {
            self.trace.introduce(node.key, &node.name);
        }
    }

    /// Notes something that whoever drives the world did.
    pub fn trace_note(&mut self, node: usize, detail: &[u8]) {
        let now = self.now;
        self.trace.note(now, 1, node, detail);
    }

    /// Who holds a key, clones included.
    pub fn nodes_of(&self, key: AuthorKey) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, node)| node.key == key).map(|(index, _)| index)
    }

    /// Takes what was observed since the last time, and leaves `emptied` to be filled again: nearly every
    /// event is observed, so their memory goes to and fro.
    pub fn observations(&mut self, emptied: Vec<Seen>) -> Vec<Seen> {
        debug_assert!(emptied.is_empty());
        std::mem::replace(&mut self.observations, emptied)
    }

    /// Observations that found no room: a run that has any cannot tell.
    pub fn unseen(&self) -> u64 {
        self.unseen
    }

    fn observe(&mut self, what: Observation) {
        if self.observations.len() < OBSERVATIONS_MAX {
            self.observations.push(Seen { at: self.now, what });
        } else {
            self.unseen += 1;
        }
    }

    fn fired(&mut self, faults: &[usize]) {
        for fault in faults {
            self.observe(Observation::Fired { fault: *fault, by: 1 });
        }
    }

    /// Comes back as [`Progress::Agenda`] at `at`.
    pub fn schedule(&mut self, at: Time, agenda: u64) {
        self.queue.schedule(at.max(self.now), Event::Agenda(agenda));
    }

    /// Asks a node as a client on its host does. Gives the number of the request; nothing when no
    /// process is there to take it.
    pub fn submit(&mut self, node: usize, request: LocalRequest) -> Option<u64> {
        self.nodes[node].process.as_ref()?;
        self.tickets += 1;
        let ticket = self.tickets;
        self.deliver(node, Input::Local { ticket: RequestTicket(ticket), request }, 1);
        Some(ticket)
    }

    /// Lets the next thing happen.
    pub fn go_on(&mut self) -> Progress {
        let Some((at, event)) = self.queue.pop() else { return Progress::Nothing };
        self.now = self.now.max(at);
        self.events += 1;
        match event {
            Event::Agenda(agenda) => return Progress::Agenda(agenda),
            Event::Wake { node, process } => self.wake(node, process),
            Event::Step { node, process } => self.step_due(node, process),
            Event::Release { node, process, effects } => self.release(node, process, effects),
            Event::Arrive { connection, way, parcel } => {
                self.under_way -= 1;
                self.arrive(connection, way, parcel);
            }
            Event::Dialled { node, process, dial } => self.dialled(node, process, *dial),
            Event::DialFailed { node, process, target } => {
                self.hand_over(node, process, Input::DialFailed { target: *target });
            }
            Event::AskTimeout { node, process, peer, id } => self.ask_timed_out(node, process, peer, id),
            Event::Heartbeat { node, process } => self.heartbeat(node, process),
            Event::Silence { connection, cut } => self.silence(connection, cut),
            Event::Lost { node, process, peer, connection } => self.lost(node, process, peer, connection),
            Event::Offered { connection, way, message } => {
                self.under_way -= 1;
                self.offered(connection, way, message);
            }
        }
        Progress::Inside
    }
}
