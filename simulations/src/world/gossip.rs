//! The gossip layer, as a model of gossipsub and not gossipsub itself.
//!
//! What is modelled: a mesh of degree 6 (5 to 12) among connected nodes, kept by a heartbeat each
//! second; publishing to every connected neighbour; forwarding within the mesh once the core accepted
//! a message; a memory of what was seen; lazy gossip, by which a node offers what it has seen in the
//! last three heartbeats to up to six connected neighbours outside its mesh, who ask for what they
//! lack. What is not: scoring, peer exchange, opportunistic grafting, back-off after a prune, and the
//! bytes of grafts and prunes. Grafts and prunes take effect on both sides at once, and an offer of
//! which the receiver lacks nothing costs bytes but no event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use starling_crdt::delta::VerifiedDelta;
use starling_crdt::gossip::{ScreenedAnnouncement, ScreenedDelta, ScreenedFrame};
use starling_crdt::id::{AuthorKey, SpaceId, Topic};
use starling_crdt::limits::INBOX_INPUTS_MAX;
use starling_crdt::replica::{Input, MessageToken, Verdict};

use super::World;
use super::chance::Purpose;
use super::event::{Event, Observation, Parcel};
use super::link::Carriage;
use super::queue::{SECOND, Time};

/// Between two heartbeats of a node.
pub(super) const HEARTBEAT: Time = SECOND;
const MESH: usize = 6;
const MESH_LOW: usize = 5;
const MESH_HIGH: usize = 12;
const LAZY: usize = 6;
/// How long a message is offered to neighbours.
const OFFERED_FOR: Time = 3 * HEARTBEAT;
/// How long a message's bytes are kept for whoever may still ask or have it under way.
const KEPT_FOR: Time = 60 * SECOND;
/// Bytes of one message id in an offer or a request.
const ID_BYTES: u64 = 34;
/// Bytes that framing adds to a message.
const FRAME_BYTES: usize = 60;

/// A message that travels by gossip.
pub(super) struct Message {
    topic: Topic,
    pub(super) payload: Arc<[u8]>,
    hash: [u8; 16],
    published: Time,
    /// What screening by a node that knows everything says.
    screened: Option<(Option<SpaceId>, ScreenedFrame)>,
    /// Whether it carries changes.
    pub(super) is_data: bool,
    /// The nodes whose processes have seen it, one bit each: a message under way is asked about again and
    /// again, and each node is one of hundreds.
    seen_by: Vec<u64>,
}

impl Message {
    fn is_seen_by(&self, node: usize) -> bool {
        self.seen_by.get(node / 64).is_some_and(|word| word >> (node % 64) & 1 == 1)
    }

    fn see(&mut self, node: usize) {
        let word = node / 64;
        if self.seen_by.len() <= word {
            self.seen_by.resize(word + 1, 0);
        }
        self.seen_by[word] |= 1 << (node % 64);
    }
}

/// Every message of the last minute, by number.
#[derive(Default)]
pub(super) struct Messages {
    first: u32,
    held: VecDeque<Message>,
    by_hash: BTreeMap<[u8; 16], u32>,
}

impl Messages {
    pub(super) fn get(&self, number: u32) -> Option<&Message> {
        self.held.get(number.checked_sub(self.first)? as usize)
    }

    /// Whether a node's process has seen a message. What is kept no more counts as seen by everyone.
    fn is_seen(&self, number: u32, node: usize) -> bool {
        self.get(number).is_none_or(|message| message.is_seen_by(node))
    }

    fn see(&mut self, number: u32, node: usize) {
        let place = number.checked_sub(self.first).map(|place| place as usize);
        if let Some(message) = place.and_then(|place| self.held.get_mut(place)) {
            message.see(node);
        }
    }

    /// A node's process is another one: it has seen nothing yet.
    pub(super) fn unsee(&mut self, node: usize) {
        for message in &mut self.held {
            if let Some(word) = message.seen_by.get_mut(node / 64) {
                *word &= !(1 << (node % 64));
            }
        }
    }

    fn forget(&mut self, before: Time) {
        while self.held.front().is_some_and(|message| message.published < before) {
            if let Some(message) = self.held.pop_front() {
                self.by_hash.remove(&message.hash);
                self.first += 1;
            }
        }
    }
}

