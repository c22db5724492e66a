//! A mesh of replicas in memory: virtual time, seeded delivery, everything that happens hashed.

#![allow(dead_code, reason = "each test uses the part it needs")]

pub mod failing;
pub mod rogue;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use failing::{Failing, How};
use rogue::Rogue;
use sha2::{Digest, Sha256};
use starling_crdt::address::Address;
use starling_crdt::charter::{Label, Role, Ticket};
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::exchange::{MessageError, Request, decode_message};
use starling_crdt::id::{AuthorKey, ChangeHash, DocumentName, SpaceId, StatementId, StoreId, Topic};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, MemberReport, MessageToken, Options, Refusal, Replica, Reply,
    RequestTicket, Verdict, Write, Written,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{MemoryStore, Store, StoreRead, Table, WriteBatch};
use starling_crdt::time::{Moment, Now, WallTime};
use starling_crdt::view::Reader;

/// Deterministic draws for the mesh itself (SplitMix64).
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub struct Node {
    pub replica: Replica<Failing>,
    pub reader: Reader,
    pub topics: BTreeSet<Topic>,
    pub replies: BTreeMap<u64, Result<Reply, Refusal>>,
    pub effects: Vec<String>,
    pub exchanged: Exchanged,
    pub key: AuthorKey,
    store: Failing,
    seed: u8,
    starts: u8,
    inbox: Vec<Input>,
}

