//! `Replica::step` with 1, 64 and 1,024 inputs: local writes with the store in memory and on disk, and
//! deltas received by gossip.
//!
//! `cargo bench --bench step`; `STARLING_BENCH_DIR` names a directory on the disk to measure. What a step in
//! memory takes is the processor's share, the difference to one on disk the store's. Signatures of what is
//! received are checked before the step, as a node does on other threads, and not counted.

#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::id::{SpaceId, StoreId};
use starling_crdt::replica::Input;
use starling_crdt::store::{MemoryStore, Store};
use starling_store::{RedbStore, StoreOptions};
use support::{Clock, Node, Outcome, directory, founder, join, name, put};

/// Documents written to.
const DOCUMENTS: u64 = 1_000;
/// Inputs of one step.
const SIZES: [u64; 3] = [1, 64, 1_024];

/// What is written: the number of the write gives the document and the edit.
struct Kind {
    name: &'static str,
    edit: fn(u64) -> Edit,
    document: fn(u64) -> u64,
}

const KINDS: [Kind; 5] = [
    Kind { name: "put of 100 bytes, 1,000 documents", edit: put, document: spread },
    Kind { name: "set, 1,000 documents", edit: set, document: spread },
    Kind { name: "increment, 1,000 documents", edit: increment, document: spread },
    Kind { name: "increment, one document", edit: increment, document: |_| DOCUMENTS },
    Kind { name: "new document", edit: put, document: |number| DOCUMENTS + 1 + number },
];

fn spread(number: u64) -> u64 {
    number * 7 % DOCUMENTS
}

fn set(number: u64) -> Edit {
    let pointer = "/v".parse::<Pointer>().expect("a pointer");
    Edit::Set { pointer, value: Json::Integer(number as i64) }
}

fn increment(_: u64) -> Edit {
    Edit::Increment { pointer: "/n".parse().expect("a pointer"), by: 1 }
}

fn main() -> Outcome<()> {
    let place = tempfile::tempdir_in(directory()?)?;
    let clock = Clock::new();
    let (mut memory, memory_space) = founder(&clock)?;
    let store = RedbStore::open(&place.path().join("store.redb"), StoreOptions::create(StoreId([1; 16])))?;
    let mut disk = Node::open(store, 1, &clock)?;
    let disk_space = disk.create_space()?;
    memory.write_all(memory_space, (0..=DOCUMENTS).map(|number| (name(number), put(number))))?;
    disk.write_all(disk_space, (0..=DOCUMENTS).map(|number| (name(number), put(number))))?;
    let mut criterion = Criterion::default().configure_from_args();
    for kind in &KINDS {
        let mut group = criterion.benchmark_group(kind.name);
        group.sample_size(10).warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(1));
        let (mut in_memory, mut on_disk) = (0, 0);
        for size in SIZES {
            group.throughput(Throughput::Elements(size));
            group.bench_function(BenchmarkId::new("in memory", size), |bencher| {
                bencher.iter_custom(|steps| {
                    written(&mut memory, memory_space, kind, (size, steps), &mut in_memory)
                });
            });
            group.bench_function(BenchmarkId::new("on disk", size), |bencher| {
                bencher
                    .iter_custom(|steps| written(&mut disk, disk_space, kind, (size, steps), &mut on_disk));
            });
        }
        group.finish();
    }
    received(&mut criterion, &clock)?;
    criterion.final_summary();
    Ok(())
}

/// The time of so many steps of so many writes.
fn written<S: Store>(
    node: &mut Node<S>,
    space: SpaceId,
    kind: &Kind,
    (size, steps): (u64, u64),
    made: &mut u64,
) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..steps {
        let numbers = *made..*made + size;
        *made += size;
        let inputs: Vec<Input> = numbers
            .map(|number| node.write(space, name((kind.document)(number)), (kind.edit)(number)))
            .collect();
        spent += step(node, inputs);
    }
    spent
}

fn step<S: Store>(node: &mut Node<S>, inputs: Vec<Input>) -> Duration {
    let began = Instant::now();
    let effects = node.step(inputs);
    let took = began.elapsed();
    effects.expect("the store takes it");
    took
}

/// Steps of deltas of one change each, written by another node.
fn received(criterion: &mut Criterion, clock: &Clock) -> Outcome<()> {
    let (mut writer, space) = founder(clock)?;
    let mut reader = Node::open(MemoryStore::new(StoreId([2; 16])), 2, clock)?;
    join(&mut reader, &mut writer, space, clock)?;
    let mut made = 0;
    let mut group = criterion.benchmark_group("received delta, 1,000 documents");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    for size in SIZES {
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::new("in memory", size), |bencher| {
            bencher.iter_custom(|steps| {
                let mut spent = Duration::ZERO;
                for _ in 0..steps {
                    let edits = (made..made + size).map(|number| (name(spread(number)), put(number)));
                    made += size;
                    let published = writer.write_all(space, edits).expect("memory takes it");
                    let from = writer.key;
                    let inputs =
                        published.iter().map(|(topic, payload)| reader.gossiped(from, *topic, payload));
                    let inputs = inputs.collect();
                    spent += step(&mut reader, inputs);
                }
                spent
            });
        });
    }
    group.finish();
    Ok(())
}
