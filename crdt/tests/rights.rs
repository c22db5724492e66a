//! What authority lets in, and what damage keeps out: prefixes, newer statements, unreadable rows.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use mesh::rogue::{Rogue, put};
use starling_crdt::charter::{Prefix, Role, VerifiedStatement};
use starling_crdt::document::{Edit, Json};
use starling_crdt::gossip::Frame;
use starling_crdt::id::SpaceId;
use starling_crdt::identity::Identity;
use starling_crdt::replica::{Condition, LocalRequest, Refusal, Reply, Write};
use starling_crdt::store::tables::{SpaceIndex, walk_prefix};
use starling_crdt::store::{KeyRange, Table};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn says(effects: &[String], what: &str) -> bool {
    effects.iter().any(|effect| effect.contains(what))
}

#[test]
fn a_writer_of_a_prefix_writes_there_and_nowhere_else() {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.create_space(0);
    mesh.connect_all();
    let invite = LocalRequest::Invite {
        space,
        role: Role::Writer,
        prefix: Some(Prefix::new("config/").unwrap()),
        uses: None,
        expires_in: None,
        secret: Identity::from_seed(&[50; 32]),
    };
    let Ok(Reply::Ticket(ticket)) = mesh.request(0, invite) else { panic!("no ticket") };
    mesh.request(1, LocalRequest::Join { ticket }).unwrap();
    mesh.run(seconds(30));
    mesh.put(1, space, "config/web", r#"{"a": 1}"#);
    let value = || Json::parse("{}").unwrap();
    for name in ["other", "config", "configuration/x"] {
        let refused = mesh.write(1, space, name, Edit::Put { value: value(), base: None });
        assert!(matches!(refused, Err(Refusal::NotAllowed { .. })), "{name}: {refused:?}");
    }
    // Its key signs what its node refused.
    let rogue = Rogue::of(&mesh.nodes[1], space, 60);
    let change = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("other", &[&change]));
    assert!(says(&effects, "verdict: Reject") && says(&effects, "not_allowed"), "{effects:?}");
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("config/x", &[&change]));
    assert!(says(&effects, "verdict: Accept"), "{effects:?}");
    mesh.run(seconds(5));
    assert_eq!(mesh.contents(0, space).len(), 2);
}

#[test]
fn a_statement_of_a_newer_kind_is_counted_and_nobodys_offence() {
    let mut mesh = Mesh::new(2, 2);
    let space = mesh.shared_space();
    let mut bytes = Vec::new();
    walk_prefix(mesh.nodes[0].store(), Table::Statements, &SpaceIndex(0).all(), |_, value| {
        bytes = value.to_vec();
        Ok(())
    })
    .unwrap();
    let kind = VerifiedStatement::from_bytes(&bytes).unwrap().body.kind();
    // Key 4 is the kind; key 5 follows.
    let at = bytes.windows(3).position(|part| part[0] == 4 && part[1] < 4 && part[2] == 5).unwrap();
    bytes[at + 1] = 9;
    let rogue = Rogue::of(&mesh.nodes[1], space, 61);
    let payload = Frame::Statement(bytes.clone().into()).seal(&rogue.epoch);
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &payload);
    assert!(says(&effects, "verdict: Ignore") && !says(&effects, "Offence"), "{kind}: {effects:?}");
    let brought = starling_crdt::exchange::Request::TakeStatements {
        space,
        statements: vec![bytes.into(), vec![9].into()],
    };
    let effects = mesh.ask_node(0, rogue.key(), 1, brought);
    assert!(says(&effects, "Refused(\"unknown_kind\")"), "{effects:?}");
    assert!(says(&effects, "Offence"), "the garbage beside it is one: {effects:?}");
}

/// The key of a stored delta of the document.
fn delta_row(mesh: &Mesh, node: usize, name: &str) -> Vec<u8> {
    let start = SpaceIndex(0).document_rows(&name.parse().unwrap());
    let range = KeyRange { start: std::ops::Bound::Included(&start), end: std::ops::Bound::Unbounded };
    mesh.nodes[node].store().rows(Table::Deltas, range, 1).unwrap().remove(0).0
}

