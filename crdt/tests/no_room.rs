//! A node that has no room, for its quota of a space is used up or its disk is full: it takes nothing more in, does not
//! harm others by asking for it again and again, and catches up once there is room.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::failing::How;
use mesh::rogue::{Made, Rogue, put};
use mesh::{Exchanged, Mesh};
use starling_crdt::document::{Edit, Json};
use starling_crdt::id::SpaceId;
use starling_crdt::limits::PROOF_BYTES_WITHOUT_ROOM_MAX;
use starling_crdt::replica::{LocalRequest, Refusal, Reply};
use starling_crdt::store::{KeyRange, Table};

/// What the small node keeps of a space.
const QUOTA: u64 = 8_000;
/// Questions to two peers in ten minutes without news: a dialogue of a few with each every half a minute.
const QUESTIONS_MAX: usize = 160;
/// Two such documents use it up.
const LONG: usize = 5_000;

fn long(number: usize) -> String {
    format!("{{\"text\": \"{}{number}\"}}", "x".repeat(LONG))
}

fn bytes(mesh: &mut Mesh, index: usize, space: SpaceId) -> u64 {
    let Ok(Reply::Status(status)) = mesh.request(index, LocalRequest::Status) else { panic!("no status") };
    status.spaces.iter().find(|report| report.id == space).expect("it holds the space").bytes
}

fn documents(mesh: &Mesh, index: usize, space: SpaceId) -> usize {
    mesh.contents(index, space).len()
}

/// Questions a node asked.
fn asked(mesh: &Mesh, index: usize) -> usize {
    mesh.nodes[index].effects.iter().filter(|effect| effect.starts_with("Ask")).count()
}

#[test]
fn a_full_space_takes_nothing_more_and_catches_up_when_it_may_keep_more() {
    let mut mesh = Mesh::new(3, 5);
    let space = mesh.shared_space();
    mesh.restart_with_quota(2, Some(QUOTA));
    mesh.connect_all();
    for number in 0..6 {
        mesh.put(0, space, &format!("d/{number}"), &long(number));
        mesh.run(Duration::from_secs(5));
    }
    assert_eq!((documents(&mesh, 1, space), documents(&mesh, 2, space)), (6, 2));
    let kept = bytes(&mut mesh, 2, space);
    assert!((QUOTA..QUOTA + 2 * LONG as u64).contains(&kept), "{kept}");
    let own = Edit::Put { value: Json::parse("{}").unwrap(), base: None };
    let refused = mesh.write(2, space, "d/own", own).expect_err("there is no room");
    assert!(matches!(refused, Refusal::SpaceFull { bytes, most: QUOTA } if bytes == kept), "{refused:?}");
    let other = mesh.create_space(2);
    mesh.put(2, other, "d/own", "{}");

    mesh.nodes[2].effects.clear();
    mesh.run(Duration::from_secs(600));
    let asked = asked(&mesh, 2);
    assert!(asked < QUESTIONS_MAX, "what cannot be kept was asked for {asked} times");

    mesh.restart_with_quota(2, None);
    mesh.connect_all();
    mesh.run(Duration::from_secs(120));
    assert_eq!(documents(&mesh, 2, space), 6);
    mesh.assert_converged(space);
    assert_eq!(bytes(&mut mesh, 2, space), bytes(&mut mesh, 0, space), "each counts the same bytes");
}

/// Rows of proofs of forks, and their bytes.
fn proofs(mesh: &Mesh, index: usize) -> (usize, u64) {
    let rows = mesh.nodes[index].store().rows(Table::Forks, KeyRange::ALL, 1_000).unwrap();
    (rows.len(), rows.iter().map(|(_, row)| row.len() as u64).sum())
}

/// The first change of an actor in some document: two of these make a fork.
fn first(rogue: &Rogue, text: &str) -> Made {
    rogue.change(1, 1, &[], vec![put("x", text)])
}

