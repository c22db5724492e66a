//! One node's life without a network: a replica, a fixed list of steps, and what it shows.
//!
//! Every write carries a request id, as a client does that wants to repeat what was not answered. So
//! after any interruption the step that was interrupted is repeated, and everything must be as if nothing
//! had happened: the same life on a store in memory says how that looks.

#![allow(dead_code, reason = "each test uses the part it needs")]

use std::collections::BTreeMap;

use starling_crdt::charter::{Genesis, Label};
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::id::{DocumentName, SpaceId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, Options, Replica, RequestTicket, Write,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::tables::walk_prefix;
use starling_crdt::store::{KeyRange, MemoryStore, Store, StoreRead, Table};
use starling_crdt::time::{Moment, Now, WallTime};
use starling_crdt::verify::verify;
use starling_crdt::view::{ReadFault, Reader};
use starling_store::backend::LossyBackend;
use starling_store::{OpenError, RedbStore, StoreOptions, Takeover};

/// Steps of a life; the first makes the space.
pub const STEPS: usize = 9;

/// The id of every store here.
pub const ID: StoreId = StoreId([3; 16]);

/// Memory of a reader for built documents.
const READER_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of the one large document.
const LARGE_BYTES: usize = 40_000;

/// What a node shows: JSON by name. Nothing at all before it has the space.
pub type Shown = BTreeMap<String, String>;

/// How a store is opened here. The cache is small, so that reads come from the disk.
pub fn options() -> StoreOptions {
    // A log whose parts are full after a few commits, so that a life meets redb's commits as well as the
    // log's, and one order of operations in every life.
    let takeover = Takeover::InTurn;
    StoreOptions { cache_bytes: 64 * 1024, log_bytes: 32 * 1024, takeover, ..StoreOptions::create(ID) }
}

/// A node that lives.
pub struct Life<S: Store> {
    pub replica: Replica<S>,
    pub reader: Reader,
    space: SpaceId,
}

/// Why a node does not start.
#[derive(Debug)]
pub enum NoStart {
    Store(OpenError),
    Replica(starling_crdt::store::StoreError),
}

impl Life<RedbStore> {
    /// Starts the node on a disk, for the `starts`th time.
    pub fn on(disk: &LossyBackend, starts: u8) -> Result<Self, NoStart> {
        let store = RedbStore::with_backend(disk.clone(), options()).map_err(NoStart::Store)?;
        Self::start(store, starts).map_err(NoStart::Replica)
    }
}

impl<S: Store> Life<S> {
    /// Starts the node on a store, for the `starts`th time.
    pub fn start(store: S, starts: u8) -> Result<Self, starling_crdt::store::StoreError> {
        let label = Label::new("torture").unwrap();
        let options =
            Options { name: label.clone(), version: label, seeds: Vec::new(), space_bytes_max: None };
        let mut drawn = 0;
        let nonces = Box::new(move || {
            drawn += 1;
            [starts, drawn, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        });
        let identity = Identity::from_seed(&[1; 32]);
        let replica = Replica::open(store, identity, options, [starts; 32], nonces, now(0))?;
        let reader = Reader::new(replica.store_reader(), READER_BYTES);
        Ok(Self { replica, reader, space: space() })
    }

    /// Does a step, and says whether all of it was acknowledged.
    pub fn step(&mut self, step: usize) -> bool {
        let requests = if step == 0 { self.beginning() } else { writes(self.space, step) };
        let asked = requests.len();
        let inputs = (0..).zip(requests).map(|(ticket, request)| {
            let ticket = RequestTicket(ticket);
            Input::Local { ticket, request }
        });
        let inputs = inputs.collect();
        let Ok(effects) = self.replica.step(now(step), inputs) else { return false };
        let mut done = 0;
        for effect in effects {
            if let Effect::Reply { reply, .. } = effect {
                match reply {
                    Ok(_) => done += 1,
                    Err(starling_crdt::replica::Refusal::Store(_)) => {}
                    Err(refusal) => panic!("step {step}: {refusal}"),
                }
            }
        }
        done == asked
    }

    /// Makes the space, unless an earlier attempt did.
    fn beginning(&self) -> Vec<LocalRequest> {
        match self.reader.space(self.space) {
            Ok(_) => Vec::new(),
            Err(_) => vec![create_space()],
        }
    }

    /// What the node shows, or why it cannot.
    pub fn shown(&self) -> Result<Shown, ReadFault> {
        let page = match self.reader.list(self.space, "", None, usize::MAX, false) {
            Err(ReadFault::UnknownSpace(_)) => return Ok(Shown::new()),
            page => page?,
        };
        let mut shown = Shown::new();
        for (name, _) in page.documents {
            let (json, poison) = self.reader.view(self.space, &name, |view, _| {
                view.document().read(None, None).expect("the present can be read").to_text()
            })?;
            assert!(poison.is_empty(), "{name}: {poison:?}");
            shown.insert(name.as_str().to_owned(), json);
        }
        Ok(shown)
    }

    /// Whether the store agrees with its history, and nobody signed two things.
    #[track_caller]
    pub fn assert_sound(&self, story: &str) {
        let store = self.replica.store_reader();
        let report = verify(store.as_ref(), None).unwrap();
        assert!(report.is_sound(), "{story}: {:?}", report.findings);
        let mut forks = 0;
        walk_prefix(store.as_ref(), Table::Forks, &[], |_, _| {
            forks += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(forks, 0, "{story}: the node forked itself");
    }
}

/// What a node shows after each number of steps when nothing goes wrong.
pub fn undisturbed() -> Vec<Shown> {
    let mut life = Life::start(MemoryStore::new(ID), 1).unwrap();
    let mut all = vec![life.shown().unwrap()];
    for step in 0..STEPS {
        assert!(life.step(step), "step {step}");
        all.push(life.shown().unwrap());
    }
    assert!(all.windows(2).skip(1).filter(|pair| pair[0] != pair[1]).count() >= STEPS - 2);
    all
}

/// Every row of a store.
pub fn rows(store: &dyn StoreRead) -> BTreeMap<(Table, Vec<u8>), Vec<u8>> {
    let tables = Table::ALL.into_iter();
    let rows = tables.flat_map(|table| {
        let rows = store.rows(table, KeyRange::ALL, usize::MAX).unwrap();
        rows.into_iter().map(move |(key, value)| ((table, key), value))
    });
    rows.collect()
}

fn now(step: usize) -> Now {
    let step = u64::try_from(step).unwrap();
    let wall = 1_700_000_000_000 + i64::try_from(step).unwrap() * 1_000;
    Now { monotonic: Moment(step * 1_000_000), wall: WallTime(wall) }
}

fn create_space() -> LocalRequest {
    let name = Label::new("torture").unwrap();
    LocalRequest::CreateSpace { name, nonce: [7; 16], epoch_key: EpochKey::from_bytes([9; 32]) }
}

/// The id of the space, which follows from what is in its genesis.
fn space() -> SpaceId {
    let name = Label::new("torture").unwrap();
    Genesis::new(name, now(0).wall, [7; 16], vec![Identity::from_seed(&[1; 32]).key()]).unwrap().space_id()
}

fn writes(space: SpaceId, step: usize) -> Vec<LocalRequest> {
    if step == 6 {
        return vec![LocalRequest::Compact];
    }
    let edits = edits(step).into_iter().enumerate();
    let writes = edits.map(|(number, (name, edit))| {
        LocalRequest::Write(Box::new(Write {
            space,
            document: DocumentName::new(&name).unwrap(),
            edit,
            condition: Condition::default(),
            request_id: Some(format!("{step}/{number}")),
        }))
    });
    writes.collect()
}

/// Documents made, changed in every way, deleted, made again; one at a time and many at once.
fn edits(step: usize) -> Vec<(String, Edit)> {
    let one = |name: &str, edit| vec![(name.to_owned(), edit)];
    let increment = |name: String| (name, Edit::Increment { pointer: pointer("/n"), by: 1 });
    match step {
        1 => one("a", put(r#"{"n": {"$counter": 0}, "t": {"$text": "hello"}, "l": [1, 2]}"#)),
        2 => (0..24).map(|number| increment(format!("c/{}", number % 5))).collect(),
        3 => vec![
            (
                "a".to_owned(),
                Edit::Splice { pointer: pointer("/t"), at: 5, delete: 0, insert: " world".into() },
            ),
            ("a".to_owned(), Edit::Insert { pointer: pointer("/l/1"), value: json("\"x\"") }),
            increment("a".to_owned()),
        ],
        4 => one("large", put(&format!(r#"{{"text": "{}"}}"#, "large ".repeat(LARGE_BYTES / 6)))),
        5 => vec![("c/1".to_owned(), Edit::Remove), increment("c/2".to_owned())],
        7 => vec![
            ("c/1".to_owned(), put(r#"{"again": true}"#)),
            ("large".to_owned(), put(r#"{"text": "small"}"#)),
        ],
        _ => (0..12).map(|_| increment("c/3".to_owned())).collect(),
    }
}

fn put(text: &str) -> Edit {
    Edit::Put { value: json(text), base: None }
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn pointer(text: &str) -> Pointer {
    text.parse().unwrap()
}
