//! What these tests ask of nodes, through the command line, and wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use starling_api::address::SOCKET_FILE;
use starling_api::{Client, NodeAddress};

use crate::support::{Node, until};

/// Longer than anything here takes on a busy machine unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

fn json(node: &Node, args: &[&str]) -> Value {
    let args: Vec<&str> = ["--output", "json"].iter().chain(args).copied().collect();
    node.run(&args).expect(0).json()
}

/// The items of a listing command.
pub fn items(node: &Node, args: &[&str]) -> Vec<Value> {
    json(node, args)["items"].as_array().expect("a list").clone()
}

/// Where a node listens, once it does; `port 0` has become a port.
pub fn listening(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    until("the node listens", PATIENCE, || {
        let status = json(node, &["status"]);
        found = texts(&status["listen"]);
        !found.is_empty()
    });
    found
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("text").to_owned()).collect()
}

/// A node's own key.
pub fn key(node: &Node) -> String {
    json(node, &["status"])["key"].as_str().expect("a key").to_owned()
}

/// A ticket for a role; its addresses are known by then.
pub fn ticket(node: &Node, role: &str) -> String {
    listening(node);
    node.run(&["invite", "--role", role]).expect(0).line().to_owned()
}

/// Waits until a node is a member of the space it joined.
pub fn until_joined(node: &Node) {
    until("the node is a member", PATIENCE, || {
        items(node, &["space", "list"]).iter().any(|space| space["state"] == "joined")
    });
}

/// Joins by a ticket, to the end.
pub fn join(node: &Node, ticket: &str) {
    node.run(&["join", ticket]).expect(0);
    until_joined(node);
}

/// Every document with its heads.
pub fn listing(node: &Node) -> BTreeMap<String, String> {
    let items = items(node, &["ls"]);
    items
        .iter()
        .map(|item| (item["name"].as_str().expect("a name").to_owned(), item["heads"].to_string()))
        .collect()
}

/// Waits until every node lists these documents, with the same heads.
pub fn until_equal(nodes: &[&Node], names: &[&str], most: Duration) {
    until(&format!("all nodes hold {names:?} alike"), most, || {
        let first = listing(nodes[0]);
        first.keys().eq(names) && nodes[1..].iter().all(|node| listing(node) == first)
    });
}

/// Whether a node has a connection with this key.
pub fn connected(node: &Node, key: &str) -> bool {
    items(node, &["peers"]).iter().any(|peer| peer["key"] == key && peer["connected"] == true)
}

/// What a node calls the state of the member with this key.
pub fn state(node: &Node, key: &str) -> String {
    let members = items(node, &["members"]);
    let member = members.iter().find(|member| member["key"] == key);
    member.map_or("no member", |member| member["state"].as_str().expect("a state")).to_owned()
}

/// The value of one figure of a node, by its whole name with labels.
pub fn figure(node: &Node, name: &str) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = Client::new(NodeAddress::Unix(node.directory.join(SOCKET_FILE)));
    let text = runtime.block_on(client.metrics()).expect("the node serves its figures");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}
