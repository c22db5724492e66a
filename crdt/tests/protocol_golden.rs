//! Known answers for deltas, frames, exchanges and records: the code's bytes are those of docs/protocol.md.

mod draws;
mod messages;

use std::collections::BTreeMap;

use messages::{SPACE, author, changes, delta, frames, incarnation, item_key, name, requests, responses};
use minicbor::bytes::ByteVec;
use starling_crdt::codec::{Signable, encode};
use starling_crdt::delta::VerifiedDelta;
use starling_crdt::document::{Commit, Document, Edit, Json};
use starling_crdt::exchange::{encode_message, greeting_tag};
use starling_crdt::history::item_fingerprint;
use starling_crdt::id::{ChangeHash, Position, StatementId, StoreId};
use starling_crdt::identity::verify;
use starling_crdt::incarnation::VerifiedIncarnation;
use starling_crdt::proof::ForkProof;
use starling_crdt::replica::{EntityTag, Written};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::tables::{
    DeltaRecord, DocumentRecord, ForkRecord, FrontierRecord, MetaRecord, QuarantineRecord, RequestRecord,
    SpaceIndex, SpaceRecord,
};
use starling_crdt::time::WallTime;

const DOC: &str = include_str!("../../docs/protocol.md");
const CHARTER: &str = include_str!("charter_golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines `name = value` of a text.
fn lines(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once(" = ")).collect()
}

/// The vectors the document gives.
fn documented() -> BTreeMap<&'static str, &'static str> {
    let (_, vectors) = DOC.split_once("\n## Vectors\n").expect("the document has vectors");
    lines(vectors)
}

fn incarnation_signable() -> Signable {
    Signable::new("starling/incarnation")
        .bytes(&SPACE.0)
        .bytes(&author(1).key().0)
        .bytes(&[2; 16])
        .number(2)
        .bytes(&StatementId([3; 32]).0)
        .bytes(&StatementId([9; 32]).0)
}

fn delta_signable() -> Signable {
    let delta = delta();
    Signable::new("starling/delta")
        .bytes(&SPACE.0)
        .bytes(b"config/web")
        .bytes(&delta.delta().actor.0)
        .number(2)
        .bytes(&delta.last_hash().0)
}

fn records() -> Vec<(&'static str, Vec<u8>)> {
    let hash = ChangeHash([8; 32]);
    let position = Position { store: StoreId([5; 16]), commit: 6 };
    let written = Written { heads: vec![hash], position, changed: true, created: false };
    let delta = delta();
    vec![
        (
            "space",
            encode(&SpaceRecord {
                index: SpaceIndex(7),
                genesis: vec![1, 2],
                epoch_key: [7; 32],
                ticket: Some(vec![3]),
            }),
        ),
        (
            "delta",
            encode(&DeltaRecord {
                arrival: 3,
                changes: changes().into_iter().map(ByteVec::from).collect(),
                signature: delta.delta().signature.0,
                admitted: 1,
            }),
        ),
        ("frontier", encode(&FrontierRecord { seq: 2, hash })),
        (
            "document",
            encode(&DocumentRecord {
                heads: vec![hash],
                deleted: false,
                changes: 2,
                commit: 6,
                author: author(1).key(),
                time: WallTime(1_700_000_000_000),
                bytes: Some(300),
            }),
        ),
        (
            "quarantine",
            encode(&QuarantineRecord {
                reason: "nested too deep".into(),
                code: Some("poison-depth".into()),
                since: Some(WallTime(1_000)),
            }),
        ),
        ("quarantine, resting", encode(&QuarantineRecord::of_what_rests(None))),
        ("fork", encode(&ForkRecord { first: vec![1], second: vec![2], since: Some(WallTime(1_000)) })),
        (
            "request",
            encode(&RequestRecord {
                digest: [4; 32],
                expires: WallTime(1_700_000_000_000),
                reply: encode(&written),
            }),
        ),
        ("meta", encode(&MetaRecord { commit: 6, arrival: 3, checked: 5 })),
    ]
}

