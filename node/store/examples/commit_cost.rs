//! What a small durable commit costs, beside the least a disk can do for one.
//!
//! `cargo run --release -p starling-store --example commit_cost -- DIRECTORY`, where DIRECTORY lies
//! on the disk to measure. Prints medians of both in milliseconds, and their ratio.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use starling_crdt::id::StoreId;
use starling_crdt::store::{Store, Table, WriteBatch};
use starling_store::{RedbStore, StoreOptions};

/// Samples of each kind.
const SAMPLES: usize = 2_000;
/// Rows in each table before the first sample.
const ROWS: u64 = 10_000;
/// What a replica writes for one small local change: the delta, and what follows from it.
const TABLES: [Table; 5] = [
    Table::Meta,
    Table::Deltas,
    Table::Frontiers,
    Table::Documents,
    Table::Changed,
];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args()
        .nth(1)
        .ok_or("usage: commit_cost DIRECTORY")?;
    let directory = Path::new(&directory);
    let appended = median(appends(&directory.join("commit_cost.log"))?);
    let committed = median(commits(&directory.join("commit_cost.redb"))?);
    println!(
        "append of 400 bytes and fdatasync  p50 {:.3} ms",
        millis(appended)
    );
    println!(
        "commit of 5 rows in 5 tables       p50 {:.3} ms",
        millis(committed)
    );
    println!(
        "ratio                              {:.2}",
        committed.as_secs_f64() / appended.as_secs_f64()
    );
    Ok(())
}

fn appends(path: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    let samples = (0..SAMPLES).map(|_| {
        let start = Instant::now();
        file.write_all(&[7; 400])?;
        file.sync_data()?;
        Ok(start.elapsed())
    });
    let samples = samples.collect();
    std::fs::remove_file(path)?;
    samples
}

fn commits(path: &Path) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut store = RedbStore::open(path, StoreOptions::create(StoreId([1; 16])))?;
    let mut all = WriteBatch::default();
    for table in TABLES {
        (0..ROWS).for_each(|number| all.put(table, key(table, number), vec![1; 100]));
    }
    store.commit(&all)?;
    let mut samples = Vec::with_capacity(SAMPLES);
    for sample in 0..SAMPLES as u64 {
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
        samples.push(start.elapsed());
    }
    drop(store);
    std::fs::remove_file(path)?;
    Ok(samples)
}

/// Scattered as hashes are, except where keys are commit numbers.
fn key(table: Table, number: u64) -> Vec<u8> {
    let leading = if table == Table::Changed {
        number
    } else {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    [&leading.to_be_bytes()[..], &[0; 24]].concat()
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort();
    samples[samples.len() / 2]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
