//! Peers that lie in exchanges, or say nothing: what they cost, and that the rest goes on.

mod draws;
mod mesh;

use std::time::Duration;

use mesh::Mesh;
use mesh::rogue::{Rogue, put};
use minicbor::bytes::ByteVec;
use starling_crdt::budget::{REFUSALS, REQUESTS};
use starling_crdt::codec::encode;
use starling_crdt::exchange::{
    Greeting, OfferedItem, RangeAnswer, RangeFingerprint, RefusalCode, Request, Response, Tiles, Want,
    decode_message, encode_message,
};
use starling_crdt::history::ItemKey;
use starling_crdt::id::{AuthorKey, SpaceId};
use starling_crdt::replica::{Input, LocalRequest, Reply};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Two honest nodes and a member that is about to lie.
fn scene(seed: u64) -> (Mesh, SpaceId, Rogue) {
    let mut mesh = Mesh::new(3, seed);
    let space = mesh.shared_space();
    for number in 0..40 {
        mesh.put(0, space, &format!("d/{number}"), r#"{"a": 1}"#);
    }
    mesh.run(seconds(2));
    let rogue = Rogue::of(&mesh.nodes[2], space, 90);
    mesh.partition(&[0, 1], &[2]);
    mesh.run(seconds(1));
    (mesh, space, rogue)
}

/// A greeting that differs in everything from the node's own.
fn greeting(asker: AuthorKey, asked: AuthorKey, space: SpaceId) -> Greeting {
    let hash = starling_crdt::codec::Signable::new("starling/greeting")
        .bytes(&space.0)
        .bytes(&asker.0)
        .bytes(&asked.0)
        .hash();
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash[..16]);
    Greeting { tag, statements: [1; 8], items: 12_345 }
}

