//! Comparing two nodes: what differs is told down to the change, and nothing is fetched for it.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use mesh::rogue::{Rogue, put};
use starling_crdt::exchange::{ItemName, RefusalCode, Request, Response, Standing, encode_message};
use starling_crdt::id::{Actor, AuthorKey, DocumentName, Position, SpaceId, StoreId};
use starling_crdt::limits::COMPARISONS_MAX;
use starling_crdt::replica::{CompareId, Compared, Comparison, LocalRequest, Refusal, Reply, Unasked};

const SOON: Duration = Duration::from_millis(200);

fn wish(id: u64, space: SpaceId, document: Option<&str>, peer: AuthorKey) -> LocalRequest {
    let document = document.map(|name| DocumentName::new(name).unwrap());
    LocalRequest::Compare { id: CompareId(id), space, document, peer, timeout: Duration::from_secs(2) }
}

fn compared(mesh: &mut Mesh, from: usize, request: LocalRequest, within: Duration) -> Compared {
    match mesh.request_later(from, request, within) {
        Ok(Reply::Compared(compared)) => compared,
        other => panic!("{other:?}"),
    }
}

fn with(mesh: &mut Mesh, from: usize, space: SpaceId, document: Option<&str>, to: usize) -> Comparison {
    let peer = mesh.nodes[to].key;
    match compared(mesh, from, wish(1, space, document, peer), SOON) {
        Compared::With(found) => *found,
        other => panic!("{other:?}"),
    }
}

/// Documents, and how many changes each side has of whose.
fn told(found: &Comparison) -> Vec<(String, u64, u64)> {
    let name = |document: &Option<DocumentName>| document.as_ref().map_or("?".into(), ToString::to_string);
    found.differences.iter().map(|one| (name(&one.document), one.ours, one.theirs)).collect()
}

