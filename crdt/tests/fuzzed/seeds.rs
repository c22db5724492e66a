//! Good inputs to begin with, by target: one of each message, changes of every kind of edit, and random
//! decisions where bytes decide.

use starling_crdt::charter::{Genesis, Label, Ticket};
use starling_crdt::codec::encode;
use starling_crdt::document::{Commit, Document, Edit, Json, Patch, Pointer};
use starling_crdt::exchange::{Response, encode_message};
use starling_crdt::gossip::Frame;
use starling_crdt::id::StatementId;
use starling_crdt::identity::Signature;
use starling_crdt::presence::{Beacon, Facts, Lost};
use starling_crdt::seal::EpochKey;
use starling_crdt::store::{Table, tables::walk_prefix};
use starling_crdt::time::WallTime;

use super::CERTIFICATE;
use crate::draws::Draws;
use crate::{mesh, messages};

/// Random inputs of a target whose bytes are decisions.
const DECISIONS: u64 = 40;

/// Bytes of such an input, at most.
const DECISION_BYTES_MAX: usize = 300;

/// Inputs for the target of this name.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frame" => frames().iter().map(encode).collect(),
        "incarnation" => {
            vec![encode(messages::incarnation().certificate()), encode(CERTIFICATE.certificate())]
        }
        "message" => exchanged(),
        "delta" => vec![encode(messages::delta().delta()), pieces(&contents()), pieces(&contents()[..3])],
        "chunk" => messages::changes().into_iter().chain(contents()).collect(),
        "statement" => statements(),
        "ticket" => vec![ticket()],
        "patch" => PATCHES.iter().map(|text| text.as_bytes().to_vec()).collect(),
        "body" => BODIES.iter().map(|text| text.as_bytes().to_vec()).collect(),
        _ => (0..DECISIONS).map(decisions).collect(),
    }
}

fn decisions(seed: u64) -> Vec<u8> {
    let mut draws = Draws(seed);
    let length = 1 + draws.below(DECISION_BYTES_MAX);
    draws.bytes(length)
}

const PATCHES: [&str; 14] = [
    r#"0[{"op":"add","path":"/a/b/0","value":[1.5,"x"]},{"op":"test","path":"/t","value":{"$text":"text"}}]"#,
    r#"0[{"op":"move","from":"/a/b","path":"/q"},{"op":"copy","from":"/q/2","path":"/a/b"},{"op":"remove","path":"/q/0"}]"#,
    r#"0[{"op":"replace","path":"/~0~1","value":{"$time":"2026-01-01T00:00:00Z"}}]"#,
    r#"1{"a":{"b":null,"n":{"$counter":5}},"new":{"$$text":1}}"#,
    r#"2{"a":{"b":[1,"two",2,{"c":null}]},"t":{"$text":"next"},"e":-1e300}"#,
    "3/a/b/1\n{\"$bytes\":\"AAECAw==\"}",
    "3/new\n{\"deep\":[[{}],\"\\u00e9\"]}",
    "4/a/b/0\n[{\"$counter\":2}]",
    "4/a/b/-\n{\"$text\":\"abc\"}",
    "5/a/n\n-3",
    "5/t\n\"inserted\"",
    "5/a/b/2/c\ntrue",
    "6/a\n{\"b\":1}",
    "7/a\n{\"b\":null,\"x\":{\"$time\":\"2026-06-01T12:00:00.5+02:00\"}}",
];

/// A kind each: operation, line of a batch, JSON Patch, merge patch, whole document.
const BODIES: [&str; 28] = [
    r#"0{"op":"increment","pointer":"/a/n","by":-2}"#,
    r#"0{"op":"set","pointer":"/a/b/-","value":{"$text":"new"}}"#,
    r#"0{"op":"remove","pointer":"/~0~1"}"#,
    r#"0{"op":"insert","pointer":"/a/b/1","value":[{"$bytes":"AAE="},null,1e3]}"#,
    r#"0{"op":"splice","pointer":"/t","at":1,"delete":2,"insert":"\u96ea"}"#,
    r#"0{"op":"splice","pointer":"/t","at":-1}"#,
    r#"0{"op":"resolve","pointer":"/when","value":{"$time":"2026-01-01T00:00:00Z"}}"#,
    r#"0{"op":"resolve","pointer":""}"#,
    r#"0{"op":"revert","to":"2026-01-01T00:00:00Z"}"#,
    r#"0{"op":"delete"}"#,
    r#"0{"op":"set","pointer":"/a","value":1,"valeu":2}"#,
    r#"1{"doc":"config/web","op":"put","value":{"a":{"$counter":1}},"base":["abababababababababababababababababababababababababababababababab"]}"#,
    r#"1{"doc":"d","op":"put","value":{},"base":[]}"#,
    r#"1{"doc":"d","op":"delete"}"#,
    r#"1{"doc":"d","op":"patch","patch":[{"op":"add","path":"/q","value":[1]},{"op":"move","from":"/q","path":"/r"}]}"#,
    r#"1{"doc":"d","op":"merge","patch":{"a":{"b":null},"new":{"$$text":1}}}"#,
    r#"1{"doc":"d","op":"increment","pointer":"/new","by":9223372036854775807}"#,
    r#"1{"doc":"d","op":"splice","pointer":"/t","at":4,"insert":"\ud83d\ude00"}"#,
    r#"1{"doc":"a//b","op":"delete"}"#,
    r#"1["doc"]"#,
    r#"2[{"op":"test","path":"/t","value":{"$text":"text"}},{"op":"copy","from":"/a/b","path":"/a/b/0"}]"#,
    r#"2[{"op":"replace","path":"","value":{"whole":true}}]"#,
    r#"2{"op":"add"}"#,
    r#"3{"a":null,"t":{"$text":"next"},"deep":{"er":{"est":[[]]}}}"#,
    r#"3[1]"#,
    r#"4{"a":{"b":[1,"two",2],"n":{"$counter":4}},"t":{"$text":"test"}}"#,
    r#"4{}"#,
    "4{\"a\": {\"$time\": \"noon\"}}",
];

