//! 4. A document never shows a change without its dependencies.

use std::collections::BTreeSet;

use super::Finding;
use crate::oracle::chunk::Change;
use crate::oracle::ledger::Wrong;

/// A change that just came to a node which does not hold what it rests on.
pub fn bare(node: usize, wrong: &Wrong) -> Option<Finding> {
    let Wrong::Bare { document, seq } = wrong else { return None };
    let words = format!("took change {seq} of an actor without what it rests on");
    Some(Finding::at(4, node, words).in_document(document))
}

/// Whether every change of a document's stored history below its frontiers has what it rests on.
pub fn check(node: usize, document: &str, admitted: &[Change]) -> Vec<Finding> {
    let held: BTreeSet<_> = admitted.iter().map(|change| change.hash).collect();
    let bare = admitted.iter().find(|change| change.dependencies.iter().any(|on| !held.contains(on)));
    bare.map(|change| {
        let words = format!("shows change {} of an actor without what it rests on", change.seq);
        Finding::at(4, node, words).in_document(document)
    })
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_its_dependency_is_found() {
        let change = |hash: u8, on: &[u8]| Change {
            hash: [hash; 32],
            dependencies: on.iter().map(|on| [*on; 32]).collect(),
            actor: vec![1; 16],
            seq: u64::from(hash),
            bytes: 100,
        };
        assert_eq!(check(0, "d", &[change(1, &[]), change(2, &[1])]), []);
        assert_eq!(check(0, "d", &[change(1, &[]), change(2, &[3])]).len(), 1);
        assert!(bare(0, &Wrong::Bare { document: "d".into(), seq: 2 }).is_some());
        assert_eq!(bare(0, &Wrong::Foreign { document: "d".into() }), None);
    }
}
