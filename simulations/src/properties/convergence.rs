//! 1. Equal records give equal heads and equal JSON, in any order, batching or duplication.

use std::collections::BTreeMap;

use super::Finding;

/// What one node holds and shows of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where.
    pub node: usize,
    /// Which document.
    pub document: String,
    /// What it holds of it: each run with its last change.
    pub records: Vec<([u8; 16], u64, [u8; 32])>,
    /// Its heads.
    pub heads: Vec<[u8; 32]>,
    /// Its JSON text, where it was read.
    pub json: Option<String>,
}

/// Compares what nodes show with what they hold.
pub fn check(shown: &[Shown]) -> Vec<Finding> {
    let mut first: BTreeMap<_, &Shown> = BTreeMap::new();
    let mut first_read: BTreeMap<_, &Shown> = BTreeMap::new();
    let mut findings = Vec::new();
    for this in shown {
        let mut other = *first.entry((&this.document, &this.records)).or_insert(this);
        let mut what = "heads";
        if other.heads == this.heads {
            // Documents are not read as JSON everywhere.
            if this.json.is_none() {
                continue;
            }
            other = first_read.entry((&this.document, &this.records)).or_insert(this);
            what = "JSON";
            if other.json == this.json {
                continue;
            }
        }
        let words = format!("holds the same changes as {{other}} but shows other {what}");
        findings.push(Finding::at(1, this.node, words).in_document(&this.document).about(other.node));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: usize, head: u8, json: &str) -> Shown {
        let records = vec![([1; 16], 3, [9; 32])];
        Shown { node, document: "d".into(), records, heads: vec![[head; 32]], json: Some(json.into()) }
    }

    #[test]
    fn equal_records_with_other_heads_or_json_are_found() {
        assert_eq!(check(&[shown(0, 1, "{}"), shown(1, 1, "{}")]), []);
        assert_eq!(check(&[shown(0, 1, "{}"), shown(1, 2, "{}")]).len(), 1);
        assert_eq!(check(&[shown(0, 1, "{}"), shown(1, 1, "{\"a\":1}")]).len(), 1);
        let unread = Shown { json: None, ..shown(2, 1, "") };
        assert_eq!(check(&[unread.clone(), shown(0, 1, "{}"), unread.clone()]), []);
        assert_eq!(check(&[unread, shown(0, 1, "{}"), shown(1, 1, "{\"a\":1}")]).len(), 1);
        let mut more = shown(1, 2, "{}");
        more.records[0].1 = 4;
        assert_eq!(check(&[shown(0, 1, "{}"), more]), []);
    }
}
