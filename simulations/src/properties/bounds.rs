//! 11. Bounded memory, queues, disk and work per message under hostile peers.

use super::Finding;

/// Inputs that may wait at one node, and those under way to it when it was full.
const INBOX_MAX: usize = 4_096 + 1_024;
/// Orphans in all, in bytes, and one delta above.
const ORPHANS_MAX: usize = 16 * 1024 * 1024 + 1024 * 1024;
/// Memory for histories and built documents, in bytes, before it is trimmed at the end of a step.
const VIEWS_MAX: usize = (64 + 256) * 1024 * 1024;
/// Effects one input may cause beside what was waiting for it: orphans that wake, documents touched.
const EFFECTS_PER_INPUT_MAX: usize = 4_096;

/// What one node uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Inputs that wait.
    pub inbox: usize,
    /// Bytes of orphans.
    pub orphans: usize,
    /// Bytes of histories and built documents.
    pub views: usize,
}

/// What a node has too much of.
pub fn check(node: usize, used: &Use) -> Option<Finding> {
    let over = [
        ("inputs waiting", used.inbox, INBOX_MAX),
        ("bytes of orphans", used.orphans, ORPHANS_MAX),
        ("bytes of documents in memory", used.views, VIEWS_MAX),
    ];
    let (what, used, max) = over.into_iter().find(|(_, used, max)| used > max)?;
    Some(Finding::at(11, node, format!("{used} {what}, where {max} are the most")))
}

/// A step that did too much for what came in.
pub fn check_step(node: usize, inputs: usize, effects: usize) -> Option<Finding> {
    let max = (inputs + 1) * EFFECTS_PER_INPUT_MAX;
    (effects > max)
        .then(|| Finding::at(11, node, format!("{effects} effects of one step with {inputs} inputs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_of_anything_is_found() {
        assert_eq!(check(0, &Use::default()), None);
        assert!(check(0, &Use { inbox: 6_000, ..Use::default() }).is_some());
        assert!(check(0, &Use { orphans: 20 << 20, ..Use::default() }).is_some());
        assert!(check(0, &Use { views: 400 << 20, ..Use::default() }).is_some());
        assert_eq!(check_step(0, 1, 10), None);
        assert!(check_step(0, 0, 5_000).is_some());
    }
}
