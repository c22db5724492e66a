//! Honest histories by three actors, and what a forger needs to know of each change.

use std::collections::BTreeMap;

use automerge::Change;
use automerge::legacy::{Op, OpId};
use starling_crdt::chunk::ChangeChunk;
use starling_crdt::document::{Commit, Document, Edit, Json, Pointer, canonical};
use starling_crdt::id::Actor;

use super::super::choices::Choices;

/// A change, what it says of itself, and its operations with their ids.
#[derive(Clone)]
pub struct Known {
    pub bytes: Vec<u8>,
    pub chunk: ChangeChunk,
    pub ops: Vec<(OpId, Op)>,
}

pub fn known(bytes: Vec<u8>) -> Known {
    let chunk = canonical(&bytes).expect("made by the test");
    let change = Change::try_from(bytes.as_slice()).expect("made by the test");
    let expanded = change.decode();
    let start = expanded.start_op.get();
    let id = |place| OpId::new(start + place as u64, &expanded.actor_id);
    let ops = expanded.operations.iter().enumerate().map(|(place, op)| (id(place), op.clone())).collect();
    Known { bytes, chunk, ops }
}

const VALUES: [&str; 9] = [
    "1",
    "2.5",
    r#""s""#,
    r#"{"a": 1}"#,
    r#"["x", "y"]"#,
    r#"{"$counter": 2}"#,
    r#"{"$text": "abc"}"#,
    "null",
    r#"{"m": {"n": [1, {"$text": "q"}]}}"#,
];
const PATHS: [&str; 9] = ["/a", "/b", "/a/a", "/a/m", "/b/0", "/b/-", "/a/m/n", "/b/1", "/c"];

fn value(choices: &mut Choices<'_>) -> Json {
    Json::parse(choices.pick(&VALUES)).expect("valid")
}

fn edit(choices: &mut Choices<'_>) -> Edit {
    let pointer: Pointer = choices.pick(&PATHS).parse().expect("valid");
    match choices.below(16) {
        0 => Edit::Remove,
        1..=3 => Edit::Increment { pointer, by: choices.below(9) as i64 - 4 },
        4 | 5 => {
            let members = ["a", "b", "c"].map(|key| (key.to_owned(), value(choices)));
            Edit::Put { value: Json::Map(BTreeMap::from(members)), base: None }
        }
        6 => Edit::Unset { pointer },
        7 => {
            Edit::Splice { pointer, at: choices.below(3), delete: choices.below(2), insert: "é".to_owned() }
        }
        8 => Edit::Insert { pointer, value: value(choices) },
        9 => Edit::Merge { pointer: Pointer::root(), patch: value(choices) },
        10 => Edit::Resolve { pointer, value: None },
        _ => Edit::Set { pointer, value: value(choices) },
    }
}

/// An honest history by three actors who sometimes hear of each other.
pub fn honest_history(choices: &mut Choices<'_>, edits: usize) -> Vec<Known> {
    let mut replicas = [Document::new(), Document::new(), Document::new()];
    let mut history: Vec<Known> = Vec::new();
    for time in 0..edits {
        let who = choices.below(replicas.len());
        if choices.one_in(2) {
            let all: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
            assert_eq!(replicas[who].apply(&all), []);
        }
        let commit = Commit { actor: Actor([who as u8 + 1; 16]), time_seconds: time as i64, message: None };
        // Paths that lead nowhere are part of the game.
        if let Ok(edited) = replicas[who].edit(commit, &edit(choices)) {
            history.extend(edited.changes.into_iter().map(|change| known(change.bytes)));
        }
    }
    history
}
