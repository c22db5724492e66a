//! Connections: dialled, accepted, cut, noticed to be dead; questions and answers over them.
//!
//! As in the product, a dial takes two round trips, is given up after ten seconds, and a connection
//! that carries nothing is noticed to be dead ten to twenty seconds later. Two nodes have at most one
//! connection: a second dial ends on the one that stands, and a second process with one key takes the
//! place of the first where that is connected.

use std::sync::Arc;

use starling_crdt::address::Address;
use starling_crdt::connect::DialTarget;
use starling_crdt::gossip::{ScreenedAnswer, ScreenedRequest};
use starling_crdt::id::AuthorKey;
use starling_crdt::limits::{CONNECTIONS_MAX, INBOX_INPUTS_MAX};
use starling_crdt::replica::Input;

use super::chance::Purpose;
use super::connections::Connection;
use super::cut::Cut;
use super::event::{Dial, Event, Parcel};
use super::link::{Added, Carriage, Link, Way};
use super::process::{address, place};
use super::queue::{MILLISECOND, SECOND, Time};
use super::{Overlay, Traffic, World};

/// How long a dial waits for somebody.
const DIAL_TIMEOUT: Time = 10 * SECOND;
/// How long a question waits for its answer.
const REQUEST_TIMEOUT: Time = 20 * SECOND;
/// When a dead connection is noticed: pings every ten seconds that wait ten for their answer.
const SILENCE: (Time, Time) = (10 * SECOND, 20 * SECOND);
/// The same on one network: pings every two seconds, silence of four and a half, looks every half.
const SILENCE_LOCAL: (Time, Time) = (2_500 * MILLISECOND, 5 * SECOND);
/// Frames that wait in one direction for a cut to end. Past it the connection breaks.
const STALLED_MAX: usize = 4_096;
/// Bytes that framing adds to a question or an answer.
const FRAME_BYTES: usize = 80;

impl Traffic {
    /// Moves what was counted as control to where it belongs.
    pub(super) fn reclassify(&mut self, useful: u64, redundant: u64) {
        self.control = self.control.saturating_sub(useful + redundant);
        self.useful += useful;
        self.redundant += redundant;
    }
}

impl World {
    fn home(&self, node: usize) -> usize {
        if node < self.fleet {
            return node;
        }
        let key = self.nodes[node].key;
        self.nodes_of(key).next().unwrap_or(0)
    }

    /// The link from one node to another, with what faults add.
    pub(super) fn link_between(&self, from: usize, to: usize) -> Option<Link> {
        let class = self.link_of.get(self.home(from) * self.fleet + self.home(to))?;
        let mut link = self.links.get(usize::from(*class))?.clone();
        let touching = self.overlays.iter().filter(|overlay| {
            overlay.nodes.binary_search(&from).is_ok() || overlay.nodes.binary_search(&to).is_ok()
        });
        link.added.extend(touching.map(|overlay| (overlay.fault, overlay.added)));
        Some(link)
    }

