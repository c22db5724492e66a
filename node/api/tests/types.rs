//! The JSON that goes over the wire: examples read, and written back as they were.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use starling_api::{
    document::{
        BatchLine, BatchResult, ConflictList, ConflictValue, DocumentList, Operation, WatchEvent, Written,
    },
    member::{MemberList, Wait, Waited},
    peer::{BlockPeer, PeerList},
    space::{CreateInvite, CreateSpace, Joined, SpaceList},
    status::Status,
};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[track_caller]
fn round_trips<T: Serialize + DeserializeOwned>(example: Value) {
    let typed: T = serde_json::from_value(example.clone()).expect("the example is readable");
    let back = serde_json::to_value(&typed).expect("it has a JSON form");
    assert_eq!(back, example);
    assert!(!back.to_string().contains("null"), "absent means absent: {back}");
}

fn space() -> Value {
    json!({"id": A, "name": "shop", "founders": [A], "state": "joined", "role": "writer", "prefix": "config/",
        "documents": 3, "changes": 9, "bytes": 900, "bytes_max": 1000, "members": 2, "fingerprint": "00ff", "join_refused": "no", "created": "2026-01-02T03:04:05Z"})
}

#[test]
fn numbers_in_a_line_are_written_as_they_were_read() {
    // Any doubles, of which a fast reader rounds some to a neighbour; drawn by SplitMix64.
    let mut state = 7_u64;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from_bits(z ^ (z >> 31))
    };
    for exact in std::iter::repeat_with(&mut draw).filter(|number| number.is_finite()).take(2_000) {
        let number = format!("{exact:e}");
        let text = format!(r#"{{"op":"put","doc":"a","value":{{"x":{number}}}}}"#);
        let line: BatchLine = serde_json::from_str(&text).expect("a line");
        let written = serde_json::to_string(&line).expect("it has a form");
        let BatchLine::Put { value, .. } = serde_json::from_str(&written).expect("a line") else {
            panic!("a put: {written}")
        };
        assert_eq!(value["x"].as_f64().map(f64::to_bits), Some(exact.to_bits()), "{number}: {written}");
    }
}

#[test]
fn whole_examples_round_trip() {
    round_trips::<SpaceList>(json!({"items": [space()]}));
    round_trips::<Joined>(json!({"space": A, "name": "shop", "state": "joining"}));
    round_trips::<Status>(
        json!({"name": "n1", "version": "0.1.0", "key": A, "peer_id": "12D3", "listen": ["/ip4/0.0.0.0/tcp/4710"],
        "advertise": [], "spaces": [space()], "peers": 4, "lag": [{"space": A, "others": 3, "in_sync": 1, "behind": {"name": "ship", "changes": 4, "age_ms": 900}}], "store": {"bytes": 4096, "position": "s-7"},
        "warnings": [{"code": "no-peers", "message": "nobody is connected", "why": "alone", "command": "starling peers add HOST"}],
        "started": "2026-01-02T03:04:05Z", "uptime_ms": 1200}),
    );
    round_trips::<DocumentList>(json!({"items": [{"name": "a", "heads": [A], "changes": 2, "deleted": true,
        "modified": "2026-01-02T03:04:05Z", "author": A}], "next": "a"}));
    round_trips::<Written>(json!({"heads": [A], "position": "s-8", "changed": true, "created": true}));
    round_trips::<Written>(
        json!({"heads": [A], "position": "s-8", "changed": true, "confirmed": {"asked": "all",
        "count": 1, "satisfied": false, "holders": [{"key": A, "name": "n1"}], "missing": [], "not_waited_for": [],
        "problem": {"title": "t", "status": 503, "detail": "d", "code": "busy"}}}),
    );
    round_trips::<ConflictList>(json!({"items": [{"pointer": "/a", "values": [
        {"value": 1, "actor": "00", "author": A, "author_name": "n1", "change": A, "shown": true},
        {"value": {"x": []}, "actor": "01", "author": A}, {"actor": "02", "author": A}]}]}));
    round_trips::<WatchEvent>(
        json!({"space": A, "name": "a", "heads": [], "author": A, "position": "s-9", "deleted": true, "ops": [{}]}),
    );
    round_trips::<MemberList>(
        json!({"items": [{"name": "n2", "key": A, "role": "admin", "prefix": "p/", "state": "self", "reason": "heard", "connected": true, "since_ms": 1,
        "version": "0.1.0", "addresses": ["/ip4/10.0.0.1/tcp/4710"], "in_sync": false, "documents": 1, "changes": 2,
        "age_ms": 30, "position": "t-4"}]}),
    );
    round_trips::<Waited>(
        json!({"holders": [{"key": A, "name": "n1"}], "missing": [], "not_waited_for": [], "satisfied": false}),
    );
    round_trips::<PeerList>(
        json!({"items": [{"key": A, "peer_id": "12D3", "name": "n2", "connected": true, "address": "/ip4/10.0.0.1/tcp/1",
        "direction": "outbound", "transport": "quic", "connected_ms": 5, "round_trip_ms": 1, "blocked": {"left_ms": 3}}]}),
    );
}

