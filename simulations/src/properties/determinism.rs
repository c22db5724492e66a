//! 17. One (binary, scenario, seed) gives one trace hash.

use super::Finding;

/// Its number in the design.
pub const NUMBER: u32 = 17;

/// Two runs of one seed.
pub fn check(first: &str, second: &str) -> Option<Finding> {
    (first != second).then(|| Finding::fleet(NUMBER, format!("one seed went two ways: {first} and {second}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hashes_of_one_seed_are_found() {
        assert_eq!(check("a", "a"), None);
        assert!(check("a", "b").is_some());
    }
}
