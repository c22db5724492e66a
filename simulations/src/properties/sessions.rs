//! 8. At one node: read your writes, monotonic reads, across restarts.

use super::Finding;
use crate::oracle::ledger::Wrong;

/// A node that shows less than it did.
pub fn monotonic(node: usize, wrong: &Wrong) -> Option<Finding> {
    let Wrong::Shrunk { document, from, to } = wrong else { return None };
    let words = format!("held {from} changes of an actor and holds {to} now");
    Some(Finding::at(8, node, words).in_document(document))
}

/// A node that showed a change and shows, after the next, neither it nor what rests on it.
pub fn monotonic_heads(node: usize, document: &str, has_dropped: bool) -> Option<Finding> {
    let words = "shows a document without a change that it showed before";
    has_dropped.then(|| Finding::at(8, node, words).in_document(document))
}

/// A write that was acknowledged: does the node that said so hold it at that moment?
pub fn own_write(node: usize, document: &str, is_held: bool) -> Option<Finding> {
    let words = "acknowledged a write that it does not hold";
    (!is_held).then(|| Finding::at(8, node, words).in_document(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_forgets_or_hides_its_own_write_is_found() {
        let shrunk = Wrong::Shrunk { document: "d".into(), from: 4, to: 3 };
        assert!(monotonic(1, &shrunk).is_some());
        assert_eq!(monotonic(1, &Wrong::Foreign { document: "d".into() }), None);
        assert!(own_write(1, "d", false).is_some());
        assert_eq!(own_write(1, "d", true), None);
        assert!(monotonic_heads(1, "d", true).is_some());
        assert_eq!(monotonic_heads(1, "d", false), None);
    }
}
