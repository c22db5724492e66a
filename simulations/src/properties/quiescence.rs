//! 14. Without changes traffic falls to the beacon budget; a heal causes no storm.

use super::Finding;

/// Bytes a second and node that idle traffic may take: beacons, their copies, summaries, offers.
/// Twelve neighbours hear two beacons a second of 400 bytes at most, some of them twice.
pub const IDLE_BYTES_MAX: u64 = 16 * 1_024;

/// Traffic of the last part of a run, when nothing was written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Bytes sent by all nodes.
    pub bytes: u64,
    /// In how many seconds.
    pub seconds: u64,
    /// By how many nodes.
    pub nodes: u64,
}

/// A fleet that does not come to rest.
pub fn check(idle: &Idle) -> Option<Finding> {
    let rate = idle.bytes / (idle.seconds * idle.nodes).max(1);
    let words = format!(
        "{rate} bytes a second and node although nothing is written, where {IDLE_BYTES_MAX} are the most"
    );
    (rate > IDLE_BYTES_MAX).then(|| Finding::fleet(14, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_talks_on_is_found() {
        let idle = Idle { bytes: 30 * 10 * 1_000, seconds: 30, nodes: 10 };
        assert_eq!(check(&idle), None);
        assert!(check(&Idle { bytes: idle.bytes * 20, ..idle }).is_some());
    }
}
