//! 2. Once a connected set of honest nodes is free of faults, it converges within a stated bound.

use super::Finding;

/// How long an acknowledged write may be on its way to the nodes of its own side of a partition, in microseconds,
/// while nothing but the partition is wrong: several rounds of repair.
pub const SIDE_WITHIN: u64 = 120_000_000;

/// A node that lacks writes of its own side, all older than [`SIDE_WITHIN`].
pub fn check_side(node: usize, overdue: u64) -> Option<Finding> {
    let seconds = SIDE_WITHIN / 1_000_000;
    let words = format!("lacks {overdue} writes of its own side of the partition after {seconds} s");
    (overdue > 0).then(|| Finding::at(2, node, words))
}

/// How far the fleet had come when the time to settle was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Honest nodes that run, with how many acknowledged writes each still misses.
    pub missing: Vec<(usize, u64)>,
    /// Honest nodes whose processes do not run.
    pub down: Vec<usize>,
    /// Different states among them.
    pub states: usize,
    /// How long the fleet had, in microseconds.
    pub within: u64,
}

/// Whether everyone got there.
pub fn check(settled: &Settled) -> Vec<Finding> {
    let seconds = settled.within / 1_000_000;
    let behind = settled.missing.iter().filter(|(_, missing)| *missing > 0);
    let mut findings: Vec<Finding> = behind
        .map(|(node, missing)| {
            Finding::at(
                2,
                *node,
                format!("misses {missing} acknowledged writes {seconds} s after the last heal"),
            )
        })
        .collect();
    let down = settled.down.iter();
    findings.extend(
        down.map(|node| Finding::at(2, *node, format!("does not run {seconds} s after the last heal"))),
    );
    if findings.is_empty() && settled.states > 1 {
        let words = format!("{} different states {seconds} s after the last heal", settled.states);
        findings.push(Finding::fleet(2, words));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stays_behind_is_found() {
        let settled = Settled { missing: vec![(0, 0), (1, 0)], down: Vec::new(), states: 1, within: 1 };
        assert_eq!(check(&settled), []);
        assert_eq!(check(&Settled { missing: vec![(0, 0), (1, 2)], ..settled.clone() })[0].node, Some(1));
        assert_eq!(check(&Settled { down: vec![1], ..settled.clone() })[0].node, Some(1));
        assert_eq!(check(&Settled { states: 2, ..settled }).len(), 1);
    }

    #[test]
    fn a_side_of_a_partition_that_does_not_agree_within_itself_is_found() {
        assert_eq!(check_side(1, 0), None);
        assert_eq!(check_side(1, 3).and_then(|found| found.node), Some(1));
    }
}