#[test]
fn a_full_node_keeps_and_tells_the_proof_of_a_fork_that_gossip_brings() {
    let mut mesh = Mesh::new(3, 8);
    let space = mesh.shared_space();
    let rogue = Rogue::of(&mesh.nodes[2], space, 77);
    mesh.gossip(1, rogue.key(), rogue.topic(), &rogue.payload("forked", &[&first(&rogue, "one")]));
    mesh.restart_with_quota(1, Some(QUOTA));
    (0..2).for_each(|number| drop(mesh.put(1, space, &format!("d/{number}"), &long(number))));
    let (kept, relay) = (bytes(&mut mesh, 1, space), mesh.nodes[0].key);
    let other = rogue.payload("forked", &[&first(&rogue, "two")]);
    let effects = mesh.gossip(1, relay, rogue.topic(), &other);
    let says = |what: &str| effects.iter().any(|effect| effect.contains(what));
    assert!(says("Fork {") && says("Forks"), "{effects:?}");
    assert!(says(&format!("Offence {{ peer: {:?}, offence: Equivocation", rogue.key())), "{effects:?}");
    assert!(!says(&format!("Offence {{ peer: {relay:?}")), "{effects:?}");
    assert_eq!((proofs(&mesh, 1).0, bytes(&mut mesh, 1, space)), (1, kept));
    // What contradicts nothing is left, and the same again is no news.
    let new = rogue.payload("new", &[&first(&rogue, "one")]);
    let effects = [mesh.gossip(1, relay, rogue.topic(), &other), mesh.gossip(1, relay, rogue.topic(), &new)];
    assert!(!effects.concat().iter().any(|effect| effect.contains("Fork")), "{effects:?}");
    assert!(effects[1].iter().any(|effect| effect.contains("space_full")), "{effects:?}");
    assert_eq!((proofs(&mesh, 1).0, bytes(&mut mesh, 1, space)), (1, kept));
}

#[test]
fn a_full_node_asks_for_the_proof_of_a_fork() {
    let mut mesh = Mesh::new(3, 9);
    let space = mesh.shared_space();
    let rogue = Rogue::of(&mesh.nodes[2], space, 77);
    mesh.restart_with_quota(1, Some(QUOTA));
    for (node, text) in [(0, "one"), (1, "two")] {
        mesh.gossip(node, rogue.key(), rogue.topic(), &rogue.payload("forked", &[&first(&rogue, text)]));
    }
    (0..2).for_each(|number| drop(mesh.put(1, space, &format!("d/{number}"), &long(number))));
    (2..4).for_each(|number| drop(mesh.put(0, space, &format!("d/{number}"), &long(number))));
    let kept = bytes(&mut mesh, 1, space);
    mesh.connect_all();
    mesh.run(Duration::from_secs(60));
    assert_eq!((proofs(&mesh, 0).0, proofs(&mesh, 1).0), (1, 1));
    assert_eq!(bytes(&mut mesh, 1, space), kept);
}

#[test]
fn proofs_of_forks_do_not_fill_the_disk_of_a_full_node() {
    const FORKS: u8 = 10;
    let mut mesh = Mesh::new(3, 10);
    let space = mesh.shared_space();
    let rogue = Rogue::of(&mesh.nodes[2], space, 77);
    let large = |text: &str| first(&rogue, &text.repeat(1_000_000));
    mesh.restart_with_quota(1, Some(u64::from(FORKS) * 1_000_000));
    let fork = |mesh: &mut Mesh, text: &str| {
        (0..FORKS).for_each(|number| {
            let payload = rogue.payload(&format!("d/{number}"), &[&large(text)]);
            mesh.gossip(1, rogue.key(), rogue.topic(), &payload);
        });
    };
    fork(&mut mesh, "a");
    assert_eq!((documents(&mesh, 1, space), proofs(&mesh, 1)), (usize::from(FORKS), (0, 0)));
    fork(&mut mesh, "b");
    let (count, stored) = proofs(&mesh, 1);
    assert_eq!(count as u64, PROOF_BYTES_WITHOUT_ROOM_MAX / (stored / count as u64));
    assert!(mesh.nodes[1].effects.iter().any(|effect| effect.contains("proofs_full")));
    // What is kept counts after a restart, too.
    mesh.restart_with_quota(1, Some(1));
    fork(&mut mesh, "b");
    assert_eq!(proofs(&mesh, 1), (count, stored));
    mesh.restart(1);
    fork(&mut mesh, "b");
    assert_eq!(proofs(&mesh, 1).0, usize::from(FORKS), "with room left every proof is kept");
}

#[test]
fn a_node_whose_store_takes_nothing_asks_rarely_and_catches_up() {
    let mut mesh = Mesh::new(3, 6);
    let space = mesh.shared_space();
    mesh.put(0, space, "d", "{\"n\": 0}");
    mesh.run(Duration::from_secs(5));
    mesh.nodes[2].store_now(How::Loses);
    mesh.nodes[2].effects.clear();
    for number in 0..300 {
        // Each rests on one before that node 2 could not keep.
        mesh.set(number % 2, space, "d", "/n", &number.to_string());
        mesh.run(Duration::from_secs(1));
    }
    let asked = asked(&mesh, 2);
    assert!(asked < QUESTIONS_MAX, "a store that takes nothing was asked for {asked} times");
    mesh.nodes[2].store_now(How::Works);
    mesh.run(Duration::from_secs(30));
    mesh.assert_converged(space);
}

