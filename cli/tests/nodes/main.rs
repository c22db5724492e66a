//! Several real nodes: on loopback, and as hosts of their own in network namespaces.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/skip.rs"]
mod skip;

mod asking;
mod hosts;
mod loopback;
mod namespaces;
