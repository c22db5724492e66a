//! Members and strangers that send what no honest node sends: what becomes of it, and of the rest.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::rogue::{Made, Rogue, make, no_signature, poison, put};
use mesh::{EPOCH, Mesh, statements};
use minicbor::bytes::ByteVec;
use starling_crdt::admission::DeltaRefused;
use starling_crdt::charter::Role;
use starling_crdt::delta::{Announcement, Delta};
use starling_crdt::gossip::Frame;
use starling_crdt::id::{Actor, ChangeHash, SpaceId, StatementId};
use starling_crdt::identity::Identity;
use starling_crdt::replica::LocalRequest;
use starling_crdt::seal::{self, EpochKey};
use starling_crdt::store::tables::SpaceIndex;
use starling_crdt::store::{KeyRange, Table};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn epoch() -> EpochKey {
    EpochKey::from_bytes(EPOCH)
}

/// Three members; the last one's key is in the hands of a rogue.
fn scene(seed: u64) -> (Mesh, SpaceId, Rogue) {
    let mut mesh = Mesh::new(3, seed);
    let space = mesh.shared_space();
    mesh.put(0, space, "good", r#"{"a": 1}"#);
    mesh.run(seconds(1));
    let rogue = Rogue::of(&mesh.nodes[2], space, 77);
    (mesh, space, rogue)
}

fn says(effects: &[String], what: &str) -> bool {
    effects.iter().any(|effect| effect.contains(what))
}

fn rows(mesh: &Mesh, node: usize, table: Table) -> usize {
    mesh.nodes[node].store().rows(table, KeyRange::ALL, 100_000).unwrap().len()
}

/// The verdict is `verdict`, the code is counted, and honest work goes on.
fn expect(mesh: &mut Mesh, space: SpaceId, rogue: &Rogue, payload: &[u8], verdict: &str, code: &str) {
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), payload);
    assert!(says(&effects, &format!("verdict: {verdict}")), "{code}: {effects:?}");
    assert!(says(&effects, &format!("Refused(\"{code}\")")), "{code}: {effects:?}");
    let number = mesh.nodes[0].effects.len();
    mesh.put(1, space, "good", &format!(r#"{{"a": {number}}}"#));
    mesh.run(seconds(1));
    assert_eq!(mesh.document(0, space, "good"), mesh.document(1, space, "good"), "{code}");
    assert_eq!(mesh.document(0, space, "bad"), None, "{code}");
}

#[test]
fn what_cannot_be_read_or_is_not_signed_is_refused_by_name() {
    let (mut mesh, space, rogue) = scene(1);
    let first = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let honest = rogue.delta("bad", &[&first]);
    let case = |mesh: &mut Mesh, delta: Delta, code: &str| {
        expect(mesh, space, &rogue, &rogue.frame(delta), "Reject", code);
    };
    case(&mut mesh, Delta { signature: no_signature(), ..honest.clone() }, "bad_signature");
    case(&mut mesh, Delta { actor: Actor([1; 16]), ..honest.clone() }, "foreign_actor");
    case(&mut mesh, Delta { changes: vec![], ..honest.clone() }, "delta_size");
    case(&mut mesh, Delta { changes: vec![first.bytes.clone().into(); 65], ..honest.clone() }, "delta_size");
    let other = Delta { space: SpaceId([3; 32]), ..honest.clone() };
    case(&mut mesh, other, "foreign_space");
    // Signed, and still no change: garbage, compressed, of another actor, a broken chain.
    let signed = |bytes: Vec<u8>| {
        let hash = mesh::rogue::chunk_hash(&bytes);
        rogue.delta("bad", &[&Made { bytes, hash, seq: 1 }])
    };
    case(&mut mesh, signed(vec![0; 40]), "change-magic");
    let mut compressed = first.bytes.clone();
    compressed[8] = 2;
    case(&mut mesh, signed(compressed), "change-compressed");
    let foreign = make(Actor([5; 16]), 1, 1, &[], vec![put("x", 1)]);
    case(&mut mesh, rogue.delta("bad", &[&foreign]), "foreign_actor");
    let loose = rogue.change(2, 2, &[ChangeHash([4; 32])], vec![put("x", 2)]);
    case(&mut mesh, rogue.delta("bad", &[&first, &loose]), "broken_chain");
    // Frames.
    let sealed = |plain: &[u8]| seal::seal(&rogue.epoch, plain);
    expect(&mut mesh, space, &rogue, &sealed(b"garbage"), "Reject", "malformed");
    expect(&mut mesh, space, &rogue, &sealed(&[0x82, 0x18, 99, 0x80]), "Ignore", "unknown_kind");
    let mut newer = sealed(b"whatever");
    newer[0] = 1;
    expect(&mut mesh, space, &rogue, &newer, "Ignore", "not_sealed");
    expect(&mut mesh, space, &rogue, b"", "Ignore", "not_sealed");
    let statement = Frame::Statement(ByteVec::from(vec![1, 2, 3])).seal(&rogue.epoch);
    expect(&mut mesh, space, &rogue, &statement, "Reject", "malformed");
    mesh.assert_converged(space);
}

#[test]
fn forgery_costs_more_than_what_damage_may_bring_about() {
    let (mut mesh, _, rogue) = scene(21);
    let first = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let honest = rogue.delta("bad", &[&first]);
    let foreign = make(Actor([5; 16]), 1, 1, &[], vec![put("x", 1)]);
    for (delta, offence) in [
        (Delta { signature: no_signature(), ..honest.clone() }, "BadSignature"),
        (Delta { actor: Actor([1; 16]), ..honest.clone() }, "ForeignActor"),
        (rogue.delta("bad", &[&foreign]), "ForeignActor"),
        (Delta { changes: vec![], ..honest.clone() }, "StructureViolation"),
        (Delta { space: SpaceId([3; 32]), ..honest.clone() }, "Garbage"),
    ] {
        let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.frame(delta));
        let offences: Vec<&String> = effects.iter().filter(|effect| effect.starts_with("Offence")).collect();
        assert_eq!(offences.len(), 1, "{offences:?}");
        assert!(offences[0].contains(&format!("offence: {offence},")), "{offence}: {offences:?}");
    }
}

