//! Documents: building a view from its changes, beside automerge alone, and questions about its past.
//!
//! `cargo bench --bench documents`. Without a store: what a node adds is reading deltas and, for each run that
//! is told of, a check of a signature.

use std::hint::black_box;
use std::time::Duration;

use automerge::{Automerge, Change};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use starling_crdt::document::{BlameRange, Commit, Document, Edit, Json, Pointer, compare};
use starling_crdt::id::Actor;

/// Changes of the documents that are built.
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Changes asked about at once, as a node's page has them.
const PAGE: usize = 1_000;
/// Objects at the root, and members in all that the changes set in turn: most overwrite a value.
const OBJECTS: usize = 50;
const MEMBERS: usize = 2_000;
const ACTORS: usize = 10;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    build(&mut criterion);
    past(&mut criterion);
    criterion.final_summary();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("view build");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for size in SIZES {
        let changes = written(size);
        let bytes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("validated and applied", size), |bencher| {
            bencher.iter_with_large_drop(|| {
                let mut document = Document::new();
                assert!(document.apply(black_box(&bytes)).is_empty(), "honest changes apply");
                document
            });
        });
        group.bench_function(BenchmarkId::new("automerge: parsed and applied", size), |bencher| {
            bencher.iter_with_large_drop(|| applied(parsed(black_box(&bytes))));
        });
        group.bench_function(BenchmarkId::new("automerge: applied", size), |bencher| {
            bencher.iter_batched(|| parsed(&bytes), applied, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn parsed(bytes: &[&[u8]]) -> Vec<Change> {
    bytes.iter().map(|bytes| Change::try_from(*bytes).expect("a change")).collect()
}

fn applied(changes: Vec<Change>) -> Automerge {
    let mut document = Automerge::new();
    document.apply_changes(changes).expect("sound changes");
    document
}

/// What a node asks about a document of ten thousand changes.
fn past(criterion: &mut Criterion) {
    let count = 10_000;
    let changes = written(count);
    let bytes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
    let mut document = Document::new();
    assert!(document.apply(&bytes).is_empty(), "honest changes apply");
    let timeline = document.timeline(None).expect("sound");
    let middle = [timeline[timeline.len() / 2].hash];
    let then = document.read(None, Some(&middle)).expect("sound");
    let now = document.read(None, None).expect("sound");
    let root = Pointer::root();
    let page = BlameRange { skip: 0, limit: PAGE, weight: usize::MAX };
    let whole = BlameRange { limit: usize::MAX, ..page };
    let mut group = criterion.benchmark_group("past of 10,000 changes");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    group.bench_function("order", |bencher| bencher.iter(|| document.timeline(None)));
    group.bench_function("newest page in words", |bencher| {
        bencher.iter(|| document.tell(&bytes[count - PAGE..]));
    });
    group.bench_function("every change in words", |bencher| bencher.iter(|| document.tell(&bytes)));
    group.bench_function("blame, first page", |bencher| bencher.iter(|| document.blame(&root, None, page)));
    group.bench_function("blame, every value", |bencher| bencher.iter(|| document.blame(&root, None, whole)));
    group.bench_function("read at the middle", |bencher| {
        bencher.iter(|| document.read(None, Some(&middle)));
    });
    group.bench_function("read now", |bencher| bencher.iter(|| document.read(None, None)));
    group.bench_function("difference between the two", |bencher| bencher.iter(|| compare(&then, &now)));
    group.bench_function("heads by time", |bencher| {
        bencher.iter(|| document.heads_up_to(count as i64 / 2));
    });
    group.finish();
}

/// Changes by several actors in turn, each of whom knows all before.
fn written(count: usize) -> Vec<Vec<u8>> {
    let mut document = Document::new();
    let mut changes = Vec::with_capacity(count);
    let turn = (count / ACTORS).clamp(1, PAGE);
    for n in 0..count {
        let actor = Actor([1 + (n / turn % ACTORS) as u8; 16]);
        let commit = Commit { actor, time_seconds: n as i64, message: None };
        let holder = format!("m{:02}", n % OBJECTS);
        let edit = if n < OBJECTS {
            Edit::Set { pointer: [holder].into_iter().collect(), value: Json::Map(Default::default()) }
        } else {
            let member = format!("k{:04}", n % MEMBERS);
            Edit::Set { pointer: [holder, member].into_iter().collect(), value: Json::Integer(n as i64) }
        };
        let edited = document.edit(commit, &edit).expect("fits");
        changes.extend(edited.changes.into_iter().map(|made| made.bytes));
    }
    changes
}
