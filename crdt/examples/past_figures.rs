//! What a document's past costs: the time of each question about a document of 10,000 changes.
//!
//! `cargo run --release -p starling-crdt --example past_figures [CHANGES]`. Without a store: what a node
//! adds is reading deltas and, for each run that is told, a check of a signature.

use std::time::Instant;

use starling_crdt::document::{BlameRange, Commit, Document, Edit, Json, Pointer, compare};
use starling_crdt::id::Actor;

/// Changes asked about at once, as a node's page has them.
const PAGE: usize = 1_000;
/// Objects at the root, and members in all that the changes set in turn: most overwrite a value.
const OBJECTS: usize = 50;
const MEMBERS: usize = 2_000;
const ACTORS: usize = 10;

fn told<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what:<44} {:>8.1} ms", start.elapsed().as_secs_f64() * 1_000.0);
    result
}

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let changes = written(count);
    let bytes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
    let mut document = Document::new();
    let poison = told("build from changes", || document.apply(&bytes));
    assert!(poison.is_empty(), "honest changes apply");
    let timeline = told("order of all changes", || document.timeline(None)).expect("sound");
    let middle = [timeline[timeline.len() / 2].hash];
    told("newest page in words", || document.tell(&bytes[count - PAGE.min(count)..])).expect("told");
    told("every change in words", || document.tell(&bytes)).expect("told");
    let range = BlameRange { skip: 0, limit: PAGE, weight: usize::MAX };
    let root = Pointer::root();
    told("blame, first page", || document.blame(&root, None, range)).expect("sound");
    let whole = BlameRange { limit: usize::MAX, ..range };
    told("blame, every value", || document.blame(&root, None, whole)).expect("sound");
    let then = told("read at the middle", || document.read(None, Some(&middle))).expect("sound");
    let now = told("read now", || document.read(None, None)).expect("sound");
    told("difference between the two", || compare(&then, &now));
    told("heads by time", || document.heads_up_to(count as i64 / 2));
}

/// Changes by several actors in turn, each of whom knows all before.
fn written(count: usize) -> Vec<Vec<u8>> {
    let mut document = Document::new();
    let mut changes = Vec::with_capacity(count);
    for n in 0..count {
        let actor = Actor([1 + (n / PAGE % ACTORS) as u8; 16]);
        let commit = Commit { actor, time_seconds: n as i64, message: None };
        let holder = format!("m{:02}", n % OBJECTS);
        let member = format!("k{:04}", n % MEMBERS);
        let edit = if n < OBJECTS {
            Edit::Set { pointer: [holder].into_iter().collect(), value: Json::Map(Default::default()) }
        } else {
            Edit::Set { pointer: [holder, member].into_iter().collect(), value: Json::Integer(n as i64) }
        };
        changes
            .extend(document.edit(commit, &edit).expect("fits").changes.into_iter().map(|made| made.bytes));
    }
    changes
}