/// What a process knows of its gossip neighbours.
#[derive(Default)]
pub(super) struct Neighbourhood {
    pub(super) topics: BTreeSet<Topic>,
    /// Neighbours with whom messages are exchanged eagerly, and their places.
    mesh: BTreeSet<usize>,
    recent: VecDeque<(u32, Time)>,
    /// The part of a heartbeat by which this process's beats are late, and whether one is scheduled.
    phase: Time,
    beats: bool,
    unjudged: BTreeMap<u64, (u32, usize)>,
    tokens: u64,
}

impl Neighbourhood {
    pub(super) fn new(phase: Time) -> Self {
        Self { phase, ..Self::default() }
    }
}

impl World {
    /// Puts a message into the table, or finds it there.
    fn message(&mut self, topic: Topic, payload: Vec<u8>) -> u32 {
        self.messages.forget(self.now.saturating_sub(KEPT_FOR));
        let digest = Sha256::digest(&payload);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        if let Some(number) = self.messages.by_hash.get(&hash) {
            return *number;
        }
        let number = self.messages.first + self.messages.held.len() as u32;
        let (space, frame) = self.fleet_screener.screen_gossip(topic, &payload);
        if let ScreenedFrame::Delta(ScreenedDelta::Verified(_, Some(incarnation))) = &frame {
            self.fleet_screener.learn_incarnation(incarnation.clone());
        }
        let is_data = matches!(frame, ScreenedFrame::Delta(_));
        // What not even the fleet's screener can judge is screened at each node.
        let judged = !matches!(
            frame,
            ScreenedFrame::Delta(ScreenedDelta::Unverified(_))
                | ScreenedFrame::Announcement(ScreenedAnnouncement::Unverified(_))
        );
        let screened = judged.then_some((space, frame));
        let payload = Arc::from(payload);
        self.messages.held.push_back(Message {
            topic,
            payload,
            hash,
            published: self.now,
            screened,
            is_data,
            seen_by: vec![0; self.nodes.len().div_ceil(64)],
        });
        self.messages.by_hash.insert(hash, number);
        number
    }

    /// A node publishes.
    pub(super) fn publish(&mut self, node: usize, topic: Topic, payload: Vec<u8>) {
        let number = self.message(topic, payload);
        let now = self.now;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        if self.messages.is_seen(number, node) {
            return;
        }
        self.messages.see(number, node);
        process.gossip.recent.push_back((number, now));
        self.beat_soon(node);
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let everyone: Vec<u64> = process.links.values().copied().collect();
        for connection in everyone {
            self.send_gossip(node, connection, number);
        }
    }

    /// Publishes without a check whether it was seen, as only a hostile node does.
    pub(super) fn publish_again(&mut self, node: usize, topic: Topic, payload: Vec<u8>) {
        let number = self.message(topic, payload);
        let Some(process) = self.nodes[node].process.as_ref() else { return };
        let everyone: Vec<u64> = process.links.values().copied().collect();
        for connection in everyone {
            self.send_parcel(
                node,
                connection,
                Parcel::Gossip { message: number, again: true },
                Carriage::Once,
            );
        }
    }

    fn send_gossip(&mut self, node: usize, connection: u64, number: u32) {
        let Some((_, other)) = self.other_end(node, connection) else { return };
        let Some(message) = self.messages.get(number) else { return };
        let bytes = message.payload.len() + FRAME_BYTES;
        let is_data = message.is_data;
        let Some(there) = self.nodes[other].process.as_ref() else { return };
        if !there.gossip.topics.contains(&message.topic) {
            return;
        }
        if message.is_seen_by(other) {
            // It will arrive and be dropped as seen: it costs its bytes and nothing else.
            self.traffic.count_gossip(node, bytes as u64, is_data, false);
            return;
        }
        self.send_parcel(node, connection, Parcel::Gossip { message: number, again: false }, Carriage::Once);
    }

