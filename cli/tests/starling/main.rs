//! The command line against the built program: without a node, and against real nodes.

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod demo;
mod documents;
mod refusals;
mod usage;
mod watched;
