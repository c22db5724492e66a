//! The command line against the built program: without a node, and against real nodes.

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod demo;
mod documents;
mod edits;
mod export;
mod refusals;
mod routes;
mod usage;
mod watched;
