//! Figures that another part of the node counts by itself, read when they are told.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::{Registry, table};

/// Name of the figure, one label value for each event.
const NETWORK_EVENTS: &str = "network_events";

/// Lets `read` say, whenever figures are told, how often each event of the network has happened.
pub(crate) fn register_network_events(
    registry: &mut Registry,
    read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static,
) {
    let events = Box::new(NetworkEvents(Box::new(read)));
    registry.sub_registry_with_prefix("starling").register_collector(events);
}

struct NetworkEvents(Box<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>);

impl fmt::Debug for NetworkEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkEvents").finish_non_exhaustive()
    }
}

impl Collector for NetworkEvents {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let meaning = table::meaning(NETWORK_EVENTS);
        let mut family = encoder.encode_descriptor(NETWORK_EVENTS, meaning, None, MetricType::Counter)?;
        for (event, count) in (self.0)() {
            ConstCounter::new(count).encode(family.encode_family(&[("event", event)])?)?;
        }
        Ok(())
    }
}
