use starling_crdt::{
    charter::{Admitted, Member},
    id::{AuthorKey, Position, SpaceId, StoreId},
    time::WallTime,
};

use super::*;

fn member(number: u8, name: &str) -> MemberReport {
    MemberReport {
        member: Member {
            key: AuthorKey([number; 32]),
            name: None,
            rights: Vec::new(),
            admitted: Admitted::Founder,
            since: WallTime(0),
        },
        name: Some(name.to_owned()),
        this_node: false,
        state: Some(State::Alive),
        since: Some(Duration::from_secs(3_600)),
        reason: None,
        last_word: Some(LastWord {
            age: Duration::from_secs(11),
            name: name.to_owned(),
            version: "1".to_owned(),
            addresses: Vec::new(),
            documents: 5,
            changes: 7,
            own_documents: 5,
            own_changes: 7,
            in_sync: true,
        }),
        connected: true,
        round_trip: None,
        clock_offset_ms: Some(3),
    }
}

fn space(members: Vec<MemberReport>) -> SpacePicture {
    let membership = Some(member(1, "own").member);
    let report = SpaceReport {
        id: SpaceId([1; 32]),
        name: "shop".to_owned(),
        created: WallTime(0),
        founders: Vec::new(),
        membership,
        join_refused: None,
        members: members.len(),
        documents: 5,
        changes: 7,
        bytes: 700,
        bytes_max: None,
        fingerprint: 0,
        large: BTreeMap::new(),
    };
    SpacePicture { report, members, kept_out: KeptOutCounts::default(), large: BTreeMap::new() }
}

fn picture(spaces: Vec<SpacePicture>) -> Picture {
    let status = Status {
        key: AuthorKey([1; 32]),
        name: "own".to_owned(),
        addresses: Vec::new(),
        spaces: Vec::new(),
        peers: 1,
        position: Position { store: StoreId([1; 16]), commit: 1 },
        orphans: 0,
        built: Built::default(),
        has_twin: false,
    };
    Picture {
        status,
        spaces,
        room: Some(ROOM_LOW_BYTES),
        store_fault: None,
        busy: None,
        documents_short: None,
        built: Built { bytes: 3 << 20, ..Built::default() },
        version: "1",
    }
}

/// The codes and what they say.
fn told(picture: &Picture) -> Vec<(String, String)> {
    picture.warnings().into_iter().map(|told| (told.code, told.message)).collect()
}

