//! 12. One bad change, document, peer or space never blocks another.

use super::Finding;

/// How long an acknowledged honest write may be on its way to an honest node, in microseconds, while
/// somebody misbehaves and nothing else is wrong: two rounds of repair, the first of which may have
/// been with the liar.
pub const ARRIVES_WITHIN: u64 = 60_000_000;

/// How honest work got on while somebody misbehaved and nothing else was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where.
    pub node: usize,
    /// Acknowledged honest writes older than [`ARRIVES_WITHIN`] that this honest node lacks.
    pub overdue: u64,
}

/// Honest work that stands in a liar's shadow.
pub fn check_progress(progress: &Progress) -> Option<Finding> {
    let words = format!(
        "lacks {} acknowledged writes after {} s although nothing but a hostile peer is wrong",
        progress.overdue,
        ARRIVES_WITHIN / 1_000_000
    );
    (progress.overdue > 0).then(|| Finding::at(12, progress.node, words))
}

/// What honest nodes made of each other by the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Despite {
    /// Whether anybody misbehaved.
    pub harm: bool,
    /// Pairs of honest nodes and acknowledged honest writes that never met.
    pub missing: u64,
    /// Honest nodes whose disks are sound and that other honest nodes charged: who, by whom, how often.
    pub charged: Vec<(usize, usize, u64)>,
}

/// Honest nodes that paid for what others did.
pub fn check(despite: &Despite) -> Vec<Finding> {
    let kept_away =
        || format!("{} arrivals of honest writes were kept away by others' faults", despite.missing);
    let missing = (despite.harm && despite.missing > 0).then(|| Finding::fleet(12, kept_away()));
    let charged = despite.charged.iter().map(|(of, by, times)| {
        let words = format!("charged {{other}}, which is honest, with {times} offences");
        Finding::at(12, *by, words).about(*of).since(0)
    });
    missing.into_iter().chain(charged).collect()
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

    #[test]
    fn an_honest_node_charged_by_another_is_found() {
        let despite = Despite { harm: false, missing: 0, charged: vec![(2, 0, 1)] };
        assert_eq!(check(&despite)[0].node, Some(0));
    }

    #[test]
    fn a_write_that_waits_while_a_liar_works_is_found() {
        assert_eq!(check_progress(&Progress { node: 1, overdue: 0 }), None);
        assert!(check_progress(&Progress { node: 1, overdue: 2 }).is_some());
    }
}
