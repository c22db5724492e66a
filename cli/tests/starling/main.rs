//! The command line against the built program: without a node, and against real nodes.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/skip.rs"]
mod skip;

#[path = "../support/schema.rs"]
mod schema;

#[path = "../../../crdt/tests/mesh/rogue.rs"]
mod rogue;

#[path = "../../../node/tests/hostile/member.rs"]
#[allow(dead_code, reason = "each test uses the part it needs")]
mod member;

mod compare;
mod crash;
mod demo;
mod doctor;
mod documents;
mod edits;
mod evidence;
mod examples;
mod export;
mod hooks;
mod inspecting;
mod keep;
mod names;
mod past;
mod refusals;
mod restoring;
mod room;
mod routes;
mod schemas;
mod terminal;
mod top;
mod usage;
mod views;
mod watched;

use support::Node;

/// A node with one empty space, in a directory of its own.
fn node_with_shop(name: &str) -> (tempfile::TempDir, Node) {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), &["--name", name]);
    node.run(&["space", "create", "shop"]).expect(0);
    (directory, node)
}
