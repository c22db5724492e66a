//! Opening a large store: 1,000,000 changes by ten authors in 10,000 documents, out of a cold page cache.
//!
//! `cargo bench --bench open`; `STARLING_BENCH_DIR` names a directory on the disk to measure. A store gives up what the page cache
//! holds of it whenever it is opened. At the end a process of its own opens it once more and tells its memory.

#[path = "../../../crdt/benches/support/history.rs"]
mod history;
#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use history::{Author, History, author_of, authors};
use starling_crdt::delta::VerifiedDelta;
use starling_crdt::id::{ChangeHash, SpaceId, StoreId};
use starling_crdt::store::tables::{
    DeltaRecord, DocumentRecord, FrontierRecord, META_KEY, MetaRecord, SpaceIndex, Transaction, record,
};
use starling_crdt::store::{Store, StoreRead, Table};
use starling_crdt::time::WallTime;
use starling_store::{RedbStore, StoreOptions};
use support::{Clock, Node, Outcome, directory, identity, is_try, name};

const AUTHORS: u8 = 10;
const DOCUMENTS: u64 = 10_000;
/// Changes of each document, and of them under one signature.
const CHANGES: u64 = 100;
const RUN: u64 = 10;
/// What a test run makes do with.
const DOCUMENTS_TRIED: u64 = 20;
/// Documents of one commit while the store is made.
const COMMITTED: u64 = 500;
/// Names the store to a process that only opens it.
const OPENED: &str = "STARLING_BENCH_OPEN";
const SPACE: SpaceIndex = SpaceIndex(0);

fn main() -> Outcome<()> {
    if let Some(path) = std::env::var_os(OPENED) {
        return alone(Path::new(&path));
    }
    let documents = if is_try() { DOCUMENTS_TRIED } else { DOCUMENTS };
    let place = tempfile::tempdir_in(directory()?)?;
    let path = place.path().join("store.redb");
    fill(&path, documents)?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("open");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    group.bench_function(format!("{} changes in {documents} documents", documents * CHANGES), |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| opened(&path, documents)).sum());
    });
    group.finish();
    criterion.final_summary();
    let told = Command::new(std::env::current_exe()?).env(OPENED, &path).output()?;
    print!("{}", String::from_utf8_lossy(&told.stdout));
    Ok(())
}

fn open(path: &Path) -> Outcome<Node<RedbStore>> {
    Node::open(RedbStore::open(path, StoreOptions::existing())?, 1, &Clock::new())
}

fn opened(path: &Path, documents: u64) -> Duration {
    let began = Instant::now();
    let node = open(path).expect("the store opens");
    let took = began.elapsed();
    assert_eq!(node.replica.held(), (documents, documents * CHANGES));
    took
}

/// What a process of its own takes.
fn alone(path: &Path) -> Outcome<()> {
    let began = Instant::now();
    let node = open(path)?;
    let took = began.elapsed();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    let bytes = std::fs::metadata(path)?.len();
    println!("{:?} opened in {took:.2?}, peak memory {peak}, file of {bytes} bytes", node.replica.held());
    Ok(())
}

/// Writes the rows that a node has which holds these documents.
fn fill(path: &Path, documents: u64) -> Outcome<()> {
    let clock = Clock::new();
    let mut node = Node::open(RedbStore::open(path, StoreOptions::create(StoreId([1; 16])))?, 1, &clock)?;
    let space = node.create_space()?;
    let authors = authors(&mut node, space, AUTHORS, &clock)?;
    drop(node);
    let mut store = RedbStore::open(path, StoreOptions::existing())?;
    let meta = store.value(Table::Meta, META_KEY)?.ok_or("the store's own row")?;
    let mut meta: MetaRecord = record(&meta, "meta record")?;
    // Changes do not name their document, so every document has the same ones under signatures of its own.
    let pattern = History::new(&authors, space, 0, CHANGES, RUN)?;
    for from in (0..documents).step_by(COMMITTED as usize) {
        meta.commit += 1;
        let mut transaction = Transaction::new(&store);
        for author in &authors {
            let key = SPACE.incarnation(author.incarnation.actor());
            transaction.put(Table::Incarnations, key, author.incarnation.certificate());
        }
        for number in from..documents.min(from + COMMITTED) {
            document(&mut transaction, &mut meta, (space, number), &authors, &pattern)?;
        }
        meta.checked = meta.commit;
        transaction.put(Table::Meta, META_KEY.to_vec(), &meta);
        let batch = transaction.into_batch();
        store.commit(&batch)?;
    }
    Ok(())
}

fn document(
    transaction: &mut Transaction<'_>,
    meta: &mut MetaRecord,
    (space, number): (SpaceId, u64),
    authors: &[Author],
    pattern: &History,
) -> Outcome<()> {
    let document = name(number);
    let mut heads: Vec<ChangeHash> = Vec::new();
    let (mut last, mut bytes) = (None, 0);
    for delta in &pattern.deltas {
        let author = author_of(authors, delta).ok_or("an author of this bench")?;
        let changes = delta.changes().map(|(_, bytes)| bytes.to_vec()).collect();
        let actor = author.incarnation.actor();
        let signed =
            VerifiedDelta::sign(&identity(author.number()), space, document.clone(), actor, changes)?;
        meta.arrival += 1;
        let sent = signed.delta();
        let stored = DeltaRecord {
            arrival: meta.arrival,
            changes: sent.changes.clone(),
            signature: sent.signature.0,
            admitted: sent.changes.len() as u64,
        };
        transaction.put(Table::Deltas, SPACE.delta(&document, actor, sent.first_seq), &stored);
        let tip = FrontierRecord { seq: signed.last_seq(), hash: signed.last_hash() };
        transaction.put(Table::Frontiers, SPACE.actor_rows(&document, actor), &tip);
        for chunk in signed.chunks() {
            heads.retain(|head| !chunk.dependencies.contains(head));
            heads.push(chunk.hash);
        }
        last = Some(signed.author());
        bytes += signed.bytes() as u64;
    }
    heads.sort_unstable();
    let known = DocumentRecord {
        heads,
        deleted: false,
        changes: CHANGES,
        commit: meta.commit,
        author: last.ok_or("a change")?,
        time: WallTime(1_700_000_000_000),
        bytes: Some(bytes),
    };
    transaction.put(Table::Documents, SPACE.document(document.as_str()), &known);
    transaction.put(Table::Changed, SPACE.changed(meta.commit, &document), &());
    Ok(())
}
