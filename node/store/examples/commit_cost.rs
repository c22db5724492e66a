//! What a small durable commit costs, beside the least a disk can do for one.
//!
//! `cargo run --release -p starling-store --example commit_cost -- DIRECTORY`, where DIRECTORY lies
//! on the disk to measure. Prints, in milliseconds, percentiles and means of an append, of a commit by
//! way of the log, and of one that redb takes at once, which take turns, and the ratios of the medians.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use starling_crdt::id::StoreId;
use starling_crdt::store::{Store, StoreError, Table, WriteBatch};
use starling_store::{RedbStore, StoreOptions};

/// Samples of each kind.
const SAMPLES: u64 = 2_000;
/// Samples of one kind in a row: the two take turns, so that another user of the disk slows both.
const TURN: u64 = 50;
/// Rows in each table before the first sample.
const ROWS: u64 = 10_000;
/// What a replica writes for one small local change: the delta, and what follows from it.
const TABLES: [Table; 5] = [Table::Meta, Table::Deltas, Table::Frontiers, Table::Documents, Table::Changed];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: commit_cost DIRECTORY")?;
    let place = |name: &str| Path::new(&directory).join(name);
    let paths = ["commit_cost.log", "commit_cost.redb", "commit_cost_alone.redb"].map(place);
    let options = StoreOptions::create(StoreId([1; 16]));
    let mut file = File::create(&paths[0])?;
    let mut store = filled(&paths[1], options)?;
    let mut redb = filled(&paths[2], StoreOptions { log_bytes: 0, ..options })?;
    let (mut appends, mut commits, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..SAMPLES / TURN {
        for _ in 0..TURN {
            appends.push(append(&mut file)?);
        }
        for sample in turn * TURN..(turn + 1) * TURN {
            commits.push(commit(&mut store, sample)?);
        }
        for sample in turn * TURN..(turn + 1) * TURN {
            alone.push(commit(&mut redb, sample)?);
        }
    }
    drop((store, redb));
    paths.iter().try_for_each(std::fs::remove_file)?;
    for samples in [&mut appends, &mut commits, &mut alone] {
        samples.sort();
    }
    let base = percentile(&appends, 50).as_secs_f64();
    let ratio = |sorted: &[Duration]| percentile(sorted, 50).as_secs_f64() / base;
    println!("append of 400 bytes and fdatasync  {}", summary(&appends));
    println!("5 rows in 5 tables, into the log   {}  {:.2} appends", summary(&commits), ratio(&commits));
    println!("5 rows in 5 tables, into redb      {}  {:.2} appends", summary(&alone), ratio(&alone));
    Ok(())
}

fn filled(path: &Path, options: StoreOptions) -> Result<RedbStore, Box<dyn Error>> {
    let mut store = RedbStore::open(path, options)?;
    let mut all = WriteBatch::default();
    for table in TABLES {
        (0..ROWS).for_each(|number| all.put(table, key(table, number), vec![1; 100]));
    }
    store.commit(&all)?;
    Ok(store)
}

fn append(file: &mut File) -> std::io::Result<Duration> {
    let start = Instant::now();
    file.write_all(&[7; 400])?;
    file.sync_data()?;
    Ok(start.elapsed())
}

fn commit(store: &mut RedbStore, sample: u64) -> Result<Duration, StoreError> {
    let mut batch = WriteBatch::default();
    for table in TABLES {
        let number = match table {
            Table::Meta => 0,
            Table::Deltas | Table::Changed => ROWS + sample,
            _ => sample * 7_919 % ROWS,
        };
        batch.put(table, key(table, number), vec![2; 100]);
    }
    let start = Instant::now();
    store.commit(&batch)?;
    Ok(start.elapsed())
}

/// Scattered as hashes are, except where keys are commit numbers.
fn key(table: Table, number: u64) -> Vec<u8> {
    let leading = if table == Table::Changed { number } else { number.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
    [&leading.to_be_bytes()[..], &[0; 24]].concat()
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn summary(sorted: &[Duration]) -> String {
    let millis = |percent| percentile(sorted, percent).as_secs_f64() * 1e3;
    let mean = sorted.iter().sum::<Duration>().as_secs_f64() * 1e3 / sorted.len() as f64;
    format!("p50 {:.3} ms  p99 {:.3} ms  mean {mean:.3} ms", millis(50), millis(99))
}
