//! What happens to `top`: answers of the node, changes, keys, time.
//!
//! Promises: events hold all that the picture depends on, and have a JSON form, so that a recorded
//! afternoon can be played again. Leaves out where they come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use starling_api::document::WatchEvent;
use starling_api::member::MemberList;
use starling_api::past::HistoryPage;
use starling_api::peer::PeerList;
use starling_api::status::Status;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    /// Time passed: milliseconds since the start.
    Tick { now_ms: u64 },
    /// The node said how it is.
    Status { status: Box<Status> },
    /// The members of the space.
    Members { list: MemberList },
    /// The peers of the node.
    Peers { list: PeerList },
    /// The node's counters.
    Figures { figures: Figures },
    /// A document changed.
    Change { change: WatchEvent },
    /// The history that was asked for.
    History { doc: String, page: HistoryPage },
    /// The history that was asked for cannot be had.
    NoHistory { doc: String, why: String },
    /// The node does not answer.
    Lost { why: String },
    /// The node answers again.
    Back,
    /// Somebody pressed a key.
    Key { key: Key },
}

/// A key that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Key {
    Quit,
    NextPane,
    PreviousPane,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Close,
}

/// Counters of a node, of which only differences mean anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Writes acknowledged here.
    pub(super) writes: u64,
    /// Changes of others taken in.
    pub(super) admitted: u64,
    /// Bytes over all connections, in and out.
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    /// What peers did wrong, by kind, and deltas refused, by reason.
    #[serde(default)]
    pub(super) offences: BTreeMap<String, u64>,
}

impl Figures {
    /// Reads the text of `/metrics`; what is not there counts as zero.
    pub(super) fn read(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            // Counters are whole numbers, whatever form they are written in.
            let Ok(value) = value.parse::<f64>() else { continue };
            let value = value.max(0.0) as u64;
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            match name {
                "starling_writes_total" => figures.writes += value,
                "starling_deltas_admitted_total" => figures.admitted += value,
                "libp2p_bandwidth_bytes_total" if labels.contains("Inbound") => {
                    figures.received_bytes += value
                }
                "libp2p_bandwidth_bytes_total" => figures.sent_bytes += value,
                "starling_offences_total" => figures.offend("offence", labels, value),
                "starling_deltas_refused_total" => figures.offend("refused", labels, value),
                _ => {}
            }
        }
        figures
    }

    fn offend(&mut self, what: &str, labels: &str, count: u64) {
        let word = labels.split('"').nth(1).unwrap_or_default();
        *self.offences.entry(format!("{what}: {word}")).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name_and_label() {
        let text = "# TYPE starling_writes counter\n\
            starling_writes_total 12\n\
            starling_deltas_admitted_total 30\n\
            starling_offences_total{kind=\"garbage\"} 2\n\
            starling_deltas_refused_total{code=\"bad-signature\"} 1\n\
            libp2p_bandwidth_bytes_total{protocols=\"/ip4/tcp\",direction=\"Inbound\"} 100\n\
            libp2p_bandwidth_bytes_total{protocols=\"/ip4/udp\",direction=\"Inbound\"} 1\n\
            libp2p_bandwidth_bytes_total{protocols=\"/ip4/tcp\",direction=\"Outbound\"} 7\n\
            starling_peers_connected 3\n# EOF\n";
        let offences = [("offence: garbage".to_owned(), 2), ("refused: bad-signature".to_owned(), 1)];
        let expected = Figures {
            writes: 12,
            admitted: 30,
            received_bytes: 101,
            sent_bytes: 7,
            offences: offences.into(),
        };
        assert_eq!(Figures::read(text), expected);
    }
}