/// The document's changes 1 and 2, and another change 1 of the same actor.
fn fork_proof() -> ForkProof {
    let commit = Commit { actor: incarnation().actor(), time_seconds: 1_700_000_000, message: None };
    let edit = Edit::Put { value: Json::parse(r#"{"a": 2}"#).unwrap(), base: None };
    let other = Document::new().edit(commit, &edit).unwrap();
    let other = other.changes.into_iter().map(|change| change.bytes).collect();
    let other =
        VerifiedDelta::sign(&author(1), SPACE, name("config/web"), incarnation().actor(), other).unwrap();
    let certificate = incarnation().certificate().clone();
    ForkProof::new(certificate, encode(delta().delta()), encode(other.delta()))
}

#[test]
fn the_documented_proof_proves_a_fork() {
    let bytes = documented()["fork proof"];
    let bytes: Vec<u8> =
        (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
    let fork = ForkProof::from_bytes(&bytes).unwrap().verify().unwrap();
    assert_eq!((fork.author, fork.actor, fork.seq), (author(1).key(), incarnation().actor(), 1));
}

fn found() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut put = |name: String, value: String| {
        assert!(found.insert(name.clone(), value).is_none(), "{name} comes twice");
    };
    put("incarnation signable".into(), hex(incarnation_signable().as_slice()));
    put("incarnation cbor".into(), hex(&encode(incarnation().certificate())));
    put("incarnation actor".into(), incarnation().actor().to_string());
    for (number, (change, chunk)) in changes().iter().zip(delta().chunks()).enumerate() {
        put(format!("change {}", number + 1), hex(change));
        put(format!("change {} hash", number + 1), chunk.hash.to_string());
    }
    put("delta signable".into(), hex(delta_signable().as_slice()));
    put("delta cbor".into(), hex(&encode(delta().delta())));
    for (name, frame) in frames() {
        put(format!("frame {name}"), hex(&encode(&frame)));
    }
    let (_, announcement) = &frames()[1];
    put("sealed announcement".into(), hex(&announcement.seal(&EpochKey::from_bytes([7; 32]))));
    for (name, request) in requests() {
        put(format!("request {name}"), hex(&encode_message(&request)));
    }
    for (name, response) in responses() {
        put(format!("response {name}"), hex(&encode_message(&response)));
    }
    put("greeting tag".into(), hex(&greeting_tag(SPACE, author(1).key(), author(2).key())));
    put("item key".into(), hex(&item_key().0));
    let tip = FrontierRecord { seq: 2, hash: delta().last_hash() };
    put("item fingerprint".into(), hex(&item_fingerprint(99, item_key(), &tip).to_be_bytes()));
    put("entity tag".into(), EntityTag::of(&[ChangeHash([8; 32]), ChangeHash([4; 32])]).to_string());
    put("entity tag of nothing".into(), EntityTag::of(&[]).to_string());
    put("fork proof".into(), hex(&fork_proof().to_bytes()));
    for (name, record) in records() {
        put(format!("record {name}"), hex(&record));
    }
    found
}

#[test]
fn the_document_gives_the_bytes_the_code_gives() {
    let (documented, found) = (documented(), found());
    let mut differing = String::new();
    for (name, value) in &found {
        if documented.get(name.as_str()) != Some(&value.as_str()) {
            differing += &format!("{name} = {value}\n");
        }
    }
    assert!(differing.is_empty(), "docs/protocol.md lacks or contradicts:\n{differing}");
    let charter = lines(CHARTER);
    for (name, value) in &charter {
        assert_eq!(documented.get(name), Some(value), "{name}");
    }
    assert_eq!(documented.len(), found.len() + charter.len(), "the document has a vector nobody computes");
}

#[test]
fn what_is_signed_is_what_the_document_says() {
    let certificate = incarnation();
    verify(author(1).key(), &incarnation_signable(), &certificate.certificate().signature).unwrap();
    assert_eq!(certificate.actor().0, incarnation_signable().hash()[..16]);
    verify(author(1).key(), &delta_signable(), &delta().delta().signature).unwrap();
    assert_eq!(VerifiedIncarnation::verify(certificate.certificate().clone()).unwrap(), certificate);
    // Keys and tags are the first bytes of hashes over the fields named in the document.
    let document = Signable::new("starling/item").bytes(b"config/web");
    assert_eq!(item_key().0[..8], document.hash()[..8]);
    assert_eq!(item_key().0[8..], document.bytes(&certificate.actor().0).hash()[..8]);
    let etag = Signable::new("starling/etag").bytes(&[4; 32]).bytes(&[8; 32]).hash();
    assert_eq!(EntityTag::of(&[ChangeHash([8; 32]), ChangeHash([4; 32])]).0, etag[..16]);
    assert_eq!(name("config/web").as_str(), "config/web");
}
