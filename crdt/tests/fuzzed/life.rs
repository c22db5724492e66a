//! The stateful target: bytes become what may happen to one replica, in steps. Afterwards its store agrees
//! with its history, what it acknowledged is there, a restart shows the same, and so does another member
//! after repair. Commits may fail on the way, and the process may end after any step.

mod acts;
mod doubtful;
mod twin;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use starling_crdt::charter::Label;
use starling_crdt::document::PoisonReason;
use starling_crdt::exchange::{Request, Response, decode_message};
use starling_crdt::gossip::ScreenedFrame;
use starling_crdt::id::{ChangeHash, DocumentName, SpaceId, StatementId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{Effect, Input, Options, Replica, Reply, Written};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{KeyRange, MemoryStore, Store, StoreRead, Table, WriteBatch};
use starling_crdt::time::{Moment, Now, WallTime};
use starling_crdt::verify::verify;
use starling_crdt::view::Reader;

use super::choices::Choices;
use crate::mesh::rogue::{Made, Rogue};
use crate::mesh::{EPOCH, Mesh, statements};
use doubtful::{Doubtful, Fate};

/// Things that happen in one life, at most.
const ACTIONS_MAX: usize = 48;

/// Steps after which the store is held against its history, beside the end.
const STEPS_PER_CHECK: u64 = 6;

/// Built documents of a reader.
const READER_BYTES: usize = 1 << 24;

/// A space of three members, as the first and the third of them store it; the second is the rogue.
struct Beginning {
    rows: WriteBatch,
    twin_rows: WriteBatch,
    space: SpaceId,
    statements: Vec<StatementId>,
}

static BEGINNING: LazyLock<Beginning> = LazyLock::new(|| {
    let mut mesh = Mesh::new(3, 1);
    let space = mesh.shared_space();
    mesh.put(0, space, "d/0", r#"{"n": {"$counter": 1}, "l": [1], "t": {"$text": "abc"}}"#);
    let rows = |store: &dyn StoreRead| {
        let mut rows = WriteBatch::default();
        for table in Table::ALL {
            for (key, value) in store.rows(table, KeyRange::ALL, usize::MAX).expect("memory") {
                rows.put(table, key, value);
            }
        }
        rows
    };
    let (first, twin) = (mesh.nodes[0].store(), mesh.nodes[2].store());
    Beginning { rows: rows(first), twin_rows: rows(twin), space, statements: statements(&mesh.nodes[0]) }
});

/// Documents that have a view, by name: whether it is deleted, its heads, its JSON.
type Shown = BTreeMap<String, (bool, Vec<ChangeHash>, String)>;

struct Life<'b> {
    choices: Choices<'b>,
    replica: Replica<Doubtful>,
    store: Doubtful,
    reader: Reader,
    space: SpaceId,
    rogue: Rogue,
    /// The rogue's changes by document, oldest first, with the counter of the next operation.
    made: BTreeMap<u8, Vec<(Made, u64)>>,
    payloads: Vec<Vec<u8>>,
    /// Questions the replica put to the rogue.
    asked: Vec<u64>,
    inputs: Vec<Input>,
    /// Documents of writes that wait for their reply, by ticket.
    writing: BTreeMap<u64, DocumentName>,
    /// Heads after writes that were acknowledged.
    promised: Vec<(DocumentName, Vec<ChangeHash>)>,
    now: u64,
    starts: u8,
    count: u64,
    steps: u64,
}

/// Lives what the bytes say. The first of them says how it ends: each end costs as much as a life.
pub fn replica(bytes: &[u8]) {
    let mut life = Life::begin(bytes);
    let ends = life.choices.next();
    for _ in 0..ACTIONS_MAX {
        if life.choices.are_spent() {
            break;
        }
        let what = life.choices.next();
        life.act(what & 0x1f);
        if what & 0x80 == 0 {
            life.step();
        }
    }
    life.end(ends);
}

impl<'b> Life<'b> {
    fn begin(bytes: &'b [u8]) -> Self {
        let mut rows = MemoryStore::new(StoreId([1; 16]));
        rows.commit(&BEGINNING.rows).expect("memory");
        let (store, now) = (Doubtful::over(rows), 20_000_000);
        let replica = open(store.clone(), 1, 9, now);
        let reader = Reader::new(replica.store_reader(), READER_BYTES);
        let key = EpochKey::from_bytes(EPOCH);
        let member = Identity::from_seed(&[2; 32]);
        let rogue = Rogue::new(member, BEGINNING.space, key, 77, BEGINNING.statements.clone());
        Self {
            choices: Choices::new(bytes),
            replica,
            store,
            reader,
            space: BEGINNING.space,
            rogue,
            made: BTreeMap::new(),
            payloads: Vec::new(),
            asked: Vec::new(),
            inputs: Vec::new(),
            writing: BTreeMap::new(),
            promised: Vec::new(),
            now,
            starts: 9,
            count: 0,
            steps: 0,
        }
    }

    fn step(&mut self) {
        self.now += 1_000;
        let inputs = std::mem::take(&mut self.inputs);
        let effects = self.replica.step(now(self.now), inputs).expect("its rows can be read");
        effects.into_iter().for_each(|effect| self.effect(effect));
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_PER_CHECK) {
            self.is_sound();
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Ask { id, body, .. } => {
                decode_message::<Request>(&body).expect("a replica's question is readable");
                self.asked.push(id);
            }
            Effect::Answer { body, .. } => {
                decode_message::<Response>(&body).expect("a replica's answer is readable");
            }
            Effect::Publish { topic, payload } => {
                let (_, frame) = self.replica.screener().screen_gossip(topic, &payload);
                assert!(!matches!(frame, ScreenedFrame::Refused(_)), "its own gossip is refused: {frame:?}");
                self.payloads.push(payload);
            }
            Effect::Reply { ticket, reply } => {
                let document = self.writing.remove(&ticket.0);
                if let (Some(document), Ok(Reply::Written(Written { heads, .. }))) = (document, reply)
                    && !heads.is_empty()
                {
                    self.promised.push((document, heads));
                }
            }
            _ => {}
        }
    }

    /// The process ends, and starts again on what is durable.
    fn restart(&mut self) {
        self.inputs.clear();
        self.asked.clear();
        self.writing.clear();
        self.store.decide(Fate::Holds);
        self.starts = self.starts.wrapping_add(1);
        self.replica = open(self.store.clone(), 1, self.starts, self.now);
        self.reader = Reader::new(self.replica.store_reader(), READER_BYTES);
    }

    fn is_sound(&self) {
        let report = verify(&self.store, None).expect("memory");
        assert!(report.is_sound(), "{:?}", report.findings);
    }

    fn end(mut self, ends: u8) {
        self.store.decide(Fate::Holds);
        self.step();
        if ends & 1 == 0 {
            let before = shown(&self.replica);
            self.restart();
            assert_eq!(shown(&self.replica), before, "a restart shows something else");
        }
        self.keeps_its_word();
        if ends & 2 == 0 {
            self.restart();
            twin::agrees(&mut self.replica, self.now);
        }
        self.is_sound();
    }

    /// What was acknowledged is in its document, whatever failed or ended since.
    fn keeps_its_word(&self) {
        for (document, heads) in &self.promised {
            let held = self.reader.view(self.space, document, |view, _| {
                heads.iter().all(|head| view.document().contains(head))
            });
            let (held, _) = held.expect("a written document is readable");
            assert!(held, "an acknowledged write to {document:?} is gone");
        }
    }
}

