//! 3. No acknowledged write of an honest node is lost through any crash.

use super::Finding;

/// What became of one acknowledged write at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its number.
    pub number: u64,
    /// Who wrote it.
    pub author: usize,
    /// In which document.
    pub document: String,
    /// Whether its author holds it.
    pub at_author: bool,
    /// How many honest nodes hold it.
    pub holders: usize,
    /// Every disk that held it was destroyed.
    pub excused: bool,
}

/// A write that is gone.
pub fn check(fate: &Fate) -> Option<Finding> {
    if fate.excused || (fate.at_author && fate.holders > 0) {
        return None;
    }
    let words = if fate.holders == 0 {
        format!("acknowledged write {} is nowhere any more", fate.number)
    } else {
        format!("acknowledged write {} is gone from the node that acknowledged it", fate.number)
    };
    Some(Finding::at(3, fate.author, words).in_document(&fate.document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_is_gone_is_found_unless_its_disks_are() {
        let fate =
            Fate { number: 1, author: 0, document: "d".into(), at_author: true, holders: 3, excused: false };
        assert_eq!(check(&fate), None);
        let gone = Fate { at_author: false, holders: 0, ..fate.clone() };
        assert!(check(&gone).is_some());
        assert!(check(&Fate { at_author: false, ..fate }).is_some());
        assert_eq!(check(&Fate { excused: true, ..gone }), None);
    }
}
