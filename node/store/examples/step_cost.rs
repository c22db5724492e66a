//! What a step of local writes costs: the replica on a store in memory, and on redb.
//!
//! `cargo run --release -p starling-store --example step_cost -- DIRECTORY [WRITES]`, where DIRECTORY lies
//! on the disk to measure. Prints, for steps of 1 to 1,024 writes, microseconds per write in memory and
//! with the store on disk: the former is the processor's share, the difference the store's.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use starling_crdt::charter::Label;
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::id::{SpaceId, StoreId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::{
    Condition, Effect, Input, LocalRequest, Options, Replica, Reply, RequestTicket, Write,
};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{MemoryStore, Store};
use starling_crdt::time::{Moment, Now, WallTime};
use starling_store::{RedbStore, StoreOptions};

/// Documents written to.
const DOCUMENTS: u64 = 1_000;
/// Writes of each measurement, unless told otherwise.
const WRITES: u64 = 8_192;
/// Writes of one step.
const SIZES: [u64; 4] = [1, 16, 64, 1_024];

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is written: the number of the write gives the document and the edit.
struct Kind {
    name: &'static str,
    edit: fn(u64) -> Outcome<Edit>,
    document: fn(u64) -> u64,
}

const KINDS: [Kind; 4] = [
    Kind { name: "put of 100 bytes, 1,000 documents", edit: put, document: |number| number * 7 % DOCUMENTS },
    Kind { name: "increment, 1,000 documents", edit: increment, document: |number| number * 7 % DOCUMENTS },
    Kind { name: "increment, one document", edit: increment, document: |_| DOCUMENTS },
    Kind { name: "new document", edit: put, document: |number| DOCUMENTS + 1 + number },
];

fn put(number: u64) -> Outcome<Edit> {
    let value = Json::parse(format!("{{\"v\":\"{number:092}\"}}"))?;
    Ok(Edit::Put { value, base: None })
}

fn increment(_: u64) -> Outcome<Edit> {
    Ok(Edit::Increment { pointer: "/n".parse::<Pointer>()?, by: 1 })
}

struct Writer<S: Store> {
    replica: Replica<S>,
    space: SpaceId,
    began: Instant,
    tickets: u64,
    made: u64,
}

impl<S: Store> Writer<S> {
    fn new(store: S) -> Outcome<Self> {
        let label = Label::new("cost")?;
        let options =
            Options { name: label.clone(), version: label.clone(), seeds: Vec::new(), space_bytes_max: None };
        let nonces = Box::new(|| [1; 16]);
        let identity = Identity::from_seed(&[1; 32]);
        let replica = Replica::open(store, identity, options, [1; 32], nonces, now(Instant::now()))?;
        let mut writer =
            Self { replica, space: SpaceId([0; 32]), began: Instant::now(), tickets: 0, made: 0 };
        let epoch_key = EpochKey::from_bytes([1; 32]);
        let request = LocalRequest::CreateSpace { name: label, nonce: [1; 16], epoch_key };
        match writer.step(vec![request])?.pop() {
            Some(Reply::Space(space)) => writer.space = space,
            other => return Err(format!("no space but {other:?}").into()),
        }
        let names = (0..=DOCUMENTS).map(|number| writer.write(number, put(number)?));
        let writes = names.collect::<Outcome<Vec<_>>>()?;
        writer.step(writes)?;
        Ok(writer)
    }

    fn step(&mut self, requests: Vec<LocalRequest>) -> Outcome<Vec<Reply>> {
        let inputs = requests.into_iter().map(|request| {
            self.tickets += 1;
            Input::Local { ticket: RequestTicket(self.tickets), request }
        });
        let inputs = inputs.collect();
        let mut replies = Vec::new();
        for effect in self.replica.step(now(self.began), inputs)? {
            if let Effect::Reply { reply, .. } = effect {
                replies.push(reply?);
            }
        }
        Ok(replies)
    }

    fn write(&self, document: u64, edit: Edit) -> Outcome<LocalRequest> {
        let document = format!("d/{document}").parse()?;
        let condition = Condition::default();
        Ok(LocalRequest::Write(Box::new(Write {
            space: self.space,
            document,
            edit,
            condition,
            request_id: None,
        })))
    }

    /// Time of one write, on average, in steps of `size`.
    fn cost(&mut self, kind: &Kind, size: u64, writes: u64) -> Outcome<Duration> {
        let mut spent = Duration::ZERO;
        for _ in 0..writes / size {
            let mut requests = Vec::new();
            for number in self.made..self.made + size {
                requests.push(self.write((kind.document)(number), (kind.edit)(number)?)?);
            }
            self.made += size;
            let began = Instant::now();
            self.step(requests)?;
            spent += began.elapsed();
        }
        Ok(spent / u32::try_from(writes / size * size)?)
    }
}

fn now(began: Instant) -> Now {
    let wall = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_millis() as i64);
    Now { monotonic: Moment(1_000_000 + began.elapsed().as_micros() as u64), wall: WallTime(wall) }
}

fn main() -> Outcome<()> {
    let usage = "usage: step_cost DIRECTORY [WRITES]";
    let directory = std::env::args().nth(1).ok_or(usage)?;
    let writes = std::env::args().nth(2).map_or(Ok(WRITES), |text| text.parse())?.max(1_024);
    let path = Path::new(&directory).join("step_cost.redb");
    let mut memory = Writer::new(MemoryStore::new(StoreId([1; 16])))?;
    let mut disk = Writer::new(RedbStore::open(&path, StoreOptions::create(StoreId([1; 16])))?)?;
    println!("{:<36} {:>6} {:>12} {:>12}   microseconds a write", "", "a step", "in memory", "on disk");
    for kind in &KINDS {
        for size in SIZES {
            // Single durable writes take long; fewer of them say as much.
            let samples = if size == 1 { writes / 8 } else { writes };
            let micros = |cost: Duration| cost.as_secs_f64() * 1e6;
            let (first, second) = (memory.cost(kind, size, samples)?, disk.cost(kind, size, samples)?);
            println!("{:<36} {size:>6} {:>12.1} {:>12.1}", kind.name, micros(first), micros(second));
        }
    }
    drop(disk);
    std::fs::remove_file(path)?;
    Ok(())
}
