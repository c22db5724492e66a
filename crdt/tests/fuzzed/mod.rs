//! What is fuzzed, one function for each target.
//!
//! Each takes any bytes and panics where something that must hold does not. Where a checksum or a
//! signature would stop everything at the door, it is made right first, so that what lies behind is met.

#![allow(dead_code, reason = "each user takes the targets it needs")]

pub mod life;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use starling_crdt::admission::{screen_delta, screen_encoded_delta};
use starling_crdt::charter::{Statement, Ticket};
use starling_crdt::chunk::ChangeChunk;
use starling_crdt::codec::{Signable, decode, encode};
use starling_crdt::delta::Delta;
use starling_crdt::document::{Commit, Document, Edit, Json, Patch, Pointer, canonical};
use starling_crdt::exchange::{Request, Response, decode_message, encode_message};
use starling_crdt::gossip::{Frame, Screener};
use starling_crdt::id::{Actor, DocumentName, SpaceId};
use starling_crdt::identity::Identity;
use starling_crdt::incarnation::{Incarnation, VerifiedIncarnation};
use starling_crdt::seal::{EpochKey, seal};

/// A target: its name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 9] = [
    ("frame", frame),
    ("incarnation", incarnation),
    ("statement", statement),
    ("delta", delta),
    ("chunk", chunk),
    ("message", message),
    ("ticket", ticket),
    ("patch", patch),
    ("replica", life::replica),
];

const SPACE: SpaceId = SpaceId([1; 32]);

fn author() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn certificate() -> VerifiedIncarnation {
    VerifiedIncarnation::sign(&author(), SPACE, [2; 16], Vec::new())
}

fn screener() -> (Screener, EpochKey) {
    let (screener, key) = (Screener::default(), EpochKey::from_bytes([9; 32]));
    screener.learn_space(SPACE, key.clone());
    screener.learn_incarnation(certificate());
    (screener, key)
}

/// What can be read can be written, and is read the same.
fn comes_back<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(decode::<T>(&encode(value), "value").as_ref(), Ok(value));
}

/// A gossip frame, sealed as a member would.
pub fn frame(bytes: &[u8]) {
    if let Ok(frame) = decode::<Frame>(bytes, "gossip frame") {
        comes_back(&frame);
    }
    let (screener, key) = screener();
    let topic = starling_crdt::seal::topic(SPACE, &key);
    let (space, _) = screener.screen_gossip(topic, &seal(&key, bytes));
    assert_eq!(space, Some(SPACE));
    screener.screen_gossip(topic, bytes);
}

/// An incarnation's certificate.
pub fn incarnation(bytes: &[u8]) {
    let Ok(found) = decode::<Incarnation>(bytes, "incarnation") else { return };
    comes_back(&found);
    let signed = VerifiedIncarnation::sign(&author(), found.space, found.nonce, found.tips.clone());
    let again = VerifiedIncarnation::verify(signed.certificate().clone());
    assert_eq!(again.map(|again| again.actor()), Ok(signed.actor()), "signed here, refused here");
    let passes = VerifiedIncarnation::verify(found.clone()).is_ok() && found.author == author().key();
    assert!(!passes || found.signature == signed.certificate().signature, "a signature nobody made");
}

/// A charter statement.
pub fn statement(bytes: &[u8]) {
    let Ok(found) = Statement::from_bytes(bytes) else { return };
    let written = found.to_bytes();
    assert_eq!(Statement::from_bytes(&written).as_ref(), Ok(&found));
    if let Ok(verified) = found.verify() {
        assert_eq!(verified.to_bytes(), written);
    }
}

/// The content of a change chunk with the frame that belongs to it: magic, checksum, kind, length.
pub fn framed(content: &[u8]) -> Vec<u8> {
    let mut hashed = vec![1];
    let mut length = content.len();
    loop {
        let more = length > 0x7f;
        hashed.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    hashed.extend_from_slice(content);
    let checksum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum[..4], &hashed].concat()
}

/// Change chunks before automerge may read them: as they are, and with a right checksum.
pub fn chunk(bytes: &[u8]) {
    for chunk in [bytes.to_vec(), framed(bytes)] {
        let Ok(parsed) = ChangeChunk::parse(&chunk) else { continue };
        // Whatever the pre-parser lets through, automerge may read without harm.
        let Ok(known) = canonical(&chunk) else { continue };
        assert_eq!(parsed, known);
        let change = automerge::Change::try_from(chunk.as_slice()).expect("it is canonical");
        assert_eq!(change.len() as u64, parsed.ops, "operations counted");
        assert_eq!(change.hash().0, parsed.hash.0);
        assert_eq!((change.seq(), change.start_op().get()), (parsed.seq, parsed.start_op));
    }
}

/// Splits into pieces of the lengths that two bytes before each say.
pub fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(([low, high], rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (piece, left) = rest.split_at(length);
        pieces.push(piece);
        bytes = left;
    }
    pieces
}

