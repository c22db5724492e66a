//! The stateful target: bytes become what may happen to one replica, in steps, and afterwards its store
//! agrees with its history, its documents are readable, and a restart shows the same.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minicbor::bytes::ByteVec;
use starling_crdt::address::Address;
use starling_crdt::charter::Label;
use starling_crdt::delta::Delta;
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::exchange::{OfferedItem, RangeFingerprint, Request, Response, Want, encode_message};
use starling_crdt::gossip::Frame;
use starling_crdt::history::ItemKey;
use starling_crdt::id::{ChangeHash, DocumentName, SpaceId, StatementId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, MessageToken, Nodes, Options, Replica, RequestTicket, Write,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{KeyRange, MemoryStore, Store, Table, WriteBatch};
use starling_crdt::time::{Moment, Now, WallTime};
use starling_crdt::verify::verify;
use starling_crdt::view::Reader;

use crate::mesh::rogue::{Made, Rogue, make, no_signature, poison, put};
use crate::mesh::{EPOCH, Mesh, statements};

/// Things that happen in one life, at most.
const ACTIONS_MAX: usize = 48;

/// Documents there are.
const DOCUMENTS: u8 = 3;

/// A space of two members, as the first of them stores it.
struct Beginning {
    rows: WriteBatch,
    space: SpaceId,
    statements: Vec<StatementId>,
}

static BEGINNING: LazyLock<Beginning> = LazyLock::new(|| {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.shared_space();
    mesh.put(0, space, "d/0", r#"{"n": {"$counter": 1}, "l": [1], "t": {"$text": "abc"}}"#);
    let store = mesh.nodes[0].store();
    let mut rows = WriteBatch::default();
    for table in Table::ALL {
        for (key, value) in store.rows(table, KeyRange::ALL, usize::MAX).expect("memory") {
            rows.put(table, key, value);
        }
    }
    Beginning { rows, space, statements: statements(&mesh.nodes[0]) }
});

/// The bytes, spent one by one.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.next() % bound
    }
}

struct Life<'b> {
    bytes: Bytes<'b>,
    replica: Replica<MemoryStore>,
    store: MemoryStore,
    reader: Reader,
    space: SpaceId,
    rogue: Rogue,
    /// The rogue's changes by document, oldest first, with the counter of the next operation.
    made: BTreeMap<u8, Vec<(Made, u64)>>,
    payloads: Vec<Vec<u8>>,
    /// Questions the replica put to the rogue.
    asked: Vec<u64>,
    inputs: Vec<Input>,
    now: u64,
    starts: u8,
    count: u64,
}

/// Lives what the bytes say.
pub fn replica(bytes: &[u8]) {
    let mut life = Life::begin(bytes);
    for _ in 0..ACTIONS_MAX {
        if life.bytes.0.is_empty() {
            break;
        }
        let what = life.bytes.next();
        life.act(what % 16);
        if what & 0x80 == 0 {
            life.step();
        }
    }
    life.step();
    let before = life.shown();
    life.restart();
    assert_eq!(life.shown(), before, "a restart shows something else");
}

impl<'b> Life<'b> {
    fn begin(bytes: &'b [u8]) -> Self {
        let mut store = MemoryStore::new(StoreId([1; 16]));
        store.commit(&BEGINNING.rows).expect("memory");
        let now = 20_000_000;
        let replica = open(&store, 9, now);
        let reader = Reader::new(replica.store_reader(), 1 << 24);
        let key = EpochKey::from_bytes(EPOCH);
        let member = Identity::from_seed(&[2; 32]);
        let rogue = Rogue::new(member, BEGINNING.space, key, 77, BEGINNING.statements.clone());
        Self {
            bytes: Bytes(bytes),
            replica,
            store,
            reader,
            space: BEGINNING.space,
            rogue,
            made: BTreeMap::new(),
            payloads: Vec::new(),
            asked: Vec::new(),
            inputs: Vec::new(),
            now,
            starts: 9,
            count: 0,
        }
    }

    fn act(&mut self, what: u8) {
        match what {
            0..=3 => self.write(),
            4..=7 => self.rogue_writes(),
            8 => self.replay(),
            9 => self.babble(),
            10 => self.now += u64::from(self.bytes.next()) * 500_000,
            11 => self.restart(),
            12 => self.meet(),
            13 => self.question(),
            14 => self.answer(),
            _ => self.ask_for_more(),
        }
    }

    fn local(&mut self, request: LocalRequest) {
        self.count += 1;
        self.inputs.push(Input::Local { ticket: RequestTicket(self.count), request });
    }

