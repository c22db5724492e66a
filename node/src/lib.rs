//! A node of Starling: the shell round the core. libp2p, HTTP, metrics, configuration.

pub mod clock;
pub mod config;
mod driver;
pub mod handle;
pub mod http;
pub mod identity;
pub mod inspect;
pub mod metrics;
pub mod network;
pub mod node;
mod runtime;
pub mod shutdown;
pub mod telemetry;
mod warnings;

pub use runtime::runtime;
