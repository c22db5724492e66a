//! Replicas in a mesh in memory: what they promise together.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use starling_crdt::document::{Edit, Pointer};
use starling_crdt::limits::DOCUMENT_OBJECTS_ADVISED;
use starling_crdt::replica::{LocalRequest, Nodes, Reply};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_write_reaches_every_member() {
    let mut mesh = Mesh::new(3, 1);
    let space = mesh.shared_space();
    mesh.put(1, space, "a/b", r#"{"x": 1}"#);
    mesh.run(Duration::from_millis(50));
    mesh.assert_converged(space);
    assert_eq!(mesh.document(2, space, "a/b").unwrap().0, r#"{"x":1}"#);
}

#[test]
fn partitioned_replicas_converge_after_heal() {
    let mut mesh = Mesh::new(5, 2);
    let space = mesh.shared_space();
    mesh.put(0, space, "shared", r#"{"n": {"$counter": 0}, "both": "old"}"#);
    mesh.run(seconds(1));
    mesh.partition(&[0, 1, 2], &[3, 4]);
    mesh.run(seconds(1));
    let increment = |by| Edit::Increment { pointer: "/n".parse::<Pointer>().unwrap(), by };
    for round in 0..20 {
        mesh.write(round % 3, space, "shared", increment(1)).unwrap();
        mesh.write(3 + round % 2, space, "shared", increment(10)).unwrap();
        mesh.put(round % 5, space, &format!("own/{round}"), "{}");
    }
    mesh.set(0, space, "shared", "/both", r#""left""#);
    mesh.set(4, space, "shared", "/both", r#""right""#);
    mesh.run(seconds(60));
    mesh.heal();
    mesh.run(seconds(10));
    mesh.assert_converged(space);
    assert!(mesh.document(3, space, "shared").unwrap().0.contains(r#""n":{"$counter":220}"#));
}

#[test]
fn what_gossip_loses_repair_brings() {
    let mut mesh = Mesh::new(4, 3);
    let space = mesh.shared_space();
    mesh.gossip_loss = 100;
    for index in 0..4 {
        for number in 0..50 {
            mesh.put(index, space, &format!("d/{index}/{number}"), r#"{"a": 1}"#);
            mesh.put(index, space, &format!("d/{index}/{number}"), r#"{"a": 2}"#);
        }
    }
    mesh.run(seconds(120));
    mesh.assert_converged(space);
    assert_eq!(mesh.contents(0, space).len(), 200);
}

#[test]
fn a_restarted_replica_goes_on_where_it_was() {
    let mut mesh = Mesh::new(3, 4);
    let space = mesh.shared_space();
    mesh.put(1, space, "doc", r#"{"a": 1}"#);
    mesh.run(seconds(1));
    mesh.restart(1);
    mesh.put(1, space, "doc", r#"{"a": 1, "b": 2}"#);
    mesh.put(0, space, "doc", r#"{"a": 1, "c": 3}"#);
    mesh.connect_all();
    mesh.run(seconds(10));
    mesh.assert_converged(space);
    assert_eq!(mesh.document(2, space, "doc").unwrap().0, r#"{"a":1,"b":2,"c":3}"#);
}

#[test]
fn a_wait_ends_when_all_hold_it() {
    let mut mesh = Mesh::new(3, 5);
    let space = mesh.shared_space();
    mesh.put(0, space, "doc", r#"{"a": 1}"#);
    mesh.run(seconds(2));
    let wait = LocalRequest::Wait {
        space,
        document: Some("doc".parse().unwrap()),
        nodes: Nodes::All,
        timeout: seconds(5),
    };
    let reply = mesh.request_later(0, wait, seconds(1));
    assert!(format!("{reply:?}").contains("satisfied: true"), "{reply:?}");
}

#[test]
fn a_document_of_many_objects_is_told_of_by_whoever_built_it() {
    let mut mesh = Mesh::new(2, 7);
    let space = mesh.shared_space();
    let items = vec!["{}"; DOCUMENT_OBJECTS_ADVISED].join(",");
    mesh.put(0, space, "wide", &format!("{{\"list\": [{items}]}}"));
    mesh.put(0, space, "narrow", "{\"list\": [{}]}");
    let large = |mesh: &mut Mesh, index| {
        let Ok(Reply::Status(status)) = mesh.request(index, LocalRequest::Status) else {
            panic!("no status")
        };
        let found = status.spaces[0].large.iter().map(|(name, objects)| (name.to_string(), *objects));
        found.collect::<Vec<_>>()
    };
    let told = [("wide".to_owned(), DOCUMENT_OBJECTS_ADVISED + 2)];
    assert_eq!(large(&mut mesh, 0), told);
    assert_eq!(large(&mut mesh, 1), [], "nothing is built when it arrives");
    mesh.run(seconds(30));
    assert_eq!(large(&mut mesh, 1), told, "and everything once the node rests");
}

#[test]
fn one_seed_gives_one_trace() {
    let run = |seed| {
        let mut mesh = Mesh::new(4, seed);
        let space = mesh.shared_space();
        mesh.gossip_loss = 30;
        for number in 0..40 {
            mesh.put(number % 4, space, &format!("d/{}", number % 7), &format!(r#"{{"n": {number}}}"#));
            mesh.run(Duration::from_millis(20));
        }
        mesh.run(seconds(60));
        mesh.assert_converged(space);
        mesh.trace_hash()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
