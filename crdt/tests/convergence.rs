//! Replicas that hold the same changes show the same, however these came.

mod draws;
mod mesh;

use std::time::Duration;

use draws::Draws;
use mesh::Mesh;
use starling_crdt::document::{Edit, Json, Pointer};
use starling_crdt::id::{ChangeHash, DocumentName, SpaceId};
use starling_crdt::replica::Refusal;

const NAMES: [&str; 4] = ["a", "a/b", "b", "config/web"];

/// Something a person might do to one of a few documents.
fn act(draws: &mut Draws, mesh: &mut Mesh, node: usize, space: SpaceId) {
    let name = NAMES[draws.below(NAMES.len())];
    let number = draws.below(1_000);
    let pointer = |text: &str| text.parse::<Pointer>().unwrap();
    let json = |text: String| Json::parse(&text).unwrap();
    let member = ["x", "y", "z"][draws.below(3)];
    let edit = match draws.below(8) {
        0 | 1 => Edit::Remove,
        2 => Edit::Increment { pointer: pointer("/count"), by: number as i64 - 500 },
        3 => Edit::Set { pointer: pointer("/list/-"), value: json(number.to_string()) },
        4 => Edit::Set {
            pointer: pointer(&format!("/{member}")),
            value: json(format!(r#"{{"v": {number}}}"#)),
        },
        5 => Edit::Unset { pointer: pointer(&format!("/{member}")) },
        _ => {
            let text = format!(
                r#"{{"{member}": {number}, "count": {{"$counter": {number}}}, "list": [1, {number}]}}"#
            );
            Edit::Put { value: json(text), base: None }
        }
    };
    match mesh.write(node, space, name, edit) {
        Ok(_) | Err(Refusal::UnknownDocument(_) | Refusal::Edit(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

/// What a node lists, the deleted as well.
fn listing(mesh: &Mesh, node: usize, space: SpaceId) -> Vec<(DocumentName, bool, Vec<ChangeHash>, u64)> {
    let page = mesh.nodes[node].reader.list(space, "", None, 1_000, true).unwrap();
    let rows = page.documents.into_iter();
    rows.map(|(name, known)| (name, known.deleted, known.heads, known.changes)).collect()
}

fn shuffle<T>(draws: &mut Draws, things: &mut [T]) {
    for place in (1..things.len()).rev() {
        things.swap(place, draws.below(place + 1));
    }
}

#[test]
fn deltas_in_any_order_batching_and_duplication_give_one_space() {
    for seed in 0..12 {
        let mut mesh = Mesh::new(6, 100 + seed);
        let space = mesh.shared_space();
        let mut draws = Draws(seed);
        // Three write, with news of each other now and then; three hear nothing of it.
        mesh.partition(&[0, 1, 2], &[3, 4, 5]);
        mesh.partition(&[3], &[4, 5]);
        mesh.partition(&[4], &[5]);
        mesh.run(Duration::from_secs(1));
        mesh.published.clear();
        for _ in 0..60 {
            let node = draws.below(3);
            act(&mut draws, &mut mesh, node, space);
            if draws.below(3) == 0 {
                mesh.run(Duration::from_millis(draws.below(20) as u64));
            }
        }
        mesh.run(Duration::from_secs(30));
        let (heard, from) = (mesh.published.clone(), mesh.nodes[0].key);
        for node in 3..6 {
            let mut payloads = heard.clone();
            payloads.extend(heard.iter().filter(|_| draws.below(3) == 0).cloned());
            shuffle(&mut draws, &mut payloads);
            let mut rest = payloads.as_slice();
            while !rest.is_empty() {
                let (batch, later) = rest.split_at((1 + draws.below(9)).min(rest.len()));
                mesh.gossip_batch(node, from, batch);
                rest = later;
                if draws.below(4) == 0 {
                    // Looking builds the document from what is there so far.
                    mesh.contents(node, space);
                }
            }
            assert_eq!(mesh.orphans(node), 0, "seed {seed}, node {node}");
        }
        for node in 1..6 {
            assert_eq!(mesh.contents(node, space), mesh.contents(0, space), "seed {seed}, node {node}");
            assert_eq!(listing(&mesh, node, space), listing(&mesh, 0, space), "seed {seed}, node {node}");
        }
        // From the store alone it is the same again.
        mesh.restart(4);
        assert_eq!(mesh.contents(4, space), mesh.contents(0, space), "seed {seed}");
        assert_eq!(mesh.nodes[4].effects.iter().filter(|effect| effect.contains("Offence")).count(), 0);
    }
}

#[test]
fn puts_removals_and_edits_on_three_replicas_give_equal_listings() {
    for seed in 0..20 {
        let mut mesh = Mesh::new(3, 200 + seed);
        let space = mesh.shared_space();
        let mut draws = Draws(1_000 + seed);
        mesh.gossip_loss = [0, 30, 100][seed as usize % 3];
        for _ in 0..50 {
            let node = draws.below(3);
            act(&mut draws, &mut mesh, node, space);
            match draws.below(12) {
                0 => mesh.partition(&[0], &[1, 2]),
                1 => mesh.partition(&[0, 1], &[2]),
                2 => mesh.heal(),
                3 => {
                    mesh.restart(node);
                    mesh.connect_all();
                }
                _ => {}
            }
            mesh.run(Duration::from_millis(draws.below(50) as u64));
        }
        mesh.heal();
        mesh.connect_all();
        mesh.run(Duration::from_secs(120));
        mesh.assert_converged(space);
        for node in 1..3 {
            assert_eq!(listing(&mesh, node, space), listing(&mesh, 0, space), "seed {seed}, node {node}");
        }
    }
}

#[test]
fn an_edit_concurrent_with_a_removal_revives_the_document() {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.shared_space();
    mesh.put(0, space, "doc", r#"{"a": 1, "b": 2}"#);
    mesh.run(Duration::from_secs(1));
    mesh.partition(&[0], &[1]);
    mesh.write(0, space, "doc", Edit::Remove).unwrap();
    mesh.set(1, space, "doc", "/a", "9");
    assert_eq!(mesh.document(0, space, "doc"), None);
    mesh.heal();
    mesh.run(Duration::from_secs(30));
    mesh.assert_converged(space);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"a":9}"#);
    // Removed by both, it is gone; put again by one, it is back.
    mesh.partition(&[0], &[1]);
    mesh.write(0, space, "doc", Edit::Remove).unwrap();
    mesh.write(1, space, "doc", Edit::Remove).unwrap();
    mesh.heal();
    mesh.run(Duration::from_secs(30));
    assert_eq!((mesh.document(0, space, "doc"), mesh.document(1, space, "doc")), (None, None));
    let again = mesh.put(1, space, "doc", r#"{"c": 3}"#);
    assert!(again.created);
    mesh.run(Duration::from_secs(5));
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"c":3}"#);
}

#[test]
fn a_put_with_a_base_keeps_what_another_changed_meanwhile() {
    let mut mesh = Mesh::new(2, 2);
    let space = mesh.shared_space();
    let read = mesh.put(0, space, "doc", r#"{"mine": 1, "theirs": 1, "gone": 1}"#);
    mesh.run(Duration::from_secs(1));
    mesh.set(1, space, "doc", "/theirs", "2");
    mesh.set(1, space, "doc", "/new", r#"{"deep": true}"#);
    mesh.run(Duration::from_secs(1));
    // Node 0 has heard of it; its client has not.
    let value = Json::parse(r#"{"mine": 9, "theirs": 1}"#).unwrap();
    mesh.write(0, space, "doc", Edit::Put { value, base: Some(read.heads) }).unwrap();
    mesh.run(Duration::from_secs(1));
    mesh.assert_converged(space);
    let expected = r#"{"mine":9,"new":{"deep":true},"theirs":2}"#;
    assert_eq!(mesh.document(1, space, "doc").unwrap().0, expected);
    // And when neither has.
    let read = mesh.document(0, space, "doc").unwrap().1;
    mesh.partition(&[0], &[1]);
    mesh.set(1, space, "doc", "/theirs", "3");
    let value = Json::parse(r#"{"mine": 10, "new": {"deep": true}, "theirs": 2}"#).unwrap();
    mesh.write(0, space, "doc", Edit::Put { value, base: Some(read) }).unwrap();
    mesh.heal();
    mesh.run(Duration::from_secs(30));
    mesh.assert_converged(space);
    let expected = r#"{"mine":10,"new":{"deep":true},"theirs":3}"#;
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, expected);
}

#[test]
fn a_delta_above_the_gossip_limit_is_announced_and_fetched() {
    let mut mesh = Mesh::new(3, 3);
    let space = mesh.shared_space();
    let text =
        (0..20_000_u64).map(|number| format!("{:x}", number.wrapping_mul(0x9e37_79b9))).collect::<String>();
    mesh.put(0, space, "large", &format!(r#"{{"text": "{text}"}}"#));
    let (_, last) = mesh.published.last().unwrap();
    assert!(last.len() < 512, "an announcement of {} bytes", last.len());
    mesh.run(Duration::from_secs(20));
    mesh.assert_converged(space);
    assert!(mesh.document(2, space, "large").unwrap().0.len() > 100_000);
}

#[test]
fn a_node_away_for_long_catches_up_in_bounded_chunks() {
    let mut mesh = Mesh::new(2, 4);
    let space = mesh.shared_space();
    mesh.partition(&[0], &[1]);
    mesh.run(Duration::from_secs(1));
    let text = "z".repeat(30_000);
    for number in 0..120 {
        mesh.put(0, space, &format!("d/{number}"), &format!(r#"{{"text": "{text}{number}"}}"#));
    }
    mesh.run(Duration::from_secs(3_600));
    mesh.heal();
    mesh.run(Duration::from_secs(120));
    mesh.assert_converged(space);
    assert_eq!(mesh.contents(1, space).len(), 120);
}

/// Names the environment variable that turns the test into the process it compares.
const CHILD: &str = "STARLING_TRACE_OF_SEED";

fn trace(seed: u64) -> String {
    let mut mesh = Mesh::new(4, seed);
    let space = mesh.shared_space();
    let mut draws = Draws(seed);
    mesh.gossip_loss = 20;
    for round in 0..80 {
        let node = draws.below(4);
        act(&mut draws, &mut mesh, node, space);
        match round {
            20 => mesh.partition(&[0, 1], &[2, 3]),
            40 => mesh.restart(1),
            60 => mesh.heal(),
            _ => {}
        }
        mesh.run(Duration::from_millis(draws.below(100) as u64));
    }
    mesh.connect_all();
    mesh.run(Duration::from_secs(60));
    mesh.assert_converged(space);
    mesh.trace_hash()
}

#[test]
fn one_seed_gives_one_trace_in_two_processes() {
    if let Ok(seed) = std::env::var(CHILD) {
        println!("trace {}", trace(seed.parse().unwrap()));
        return;
    }
    let run = |seed: &str| {
        let this = std::env::current_exe().unwrap();
        let arguments = ["--exact", "one_seed_gives_one_trace_in_two_processes", "--nocapture"];
        let output = std::process::Command::new(this).args(arguments).env(CHILD, seed).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let hash = text.split("trace ").nth(1).and_then(|rest| rest.split_whitespace().next());
        hash.expect("a trace is printed").to_owned()
    };
    let (first, second) = (run("5"), run("5"));
    assert_eq!((first.len(), &first), (64, &second));
    assert_ne!(first, run("6"));
}
