//! 7. No honest node forks itself: not after kill, failed commit, restart, restore or a cloned disk.
//!
//! What somebody forged in an honest node's name is no fork of that node: it is told apart by its signature
//! before it comes here, and is found under 5.

use super::Finding;
use crate::oracle::ledger::Wrong;

/// A fork of an honest author that somebody saw.
pub fn check(seen_at: usize, wrong: &Wrong, is_honest: impl Fn(usize) -> bool) -> Option<Finding> {
    let Wrong::Forked { author, document, seq, .. } = wrong else { return None };
    is_honest(*author).then(|| {
        let words = format!("{{other}} made two different changes {seq} under one actor");
        Finding::at(7, seen_at, words).in_document(document).about(*author).since(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_of_an_honest_author_is_found() {
        let fork = Wrong::Forked { author: 2, actor: None, document: "d".into(), seq: 7 };
        assert!(check(0, &fork, |author| author == 2).is_some());
        assert_eq!(check(0, &fork, |_| false), None);
        assert_eq!(check(0, &Wrong::Foreign { document: "d".into() }, |_| true), None);
    }
}