#[test]
fn sparse_examples_round_trip() {
    round_trips::<DocumentList>(json!({"items": []}));
    round_trips::<Written>(json!({"heads": [], "position": "s-8", "changed": false}));
    round_trips::<WatchEvent>(json!({"space": A, "name": "a", "heads": [A], "position": "s-9"}));
    round_trips::<CreateInvite>(json!({"role": "reader"}));
    round_trips::<BlockPeer>(json!({}));
    round_trips::<PeerList>(
        json!({"items": [{"key": A, "peer_id": "12D3", "connected": false, "blocked": {}}]}),
    );
    round_trips::<MemberList>(
        json!({"items": [{"name": "n2", "key": A, "role": "reader", "state": "unknown", "addresses": []}]}),
    );
}

#[test]
fn operations_and_batch_lines_say_what_they_do() {
    round_trips::<Operation>(json!({"op": "increment", "pointer": "/n", "by": -3}));
    round_trips::<Operation>(json!({"op": "set", "pointer": "", "value": null_free()}));
    round_trips::<BatchLine>(json!({"op": "put", "doc": "a", "value": {"x": 1}, "base": [A]}));
    round_trips::<BatchLine>(json!({"op": "delete", "doc": "a"}));
    round_trips::<BatchLine>(
        json!({"op": "set", "doc": "a", "pointer": "/x", "value": 18_446_744_073_709_551_615_u64}),
    );
    round_trips::<BatchLine>(json!({"op": "increment", "doc": "a", "pointer": "/n", "by": i64::MIN}));
    round_trips::<Operation>(json!({"op": "remove", "pointer": "/x"}));
    round_trips::<Operation>(json!({"op": "insert", "pointer": "/l/-", "value": 1}));
    round_trips::<Operation>(json!({"op": "splice", "pointer": "/t", "at": 2, "delete": 1, "insert": "é"}));
    round_trips::<BatchLine>(
        json!({"op": "splice", "doc": "a", "pointer": "/t", "at": 2, "delete": 0, "insert": ""}),
    );
    round_trips::<BatchLine>(json!({"op": "patch", "doc": "a", "patch": [{"op": "remove", "path": "/x"}]}));
    round_trips::<BatchLine>(json!({"op": "merge", "doc": "a", "patch": {"x": 1}}));
    round_trips::<BatchResult>(json!({"doc": "a", "ok": true, "heads": [A]}));
    round_trips::<BatchResult>(
        json!({"error": {"title": "t", "status": 400, "detail": "d", "code": "bad-json"}}),
    );
}

fn null_free() -> Value {
    json!({"$counter": 4, "list": [1, 2.5, "x", true]})
}

#[test]
fn a_null_that_is_a_value_survives() {
    let line: BatchLine =
        serde_json::from_str(r#"{"op":"put","doc":"a","value":{"x":null}}"#).expect("a line");
    assert_eq!(line, BatchLine::Put { doc: "a".into(), value: json!({"x": null}), base: None });
    let conflicting = r#"{"value":null,"actor":"00","author":"01"}"#;
    let value: ConflictValue = serde_json::from_str(conflicting).expect("a value");
    assert_eq!(value.value, Some(Value::Null));
    assert!(serde_json::to_string(&value).expect("json").contains("\"value\":null"));
    let set: Operation =
        serde_json::from_str(r#"{"op":"set","pointer":"/x","value":null}"#).expect("an operation");
    assert_eq!(set, Operation::Set { pointer: "/x".into(), value: Value::Null });
}

#[test]
fn nodes_are_a_count_or_all() {
    round_trips::<Wait>(json!({"doc": "a", "nodes": 3, "timeout_ms": 5000}));
    round_trips::<Wait>(json!({"nodes": "all", "timeout_ms": 0}));
    for bad in [
        json!({"nodes": "most", "timeout_ms": 1}),
        json!({"nodes": -1, "timeout_ms": 1}),
        json!({"nodes": 1}),
    ] {
        assert!(serde_json::from_value::<Wait>(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_mistyped_member_of_a_request_is_refused_and_one_of_an_answer_is_skipped() {
    assert!(serde_json::from_value::<CreateSpace>(json!({"name": "a", "nmae": "b"})).is_err());
    assert!(serde_json::from_value::<CreateInvite>(json!({"role": "owner"})).is_err());
    assert!(
        serde_json::from_value::<BatchLine>(json!({"op": "put", "doc": "a", "value": {}, "bsae": []}))
            .is_err()
    );
    assert!(serde_json::from_value::<BatchResult>(json!({"doc": "a"})).is_err());
    let newer = json!({"heads": [], "position": "s-8", "changed": false, "made-next-year": 1});
    assert!(serde_json::from_value::<Written>(newer).is_ok());
}
