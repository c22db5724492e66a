//! What nodes do that do not keep to the protocol.
//!
//! A hostile node is a member with a sound key that runs the real core, and beside it sends what the
//! core never would. It knows everything a member knows, the space's key included.

use sha2::{Digest, Sha256};
use starling_crdt::codec::Signable;
use starling_crdt::document::{Commit, Document, Edit, Json};
use starling_crdt::exchange::{Request, decode_message};
use starling_crdt::gossip::Frame;
use starling_crdt::id::{Actor, ChangeHash, DocumentName};
use starling_crdt::incarnation::{Incarnation, VerifiedIncarnation};
use starling_crdt::replica::{Condition, LocalRequest, Write};
use starling_crdt::store::tables::{DeltaRecord, delta_key, named_key, record};
use starling_crdt::store::{KeyRange, Table};
use starling_crdt::{delta::Announcement, delta::VerifiedDelta, seal};

use super::World;
use super::chance::{Draws, Purpose};
use super::event::Parcel;
use super::founding::{DOCUMENT_FIRST, document_name};
use super::link::Carriage;
use crate::scenario::Hostility;

/// Messages of one act.
const PER_ACT: usize = 8;
/// Bytes of one piece of garbage, at most.
const GARBAGE_MAX: u64 = 2_000;
/// Forged deltas that are remembered with who sent them; of later ones it is not told.
const FORGED_MAX: usize = 100_000;
/// Deltas looked at to find one to work on.
const DELTAS_READ_MAX: usize = 512;

impl World {
    /// Whether a hostile node lets a question go unanswered: every one for changes, and of those that
    /// say what it has only some, so that it is believed to have what it never gives.
    pub(super) fn withholds(&self, node: usize, asker: usize, id: u64, body: &[u8]) -> bool {
        let mut draws =
            self.chance.stream(Purpose::Hostile, node as u64 + (2 << 32), id << 16 | asker as u64);
        self.nodes[node].hostile == Some(Hostility::Withhold)
            && (matches!(decode_message(body), Ok(Request::Fetch { .. })) || draws.happens(200_000))
    }

    /// An answer as it leaves its node.
    pub(super) fn as_answered(&self, node: usize, id: u64, body: Vec<u8>) -> Vec<u8> {
        let mut draws = self.chance.stream(Purpose::Hostile, node as u64 + (1 << 32), id);
        match self.nodes[node].hostile {
            Some(Hostility::Garbage) if draws.happens(300_000) => garbage(&mut draws),
            Some(Hostility::Alter) if draws.happens(300_000) => bent(body, &mut draws),
            _ => body,
        }
    }

    /// Lets a node leave the protocol, or return to it.
    pub fn turn(&mut self, node: usize, hostile: Option<Hostility>) {
        self.nodes[node].hostile = hostile;
    }

    /// Lets a hostile node do what it does; says how often it did.
    pub fn misbehave(&mut self, node: usize, round: u64) -> u64 {
        let Some(hostile) = self.nodes[node].hostile.filter(|_| self.nodes[node].runs()) else { return 0 };
        let mut draws = self.chance.stream(Purpose::Hostile, node as u64, round);
        match hostile {
            Hostility::Garbage => self.send_garbage(node, &mut draws),
            Hostility::Forge => self.send_changed(node, &mut draws, Some(forged)),
            Hostility::Alter => self.send_changed(node, &mut draws, Some(altered)),
            Hostility::Replay => self.send_changed(node, &mut draws, None),
            Hostility::Withhold => self.announce(node, &mut draws),
            Hostility::OrphanFlood | Hostility::Poison if round == 0 => self.write_once(node),
            Hostility::OrphanFlood => self.send_made(node, &mut draws, orphan),
            Hostility::Poison => self.send_made(node, &mut draws, poison),
        }
    }

    /// Whether a hostile node made the change with this hash beside its core.
    pub fn made_by_hand(&self, hash: &[u8; 32]) -> bool {
        self.made_by_hand.contains(hash)
    }

    /// The hostile node that first sent a delta which its author did not sign, if it is known. Answers are
    /// bent bit by bit: what comes of one is not known beforehand.
    pub fn forger(&self, last_hash: &[u8; 32], signature: &[u8; 64]) -> Option<usize> {
        self.forged.get(&(*last_hash, *signature)).copied()
    }

    fn note_forged(&mut self, node: usize, frame: &Frame, genuine: Option<([u8; 32], [u8; 64])>) {
        // A bit bent in a checksum that is made anew leaves what the author signed.
        let Some(key) = signed_as(frame).filter(|key| Some(*key) != genuine) else { return };
        if self.forged.len() < FORGED_MAX {
            self.forged.entry(key).or_insert(node);
        }
    }

    fn send_frame(&mut self, node: usize, frame: &Frame) {
        let payload = frame.seal(&self.epoch_key);
        self.publish_again(node, self.topic, payload);
    }

