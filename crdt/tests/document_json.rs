//! JSON into documents and out again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use starling_crdt::document::{Commit, Document, Edit, Json, JsonErrorKind, Pointer};
use starling_crdt::id::Actor;

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{0,2}",
        2 => "\\${0,3}(counter|text|bytes|time|schema)",
        1 => any::<String>(),
    ]
}

/// Values of every kind a document can hold.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Integer),
        any::<u64>().prop_map(Json::unsigned),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Json::Float),
        any::<String>().prop_map(Json::String),
        any::<i32>().prop_map(|number| Json::Counter(number.into())),
        "[a-zé😀 ]{0,12}".prop_map(Json::Text),
        any::<Vec<u8>>().prop_map(Json::Bytes),
        any::<i64>().prop_map(Json::Time),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            proptest::collection::btree_map(key(), inner, 0..5).prop_map(Json::Map),
        ]
    })
}

fn document_json() -> impl Strategy<Value = Json> {
    proptest::collection::btree_map(key(), json(), 0..5).prop_map(Json::Map)
}

fn put(document: &mut Document, value: &Json) -> usize {
    let commit = Commit { actor: Actor([1; 16]), time_seconds: 0, message: None };
    let edited = document.edit(commit, &Edit::Put { value: value.clone(), base: None }).expect("fits");
    edited.changes.len()
}

