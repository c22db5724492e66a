//! 2. Once a connected set of honest nodes is free of faults, it converges within a stated bound.

use super::Finding;

/// How far the fleet had come when the time to settle was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Honest nodes that run, with how many acknowledged writes each still misses.
    pub missing: Vec<(usize, u64)>,
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
        let settled = Settled { missing: vec![(0, 0), (1, 0)], states: 1, within: 1 };
        assert_eq!(check(&settled), []);
        assert_eq!(check(&Settled { missing: vec![(0, 0), (1, 2)], ..settled.clone() })[0].node, Some(1));
        assert_eq!(check(&Settled { states: 2, ..settled }).len(), 1);
    }
}