    fn send_garbage(&mut self, node: usize, draws: &mut Draws) -> u64 {
        for _ in 0..PER_ACT {
            let bytes = garbage(draws);
            let sealed = if draws.happens(500_000) { seal::seal(&self.epoch_key, &bytes) } else { bytes };
            self.publish_again(node, self.topic, sealed);
        }
        let links: Vec<u64> =
            self.nodes[node].process.iter().flat_map(|process| process.links.values().copied()).collect();
        if let Some(link) = draws.pick(&links) {
            let body = garbage(draws).into();
            self.send_parcel(node, *link, Parcel::Ask { id: draws.next(), body }, Carriage::Stream);
        }
        PER_ACT as u64 + 1
    }

    /// A delta somebody made, as this node holds it, with its incarnation.
    fn held_delta(&self, node: usize, draws: &mut Draws) -> Option<Frame> {
        let store = self.nodes[node].reader()?.store();
        let rows = store.rows(Table::Deltas, KeyRange::ALL, DELTAS_READ_MAX).ok()?;
        let (key, value) = draws.pick(&rows)?;
        let ((name, _), (actor, first_seq)) = (named_key(key)?, delta_key(key)?);
        let held: DeltaRecord = record(value, "delta record").ok()?;
        let certificate = store.value(Table::Incarnations, &[&key[..4], &actor.0].concat()).ok()??;
        let incarnation: Incarnation = record(&certificate, "incarnation").ok()?;
        let delta = starling_crdt::delta::Delta {
            space: self.space,
            document: DocumentName::new(name).ok()?,
            actor,
            first_seq,
            changes: held.changes,
            signature: starling_crdt::identity::Signature(held.signature),
        };
        Some(Frame::Delta { incarnation: Some(incarnation), delta })
    }

    fn send_changed(
        &mut self,
        node: usize,
        draws: &mut Draws,
        change: Option<fn(Frame, &mut Draws) -> Frame>,
    ) -> u64 {
        let mut sent = 0;
        for _ in 0..PER_ACT {
            if let Some(mut frame) = self.held_delta(node, draws) {
                if let Some(change) = change {
                    let genuine = signed_as(&frame);
                    frame = change(frame, draws);
                    self.note_forged(node, &frame, genuine);
                }
                self.send_frame(node, &frame);
                sent += 1;
            }
        }
        sent
    }

    fn announce(&mut self, node: usize, draws: &mut Draws) -> u64 {
        let Some(tips) = self.own_tips(node) else { return 0 };
        let identity = self.nodes[node].identity.clone();
        for _ in 0..PER_ACT {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&draws.next().to_be_bytes());
            let incarnation = VerifiedIncarnation::sign(&identity, self.space, nonce, tips.clone());
            let (document, actor) = (document_name(draws.below(16) as u32), incarnation.actor());
            let (seq, hash) = (draws.between(1, 1_000), ChangeHash([draws.next() as u8; 32]));
            let promised = Signable::new("starling/delta")
                .bytes(&self.space.0)
                .bytes(document.as_str().as_bytes())
                .bytes(&actor.0)
                .number(seq)
                .bytes(&hash.0);
            let signature = identity.sign(&promised);
            let announcement = Announcement { document, actor, seq, hash, signature };
            let incarnation = Some(incarnation.certificate().clone());
            self.send_frame(node, &Frame::Announcement { incarnation, announcement });
        }
        PER_ACT as u64
    }

    /// A sound write, which makes the node an incarnation that the others admit.
    fn write_once(&mut self, node: usize) -> u64 {
        if let Some(edit) = second_edit() {
            let (space, document) = (self.space, document_name(0));
            let write = Write { space, document, edit, condition: Condition::default(), request_id: None };
            self.submit(node, LocalRequest::Write(Box::new(write)));
        }
        0
    }

    /// Charter tips to cite: those of the node's own incarnation, or of anybody's.
    fn own_tips(&self, node: usize) -> Option<Vec<starling_crdt::id::StatementId>> {
        let store = self.nodes[node].reader()?.store();
        let rows = store.rows(Table::Incarnations, KeyRange::ALL, DELTAS_READ_MAX).ok()?;
        let key = self.nodes[node].key;
        let all: Vec<Incarnation> =
            rows.iter().filter_map(|(_, value)| record(value, "incarnation").ok()).collect();
        // Who may not write has none of its own and takes the tips of another.
        let own = all.iter().find(|incarnation| incarnation.author == key).or(all.first());
        own.map(|incarnation| incarnation.tips.clone())
    }

    fn send_made(
        &mut self,
        node: usize,
        draws: &mut Draws,
        make: impl Fn(&World, usize, &DocumentName, &[VerifiedIncarnation; 2]) -> Option<Vec<u8>>,
    ) -> u64 {
        let Some(tips) = self.own_tips(node) else { return 0 };
        let identity = self.nodes[node].identity.clone();
        let mut sent = 0;
        for _ in 0..PER_ACT {
            let mut incarnation = || {
                let mut nonce = [0; 16];
                nonce[..8].copy_from_slice(&draws.next().to_be_bytes());
                VerifiedIncarnation::sign(&identity, self.space, nonce, tips.clone())
            };
            let both = [incarnation(), incarnation()];
            let document = document_name(draws.below(4) as u32);
            let Some(change) = make(self, node, &document, &both) else { continue };
            let actor = both[1].actor();
            let Ok(delta) = VerifiedDelta::sign(&identity, self.space, document, actor, vec![change]) else {
                continue;
            };
            let incarnation = Some(both[1].certificate().clone());
            self.made_by_hand.insert(delta.last_hash().0);
            self.send_frame(node, &Frame::Delta { incarnation, delta: delta.delta().clone() });
            sent += 1;
        }
        sent
    }

    /// The hash of a document's first change.
    fn first_change(&self, node: usize, document: &DocumentName) -> Option<[u8; 32]> {
        let store = self.nodes[node].reader()?.store();
        let rows = store.rows(Table::Deltas, KeyRange::ALL, DELTAS_READ_MAX).ok()?;
        let mut of =
            rows.iter().filter(|(key, _)| named_key(key).is_some_and(|(name, _)| name == document.as_str()));
        of.find_map(|(_, value)| {
            let held: DeltaRecord = record(value, "delta record").ok()?;
            let chunk = held.changes.first()?;
            let is_first = chunk.get(8..).is_some_and(|hashed| hashed.first() == Some(&1));
            let change = starling_crdt::chunk::ChangeChunk::parse(chunk).ok().filter(|_| is_first)?;
            change.dependencies.is_empty().then_some(change.hash.0)
        })
    }
}