#[test]
fn an_announcement_travels_only_if_its_delta_may_and_is_news() {
    let (mut mesh, space, rogue) = scene(22);
    let change = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let delta = rogue.delta("doc", &[&change]);
    let announcement = |author: &Rogue, delta: &Delta| Announcement {
        document: delta.document.clone(),
        actor: author.actor(),
        seq: 1,
        hash: change.hash,
        signature: delta.signature,
    };
    let sealed = |author: &Rogue, announcement: Announcement, brought: bool| {
        let incarnation = brought.then(|| author.incarnation.certificate().clone());
        Frame::Announcement { incarnation, announcement }.seal(&author.epoch)
    };
    let honest = announcement(&rogue, &delta);
    let told = |mesh: &mut Mesh, payload: &[u8]| mesh.gossip(0, rogue.key(), rogue.topic(), payload);
    // Whoever made it is not known here: it goes nowhere, and is asked for.
    let unknown = told(&mut mesh, &sealed(&rogue, honest.clone(), false));
    assert!(says(&unknown, "verdict: Ignore") && !says(&unknown, "Offence"), "{unknown:?}");
    let forged = Announcement { seq: 2, ..honest.clone() };
    let forged = told(&mut mesh, &sealed(&rogue, forged, true));
    assert!(says(&forged, "verdict: Reject") && says(&forged, "offence: BadSignature"), "{forged:?}");
    let nowhere = Announcement { seq: 0, ..honest.clone() };
    let nowhere = told(&mut mesh, &sealed(&rogue, nowhere, true));
    assert!(says(&nowhere, "verdict: Reject") && says(&nowhere, "broken_chain"), "{nowhere:?}");
    let stranger = Rogue::new(Identity::from_seed(&[99; 32]), space, epoch(), 1, statements(&mesh.nodes[0]));
    let theirs = announcement(&stranger, &stranger.delta("doc", &[&change]));
    let theirs = told(&mut mesh, &sealed(&stranger, theirs, true));
    assert!(says(&theirs, "verdict: Reject") && says(&theirs, "not_allowed"), "{theirs:?}");
    let news = told(&mut mesh, &sealed(&rogue, honest.clone(), true));
    assert!(says(&news, "verdict: Accept"), "{news:?}");
    let known_by_now = Announcement { seq: 1, ..honest.clone() };
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.frame(delta));
    let again = told(&mut mesh, &sealed(&rogue, known_by_now, true));
    assert!(says(&again, "verdict: Ignore") && !says(&again, "Offence"), "{again:?}");
}