    fn write(&mut self) {
        let document = name(self.bytes.below(DOCUMENTS + 1));
        let number = self.bytes.next();
        let json = |text: String| Json::parse(text).expect("JSON");
        let pointer = |text: &str| text.parse::<Pointer>().expect("a pointer");
        let edit = match number % 8 {
            0 => Edit::Put { value: json(format!(r#"{{"v": {number}, "l": [{number}, 2]}}"#)), base: None },
            1 => Edit::Set { pointer: pointer("/v"), value: json(format!("{{\"deep\": [{number}]}}")) },
            2 => Edit::Increment { pointer: pointer("/n"), by: i64::from(number) - 100 },
            3 => Edit::Insert { pointer: pointer("/l/0"), value: json("null".to_owned()) },
            4 => Edit::Splice { pointer: pointer("/t"), at: 0, delete: 1, insert: "é".to_owned() },
            5 => Edit::Merge { pointer: Pointer::root(), patch: json(r#"{"v": null, "m": {}}"#.to_owned()) },
            6 => Edit::Unset { pointer: pointer("/l/0") },
            _ => Edit::Remove,
        };
        let request_id = (number & 0x40 != 0).then(|| format!("r{}", number % 4));
        let condition = Condition { absent: number == 0x80, ..Condition::default() };
        self.local(LocalRequest::Write(Box::new(Write {
            space: self.space,
            document,
            edit,
            condition,
            request_id,
        })));
    }

    /// A change of the other member, right or wrong in one of many ways.
    fn rogue_writes(&mut self) {
        let (document, how) = (self.bytes.below(DOCUMENTS), self.bytes.next());
        let chain = self.made.entry(document).or_default();
        // Mostly the next; sometimes a second one with a number that is taken, or one that leaves a gap.
        let place = match how % 8 {
            0 => chain.len().saturating_sub(1),
            1 => chain.len() + 1,
            _ => chain.len(),
        };
        let before = place.checked_sub(1).and_then(|before| chain.get(before));
        let start = before.map_or(1, |(_, next)| *next);
        let mut dependencies: Vec<ChangeHash> = before.iter().map(|(made, _)| made.hash).collect();
        if how & 0x08 != 0 {
            let heads = self.reader.document(self.space, &name(document)).map(|known| known.heads);
            dependencies.extend(heads.unwrap_or_default());
            dependencies.sort_unstable();
            dependencies.dedup();
        }
        let start = start + u64::from(how & 0x10 != 0) * u64::from(self.bytes.below(9));
        let operations = match how >> 5 {
            0 => vec![poison(self.rogue.actor())],
            1 => vec![put("n", i64::from(how)), put("x", "y")],
            2 => Vec::new(),
            _ => vec![put(["v", "w", "l"][usize::from(how % 3)], i64::from(how))],
        };
        let next = start + operations.len() as u64;
        let made = make(self.rogue.actor(), place as u64 + 1, start, &dependencies, operations);
        if place == chain.len() {
            chain.push((made.clone(), next));
        }
        let mut run: Vec<&Made> = vec![&made];
        if how & 0x04 != 0 && !chain.is_empty() {
            run = chain.iter().map(|(made, _)| made).collect();
        }
        let mut delta: Delta = self.rogue.delta(name(document).as_str(), &run);
        if self.bytes.below(16) == 0 {
            delta.signature = no_signature();
        }
        let payload = self.rogue.frame(delta);
        self.payloads.push(payload.clone());
        self.gossip(&payload);
    }

    fn gossip(&mut self, payload: &[u8]) {
        let (space, frame) = self.replica.screener().screen_gossip(self.rogue.topic(), payload);
        self.count += 1;
        let (from, token) = (self.rogue.key(), MessageToken(self.count));
        self.inputs.push(Input::Gossip { from, token, space, frame });
    }

    fn replay(&mut self) {
        let place = usize::from(self.bytes.next());
        if let Some(payload) = self.payloads.get(place % self.payloads.len().max(1)).cloned() {
            self.gossip(&payload);
        }
    }

    /// A frame whose inside nobody made on purpose.
    fn babble(&mut self) {
        let length = usize::from(self.bytes.next()).min(self.bytes.0.len());
        let (inside, rest) = self.bytes.0.split_at(length);
        self.bytes = Bytes(rest);
        let frame = match length % 2 {
            0 => Frame::Statement(ByteVec::from(inside.to_vec())),
            _ => Frame::Beacon(ByteVec::from(inside.to_vec())),
        };
        let payload = frame.seal(&self.rogue.epoch);
        self.gossip(&payload);
    }

    fn restart(&mut self) {
        self.inputs.clear();
        self.asked.clear();
        self.starts += 1;
        self.replica = open(&self.store, self.starts, self.now);
        self.reader = Reader::new(self.replica.store_reader(), 1 << 24);
    }

    fn meet(&mut self) {
        let peer = self.rogue.key();
        let address = Address::new("mem").expect("an address");
        self.inputs.push(match self.bytes.below(3) {
            0 => Input::PeerDown { peer },
            inbound => Input::PeerUp { peer, address, inbound: inbound == 1 },
        });
    }

    fn key(&mut self) -> ItemKey {
        let actor = self.rogue.actor();
        ItemKey::of(&name(self.bytes.below(DOCUMENTS)), actor)
    }

    fn question(&mut self) {
        let (space, number) = (self.space, u64::from(self.bytes.next()));
        let request = match self.bytes.below(8) {
            0 => Request::Hello(Vec::new()),
            1 => Request::Statements { space, tips: BEGINNING.statements.clone(), after: number },
            2 => Request::TakeStatements { space, statements: vec![ByteVec::from(vec![1, 2])] },
            3 => {
                let range = RangeFingerprint { start: self.key(), end: None, fingerprint: number };
                Request::Reconcile { space, salt: number, ranges: vec![range] }
            }
            4 => Request::Fetch { space, wants: vec![Want { key: self.key(), after: number }] },
            5 => {
                let items = vec![OfferedItem { key: self.key(), seq: number, hash: [7; 8] }];
                Request::Offer { space, items }
            }
            6 => Request::Join(ByteVec::from(vec![3; 7])),
            _ => Request::Confirm { space, documents: Vec::new(), items: Some(number) },
        };
        let request = Ok(self.replica.screener().screen(request));
        self.count += 1;
        self.inputs.push(Input::Asked { peer: self.rogue.key(), id: self.count, request });
    }

    fn answer(&mut self) {
        let Some(id) = self.asked.pop() else { return };
        let deltas = self.made.values().flatten().map(|(made, _)| made);
        let deltas = deltas.map(|made| {
            let delta = self.rogue.delta("d/0", &[made]);
            ByteVec::from(starling_crdt::codec::encode(&delta))
        });
        let response = match self.bytes.next() % 6 {
            0 => Response::Done,
            1 => Response::Hello(Vec::new()),
            2 => Response::Deltas {
                incarnations: vec![self.rogue.incarnation.certificate().clone()],
                deltas: deltas.collect(),
                more: self.bytes.next().is_multiple_of(2),
            },
            3 => Response::Busy { retry_after_ms: 5 },
            4 => Response::Confirmed(vec![true]),
            _ => Response::Ranges(Vec::new()),
        };
        let answer = Ok(self.replica.screener().screen_answer(&encode_message(&response)));
        self.inputs.push(Input::Answered { peer: self.rogue.key(), id, answer });
    }

    fn ask_for_more(&mut self) {
        let request = match self.bytes.below(4) {
            0 => LocalRequest::Compact,
            1 => LocalRequest::Status,
            2 => LocalRequest::Members { space: self.space },
            _ => LocalRequest::Wait {
                space: self.space,
                document: None,
                nodes: Nodes::All,
                timeout: std::time::Duration::from_secs(3),
            },
        };
        self.local(request);
    }

    fn step(&mut self) {
        self.now += 1_000;
        let inputs = std::mem::take(&mut self.inputs);
        let effects = self.replica.step(now(self.now), inputs).expect("memory stores do not fail");
        for effect in effects {
            match effect {
                Effect::Ask { id, .. } => self.asked.push(id),
                Effect::Publish { payload, .. } => self.payloads.push(payload),
                _ => {}
            }
        }
        let report = verify(&self.store, None).expect("memory");
        assert!(report.is_sound(), "{:?}", report.findings);
    }

    /// Every document, deleted ones included, built from the store alone.
    fn shown(&self) -> BTreeMap<String, (bool, Vec<ChangeHash>, String)> {
        let reader = Reader::new(self.replica.store_reader(), 1 << 24);
        let page = reader.list(self.space, "", None, usize::MAX, true).expect("memory");
        let documents = page.documents.into_iter().map(|(name, _)| {
            let (read, poison) = reader
                .view(self.space, &name, |view, _| {
                    assert!(!view.document().is_damaged());
                    let json = view.document().read(None, None).expect("the present").to_text();
                    (view.document().is_deleted(None), view.document().heads(), json)
                })
                .expect("memory");
            assert!(poison.iter().all(|poison| !poison.reason.diverges()), "{poison:?}");
            (name.as_str().to_owned(), read)
        });
        documents.collect()
    }
}

fn open(store: &MemoryStore, starts: u8, at: u64) -> Replica<MemoryStore> {
    let label = Label::new("fuzzed").expect("a label");
    let options = Options { name: label.clone(), version: label, seeds: Vec::new(), space_bytes_max: None };
    let mut drawn = 0_u8;
    let nonces = Box::new(move || {
        drawn = drawn.wrapping_add(1);
        [starts, drawn, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    });
    let identity = Identity::from_seed(&[1; 32]);
    Replica::open(store.clone(), identity, options, [starts; 32], nonces, now(at)).expect("memory")
}

fn now(micros: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(micros / 1_000).expect("a short life");
    Now { monotonic: Moment(micros), wall: WallTime(wall) }
}

fn name(number: u8) -> DocumentName {
    DocumentName::new(format!("d/{number}")).expect("a name")
}
