//! What changes are told to have done.

use super::*;
use crate::document::{Commit, Edit};

fn edit(document: &mut Document, actor: u8, edit: &Edit) -> Vec<u8> {
    let commit = Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None };
    document.edit(commit, edit).expect("fits").changes.remove(0).bytes
}

fn put(text: &str) -> Edit {
    Edit::Put { value: json(text), base: None }
}

fn json(text: &str) -> Json {
    Json::parse(text).expect("JSON")
}

fn words(telling: &Telling) -> Vec<String> {
    let word = |told: &Told| {
        let deed = match &told.deed {
            Deed::Set(value) => format!("set {}", value.to_text()),
            Deed::Remove => "remove".to_owned(),
            Deed::Increment(by) => format!("add {by}"),
            Deed::Insert(value) => format!("insert {}", value.to_text()),
            Deed::InsertText(text) => format!("write {text:?}"),
            Deed::RemoveText(count) => format!("erase {count}"),
        };
        format!("{} {deed}{}", told.pointer, if told.gone { " gone" } else { "" })
    };
    telling.told.iter().map(word).collect()
}

#[test]
fn each_kind_of_operation_is_told_at_its_place() {
    let mut document = Document::new();
    let first = edit(
        &mut document,
        1,
        &put(r#"{"a": {"b": [1, {"c": null}], "t": {"$text": "héllo"}}, "n": {"$counter": 2}}"#),
    );
    let rest = [
        edit(&mut document, 1, &Edit::Set { pointer: "/a/b/1/c".parse().expect("p"), value: json("7") }),
        edit(&mut document, 1, &Edit::Increment { pointer: "/n".parse().expect("p"), by: -3 }),
        edit(&mut document, 1, &Edit::Insert { pointer: "/a/b/0".parse().expect("p"), value: json("[0]") }),
        edit(
            &mut document,
            1,
            &Edit::Splice { pointer: "/a/t".parse().expect("p"), at: 1, delete: 4, insert: "i!".into() },
        ),
        edit(&mut document, 1, &Edit::Unset { pointer: "/a/b/1".parse().expect("p") }),
        edit(&mut document, 1, &Edit::Remove),
    ];
    let all: Vec<&[u8]> = std::iter::once(&first).chain(&rest[..5]).map(Vec::as_slice).collect();
    let mut before = Document::new();
    assert!(before.apply(&all).is_empty());
    let told: Vec<_> = before.tell(&all).expect("sound").iter().map(words).collect();
    assert_eq!(told[0], [r#"/a set {"b":[1,{"c":null}],"t":{"$text":"héllo"}}"#, r#"/n set {"$counter":2}"#]);
    // The element that was at 1 lies there again: one came before it, one went.
    assert_eq!(told[1], ["/a/b/1/c set 7"]);
    assert_eq!(told[2], ["/n add -3"]);
    assert_eq!(told[3], ["/a/b insert [0]"]);
    let mut text = told[4].clone();
    text.sort_unstable();
    assert_eq!(text, [r#"/a/t erase 4"#, r#"/a/t write "i!""#]);
    assert_eq!(told[5], ["/a/b remove gone"]);
    let last = document.tell(&[&rest[5]]).expect("sound");
    assert_eq!(words(&last[0]), ["/a remove", "/n remove"]);
    let lost = document.tell(&[&rest[0]]).expect("sound");
    assert!(words(&lost[0])[0].ends_with(" gone"), "{lost:?}");
}

#[test]
fn a_settled_conflict_is_told_as_the_value_that_stands() {
    let (mut here, mut there) = (Document::new(), Document::new());
    let bytes = edit(&mut here, 1, &put(r#"{"a": 1, "l": [null]}"#));
    assert!(there.apply(&[&bytes]).is_empty());
    for place in ["/a", "/l/0"] {
        let pointer: Pointer = place.parse().expect("p");
        edit(&mut here, 1, &Edit::Set { pointer: pointer.clone(), value: json("2") });
        let bytes = edit(&mut there, 2, &Edit::Set { pointer: pointer.clone(), value: json("3") });
        assert!(here.apply(&[&bytes]).is_empty());
        let shown = here.read(Some(&pointer), None).expect("there").to_text();
        let bytes = edit(&mut here, 1, &Edit::Resolve { pointer, value: None });
        let telling = here.tell(&[&bytes]).expect("sound").remove(0);
        assert_eq!(words(&telling), [format!("{place} set {shown}")]);
        assert_eq!(here.conflicts(), Ok(vec![]));
    }
}

#[test]
fn of_a_large_change_the_beginning_is_told() {
    let mut document = Document::new();
    let members: Vec<_> = (0..TOLD_OPS_MAX + 200).map(|n| format!("\"k{n:05}\": {n}")).collect();
    let bytes = edit(&mut document, 1, &put(&format!("{{{}}}", members.join(","))));
    let telling = document.tell(&[&bytes]).expect("sound").remove(0);
    assert_eq!((telling.told.len(), telling.omitted), (TOLD_OPS_MAX, 200));
}

#[test]
fn what_is_no_change_is_refused() {
    assert_eq!(Document::new().tell(&[b"no change"]), Err(ReadError::Crash));
}