#[test]
fn changes_out_of_line_are_refused_and_their_sender_pays() {
    let (mut mesh, space, rogue) = scene(2);
    let first = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let counter = rogue.change(1, 7, &[], vec![put("x", 1)]);
    let gap = rogue.change(5, 1, &[], vec![put("x", 1)]);
    for (change, code) in [(&counter, "start_op"), (&gap, "sequence")] {
        let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[change]));
        assert!(says(&effects, "verdict: Reject") && says(&effects, code), "{effects:?}");
        assert!(says(&effects, "Offence"), "{effects:?}");
    }
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&first]));
    assert!(says(&effects, "verdict: Accept"), "{effects:?}");
    // It leaves out its own change before.
    let forgetful = rogue.change(2, 1, &[], vec![put("x", 2)]);
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&forgetful]));
    assert!(says(&effects, "Refused(\"sequence\")"), "{effects:?}");
    mesh.put(0, space, "doc", r#"{"y": 1}"#);
    mesh.run(seconds(60));
    mesh.assert_converged(space);
}

#[test]
fn an_unknown_topic_is_nobodys_offence() {
    let (mut mesh, space, rogue) = scene(3);
    let topic = seal::topic(space, &EpochKey::from_bytes([1; 32]));
    let effects = mesh.gossip(0, rogue.key(), topic, b"anything");
    assert!(says(&effects, "verdict: Ignore") && !says(&effects, "Offence"), "{effects:?}");
}

#[test]
fn a_stranger_and_a_reader_store_nothing() {
    let (mut mesh, space, _) = scene(4);
    let before = rows(&mesh, 0, Table::Incarnations);
    let stranger = Rogue::new(Identity::from_seed(&[99; 32]), space, epoch(), 1, statements(&mesh.nodes[0]));
    let change = stranger.change(1, 1, &[], vec![put("x", 1)]);
    let effects = mesh.gossip(0, stranger.key(), stranger.topic(), &stranger.payload("doc", &[&change]));
    assert!(says(&effects, "verdict: Reject") && says(&effects, "not_allowed"), "{effects:?}");
    assert_eq!(rows(&mesh, 0, Table::Incarnations), before);
    // A reader joins, and writes as if it could.
    let ticket = mesh.invite(0, space, Role::Reader);
    let reader = Identity::from_seed(&[98; 32]);
    let label = starling_crdt::charter::Label::new("reader").unwrap();
    let request = starling_crdt::charter::JoinRequest::new(&ticket, &reader, label);
    let asked = starling_crdt::exchange::Request::Join(starling_crdt::codec::encode(&request).into());
    let effects = mesh.ask_node(0, reader.key(), 1, asked);
    assert!(says(&effects, "Answer"), "{effects:?}");
    let reader = Rogue::new(reader, space, epoch(), 1, statements(&mesh.nodes[0]));
    let change = reader.change(1, 1, &[], vec![put("x", 1)]);
    let effects = mesh.gossip(0, reader.key(), reader.topic(), &reader.payload("doc", &[&change]));
    assert!(says(&effects, "verdict: Reject") && says(&effects, "not_allowed"), "{effects:?}");
    assert_eq!(mesh.document(0, space, "doc"), None);
}