/// Every pointer into a value, with what it leads to.
fn pointers(value: &Json, at: &Pointer, found: &mut Vec<(Pointer, Json)>) {
    found.push((at.clone(), value.clone()));
    match value {
        Json::Map(members) => members.iter().for_each(|(key, value)| pointers(value, &at.child(key), found)),
        Json::List(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(place, value)| pointers(value, &at.child(place.to_string()), found));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn text_and_value_are_inverse(value in json()) {
        prop_assert_eq!(Json::parse(value.to_text()), Ok(value.clone()));
        prop_assert_eq!(Json::parse(value.to_text_pretty()), Ok(value));
    }

    #[test]
    fn what_is_put_is_read_back(first in document_json(), second in document_json()) {
        let mut document = Document::new();
        let text = first.to_text();
        prop_assert_eq!(put(&mut document, &Json::parse(&text).expect("our own text")), 1);
        prop_assert_eq!(document.read(None, None).expect("readable").to_text(), text);
        let heads = document.heads();
        prop_assert_eq!(put(&mut document, &second), usize::from(first != second));
        prop_assert_eq!(document.read(None, None), Ok(second.clone()));
        prop_assert_eq!(document.read(None, Some(&heads)), Ok(first));
        prop_assert_eq!(put(&mut document, &second), 0);
        let mut found = Vec::new();
        pointers(&second, &Pointer::root(), &mut found);
        for (pointer, value) in found {
            let parsed: Pointer = pointer.to_string().parse().expect("our own text");
            prop_assert_eq!(&parsed, &pointer);
            prop_assert_eq!(document.read(Some(&parsed), None), Ok(value));
        }
    }

    #[test]
    fn the_parser_agrees_with_serde_json(text in r#"[\[\]{}:,"\\a-c0-9.eE+\- \ntrufalsn]{0,24}"#) {
        let ours = Json::parse(&text);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (&ours, &theirs) {
            (Ok(_), Ok(_)) => {}
            (Err(error), Ok(_)) => prop_assert!(
                matches!(error.kind, JsonErrorKind::DuplicateMember(_) | JsonErrorKind::IntegerTooLarge(_)),
                "{:?}", error
            ),
            (Err(_), Err(_)) => {}
            (Ok(value), Err(error)) => prop_assert!(false, "{:?} but {}", value, error),
        }
    }

    #[test]
    fn the_parser_reads_what_serde_json_writes(value in plain()) {
        let text = serde_json::to_string(&value).expect("writes");
        prop_assert_eq!(Json::parse(&text), Ok(of_serde(&value)));
        prop_assert_eq!(of_serde(&value).to_text(), text);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
        let _ = Json::parse(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Pointer>();
    }
}

fn of_serde(value: &serde_json::Value) -> Json {
    match value {
        serde_json::Value::Null => Json::Null,
        serde_json::Value::Bool(value) => Json::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Json::Integer(number),
            (_, Some(number), _) => Json::Unsigned(number),
            (_, _, number) => Json::Float(number.expect("a number")),
        },
        serde_json::Value::String(text) => Json::String(text.clone()),
        serde_json::Value::Array(items) => Json::List(items.iter().map(of_serde).collect()),
        serde_json::Value::Object(members) => {
            Json::Map(members.iter().map(|(key, value)| (key.clone(), of_serde(value))).collect())
        }
    }
}

/// Values without special forms.
fn plain() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map("[a-d\\$]{0,5}", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

fn map(members: &[(&str, Json)]) -> Json {
    Json::Map(
        members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
    )
}

#[test]
fn special_forms_and_their_escapes() {
    let one = Json::Integer(1);
    for (text, value) in [
        (r#"{"$counter":1}"#, Json::Counter(1)),
        (r#"{"$text":"x"}"#, Json::Text("x".into())),
        (r#"{"$bytes":"/+8="}"#, Json::Bytes(vec![0xff, 0xef])),
        (r#"{"$time":"1970-01-01T00:00:01Z"}"#, Json::Time(1_000)),
        (r#"{"$$counter":1}"#, map(&[("$counter", one.clone())])),
        (r#"{"$$$counter":1}"#, map(&[("$$counter", one.clone())])),
        (r#"{"$$text":{"$$time":1}}"#, map(&[("$text", map(&[("$time", one.clone())]))])),
        (r#"{"$schema":1}"#, map(&[("$schema", one.clone())])),
        (r#"{"$$schema":1}"#, map(&[("$$schema", one.clone())])),
        (r#"{"counter":1}"#, map(&[("counter", one.clone())])),
        (r#"{"$counter":1,"x":1}"#, map(&[("$counter", one.clone()), ("x", one.clone())])),
        (r#"{"$$counter":1,"x":1}"#, map(&[("$$counter", one.clone()), ("x", one)])),
    ] {
        assert_eq!(Json::parse(text), Ok(value.clone()), "{text}");
        assert_eq!(value.to_text(), text);
    }
}

#[test]
fn numbers_keep_their_kind_and_their_digits() {
    for (text, value) in [
        ("9223372036854775807", Json::Integer(i64::MAX)),
        ("-9223372036854775808", Json::Integer(i64::MIN)),
        ("9223372036854775808", Json::Unsigned(1 << 63)),
        ("18446744073709551615", Json::Unsigned(u64::MAX)),
        ("1.0", Json::Float(1.0)),
        ("1e300", Json::Float(1e300)),
        ("0.1", Json::Float(0.1)),
    ] {
        assert_eq!(Json::parse(text), Ok(value), "{text}");
    }
    assert_eq!(Json::parse("-0"), Ok(Json::Integer(0)));
    assert_eq!(Json::parse("1.0").expect("a float").to_text(), "1.0");
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    for (text, message) in [
        ("{\"a\": 1,\n \"é\": {\"b\": 1, \"b\": 2}}", "the member \"b\" is there twice at line 2, column 16"),
        (
            "18446744073709551616",
            "the whole number 18446744073709551616 does not fit 64 bits; write it as a string to keep its digits \
             at line 1, column 1",
        ),
        (
            "[-9223372036854775809]",
            "the whole number -9223372036854775809 does not fit 64 bits; write it as a string to keep its digits \
             at line 1, column 2",
        ),
        ("1e999", "the number 1e999 does not fit a 64-bit float at line 1, column 1"),
        ("[1,]", "expected a JSON value at line 1, column 4"),
        ("[1", "the text ends inside a value at line 1, column 3"),
        ("", "the text ends inside a value at line 1, column 1"),
        ("01", "expected a number without leading zeros at line 1, column 1"),
        ("{\"a\":1} x", "expected the end of the text at line 1, column 9"),
        ("\"\\ud800\"", "a string escape that JSON does not have at line 1, column 2"),
        (
            "{\"x\": {\"$counter\": 1.5}}",
            "$counter needs a whole number that fits 64 bits with sign at line 1, column 7",
        ),
        ("{\"$bytes\": \"?\"}", "$bytes needs standard base64 with padding at line 1, column 1"),
        ("{\"$time\": \"noon\"}", "$time needs a time such as 2026-01-31T12:00:00Z at line 1, column 1"),
    ] {
        assert_eq!(Json::parse(text).expect_err(text).to_string(), message);
    }
    assert_eq!(Json::parse(b"\"\xff\"").expect_err("not UTF-8").kind, JsonErrorKind::NotUtf8);
    let deep = "[".repeat(100_000);
    assert_eq!(Json::parse(deep).expect_err("too deep").kind, JsonErrorKind::TooDeep);
}