    /// Whether a cut keeps frames of one node from another.
    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.iter().any(|(_, cut)| cut.blocks(from, to))
    }

    /// Whether two nodes cannot reach each other: a cut lies between them, or one does not run.
    pub fn are_apart(&self, one: usize, other: usize) -> bool {
        let idle = |node: usize| self.nodes[node].process.is_none() || self.nodes[node].paused;
        idle(one) || idle(other) || self.is_cut(one, other) || self.is_cut(other, one)
    }

    fn cutting(&self, from: usize, to: usize) -> Vec<usize> {
        self.cuts.iter().filter(|(_, cut)| cut.blocks(from, to)).map(|(_, cut)| cut.fault).collect()
    }

    /// Puts a cut in place. Gives its handle.
    pub fn cut(&mut self, cut: Cut) -> u64 {
        self.handles += 1;
        let handle = self.handles;
        self.cuts.push((handle, cut));
        self.trace_note(0, b"cut");
        self.reachability_changed();
        handle
    }

    /// Lets one node out of a cut.
    pub fn release_from_cut(&mut self, handle: u64, node: usize) {
        if let Some((_, cut)) = self.cuts.iter_mut().find(|(held, _)| *held == handle) {
            cut.release(node);
        }
        self.reachability_changed();
    }

    /// Ends a cut.
    pub fn mend(&mut self, handle: u64) {
        self.cuts.retain(|(held, _)| *held != handle);
        self.trace_note(0, b"mend");
        self.reachability_changed();
    }

    /// Adds something to every link of these nodes. Gives its handle.
    pub fn add_to_links(&mut self, fault: usize, mut nodes: Vec<usize>, added: Added) -> u64 {
        self.handles += 1;
        nodes.sort_unstable();
        self.overlays.push(Overlay { handle: self.handles, fault, nodes, added });
        self.handles
    }

    /// Takes it away again.
    pub fn take_from_links(&mut self, handle: u64) {
        self.overlays.retain(|overlay| overlay.handle != handle);
    }

    /// The ends of a connection as a way sees them: from, to.
    pub(super) fn ends(&self, connection: u64, way: usize) -> Option<(usize, usize)> {
        let held = self.connections.get(connection)?;
        Some((held.ends[way], held.ends[1 - way]))
    }

    /// The other end of a node's connection, with the way that leads there.
    pub(super) fn other_end(&self, node: usize, connection: u64) -> Option<(usize, usize)> {
        let held = self.connections.get(connection)?;
        let way = usize::from(held.ends[0] != node);
        Some((way, held.ends[1 - way]))
    }

    pub(super) fn way_of(&self, node: usize, connection: u64) -> usize {
        self.other_end(node, connection).map_or(0, |(way, _)| way)
    }

    /// The connection between two nodes.
    pub(super) fn connection_between(&self, node: usize, other: usize) -> Option<u64> {
        self.nodes[node].process.as_ref()?.links.get(&self.nodes[other].key).copied()
    }

    /// Pairs of nodes connected now.
    pub fn connections(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.connections.iter().map(|(_, connection)| (connection.ends[0], connection.ends[1]))
    }

    /// A node dials.
    pub(super) fn dial(
        &mut self,
        node: usize,
        target: DialTarget,
        expected: Option<AuthorKey>,
        addresses: &[Address],
    ) {
        let Some(process) = self.nodes[node].process.as_ref().map(|process| process.number) else { return };
        let to = addresses.iter().find_map(place).filter(|to| *to < self.nodes.len());
        let dial = Dial { target: target.clone(), expected, to };
        let event = Event::Dialled { node, process, dial: Box::new(dial) };
        let counter = self.events;
        let mut draws = self.chance.stream(Purpose::Latency, node as u64 + (1 << 32), counter);
        let Some(to) = to else {
            self.queue.schedule(self.now + MILLISECOND, event);
            return;
        };
        let ways = self.link_between(node, to).zip(self.link_between(to, node));
        let round_trip = ways.map_or(1, |(there, back)| there.latency(&mut draws) + back.latency(&mut draws));
        let cutting: Vec<usize> = [self.cutting(node, to), self.cutting(to, node)].concat();
        if !cutting.is_empty() || self.nodes[to].paused {
            self.fired(&cutting);
            let given_up = Event::DialFailed { node, process, target: Box::new(target) };
            self.queue.schedule(self.now + DIAL_TIMEOUT, given_up);
            return;
        }
        self.queue.schedule(self.now + 2 * round_trip, event);
    }

    /// A dial has reached its end.
    pub(super) fn dialled(&mut self, node: usize, process: u64, dial: Dial) {
        let Dial { target, expected, to } = dial;
        if self.nodes[node].process.as_ref().is_none_or(|running| running.number != process) {
            return;
        }
        let Some(to) = to else {
            self.deliver(node, Input::DialFailed { target }, 0);
            return;
        };
        let cutting: Vec<usize> = [self.cutting(node, to), self.cutting(to, node)].concat();
        if !cutting.is_empty() {
            self.fired(&cutting);
            let given_up = Event::DialFailed { node, process, target: Box::new(target) };
            self.queue.schedule(self.now + DIAL_TIMEOUT, given_up);
            return;
        }
        let peer = self.nodes[to].key;
        if peer == self.nodes[node].key {
            self.deliver(node, Input::Dialled { target, peer }, 0);
            return;
        }
        if let Some(standing) = self.standing(node, peer)
            && !self.is_half_open(standing)
        {
            self.deliver(node, Input::Dialled { target, peer }, 0);
            return;
        }
        if !self.accepts(to, node) || expected.is_some_and(|expected| expected != peer) {
            self.deliver(node, Input::DialFailed { target }, 0);
            return;
        }
        self.connect(node, to, target);
    }

    fn standing(&self, node: usize, peer: AuthorKey) -> Option<u64> {
        self.nodes[node].process.as_ref()?.links.get(&peer).copied()
    }

    fn is_half_open(&self, connection: u64) -> bool {
        self.connections.get(connection).is_none_or(|held| {
            (0..2).any(|end| {
                let process = self.nodes[held.ends[end]].process.as_ref();
                process.is_none_or(|process| process.number != held.processes[end])
            })
        })
    }

    fn accepts(&self, node: usize, from: usize) -> bool {
        let (key, from_key) = (self.nodes[node].key, self.nodes[from].key);
        let Some(process) = self.nodes[node].process.as_ref().filter(|_| !self.nodes[node].paused) else {
            return false;
        };
        // A second process under one key takes the place of the first, as a newer connection does.
        let doubled = process.links.get(&from_key).is_some_and(|standing| {
            let same = self.other_end(node, *standing).is_some_and(|(_, other)| other == from);
            same && !self.is_half_open(*standing)
        });
        !doubled
            && !self.nodes[node].blocked.contains(&from_key)
            && !self.nodes[from].blocked.contains(&key)
            && process.links.len() < CONNECTIONS_MAX
    }

    fn connect(&mut self, node: usize, to: usize, target: DialTarget) {
        let (key, peer) = (self.nodes[node].key, self.nodes[to].key);
        // What was left of an earlier connection goes first.
        for (here, there) in [(node, peer), (to, key)] {
            if let Some(old) = self.standing(here, there) {
                self.drop_connection(old);
            }
        }
        let numbers = [node, to].map(|end| self.nodes[end].process.as_ref().map_or(0, |p| p.number));
        let connection = Connection {
            ends: [node, to],
            processes: numbers,
            ways: [Way::default(), Way::default()],
            stalled: [Vec::new(), Vec::new()],
            cut: None,
        };
        let number = self.connections.add(connection);
        for (here, there) in [(node, peer), (to, key)] {
            if let Some(process) = self.nodes[here].process.as_mut() {
                process.links.insert(there, number);
            }
        }
        self.traffic.count_control(node, 1_500);
        self.traffic.count_control(to, 1_500);
        self.gossip_connected(node, to);
        self.deliver(node, Input::PeerUp { peer, address: address(to), inbound: false }, 1);
        self.deliver(node, Input::Dialled { target, peer }, 0);
        self.deliver(to, Input::PeerUp { peer: key, address: address(node), inbound: true }, 1);
    }

    /// A node closes its connection with a peer.
    pub(super) fn disconnect(&mut self, node: usize, peer: AuthorKey) {
        if let Some(connection) = self.standing(node, peer) {
            self.drop_connection(connection);
        }
    }

    /// Ends a connection, and tells both ends that are there.
    fn drop_connection(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(number) else { return };
        let [a, b] = connection.ends;
        for (end, other, process) in [(a, b, connection.processes[0]), (b, a, connection.processes[1])] {
            let peer = self.nodes[other].key;
            self.forget_link(end, process, peer, number, other);
        }
    }

    fn forget_link(&mut self, node: usize, number: u64, peer: AuthorKey, connection: u64, other: usize) {
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.number == number)
        else {
            return;
        };
        if process.links.get(&peer) != Some(&connection) {
            return;
        }
        process.links.remove(&peer);
        let open: Vec<(AuthorKey, u64)> =
            process.asked.iter().filter(|(_, over)| **over == connection).map(|(asked, _)| *asked).collect();
        for asked in &open {
            process.asked.remove(asked);
        }
        for (peer, id) in open {
            self.deliver(node, Input::Answered { peer, id, answer: Err("connection lost".into()) }, 0);
        }
        self.deliver(node, Input::PeerDown { peer }, 0);
        self.gossip_parted(node, other);
    }

    /// One end of a connection is gone: the other learns it soon, or when it notices the silence.
    pub(super) fn break_from(&mut self, number: u64, node: usize, silent: bool) {
        let Some(connection) = self.connections.get(number) else { return };
        let end = usize::from(connection.ends[0] != node);
        let (other, process) = (connection.ends[1 - end], connection.processes[1 - end]);
        let peer = self.nodes[node].key;
        let mut draws = self.chance.stream(Purpose::Detection, other as u64, number);
        let unheard = silent || self.is_cut(node, other);
        let delay = if unheard {
            let (least, most) = self.patience();
            draws.between(least, most)
        } else {
            self.link_between(node, other).map_or(1, |link| link.latency(&mut draws))
        };
        let event = Event::Lost { node: other, process, peer, connection: number };
        self.queue.schedule(self.now + delay, event);
        self.gossip_parted(other, node);
    }

    pub(super) fn lost(&mut self, node: usize, process: u64, peer: AuthorKey, connection: u64) {
        let Some(held) = self.connections.get(connection) else { return };
        let other = held.ends[usize::from(held.ends[0] == node)];
        self.connections.remove(connection);
        self.forget_link(node, process, peer, connection, other);
    }

    /// After a change of cuts or pauses: dead connections begin to be noticed, live ones go on.
    pub(super) fn reachability_changed(&mut self) {
        let (least, most) = self.patience();
        let mut dead = Vec::new();
        let mut alive = Vec::new();
        for (number, connection) in self.connections.iter() {
            let [a, b] = connection.ends;
            let cut = self.is_cut(a, b) || self.is_cut(b, a) || self.nodes[a].paused || self.nodes[b].paused;
            match (cut, connection.cut) {
                (true, None) => dead.push(number),
                (false, Some(_)) => alive.push(number),
                _ => {}
            }
        }
        for number in dead {
            self.handles += 1;
            let cut = self.handles;
            if let Some(connection) = self.connections.get_mut(number) {
                connection.cut = Some(cut);
                let first = connection.ends[0] as u64;
                let delay = self.chance.stream(Purpose::Detection, first, number).between(least, most);
                self.queue.schedule(self.now + delay, Event::Silence { connection: number, cut });
            }
        }
        for number in alive {
            self.revive(number);
        }
    }

    /// How long nobody notices that a connection carries nothing.
    fn patience(&self) -> (Time, Time) {
        if self.local { SILENCE_LOCAL } else { SILENCE }
    }

    fn revive(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.cut = None;
        let stalled = std::mem::take(&mut connection.stalled);
        let ends = connection.ends;
        for (way, parcels) in stalled.into_iter().enumerate() {
            for parcel in parcels {
                self.send_parcel(ends[way], number, parcel, Carriage::Stream);
            }
        }
    }

    /// A connection that has carried nothing for long is noticed to be dead, if it still is.
    pub(super) fn silence(&mut self, number: u64, cut: u64) {
        let Some(connection) = self.connections.get(number) else { return };
        if connection.cut != Some(cut) {
            return;
        }
        let [a, b] = connection.ends;
        let faults = [self.cutting(a, b), self.cutting(b, a)].concat();
        self.fired(&faults);
        self.drop_connection(number);
    }

    /// Sends a parcel over a connection.
    pub(super) fn send_parcel(&mut self, node: usize, number: u64, parcel: Parcel, carriage: Carriage) {
        let Some((way, other)) = self.other_end(node, number) else { return };
        let Some(link) = self.link_between(node, other) else { return };
        let bytes = self.bytes_of(&parcel);
        let now = self.now;
        let key = (node as u64) << 24 | other as u64;
        let Some(connection) = self.connections.get_mut(number) else { return };
        let counter = number << 32 | connection.ways[way].sent;
        let mut draws = self.chance.stream(Purpose::Loss, key, counter);
        let fare = link.send(&mut connection.ways[way], now, bytes, carriage, &mut draws);
        self.fired(&fare.struck);
        if !matches!(parcel, Parcel::Gossip { .. }) {
            self.traffic.count_control(node, bytes as u64);
        }
        match fare.arrives {
            None if carriage == Carriage::Stream => self.drop_connection(number),
            None => {
                // Lost gossip costs its bytes, too.
                if let Parcel::Gossip { message, .. } = parcel {
                    let is_data = self.messages.get(message).is_some_and(|message| message.is_data);
                    self.traffic.count_gossip(node, bytes as u64, is_data, false);
                }
            }
            Some(arrives) => {
                if let (Parcel::Gossip { message, .. }, Some(again)) = (&parcel, fare.again) {
                    let parcel = Parcel::Gossip { message: *message, again: true };
                    self.send_off(again, Event::Arrive { connection: number, way, parcel });
                }
                let parcel = if fare.damaged { Parcel::Damaged } else { parcel };
                self.send_off(arrives, Event::Arrive { connection: number, way, parcel });
            }
        }
    }

    fn bytes_of(&self, parcel: &Parcel) -> usize {
        FRAME_BYTES
            + match parcel {
                Parcel::Gossip { message, .. } => {
                    self.messages.get(*message).map_or(0, |message| message.payload.len())
                }
                Parcel::Ask { body, .. } | Parcel::Answer { body, .. } => body.len(),
                Parcel::Damaged => 0,
            }
    }

    /// A parcel arrives, unless a cut keeps it.
    pub(super) fn arrive(&mut self, number: u64, way: usize, parcel: Parcel) {
        let Some((from, to)) = self.ends(number, way) else { return };
        let faults = self.cutting(from, to);
        if !faults.is_empty() {
            self.fired(&faults);
            let Some(connection) = self.connections.get_mut(number) else { return };
            connection.stalled[way].push(parcel);
            if connection.stalled[way].len() > STALLED_MAX {
                self.drop_connection(number);
            }
            return;
        }
        let Some(connection) = self.connections.get(number) else { return };
        let expected = connection.processes[1 - way];
        if self.nodes[to].process.as_ref().is_none_or(|process| process.number != expected) {
            return;
        }
        match parcel {
            Parcel::Gossip { message, again } => self.gossip_arrives(from, to, message, again),
            Parcel::Ask { id, body } => self.asked(from, to, id, &body),
            Parcel::Answer { id, body } => self.answered(from, to, id, &body),
            // Noise and TLS end a connection on the first byte that does not fit.
            Parcel::Damaged => self.drop_connection(number),
        }
    }

    /// A node asks a peer.
    pub(super) fn ask(&mut self, node: usize, peer: AuthorKey, id: u64, body: Vec<u8>) {
        let Some(connection) = self.standing(node, peer) else {
            self.deliver(node, Input::Answered { peer, id, answer: Err("not connected".into()) }, 0);
            return;
        };
        let now = self.now;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.asked.insert((peer, id), connection);
        let timeout = Event::AskTimeout { node, process: process.number, peer, id };
        self.queue.schedule(now + REQUEST_TIMEOUT, timeout);
        self.send_parcel(node, connection, Parcel::Ask { id, body: body.into() }, Carriage::Stream);
    }

    pub(super) fn ask_timed_out(&mut self, node: usize, number: u64, peer: AuthorKey, id: u64) {
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.number == number)
        else {
            return;
        };
        if process.asked.remove(&(peer, id)).is_some() {
            self.deliver(node, Input::Answered { peer, id, answer: Err("no answer in time".into()) }, 0);
        }
    }

    fn asked(&mut self, from: usize, to: usize, id: u64, body: &[u8]) {
        if self.nodes[to].waiting() >= INBOX_INPUTS_MAX {
            return;
        }
        let peer = self.nodes[from].key;
        if self.withholds(to, from, id, body) {
            return;
        }
        let Some(process) = self.nodes[to].process.as_ref() else { return };
        let request = process.screener.screen_request(body);
        let signatures = match &request {
            Ok(ScreenedRequest::TakeStatements { statements, .. }) => statements.len() as u64,
            _ => 0,
        };
        self.deliver(to, Input::Asked { peer, id, request }, signatures);
    }

    /// A node answers a peer.
    pub(super) fn answer(&mut self, node: usize, peer: AuthorKey, id: u64, body: Vec<u8>) {
        if let Some(connection) = self.standing(node, peer) {
            let body: Arc<[u8]> = self.as_answered(node, id, body).into();
            self.send_parcel(node, connection, Parcel::Answer { id, body }, Carriage::Stream);
        }
    }

    fn answered(&mut self, from: usize, to: usize, id: u64, body: &[u8]) {
        let peer = self.nodes[from].key;
        let Some(process) = self.nodes[to].process.as_mut() else { return };
        if process.asked.remove(&(peer, id)).is_none() {
            return;
        }
        let answer = process.screener.screen_answer(body);
        let signatures = match &answer {
            ScreenedAnswer::Deltas { deltas, .. } => deltas.len() as u64,
            ScreenedAnswer::Statements { statements, .. } | ScreenedAnswer::Joined(statements) => {
                statements.len() as u64
            }
            _ => 0,
        };
        self.deliver(to, Input::Answered { peer, id, answer: Ok(answer) }, signatures);
    }
}
