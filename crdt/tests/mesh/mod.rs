//! A mesh of replicas in memory: virtual time, seeded delivery, everything that happens hashed.

#![allow(dead_code, unused_imports, reason = "each test uses the part it needs")]

mod asking;
pub mod failing;
mod node;
pub mod rogue;
mod showing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};
use starling_crdt::address::Address;
use starling_crdt::exchange::{MessageError, Request, decode_message};
use starling_crdt::id::{AuthorKey, Topic};
use starling_crdt::replica::{Effect, Input, MessageToken, Verdict};
use starling_crdt::time::{Moment, Now, WallTime};

pub use node::{EPOCH, Exchanged, Node, statements};

use crate::draws::Draws;

/// What is on its way to a node.
struct Flight {
    to: usize,
    input: Input,
}

/// What a peer that is no replica does with a question; it may say nothing.
pub type Answering = Box<dyn FnMut(Result<Request, MessageError>) -> Option<Vec<u8>>>;

/// After how long a question that nobody answers fails, as the shell does it.
const QUESTION_TIMEOUT: u64 = 10_000_000;

pub struct Mesh {
    /// Peers that are no replicas, by key.
    pub rogues: BTreeMap<AuthorKey, Answering>,
    /// Questions put to each of them.
    pub asked_rogues: BTreeMap<AuthorKey, usize>,
    pub nodes: Vec<Node>,
    pub now: u64,
    pub draws: Draws,
    /// Every payload any node published.
    pub published: Vec<(Topic, Vec<u8>)>,
    flights: BTreeMap<(u64, u64), Flight>,
    gossip_seen: BTreeMap<(usize, Vec<u8>), ()>,
    links: BTreeSet<(usize, usize)>,
    pub cut: BTreeSet<(usize, usize)>,
    sequence: u64,
    tickets: u64,
    /// Percent of gossip lost.
    pub gossip_loss: usize,
    trace: Sha256,
    /// Gossip waiting for its verdict: who holds it, and what to forward.
    held: BTreeMap<(usize, u64), (Topic, Vec<u8>, usize)>,
}

const LATENCY: u64 = 2_000;

impl Mesh {
    pub fn new(count: u8, seed: u64) -> Self {
        let nodes = (0..count).map(|index| Node::open(index, 0, None, None)).collect();
        Self {
            rogues: BTreeMap::new(),
            asked_rogues: BTreeMap::new(),
            nodes,
            now: 1_000_000,
            draws: Draws(seed),
            published: Vec::new(),
            flights: BTreeMap::new(),
            gossip_seen: BTreeMap::new(),
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            sequence: 0,
            tickets: 0,
            gossip_loss: 0,
            trace: Sha256::new(),
            held: BTreeMap::new(),
        }
    }

    pub fn clock(&self) -> Now {
        now(self.now)
    }

    pub fn send(&mut self, to: usize, input: Input) {
        // A connection's coming and going are seen in order, and before what passes over it.
        let ordered = matches!(input, Input::PeerUp { .. } | Input::PeerDown { .. });
        let delay = if ordered { LATENCY } else { LATENCY + 1 + self.draws.next() % LATENCY };
        self.sequence += 1;
        self.flights.insert((self.now + delay, self.sequence), Flight { to, input });
    }

    pub fn connect(&mut self, a: usize, b: usize) {
        if a == b || self.cut.contains(&(a.min(b), a.max(b))) || !self.links.insert((a.min(b), a.max(b))) {
            return;
        }
        let (key_a, key_b) = (self.nodes[a].key, self.nodes[b].key);
        let up = |peer, inbound| Input::PeerUp { peer, address: Address::new("mem").unwrap(), inbound };
        self.send(a, up(key_b, false));
        self.send(b, up(key_a, true));
    }

