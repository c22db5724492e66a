//! A node that has nothing catches up: from the connection to every document read once, beside automerge
//! alone on the same changes.
//!
//! `cargo bench --bench catch_up`; `STARLING_BENCH_DIR` names a directory on the disk to measure. Both nodes have their
//! store on that disk. Everything happens on one thread, one side after the other; two nodes do it at the
//! same time, and check signatures on threads beside, so the time of the receiving side is told, too.

#[path = "../../../crdt/benches/support/history.rs"]
mod history;
#[path = "../../../crdt/benches/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use automerge::{Automerge, Change};
use history::{Author, History, author_of, authors};
use starling_crdt::id::{SpaceId, StoreId};
use starling_crdt::replica::Input;
use starling_crdt::store::{MemoryStore, Store, WriteBatch};
use starling_crdt::view::Reader;
use starling_store::{RedbStore, StoreOptions};
use support::{Clock, Dialogue, Node, Outcome, STEP, directory, is_try, join, median, repair, rows, topic};

const AUTHORS: u8 = 10;
const DOCUMENTS: u64 = 100;
/// Changes of each document, and of them under one signature.
const CHANGES: u64 = 1_000;
const RUN: u64 = 10;
/// Times that a new node catches up.
const ROUNDS: usize = 5;
/// What a test run makes do with.
const CHANGES_TRIED: u64 = 20;
const ROUNDS_TRIED: usize = 1;
/// Memory for documents, as a node has it.
const VIEWS_BYTES: usize = 128 * 1024 * 1024;
/// Changes a second, as a share of automerge's.
const SHARE_MIN: f64 = 0.25;

struct Scene {
    source: Node<RedbStore>,
    /// What a member holds that has heard of no document yet.
    blank: WriteBatch,
    space: SpaceId,
    clock: Clock,
}

/// One catch-up.
struct Taken {
    whole: Duration,
    reading: Duration,
    dialogue: Dialogue,
}

fn main() -> Outcome<()> {
    let (changes, rounds) = if is_try() { (CHANGES_TRIED, ROUNDS_TRIED) } else { (CHANGES, ROUNDS) };
    let place = tempfile::tempdir_in(directory()?)?;
    let (mut scene, histories) = scene(place.path(), changes)?;
    let count = (DOCUMENTS * changes) as f64;
    println!("catch-up of {count} changes, {AUTHORS} authors, {DOCUMENTS} documents");
    let (mut all, mut alone, mut parsing) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (parse, apply) = automerge_alone(&histories);
        parsing.push(parse + apply);
        alone.push(apply);
        all.push(scene.catch_up(&place.path().join(format!("{round}.redb")))?);
    }
    let rate = |took: Duration| count / took.as_secs_f64();
    let baseline = rate(median(&mut alone));
    let parsed = rate(median(&mut parsing));
    println!(
        "  automerge, applied document by document      {baseline:>8.0}/s, parsed as well {parsed:.0}/s"
    );
    let mut wholes: Vec<Duration> = all.iter().map(|taken| taken.whole).collect();
    let mut receiving: Vec<Duration> =
        all.iter().map(|taken| taken.whole - taken.dialogue.answering - taken.dialogue.screening).collect();
    let mut reading: Vec<Duration> = all.iter().map(|taken| taken.reading).collect();
    let (whole, receiving) = (median(&mut wholes), median(&mut receiving));
    let share = |took| rate(took) / baseline;
    println!(
        "  both sides and the checks, one after another {:>8.0}/s, {:.0} %; bound {:.0} %",
        rate(whole),
        share(whole) * 100.0,
        SHARE_MIN * 100.0
    );
    println!(
        "  the receiving replica and its readers alone  {:>8.0}/s, {:.0} %",
        rate(receiving),
        share(receiving) * 100.0
    );
    if let Some(last) = all.last() {
        let Dialogue { questions, bytes, fetches, fetched_bytes, answering, screening } = last.dialogue;
        println!(
            "  of {whole:.2?}: answering {answering:.2?}, checking {screening:.2?}, reading {:.2?}",
            median(&mut reading)
        );
        println!("  {questions} questions of {bytes} bytes, {fetches} fetches of {fetched_bytes} bytes");
    }
    Ok(())
}

