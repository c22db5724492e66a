//! Whether the validator suffices: changes forged from pieces of honest ones, as the bytes choose, in any
//! causal order and batches, either all fail alike or build one document whose file loads.

mod forger;
mod history;

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, Change};
use starling_crdt::document::{Document, Json, PoisonReason};
use starling_crdt::id::ChangeHash;

use super::choices::Choices;
use crate::draws::Draws;
pub use history::{Known, honest_history};

/// Changes by honest actors in one history, about.
const HONEST_EDITS_MAX: usize = 12;

/// Times a document is built from one history, beside all at once in the order in which it was made.
const ORDERS: usize = 2;

/// What became of the changes of one history.
#[derive(Default)]
pub struct Tally {
    pub accepted: usize,
    pub refused: usize,
    pub forged: usize,
}

/// Forges a history as the bytes choose and builds documents from it.
pub fn document(bytes: &[u8]) {
    judged(bytes);
}

/// The same, and what became of it.
pub fn judged(bytes: &[u8]) -> Tally {
    let mut choices = Choices::new(bytes);
    let edits = 1 + choices.below(HONEST_EDITS_MAX);
    let mut history = honest_history(&mut choices, edits);
    let honest = history.len();
    forger::forge(&mut choices, &mut history);
    let (accepted, refused) = one_document(&mut Draws::of(bytes), &history);
    Tally { accepted, refused, forged: history.len() - honest }
}

/// The changes in another order that keeps dependencies before dependents.
fn causal_shuffle(draws: &mut Draws, history: &[Known]) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..history.len()).collect();
    let mut placed = BTreeSet::new();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let ready =
            |place: &usize| history[*place].chunk.dependencies.iter().all(|hash| placed.contains(hash));
        let choices: Vec<usize> = (0..waiting.len()).filter(|slot| ready(&waiting[*slot])).collect();
        let next = waiting.remove(choices[draws.below(choices.len())]);
        placed.insert(history[next].chunk.hash);
        order.push(next);
    }
    order
}

type Verdicts = BTreeMap<ChangeHash, PoisonReason>;

fn verdicts_of(document: &mut Document, changes: &[&[u8]]) -> Verdicts {
    document.apply(changes).into_iter().map(|poison| (poison.hash, poison.reason)).collect()
}

/// Builds the document in a random causal order, in random batches, with repetitions.
fn build(draws: &mut Draws, history: &[Known]) -> (Document, Verdicts) {
    let order = causal_shuffle(draws, history);
    let mut document = Document::new();
    let mut verdicts = Verdicts::new();
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(1 + draws.below(rest.len()));
        let mut changes: Vec<&[u8]> = batch.iter().map(|place| history[*place].bytes.as_slice()).collect();
        if draws.below(3) == 0 {
            changes.insert(0, history[order[0]].bytes.as_slice());
        }
        verdicts.extend(verdicts_of(&mut document, &changes));
        rest = later;
    }
    (document, verdicts)
}

/// The document's file loads, to the same heads and the same value.
fn check_file(document: &Document, shown: &Json) {
    let loaded = Automerge::load(&document.to_automerge_file());
    let loaded = loaded.unwrap_or_else(|error| panic!("the file does not load: {error}"));
    let changes = loaded.get_changes(&[]);
    let bytes: Vec<&[u8]> = changes.iter().map(Change::raw_bytes).collect();
    let mut again = Document::new();
    assert_eq!(again.apply(&bytes), []);
    assert_eq!(again.heads(), document.heads());
    assert_eq!(again.read(None, None).as_ref(), Ok(shown));
}

/// Every build of one history agrees on everything. Gives how many changes each of them took and refused.
fn one_document(draws: &mut Draws, history: &[Known]) -> (usize, usize) {
    let all: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
    let mut whole = Document::new();
    let verdicts = verdicts_of(&mut whole, &all);
    let shown = whole.read(None, None).unwrap_or_else(|error| panic!("it cannot be read: {error}"));
    let conflicts = whole.conflicts().unwrap_or_else(|error| panic!("it cannot be read: {error}"));
    for (hash, reason) in &verdicts {
        assert!(!reason.diverges(), "automerge fails on {hash}");
    }
    for _ in 0..ORDERS {
        let (other, others_verdicts) = build(draws, history);
        assert!(!other.is_damaged(), "automerge fails on what was accepted");
        assert_eq!(verdicts, others_verdicts);
        assert_eq!(whole.heads(), other.heads());
        assert_eq!(Ok(&shown), other.read(None, None).as_ref());
        assert_eq!(Ok(&conflicts), other.conflicts().as_ref());
        check_file(&other, &shown);
    }
    check_file(&whole, &shown);
    (whole.changes(), verdicts.len())
}
