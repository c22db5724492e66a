//! Leaving a space: what goes, what stays, and when it is refused.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use mesh::failing::How;
use starling_crdt::charter::Role;
use starling_crdt::id::SpaceId;
use starling_crdt::presence::{Reason, State};
use starling_crdt::replica::{LocalRequest, Refusal};
use starling_crdt::store::{KeyRange, StoreRead, Table};

fn rows(store: &dyn StoreRead) -> usize {
    let of_spaces = Table::ALL.into_iter().filter(|table| !matches!(table, Table::Meta | Table::Peers));
    of_spaces.map(|table| store.rows(table, KeyRange::ALL, usize::MAX).unwrap().len()).sum()
}

fn fingerprint(mesh: &mut Mesh, index: usize, space: SpaceId) -> u64 {
    match mesh.request(index, LocalRequest::Status) {
        Ok(starling_crdt::replica::Reply::Status(status)) => {
            status.spaces.iter().find(|report| report.id == space).unwrap().fingerprint
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_space_that_was_left_leaves_no_row_and_the_others_keep_theirs() {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.shared_space();
    for number in 0..200 {
        mesh.put(0, space, &format!("d/{number}"), r#"{"a": 1}"#);
    }
    mesh.run(Duration::from_secs(5));
    let kept = mesh.contents(0, space);
    assert_eq!(mesh.contents(1, space).len(), 200);
    mesh.request(1, LocalRequest::LeaveSpace { space, held: None }).unwrap();
    assert!(matches!(mesh.request(1, LocalRequest::Members { space }), Err(Refusal::UnknownSpace(_))));
    mesh.run(Duration::from_secs(5));
    assert_eq!(rows(mesh.nodes[1].store()), 0);
    assert!(mesh.nodes[1].topics.is_empty());
    assert_eq!(mesh.contents(0, space), kept);
    assert!(mesh.nodes[0].effects.iter().any(|effect| effect.contains("Left")), "no farewell was heard");
    mesh.put(0, space, "later", "{}");
    mesh.run(Duration::from_secs(60));
    assert_eq!(rows(mesh.nodes[1].store()), 0);
}

#[test]
fn a_removal_that_a_stop_cut_short_goes_on_and_the_space_can_be_joined_again() {
    let mut mesh = Mesh::new(2, 2);
    let space = mesh.shared_space();
    for number in 0..300 {
        mesh.put(0, space, &format!("d/{number}"), r#"{"a": 1}"#);
    }
    mesh.run(Duration::from_secs(5));
    mesh.request(1, LocalRequest::LeaveSpace { space, held: None }).unwrap();
    mesh.restart(1);
    assert!(rows(mesh.nodes[1].store()) > 0, "the removal was done in one step");
    mesh.connect_all();
    let ticket = mesh.invite(0, space, Role::Writer);
    mesh.request(1, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.run(Duration::from_secs(60));
    mesh.put(1, space, "d/7", r#"{"a": 2}"#);
    mesh.run(Duration::from_secs(5));
    mesh.assert_converged(space);
    assert_eq!(mesh.contents(1, space).len(), 300);
}

#[test]
fn a_space_is_not_left_when_more_was_written_than_others_confirmed() {
    let mut mesh = Mesh::new(2, 3);
    let space = mesh.shared_space();
    mesh.put(0, space, "a", "{}");
    let confirmed = fingerprint(&mut mesh, 0, space);
    mesh.put(0, space, "b", "{}");
    let refused = mesh.request(0, LocalRequest::LeaveSpace { space, held: Some(confirmed) });
    assert!(matches!(refused, Err(Refusal::HeldNowhereElse)), "{refused:?}");
    assert_eq!(mesh.contents(0, space).len(), 2);
    let now = fingerprint(&mut mesh, 0, space);
    mesh.request(0, LocalRequest::LeaveSpace { space, held: Some(now) }).unwrap();
}

#[test]
fn what_is_written_in_the_step_that_leaves_is_announced_and_harms_nothing() {
    let mut mesh = Mesh::new(2, 4);
    let space = mesh.shared_space();
    let write = starling_crdt::replica::Write {
        space,
        document: "last".parse().unwrap(),
        edit: starling_crdt::document::Edit::Put {
            value: starling_crdt::document::Json::parse("{}").unwrap(),
            base: None,
        },
        condition: Default::default(),
        request_id: None,
    };
    let replies = mesh
        .batch(1, vec![LocalRequest::Write(Box::new(write)), LocalRequest::LeaveSpace { space, held: None }]);
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    mesh.run(Duration::from_secs(5));
    assert!(mesh.document(0, space, "last").is_some());
    assert_eq!(rows(mesh.nodes[1].store()), 0);
}

#[test]
fn who_left_a_space_and_runs_on_has_left_it_until_it_joins_again() {
    let mut mesh = Mesh::new(3, 5);
    let space = mesh.shared_space();
    mesh.request(1, LocalRequest::LeaveSpace { space, held: None }).unwrap();
    mesh.run(Duration::from_secs(5));
    for _ in 0..2 {
        for other in [0, 2] {
            assert_eq!(mesh.sighting(other, space, 1).state, Some(State::Left));
            mesh.disconnect(1, other);
        }
        mesh.run(Duration::from_secs(5));
        mesh.connect_all();
        mesh.run(Duration::from_secs(120));
    }
    assert!(mesh.sighting(0, space, 1).connected, "it still runs");
    assert_eq!(mesh.sighting(0, space, 1).state, Some(State::Left));
    let ticket = mesh.invite(0, space, Role::Writer);
    mesh.request(1, LocalRequest::Join { ticket: Box::new(ticket) }).unwrap();
    mesh.run(Duration::from_secs(10));
    for other in [0, 2] {
        assert_eq!(mesh.sighting(other, space, 1).state, Some(State::Alive));
    }
}

#[test]
fn who_stopped_in_order_is_back_as_soon_as_it_greets() {
    let mut mesh = Mesh::new(2, 6);
    let space = mesh.shared_space();
    mesh.farewell(1);
    assert_eq!(mesh.sighting(0, space, 1).state, Some(State::Left));
    mesh.restart(1);
    mesh.run(Duration::from_millis(100));
    assert_eq!(mesh.sighting(0, space, 1).state, Some(State::Left));
    mesh.connect_all();
    mesh.run(Duration::from_millis(100));
    let seen = mesh.sighting(0, space, 1);
    assert_eq!((seen.state, seen.reason), (Some(State::Alive), Some(Reason::Connected)));
}

#[test]
fn a_leave_that_was_not_durable_loses_sight_of_nobody() {
    let mut mesh = Mesh::new(2, 7);
    let space = mesh.shared_space();
    mesh.nodes[0].store_now(How::Loses);
    let refused = mesh.request(0, LocalRequest::LeaveSpace { space, held: None });
    assert!(matches!(refused, Err(Refusal::Store(_))), "{refused:?}");
    mesh.nodes[0].store_now(How::Works);
    let seen = mesh.sighting(0, space, 1);
    assert_eq!((seen.state, seen.reason), (Some(State::Alive), Some(Reason::Connected)));
    let before = mesh.nodes[0].effects.len();
    mesh.run(Duration::from_secs(120));
    let told = mesh.nodes[0].effects[before..].iter().find(|effect| effect.contains("MemberChanged"));
    assert_eq!(told, None);
    mesh.put(0, space, "after", "{}");
    mesh.run(Duration::from_secs(5));
    assert!(mesh.document(1, space, "after").is_some(), "it is still in the space");
}

#[test]
fn how_members_stand_is_stored_although_a_commit_failed() {
    let mut mesh = Mesh::new(2, 8);
    let space = mesh.shared_space();
    mesh.partition(&[0], &[1]);
    mesh.nodes[0].store_now(How::Loses);
    mesh.run(Duration::from_secs(60));
    assert_eq!(mesh.sighting(0, space, 1).state, Some(State::Away));
    mesh.nodes[0].store_now(How::Works);
    mesh.run(Duration::from_secs(120));
    mesh.restart(0);
    let seen = mesh.sighting(0, space, 1);
    assert_eq!((seen.state, seen.reason), (Some(State::Away), Some(Reason::ConnectionLost)));
}