/// The hash of a delta's last change, and its signature.
fn signed_as(frame: &Frame) -> Option<([u8; 32], [u8; 64])> {
    let Frame::Delta { delta, .. } = frame else { return None };
    let hashed = delta.changes.last().and_then(|change| change.get(8..)).unwrap_or_default();
    Some((Sha256::digest(hashed).into(), delta.signature.0))
}

fn garbage(draws: &mut Draws) -> Vec<u8> {
    (0..draws.between(1, GARBAGE_MAX)).map(|_| draws.next() as u8).collect()
}

fn bent(mut bytes: Vec<u8>, draws: &mut Draws) -> Vec<u8> {
    let place = draws.below(bytes.len() as u64) as usize;
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << draws.below(8);
    }
    bytes
}

/// Signed by nobody who could.
fn forged(frame: Frame, draws: &mut Draws) -> Frame {
    let Frame::Delta { incarnation, mut delta } = frame else { return frame };
    let place = draws.below(64) as usize;
    delta.signature.0[place] ^= 1;
    Frame::Delta { incarnation, delta }
}

/// Other content under the old signature.
fn altered(frame: Frame, draws: &mut Draws) -> Frame {
    let Frame::Delta { incarnation, mut delta } = frame else { return frame };
    if let Some(change) = delta.changes.last_mut() {
        *change = rehashed(bent(change.to_vec(), draws)).into();
    }
    Frame::Delta { incarnation, delta }
}

/// A chunk whose checksum fits its content again.
fn rehashed(mut chunk: Vec<u8>) -> Vec<u8> {
    if chunk.len() > 8 {
        let hash = Sha256::digest(&chunk[8..]);
        chunk[4..8].copy_from_slice(&hash[..4]);
    }
    chunk
}

fn made(document: &mut Document, actor: Actor, edit: &Edit) -> Option<Vec<u8>> {
    let commit = Commit { actor, time_seconds: 0, message: None };
    document.edit(commit, edit).ok()?.changes.pop().map(|change| change.bytes)
}

fn first_edit() -> Option<Edit> {
    Some(Edit::Put { value: Json::parse(DOCUMENT_FIRST).ok()?, base: None })
}

fn second_edit() -> Option<Edit> {
    Some(Edit::Set { pointer: "/map/bad".parse().ok()?, value: Json::parse("\"x\"").ok()? })
}

/// A change that rests on one nobody else has.
fn orphan(_: &World, _: usize, _: &DocumentName, both: &[VerifiedIncarnation; 2]) -> Option<Vec<u8>> {
    let mut private = Document::new();
    made(&mut private, both[0].actor(), &first_edit()?)?;
    made(&mut private, both[1].actor(), &second_edit()?)
}

/// A sound change but for what it writes to: an object that is not in its past. It rests on the
/// document's true first change, which has as many operations as the private one it was made on.
fn poison(
    world: &World,
    node: usize,
    document: &DocumentName,
    both: &[VerifiedIncarnation; 2],
) -> Option<Vec<u8>> {
    let mut private = Document::new();
    let first = made(&mut private, both[0].actor(), &first_edit()?)?;
    let change = made(&mut private, both[1].actor(), &second_edit()?)?;
    let private = Sha256::digest(&first[8..]);
    let public = world.first_change(node, document)?;
    let place = change.windows(32).position(|window| window == private.as_slice())?;
    let mut poisoned = change;
    poisoned[place..place + 32].copy_from_slice(&public);
    Some(rehashed(poisoned))
}
