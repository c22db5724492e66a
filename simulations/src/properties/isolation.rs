//! 12. One bad change, document, peer or space never blocks another.

use super::Finding;

/// What honest nodes made of each other's writes while somebody misbehaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Despite {
    /// Whether anybody misbehaved.
    pub harm: bool,
    /// Pairs of honest nodes and acknowledged honest writes that never met.
    pub missing: u64,
    /// Honest nodes that honest nodes blocked or charged with an offence, with how often.
    pub charged: Vec<(usize, u64)>,
}

/// Honest work that stood in somebody's shadow.
pub fn check(despite: &Despite) -> Vec<Finding> {
    if !despite.harm {
        return Vec::new();
    }
    let missing = (despite.missing > 0).then(|| {
        Finding::fleet(
            12,
            format!("{} arrivals of honest writes were kept away by others' faults", despite.missing),
        )
    });
    missing.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_writes_kept_away_by_a_liar_are_found() {
        let despite = Despite { harm: true, missing: 0, charged: Vec::new() };
        assert_eq!(check(&despite), []);
        assert_eq!(check(&Despite { missing: 3, ..despite.clone() }).len(), 1);
        assert_eq!(check(&Despite { missing: 3, harm: false, ..despite }), []);
    }
}