#[test]
fn a_second_change_with_a_known_number_is_proven_and_the_first_stays() {
    let (mut mesh, space, rogue) = scene(5);
    let (one, two) =
        (rogue.change(1, 1, &[], vec![put("x", "first")]), rogue.change(1, 1, &[], vec![put("x", "second")]));
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&one]));
    let relay = mesh.nodes[1].key;
    let effects = mesh.gossip(0, relay, rogue.topic(), &rogue.payload("doc", &[&two]));
    // An honest relay may have seen the second one first: its author pays, and nobody else.
    assert!(says(&effects, "verdict: Ignore"), "{effects:?}");
    assert!(says(&effects, "Fork {") && says(&effects, "Forks"), "{effects:?}");
    assert!(says(&effects, &format!("Offence {{ peer: {:?}, offence: Equivocation", rogue.key())));
    assert!(!says(&effects, &format!("Offence {{ peer: {relay:?}")), "{effects:?}");
    assert_eq!(rows(&mesh, 0, Table::Forks), 1);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"x":"first"}"#);
    // The same again stores nothing more.
    mesh.gossip(0, relay, rogue.topic(), &rogue.payload("doc", &[&two]));
    assert_eq!(rows(&mesh, 0, Table::Forks), 1);
    mesh.restart(0);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"x":"first"}"#);
}

#[test]
fn two_nodes_that_saw_different_sides_of_a_fork_prove_it_to_each_other() {
    let (mut mesh, space, rogue) = scene(6);
    mesh.partition(&[0], &[1, 2]);
    mesh.run(seconds(1));
    for (node, text) in [(0, "left"), (1, "right")] {
        let change = rogue.change(1, 1, &[], vec![put("x", text)]);
        mesh.gossip(node, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&change]));
    }
    mesh.heal();
    mesh.run(seconds(60));
    assert_eq!((rows(&mesh, 0, Table::Forks), rows(&mesh, 1, Table::Forks)), (1, 1));
    mesh.put(0, space, "other", r#"{"still": "alive"}"#);
    mesh.run(seconds(5));
    assert_eq!(mesh.document(1, space, "other"), mesh.document(0, space, "other"));
}

/// How often a node counted bytes of deltas that it fetched.
fn fetches(mesh: &Mesh, node: usize) -> usize {
    mesh.nodes[node].effects.iter().filter(|effect| effect.contains("FetchedBytes")).count()
}

#[test]
fn the_two_sides_of_a_proven_fork_do_not_fetch_each_others_runs_for_ever() {
    let (mut mesh, space, rogue) = scene(61);
    mesh.partition(&[0], &[1, 2]);
    mesh.run(seconds(1));
    for (node, text, length) in [(0, "left", 2), (1, "right", 4)] {
        let mut last: Vec<ChangeHash> = vec![];
        for seq in 1..=length {
            let change = rogue.change(seq, seq, &last, vec![put(&format!("{text}{seq}"), 1)]);
            mesh.gossip(node, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&change]));
            last = vec![change.hash];
        }
    }
    mesh.heal();
    mesh.run(seconds(120));
    assert_eq!(rows(&mesh, 0, Table::Forks), 1);
    let before = [fetches(&mesh, 0), fetches(&mesh, 1)];
    mesh.run(seconds(240));
    let after = [fetches(&mesh, 0), fetches(&mesh, 1)];
    assert_eq!(after, before, "nothing was written, so nothing is fetched");
    // What is no part of the fork is fetched as ever, also from the peer whose run was refused.
    mesh.gossip_loss = 100;
    mesh.put(1, space, "later", r#"{"still": "fetched"}"#);
    mesh.run(seconds(60));
    assert_eq!(mesh.document(0, space, "later"), mesh.document(1, space, "later"));
    assert!(fetches(&mesh, 0) > before[0]);
}

#[test]
fn the_shorter_side_of_a_fork_finds_its_proof() {
    for (left, right) in [(1, 3), (3, 1), (2, 3)] {
        let (mut mesh, space, rogue) = scene(60);
        mesh.partition(&[0], &[1, 2]);
        mesh.run(seconds(1));
        for (node, text, length) in [(0, "left", left), (1, "right", right)] {
            let mut last: Vec<ChangeHash> = vec![];
            for seq in 1..=length {
                let change = rogue.change(seq, seq, &last, vec![put(&format!("{text}{seq}"), 1)]);
                mesh.gossip(node, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&change]));
                last = vec![change.hash];
            }
        }
        mesh.heal();
        mesh.run(seconds(120));
        let shorter = usize::from(right < left);
        assert_eq!(rows(&mesh, shorter, Table::Forks), 1, "{left} and {right} changes");
        assert!(mesh.orphans(0) + mesh.orphans(1) <= 2, "what rests on the other side piles up");
        assert!(mesh.linked(0, 1), "honest nodes stay together");
        mesh.put(0, space, "other", "{}");
        mesh.run(seconds(5));
        assert_eq!(mesh.document(1, space, "other"), mesh.document(0, space, "other"));
    }
}