    /// A gossip frame arrives.
    pub(super) fn gossip_arrives(&mut self, from: usize, node: usize, number: u32, again: bool) {
        let Some(message) = self.messages.get(number) else { return };
        let bytes = (message.payload.len() + FRAME_BYTES) as u64;
        let (topic, is_data) = (message.topic, message.is_data);
        let from_key = self.nodes[from].key;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        if !process.gossip.topics.contains(&topic) {
            return;
        }
        let seen = message.is_seen_by(node);
        self.traffic.count_gossip(from, bytes, is_data, !seen);
        if (seen && !again) || process.inbox.len() >= INBOX_INPUTS_MAX {
            return;
        }
        self.messages.see(number, node);
        process.gossip.tokens += 1;
        let token = process.gossip.tokens;
        process.gossip.unjudged.insert(token, (number, from));
        let (space, frame) = self.screened(node, number);
        let input = Input::Gossip { from: from_key, token: MessageToken(token), space, frame };
        self.deliver(node, input, 1);
    }

    /// What a node's own screener would say: the same as the fleet's, but for incarnations it has
    /// not heard of.
    fn screened(&self, node: usize, number: u32) -> (Option<SpaceId>, ScreenedFrame) {
        let unknown = (None, ScreenedFrame::Refused(starling_crdt::gossip::Refused::UnknownTopic));
        let Some(message) = self.messages.get(number) else { return unknown };
        let Some(process) = self.nodes[node].process.as_ref() else { return unknown };
        match &message.screened {
            Some((space, ScreenedFrame::Delta(ScreenedDelta::Verified(delta, None))))
                if process.screener.incarnation(delta.delta().actor).is_none() =>
            {
                (*space, ScreenedFrame::Delta(ScreenedDelta::Unverified(delta.delta().clone())))
            }
            Some((space, frame)) => (*space, frame.clone()),
            None => process.screener.screen_gossip(message.topic, &message.payload),
        }
    }

    /// The core judged a message.
    pub(super) fn judged(&mut self, node: usize, token: MessageToken, verdict: Verdict) {
        let now = self.now;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let Some((number, from)) = process.gossip.unjudged.remove(&token.0) else { return };
        if verdict != Verdict::Reject && self.messages.get(number).is_some_and(|message| message.is_data) {
            self.observe(Observation::Taken { node, from, message: number, verdict });
        }
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        if verdict != Verdict::Accept {
            return;
        }
        process.gossip.recent.push_back((number, now));
        let mesh: Vec<usize> = process.gossip.mesh.iter().copied().filter(|to| *to != from).collect();
        self.beat_soon(node);
        for to in mesh {
            if let Some(connection) = self.connection_between(node, to) {
                self.send_gossip(node, connection, number);
            }
        }
    }

    /// The delta that a message carries, while the message is kept.
    pub fn delta_of(&self, message: u32) -> Option<&VerifiedDelta> {
        match self.messages.get(message)?.screened.as_ref()? {
            (_, ScreenedFrame::Delta(ScreenedDelta::Verified(delta, _))) => Some(delta),
            _ => None,
        }
    }

    /// A new connection: both take each other into their meshes while those are small.
    pub(super) fn gossip_connected(&mut self, a: usize, b: usize) {
        let small = |world: &Self, node: usize| {
            world.nodes[node].process.as_ref().is_some_and(|process| process.gossip.mesh.len() < MESH_LOW)
        };
        if small(self, a) || small(self, b) {
            self.graft(a, b);
        }
        self.beat_soon(a);
        self.beat_soon(b);
    }