/// What two nodes say to each other in an hour in which the first writes every so often, and the second, whose
/// space is full, can take none of it; and how long after the second may keep more it holds everything.
fn an_hour_without_room(pause: Option<Duration>) -> (Exchanged, Duration) {
    let hour = Duration::from_secs(3_600);
    let mut mesh = Mesh::new(2, 7);
    let space = mesh.shared_space();
    mesh.restart_with_quota(1, Some(QUOTA));
    mesh.connect_all();
    for number in 0..400 {
        mesh.put(0, space, &format!("d/{number}"), &format!("{{\"n\": {number}}}"));
        mesh.run(Duration::from_millis(100));
    }
    mesh.run(Duration::from_secs(600));
    assert!(documents(&mesh, 1, space) < 200, "{}", documents(&mesh, 1, space));
    mesh.nodes.iter_mut().for_each(|node| node.exchanged = Exchanged::default());
    match pause {
        None => mesh.run(hour),
        Some(pause) => (0..hour.as_secs() / pause.as_secs()).for_each(|number| {
            mesh.set(0, space, "d/0", "/n", &number.to_string());
            mesh.run(pause);
        }),
    }
    let [one, other] = [mesh.nodes[0].exchanged, mesh.nodes[1].exchanged];
    let said = Exchanged {
        questions: one.questions + other.questions,
        answers: one.answers + other.answers,
        bytes: one.bytes + other.bytes,
    };
    mesh.restart_with_quota(1, None);
    mesh.connect_all();
    let from = mesh.now;
    while mesh.contents(1, space) != mesh.contents(0, space) && mesh.now < from + 600_000_000 {
        mesh.run(Duration::from_secs(1));
    }
    mesh.assert_converged(space);
    (said, Duration::from_micros(mesh.now - from))
}

#[test]
fn two_nodes_leave_alone_what_one_of_them_has_no_room_for() {
    for (pause, questions_max, bytes_max) in
        [(None, 80, 200_000), (Some(Duration::from_secs(20)), 240, 300_000)]
    {
        let (said, healed) = an_hour_without_room(pause);
        println!("written every {pause:?}: {said:?}, then whole after {healed:?}");
        assert!(said.questions < questions_max && said.answers == said.questions, "{said:?}");
        assert!(said.bytes < bytes_max, "{said:?}");
        assert!(healed < Duration::from_secs(10), "{healed:?}");
    }
}

/// Three nodes between which nothing happened for so long that the next dialogues are minutes away; then the third
/// loses what gossip brings, since its store takes nothing, and hears no gossip any more.
fn after_a_lost_step() -> (Mesh, SpaceId) {
    let mut mesh = Mesh::new(3, 11);
    let space = mesh.shared_space();
    mesh.run(Duration::from_secs(1_200));
    mesh.nodes[2].store_now(How::Loses);
    mesh.put(0, space, "lost", "{}");
    mesh.run(Duration::from_millis(20));
    assert!(mesh.nodes[2].effects.iter().any(|effect| effect.contains("StoreFault")));
    mesh.gossip_loss = 100;
    (mesh, space)
}

#[test]
fn what_a_failed_step_lost_is_asked_for_once_when_the_store_takes_again() {
    let (mut mesh, space) = after_a_lost_step();
    mesh.nodes[2].store_now(How::Works);
    mesh.nodes[2].effects.clear();
    mesh.put(2, space, "own", "{}");
    assert_eq!(documents(&mesh, 2, space), 1, "it is lost");
    mesh.run(Duration::from_millis(500));
    assert_eq!(documents(&mesh, 2, space), 2);
    assert!(asked(&mesh, 2) <= 4, "once: greeting, comparison, fetch, offer, not {}", asked(&mesh, 2));
}

#[test]
fn a_node_that_writes_nothing_finds_out_by_itself_that_its_store_takes_again() {
    let (mut mesh, space) = after_a_lost_step();
    mesh.run(Duration::from_secs(600));
    mesh.nodes[2].effects.clear();
    mesh.run(Duration::from_secs(600));
    let asked = asked(&mesh, 2);
    assert!(asked < QUESTIONS_MAX, "a store that takes nothing was asked for {asked} times");
    mesh.nodes[2].store_now(How::Works);
    mesh.run(Duration::from_secs(26));
    assert_eq!(documents(&mesh, 2, space), 1);
    mesh.assert_converged(space);
}
