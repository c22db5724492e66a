//! 10. A store is whole after a fault at any I/O step.

use super::Finding;
use crate::oracle::ledger::Wrong;

/// A run's frontier row beside what its deltas say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub node: usize,
    /// In which document.
    pub document: String,
    /// What the frontier says.
    pub tip: (u64, [u8; 32]),
    /// Sequence numbers and hashes of the run's stored changes, or why they cannot be read.
    pub stored: Result<Vec<(u64, [u8; 32])>, String>,
}

/// A store whose rows disagree.
pub fn check(row: &Row) -> Option<Finding> {
    let words = match &row.stored {
        Err(why) => format!("a stored run cannot be read: {why}"),
        Ok(stored) => {
            let whole = (1..=row.tip.0).all(|seq| stored.iter().any(|(held, _)| *held == seq));
            if !whole {
                format!("a frontier says {} and not all changes up to there are stored", row.tip.0)
            } else if !stored.contains(&row.tip) {
                format!("a frontier's hash at {} is not that of the stored change", row.tip.0)
            } else {
                return None;
            }
        }
    };
    Some(Finding::at(10, row.node, words).in_document(&row.document))
}

/// A node that says it has a change of its own and does not store it.
pub fn hollow(node: usize, wrong: &Wrong) -> Option<Finding> {
    let Wrong::Hollow { document, seq } = wrong else { return None };
    let words = format!("says that it has its own change {seq} and does not store it");
    Some(Finding::at(10, node, words).in_document(document))
}

/// A process that could not start on its disk although nothing was done to it that may destroy it.
pub fn check_start(node: usize, may_fail: bool, why: &str) -> Option<Finding> {
    (!may_fail).then(|| Finding::at(10, node, format!("its store does not open: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_disagree_are_found() {
        let row = Row {
            node: 0,
            document: "d".into(),
            tip: (2, [2; 32]),
            stored: Ok(vec![(1, [1; 32]), (2, [2; 32])]),
        };
        assert_eq!(check(&row), None);
        assert!(check(&Row { stored: Ok(vec![(2, [2; 32])]), ..row.clone() }).is_some());
        assert!(check(&Row { tip: (2, [3; 32]), ..row.clone() }).is_some());
        assert!(check(&Row { stored: Err("torn".into()), ..row }).is_some());
        assert!(hollow(0, &Wrong::Hollow { document: "d".into(), seq: 3 }).is_some());
        assert_eq!(hollow(0, &Wrong::Foreign { document: "d".into() }), None);
        assert!(check_start(0, false, "torn").is_some());
        assert_eq!(check_start(0, true, "rot"), None);
    }
}
