//! 14. Without changes traffic falls to the beacon budget; a heal causes no storm.

use super::Finding;

/// Bytes of one beacon with its frame.
const BEACON_BYTES: u64 = 600;
/// Seconds between two beacons of one member in a fleet of up to [`BEACON_MEMBERS`]; in proportion
/// longer in larger ones, so that the fleet as a whole speaks no more often.
const BEACON_SECONDS: u64 = 5;
/// The fleet up to which the period is the shortest.
const BEACON_MEMBERS: u64 = 10;
/// Neighbours to whom a member passes a beacon on: its gossip mesh.
const BEACON_COPIES: u64 = 6;

/// Bytes a second that each node of a fleet may send in the first minutes of rest, when beacons still come as
/// often as while something happens: every member's beacon, to its mesh.
pub fn lively_bytes_max(nodes: u64) -> u64 {
    nodes.min(BEACON_MEMBERS) * BEACON_COPIES.min(nodes.saturating_sub(1)) * BEACON_BYTES / BEACON_SECONDS
}

/// Bytes a second that each node of a fleet at rest may send, however large the fleet is: the larger it is, the
/// more seldom each member speaks.
const REST_BYTES_MAX: u64 = 1_000;
/// Seconds after which a fleet is at rest: whoever was reported lost has long been found again, which is all that
/// makes a beacon come early.
const REST_SECONDS: u64 = 300;

/// How often a missing byte may be sent after a heal: more than one neighbour may have brought it.
const STORM_FACTOR: u64 = 2;
/// Bytes that two connected nodes may spend on finding out how they differ, whatever is missing:
/// dials, summaries of everything, wants, and beacons that tell of the news.
const STORM_BYTES_PER_PAIR: u64 = 64 * 1_024;

/// Traffic of the last part of a run, when nothing was written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Bytes sent by all nodes.
    pub bytes: u64,
    /// In how many seconds.
    pub seconds: u64,
    /// By how many nodes.
    pub nodes: u64,
    /// For how many seconds nothing had been written, and nothing had been wrong, when this part began.
    pub rested: u64,
}

/// A fleet that does not come to rest.
pub fn check(idle: &Idle) -> Option<Finding> {
    let rate = idle.bytes / (idle.seconds * idle.nodes).max(1);
    let lively = lively_bytes_max(idle.nodes);
    let most = if idle.rested >= REST_SECONDS { REST_BYTES_MAX } else { lively };
    let words =
        format!("{rate} bytes a second and node although nothing is written, where {most} are the most");
    (rate > most).then(|| Finding::fleet(14, words))
}

/// What it took to agree again once everything was healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heal {
    /// Bytes sent by all nodes from the heal to the end.
    pub bytes: u64,
    /// For how many seconds that was.
    pub seconds: u64,
    /// By how many nodes.
    pub nodes: u64,
    /// Bytes of changes that nodes lacked at the heal or that were made after it, once for each node
    /// that came to hold them.
    pub lacking: u64,
    /// Pairs of nodes that are connected.
    pub pairs: u64,
}

/// A heal that was a storm.
pub fn check_heal(heal: &Heal) -> Option<Finding> {
    let idle = lively_bytes_max(heal.nodes) * heal.seconds * heal.nodes;
    let most = idle + STORM_FACTOR * heal.lacking + STORM_BYTES_PER_PAIR * heal.pairs;
    let words = format!(
        "{} bytes were sent after the heal for {} bytes that nodes lacked, where {most} are the most",
        heal.bytes, heal.lacking
    );
    (heal.bytes > most).then(|| Finding::fleet(14, words))
}

/// A fleet that does nothing but talk: the run ends there.
pub fn storm(events: u64, seconds: u64) -> Finding {
    Finding::fleet(14, format!("{events} events within {seconds} s: a storm that does not end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_talks_on_is_found() {
        let idle = Idle { bytes: 30 * 10 * lively_bytes_max(10), seconds: 30, nodes: 10, rested: 30 };
        assert_eq!(check(&idle), None);
        assert!(check(&Idle { bytes: idle.bytes * 2, ..idle }).is_some());
        assert!(check(&Idle { rested: 300, ..idle }).is_some(), "by then it is calm");
        assert_eq!(check(&Idle { rested: 300, bytes: 30 * 10 * 1_000, ..idle }), None);
    }

    #[test]
    fn a_heal_that_sends_everything_many_times_is_found() {
        let heal = Heal { bytes: 2_000_000, seconds: 60, nodes: 4, lacking: 800_000, pairs: 6 };
        assert_eq!(check_heal(&heal), None);
        assert_eq!(storm(9, 1).property, 14);
        assert!(check_heal(&Heal { bytes: 4_500_000, ..heal }).is_some());
        assert!(check_heal(&Heal { lacking: 0, pairs: 0, ..heal }).is_some());
    }
}