#[test]
fn a_dependency_that_never_comes_waits_within_bounds_and_is_asked_for() {
    let (mut mesh, space, rogue) = scene(7);
    let lost = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let waits = rogue.change(2, 2, &[lost.hash], vec![put("x", 2)]);
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&waits]));
    assert!(says(&effects, "verdict: Ignore") && says(&effects, "Orphaned"), "{effects:?}");
    assert!(!says(&effects, "Offence"), "{effects:?}");
    let before = mesh.nodes[0].effects.len();
    mesh.run(seconds(1));
    assert!(says(&mesh.nodes[0].effects[before..], "Exchanges"), "the sender is asked");
    assert_eq!((mesh.orphans(0), mesh.document(0, space, "doc")), (1, None));
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&lost]));
    assert_eq!(mesh.orphans(0), 0);
    assert_eq!(mesh.nodes[0].reader.document(space, &"doc".parse().unwrap()).unwrap().changes, 2);
}

#[test]
fn a_flood_of_orphans_from_one_peer_makes_room_among_its_own() {
    let (mut mesh, space, rogue) = scene(8);
    let other = Rogue::of(&mesh.nodes[1], space, 78);
    let kept = other.change(2, 2, &[ChangeHash([1; 32])], vec![put("x", 1)]);
    mesh.gossip(0, other.key(), other.topic(), &other.payload("kept", &[&kept]));
    let text = "y".repeat(40_000);
    let mut dropped = false;
    for number in 0..80_u64 {
        let missing = ChangeHash([number as u8; 32]);
        let change = rogue.change(2, 2, &[missing], vec![put("x", text.as_str())]);
        let effects =
            mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload(&format!("d{number}"), &[&change]));
        dropped |= says(&effects, "OrphansDropped");
    }
    assert!(dropped);
    assert!(mesh.orphans(0) < 60, "{}", mesh.orphans(0));
    // What waits for another peer's change is still there.
    let first = make(other.actor(), 1, 1, &[], vec![put("x", 0)]);
    let fits = other.change(2, 2, &[first.hash], vec![put("x", 1)]);
    mesh.gossip(0, other.key(), other.topic(), &other.payload("kept", &[&fits]));
    let held = mesh.orphans(0);
    mesh.gossip(0, other.key(), other.topic(), &other.payload("kept", &[&first]));
    assert_eq!(mesh.orphans(0), held - 1);
    assert_eq!(mesh.document(0, space, "kept").unwrap().0, r#"{"x":1}"#);
}

/// A delta of three changes, the last of which rests on `missing` as well.
fn half_admissible(rogue: &Rogue, missing: &Made) -> [Made; 3] {
    let one = rogue.change(1, 1, &[], vec![put("a", 1)]);
    let two = rogue.change(2, 2, &[one.hash], vec![put("b", 2)]);
    let three = rogue.change(3, 3, &[two.hash, missing.hash], vec![put("c", 3)]);
    [one, two, three]
}

