//! Whether the validator suffices: histories forged by chance, judged by the fuzz target `document`; and
//! bytes of changes made wrong.

mod draws;
mod fuzzed;
mod mesh;
mod messages;

use draws::Draws;
use fuzzed::choices::Choices;
use fuzzed::document::{Tally, honest_history, judged};
use fuzzed::framed;
use starling_crdt::document::{Document, canonical};

/// Bytes that decide one history.
const CHOICES: usize = 600;

/// Bytes of a change chunk before its length: magic, checksum, kind.
const FRAME_START: usize = 9;

#[test]
fn accepted_changes_build_one_document_in_every_order() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let runs = number("STARLING_FUZZ_RUNS").unwrap_or(200);
    let first = number("STARLING_FUZZ_SEED").unwrap_or(0);
    let mut sum = Tally::default();
    for seed in first..first + runs {
        println!("seed {seed}");
        let Tally { accepted, refused, forged } = judged(&Draws(seed).bytes(CHOICES));
        sum.accepted += accepted;
        sum.refused += refused;
        sum.forged += forged;
    }
    let Tally { accepted, refused, forged } = sum;
    println!("{accepted} changes accepted, {refused} refused, {forged} forged");
    assert!(refused > forged / 10, "the forger makes something wrong: {refused} of {forged}");
    assert!(forged - refused > forged / 10, "the forger makes something right: {refused} of {forged}");
}

#[test]
fn mutated_bytes_never_panic_and_the_document_lives_on() {
    let mut draws = Draws(77);
    let choices = draws.bytes(CHOICES);
    let history = honest_history(&mut Choices::new(&choices), 40);
    let all: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
    let (mut passed, mut applied) = (0, 0);
    for round in 0..6_000 {
        let victim = draws.below(history.len());
        let mut bytes = history[victim].bytes.clone();
        for _ in 0..1 + draws.below(3) {
            let place = draws.below(bytes.len());
            match draws.below(4) {
                0 => bytes[place] ^= 1 << draws.below(8),
                1 => bytes[place] = draws.next() as u8,
                2 => {
                    bytes.remove(place);
                }
                _ => bytes.insert(place, draws.next() as u8),
            }
        }
        if round % 8 != 0 {
            repair_frame(&mut bytes);
        }
        if canonical(&bytes).is_ok() {
            passed += 1;
        }
        let mut document = Document::new();
        assert!(document.apply(&all[..victim]).is_empty());
        let before = document.changes();
        // Also what is not canonical: it must be contained as well.
        document.apply(&[&bytes]);
        applied += document.changes() - before;
        assert!(document.read(None, None).is_ok());
        assert!(document.apply(&all[victim..]).iter().all(|poison| !poison.reason.diverges()));
    }
    assert!(passed > 0 && applied > 0, "some mutations survive: {passed} canonical, {applied} applied");
}

/// Sets length, hash and checksum right, so that a mutation gets past the frame.
fn repair_frame(bytes: &mut Vec<u8>) {
    let length = bytes.get(FRAME_START..).and_then(|rest| rest.iter().position(|byte| byte & 0x80 == 0));
    if let Some(length) = length {
        *bytes = framed(&bytes[FRAME_START + length + 1..]);
    }
}
