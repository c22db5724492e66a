//! A Starling node: the shell round the pure core.

pub mod metrics;
pub mod network;
