//! gossipsub as Starling uses it: anonymous, every message judged by the core before it travels on.
//!
//! Promises: a message is identified by the hash of all its bytes; one on a topic this node does not
//! follow, or longer than the protocol allows, is dropped before anything stores it. Leaves out:
//! delivery. Gossip is best effort; repair completes it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use libp2p::gossipsub::{
    AllowAllSubscriptionFilter, Behaviour, ConfigBuilder, DataTransform, MaxCountSubscriptionFilter, Message,
    MessageAuthenticity, MessageId, RawMessage, TopicHash, ValidationMode,
};
use sha2::{Digest, Sha256};
use starling_crdt::id::Topic;
use starling_crdt::limits::GOSSIP_BYTES_MAX;

use super::NetworkError;
use super::limits::{
    GOSSIP_CONTROL_BYTES_MAX, GOSSIP_CONTROL_IDS_MAX, GOSSIP_QUEUE_MESSAGES_MAX, TOPICS_MAX,
};

/// gossipsub compares this with its whole read buffer, which may hold the beginning of the next
/// frame (up to 8 KiB) behind a complete one, so it lies above the largest payload by more than
/// that and the frame's own fields.
const TRANSMIT_BYTES_MAX: usize = GOSSIP_BYTES_MAX + 16 * 1024;
/// Size from which a message that arrived is declined at the other mesh peers at once, before its verdict,
/// so that they do not send it again. The notice takes about 45 bytes, and the smallest message, a beacon,
/// more than 300; without it each node of a small fleet gets every message from every neighbour.
const DECLINED_BYTES_MIN: usize = 128;
/// How long a message is remembered, so that it is neither delivered nor sent twice. Ten times as
/// long as a message is offered again (three heartbeats); longer only costs memory.
const REMEMBERED: Duration = Duration::from_secs(30);

/// gossipsub with the filters below.
pub(super) type Gossip = Behaviour<FollowedOnly, MaxCountSubscriptionFilter<AllowAllSubscriptionFilter>>;

/// gossipsub's name of `topic`.
pub(super) fn topic_hash(topic: &Topic) -> TopicHash {
    TopicHash::from_raw(topic.to_string())
}

/// SHA-256 over topic and payload. Never anything the sender claims: a message could then take the
/// place of another in every cache.
fn message_id(message: &Message) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(message.topic.as_str());
    hash.update(&message.data);
    MessageId::new(hash.finalize().as_slice())
}

/// The topics this node follows, as the gate below sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed(Arc<RwLock<BTreeSet<TopicHash>>>);

impl Followed {
    /// Follows `topic`; false, and not followed, when there are too many already.
    pub(super) fn insert(&self, topic: TopicHash) -> bool {
        let mut topics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= TOPICS_MAX && !topics.contains(&topic) {
            return false;
        }
        topics.insert(topic);
        true
    }

    /// Follows `topic` no longer.
    pub(super) fn remove(&self, topic: &TopicHash) {
        let mut topics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        topics.remove(topic);
    }

    fn contains(&self, topic: &TopicHash) -> bool {
        let topics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        topics.contains(topic)
    }
}

/// The gate every received message passes first. Without it gossipsub would keep what strangers
/// send on topics nobody follows for some heartbeats, without asking for a verdict.
#[derive(Debug)]
pub(super) struct FollowedOnly(Followed);

impl DataTransform for FollowedOnly {
    fn inbound_transform(&self, message: RawMessage) -> Result<Message, io::Error> {
        if message.data.len() > GOSSIP_BYTES_MAX {
            return Err(io::Error::other("longer than gossip may be"));
        }
        if !self.0.contains(&message.topic) {
            return Err(io::Error::other("on a topic this node does not follow"));
        }
        Ok(Message {
            source: message.source,
            data: message.data,
            sequence_number: message.sequence_number,
            topic: message.topic,
        })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, io::Error> {
        Ok(data)
    }
}

/// gossipsub for this node.
///
/// Mesh of 6 (5 to 12): two to seven nodes are all linked with each other, and 500 nodes are four
/// hops apart. A peer that subscribes is taken into a mesh below its lower bound at once, so two
/// fresh nodes need no heartbeat to hear each other, and a publisher sends to every subscribed
/// neighbour, in the mesh or not. No timer stands in the way of a publish or a forward.
pub(super) fn gossip(followed: Followed) -> Result<Gossip, NetworkError> {
    let fail = |reason: String| NetworkError::Build { part: "gossipsub", reason };
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(TRANSMIT_BYTES_MAX)
        .duplicate_cache_time(REMEMBERED)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_secs(1))
        .mesh_n(6)
        .mesh_n_low(5)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .flood_publish(true)
        .idontwant_message_size_threshold(DECLINED_BYTES_MIN)
        .connection_handler_queue_len(GOSSIP_QUEUE_MESSAGES_MAX)
        .max_control_messages_sent(GOSSIP_CONTROL_IDS_MAX)
        .max_control_message_size(GOSSIP_CONTROL_BYTES_MAX)
        .build()
        .map_err(|error| fail(error.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: AllowAllSubscriptionFilter {},
        max_subscribed_topics: TOPICS_MAX,
        max_subscriptions_per_request: TOPICS_MAX,
    };
    Behaviour::new_with_subscription_filter_and_transform(
        MessageAuthenticity::Anonymous,
        config,
        filter,
        FollowedOnly(followed),
    )
    .map_err(|error| fail(error.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: u8, data: &[u8]) -> Message {
        let topic = topic_hash(&Topic([topic; 32]));
        Message { source: None, data: data.to_vec(), sequence_number: None, topic }
    }

    #[test]
    fn the_identifier_covers_topic_and_payload() {
        let id = message_id(&message(1, b"a"));
        assert_eq!(id, message_id(&message(1, b"a")));
        assert_ne!(id, message_id(&message(1, b"b")));
        assert_ne!(id, message_id(&message(2, b"a")));
        assert_eq!(id.0.len(), 32);
    }

    #[test]
    fn the_gate_drops_what_is_not_followed_or_too_long() {
        let followed = Followed::default();
        let gate = FollowedOnly(followed.clone());
        let topic = topic_hash(&Topic([1; 32]));
        let raw = |bytes: usize| RawMessage {
            source: None,
            data: vec![0; bytes],
            sequence_number: None,
            topic: topic.clone(),
            signature: None,
            key: None,
            validated: false,
        };
        assert!(gate.inbound_transform(raw(1)).is_err());
        assert!(followed.insert(topic.clone()));
        assert!(gate.inbound_transform(raw(GOSSIP_BYTES_MAX)).is_ok());
        assert!(gate.inbound_transform(raw(GOSSIP_BYTES_MAX + 1)).is_err());
        followed.remove(&topic);
        assert!(gate.inbound_transform(raw(1)).is_err());
    }

    #[test]
    fn topics_are_bounded() {
        let followed = Followed::default();
        for n in 0..TOPICS_MAX {
            assert!(followed.insert(topic_hash(&Topic([n as u8; 32]))));
        }
        assert!(followed.insert(topic_hash(&Topic([0; 32]))), "followed already");
        assert!(!followed.insert(topic_hash(&Topic([255; 32]))));
    }
}
