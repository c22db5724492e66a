//! Bytes a small change takes on its way and at rest, and what many incarnations cost one document.
//!
//! `cargo bench --bench sizes`. Times are ratios of two documents in the same run.

#[path = "../../../crdt/benches/support/history.rs"]
mod history;
#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use history::{History, author_of, authors};
use starling_crdt::id::{SpaceId, StoreId};
use starling_crdt::identity::Signature;
use starling_crdt::replica::{Effect, LocalRequest, Reply};
use starling_crdt::store::tables::{DeltaRecord, record, walk_prefix};
use starling_crdt::store::{MemoryStore, Store, StoreRead, Table};
use starling_crdt::view::Reader;
use starling_store::{RedbStore, StoreOptions};
use support::{Clock, Node, Outcome, STEP, directory, founder, is_try, join, name, put, repair, rows, topic};

const AUTHORS: u8 = 10;
const CHANGES: u64 = 10_000;
/// Incarnations that wrote a document of [`INCARNATED`] changes: many, and few.
const MANY: u64 = 1_000;
const FEW: u64 = 10;
const INCARNATED: u64 = 1_000;
/// What a test run makes do with.
const TRIED: u64 = 20;
/// Slices of a compaction after which it is taken for endless.
const SLICES_MAX: usize = 100_000;
const VIEWS_BYTES: usize = 64 * 1024 * 1024;

fn main() -> Outcome<()> {
    gossip()?;
    at_rest(if is_try() { TRIED } else { CHANGES })?;
    let changes = if is_try() { TRIED } else { INCARNATED };
    incarnations(changes, FEW.min(changes), MANY.min(changes))
}

/// What one small change takes on each link.
fn gossip() -> Outcome<()> {
    let clock = Clock::new();
    let (mut writer, space) = founder(&clock)?;
    let mut told = |what: &str| -> Outcome<()> {
        let published = writer.write_all(space, [(name(1), put(clock.skipped().as_secs()))])?;
        let payload = published.last().ok_or("nothing was published")?.1.len();
        let (mut change, mut last) = (0, 0);
        walk_prefix(writer.replica.store(), Table::Deltas, &[], |_, value| {
            let stored: DeltaRecord = record(value, "delta record")?;
            if stored.arrival > last {
                (last, change) = (stored.arrival, stored.changes.iter().map(|change| change.len()).sum());
            }
            Ok(())
        })?;
        let ratio = payload as f64 / (change + Signature::LEN) as f64;
        println!(
            "gossip, {what}: {payload} bytes for a change of {change}, {ratio:.2} x (change + signature)"
        );
        Ok(())
    };
    told("the first change of a process")?;
    clock.skip(Duration::from_secs(3_600));
    told("a later one")
}

/// What small changes take in a store, as they came and after compaction.
fn at_rest(changes: u64) -> Outcome<()> {
    let clock = Clock::new();
    let place = tempfile::tempdir_in(directory()?)?;
    let path = place.path().join("store.redb");
    let mut node = Node::open(RedbStore::open(&path, StoreOptions::create(StoreId([1; 16])))?, 1, &clock)?;
    let space = node.create_space()?;
    let authors = authors(&mut node, space, AUTHORS, &clock)?;
    let empty = weight(node.replica.store())?;
    let history = History::new(&authors, space, 1, changes, 1)?;
    for deltas in history.deltas.chunks(STEP as usize) {
        let mut inputs = Vec::new();
        for delta in deltas {
            let author = author_of(&authors, delta).ok_or("an author of this bench")?;
            let payload = author.payload(delta);
            inputs.push(node.gossiped(delta.author(), topic(space), &payload));
        }
        node.step(inputs)?;
    }
    if node.replica.held().1 != changes {
        return Err(format!("{:?} held of {changes}", node.replica.held()).into());
    }
    let told = |what: &str, store: &dyn StoreRead| -> Outcome<()> {
        let held = weight(store)?;
        let each = |bytes: u64| bytes as f64 / changes as f64;
        println!(
            "{changes} changes by {AUTHORS} authors, {what}: {:.0} bytes each in rows, {:.1} of them authenticity, changes {:.0}",
            each(held.rows - empty.rows),
            each(held.deltas - held.changes),
            each(held.changes)
        );
        Ok(())
    };
    told("as they came", node.replica.store())?;
    compact(&mut node)?;
    told("compacted", node.replica.store())?;
    let Node { replica, .. } = node;
    drop(replica);
    RedbStore::open(&path, StoreOptions::existing())?.shrink()?;
    let file = std::fs::metadata(&path)?.len();
    println!(
        "  the file, its log of 1 MiB included, made as small as it can be: {:.0} bytes each",
        file as f64 / changes as f64
    );
    Ok(())
}

