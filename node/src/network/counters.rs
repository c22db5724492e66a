//! What the network counts, besides the bytes that the transport counts itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::{Registry, register_network_events};

/// One figure, written by the network's task and read by anyone.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The total now.
    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the network started.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct NetworkCounts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live figures behind [`NetworkCounts`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Count,)*
        }

        impl Counters {
            /// All figures now.
            pub(super) fn read(&self) -> NetworkCounts {
                NetworkCounts { $($name: self.$name.read(),)* }
            }

            /// All figures now, with their names.
            fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.read()),)*].into_iter()
            }
        }
    };
}

counts! {
    /// Payloads published to at least one neighbour.
    published,
    /// Payloads nobody followed the topic of.
    published_to_nobody,
    /// Payloads that had been published or received before.
    published_again,
    /// Payloads no neighbour had room for.
    publish_no_room,
    /// Gossip messages given to the driver.
    gossip_delivered,
    /// Gossip messages ignored because the driver, or the sender's share of it, was full.
    gossip_no_room,
    /// Verdicts that came too late to have an effect.
    verdicts_late,
    /// Requests given to the driver.
    requests_delivered,
    /// Requests dropped because the driver, or the asker's share of it, was full.
    requests_no_room,
    /// Frames longer than one may be.
    frames_oversized,
    /// Connections refused: blocked, over a limit, or without a usable key.
    connections_refused,
    /// Times a listener could not accept a connection, for want of file descriptors or the like.
    accept_failures,
    /// Questions put to the directory: who else follows a topic.
    directory_searches,
    /// Peers whose addresses the directory told.
    directory_found,
    /// Times that gossip to a peer was dropped because it reads too slowly.
    slow_peers,
    /// Events without consequence dropped because the driver was full.
    events_dropped,
}

/// Shared by the task and every handle.
pub(super) type SharedCounters = Arc<Counters>;

/// Figures that nobody has read yet, told from now on with all others of the node.
pub(super) fn counted(registry: &mut Registry) -> SharedCounters {
    let counters = SharedCounters::default();
    let told = counters.clone();
    register_network_events(registry, move || told.named().collect());
    counters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn every_count_is_told_under_one_figure() {
        let metrics = Metrics::new();
        let counters = metrics.register(counted);
        counters.connections_refused.increment();
        let text = metrics.render();
        assert!(text.contains("starling_network_events_total{event=\"connections_refused\"} 1\n"), "{text}");
        assert!(text.contains("starling_network_events_total{event=\"gossip_no_room\"} 0\n"), "{text}");
        assert!(text.contains("# TYPE starling_network_events counter\n"), "{text}");
    }
}
