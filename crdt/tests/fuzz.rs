//! Every fuzz target on seeds, on what was found, and on mutations of both.
//!
//! `STARLING_TEST_FUZZ=100000 cargo test --workspace --test fuzz` runs that many mutations of each target.
//! An input that fails is printed in hex; it goes into `crdt/tests/fuzzed/found` before it is mended.

mod fuzzed;
mod mesh;
mod messages;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzzed::TARGETS;
use messages::Draws;
use starling_crdt::charter::{Genesis, Label, Ticket};
use starling_crdt::codec::encode;
use starling_crdt::exchange::encode_message;
use starling_crdt::id::StatementId;
use starling_crdt::seal::EpochKey;
use starling_crdt::time::WallTime;

/// Mutations of each target in every run of the tests.
const MUTATIONS: u64 = 1_500;

/// The stateful one is a hundred times as slow.
const LIVES: u64 = 40;

/// Bytes of a random input, at most.
const RANDOM_BYTES_MAX: usize = 160;

/// Good inputs to begin with.
fn seeds(target: &str, draws: &mut Draws) -> Vec<Vec<u8>> {
    let content = |bytes: &[u8]| {
        // Past magic, checksum, kind and a length of one or two bytes.
        let start = if bytes[9] & 0x80 == 0 { 10 } else { 11 };
        bytes[start..].to_vec()
    };
    match target {
        "frame" => messages::frames().iter().map(|(_, frame)| encode(frame)).collect(),
        "incarnation" => vec![encode(messages::incarnation().certificate())],
        "message" => {
            let requests = messages::requests().into_iter().map(|(_, request)| encode_message(&request));
            let responses = messages::responses().into_iter().map(|(_, answer)| encode_message(&answer));
            requests.chain(responses).collect()
        }
        "delta" => {
            let mut pieces = Vec::new();
            for change in messages::changes() {
                let content = content(&change);
                let length = u16::try_from(content.len()).expect("a short change").to_le_bytes();
                pieces.extend([length.to_vec(), content].concat());
            }
            vec![encode(messages::delta().delta()), pieces]
        }
        "chunk" => {
            let changes = messages::changes();
            changes.iter().cloned().chain(changes.iter().map(|change| content(change))).collect()
        }
        "statement" => statements(),
        "ticket" => vec![ticket()],
        "patch" => PATCHES.iter().map(|text| text.as_bytes().to_vec()).collect(),
        _ => (0..10).map(|_| random(draws)).collect(),
    }
}

const PATCHES: [&str; 7] = [
    r#"0[{"op":"add","path":"/a/b/0","value":[1.5,"x"]},{"op":"test","path":"/t","value":{"$text":"text"}}]"#,
    r#"0[{"op":"move","from":"/a/b","path":"/q"},{"op":"copy","from":"/q/2","path":"/a/b"},{"op":"remove","path":"/q/0"}]"#,
    r#"0[{"op":"replace","path":"/~0~1","value":{"$time":"2026-01-01T00:00:00Z"}}]"#,
    r#"1{"a":{"b":null,"n":{"$counter":5}},"new":{"$$text":1}}"#,
    r#"2{"a":{"b":[1,"two",2,{"c":null}]},"t":{"$text":"next"},"e":-1e300}"#,
    r#"3{"$bytes":"AAECAw=="}"#,
    "1/a/b/~01/-",
];

fn ticket() -> Vec<u8> {
    let founder = messages::author(1);
    let name = Label::new("fuzzed").expect("a label");
    let genesis = Genesis::new(name, WallTime(7), [1; 16], vec![founder.key()]).expect("a founder");
    let key = EpochKey::from_bytes([9; 32]);
    let ticket = Ticket::new(genesis, key, StatementId([5; 32]), &messages::author(2), Vec::new());
    // What the target puts the version before and the checksum behind.
    encode(&ticket)
}

/// Every statement of a space with two members.
fn statements() -> Vec<Vec<u8>> {
    let mut mesh = mesh::Mesh::new(2, 1);
    mesh.shared_space();
    let mut found = Vec::new();
    starling_crdt::store::tables::walk_prefix(
        mesh.nodes[0].store(),
        starling_crdt::store::Table::Statements,
        &[],
        |_, value| {
            found.push(value.to_vec());
            Ok(())
        },
    )
    .expect("memory");
    found
}

fn random(draws: &mut Draws) -> Vec<u8> {
    let length = draws.below(RANDOM_BYTES_MAX);
    (0..length).map(|_| draws.next().to_be_bytes()[0]).collect()
}

/// Inputs that once failed, by target.
fn found(target: &str) -> Vec<Vec<u8>> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/found").join(target);
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}

/// Runs a target on one input; its hex and what was said, if it failed.
fn tried(run: fn(&[u8]), input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| run(input))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}\n{hex}", said.unwrap_or_default())
    })
}

fn fuzz(target: &str, default: u64) {
    let (_, run) = *TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let wanted = std::env::var("STARLING_TEST_FUZZ");
    let mutations = wanted.map_or(default, |count| count.parse().expect("a number of mutations"));
    let mut draws = Draws(target.len() as u64);
    let mut corpus = seeds(target, &mut draws);
    corpus.extend(found(target));
    for input in &corpus {
        tried(run, input).unwrap_or_else(|why| panic!("{target}: {why}"));
    }
    for number in 0..mutations {
        let input = match number % 8 {
            0 => random(&mut draws),
            _ => {
                let place = draws.below(corpus.len());
                draws.mutate(&corpus[place])
            }
        };
        tried(run, &input).unwrap_or_else(|why| panic!("{target}, mutation {number}: {why}"));
    }
}

#[test]
fn frames() {
    fuzz("frame", MUTATIONS);
}

#[test]
fn incarnations() {
    fuzz("incarnation", MUTATIONS);
}

#[test]
fn charter_statements() {
    fuzz("statement", MUTATIONS);
}

#[test]
fn deltas() {
    fuzz("delta", MUTATIONS);
}

#[test]
fn chunks() {
    fuzz("chunk", MUTATIONS);
}

#[test]
fn exchange_messages() {
    fuzz("message", MUTATIONS);
}

#[test]
fn tickets() {
    fuzz("ticket", MUTATIONS);
}

#[test]
fn patches() {
    fuzz("patch", MUTATIONS);
}

#[test]
fn lives_of_a_replica() {
    fuzz("replica", LIVES);
}

#[test]
fn a_target_that_fails_is_noticed() {
    assert!(tried(|bytes| assert!(bytes.is_empty()), b"x").unwrap_err().ends_with("78"));
}
