//! What the story knows while it goes on, and the looks at the nodes that several acts share.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use starling_api::Heads;
use starling_api::client::ClientError;
use starling_api::document::Operation;

use super::claim::Refuted;
use super::cluster::{Cluster, DemoNode};
use crate::commands::pages::Pages;

/// Pause between two looks at something that takes its time.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// One side of the cut, by the indices of its nodes.
pub(super) struct Side {
    /// What it is called.
    pub(super) name: &'static str,
    /// Its nodes.
    pub(super) nodes: &'static [usize],
}

/// The two sides.
pub(super) const SIDES: [Side; 2] =
    [Side { name: "left", nodes: &[0, 1, 2] }, Side { name: "right", nodes: &[3, 4] }];

/// The node that is killed.
pub(super) const VICTIM: usize = 4;

/// The state of the story.
pub(super) struct World {
    /// The nodes.
    pub(super) cluster: Cluster,
    /// The space all of them share, once it was made.
    pub(super) space: String,
    /// Writes the killed node acknowledged: document and number written.
    pub(super) acknowledged: BTreeMap<String, u64>,
    observed: String,
}

impl World {
    /// The beginning.
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, space: String::new(), acknowledged: BTreeMap::new(), observed: String::new() }
    }

    /// Remembers what was seen last, for a claim that passes its deadline.
    pub(super) fn observe(&mut self, seen: impl Into<String>) {
        self.observed = seen.into();
    }

    /// What was seen last.
    pub(super) fn observed(&self) -> &str {
        &self.observed
    }

    /// One node.
    pub(super) fn node(&self, index: usize) -> &DemoNode {
        &self.cluster.nodes[index]
    }

    /// The names of some nodes.
    pub(super) fn names(&self, indices: &[usize]) -> String {
        indices.iter().map(|index| self.node(*index).name).collect::<Vec<_>>().join(", ")
    }

    /// The indices of the nodes that run.
    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.cluster.nodes.len()).filter(|index| self.node(*index).runs()).collect()
    }

    /// What a node calls itself, by its key.
    pub(super) fn name_of(&self, key: &str) -> String {
        let known = self.cluster.nodes.iter().find(|node| node.key == key);
        known.map_or_else(|| key.to_owned(), |node| node.name.to_owned())
    }

    /// Heads of every document on one node.
    pub(super) async fn heads(&self, index: usize) -> Result<BTreeMap<String, Heads>, ClientError> {
        let mut pages = Pages::new(&self.node(index).client, &self.space, None, false, None);
        let mut heads = BTreeMap::new();
        while let Some(items) = pages.next().await? {
            heads.extend(items.into_iter().map(|item| (item.name, item.heads)));
        }
        Ok(heads)
    }

    /// Waits until these nodes list the same documents with the same heads, and says how many.
    pub(super) async fn equal_heads(&mut self, indices: &[usize], at_least: usize) -> Result<usize, Refuted> {
        loop {
            let mut all = Vec::new();
            for index in indices {
                all.push(self.heads(*index).await?);
            }
            if all.windows(2).all(|pair| pair[0] == pair[1]) && all[0].len() >= at_least {
                return Ok(all[0].len());
            }
            let seen = describe_difference(&all, indices.iter().map(|index| self.node(*index).name));
            self.observe(seen);
            self.pause().await;
        }
    }

    /// The value of a document on one node.
    pub(super) async fn value(&self, index: usize, name: &str) -> Result<Value, ClientError> {
        Ok(self.node(index).client.document(&self.space, name).await?.value)
    }

    /// Writes a whole document on one node.
    pub(super) async fn put(&self, index: usize, name: &str, value: &Value) -> Result<(), ClientError> {
        let client = &self.node(index).client;
        client.put(&self.space, name, value.to_string(), &Default::default()).await.map(drop)
    }

    /// Does one operation on one node.
    pub(super) async fn operate(
        &self,
        index: usize,
        name: &str,
        operation: Operation,
    ) -> Result<(), ClientError> {
        let client = &self.node(index).client;
        client.operate(&self.space, name, &operation, &Default::default()).await.map(drop)
    }

    /// Waits until a document has the same expected value on all these nodes.
    pub(super) async fn agree_on(
        &mut self,
        indices: &[usize],
        name: &str,
        expected: impl Fn(&Value) -> bool,
    ) -> Result<Value, Refuted> {
        loop {
            let mut values = Vec::new();
            for index in indices {
                values.push(self.value(*index, name).await?);
            }
            if values.iter().all(|value| *value == values[0] && expected(value)) {
                return Ok(values.swap_remove(0));
            }
            let seen: Vec<_> = indices
                .iter()
                .zip(&values)
                .map(|(index, value)| format!("{}: {value}", self.node(*index).name))
                .collect();
            self.observe(seen.join("; "));
            self.pause().await;
        }
    }

    /// A short pause before the next look.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

fn describe_difference<'a>(all: &[BTreeMap<String, Heads>], names: impl Iterator<Item = &'a str>) -> String {
    let mut seen = String::new();
    let first = &all[0];
    for (heads, name) in all.iter().zip(names) {
        let differing = heads.iter().filter(|(name, heads)| first.get(*name) != Some(*heads)).count();
        // Writing to a string does not fail.
        let _ = write!(
            seen,
            "{name} holds {} documents, {differing} of them unlike the first node's; ",
            heads.len()
        );
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::describe_difference;

    #[test]
    fn a_difference_is_counted_per_node() {
        let head = |digit: &str| digit.repeat(64).parse().unwrap();
        let one = BTreeMap::from([("a".to_owned(), head("1")), ("b".to_owned(), head("2"))]);
        let other = BTreeMap::from([("a".to_owned(), head("3"))]);
        let seen = describe_difference(&[one, other], ["oslo", "lima"].into_iter());
        assert!(
            seen.contains("oslo holds 2 documents, 0") && seen.contains("lima holds 1 documents, 1"),
            "{seen}"
        );
    }
}