/// Lets the rogue answer with `lie`, and checks that node 0 stays modest and the others converge.
fn lies(
    seed: u64,
    most_questions: usize,
    mut lie: impl FnMut(&Request, &Rogue) -> Option<Response> + 'static,
) {
    let (mut mesh, space, rogue) = scene(seed);
    let (key, honest) = (rogue.key(), mesh.nodes[0].key);
    mesh.rogue_up(
        0,
        key,
        Box::new(move |request| {
            let request = request.expect("the node asks what can be read");
            let answer = match (&request, lie(&request, &rogue)) {
                (_, Some(answer)) => Some(answer),
                (Request::Hello(_), None) => Some(Response::Hello(vec![greeting(key, honest, space)])),
                (_, None) => None,
            };
            answer.as_ref().map(encode_message)
        }),
    );
    for number in 0..60 {
        mesh.put(number % 2, space, &format!("d/{}", number % 9), &format!(r#"{{"n": {number}}}"#));
        mesh.run(seconds(1));
    }
    mesh.run(seconds(30));
    let asked = mesh.asked_rogues[&key];
    assert!(asked >= 1 && asked <= most_questions, "asked {asked} times");
    assert_eq!(mesh.contents(0, space), mesh.contents(1, space));
    assert_eq!(mesh.contents(0, space).len(), 40);
    match mesh.request(0, LocalRequest::Status) {
        Ok(Reply::Status(status)) => assert_eq!(status.orphans, 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_never_answers_costs_its_own_dialogue() {
    lies(1, 60, |_, _| None);
}

#[test]
fn a_peer_that_is_always_busy_is_asked_seldom() {
    lies(2, 1_000, |_, _| Some(Response::Busy { retry_after_ms: 0 }));
    lies(3, 10, |_, _| Some(Response::Busy { retry_after_ms: u32::MAX }));
}

#[test]
fn a_peer_that_promises_more_for_ever_is_not_believed() {
    lies(4, 200, |request, _| match request {
        Request::Statements { .. } => {
            Some(Response::Statements { statements: vec![], lacking: vec![], more: true, tips: vec![] })
        }
        Request::Reconcile { ranges, .. } => {
            let item = |byte: u8| OfferedItem { key: ItemKey([byte; 16]), seq: 1 << 40, hash: [1; 8] };
            let items = || Some(RangeAnswer::Items((0..16).map(item).collect()));
            Some(Response::Ranges(ranges.ranges().iter().map(|_| items()).collect()))
        }
        Request::Fetch { .. } => Some(Response::Deltas { incarnations: vec![], deltas: vec![], more: true }),
        Request::Offer { .. } | Request::TakeStatements { .. } => Some(Response::Done),
        _ => None,
    });
}

fn part(start: ItemKey, end: Option<ItemKey>) -> RangeFingerprint {
    RangeFingerprint { start, end, fingerprint: 99 }
}

#[test]
fn parts_that_do_not_tile_lead_nowhere() {
    let mut turn = 0;
    lies(5, 3_000, move |request, _| match request {
        Request::Statements { .. } => {
            Some(Response::Statements { statements: vec![], lacking: vec![], more: false, tips: vec![] })
        }
        Request::Reconcile { ranges, .. } => {
            let parts = |range: &RangeFingerprint| {
                let lies = [
                    // Beginning before the range or with it, ending behind it, beside a gap, and all of it again.
                    Tiles::of(&[part(ItemKey::LOWEST, Some(range.start)), part(range.start, range.end)]),
                    Tiles::of(&[
                        part(ItemKey::LOWEST, Some(ItemKey([255; 16]))),
                        part(ItemKey([255; 16]), None),
                    ]),
                    Tiles::of(&[part(range.start, range.end)]),
                    Tiles::of(&[part(ItemKey::LOWEST, None)]),
                ];
                let possible: Vec<Tiles> = lies.into_iter().flatten().collect();
                turn += 1;
                possible.into_iter().cycle().nth(turn % 4).map(RangeAnswer::Parts)
            };
            Some(Response::Ranges(ranges.ranges().iter().map(parts).collect()))
        }
        _ => None,
    });
}

#[test]
fn parts_that_always_differ_end_after_bounded_rounds() {
    lies(6, 3_000, |request, _| match request {
        Request::Statements { .. } => {
            Some(Response::Statements { statements: vec![], lacking: vec![], more: false, tips: vec![] })
        }
        Request::Reconcile { ranges, .. } => {
            let halves = |range: &RangeFingerprint| {
                let low = u128::from_be_bytes(range.start.0);
                let high = range.end.map_or(u128::MAX, |end| u128::from_be_bytes(end.0));
                let middle = ItemKey((low + (high - low) / 2).to_be_bytes());
                let parts = Tiles::of(&[part(ItemKey::LOWEST, Some(middle)), part(middle, None)]);
                parts.map(RangeAnswer::Parts)
            };
            Some(Response::Ranges(ranges.ranges().iter().map(halves).collect()))
        }
        _ => None,
    });
}

#[test]
fn answers_of_another_question_are_an_offence() {
    let (mut mesh, _, rogue) = scene(7);
    mesh.rogue_up(0, rogue.key(), Box::new(|_| Some(encode_message(&Response::Done))));
    mesh.run(seconds(5));
    assert!(mesh.nodes[0].effects.iter().any(|effect| effect.contains("unexpected_answer")));
}

#[test]
fn newer_answers_and_kinds_are_nobodys_offence() {
    for answer in [
        [encode(&7_u32), encode(&Response::Done)].concat(),
        [encode(&0_u32), vec![0x82, 0x18, 99, 0x80]].concat(),
    ] {
        let (mut mesh, _, rogue) = scene(8);
        let before = mesh.nodes[0].effects.len();
        mesh.rogue_up(0, rogue.key(), Box::new(move |_| Some(answer.clone())));
        mesh.run(seconds(5));
        let effects = &mesh.nodes[0].effects[before..];
        assert!(effects.iter().any(|effect| effect.contains("ExchangeRefused")), "{effects:?}");
        assert!(!effects.iter().any(|effect| effect.contains("Offence")), "{effects:?}");
    }
    let (mut mesh, _, rogue) = scene(9);
    mesh.rogue_up(0, rogue.key(), Box::new(|_| Some(vec![0, 0xff, 0xff])));
    mesh.run(seconds(5));
    assert!(mesh.nodes[0].effects.iter().any(|effect| effect.contains("malformed_answer")));
}

#[test]
fn requests_that_cannot_be_read_get_a_reason() {
    let (mut mesh, space, rogue) = scene(10);
    mesh.rogue_up(0, rogue.key(), Box::new(|_| None));
    let mut ask = |bytes: &[u8]| {
        let request = mesh.nodes[0].replica.screener().screen_request(bytes);
        let input = Input::Asked { peer: rogue.key(), id: 7, request };
        mesh.give(0, input).join("\n")
    };
    let answered = |effects: &str, code: RefusalCode| {
        let answer = effects.lines().find(|line| line.starts_with("Answer")).expect("an answer");
        let bytes = answer.split_once("body: [").unwrap().1.split_once(']').unwrap().0;
        let bytes: Vec<u8> = bytes.split(", ").map(|byte| byte.parse().unwrap()).collect();
        match decode_message(&bytes).unwrap() {
            Response::Refused { code: found, reason } => assert_eq!(found, code, "{reason}"),
            other => panic!("{other:?}"),
        }
    };
    let newer = ask(&[1, 0]);
    answered(&newer, RefusalCode::Unsupported);
    let unknown = ask(&[0, 0x82, 0x18, 99, 0x80]);
    answered(&unknown, RefusalCode::Unsupported);
    assert!(!newer.contains("Offence") && !unknown.contains("Offence"));
    let whole = Tiles::of(&[part(ItemKey::LOWEST, Some(ItemKey([8; 16]))), part(ItemKey([9; 16]), None)]);
    let ranges = whole.expect("two ranges, and a gap between them");
    let good = encode_message(&Request::Reconcile { space, salt: 1, ranges });
    assert!(!ask(&good).contains("Offence"));
    // The second cut comes before the first.
    let mut falling = good.clone();
    let second = falling.windows(16).rposition(|bytes| bytes == [9; 16]).expect("the second cut");
    falling[second..second + 16].fill(7);
    for garbage in [&[0, 0x61][..], &falling] {
        let garbage = ask(garbage);
        answered(&garbage, RefusalCode::Malformed);
        assert!(garbage.contains("Offence"));
    }
}

#[test]
fn a_flood_of_questions_is_refused_and_only_what_no_honest_node_asks_is_an_offence() {
    let (mut mesh, _, rogue) = scene(14);
    mesh.rogue_up(0, rogue.key(), Box::new(|_| None));
    let screener = mesh.nodes[0].replica.screener();
    let mut ask = |count: u64| {
        let before = mesh.nodes[0].effects.len();
        for id in 0..count {
            let request = Ok(screener.screen(Request::Hello(vec![])));
            mesh.send_now(0, Input::Asked { peer: rogue.key(), id, request });
        }
        mesh.step(0);
        let effects = &mesh.nodes[0].effects[before..];
        let answers = effects.iter().filter(|effect| effect.starts_with("Answer")).count();
        assert_eq!(answers as u64, count, "everybody who asks is answered");
        effects.iter().filter(|effect| effect.contains("offence: Flood")).count()
    };
    let burst = REQUESTS.burst + REFUSALS.burst;
    assert_eq!(ask(burst), 0);
    assert_eq!(ask(3), 3);
}

#[test]
fn an_outsider_learns_nothing_and_cannot_tell_spaces_apart() {
    let (mut mesh, space, _) = scene(11);
    let outsider = AuthorKey([7; 32]);
    let mut ask = |request: Request| mesh.ask_node(0, outsider, 1, request).join("\n");
    let ranges = Tiles::of(&[part(ItemKey::LOWEST, None)]).expect("one range");
    let questions = |space: SpaceId| {
        vec![
            Request::Statements { space, tips: vec![], after: 0 },
            Request::Reconcile { space, salt: 1, ranges: ranges.clone() },
            Request::Fetch { space, wants: vec![Want { key: ItemKey([0; 16]), after: 0 }] },
            Request::Offer { space, items: vec![] },
            Request::Confirm { space, documents: vec![], items: None },
        ]
    };
    for (held, other) in questions(space).into_iter().zip(questions(SpaceId([8; 32]))) {
        assert_eq!(ask(held), ask(other));
    }
    let hello = ask(Request::Hello(vec![]));
    assert_eq!(hello, ask(Request::Hello(vec![Greeting { tag: [0; 16], statements: [0; 8], items: 0 }])));
}

#[test]
fn offers_without_end_are_planned_within_bounds_and_fetched_once() {
    let (mut mesh, space, rogue) = scene(12);
    let key = rogue.key();
    let fetched = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = fetched.clone();
    mesh.rogue_up(
        0,
        key,
        Box::new(move |request| {
            let answer = match request.unwrap() {
                Request::Hello(_) => Response::Hello(vec![]),
                Request::Fetch { wants, .. } => {
                    seen.borrow_mut().push(wants.len());
                    Response::Deltas { incarnations: vec![], deltas: vec![], more: false }
                }
                _ => Response::Done,
            };
            Some(encode_message(&answer))
        }),
    );
    // All of this while the first question is under way.
    for round in 0..100_u32 {
        let item = |number: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&(round * 2_000 + number).to_be_bytes());
            OfferedItem { key: ItemKey(bytes), seq: 9, hash: [0; 8] }
        };
        let request = Request::Offer { space, items: (0..2_000).map(item).collect() };
        mesh.ask_node(0, key, u64::from(round), request);
    }
    mesh.run(seconds(5));
    let fetched = fetched.borrow();
    assert!(fetched.iter().all(|wants| *wants <= 1_024));
    assert_eq!(fetched.iter().sum::<usize>(), 65_536, "bounded, and fetched in {} requests", fetched.len());
}

#[test]
fn foreign_and_malformed_deltas_in_an_answer_do_not_spoil_the_rest() {
    let (mut mesh, space, rogue) = scene(13);
    let (key, honest) = (rogue.key(), mesh.nodes[0].key);
    let change = rogue.change(1, 1, &[], vec![put("x", 1)]);
    let good = ByteVec::from(encode(&rogue.delta("brought", &[&change])));
    let certificate = rogue.incarnation.certificate().clone();
    let item = ItemKey::of(&"brought".parse().unwrap(), rogue.actor());
    mesh.rogue_up(
        0,
        key,
        Box::new(move |request| {
            let answer = match request.unwrap() {
                Request::Hello(_) => Response::Hello(vec![greeting(key, honest, space)]),
                Request::Statements { .. } => {
                    Response::Statements { statements: vec![], lacking: vec![], more: false, tips: vec![] }
                }
                Request::Reconcile { ranges, .. } => {
                    let offered = OfferedItem { key: item, seq: 1, hash: [0; 8] };
                    let items = || Some(RangeAnswer::Items(vec![offered]));
                    Response::Ranges(ranges.ranges().iter().map(|_| items()).collect())
                }
                Request::Fetch { .. } => Response::Deltas {
                    incarnations: vec![certificate.clone()],
                    deltas: vec![ByteVec::from(vec![0xff]), good.clone()],
                    more: false,
                },
                _ => Response::Done,
            };
            Some(encode_message(&answer))
        }),
    );
    mesh.run(seconds(60));
    assert_eq!(mesh.document(0, space, "brought").unwrap().0, r#"{"x":1}"#);
    assert_eq!(mesh.document(1, space, "brought"), mesh.document(0, space, "brought"));
}
