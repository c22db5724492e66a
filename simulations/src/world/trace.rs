//! The trace: a hash over everything that happens, in order.
//!
//! Two runs with one trace hash went the same way; the first difference between two runs changes it.

use sha2::{Digest, Sha256};

use super::log::{EventLog, Line};
use super::queue::Time;
use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{Effect, Verdict};

/// Bytes gathered before they are hashed.
const BLOCK_BYTES: usize = 8 * 1024;

/// What has happened so far.
pub struct Trace {
    hash: Sha256,
    block: Vec<u8>,
    events: u64,
    /// Where events are written out, if anybody wants to read them.
    log: Option<EventLog>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: Sha256::new(), block: Vec::with_capacity(2 * BLOCK_BYTES), events: 0, log: None }
    }
}

impl Trace {
    /// Writes every event from now on to `log` as well.
    pub fn log_to(&mut self, log: EventLog) {
        self.log = Some(log);
    }

    /// Tells whoever reads along of one more node.
    pub(super) fn introduce(&self, key: AuthorKey, name: &str) {
        if let Some(log) = &self.log {
            log.introduce(key, name);
        }
    }

    /// Notes one event.
    pub fn note(&mut self, at: Time, kind: u8, node: usize, detail: &[u8]) {
        self.absorb(at, kind, node, detail);
        if self.log.is_some() {
            self.write(at, node, Line::noted(detail));
        }
    }

    /// Writes a line with the hash over every event up to it.
    fn write(&mut self, at: Time, node: usize, line: Line<'_>) {
        let hash = self.hash();
        if let Some(log) = &self.log {
            log.write(at, node, line, &hash);
        }
    }

    fn absorb(&mut self, at: Time, kind: u8, node: usize, detail: &[u8]) {
        self.events += 1;
        self.block.extend_from_slice(&at.to_be_bytes());
        self.block.push(kind);
        self.block.extend_from_slice(&(node as u32).to_be_bytes());
        self.block.extend_from_slice(&(detail.len() as u32).to_be_bytes());
        self.block.extend_from_slice(detail);
        // Whoever reads along asks for the hash after each event.
        if self.block.len() >= BLOCK_BYTES || self.log.is_some() {
            self.hash.update(&self.block);
            self.block.clear();
        }
    }

    /// Notes what a step did.
    pub fn effects(&mut self, at: Time, node: usize, effects: &[Effect]) {
        for effect in effects {
            if self.effect(at, node, effect) && self.log.is_some() {
                self.write(at, node, Line::of(effect));
            }
        }
    }

    /// Notes an effect, unless it is only a figure or a word for the operator.
    fn effect(&mut self, at: Time, node: usize, effect: &Effect) -> bool {
        let (kind, detail): (u8, &[u8]) = match effect {
            Effect::Reply { ticket, reply } => {
                let outcome = u8::from(reply.is_ok());
                self.absorb(at, 100 + outcome, node, &ticket.0.to_be_bytes());
                return true;
            }
            Effect::Publish { payload, .. } => (102, payload),
            Effect::Verdict { token, verdict } => {
                let kind = 103
                    + match verdict {
                        Verdict::Accept => 0,
                        Verdict::Ignore => 1,
                        Verdict::Reject => 2,
                    };
                self.absorb(at, kind, node, &token.0.to_be_bytes());
                return true;
            }
            Effect::Ask { body, .. } => (106, body),
            Effect::Answer { body, .. } => (107, body),
            Effect::Changed(change) => {
                let heads: Vec<u8> = change.heads.iter().flat_map(|head| head.0).collect();
                self.absorb(at, 108, node, &heads);
                return true;
            }
            Effect::Dial { addresses, .. } => {
                (109, addresses.first().map_or(&[], |address| address.as_str().as_bytes()))
            }
            Effect::Disconnect { peer, .. } => (110, &peer.0),
            Effect::Block(peer) => (111, &peer.0),
            Effect::Unblock(peer) => (112, &peer.0),
            Effect::Offence { peer, .. } => (113, &peer.0),
            Effect::MemberChanged { change, .. } => (114, &change.author.0),
            Effect::Subscribe(topic) => (115, &topic.0),
            Effect::Unsubscribe(topic) => (116, &topic.0),
            Effect::Count { .. } | Effect::Note(_) => return false,
        };
        self.absorb(at, kind, node, detail);
        true
    }

    /// Events noted.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash, in hex.
    pub fn hash(&self) -> String {
        let mut hash = self.hash.clone();
        hash.update(&self.block);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_the_content_of_events_change_the_hash() {
        let hash = |events: &[(Time, u8)]| {
            let mut trace = Trace::default();
            events.iter().for_each(|(at, kind)| trace.note(*at, *kind, 0, b"x"));
            trace.hash()
        };
        assert_eq!(hash(&[(1, 1), (2, 2)]), hash(&[(1, 1), (2, 2)]));
        assert_ne!(hash(&[(1, 1), (2, 2)]), hash(&[(2, 2), (1, 1)]));
        assert_ne!(hash(&[(1, 1)]), hash(&[(1, 2)]));
    }
}