fn unasked(mesh: &mut Mesh, space: SpaceId, peer: AuthorKey) -> Unasked {
    match compared(mesh, 0, wish(1, space, None, peer), Duration::from_secs(5)) {
        Compared::Unasked(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nodes_that_hold_the_same_are_equal_after_one_question() {
    let mut mesh = Mesh::new(2, 1);
    let space = mesh.shared_space();
    mesh.put(0, space, "a", "{}");
    mesh.run(Duration::from_secs(1));
    let found = with(&mut mesh, 1, space, None, 0);
    assert_eq!((told(&found), found.differing, found.complete), (vec![], 0, true));
    assert_eq!((found.round_trips, found.charters_equal), (1, true));
    assert!(found.sent + found.received < 300, "{found:?}");
    assert_eq!((found.ours, found.theirs), (found.ours_after, found.theirs_after));
}

#[test]
fn what_either_side_lacks_is_named_with_both_numbers_and_not_fetched() {
    let mut mesh = Mesh::new(2, 2);
    let space = mesh.shared_space();
    for number in 0..1_000 {
        mesh.put(0, space, &format!("d/{number}"), r#"{"n": 1}"#);
    }
    mesh.run(Duration::from_secs(60));
    mesh.assert_converged(space);
    mesh.gossip_loss = 100;
    for number in 0..4 {
        mesh.set(0, space, &format!("d/{number}"), "/n", "2");
    }
    for number in 0..5 {
        mesh.put(1, space, &format!("new/{number}"), "{}");
    }
    mesh.set(1, space, "d/900", "/n", "3");
    let held = |mesh: &mut Mesh| match mesh.request(1, LocalRequest::Status) {
        Ok(Reply::Status(status)) => status.spaces[0].changes,
        other => panic!("{other:?}"),
    };
    let before = held(&mut mesh);
    let found = with(&mut mesh, 0, space, None, 1);
    let mut expected: Vec<_> = (0..4).map(|number| (format!("d/{number}"), 2, 1)).collect();
    expected.push(("d/900".into(), 0, 1));
    expected.extend((0..5).map(|number| (format!("new/{number}"), 0, 1)));
    assert_eq!(told(&found), expected);
    assert_eq!((found.differing, found.complete), (10, true));
    // Of its own changes this node knows the author, of the other's actor, whom it has not met, it does not.
    assert_eq!(found.differences[0].author, Some(mesh.nodes[0].key));
    assert_eq!(found.differences[9].author, None);
    assert!(found.round_trips <= 7 && found.sent + found.received <= 64 * 1024, "{found:?}");
    assert_eq!(held(&mut mesh), before, "nothing was fetched");
    mesh.run(Duration::from_secs(120));
    assert_eq!(told(&with(&mut mesh, 0, space, None, 1)), vec![], "repair went on");
}

#[test]
fn one_document_is_compared_alone() {
    let mut mesh = Mesh::new(2, 3);
    let space = mesh.shared_space();
    mesh.gossip_loss = 100;
    for name in ["a", "b", "c"] {
        mesh.put(0, space, name, "{}");
    }
    let found = with(&mut mesh, 1, space, Some("b"), 0);
    assert_eq!(told(&found), [("b".to_owned(), 0, 1)]);
    assert_eq!(told(&with(&mut mesh, 0, space, Some("b"), 1)), [("b".to_owned(), 1, 0)]);
    assert_eq!(told(&with(&mut mesh, 0, space, Some("nowhere"), 1)), vec![]);
}

#[test]
fn the_two_sides_of_a_fork_differ_though_their_numbers_do_not() {
    let mut mesh = Mesh::new(3, 4);
    let space = mesh.shared_space();
    let rogue = Rogue::of(&mesh.nodes[2], space, 7);
    mesh.partition(&[0], &[1, 2]);
    mesh.run(Duration::from_secs(1));
    for (node, text) in [(0, "left"), (1, "right")] {
        let change = rogue.change(1, 1, &[], vec![put("x", text)]);
        mesh.gossip(node, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&change]));
    }
    mesh.heal();
    mesh.run(Duration::from_secs(60));
    let found = with(&mut mesh, 0, space, None, 1);
    assert_eq!(told(&found), [("doc".to_owned(), 1, 1)]);
    assert!(found.differences[0].forked);
    assert_eq!(found.differences[0].author, Some(rogue.key()));
}

#[test]
fn whoever_cannot_be_asked_is_told_of_as_such() {
    let mut mesh = Mesh::new(2, 5);
    let space = mesh.shared_space();
    let (own, other) = (mesh.nodes[0].key, mesh.nodes[1].key);
    let refused = mesh.request(0, wish(1, space, None, own));
    assert!(matches!(refused, Err(Refusal::ThisNode)), "{refused:?}");
    mesh.partition(&[0], &[1]);
    mesh.run(Duration::from_secs(1));
    assert_eq!(unasked(&mut mesh, space, other), Unasked::NotConnected);

    let silent = AuthorKey([0xaa; 32]);
    mesh.rogue_up(0, silent, Box::new(|_| None));
    assert_eq!(unasked(&mut mesh, space, silent), Unasked::TimedOut);

    let older = AuthorKey([0xbb; 32]);
    let refusal = Response::Refused { code: RefusalCode::Unsupported, reason: "unknown kind".into() };
    mesh.rogue_up(0, older, Box::new(move |_| Some(encode_message(&refusal))));
    assert_eq!(unasked(&mut mesh, space, older), Unasked::Refused("unknown kind".into()));

    let confused = AuthorKey([0xcc; 32]);
    mesh.rogue_up(0, confused, Box::new(|_| Some(encode_message(&Response::Done))));
    assert!(matches!(unasked(&mut mesh, space, confused), Unasked::Refused(_)));
}

#[test]
fn a_peer_that_goes_away_in_the_middle_ends_the_comparison() {
    let mut mesh = Mesh::new(2, 6);
    let space = mesh.shared_space();
    mesh.gossip_loss = 100;
    mesh.put(0, space, "a", "{}");
    let other = mesh.nodes[1].key;
    // Two messages take four milliseconds or more, the whole dialogue more than that.
    let compared = {
        let ticket = 900;
        let input = starling_crdt::replica::Input::Local {
            ticket: starling_crdt::replica::RequestTicket(ticket),
            request: wish(1, space, None, other),
        };
        mesh.give(0, input);
        mesh.run(Duration::from_millis(9));
        mesh.partition(&[0], &[1]);
        mesh.run(Duration::from_secs(1));
        mesh.nodes[0].replies.remove(&ticket)
    };
    assert!(matches!(compared, Some(Ok(Reply::Compared(Compared::Unasked(Unasked::Lost))))), "{compared:?}");
}

#[test]
fn names_that_do_not_fit_their_items_are_not_believed() {
    let mut mesh = Mesh::new(1, 7);
    let space = mesh.shared_space();
    mesh.put(0, space, "a", "{}");
    let liar = AuthorKey([0xdd; 32]);
    let answers = move |request| {
        let standing = |named| {
            let position = Position { store: StoreId([1; 16]), commit: 1 };
            Response::Looked(Standing { position, statements: [0; 8], items: 1, named })
        };
        let invented = ItemName { document: DocumentName::new("invented").unwrap(), actor: Actor([1; 16]) };
        Some(encode_message(&match request {
            Ok(Request::Look(look)) => standing(look.items.iter().map(|_| Some(invented.clone())).collect()),
            Ok(Request::Reconcile { .. }) => {
                use starling_crdt::exchange::{OfferedItem, RangeAnswer};
                let key = starling_crdt::history::ItemKey([9; 16]);
                let item = OfferedItem { key, seq: 3, hash: [0; 8] };
                Response::Ranges(vec![Some(RangeAnswer::Items(vec![item]))])
            }
            _ => Response::Hello(vec![]),
        }))
    };
    mesh.rogue_up(0, liar, Box::new(answers));
    let Compared::With(found) = compared(&mut mesh, 0, wish(1, space, None, liar), SOON) else {
        panic!("it answers")
    };
    let mut told = told(&found);
    told.sort();
    assert_eq!(told, [("?".to_owned(), 0, 3), ("a".to_owned(), 1, 0)]);
    assert!(!found.charters_equal);
}

#[test]
fn comparisons_are_bounded_and_end_when_nobody_waits() {
    let mut mesh = Mesh::new(1, 8);
    let space = mesh.shared_space();
    let silent = AuthorKey([0xee; 32]);
    mesh.rogue_up(0, silent, Box::new(|_| None));
    let most = COMPARISONS_MAX as u64;
    for id in 0..=most {
        let ticket = starling_crdt::replica::RequestTicket(1_000 + id);
        let input = starling_crdt::replica::Input::Local { ticket, request: wish(id, space, None, silent) };
        mesh.give(0, input);
    }
    let last = mesh.nodes[0].replies.remove(&(1_000 + most));
    assert!(matches!(last, Some(Err(Refusal::TooMany { .. }))), "{last:?}");
    for id in 0..most {
        mesh.request(0, LocalRequest::StopComparing { id: CompareId(id) }).unwrap();
    }
    mesh.run(Duration::from_secs(10));
    assert!((0..most).all(|id| !mesh.nodes[0].replies.contains_key(&(1_000 + id))), "nobody waits");
    assert_eq!(unasked(&mut mesh, space, silent), Unasked::TimedOut);
}