/// A delta as it comes, and one of changes that are signed whatever they are: what passes builds a
/// document whose file loads.
pub fn delta(bytes: &[u8]) {
    if let Ok(found) = screen_encoded_delta(bytes) {
        comes_back(&found);
        let _ = screen_delta(found, &certificate());
    }
    let changes: Vec<Vec<u8>> = pieces(bytes).into_iter().map(framed).collect();
    let Some(last) = changes.last().and_then(|last| ChangeChunk::parse(last).ok()) else { return };
    let document = DocumentName::new("fuzzed").expect("a name");
    let actor = certificate().actor();
    let signable = Signable::new("starling/delta")
        .bytes(&SPACE.0)
        .bytes(document.as_str().as_bytes())
        .bytes(&actor.0)
        .number(last.seq)
        .bytes(&last.hash.0);
    let signature = author().sign(&signable);
    let first_seq = (last.seq + 1).saturating_sub(changes.len() as u64);
    let changes: Vec<ByteVec> = changes.into_iter().map(ByteVec::from).collect();
    let made = Delta { space: SPACE, document, actor, first_seq, changes, signature };
    let Ok(verified) = screen_delta(made, &certificate()) else { return };
    let changes: Vec<&[u8]> = verified.changes().map(|(_, bytes)| bytes).collect();
    let mut whole = Document::new();
    let poison = whole.apply(&changes);
    assert!(poison.iter().all(|poison| !poison.reason.diverges()), "{poison:?}");
    let mut one_by_one = Document::new();
    changes.iter().for_each(|change| drop(one_by_one.apply(&[change])));
    assert!(!whole.is_damaged() && !one_by_one.is_damaged());
    assert_eq!(whole.heads(), one_by_one.heads(), "batching decides");
    assert_eq!(whole.read(None, None), one_by_one.read(None, None));
    automerge::Automerge::load(&whole.to_automerge_file()).expect("the file loads");
}

/// A message of an exchange, as a question and as an answer.
pub fn message(bytes: &[u8]) {
    if let Ok(request) = decode_message::<Request>(bytes) {
        assert_eq!(decode_message::<Request>(&encode_message(&request)).as_ref(), Ok(&request));
    }
    if let Ok(response) = decode_message::<Response>(bytes) {
        assert_eq!(decode_message::<Response>(&encode_message(&response)).as_ref(), Ok(&response));
    }
    let (screener, _) = screener();
    let _ = screener.screen_request(bytes);
    screener.screen_answer(bytes);
}

/// A ticket's text, and one whose checksum is right.
pub fn ticket(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        ticket_text(text);
    }
    let content = [&[0], bytes].concat();
    let sum = Sha256::digest(&content);
    let encoded = URL_SAFE_NO_PAD.encode([&content, &sum[..4]].concat());
    ticket_text(&format!("starling-ticket-0:{encoded}"));
}

fn ticket_text(text: &str) {
    let Ok(ticket) = Ticket::parse(text) else { return };
    let written = ticket.to_text();
    let again = Ticket::parse(&written).expect("written here");
    assert_eq!(format!("{again:?}"), format!("{ticket:?}"));
    assert_eq!(again.invite_identity().key(), ticket.invite_identity().key());
}

const PATCHED: &str = r#"{"a": {"b": [1, "two", {"c": null}], "n": {"$counter": 4}}, "t": {"$text": "text"},
    "": 0, "~/": {"$bytes": "AAE="}, "when": {"$time": "2026-01-01T00:00:00Z"}}"#;

/// Bodies of writes: JSON, JSON Patch, JSON Merge Patch, JSON Pointer.
pub fn patch(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    if let Ok(pointer) = std::str::from_utf8(body).unwrap_or_default().parse::<Pointer>() {
        assert_eq!(pointer.to_string().parse::<Pointer>().as_ref(), Ok(&pointer));
    }
    let Ok(value) = Json::parse(body) else { return };
    assert_eq!(Json::parse(value.to_text()).as_ref(), Ok(&value), "written and read again");
    assert_eq!(Json::parse(value.to_text_pretty()).as_ref(), Ok(&value));
    let edit = match kind % 4 {
        0 => match Patch::of(value) {
            Ok(patch) => Edit::Patch(patch),
            Err(_) => return,
        },
        1 => Edit::Merge { pointer: Pointer::root(), patch: value },
        2 => Edit::Put { value, base: None },
        _ => Edit::Set { pointer: "/a/b/1".parse().expect("a pointer"), value },
    };
    edits_alike(&edit);
}

/// An edit gives one change that means the same elsewhere, or changes nothing.
fn edits_alike(edit: &Edit) {
    let mut document = Document::new();
    let commit = |actor| Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None };
    let start = Edit::Put { value: Json::parse(PATCHED).expect("an example"), base: None };
    document.edit(commit(1), &start).expect("a document");
    let mut copy = document.clone();
    let before = document.read(None, None).expect("it is readable");
    match document.edit(commit(2), edit) {
        Ok(edited) => {
            let changes: Vec<&[u8]> = edited.changes.iter().map(|change| change.bytes.as_slice()).collect();
            for change in &changes {
                canonical(change).expect("honest changes are canonical");
            }
            assert_eq!(copy.apply(&changes), Vec::new(), "an honest change is refused elsewhere");
            assert_eq!(copy.heads(), document.heads());
            assert_eq!(copy.read(None, None), document.read(None, None));
        }
        Err(_) => assert_eq!(document.read(None, None), Ok(before), "refused, and yet changed"),
    }
}
