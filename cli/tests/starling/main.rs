//! The command line against the built program: without a node, and against real nodes.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/schema.rs"]
mod schema;

#[path = "../../../crdt/tests/mesh/rogue.rs"]
mod rogue;

mod compare;
mod crash;
mod demo;
mod documents;
mod edits;
mod evidence;
mod export;
mod keep;
mod past;
mod refusals;
mod restoring;
mod room;
mod routes;
mod usage;
mod watched;