/// What a node said in exchanges: questions and answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Exchanged {
    pub questions: usize,
    pub answers: usize,
    pub bytes: usize,
}

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
    pub gossip_loss: u64,
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
        let delay = if ordered { LATENCY } else { LATENCY + 1 + self.draws.below(LATENCY) };
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

    /// Hands a node one input and gives what it did about it.
    pub fn give(&mut self, index: usize, input: Input) -> Vec<String> {
        let before = self.nodes[index].effects.len();
        self.nodes[index].inbox.push(input);
        self.step(index);
        self.nodes[index].effects[before..].to_vec()
    }

    /// Puts an input into a node's inbox for its next step.
    pub fn send_now(&mut self, index: usize, input: Input) {
        self.nodes[index].inbox.push(input);
    }

    /// Hands a node a question of a peer, read and checked as the shell does it.
    pub fn ask_node(&mut self, to: usize, peer: AuthorKey, id: u64, request: Request) -> Vec<String> {
        let request = Ok(self.nodes[to].replica.screener().screen(request));
        self.give(to, Input::Asked { peer, id, request })
    }

    /// Hands a node a gossip payload from `from`; it spreads further if the node accepts it.
    pub fn gossip(&mut self, to: usize, from: AuthorKey, topic: Topic, payload: &[u8]) -> Vec<String> {
        let (space, frame) = self.nodes[to].replica.screener().screen_gossip(topic, payload);
        self.sequence += 1;
        let token = MessageToken(self.sequence);
        self.held.insert((to, token.0), (topic, payload.to_vec(), usize::MAX));
        self.give(to, Input::Gossip { from, token, space, frame })
    }

    /// Hands a node gossip payloads in one step, as if from `from`.
    pub fn gossip_batch(&mut self, to: usize, from: AuthorKey, payloads: &[(Topic, Vec<u8>)]) {
        for (topic, payload) in payloads {
            let (space, frame) = self.nodes[to].replica.screener().screen_gossip(*topic, payload);
            self.sequence += 1;
            let token = MessageToken(self.sequence);
            self.nodes[to].inbox.push(Input::Gossip { from, token, space, frame });
        }
        self.step(to);
    }

    /// Lets a peer that is no replica be connected with a node.
    pub fn rogue_up(&mut self, to: usize, peer: AuthorKey, answers: Answering) {
        self.rogues.insert(peer, answers);
        let address = Address::new("mem").unwrap();
        self.give(to, Input::PeerUp { peer, address, inbound: true });
    }

    /// Orphans a node holds.
    pub fn orphans(&mut self, index: usize) -> usize {
        match self.request(index, LocalRequest::Status) {
            Ok(Reply::Status(status)) => status.orphans,
            other => panic!("{other:?}"),
        }
    }

    /// Asks a node and gives its reply, in one step.
    pub fn request(&mut self, index: usize, request: LocalRequest) -> Result<Reply, Refusal> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.nodes[index].inbox.push(Input::Local { ticket: RequestTicket(ticket), request });
        self.step(index);
        self.nodes[index].replies.remove(&ticket).expect("answered in the same step")
    }

    /// Asks a node several things in one step.
    pub fn batch(&mut self, index: usize, requests: Vec<LocalRequest>) -> Vec<Result<Reply, Refusal>> {
        let first = self.tickets + 1;
        for request in requests {
            self.tickets += 1;
            let ticket = RequestTicket(self.tickets);
            self.nodes[index].inbox.push(Input::Local { ticket, request });
        }
        self.step(index);
        let replies = &mut self.nodes[index].replies;
        (first..=self.tickets).map(|ticket| replies.remove(&ticket).expect("answered")).collect()
    }

    /// Asks a node whose reply may take until `time` has passed.
    pub fn request_later(
        &mut self,
        index: usize,
        request: LocalRequest,
        time: Duration,
    ) -> Result<Reply, Refusal> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.nodes[index].inbox.push(Input::Local { ticket: RequestTicket(ticket), request });
        self.step(index);
        self.run(time);
        self.nodes[index].replies.remove(&ticket).expect("answered in time")
    }

    pub fn create_space(&mut self, index: usize) -> SpaceId {
        let epoch_key = EpochKey::from_bytes(EPOCH);
        let name = Label::new("test").unwrap();
        let nonce = [u8::try_from(index).unwrap(); 16];
        match self.request(index, LocalRequest::CreateSpace { name, nonce, epoch_key }) {
            Ok(Reply::Space(space)) => space,
            other => panic!("{other:?}"),
        }
    }

    pub fn invite(&mut self, index: usize, space: SpaceId, role: Role) -> Ticket {
        self.tickets += 1;
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.tickets.to_be_bytes());
        let secret = Identity::from_seed(&seed);
        let request =
            LocalRequest::Invite { space, role, prefix: None, uses: None, expires_in: None, secret };
        match self.request(index, request) {
            Ok(Reply::Ticket(ticket)) => *ticket,
            other => panic!("{other:?}"),
        }
    }

    /// A space of all nodes, founded by the first, everyone a writer, fully connected.
    pub fn shared_space(&mut self) -> SpaceId {
        let space = self.create_space(0);
        let ticket = self.invite(0, space, Role::Writer);
        self.connect_all();
        for index in 1..self.nodes.len() {
            self.request(index, LocalRequest::Join { ticket: Box::new(ticket.clone()) }).unwrap();
        }
        self.run(Duration::from_secs(10));
        space
    }

    pub fn write(
        &mut self,
        index: usize,
        space: SpaceId,
        name: &str,
        edit: Edit,
    ) -> Result<Written, Refusal> {
        let write = Write {
            space,
            document: DocumentName::new(name).unwrap(),
            edit,
            condition: Condition::default(),
            request_id: None,
        };
        match self.request(index, LocalRequest::Write(Box::new(write)))? {
            Reply::Written(written) => Ok(written),
            other => panic!("{other:?}"),
        }
    }

    pub fn put(&mut self, index: usize, space: SpaceId, name: &str, json: &str) -> Written {
        let value = Json::parse(json).unwrap();
        self.write(index, space, name, Edit::Put { value, base: None }).unwrap()
    }

    pub fn set(&mut self, index: usize, space: SpaceId, name: &str, pointer: &str, json: &str) -> Written {
        let edit =
            Edit::Set { pointer: pointer.parse::<Pointer>().unwrap(), value: Json::parse(json).unwrap() };
        self.write(index, space, name, edit).unwrap()
    }

    /// A document as a node shows it: JSON text and heads; nothing when it does not exist.
    pub fn document(&self, index: usize, space: SpaceId, name: &str) -> Option<(String, Vec<ChangeHash>)> {
        let name = DocumentName::new(name).unwrap();
        let known = self.nodes[index].reader.document(space, &name).ok()?;
        if known.deleted {
            return None;
        }
        let read = self.nodes[index].reader.view(space, &name, |view, _| {
            (view.document().read(None, None).unwrap().to_text(), view.document().heads())
        });
        let (read, poison) = read.unwrap();
        assert!(poison.is_empty(), "{poison:?}");
        Some(read)
    }

    /// Everything a node shows of a space.
    pub fn contents(&self, index: usize, space: SpaceId) -> Vec<(String, String, Vec<ChangeHash>)> {
        let page = self.nodes[index].reader.list(space, "", None, 100_000, false).unwrap();
        page.documents
            .into_iter()
            .map(|(name, _)| {
                let (json, heads) = self.document(index, space, name.as_str()).unwrap();
                (name.to_string(), json, heads)
            })
            .collect()
    }

    pub fn assert_converged(&self, space: SpaceId) {
        let first = self.contents(0, space);
        for index in 1..self.nodes.len() {
            assert_eq!(self.contents(index, space), first, "node {index} differs from node 0");
        }
    }

    /// Lets a node say farewell in all its spaces, as one that stops on purpose; what it says arrives.
    pub fn farewell(&mut self, index: usize) {
        let at = self.clock();
        let effects = self.nodes[index].replica.leave(at).expect("its store works");
        effects.into_iter().for_each(|effect| self.effect(index, effect));
        self.run(Duration::from_millis(20));
    }

    /// What a node says of how another stands.
    pub fn sighting(&mut self, index: usize, space: SpaceId, other: usize) -> MemberReport {
        let key = self.nodes[other].key;
        match self.request(index, LocalRequest::Members { space }) {
            Ok(Reply::Members(members)) => {
                members.into_iter().find(|report| report.member.key == key).expect("a member")
            }
            other => panic!("{other:?}"),
        }
    }

    /// Stops a node as by a kill, and starts it on the same store.
    pub fn restart(&mut self, index: usize) {
        self.restart_with_quota(index, None);
    }

    /// Restarts a node that keeps so many bytes of each space.
    pub fn restart_with_quota(&mut self, index: usize, space_bytes_max: Option<u64>) {
        for other in 0..self.nodes.len() {
            self.disconnect(index, other);
        }
        self.flights.retain(|_, flight| flight.to != index);
        self.held.retain(|(node, _), _| *node != index);
        let old = &self.nodes[index];
        let (seed, starts, store) = (old.seed, old.starts + 1, old.store.clone());
        self.nodes[index] = Node::open(seed, starts, Some((store, self.now)), space_bytes_max);
    }

    pub fn trace_hash(&self) -> String {
        self.trace.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn now(micros: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(micros / 1_000).unwrap();
    Now { monotonic: Moment(micros), wall: WallTime(wall) }
}

/// Every statement a node holds: what an honest author would cite, and more.
pub fn statements(node: &Node) -> Vec<StatementId> {
    let mut ids = Vec::new();
    starling_crdt::store::tables::walk_prefix(
        node.store(),
        Table::Statements,
        &starling_crdt::store::tables::SpaceIndex(0).all(),
        |_, value| {
            ids.push(starling_crdt::charter::VerifiedStatement::from_bytes(value).unwrap().id());
            Ok(())
        },
    )
    .unwrap();
    ids
}

/// The key under which the mesh's spaces seal their gossip.
pub const EPOCH: [u8; 32] = [9; 32];

impl Rogue {
    /// As a member of the mesh's space, with all it knows.
    pub fn of(node: &Node, space: SpaceId, nonce: u8) -> Self {
        Self::new(node.identity(), space, EpochKey::from_bytes(EPOCH), nonce, statements(node))
    }
}

impl Node {
    fn open(seed: u8, starts: u8, stored: Option<(Failing, u64)>, space_bytes_max: Option<u64>) -> Self {
        let identity = Identity::from_seed(&[seed + 1; 32]);
        let (store, at) =
            stored.unwrap_or_else(|| (Failing::new(MemoryStore::new(StoreId([seed; 16]))), 1_000_000));
        let mut count = 0_u8;
        let nonces = Box::new(move || {
            count += 1;
            [seed, starts, count, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        });
        let options = Options {
            name: Label::new(format!("node-{seed}")).unwrap(),
            version: Label::new("test").unwrap(),
            seeds: Vec::new(),
            space_bytes_max,
        };
        let random = [seed.wrapping_mul(31).wrapping_add(starts); 32];
        let key = identity.key();
        let replica = Replica::open(store.clone(), identity, options, random, nonces, now(at)).unwrap();
        let topics = replica
            .standing_effects()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Subscribe(topic) => Some(topic),
                _ => None,
            })
            .collect();
        let reader = Reader::new(replica.store_reader(), 64 * 1024 * 1024);
        Self {
            replica,
            reader,
            topics,
            replies: BTreeMap::new(),
            effects: Vec::new(),
            exchanged: Exchanged::default(),
            key,
            store,
            seed,
            starts,
            inbox: Vec::new(),
        }
    }

    /// Replaces a row by bytes that are no record.
    pub fn damage(&mut self, table: Table, key: Vec<u8>) {
        let mut batch = WriteBatch::default();
        batch.put(table, key, vec![0xff; 9]);
        self.store.commit(&batch).expect("memory stores do not fail");
    }

    /// Writes rows behind the replica's back; a restart makes it see them.
    pub fn commit(&mut self, batch: &WriteBatch) {
        self.store.commit(batch).expect("memory stores do not fail");
    }

    /// Puts an empty store in place of its own; a restart opens it.
    pub fn forget(&mut self) {
        self.store = Failing::new(MemoryStore::new(StoreId([self.seed ^ 0x80; 16])));
    }

    /// Lets its store fail, or work again.
    pub fn store_now(&self, how: How) {
        self.store.now(how);
    }

    pub fn identity(&self) -> Identity {
        Identity::from_seed(&[self.seed + 1; 32])
    }

    pub fn store(&self) -> &dyn StoreRead {
        &self.store
    }
}
