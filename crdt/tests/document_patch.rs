//! JSON Patch (RFC 6902), Merge Patch (RFC 7396) and Pointer (RFC 6901) by the examples of their
//! RFCs, and JSON Patch beside an implementation by others on random patches.

#[path = "document_patch/examples.rs"]
mod examples;

use examples::{APPENDIX_A, BEYOND, MERGE_APPENDIX_A};
use proptest::prelude::*;
use starling_crdt::document::{Commit, Document, Edit, EditError, Edited, Json, Patch, Pointer};
use starling_crdt::id::Actor;
use starling_crdt::limits::PATCH_READ_BYTES_MAX;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn patch(text: &str) -> Edit {
    Edit::Patch(Patch::of(json(text)).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn edit(document: &mut Document, actor: u8, edit: &Edit) -> Result<Edited, EditError> {
    document.edit(Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None }, edit)
}

fn document(text: &str) -> Document {
    let mut document = Document::new();
    edit(&mut document, 1, &Edit::Put { value: json(text), base: None }).expect("a document");
    document
}

fn copy(of: &Document, edited: &[&Edited]) -> Document {
    let mut other = of.clone();
    let changes: Vec<&[u8]> =
        edited.iter().flat_map(|edited| &edited.changes).map(|change| change.bytes.as_slice()).collect();
    assert_eq!(other.apply(&changes), Vec::new(), "others admit what was written here");
    other
}

fn shown(document: &Document) -> Json {
    document.read(None, None).expect("readable")
}

#[test]
fn json_patch_does_what_the_rfc_says() {
    for (name, before, text, expected) in APPENDIX_A.iter().chain(BEYOND) {
        let mut document = document(before);
        let start = document.clone();
        let outcome = edit(&mut document, 2, &patch(text));
        match (outcome, expected) {
            (Ok(edited), Ok(after)) => {
                assert_eq!(shown(&document), json(after), "{name}");
                assert!(edited.changes.len() <= 1, "{name}: one change");
                assert_eq!(shown(&copy(&start, &[&edited])), json(after), "{name}: elsewhere");
            }
            (Err(error), Err(code)) => {
                assert_eq!(&error.code(), code, "{name}: {error}");
                assert_eq!(shown(&document), json(before), "{name}: nothing was written");
                assert_eq!(document.heads(), start.heads(), "{name}");
            }
            (outcome, expected) => panic!("{name}: {outcome:?} instead of {expected:?}"),
        }
    }
}

/// A.13 of RFC 6902: the patch is no valid JSON object, since a member stands twice.
#[test]
fn a_patch_with_a_member_twice_is_no_patch() {
    let text = r#"[{"op":"add","path":"/baz","value":"qux","op":"remove"}]"#;
    assert!(Json::parse(text).is_err());
}

#[test]
fn merge_patch_does_what_the_rfc_says() {
    for (before, text, after) in MERGE_APPENDIX_A {
        let pointer: Pointer = "/here".parse().expect("a pointer");
        let mut document = document(&format!("{{\"here\":{before}}}"));
        let merge = Edit::Merge { pointer: pointer.clone(), patch: json(text) };
        edit(&mut document, 2, &merge).unwrap_or_else(|error| panic!("{before} {text}: {error}"));
        assert_eq!(document.read(Some(&pointer), None), Ok(json(after)), "{before} {text}");
    }
    // The example of section 3, which is a whole document.
    let mut document = document(
        r#"{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}"#,
    );
    let text = r#"{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}"#;
    edit(&mut document, 2, &Edit::Merge { pointer: Pointer::root(), patch: json(text) }).expect("merged");
    let after = r#"{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}"#;
    assert_eq!(shown(&document), json(after));
}

/// Section 5 of RFC 6901.
#[test]
fn pointers_lead_where_the_rfc_says() {
    let document = document(
        r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#,
    );
    let rows = [
        ("/foo", r#"["bar","baz"]"#),
        ("/foo/0", "\"bar\""),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/e^f", "3"),
        ("/g|h", "4"),
        ("/i\\j", "5"),
        ("/k\"l", "6"),
        ("/ ", "7"),
        ("/m~0n", "8"),
    ];
    assert_eq!(document.read(Some(&Pointer::root()), None), Ok(shown(&document)));
    for (pointer, value) in rows {
        let pointer: Pointer = pointer.parse().expect("a pointer");
        assert_eq!(document.read(Some(&pointer), None), Ok(json(value)), "{pointer}");
    }
}

#[test]
fn patches_made_at_once_on_two_nodes_both_hold() {
    let start = document(r#"{"list":["a","b","c"],"map":{"x":1,"y":2},"n":{"$counter":1}}"#);
    let (mut here, mut there) = (start.clone(), start.clone());
    let one = edit(
        &mut here,
        2,
        &patch(
            r#"[{"op":"add","path":"/list/1","value":"here"},{"op":"replace","path":"/map","value":{"x":5,"y":2}},{"op":"replace","path":"/n","value":{"$counter":11}}]"#,
        ),
    );
    let two = edit(
        &mut there,
        3,
        &patch(
            r#"[{"op":"remove","path":"/list/2"},{"op":"add","path":"/list/-","value":"there"},{"op":"add","path":"/map/z","value":3},{"op":"replace","path":"/n","value":{"$counter":101}}]"#,
        ),
    );
    let both = copy(&start, &[&one.expect("written"), &two.expect("written")]);
    let expected = r#"{"list":["a","here","b","there"],"map":{"x":5,"y":2,"z":3},"n":{"$counter":111}}"#;
    assert_eq!(shown(&both), json(expected));
}

#[test]
fn a_short_patch_neither_grows_nor_reads_without_bound() {
    let mut doubled = document(r#"{"a":{"b":1}}"#);
    let step = r#"{"op":"copy","from":"","path":"/a/c"},{"op":"copy","from":"/a","path":"/d"}"#;
    let steps = vec![step; 60].join(",");
    let before = shown(&doubled);
    let error = edit(&mut doubled, 2, &patch(&format!("[{steps}]"))).expect_err("it doubles each time");
    assert!(matches!(error, EditError::TooLarge | EditError::TooDeep), "{error}");
    assert_eq!(shown(&doubled), before);

    let large = "x".repeat(512 * 1024);
    let mut document = document(&format!("{{\"a\":\"{large}\"}}"));
    let tests = PATCH_READ_BYTES_MAX / large.len() + 1;
    // A whole comparison would fail; the reading before it must not go on for ever either way.
    let steps = vec![r#"{"op":"copy","from":"/a","path":"/a"}"#; tests].join(",");
    let error = edit(&mut document, 2, &patch(&format!("[{steps}]"))).expect_err("it reads too much");
    assert_eq!(error, EditError::TooLarge);
}

#[test]
fn a_patch_does_not_pass_the_depth_rule() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let mut document = document(&format!("{{\"a\":{deep},\"b\":{deep}}}"));
    let inside = format!("/b{}", "/0".repeat(39));
    let moved = format!(r#"[{{"op":"move","from":"/a","path":"{inside}"}}]"#);
    assert_eq!(edit(&mut document, 2, &patch(&moved)).map(drop), Err(EditError::TooDeep));
    let added = format!(r#"[{{"op":"add","path":"{inside}","value":{deep}}}]"#);
    assert_eq!(edit(&mut document, 2, &patch(&added)).map(drop), Err(EditError::TooDeep));
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-3_i64..3).prop_map(Into::into),
        "[a-c]{0,2}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Never the root, which here must stay an object and there need not.
fn place() -> impl Strategy<Value = String> {
    let step = prop_oneof![4 => "[a-c]", 3 => "[0-2]", 1 => Just("-".to_owned()), 1 => Just("01".to_owned())];
    prop::collection::vec(step, 1..4).prop_map(|steps| format!("/{}", steps.join("/")))
}

fn step() -> impl Strategy<Value = serde_json::Value> {
    let op = prop::sample::select(vec!["add", "add", "add", "remove", "replace", "move", "copy", "test"]);
    (op, place(), place(), value()).prop_map(
        |(op, path, from, value)| serde_json::json!({"op": op, "path": path, "from": from, "value": value}),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn random_patches_do_what_an_implementation_by_others_does(
        members in prop::collection::btree_map("[a-c]", value(), 0..4),
        patches in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..8),
    ) {
        let mut expected = serde_json::Value::Object(members.into_iter().collect());
        let mut document = document(&expected.to_string());
        let (start, mut written) = (document.clone(), Vec::new());
        for steps in patches {
            let text = serde_json::Value::from(steps).to_string();
            let theirs: json_patch::Patch = serde_json::from_str(&text).expect("a patch");
            let mut after = expected.clone();
            // Not its `patch`, which panics where it cannot undo a move of a part onto what holds it.
            let accepted = json_patch::patch_unsafe(&mut after, &theirs).is_ok();
            let outcome = edit(&mut document, 2, &patch(&text));
            prop_assert_eq!(outcome.is_ok(), accepted, "{} on {}: {:?}", text, expected, outcome);
            if let Ok(edited) = outcome {
                written.push(edited);
                expected = after;
            }
            prop_assert_eq!(shown(&document), json(&expected.to_string()), "{}", text);
        }
        let elsewhere = copy(&start, &written.iter().collect::<Vec<_>>());
        prop_assert_eq!(shown(&elsewhere), shown(&document));
    }
}
