//! Edits of documents: each one change, or none, and what others did meanwhile stays.

use starling_crdt::document::{Commit, Document, Edit, EditError, Edited, Json, Pointer, ReadError};
use starling_crdt::id::{Actor, ChangeHash};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn pointer(text: &str) -> Pointer {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A document with the actor that writes to it.
struct Replica {
    document: Document,
    actor: Actor,
}

impl Replica {
    fn new(actor: u8) -> Self {
        Self { document: Document::new(), actor: Actor([actor; 16]) }
    }

    fn try_edit(&mut self, edit: &Edit) -> Result<Edited, EditError> {
        let commit = Commit { actor: self.actor, time_seconds: 1_700_000_000, message: None };
        self.document.edit(commit, edit)
    }

    fn edit(&mut self, edit: &Edit) -> Vec<Vec<u8>> {
        let edited = self.try_edit(edit).unwrap_or_else(|error| panic!("{edit:?}: {error}"));
        edited.changes.into_iter().map(|change| change.bytes).collect()
    }

    fn put(&mut self, text: &str) -> Vec<Vec<u8>> {
        self.edit(&Edit::Put { value: json(text), base: None })
    }

    fn put_on(&mut self, base: &[ChangeHash], text: &str) -> Vec<Vec<u8>> {
        self.edit(&Edit::Put { value: json(text), base: Some(base.to_vec()) })
    }

    fn set(&mut self, at: &str, text: &str) -> Vec<Vec<u8>> {
        self.edit(&Edit::Set { pointer: pointer(at), value: json(text) })
    }

    fn increment(&mut self, at: &str, by: i64) -> Vec<Vec<u8>> {
        self.edit(&Edit::Increment { pointer: pointer(at), by })
    }

    fn receive(&mut self, changes: &[Vec<u8>]) {
        let changes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        let poison = self.document.apply(&changes);
        assert!(poison.is_empty(), "{poison:?}");
    }

    fn shows(&self, text: &str) {
        let shown = self.document.read(None, None).expect("readable");
        assert_eq!(shown, json(text), "shown {}", shown.to_text());
    }
}

/// Two replicas that start from the same document.
fn pair(start: &str) -> (Replica, Replica) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let changes = a.put(start);
    b.receive(&changes);
    (a, b)
}

#[test]
fn a_put_is_read_back_and_one_change() {
    let mut a = Replica::new(1);
    let text = r#"{"a": [1, 2.5, "x", null, true], "b": {"c": {"$counter": 4}, "t": {"$text": "héllo"}},
        "bytes": {"$bytes": "AAEC"}, "time": {"$time": "2026-01-31T12:00:00.250Z"}, "big": 18446744073709551615}"#;
    assert_eq!(a.put(text).len(), 1);
    a.shows(text);
    assert_eq!(a.put(text), Vec::<Vec<u8>>::new(), "a put that changes nothing makes no change");
}

