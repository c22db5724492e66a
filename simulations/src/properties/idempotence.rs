//! 9. Any replayed message or request id changes nothing.

use super::Finding;

/// Two replies to one request id at one node.
pub fn check_replies(
    node: usize,
    document: &str,
    first: &[[u8; 32]],
    second: &[[u8; 32]],
) -> Option<Finding> {
    let words = "answered a repeated request with another change";
    (first != second).then(|| Finding::at(9, node, words).in_document(document))
}

/// A counter against the increments that were made: those acknowledged for certain, others perhaps.
pub fn check_counter(
    node: usize,
    document: &str,
    shown: Option<i64>,
    sure: i64,
    perhaps: i64,
) -> Option<Finding> {
    let fits = shown.is_some_and(|shown| shown >= sure && shown <= sure + perhaps);
    let shown = shown.map_or("nothing".to_owned(), |shown| shown.to_string());
    let words =
        format!("a counter shows {shown} after increments of {sure}, and {perhaps} that may have happened");
    (!fits).then(|| Finding::at(9, node, words).in_document(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_effect_of_one_request_is_found() {
        assert_eq!(check_replies(0, "d", &[[1; 32]], &[[1; 32]]), None);
        assert!(check_replies(0, "d", &[[1; 32]], &[[2; 32]]).is_some());
        assert_eq!(check_counter(0, "d", Some(7), 5, 2), None);
        assert!(check_counter(0, "d", Some(8), 5, 2).is_some());
        assert!(check_counter(0, "d", Some(4), 5, 2).is_some());
        assert!(check_counter(0, "d", None, 0, 2).is_some());
    }
}
