//! What nodes do that do not keep to the protocol.

use super::World;
use crate::scenario::Hostility;

impl World {
    /// Whether a hostile node lets a question go unanswered.
    pub(super) fn withholds(&self, _node: usize, _asker: usize, _id: u64) -> bool {
        false
    }

    /// An answer as it leaves its node.
    pub(super) fn as_answered(&self, _node: usize, _id: u64, body: Vec<u8>) -> Vec<u8> {
        body
    }

    /// Lets a node leave the protocol, or return to it.
    pub fn turn(&mut self, node: usize, hostile: Option<Hostility>) {
        self.nodes[node].hostile = hostile;
    }

    /// Lets a hostile node do what it does; says how often it did.
    pub fn misbehave(&mut self, _node: usize, _round: u64) -> u64 {
        0
    }
}
