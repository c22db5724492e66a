//! What nodes do that do not keep to the protocol.

use super::World;

impl World {
    /// Whether a hostile node lets a question go unanswered.
    pub(super) fn withholds(&self, _node: usize, _asker: usize, _id: u64) -> bool {
        false
    }

    /// An answer as it leaves its node.
    pub(super) fn as_answered(&self, _node: usize, _id: u64, body: Vec<u8>) -> Vec<u8> {
        body
    }
}