#[test]
fn the_rest_of_a_delta_follows_when_what_it_rests_on_comes() {
    for (restart, keep) in [(false, true), (true, true), (true, false)] {
        let (mut mesh, space, rogue) = scene(9);
        let other = Rogue::of(&mesh.nodes[1], space, 79);
        let missing = other.change(1, 1, &[], vec![put("m", 0)]);
        let [one, two, three] = half_admissible(&rogue, &missing);
        // Nobody else hears of it, so that repair cannot bring what the store should have.
        mesh.partition(&[0], &[1, 2]);
        mesh.run(seconds(1));
        let payload = rogue.payload("doc", &[&one, &two, &three]);
        let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &payload);
        assert!(says(&effects, "verdict: Ignore") && !says(&effects, "Offence"), "{effects:?}");
        assert_eq!(mesh.document(0, space, "doc").unwrap().0, r#"{"a":1,"b":2}"#);
        if restart {
            mesh.restart(0);
        }
        if keep {
            mesh.gossip(0, other.key(), other.topic(), &other.payload("doc", &[&missing]));
        } else {
            // The write loads the document's history, which finds the rest waiting.
            mesh.put(0, space, "doc", r#"{"a":1,"b":2,"w":1}"#);
            assert_eq!(mesh.orphans(0), 1);
            mesh.gossip(0, other.key(), other.topic(), &other.payload("doc", &[&missing]));
        }
        let text = mesh.document(0, space, "doc").unwrap().0;
        assert!(text.contains(r#""c":3"#), "restart {restart}: {text}");
        assert_eq!(mesh.orphans(0), 0);
        mesh.heal();
        mesh.run(seconds(60));
        mesh.assert_converged(space);
    }
}

#[test]
fn an_author_that_contradicts_the_waiting_end_of_its_delta_harms_nobody_else() {
    let (mut mesh, space, rogue) = scene(10);
    let other = Rogue::of(&mesh.nodes[1], space, 80);
    let missing = other.change(1, 1, &[], vec![put("m", 0)]);
    let [one, two, three] = half_admissible(&rogue, &missing);
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&one, &two, &three]));
    let instead = rogue.change(3, 3, &[two.hash], vec![put("c", "instead")]);
    let effects = mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&instead]));
    assert!(says(&effects, "verdict: Accept"), "{effects:?}");
    let shown = r#"{"a":1,"b":2,"c":"instead"}"#;
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, shown);
    mesh.restart(0);
    assert_eq!(mesh.document(0, space, "doc").unwrap().0, shown);
    // The document can be written, and is served to others.
    mesh.put(0, space, "doc", r#"{"a":1,"b":2,"c":"instead","d":4}"#);
    mesh.connect_all();
    mesh.run(seconds(60));
    assert_eq!(mesh.document(1, space, "doc"), mesh.document(0, space, "doc"));
    mesh.gossip(0, other.key(), other.topic(), &other.payload("doc", &[&missing]));
    assert_eq!(rows(&mesh, 0, Table::Forks), 1, "what waited is the proof of a fork now");
    mesh.run(seconds(60));
    mesh.assert_converged(space);
}

#[test]
fn honest_nodes_do_not_blame_each_other_for_a_delta_with_a_bad_end() {
    let (mut mesh, space, rogue) = scene(11);
    let one = rogue.change(1, 1, &[], vec![put("a", 1)]);
    let bad = rogue.change(2, 50, &[one.hash], vec![put("b", 2)]);
    for number in 0..12 {
        let payload = rogue.payload(&format!("doc{number}"), &[&one, &bad]);
        mesh.gossip(0, rogue.key(), rogue.topic(), &payload);
    }
    assert_eq!(mesh.document(0, space, "doc0").unwrap().0, r#"{"a":1}"#);
    mesh.run(seconds(90));
    assert_eq!(mesh.document(1, space, "doc0"), mesh.document(0, space, "doc0"));
    let blamed = format!("Offence {{ peer: {:?}", mesh.nodes[0].key);
    assert!(!says(&mesh.nodes[1].effects, &blamed), "node 1 blames node 0 for what the author did");
    assert!(mesh.linked(0, 1));
}

#[test]
fn an_incarnation_that_cites_an_unknown_statement_waits_for_it() {
    let (mut mesh, space, _) = scene(12);
    mesh.partition(&[0, 1], &[2]);
    mesh.run(seconds(1));
    // Node 0 alone learns a statement; node 1 hears of work that cites it before hearing of it.
    mesh.partition(&[0], &[1]);
    mesh.run(seconds(1));
    mesh.invite(0, space, Role::Reader);
    let rogue = Rogue::of(&mesh.nodes[0], space, 81);
    let change = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let effects = mesh.gossip(1, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&change]));
    assert!(says(&effects, "verdict: Ignore") && !says(&effects, "Offence"), "{effects:?}");
    assert_eq!((mesh.orphans(1), mesh.document(1, space, "doc")), (1, None));
    mesh.heal();
    mesh.run(seconds(30));
    assert_eq!(mesh.orphans(1), 0);
    assert_eq!(mesh.document(1, space, "doc").unwrap().0, r#"{"x":1}"#);
    // One that nobody knows changes nothing for anybody.
    let lost = Rogue::new(mesh.nodes[0].identity(), space, epoch(), 82, vec![StatementId([9; 32])]);
    let change = lost.change(1, 1, &[], vec![put("x", 1)]);
    mesh.gossip(1, lost.key(), lost.topic(), &lost.payload("lost", &[&change]));
    mesh.run(seconds(60));
    assert_eq!(mesh.document(1, space, "lost"), None);
    assert_eq!(rows(&mesh, 1, Table::Quarantine), 0);
}

