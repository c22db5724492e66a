//! The metrics registry, the one place that names its crate.

pub use prometheus_client::registry::Registry;
