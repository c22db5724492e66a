//! Every fuzz target on seeds, on its corpus, on what was found, and on mutations of all of them.
//!
//! `STARLING_TEST_FUZZ=100000 cargo test --workspace --test fuzz` runs that many mutations of each target;
//! `CONTRIBUTING.md` says how to let libFuzzer look for more. An input that fails is printed in hex; it
//! goes into `fuzz/found` before it is mended.

mod draws;
mod fuzzed;
#[path = "../../fuzz/src/kept.rs"]
mod kept;
mod mesh;
mod messages;

use draws::Draws;
use fuzzed::{TARGETS, seeds};

/// Mutations of each target in every run of the tests.
const MUTATIONS: u64 = 1_500;

/// The stateful ones are a hundred times as slow.
const LIVES: u64 = 40;

/// Bytes of a random input, at most.
const RANDOM_BYTES_MAX: usize = 160;

fn random(draws: &mut Draws) -> Vec<u8> {
    let length = draws.below(RANDOM_BYTES_MAX);
    draws.bytes(length)
}

fn fuzz(target: &str, default: u64) {
    let (_, run) = *TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let wanted = std::env::var("STARLING_TEST_FUZZ");
    let mutations = wanted.map_or(default, |count| count.parse().expect("a number of mutations"));
    let mut draws = Draws(target.len() as u64);
    let mut corpus = seeds::of(target);
    for input in &corpus {
        kept::tried(run, input).unwrap_or_else(|why| panic!("{target}, seed: {why}"));
    }
    corpus.extend(kept::replayed(target, run));
    assert_eq!(kept::unexplained(target), Vec::<String>::new(), "fuzz/found/README.md says what it was");
    for number in 0..mutations {
        let input = match number % 8 {
            0 => random(&mut draws),
            _ => {
                let place = draws.below(corpus.len());
                draws.mutate(&corpus[place])
            }
        };
        kept::tried(run, &input).unwrap_or_else(|why| panic!("{target}, mutation {number}: {why}"));
    }
}

#[test]
fn lives_of_a_replica() {
    fuzz("replica", LIVES);
}

#[test]
fn forged_documents() {
    fuzz("document", LIVES);
}

#[test]
fn exchange_messages() {
    fuzz("message", MUTATIONS);
}

#[test]
fn deltas() {
    fuzz("delta", MUTATIONS);
}

#[test]
fn incarnations() {
    fuzz("incarnation", MUTATIONS);
}

#[test]
fn charter_statements() {
    fuzz("statement", MUTATIONS);
}

#[test]
fn frames() {
    fuzz("frame", MUTATIONS);
}

#[test]
fn tickets() {
    fuzz("ticket", MUTATIONS);
}

#[test]
fn chunks() {
    fuzz("chunk", MUTATIONS);
}

#[test]
fn patches() {
    fuzz("patch", MUTATIONS);
}

#[test]
fn bodies() {
    fuzz("body", MUTATIONS);
}

#[test]
fn a_target_that_fails_is_noticed() {
    assert!(kept::tried(|bytes| assert!(bytes.is_empty()), b"x").unwrap_err().ends_with("78"));
}

#[test]
fn a_missing_or_empty_corpus_is_noticed() {
    let directory = std::env::temp_dir().join(format!("starling-empty-corpus-{}", std::process::id()));
    assert!(kept::files(&directory).is_err());
    std::fs::create_dir_all(&directory).expect("a directory");
    let found = kept::files(&directory);
    std::fs::remove_dir(&directory).expect("it goes");
    assert!(found.unwrap_err().ends_with("is empty"));
}