fn compact(node: &mut Node<RedbStore>) -> Outcome<()> {
    let request = node.local(LocalRequest::Compact);
    let mut effects = node.step(vec![request])?;
    for _ in 0..SLICES_MAX {
        let is_done =
            |effect: &Effect| matches!(effect, Effect::Reply { reply: Ok(Reply::Compacted(_)), .. });
        if effects.iter().any(is_done) {
            return Ok(());
        }
        effects = node.step(Vec::new())?;
    }
    Err("compaction did not end".into())
}

/// Bytes of rows.
#[derive(Default)]
struct Weight {
    /// Keys and values of all tables.
    rows: u64,
    /// Keys and values of deltas, and of the changes in them.
    deltas: u64,
    changes: u64,
}

fn weight(store: &dyn StoreRead) -> Outcome<Weight> {
    let mut weight = Weight::default();
    for (table, key, value) in rows(store)?.iter() {
        let value = value.unwrap_or_default();
        let bytes = (key.len() + value.len()) as u64;
        weight.rows += bytes;
        if table == Table::Deltas {
            let stored: DeltaRecord = record(value, "delta record")?;
            weight.deltas += bytes;
            weight.changes += stored.changes.iter().map(|change| change.len() as u64).sum::<u64>();
        }
    }
    Ok(weight)
}

/// What a document costs that was written by many incarnations of a node, beside one by few.
fn incarnations(changes: u64, few: u64, many: u64) -> Outcome<()> {
    let (one, other) = (Incarnated::measure(changes, few)?, Incarnated::measure(changes, many)?);
    println!("a document of {changes} changes by {many} incarnations, beside one by {few}:");
    let told = |what: &str, few: Duration, many: Duration| {
        println!(
            "  {what:<10} {many:>10.2?} beside {few:>10.2?}, {:.2} x",
            many.as_secs_f64() / few.as_secs_f64()
        );
    };
    told("read", one.read, other.read);
    told("write", one.write, other.write);
    told("exchange", one.exchange, other.exchange);
    Ok(())
}

/// What a document costs, from nothing in memory.
struct Incarnated {
    read: Duration,
    write: Duration,
    exchange: Duration,
}

impl Incarnated {
    fn measure(changes: u64, incarnations: u64) -> Outcome<Self> {
        let clock = Clock::new();
        let (founder, space) = founder(&clock)?;
        let mut store = MemoryStore::new(StoreId([1; 16]));
        store.commit(&rows(founder.replica.store())?)?;
        let mut made = 0;
        for incarnation in 0..incarnations {
            let mut node = Node::open(store.clone(), 1, &clock)?;
            let until = changes * (incarnation + 1) / incarnations;
            node.write_all(space, (made..until).map(|number| (name(1), put(number))))?;
            made = until;
        }
        let began = Instant::now();
        let reader = Reader::new(std::sync::Arc::new(store.clone()), VIEWS_BYTES);
        let (shown, poison) = reader.view(space, &name(1), |view, _| view.document().read(None, None))?;
        let read = began.elapsed();
        if shown.is_err() || !poison.is_empty() {
            return Err("honest changes are shown".into());
        }
        let mut node = Node::open(store, 1, &clock)?;
        let began = Instant::now();
        node.write_all(space, [(name(1), put(made))])?;
        let write = began.elapsed();
        let exchange = exchange(&mut node, space, &clock)?;
        Ok(Self { read, write, exchange })
    }
}

/// How long a new member takes to fetch everything.
fn exchange(node: &mut Node<MemoryStore>, space: SpaceId, clock: &Clock) -> Outcome<Duration> {
    let mut guest = Node::open(MemoryStore::new(StoreId([2; 16])), 2, clock)?;
    let wanted = node.replica.held();
    let began = Instant::now();
    join(&mut guest, node, space, clock)?;
    repair(&mut guest, node, clock, |_| false)?;
    let took = began.elapsed();
    match guest.replica.held() == wanted {
        true => Ok(took),
        false => Err(format!("{:?} of {wanted:?}", guest.replica.held()).into()),
    }
}
