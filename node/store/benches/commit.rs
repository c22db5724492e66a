//! What a small durable commit costs, beside the least a disk can do for one.
//!
//! `cargo bench --bench commit`; `STARLING_BENCH_DIR` names a directory on the disk to measure. The three
//! take turns in every sample, so that another user of the disk slows all; at the end their medians are told
//! as a ratio to the append.

#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use starling_crdt::id::StoreId;
use starling_crdt::store::{Store, Table, WriteBatch};
use starling_store::{RedbStore, StoreOptions};
use support::{Outcome, directory, median};

/// Rows in each table before the first sample.
const ROWS: u64 = 10_000;
/// What a replica writes for one small local change: the delta, and what follows from it.
const TABLES: [Table; 5] = [Table::Meta, Table::Deltas, Table::Frontiers, Table::Documents, Table::Changed];
/// Bytes of the append.
const APPENDED: [u8; 400] = [7; 400];

const NAMES: [&str; 3] = ["append and fdatasync", "into the log", "into redb"];

/// The three ways, and the time of every sample of each.
struct Ways {
    file: File,
    log: RedbStore,
    redb: RedbStore,
    samples: u64,
    times: [Vec<Duration>; 3],
}

fn main() -> Outcome<()> {
    let place = tempfile::tempdir_in(directory()?)?;
    let options = StoreOptions::create(StoreId([1; 16]));
    let mut ways = Ways {
        file: File::create(place.path().join("append"))?,
        log: filled(&place.path().join("log.redb"), options)?,
        redb: filled(&place.path().join("alone.redb"), StoreOptions { log_bytes: 0, ..options })?,
        samples: 0,
        times: Default::default(),
    };
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("commit");
    for (way, name) in NAMES.into_iter().enumerate() {
        group.bench_function(name, |bencher| bencher.iter_custom(|count| ways.turns(way, count)));
    }
    group.finish();
    criterion.final_summary();
    let medians = ways.times.each_mut().map(|times| median(times));
    if medians[0].is_zero() {
        return Ok(());
    }
    for (name, taken) in NAMES.into_iter().zip(medians) {
        let ratio = taken.as_secs_f64() / medians[0].as_secs_f64();
        println!("{name:<24} p50 {:.3} ms, {ratio:.2} appends", taken.as_secs_f64() * 1e3);
    }
    Ok(())
}

impl Ways {
    /// So many of each way; the time of one of them.
    fn turns(&mut self, wanted: usize, count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for way in 0..NAMES.len() {
            for _ in 0..count {
                let took = self.once(way);
                self.times[way].push(took);
                if way == wanted {
                    spent += took;
                }
            }
        }
        spent
    }

    fn once(&mut self, way: usize) -> Duration {
        self.samples += 1;
        let batch = batch(self.samples);
        let began = Instant::now();
        match way {
            0 => self
                .file
                .write_all(&APPENDED)
                .and_then(|()| self.file.sync_data())
                .expect("the disk takes it"),
            1 => self.log.commit(&batch).expect("the disk takes it"),
            _ => self.redb.commit(&batch).expect("the disk takes it"),
        }
        began.elapsed()
    }
}

fn filled(path: &Path, options: StoreOptions) -> Outcome<RedbStore> {
    let mut store = RedbStore::open(path, options)?;
    let mut all = WriteBatch::default();
    for table in TABLES {
        (0..ROWS).for_each(|number| all.put(table, key(table, number), vec![1; 100]));
    }
    store.commit(&all)?;
    Ok(store)
}

/// The rows of one small change.
fn batch(sample: u64) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for table in TABLES {
        let number = match table {
            Table::Meta => 0,
            Table::Deltas | Table::Changed => ROWS + sample,
            _ => sample * 7_919 % ROWS,
        };
        batch.put(table, key(table, number), vec![2; 100]);
    }
    batch
}

/// Scattered as hashes are, except where keys are commit numbers.
fn key(table: Table, number: u64) -> Vec<u8> {
    let leading = if table == Table::Changed { number } else { number.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
    [&leading.to_be_bytes()[..], &[0; 24]].concat()
}