/// Every document with a view, deleted ones included, built from the store alone.
fn shown<S: Store>(replica: &Replica<S>) -> Shown {
    let reader = Reader::new(replica.store_reader(), READER_BYTES);
    let page = reader.list(BEGINNING.space, "", None, usize::MAX, true).expect("memory");
    let mut shown = Shown::new();
    for (name, _) in page.documents {
        let (read, poison) = reader
            .view(BEGINNING.space, &name, |view, _| {
                assert!(!view.document().is_damaged());
                let json = view.document().read(None, None).expect("the present").to_text();
                (view.document().is_deleted(None), view.document().heads(), json)
            })
            .expect("memory");
        assert!(poison.iter().all(|poison| poison.reason != PoisonReason::Crash), "{poison:?}");
        // One of poison alone does not exist, whether anybody has looked yet or not.
        if !read.1.is_empty() {
            shown.insert(name.as_str().to_owned(), read);
        }
    }
    shown
}

fn open<S: Store>(store: S, member: u8, starts: u8, at: u64) -> Replica<S> {
    let label = Label::new("fuzzed").expect("a label");
    let options = Options { name: label.clone(), version: label, seeds: Vec::new(), space_bytes_max: None };
    let mut drawn = 0_u8;
    let nonces = Box::new(move || {
        drawn = drawn.wrapping_add(1);
        [member, starts, drawn, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    });
    let identity = Identity::from_seed(&[member; 32]);
    Replica::open(store, identity, options, [starts; 32], nonces, now(at)).expect("memory")
}

fn now(micros: u64) -> Now {
    let wall = 1_700_000_000_000 + i64::try_from(micros / 1_000).expect("a short life");
    Now { monotonic: Moment(micros), wall: WallTime(wall) }
}