/// What a node keeps out of the view of a document, and why.
fn quarantine(mesh: &Mesh, node: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let start = SpaceIndex(0).all();
    let range = KeyRange { start: std::ops::Bound::Included(&start), end: std::ops::Bound::Unbounded };
    mesh.nodes[node].store().rows(Table::Quarantine, range, 1_000).unwrap()
}

#[test]
fn poison_is_kept_out_with_the_same_reason_everywhere_and_the_rest_lives() {
    let (mut mesh, space, rogue) = scene(13);
    let other = Rogue::of(&mesh.nodes[1], space, 83);
    let one = rogue.change(1, 1, &[], vec![put("a", 1)]);
    let bad = rogue.change(2, 2, &[one.hash], vec![poison(rogue.actor())]);
    let after = rogue.change(3, 3, &[bad.hash], vec![put("after", 1)]);
    let rests = other.change(1, 3, &[bad.hash], vec![put("rests", 1)]);
    let good = other.change(2, 4, &[rests.hash], vec![put("later", 1)]);
    let payloads = [
        rogue.payload("doc", &[&one]),
        rogue.payload("doc", &[&bad]),
        rogue.payload("doc", &[&after]),
        other.payload("doc", &[&rests]),
        other.payload("doc", &[&good]),
    ];
    mesh.partition(&[0], &[1, 2]);
    mesh.partition(&[1], &[2]);
    mesh.run(seconds(1));
    // Three nodes, three orders, looked at at different times.
    for (node, order) in [(0, [0, 1, 2, 3, 4]), (1, [4, 3, 2, 1, 0]), (2, [0, 1, 3, 2, 4])] {
        for (count, place) in order.into_iter().enumerate() {
            mesh.gossip(node, rogue.key(), rogue.topic(), &payloads[place]);
            if count > node {
                let edit = r#"{"a": 1, "own": true}"#;
                mesh.put(node, space, &format!("other{node}"), edit);
                // Whoever builds the document tells the replica what cannot be applied.
                let name = "doc".parse().unwrap();
                let seen = mesh.nodes[node].reader.view(space, &name, |_, _| ());
                if let Ok(((), poison)) = seen
                    && !poison.is_empty()
                {
                    let document = name.clone();
                    mesh.request(node, LocalRequest::Quarantine { space, document, poison }).unwrap();
                }
            }
        }
        assert_eq!(mesh.document(node, space, "doc").unwrap().0, r#"{"a":1}"#, "node {node}");
    }
    mesh.heal();
    mesh.run(seconds(60));
    mesh.assert_converged(space);
    assert_eq!(quarantine(&mesh, 0).len(), 4);
    assert_eq!(quarantine(&mesh, 0), quarantine(&mesh, 1));
    assert_eq!(quarantine(&mesh, 0), quarantine(&mesh, 2));
    // The document lives on, in memory and after a restart.
    mesh.put(0, space, "doc", r#"{"a": 1, "b": 2}"#);
    mesh.restart(2);
    mesh.connect_all();
    mesh.run(seconds(60));
    mesh.assert_converged(space);
    assert_eq!(mesh.document(2, space, "doc").unwrap().0, r#"{"a":1,"b":2}"#);
}

#[test]
fn poison_leaves_the_heads_of_a_node_that_nobody_reads_at_once_it_rests() {
    let (mut mesh, space, rogue) = scene(16);
    let one = rogue.change(1, 1, &[], vec![put("a", 1)]);
    let bad = rogue.change(2, 2, &[one.hash], vec![poison(rogue.actor())]);
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("doc", &[&one, &bad]));
    mesh.run(seconds(1));
    let heads = |mesh: &Mesh, node: usize| {
        let listed = mesh.nodes[node].reader.list(space, "doc", None, 10, false).unwrap();
        listed.documents[0].1.heads.clone()
    };
    assert_eq!((0..3).map(|node| heads(&mesh, node)).collect::<Vec<_>>(), vec![vec![bad.hash]; 3]);
    // One of them forgets what it meant to look at.
    mesh.restart(2);
    mesh.connect_all();
    mesh.run(seconds(10));
    assert_eq!((0..3).map(|node| heads(&mesh, node)).collect::<Vec<_>>(), vec![vec![one.hash]; 3]);
    assert_eq!((0..3).map(|node| quarantine(&mesh, node).len()).collect::<Vec<_>>(), [1; 3]);
    // What was looked at and found sound is not kept built for its own sake.
    let views = mesh.nodes[1].replica.memory().views;
    mesh.put(0, space, "sound", r#"{"a": 1}"#);
    mesh.run(seconds(10));
    assert_eq!(mesh.nodes[1].replica.memory().views, views);
}

#[test]
fn a_document_of_poison_alone_does_not_exist() {
    let (mut mesh, space, rogue) = scene(14);
    let bad = rogue.change(1, 1, &[], vec![poison(rogue.actor())]);
    mesh.gossip(0, rogue.key(), rogue.topic(), &rogue.payload("bad", &[&bad]));
    let name: starling_crdt::id::DocumentName = "bad".parse().unwrap();
    let ((), poison) = mesh.nodes[0].reader.view(space, &name, |_, _| ()).unwrap();
    assert_eq!(poison.len(), 1);
    mesh.request(0, LocalRequest::Quarantine { space, document: name, poison }).unwrap();
    assert_eq!(mesh.document(0, space, "bad"), None);
    let listed = mesh.nodes[0].reader.list(space, "", None, 10, false).unwrap();
    assert_eq!(listed.documents.len(), 1, "only the good one");
    let written = mesh.put(0, space, "bad", r#"{"now": "good"}"#);
    assert!(written.created);
    assert_eq!(mesh.document(0, space, "bad").unwrap().0, r#"{"now":"good"}"#);
}

#[test]
fn one_bad_delta_does_not_block_its_batch() {
    let (mut mesh, space, rogue) = scene(15);
    let node = mesh.nodes[1].key;
    let mut deltas = Vec::new();
    for number in 0..10 {
        let change = rogue.change(1, 1, &[], vec![put("x", number)]);
        let mut delta = rogue.delta(&format!("d{number}"), &[&change]);
        if number % 3 == 1 {
            delta.signature = no_signature();
        }
        deltas.push(ByteVec::from(starling_crdt::codec::encode(&delta)));
    }
    deltas.insert(3, ByteVec::from(vec![0xff; 9]));
    let screener = mesh.nodes[0].replica.screener();
    let answer = starling_crdt::exchange::Response::Deltas {
        incarnations: vec![rogue.incarnation.certificate().clone()],
        deltas,
        more: false,
    };
    let screened = screener.screen_answer(&starling_crdt::exchange::encode_message(&answer));
    let starling_crdt::gossip::ScreenedAnswer::Deltas { deltas, .. } = screened else { panic!() };
    let malformed = deltas.iter().filter(|delta| {
        matches!(
            delta,
            starling_crdt::gossip::ScreenedDelta::Refused(starling_crdt::gossip::Refused::Delta(
                DeltaRefused::Codec(_)
            ))
        )
    });
    assert_eq!(malformed.count(), 1);
    for (place, frame) in deltas.into_iter().enumerate() {
        let frame = starling_crdt::gossip::ScreenedFrame::Delta(frame);
        let token = starling_crdt::replica::MessageToken(900_000 + place as u64);
        let input = starling_crdt::replica::Input::Gossip { from: node, token, space: Some(space), frame };
        mesh.give(0, input);
    }
    assert_eq!(mesh.contents(0, space).len(), 1 + 7);
}
