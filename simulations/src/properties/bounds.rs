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

/// Bytes on a disk for each byte of a change in history, in records of its delta, its frontier, its
/// incarnation and its document: what is stored more than once is an index.
const DISK_FACTOR: u64 = 2;
/// Bytes on a disk for each change beside its own: keys, signature, an incarnation of its own.
const DISK_BYTES_PER_CHANGE: u64 = 1_024;
/// Bytes on a disk that are there whatever is written: the charter, peers, answers to requests,
/// signed runs of which a part is pending.
const DISK_BYTES_ALWAYS: u64 = 4 * 1024 * 1024;

/// What one node has on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes of all its rows.
    pub stored: u64,
    /// Changes it has admitted.
    pub changes: u64,
    /// Their bytes.
    pub admitted: u64,
}

/// A disk that holds more than what was admitted explains: what strangers send is not kept.
pub fn check_disk(node: usize, disk: &Disk) -> Option<Finding> {
    let most = DISK_BYTES_ALWAYS + DISK_FACTOR * disk.admitted + DISK_BYTES_PER_CHANGE * disk.changes;
    let Disk { stored, changes, .. } = disk;
    let words = format!("stores {stored} bytes for {changes} changes, where {most} are the most");
    (*stored > most).then(|| Finding::at(11, node, words))
}

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
        let disk = Disk { stored: 4_500_000, changes: 500, admitted: 100_000 };
        assert_eq!(check_disk(0, &disk), None);
        assert!(check_disk(0, &Disk { changes: 0, admitted: 0, ..disk }).is_some());
        assert_eq!(check_step(0, 1, 10), None);
        assert!(check_step(0, 0, 5_000).is_some());
    }
}
