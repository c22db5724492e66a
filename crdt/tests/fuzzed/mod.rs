//! What is fuzzed, one function for each target.
//!
//! Each takes any bytes and panics where something that must hold does not. Where a checksum or a
//! signature would stop everything at the door, it is made right first, so that what lies behind is met.

#![allow(dead_code, reason = "each user takes the targets it needs")]

mod body;
pub mod choices;
pub mod document;
pub mod life;
mod patch;
pub mod seeds;
mod signed;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use starling_crdt::admission::{screen_delta, screen_encoded_delta};
use starling_crdt::charter::{Statement, StatementBody, Ticket};
use starling_crdt::chunk::ChangeChunk;
use starling_crdt::codec::{decode, encode};
use starling_crdt::document::{Document, canonical};
use starling_crdt::exchange::{Request, Response, decode_message, encode_message};
use starling_crdt::gossip::{Frame, Screener};
use starling_crdt::id::{SpaceId, Topic};
use starling_crdt::identity::Identity;
use starling_crdt::incarnation::{Incarnation, VerifiedIncarnation};
use starling_crdt::limits::TIPS_MAX;
use starling_crdt::seal::{EpochKey, seal};

/// A target: its name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 11] = [
    ("replica", life::replica),
    ("document", document::document),
    ("message", message),
    ("delta", delta),
    ("incarnation", incarnation),
    ("statement", statement),
    ("frame", frame),
    ("ticket", ticket),
    ("chunk", chunk),
    ("patch", patch::patch),
    ("body", body::body),
];

const SPACE: SpaceId = SpaceId([1; 32]);

fn author() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn epoch() -> EpochKey {
    EpochKey::from_bytes([9; 32])
}

static CERTIFICATE: LazyLock<VerifiedIncarnation> =
    LazyLock::new(|| VerifiedIncarnation::sign(&author(), SPACE, [2; 16], Vec::new()));

/// One that knows the space and the author's incarnation, and the space's topic.
static SCREENER: LazyLock<(Screener, Topic)> = LazyLock::new(|| {
    let screener = Screener::default();
    let topic = screener.learn_space(SPACE, epoch());
    screener.learn_incarnation(CERTIFICATE.clone());
    (screener, topic)
});

/// What can be read can be written, and is read the same.
fn comes_back<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug>(value: &T) {
    assert_eq!(decode::<T>(&encode(value), "value").as_ref(), Ok(value));
}

/// A gossip frame, sealed as a member would; and what is in it, signed as its author would.
pub fn frame(bytes: &[u8]) {
    let (screener, topic) = &*SCREENER;
    if let Ok(frame) = decode::<Frame>(bytes, "gossip frame") {
        comes_back(&frame);
        signed::frame(frame);
    }
    let (space, _) = screener.screen_gossip(*topic, &seal(&epoch(), bytes));
    assert_eq!(space, Some(SPACE));
    screener.screen_gossip(*topic, bytes);
}

/// An incarnation's certificate.
pub fn incarnation(bytes: &[u8]) {
    let Ok(found) = decode::<Incarnation>(bytes, "incarnation") else { return };
    comes_back(&found);
    if found.tips.len() > TIPS_MAX {
        assert!(VerifiedIncarnation::verify(found).is_err());
        return;
    }
    let signed = VerifiedIncarnation::sign(&author(), found.space, found.nonce, found.tips.clone());
    let again = VerifiedIncarnation::verify(signed.certificate().clone());
    assert_eq!(again.map(|again| again.actor()), Ok(signed.actor()), "signed here, refused here");
    let passes = VerifiedIncarnation::verify(found.clone()).is_ok() && found.author == author().key();
    assert!(!passes || found.signature == signed.certificate().signature, "a signature nobody made");
}

/// A charter statement: as it comes, and signed whatever it says.
pub fn statement(bytes: &[u8]) {
    let Ok(found) = Statement::from_bytes(bytes) else { return };
    let written = found.to_bytes();
    assert_eq!(Statement::from_bytes(&written).as_ref(), Ok(&found));
    if let Ok(verified) = found.clone().verify() {
        assert_eq!(verified.to_bytes(), written);
    }
    let Statement { space, tips, time, body, .. } = found;
    let joins = matches!(body, StatementBody::Join(_));
    let signed = Statement::sign(&author(), space, tips, time, body);
    let read = Statement::from_bytes(&signed.to_bytes());
    assert_eq!(read.as_ref(), Ok(&signed));
    let id = signed.id();
    match signed.verify() {
        Ok(verified) => assert_eq!(verified.id(), id),
        // A join holds signatures of its own.
        Err(_) => assert!(joins, "signed here, refused here"),
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
        let _ = screen_delta(found, &CERTIFICATE);
    }
    let changes: Vec<Vec<u8>> = pieces(bytes).into_iter().map(framed).collect();
    let Some(made) = signed::delta_of(changes) else { return };
    let Ok(verified) = screen_delta(made, &CERTIFICATE) else { return };
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
        signed::answer(response);
    }
    let (screener, _) = &*SCREENER;
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
