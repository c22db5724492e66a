//! 13. Every node reads and writes locally through any partition.

use super::Finding;

/// How long a local write may take on a node whose process runs and whose disk works, in
/// microseconds: a thousand times a commit.
pub const ANSWER_WITHIN: u64 = 5_000_000;

/// How a request fared at a node that ran all the while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fared {
    /// Where.
    pub node: usize,
    /// How long it took, in microseconds; for one without an answer, how long it has waited.
    pub took: u64,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
    /// The node's process stood still, its disk was broken or full, or it was killed meanwhile.
    pub harmed: bool,
}

/// A request that should have gone well.
pub fn check(fared: &Fared) -> Option<Finding> {
    if fared.harmed {
        return None;
    }
    if let Some(why) = &fared.refused {
        return Some(Finding::at(13, fared.node, format!("refused a local write: {why}")));
    }
    let words = format!("did not answer a local write within {} s", fared.took / 1_000_000);
    (fared.took > ANSWER_WITHIN).then(|| Finding::at(13, fared.node, words))
}

/// A document that could not be read at a node that runs.
pub fn check_read(node: usize, document: &str, harmed: bool, why: &str) -> Option<Finding> {
    let words = format!("did not let a document be read on its own host: {why}");
    (!harmed).then(|| Finding::at(13, node, words).in_document(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_or_silence_of_a_sound_node_is_found() {
        let fared = Fared { node: 0, took: 1_000, refused: None, harmed: false };
        assert_eq!(check(&fared), None);
        let refused = Fared { refused: Some("too many".into()), ..fared.clone() };
        assert!(check(&refused).is_some());
        assert_eq!(check(&Fared { harmed: true, ..refused }), None);
        assert!(check(&Fared { took: ANSWER_WITHIN + 1, ..fared }).is_some());
    }

    #[test]
    fn a_document_that_a_sound_node_does_not_let_be_read_is_found() {
        assert!(check_read(0, "d", false, "locked").is_some());
        assert_eq!(check_read(0, "d", true, "rotten"), None);
    }
}