fn codes(picture: &Picture) -> Vec<String> {
    told(picture).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_node_that_is_well_warns_of_nothing() {
    assert_eq!(codes(&picture(vec![space(vec![member(2, "ship")])])), Vec::<String>::new());
    assert_eq!(codes(&picture(Vec::new())), Vec::<String>::new());
}

#[test]
fn room_is_warned_of_in_time_and_more_urgently_at_the_end() {
    let code = |room| codes(&Picture { room, ..picture(Vec::new()) });
    assert_eq!(code(Some(ROOM_LOW_BYTES - 1)), ["low-room"]);
    assert_eq!(code(Some(ROOM_OUT_BYTES)), ["low-room"]);
    assert_eq!(code(Some(0)), ["no-room"]);
    assert_eq!(code(None), Vec::<String>::new());
    let room = Some(100 * 1024 * 1024);
    assert!(told(&Picture { room, ..picture(Vec::new()) })[0].1.starts_with("100 MiB"));
}

#[test]
fn a_quota_is_warned_of_at_nine_tenths_and_when_it_is_used_up() {
    let mut filling = picture(vec![space(vec![member(2, "ship")])]);
    let mut told_at = |bytes| {
        (filling.spaces[0].report.bytes, filling.spaces[0].report.bytes_max) = (bytes, Some(10 << 20));
        told(&filling)
    };
    assert_eq!(told_at(9 * (1 << 20) - 1), []);
    assert_eq!(told_at(9 << 20)[0].0, "space-filling");
    let full = ("space-full", "\"shop\" holds 11.0 MiB of changes, and this node keeps 10.0");
    assert_eq!(told_at(11 << 20), [(full.0.to_owned(), full.1.to_owned())]);
}

#[test]
fn a_bound_that_was_reached_is_told_for_a_while() {
    let refused = |ago| {
        let busy = Some((ago, "256 watches are open already".to_owned()));
        told(&Picture { busy, ..picture(Vec::new()) })
    };
    let said = "a request was refused 12 s ago: 256 watches are open already".to_owned();
    assert_eq!(refused(Duration::from_secs(12)), [("busy".to_owned(), said)]);
    assert_eq!(refused(TOLD_FOR + Duration::from_millis(1)), []);
}

#[test]
fn documents_that_memory_is_too_small_for_are_told_of_for_a_while() {
    let short = |ago| told(&Picture { documents_short: Some(ago), ..picture(Vec::new()) });
    let (code, said) = short(Duration::from_secs(1)).remove(0);
    assert!(code == "documents-memory" && said.ends_with("3.0 MiB are built now"), "{said}");
    assert_eq!(short(TOLD_FOR + Duration::from_millis(1)), []);
}

#[test]
fn large_documents_are_named_the_largest_first() {
    let name = |text: &str| DocumentName::new(text).expect("a sound name");
    let mut crowded = picture(vec![space(vec![member(2, "ship")])]);
    crowded.spaces[0].large = [("b", 5_001), ("a b'c", 7_000), ("c", 6_000), ("d", 5_500)]
        .map(|(text, objects)| (name(text), objects))
        .into();
    let said = "of \"shop\" have more than 5000 maps, lists and texts: \"a b'c\" (7000), \"c\" (6000), \"d\" (5500) and 1 more";
    assert_eq!(told(&crowded), [("large-document".to_owned(), said.to_owned())]);
    assert_eq!(
        crowded.warnings()[0].command,
        "starling history 'a b'\\''c'",
        "for a shell, whatever its name"
    );
}

#[test]
fn a_twin_is_warned_of_before_what_follows_from_it() {
    let mut twin = picture(vec![space(vec![member(1, "own"), member(2, "ship")])]);
    (twin.status.has_twin, twin.status.peers) = (true, 0);
    assert_eq!(codes(&twin), ["same-identity", "no-peers"]);
    assert!(told(&twin)[0].1.contains("stop all but one"), "{:?}", told(&twin));
}

#[test]
fn a_fault_of_the_store_is_told_for_a_while() {
    let fault = |ago| codes(&Picture { store_fault: Some(ago), ..picture(Vec::new()) });
    assert_eq!(fault(TOLD_FOR), ["store-fault"]);
    assert_eq!(fault(TOLD_FOR + Duration::from_millis(1)), Vec::<String>::new());
}

#[test]
fn a_node_without_peers_is_warned_of_where_others_belong() {
    let mut alone = picture(vec![space(vec![member(1, "own"), member(2, "ship")])]);
    alone.status.peers = 0;
    assert_eq!(codes(&alone), ["no-peers"]);
    alone.spaces[0].report.members = 1;
    assert_eq!(codes(&alone), Vec::<String>::new());
}

#[test]
fn a_join_that_waits_says_why() {
    let mut waits = picture(vec![space(Vec::new())]);
    waits.spaces[0].report.membership = None;
    assert!(told(&waits)[0].1.ends_with("no member could be reached yet"));
    waits.spaces[0].report.join_refused = Some("the invite is used up".to_owned());
    assert_eq!(
        told(&waits)[0].1,
        "this node is not yet a member of \"shop\": the last member asked refused: the invite is used up"
    );
}

#[test]
fn evidence_is_told_the_gravest_first() {
    let mut found = picture(vec![space(vec![member(2, "ship")])]);
    found.spaces[0].kept_out = KeptOutCounts { quarantined: 1_000, diverged: 1, forks: 1 };
    let told = told(&found);
    assert_eq!(
        told.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(),
        ["diverged", "fork", "quarantine"]
    );
    assert_eq!(told[1].1, "1 fork of authors in \"shop\" proven");
    found.spaces[0].kept_out = KeptOutCounts { quarantined: 2, diverged: 2, forks: 0 };
    assert_eq!(codes(&found), ["diverged"]);
}

#[test]
fn a_node_is_behind_whoever_said_long_enough_ago_that_it_holds_more() {
    let behind = |age: u64, changes: u64, state| {
        let mut ship = member(2, "ship");
        ship.state = Some(state);
        let word = ship.last_word.as_mut().expect("a word");
        (word.age, word.changes) = (Duration::from_secs(age), changes);
        picture(vec![space(vec![ship, member(3, "dock")])])
    };
    let warned = behind(10, 9, State::Alive).warnings();
    assert_eq!((warned[0].code.as_str(), warned[0].command.as_str()), ("behind", "starling compare ship"));
    assert!(warned[0].message.starts_with("ship said 10 s ago that it holds 2 changes of \"shop\" more"));
    assert_eq!(codes(&behind(9, 9, State::Alive)), Vec::<String>::new(), "it may be under way");
    assert_eq!(codes(&behind(60, 7, State::Alive)), Vec::<String>::new());
    assert_eq!(codes(&behind(60, 9, State::Suspect)), Vec::<String>::new(), "nobody to catch up from");
}

#[test]
fn members_that_are_away_for_long_are_named_a_few_of_them() {
    let away = |number, minutes: u64| MemberReport {
        state: Some(State::Away),
        since: Some(Duration::from_secs(60 * minutes)),
        ..member(number, &format!("m{number}"))
    };
    let long = picture(vec![space((1..=5).map(|number| away(number, 6)).collect())]);
    assert_eq!(told(&long)[0].1, "5 of 5 members of \"shop\" are away: m1, m2, m3 and 2 more");
    let short = picture(vec![space(vec![away(1, 4)])]);
    assert_eq!(codes(&short), Vec::<String>::new());
}

#[test]
fn clocks_and_versions_that_differ_are_named() {
    let mut ship = member(2, "ship");
    ship.clock_offset_ms = Some(-90_000);
    ship.last_word.as_mut().expect("a word").version = "0.9".to_owned();
    let found = told(&picture(vec![space(vec![ship, member(3, "dock")])]));
    assert_eq!(
        found[0],
        ("clock".to_owned(), "the clock of ship is 1 min 30 s behind this node's".to_owned())
    );
    assert_eq!(found[1].1, "this node runs 1, in \"shop\" others run: ship 0.9");
}