fn scene(place: &Path, changes: u64) -> Outcome<(Scene, Vec<History>)> {
    let clock = Clock::new();
    let store = RedbStore::open(&place.join("source.redb"), StoreOptions::create(StoreId([1; 16])))?;
    let mut source = Node::open(store, 1, &clock)?;
    let space = source.create_space()?;
    let authors = authors(&mut source, space, AUTHORS, &clock)?;
    let mut guest = Node::open(MemoryStore::new(StoreId([2; 16])), 2, &clock)?;
    join(&mut guest, &mut source, space, &clock)?;
    let blank = rows(guest.replica.store())?;
    let histories = (0..DOCUMENTS).map(|number| History::new(&authors, space, number, changes, RUN));
    let histories = histories.collect::<Outcome<Vec<_>>>()?;
    publish(&mut source, space, &authors, &histories)?;
    let wanted = DOCUMENTS * changes;
    match source.replica.held() {
        (DOCUMENTS, held) if held == wanted => {}
        held => return Err(format!("the source holds {held:?}, not {wanted} changes").into()),
    }
    Ok((Scene { source, blank, space, clock }, histories))
}

/// Lets the source hear of every change as by gossip.
fn publish(
    source: &mut Node<RedbStore>,
    space: SpaceId,
    authors: &[Author],
    histories: &[History],
) -> Outcome<()> {
    for history in histories {
        for deltas in history.deltas.chunks(STEP as usize) {
            let mut inputs: Vec<Input> = Vec::new();
            for delta in deltas {
                let author = author_of(authors, delta).ok_or("an author of this bench")?;
                let payload = author.payload(delta);
                inputs.push(source.gossiped(delta.author(), topic(space), &payload));
            }
            source.step(inputs)?;
        }
    }
    Ok(())
}

impl Scene {
    fn catch_up(&mut self, path: &Path) -> Outcome<Taken> {
        let mut store = RedbStore::open(path, StoreOptions::create(StoreId([3; 16])))?;
        store.commit(&self.blank)?;
        let mut node = Node::open(store, 2, &self.clock)?;
        self.clock.skip(Duration::from_secs(120));
        let wanted = self.source.replica.held();
        let (began, skipped) = (Instant::now(), self.clock.skipped());
        let dialogue = repair(&mut node, &mut self.source, &self.clock, |_| false)?;
        let reading = Instant::now();
        let reader = Reader::new(node.replica.store_reader(), VIEWS_BYTES);
        for number in 0..DOCUMENTS {
            let (read, poison) = reader
                .view(self.space, &support::name(number), |view, _| view.document().read(None, None))?;
            if read.is_err() || !poison.is_empty() {
                return Err("honest changes are shown".into());
            }
        }
        let reading = reading.elapsed();
        // Whoever is told to wait does wait.
        let whole = began.elapsed() + (self.clock.skipped() - skipped);
        if node.replica.held() != wanted {
            return Err(format!("{:?} of {wanted:?} after {dialogue:?}", node.replica.held()).into());
        }
        Ok(Taken { whole, reading, dialogue })
    }
}

/// The time automerge takes to parse all changes, and to apply those of each document in one call.
fn automerge_alone(histories: &[History]) -> (Duration, Duration) {
    let began = Instant::now();
    let parsed: Vec<Vec<Change>> = histories.iter().map(History::parsed).collect();
    let parse = began.elapsed();
    let mut apply = Duration::ZERO;
    for changes in parsed {
        let began = Instant::now();
        let mut document = Automerge::new();
        document.apply_changes(changes).expect("sound changes");
        apply += began.elapsed();
    }
    (parse, apply)
}
