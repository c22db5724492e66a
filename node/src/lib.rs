//! A node of Starling: the shell round the core. libp2p, HTTP, metrics, configuration.

pub mod clock;
pub mod config;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod network;
pub mod shutdown;
pub mod telemetry;