#[test]
fn a_put_on_a_base_keeps_what_others_did_since() {
    let (mut a, mut b) = pair(
        r#"{"n": {"$counter": 10}, "x": 1, "y": 1, "list": ["a", "b", "c"],
        "text": {"$text": "the cat sat"}, "map": {"k": 1}}"#,
    );
    let base = a.document.heads();
    for changes in
        [b.increment("/n", 5), b.set("/y", "2"), b.set("/list/-", r#""d""#), b.set("/map/new", "true")]
    {
        a.receive(&changes);
    }
    a.receive(&b.set("/text", r#"{"$text": "the black cat sat"}"#));
    a.put_on(
        &base,
        r#"{"n": {"$counter": 11}, "x": 3, "y": 1, "list": ["b", "z", "c"],
        "text": {"$text": "the cat sat down"}, "map": {"k": 2}}"#,
    );
    a.shows(
        r#"{"n": {"$counter": 16}, "x": 3, "y": 2, "list": ["b", "z", "c", "d"],
        "text": {"$text": "the black cat sat down"}, "map": {"k": 2, "new": true}}"#,
    );
}

#[test]
fn a_member_removed_on_an_old_base_stays_if_somebody_wrote_it_since() {
    let (mut a, mut b) = pair(r#"{"x": 1, "y": 1, "list": [1, 2, 3]}"#);
    let base = a.document.heads();
    a.receive(&b.set("/x", "2"));
    a.receive(&b.set("/list/1", "20"));
    a.put_on(&base, r#"{"list": [1]}"#);
    a.shows(r#"{"x": 2, "list": [1, 20]}"#);
}

#[test]
fn elements_deleted_by_others_do_not_come_back_but_changed_ones_do() {
    let (mut a, mut b) = pair(r#"{"list": ["a", "b", "c", "d"]}"#);
    let base = a.document.heads();
    a.receive(&b.put(r#"{"list": ["a"]}"#));
    a.put_on(&base, r#"{"list": ["a", "B", "c", "d", "e"]}"#);
    a.shows(r#"{"list": ["a", "B", "e"]}"#);
}

#[test]
fn an_unknown_base_is_refused() {
    let mut a = Replica::new(1);
    a.put("{}");
    let unknown = ChangeHash([9; 32]);
    let edit = Edit::Put { value: json("{}"), base: Some(vec![unknown]) };
    assert_eq!(a.try_edit(&edit), Err(EditError::UnknownBase(unknown)));
    assert_eq!(a.document.read(None, Some(&[unknown])), Err(ReadError::UnknownHead(unknown)));
}

#[test]
fn set_needs_its_parent_and_appends_to_lists() {
    let mut a = Replica::new(1);
    let missing = Edit::Set { pointer: pointer("/x/y"), value: json("1") };
    assert_eq!(a.try_edit(&missing), Err(EditError::MissingParent(pointer("/x"))));
    a.set("/x", "[]");
    a.set("/x/-", "1");
    a.set("/x/1", r#"{"deep": 2}"#);
    a.set("/x/1/deep", "3");
    a.shows(r#"{"x": [1, {"deep": 3}]}"#);
    for (at, error) in [
        ("/x/7", EditError::NoPosition(pointer("/x/7"))),
        ("/x/word", EditError::NoPosition(pointer("/x/word"))),
        ("/x/0/inner", EditError::NotAContainer(pointer("/x/0"))),
        ("", EditError::RootNotObject),
    ] {
        let edit = Edit::Set { pointer: pointer(at), value: json("1") };
        assert_eq!(a.try_edit(&edit), Err(error), "{at}");
    }
    assert_eq!(a.try_edit(&Edit::Put { value: json("[1]"), base: None }), Err(EditError::RootNotObject));
}

#[test]
fn increments_create_their_counter_and_say_so() {
    let mut a = Replica::new(1);
    let edit = Edit::Increment { pointer: pointer("/n"), by: 2 };
    assert!(a.try_edit(&edit).expect("created").created);
    assert!(!a.try_edit(&edit).expect("incremented").created);
    a.shows(r#"{"n": {"$counter": 4}}"#);
    a.set("/m", "4");
    let edit = Edit::Increment { pointer: pointer("/m"), by: 2 };
    assert_eq!(a.try_edit(&edit), Err(EditError::NotACounter(pointer("/m"))));
    for edit in [
        Edit::Increment { pointer: pointer("/n"), by: (1 << 40) + 1 },
        Edit::Increment { pointer: pointer("/new"), by: i64::MIN },
        Edit::Set { pointer: pointer("/n"), value: Json::Counter(1 << 41) },
        Edit::Set { pointer: pointer("/new"), value: Json::List(vec![Json::Counter(i64::MAX)]) },
    ] {
        assert_eq!(a.try_edit(&edit), Err(EditError::CounterOverflow), "{edit:?}");
    }
    assert_eq!(a.increment("/n", 1 << 40).len(), 1);
    assert!(a.increment("/n", 0).is_empty());
}

#[test]
fn deletion_and_recreation_share_one_history() {
    let (mut a, mut b) = pair(r#"{"x": 1, "m": {"y": 2}}"#);
    let before = a.document.heads();
    let deletion = a.edit(&Edit::Remove);
    assert_eq!(deletion.len(), 1);
    assert!(a.document.is_deleted(None));
    a.shows("{}");
    assert!(a.edit(&Edit::Remove).is_empty(), "a deleted document is not deleted again");
    assert_eq!(a.document.read(None, Some(&before)), Ok(json(r#"{"x": 1, "m": {"y": 2}}"#)));

    let edit = b.set("/x", "5");
    a.receive(&edit);
    assert!(!a.document.is_deleted(None), "a concurrent edit revives the document");
    let conflicts = a.document.conflicts().expect("readable");
    assert!(conflicts[0].pointer.is_root() && conflicts[0].values.iter().any(|value| value.value.is_none()));

    let (mut c, _) = pair(r#"{"x": 1}"#);
    c.edit(&Edit::Remove);
    assert_eq!(c.put("{}").len(), 1, "an empty document is not a deleted one");
    assert!(!c.document.is_deleted(None));
    assert_eq!(Replica::new(3).edit(&Edit::Remove).len(), 0);
    assert_eq!(Replica::new(3).put("{}").len(), 1);
}

#[test]
fn concurrent_maps_read_as_their_union_and_merge_on_the_next_write() {
    let (mut a, mut b) = pair("{}");
    let from_a = a.set("/limits", r#"{"cpu": 1, "deep": {"a": 1}, "both": "a"}"#);
    let from_b = b.set("/limits", r#"{"mem": 2, "deep": {"b": 2}, "both": "b"}"#);
    a.receive(&from_b);
    b.receive(&from_a);
    let union = r#"{"limits": {"cpu": 1, "mem": 2, "deep": {"a": 1, "b": 2}, "both": "b"}}"#;
    a.shows(union);
    b.shows(union);
    let conflicts = a.document.conflicts().expect("readable");
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].pointer, pointer("/limits/both"));
    let values: Vec<_> = conflicts[0].values.iter().map(|value| value.value.clone()).collect();
    assert_eq!(values, [Some(json(r#""b""#)), Some(json(r#""a""#))]);

    assert!(a.put(union).is_empty(), "what is shown is what is there");
    b.receive(&a.set("/limits/deep/c", "3"));
    b.receive(&a.set("/limits/cpu", "9"));
    b.shows(r#"{"limits": {"cpu": 9, "mem": 2, "deep": {"a": 1, "b": 2, "c": 3}, "both": "b"}}"#);
    b.put(r#"{"limits": {"mem": 2, "deep": {"b": 2, "c": 3}}}"#);
    b.shows(r#"{"limits": {"mem": 2, "deep": {"b": 2, "c": 3}}}"#);
    b.put(r#"{"limits": {}}"#);
    b.shows(r#"{"limits": {}}"#);
}

#[test]
fn many_heads_are_merged_in_steps() {
    let mut a = Replica::new(1);
    let start = a.put(r#"{"start": true}"#);
    let mut all = Vec::new();
    for number in 0..600_u16 {
        let [high, low] = number.to_be_bytes();
        let mut b = Replica::new(2);
        b.actor.0[..2].copy_from_slice(&[high, low]);
        b.receive(&start);
        all.extend(b.set(&format!("/n{number}"), "1"));
    }
    a.receive(&all);
    assert_eq!(a.document.heads().len(), 600);
    assert!(a.set("/start", "true").is_empty());
    let changes = a.set("/start", "false");
    assert!(changes.len() > 1 && a.document.heads().len() == 1);
    let mut b = Replica::new(200);
    b.receive(&start);
    b.receive(&all);
    b.receive(&changes);
    assert_eq!(b.document.heads(), a.document.heads());
    assert_eq!(b.document.read(None, None), a.document.read(None, None));
}

#[test]
fn an_edit_past_a_limit_leaves_the_document_as_it_was() {
    let mut a = Replica::new(1);
    a.put(r#"{"x": 1}"#);
    let heads = a.document.heads();
    let deep = "[".repeat(65) + &"]".repeat(65);
    let edit = Edit::Set { pointer: pointer("/x"), value: json(&deep) };
    assert_eq!(a.try_edit(&edit), Err(EditError::TooDeep));
    let edit = Edit::Set { pointer: pointer("/x"), value: Json::List(vec![Json::Float(f64::NAN)]) };
    assert_eq!(a.try_edit(&edit), Err(EditError::NotFinite));
    let incompressible: String =
        (0..1_100_000_u32).map(|n| char::from(b'a' + (n % 23 + n % 3) as u8)).collect();
    for value in [Json::String(incompressible.clone()), Json::Text(incompressible[..100_001].to_owned())] {
        let edit = Edit::Set { pointer: pointer("/x"), value };
        assert_eq!(a.try_edit(&edit), Err(EditError::TooLarge));
    }
    // Just too large only once encoded: taken back after the fact.
    let edit = Edit::Set {
        pointer: pointer("/x"),
        value: Json::String(incompressible[..1024 * 1024 - 20].to_owned()),
    };
    assert_eq!(a.try_edit(&edit), Err(EditError::TooLarge));
    assert_eq!(a.document.heads(), heads);
    a.shows(r#"{"x": 1}"#);
    assert_eq!(a.set("/x", "2").len(), 1);
    a.set("/x", &("[".repeat(64) + &"]".repeat(64)));
    let commit = Commit { actor: a.actor, time_seconds: 0, message: Some("delete") };
    let edit = Edit::Put { value: json("{}"), base: None };
    assert_eq!(a.document.edit(commit, &edit), Err(EditError::ReservedMessage));
}

#[test]
fn members_and_elements_are_removed_and_inserted_one_by_one() {
    let mut a = Replica::new(1);
    a.put(r#"{"x": 1, "list": ["a", "c"]}"#);
    a.edit(&Edit::Insert { pointer: pointer("/list/1"), value: json(r#""b""#) });
    a.edit(&Edit::Insert { pointer: pointer("/list/-"), value: json("{}") });
    a.edit(&Edit::Unset { pointer: pointer("/list/0") });
    a.edit(&Edit::Unset { pointer: pointer("/x") });
    a.shows(r#"{"list": ["b", "c", {}]}"#);
    for (edit, error) in [
        (Edit::Unset { pointer: pointer("/x") }, EditError::NotFound(pointer("/x"))),
        (Edit::Unset { pointer: pointer("/list/3") }, EditError::NotFound(pointer("/list/3"))),
        (Edit::Unset { pointer: pointer("/list/0/y") }, EditError::NotFound(pointer("/list/0/y"))),
        (Edit::Unset { pointer: pointer("") }, EditError::RootNotObject),
        (
            Edit::Insert { pointer: pointer("/list/9"), value: json("1") },
            EditError::NoPosition(pointer("/list/9")),
        ),
        (Edit::Insert { pointer: pointer("/y"), value: json("1") }, EditError::NotAList(pointer(""))),
    ] {
        assert_eq!(a.try_edit(&edit), Err(error), "{edit:?}");
    }
}

#[test]
fn splices_of_one_text_by_two_replicas_both_stay() {
    let (mut a, mut b) = pair(r#"{"t": {"$text": "the cat"}, "s": "plain"}"#);
    let splice = |at, delete, insert: &str| Edit::Splice {
        pointer: pointer("/t"),
        at,
        delete,
        insert: insert.to_owned(),
    };
    let from_a = a.edit(&splice(0, 3, "a"));
    let from_b = b.edit(&splice(7, 0, " sät"));
    a.receive(&from_b);
    b.receive(&from_a);
    a.shows(r#"{"t": {"$text": "a cat sät"}, "s": "plain"}"#);
    b.shows(r#"{"t": {"$text": "a cat sät"}, "s": "plain"}"#);
    let short = EditError::TextTooShort { pointer: pointer("/t"), length: 9 };
    assert_eq!(a.try_edit(&splice(9, 1, "")), Err(short.clone()));
    assert_eq!(a.try_edit(&splice(usize::MAX, usize::MAX, "")), Err(short));
    let plain = Edit::Splice { pointer: pointer("/s"), at: 0, delete: 0, insert: "x".into() };
    assert_eq!(a.try_edit(&plain), Err(EditError::NotAText(pointer("/s"))));
}

/// The examples of RFC 7396, appendix A, one level down.
#[test]
fn merge_patches_follow_the_rfc() {
    for (before, patch, after) in [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        let mut a = Replica::new(1);
        a.set("/x", before);
        a.edit(&Edit::Merge { pointer: pointer("/x"), patch: json(patch) });
        a.shows(&format!(r#"{{"x":{after}}}"#));
    }
}

#[test]
fn a_huge_concurrent_map_does_not_make_honest_writes_large() {
    let (mut a, mut b) = pair("{}");
    let members: Vec<String> = (0..3_000).map(|n| format!(r#""k{n}": {n}"#)).collect();
    // Of equal counters the higher actor wins, which is b.
    let huge = a.set("/m", &format!("{{{}}}", members.join(",")));
    let small = b.set("/m", r#"{"mine": 1}"#);
    a.receive(&small);
    b.receive(&huge);
    let changes = b.set("/m/mine", "2");
    let moved = starling_crdt::chunk::ChangeChunk::parse(&changes[0]).expect("sound").ops;
    assert!((2..=1_001).contains(&moved), "{moved} operations");
    a.receive(&changes);
    for replica in [&a, &b] {
        let Ok(Json::Map(members)) = replica.document.read(Some(&pointer("/m")), None) else {
            panic!("not a map");
        };
        assert_eq!(members.len(), 3_001);
        assert_eq!(members["mine"], Json::Integer(2));
    }
    for gone in ["/m/k2999", "/m/k0"] {
        b.edit(&Edit::Unset { pointer: pointer(gone) });
        assert!(b.document.read(Some(&pointer(gone)), None).is_err(), "{gone}");
    }
}

#[test]
fn a_member_of_a_losing_map_that_is_too_large_to_move_is_written_where_it_is() {
    let (mut a, mut b) = pair("{}");
    let members: Vec<String> = (0..2_000).map(|n| format!(r#""k{n}": {n}"#)).collect();
    let from_a = a.set("/m", &format!(r#"{{"big": {{{}}}, "small": 1}}"#, members.join(",")));
    let from_b = b.set("/m", r#"{"other": 2}"#);
    a.receive(&from_b);
    b.receive(&from_a);
    b.receive(&a.set("/m/big/k7", "70"));
    b.receive(&a.set("/m/new", "true"));
    a.receive(&b.edit(&Edit::Increment { pointer: pointer("/m/hits"), by: 3 }));
    for (at, value) in [("/m/big/k7", "70"), ("/m/new", "true"), ("/m/small", "1"), ("/m/other", "2")] {
        assert_eq!(a.document.read(Some(&pointer(at)), None), Ok(json(value)), "{at}");
        assert_eq!(b.document.read(Some(&pointer(at)), None), Ok(json(value)), "{at}");
    }
    assert_eq!(a.document.read(None, None), b.document.read(None, None));
}

#[test]
fn conflicts_name_every_value_with_its_author_and_change() {
    let (mut a, mut b) = pair(r#"{"list": [1], "same": 0}"#);
    let from_a = [a.set("/list/0", "10"), a.set("/same", "5")].concat();
    let from_b = [b.set("/list/0", r#""ten""#), b.set("/same", "5")].concat();
    a.receive(&from_b);
    let conflicts = a.document.conflicts().expect("readable");
    assert_eq!(conflicts.len(), 1, "equal plain values hide nothing: {conflicts:?}");
    assert_eq!(conflicts[0].pointer, pointer("/list/0"));
    let shown = a.document.read(Some(&pointer("/list/0")), None).ok();
    assert_eq!(conflicts[0].values[0].value, shown);
    let hashes: Vec<ChangeHash> = [&from_a[0], &from_b[0]]
        .map(|bytes| starling_crdt::chunk::ChangeChunk::parse(bytes).expect("sound").hash)
        .to_vec();
    for value in &conflicts[0].values {
        let place = usize::from(value.actor == b.actor);
        assert_eq!(value.change, hashes[place]);
    }
    a.set("/list/0", "11");
    assert!(a.document.conflicts().expect("readable").is_empty());
}