/// A space of three with one document that node 1 cannot read any more.
fn damaged(seed: u64) -> (Mesh, SpaceId) {
    let mut mesh = Mesh::new(3, seed);
    let space = mesh.shared_space();
    mesh.put(0, space, "broken", r#"{"a": 1}"#);
    mesh.put(0, space, "whole", r#"{"a": 1}"#);
    mesh.run(seconds(2));
    let key = delta_row(&mesh, 1, "broken");
    mesh.nodes[1].damage(Table::Deltas, key);
    mesh.restart(1);
    (mesh, space)
}

#[test]
fn one_unreadable_document_blocks_no_other_from_coming_in() {
    let (mut mesh, space) = damaged(3);
    mesh.put(0, space, "broken", r#"{"a": 2}"#);
    for number in 0..20 {
        mesh.put(0, space, &format!("d/{number}"), "{}");
    }
    mesh.connect_all();
    mesh.run(seconds(120));
    assert!(says(&mesh.nodes[1].effects, "StoreFault"));
    for number in 0..20 {
        assert!(mesh.document(1, space, &format!("d/{number}")).is_some(), "{number}");
    }
    mesh.put(1, space, "whole", r#"{"a": 3}"#);
    mesh.run(seconds(5));
    assert_eq!(mesh.document(2, space, "whole").unwrap().0, r#"{"a":3}"#);
    // By gossip as well: a verdict for each message, and the others taken.
    mesh.put(0, space, "broken", r#"{"a": 4}"#);
    mesh.put(0, space, "whole", r#"{"a": 5}"#);
    mesh.run(seconds(5));
    assert_eq!(mesh.document(1, space, "whole").unwrap().0, r#"{"a":5}"#);
}

#[test]
fn one_unreadable_document_blocks_no_other_from_being_served() {
    let (mut mesh, space) = damaged(4);
    mesh.partition(&[0], &[1, 2]);
    mesh.partition(&[1], &[2]);
    mesh.put(1, space, "new", r#"{"from": 1}"#);
    // A node that holds nothing yet, and meets only the one with the damage.
    mesh.nodes[2].forget();
    mesh.restart(2);
    mesh.cut = [(0, 2)].into();
    let ticket = mesh.invite(0, space, Role::Writer);
    mesh.connect(0, 1);
    mesh.run(seconds(5));
    mesh.disconnect(0, 1);
    mesh.cut.insert((0, 1));
    mesh.request(2, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.connect(1, 2);
    mesh.run(seconds(120));
    assert_eq!(mesh.document(2, space, "new").unwrap().0, r#"{"from":1}"#);
    assert_eq!(mesh.document(2, space, "whole").unwrap().0, r#"{"a":1}"#);
    assert_eq!(mesh.document(2, space, "broken"), None);
    // The others bring what this one cannot.
    mesh.heal();
    mesh.connect_all();
    mesh.run(seconds(120));
    assert_eq!(mesh.document(2, space, "broken").unwrap().0, r#"{"a":1}"#);
}

#[test]
fn a_damaged_record_of_a_document_is_told_of_and_written_anew_by_the_next_change() {
    for (restart, local) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut mesh = Mesh::new(2, 5);
        let space = mesh.shared_space();
        mesh.put(0, space, "broken", r#"{"a": 1}"#);
        mesh.put(0, space, "whole", r#"{"a": 1}"#);
        mesh.run(seconds(2));
        let held = mesh.nodes[1].replica.held();
        mesh.nodes[1].damage(Table::Documents, SpaceIndex(0).document("broken"));
        if restart {
            mesh.restart(1);
            let told = format!("{:?}", mesh.nodes[1].replica.standing_effects());
            assert!(told.contains("StoreFault") && told.contains("broken"), "{told}");
            mesh.connect_all();
            mesh.run(seconds(2));
        }
        let name = "broken".parse().unwrap();
        let read = mesh.nodes[1].reader.document(space, &name).unwrap_err().to_string();
        assert!(!read.is_empty());
        assert_eq!(mesh.document(1, space, "whole").unwrap().0, r#"{"a":1}"#);
        // In one step with the damaged document, another one is written and its writer answered.
        if local {
            let writes = ["whole", "broken"].map(|name| {
                let edit = Edit::Put { value: Json::parse(r#"{"a": 2}"#).unwrap(), base: None };
                let document = name.parse().unwrap();
                let write =
                    Write { space, document, edit, condition: Condition::default(), request_id: None };
                LocalRequest::Write(Box::new(write))
            });
            let replies = mesh.batch(1, writes.into());
            assert!(replies.iter().all(Result::is_ok), "{replies:?}");
        } else {
            mesh.put(0, space, "broken", r#"{"a": 2}"#);
            mesh.put(0, space, "whole", r#"{"a": 2}"#);
        }
        mesh.run(seconds(60));
        assert!(says(&mesh.nodes[1].effects, "StoreFault"));
        mesh.assert_converged(space);
        assert_eq!(mesh.document(1, space, "broken").unwrap().0, r#"{"a":2}"#);
        mesh.restart(1);
        let after = mesh.nodes[1].replica.held();
        assert_eq!(after, (held.0, held.1 + 2), "nothing is counted twice or not at all");
    }
}

#[test]
fn damaged_history_of_a_document_fails_what_needs_it_and_nothing_else_in_the_step() {
    let (mut mesh, space) = damaged(6);
    let put = |name: &str| {
        let edit = Edit::Put { value: Json::parse(r#"{"a": 2}"#).unwrap(), base: None };
        let document = name.parse().unwrap();
        let write = Write { space, document, edit, condition: Condition::default(), request_id: None };
        LocalRequest::Write(Box::new(write))
    };
    let replies = mesh.batch(1, vec![put("whole"), put("broken"), put("new")]);
    let refused = format!("{:?}", replies[1].as_ref().unwrap_err());
    assert!(refused.contains("Corrupt") && refused.contains("broken"), "{refused}");
    assert!(replies[0].is_ok() && replies[2].is_ok(), "{replies:?}");
    assert_eq!(mesh.document(1, space, "whole").unwrap().0, r#"{"a":2}"#);
}