    /// A neighbour is gone from a node's mesh.
    pub(super) fn gossip_parted(&mut self, node: usize, other: usize) {
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.gossip.mesh.remove(&other);
            self.beat_soon(node);
        }
    }

    fn graft(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(process) = self.nodes[one].process.as_mut() {
                process.gossip.mesh.insert(other);
            }
        }
    }

    fn prune(&mut self, a: usize, b: usize) {
        self.gossip_parted(a, b);
        self.gossip_parted(b, a);
    }

    /// Lets a node's heart beat at its next turn. A heart with nothing to keep and nothing to offer
    /// rests until something happens to its mesh: a beat would change nothing.
    pub(super) fn beat_soon(&mut self, node: usize) {
        let (now, paused) = (self.now, self.nodes[node].paused);
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let gossip = &mut process.gossip;
        if gossip.beats || paused {
            return;
        }
        gossip.beats = true;
        let turn = (now + HEARTBEAT).saturating_sub(gossip.phase) / HEARTBEAT * HEARTBEAT + gossip.phase;
        let event = Event::Heartbeat { node, process: process.number };
        self.queue.schedule(turn, event);
    }

    /// Keeps the mesh and offers what was seen.
    pub(super) fn heartbeat(&mut self, node: usize, process_number: u64) {
        let now = self.now;
        let beat = now / HEARTBEAT;
        let Some(process) = self.nodes[node].process.as_mut().filter(|p| p.number == process_number) else {
            return;
        };
        let gossip = &mut process.gossip;
        gossip.beats = false;
        while gossip.recent.front().is_some_and(|(_, at)| at + OFFERED_FOR < now) {
            gossip.recent.pop_front();
        }
        let size = gossip.mesh.len();
        let recent: Vec<u32> = gossip.recent.iter().map(|(number, _)| *number).collect();
        let links: Vec<u64> = process.links.values().copied().collect();
        if self.nodes[node].paused {
            return;
        }
        if !recent.is_empty() {
            self.beat_soon(node);
        }
        let mut outside: Vec<(u64, usize)> = links
            .into_iter()
            .filter_map(|connection| Some((connection, self.other_end(node, connection)?.1)))
            .filter(|(_, other)| {
                let gossip = self.nodes[node].process.as_ref().map(|process| &process.gossip);
                gossip.is_some_and(|gossip| !gossip.mesh.contains(other)) && self.nodes[*other].runs()
            })
            .collect();
        if size > MESH_HIGH {
            let mut draws = self.chance.stream(Purpose::Mesh, node as u64, beat);
            let mut mesh: Vec<usize> = self.nodes[node]
                .process
                .iter()
                .flat_map(|process| process.gossip.mesh.iter().copied())
                .collect();
            draws.shuffle(&mut mesh);
            for other in mesh.into_iter().skip(MESH) {
                self.prune(node, other);
            }
        } else if size < MESH_LOW && !outside.is_empty() {
            self.chance.stream(Purpose::Mesh, node as u64, beat).shuffle(&mut outside);
            let lacking = (MESH - size).min(outside.len());
            for (_, other) in outside.drain(..lacking) {
                self.graft(node, other);
            }
        }
        if recent.is_empty() || outside.is_empty() {
            return;
        }
        if outside.len() > LAZY {
            self.chance.stream(Purpose::Lazy, node as u64, beat).shuffle(&mut outside);
            outside.truncate(LAZY);
        }
        for (connection, other) in outside {
            self.traffic.count_control(node, ID_BYTES * recent.len() as u64);
            self.offer(node, connection, other, &recent);
        }
    }

    /// Offers messages to a neighbour; what it lacks comes after its request.
    fn offer(&mut self, node: usize, connection: u64, other: usize, recent: &[u32]) {
        let hears = self.nodes[other].runs() && !self.nodes[other].paused;
        if self.is_cut(node, other) || self.is_cut(other, node) || !hears {
            return;
        }
        for number in recent {
            if self.messages.is_seen(*number, other) {
                continue;
            }
            self.traffic.count_control(other, ID_BYTES);
            let counter = u64::from(*number) << 20 | other as u64;
            let mut draws = self.chance.stream(Purpose::Lazy, node as u64 + 1_000_000, counter);
            let Some(there) = self.link_between(node, other).map(|link| link.latency(&mut draws)) else {
                return;
            };
            let Some(back) = self.link_between(other, node).map(|link| link.latency(&mut draws)) else {
                return;
            };
            let way = self.way_of(node, connection);
            let event = Event::Offered { connection, way, message: *number };
            self.send_off(self.now + there + back, event);
        }
    }

    /// The neighbour's request arrives: the message goes out.
    pub(super) fn offered(&mut self, connection: u64, way: usize, number: u32) {
        if let Some((from, _)) = self.ends(connection, way) {
            self.send_gossip(from, connection, number);
        }
    }

    /// A peer's key, for a place in the fleet.
    pub fn key_of(&self, node: usize) -> AuthorKey {
        self.nodes[node].key
    }
}
