//! Repair between two nodes: time, bytes and round trips for equal spaces and for some that differ.
//!
//! `cargo bench --bench exchange`. Both stores are in memory and nothing lies between the two nodes, so the time
//! is the processors', of both sides together, checks of signatures included. The bytes are those of
//! questions and answers as they travel, before the transport's own; deltas fetched are told apart.

#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use starling_crdt::id::{SpaceId, StoreId};
use starling_crdt::store::{MemoryStore, Store};
use support::{Clock, Dialogue, Node, Outcome, founder, is_try, join, name, put, repair, rows};

/// Documents of a space, and in how many of them two nodes differ.
const SPACES: [(u64, &[u64]); 2] = [(1_000, &[0, 1, 10, 100]), (100_000, &[0, 1, 10, 100, 1_000])];
/// Most bytes of a dialogue that finds two spaces equal.
const EQUAL_BYTES_MAX: f64 = 300.0;
/// Between two dialogues: what a peer may ask fills up again.
const PAUSE: Duration = Duration::from_secs(120);

/// Two nodes of one space.
struct Pair {
    ahead: Node<MemoryStore>,
    behind: Node<MemoryStore>,
    space: SpaceId,
    clock: Clock,
    documents: u64,
    written: u64,
}

fn main() -> Outcome<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut told = Vec::new();
    let spaces = if is_try() { &SPACES[..1] } else { &SPACES[..] };
    for (documents, differing) in spaces.iter().copied() {
        let mut pair = Pair::new(documents)?;
        let mut group = criterion.benchmark_group(format!("exchange, {documents} documents"));
        group.sample_size(10).warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(2));
        for differing in differing {
            let mut last = Dialogue::default();
            group.bench_function(BenchmarkId::new("differing", differing), |bencher| {
                bencher.iter_custom(|count| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..count {
                        pair.part(*differing).expect("memory takes it");
                        let began = Instant::now();
                        last = pair.meet().expect("the two repair");
                        spent += began.elapsed();
                    }
                    spent
                });
            });
            told.push((documents, *differing, last));
        }
        group.finish();
    }
    criterion.final_summary();
    println!("documents differing    bytes   bound  round trips  fetches    bytes fetched");
    for (documents, differing, last) in told.into_iter().filter(|(.., last)| last.questions > 0) {
        println!(
            "{documents:>9} {differing:>9} {:>8} {:>7.0} {:>12} {:>8} {:>16}",
            last.bytes,
            bound(documents, differing),
            last.questions,
            last.fetches,
            last.fetched_bytes
        );
    }
    Ok(())
}

/// Most bytes to find what differs: 64 × d × log2(documents / d + 2).
fn bound(documents: u64, differing: u64) -> f64 {
    if differing == 0 {
        return EQUAL_BYTES_MAX;
    }
    64.0 * differing as f64 * (documents as f64 / differing as f64 + 2.0).log2()
}

impl Pair {
    fn new(documents: u64) -> Outcome<Self> {
        let clock = Clock::new();
        let (mut ahead, space) = founder(&clock)?;
        let mut behind = Node::open(MemoryStore::new(StoreId([2; 16])), 2, &clock)?;
        join(&mut behind, &mut ahead, space, &clock)?;
        ahead.write_all(space, (0..documents).map(|number| (name(number), put(number))))?;
        let mut copy = MemoryStore::new(StoreId([3; 16]));
        copy.commit(&rows(ahead.replica.store())?)?;
        let behind = Node::open(copy, 2, &clock)?;
        Ok(Self { ahead, behind, space, clock, documents, written: 0 })
    }

    /// Lets one node write so many documents that the other does not hear of.
    fn part(&mut self, differing: u64) -> Outcome<()> {
        let stride = self.documents / differing.max(1);
        let edits = (0..differing).map(|number| {
            self.written += 1;
            (name((number * stride + self.written) % self.documents), put(self.documents + self.written))
        });
        let edits: Vec<_> = edits.collect();
        self.ahead.write_all(self.space, edits)?;
        self.clock.skip(PAUSE);
        Ok(())
    }

    /// Connects the two until they hold the same.
    fn meet(&mut self) -> Outcome<Dialogue> {
        let wanted = self.ahead.replica.held();
        let dialogue = repair(&mut self.behind, &mut self.ahead, &self.clock, |_| false)?;
        match self.behind.replica.held() == wanted {
            true => Ok(dialogue),
            false => {
                Err(format!("{:?} after {dialogue:?}, not {wanted:?}", self.behind.replica.held()).into())
            }
        }
    }
}