fn ticket() -> Vec<u8> {
    let founder = messages::author(1);
    let name = Label::new("fuzzed").expect("a label");
    let genesis = Genesis::new(name, WallTime(7), [1; 16], vec![founder.key()]).expect("a founder");
    let key = EpochKey::from_bytes([9; 32]);
    let address = "/ip4/10.0.0.2/tcp/4710".parse().expect("an address");
    let ticket = Ticket::new(genesis, key, StatementId([5; 32]), &messages::author(2), vec![address]);
    // What the target puts the version before and the checksum behind.
    encode(&ticket)
}

/// Every statement of a space with two members.
fn statements() -> Vec<Vec<u8>> {
    let mut mesh = mesh::Mesh::new(2, 1);
    mesh.shared_space();
    let mut found = Vec::new();
    walk_prefix(mesh.nodes[0].store(), Table::Statements, &[], |_, value| {
        found.push(value.to_vec());
        Ok(())
    })
    .expect("memory");
    found
}

fn beacon() -> Frame {
    let label = Label::new("fuzzed").expect("a label");
    let facts = Facts {
        name: label.clone(),
        version: label,
        addresses: vec!["/ip4/10.0.0.2/tcp/4710".parse().expect("an address")],
        statements: [1; 8],
        documents: [2; 8],
        document_count: 3,
        change_count: 4,
        commit: 5,
    };
    let beacon = Beacon {
        space: super::SPACE,
        author: messages::author(1).key(),
        counter: 6,
        facts,
        period_ms: 5_000,
        leaving: false,
        lost: vec![Lost { author: messages::author(2).key(), counter: 7 }],
        time: WallTime(8),
        signature: Signature([0; 64]),
    };
    Frame::Beacon(beacon.to_bytes().into())
}

fn frames() -> Vec<Frame> {
    let told = statements().into_iter().map(|bytes| Frame::Statement(bytes.into()));
    messages::frames().into_iter().map(|(_, frame)| frame).chain(told).chain([beacon()]).collect()
}

fn exchanged() -> Vec<Vec<u8>> {
    let requests = messages::requests().into_iter().map(|(_, request)| encode_message(&request));
    let responses = messages::responses().into_iter().map(|(_, answer)| encode_message(&answer));
    let incarnations = vec![CERTIFICATE.certificate().clone()];
    let deltas = vec![pieces(&contents()[..2]).into()];
    let signed = Response::Deltas { incarnations, deltas, more: true };
    requests.chain(responses).chain([encode_message(&signed)]).collect()
}

/// Contents of consecutive changes by one actor in one document, one for each kind of edit.
fn contents() -> Vec<Vec<u8>> {
    let json = |text: &str| Json::parse(text).expect("JSON");
    let pointer = |text: &str| text.parse::<Pointer>().expect("a pointer");
    let patch = json(r#"[{"op": "add", "path": "/p", "value": [null, true]}]"#);
    let edits = [
        Edit::Put { value: json(r#"{"a": 1, "n": {"$counter": 3}}"#), base: None },
        Edit::Set { pointer: pointer("/l"), value: json(r#"[1, {"k": "v"}, {"$bytes": "AAE="}]"#) },
        Edit::Set { pointer: pointer("/t"), value: json(r#"{"$text": "héllo"}"#) },
        Edit::Increment { pointer: pointer("/n"), by: -4 },
        Edit::Splice { pointer: pointer("/t"), at: 1, delete: 2, insert: "雪".to_owned() },
        Edit::Insert { pointer: pointer("/l/0"), value: json("2.5") },
        Edit::Unset { pointer: pointer("/l/1") },
        Edit::Patch(Patch::of(patch).expect("a patch")),
        Edit::Merge {
            pointer: Pointer::root(),
            patch: json(r#"{"a": null, "w": {"$time": "2026-01-01T00:00:00Z"}}"#),
        },
        Edit::Remove,
    ];
    let (mut document, actor) = (Document::new(), CERTIFICATE.actor());
    let commit = Commit { actor, time_seconds: 1_700_000_000, message: None };
    let mut contents = Vec::new();
    for edit in edits {
        let changes = document.edit(commit, &edit).expect("it fits").changes;
        contents.extend(changes.into_iter().map(|change| content(&change.bytes)));
    }
    contents
}

/// A chunk without magic, checksum, kind and a length of one or two bytes.
fn content(chunk: &[u8]) -> Vec<u8> {
    let start = if chunk[9] & 0x80 == 0 { 10 } else { 11 };
    chunk[start..].to_vec()
}

/// Each behind its length in two bytes.
fn pieces(contents: &[Vec<u8>]) -> Vec<u8> {
    let behind_length = |content: &Vec<u8>| {
        let length = u16::try_from(content.len()).expect("a short change").to_le_bytes();
        [length.to_vec(), content.clone()].concat()
    };
    contents.iter().flat_map(behind_length).collect()
}