    pub fn disconnect(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            let (key_a, key_b) = (self.nodes[a].key, self.nodes[b].key);
            self.send(a, Input::PeerDown { peer: key_b });
            self.send(b, Input::PeerDown { peer: key_a });
        }
    }

    /// Cuts every link between the two sides.
    pub fn partition(&mut self, left: &[usize], right: &[usize]) {
        for a in left {
            for b in right {
                self.cut.insert((*a.min(b), *a.max(b)));
                self.disconnect(*a, *b);
            }
        }
    }

    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            self.connect(a, b);
        }
    }

    pub fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                self.connect(a, b);
            }
        }
    }

    pub fn linked(&self, a: usize, b: usize) -> bool {
        self.links.contains(&(a.min(b), a.max(b)))
    }

    fn index_of(&self, key: AuthorKey) -> Option<usize> {
        self.nodes.iter().position(|node| node.key == key)
    }

    /// Lets time pass and everything happen that is due within it.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + u64::try_from(time.as_micros()).unwrap();
        loop {
            let flight = self.flights.keys().next().map_or(u64::MAX, |(at, _)| *at);
            let wakeup = self.nodes.iter().map(|node| node.replica.next_wakeup().0).min().unwrap_or(u64::MAX);
            let next = flight.min(wakeup.max(self.now + 1));
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.flights.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let flight = entry.remove();
                self.nodes[flight.to].inbox.push(flight.input);
            }
            for index in 0..self.nodes.len() {
                let due = self.nodes[index].replica.next_wakeup().0 <= self.now;
                if due || !self.nodes[index].inbox.is_empty() {
                    self.step(index);
                }
            }
        }
        self.now = end;
    }

    pub fn step(&mut self, index: usize) {
        let inputs = std::mem::take(&mut self.nodes[index].inbox);
        let at = self.clock();
        let effects = self.nodes[index].replica.step(at, inputs).expect("memory stores do not fail");
        for effect in effects {
            self.trace.update(format!("{} {index} {effect:?}", self.now));
            self.effect(index, effect);
        }
    }

    fn effect(&mut self, index: usize, effect: Effect) {
        self.nodes[index].effects.push(format!("{effect:?}"));
        match effect {
            Effect::Reply { ticket, reply } => {
                self.nodes[index].replies.insert(ticket.0, reply);
            }
            Effect::Subscribe(topic) => {
                self.nodes[index].topics.insert(topic);
            }
            Effect::Unsubscribe(topic) => {
                self.nodes[index].topics.remove(&topic);
            }
            Effect::Publish { topic, payload } => {
                self.published.push((topic, payload.clone()));
                self.spread(index, topic, &payload, index);
            }
            Effect::Verdict { token, verdict } => {
                if let Some((topic, payload, from)) = self.held.remove(&(index, token.0))
                    && verdict == Verdict::Accept
                {
                    self.spread(index, topic, &payload, from);
                }
            }
            Effect::Ask { peer, id, body } => {
                let said = &mut self.nodes[index].exchanged;
                (said.questions, said.bytes) = (said.questions + 1, said.bytes + body.len());
                self.ask(index, peer, id, &body);
            }
            Effect::Answer { peer, id, body } => {
                let said = &mut self.nodes[index].exchanged;
                (said.answers, said.bytes) = (said.answers + 1, said.bytes + body.len());
                if let Some(to) = self.index_of(peer).filter(|to| self.linked(index, *to)) {
                    let answer = self.nodes[to].replica.screener().screen_answer(&body);
                    let peer = self.nodes[index].key;
                    self.send(to, Input::Answered { peer, id, answer: Ok(answer) });
                }
            }
            Effect::Dial { target, peer, .. } => {
                let reached = peer.and_then(|peer| self.index_of(peer));
                match reached {
                    Some(to) if !self.cut.contains(&(index.min(to), index.max(to))) => {
                        self.connect(index, to)
                    }
                    _ => self.send(index, Input::DialFailed { target }),
                }
            }
            Effect::Disconnect { peer, .. } | Effect::Block(peer) => {
                if let Some(to) = self.index_of(peer) {
                    self.disconnect(index, to);
                }
            }
            _ => {}
        }
    }

    fn spread(&mut self, index: usize, topic: Topic, payload: &[u8], from: usize) {
        self.gossip_seen.insert((index, payload.to_vec()), ());
        for to in 0..self.nodes.len() {
            if to == from || !self.linked(index, to) || !self.nodes[to].topics.contains(&topic) {
                continue;
            }
            let lost = self.draws.below(100) < self.gossip_loss;
            if lost || self.gossip_seen.insert((to, payload.to_vec()), ()).is_some() {
                continue;
            }
            let (space, frame) = self.nodes[to].replica.screener().screen_gossip(topic, payload);
            self.sequence += 1;
            let token = MessageToken(self.sequence);
            self.held.insert((to, token.0), (topic, payload.to_vec(), index));
            let from = self.nodes[index].key;
            self.send(to, Input::Gossip { from, token, space, frame });
        }
    }

    fn ask(&mut self, index: usize, peer: AuthorKey, id: u64, body: &[u8]) {
        if let Some(rogue) = self.rogues.get_mut(&peer) {
            *self.asked_rogues.entry(peer).or_default() += 1;
            let (delay, answer) = match rogue(decode_message(body)) {
                Some(bytes) => (LATENCY, Ok(self.nodes[index].replica.screener().screen_answer(&bytes))),
                None => (QUESTION_TIMEOUT, Err("no answer in time".to_owned())),
            };
            self.sequence += 1;
            let input = Input::Answered { peer, id, answer };
            self.flights.insert((self.now + delay, self.sequence), Flight { to: index, input });
            return;
        }
        match self.index_of(peer).filter(|to| self.linked(index, *to)) {
            Some(to) => {
                let peer = self.nodes[index].key;
                let request = self.nodes[to].replica.screener().screen_request(body);
                self.send(to, Input::Asked { peer, id, request });
            }
            None => self.send(index, Input::Answered { peer, id, answer: Err("not connected".into()) }),
        }
    }

    pub fn trace_hash(&self) -> String {
        self.trace.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn now(micros: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(micros / 1_000).unwrap();
    Now { monotonic: Moment(micros), wall: WallTime(wall) }
}
