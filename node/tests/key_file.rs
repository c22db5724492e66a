//! A key file damaged in thousands of ways: it gives the key it was made for, or says what is wrong.
//!
//! `STARLING_TEST_MUTATIONS=10000` asks for more than every run does.

use std::fs;

use starling_node::identity::{IDENTITY_FILE, IdentityError, load, load_or_make};

/// Mutations in every run of the tests.
const MUTATIONS: u64 = 2_000;

struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}

/// Flips bits, cuts, splices, zeroes and swaps parts.
fn damage(bytes: &mut Vec<u8>, draws: &mut Draws) {
    let (one, other) = (draws.below(bytes.len()), draws.below(bytes.len()));
    let length = (1 + draws.below(40)).min(bytes.len() - one.max(other));
    match draws.below(6) {
        0 => (0..=draws.below(3)).for_each(|_| {
            let at = draws.below(bytes.len());
            bytes[at] ^= 1 << draws.below(8);
        }),
        1 => bytes.truncate(one),
        2 => bytes.copy_within(one..one + length, other),
        3 => bytes[one..one + length].fill(0),
        4 => (0..length).for_each(|at| bytes.swap(one + at, other + at)),
        _ => drop(bytes.drain(one..one + length)),
    }
}

#[test]
fn a_damaged_key_file_never_gives_another_key() {
    let mutations = std::env::var("STARLING_TEST_MUTATIONS")
        .map_or(MUTATIONS, |count| count.parse().expect("a number of mutations"));
    let directory = tempfile::tempdir().unwrap();
    let key = load_or_make(directory.path()).unwrap().key();
    let path = directory.path().join(IDENTITY_FILE);
    let good = fs::read(&path).unwrap();
    let (mut same, mut refused) = (0, 0);
    for seed in 0..mutations {
        let mut bytes = good.clone();
        damage(&mut bytes, &mut Draws(seed));
        fs::write(&path, &bytes).unwrap();
        match load(directory.path()) {
            Ok(found) => {
                assert_eq!(found.map(|found| found.key()), Some(key), "mutation {seed}");
                same += 1;
            }
            Err(IdentityError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("mutation {seed}: {other}"),
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "mutation {seed}: the file was changed");
    }
    assert!(same > 0 && refused > mutations / 2, "{same} {refused}");
}
