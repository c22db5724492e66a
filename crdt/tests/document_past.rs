//! Going back to earlier states, and settling conflicts: each one change, or none.

use starling_crdt::document::{Commit, Document, Edit, EditError, Edited, Json, Pointer};
use starling_crdt::id::{Actor, ChangeHash};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn pointer(text: &str) -> Pointer {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

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

    fn set(&mut self, at: &str, text: &str) -> Vec<Vec<u8>> {
        self.edit(&Edit::Set { pointer: pointer(at), value: json(text) })
    }

    fn receive(&mut self, changes: &[Vec<u8>]) {
        let changes: Vec<&[u8]> = changes.iter().map(Vec::as_slice).collect();
        assert!(self.document.apply(&changes).is_empty());
    }

    fn text(&self) -> String {
        self.document.read(None, None).expect("readable").to_text()
    }
}

/// Two replicas that wrote `edits` without knowledge of each other, on `start`, and met.
fn met(start: &str, edits: [&Edit; 2]) -> [Replica; 2] {
    let (mut one, mut two) = (Replica::new(1), Replica::new(2));
    let changes = one.put(start);
    two.receive(&changes);
    let (first, second) = (one.edit(edits[0]), two.edit(edits[1]));
    one.receive(&second);
    two.receive(&first);
    assert_eq!(one.text(), two.text());
    [one, two]
}

fn set(at: &str, text: &str) -> Edit {
    Edit::Set { pointer: pointer(at), value: json(text) }
}

fn resolve(at: &str, text: Option<&str>) -> Edit {
    Edit::Resolve { pointer: pointer(at), value: text.map(json) }
}

#[test]
fn reverting_is_one_change_that_makes_the_document_what_it_was() {
    let mut one = Replica::new(1);
    let start = r#"{"a":1,"l":[1,2],"n":{"$counter":3},"t":{"$text":"day"}}"#;
    one.put(start);
    let then = one.document.heads();
    one.set("/a", "2");
    one.set("/l/0", "9");
    one.edit(&Edit::Increment { pointer: pointer("/n"), by: 4 });
    one.set("/new", "{}");
    let later = one.document.heads();
    let revert = Edit::Revert { to: then.clone() };
    assert_eq!(one.edit(&revert).len(), 1);
    assert_eq!(one.text(), start);
    assert_ne!(one.document.heads(), then, "what was written since stays in the history");
    assert_eq!(one.edit(&revert).len(), 0, "it is what it was");
    one.edit(&Edit::Revert { to: later });
    assert_eq!(one.document.read(Some(&pointer("/n")), None), Ok(Json::Counter(7)));
    let unknown = Edit::Revert { to: vec![ChangeHash([9; 32])] };
    assert_eq!(one.try_edit(&unknown), Err(EditError::UnknownBase(ChangeHash([9; 32]))));
}

#[test]
fn reverting_undoes_a_deletion_and_does_one_again() {
    let mut one = Replica::new(1);
    one.put(r#"{"a":1}"#);
    let alive = one.document.heads();
    one.edit(&Edit::Remove);
    let gone = one.document.heads();
    one.edit(&Edit::Revert { to: alive });
    assert_eq!(one.text(), r#"{"a":1}"#);
    assert!(!one.document.is_deleted(None));
    one.edit(&Edit::Revert { to: gone });
    assert!(one.document.is_deleted(None));
}

#[test]
fn the_shown_value_or_another_settles_a_conflict_on_every_replica() {
    for value in [None, Some("7"), Some(r#"{"deep":[1]}"#)] {
        let [mut one, mut two] = met(r#"{"a":1}"#, [&set("/a", "2"), &set("/a", "3")]);
        assert_eq!(one.document.conflicts().expect("sound").len(), 1);
        let shown = one.document.read(Some(&pointer("/a")), None).expect("there");
        let changes = one.edit(&resolve("/a", value));
        assert_eq!(changes.len(), 1);
        two.receive(&changes);
        for replica in [&one, &two] {
            assert_eq!(replica.document.conflicts(), Ok(vec![]));
            let expected = value.map_or(shown.clone(), json);
            assert_eq!(replica.document.read(Some(&pointer("/a")), None), Ok(expected));
        }
        assert_eq!(one.edit(&resolve("/a", None)).len(), 0, "nothing is left to settle");
    }
}

#[test]
fn conflicts_in_lists_and_of_objects_are_settled_where_they_are() {
    let [mut one, _] = met(r#"{"l":[0,1]}"#, [&set("/l/1", "[2]"), &set("/l/1", r#"{"$counter":5}"#)]);
    let shown = one.text();
    one.edit(&resolve("/l/1", None));
    assert_eq!((one.text(), one.document.conflicts()), (shown, Ok(vec![])));
    let missing = one.try_edit(&resolve("/no", None));
    assert_eq!(missing, Err(EditError::NotFound(pointer("/no"))));
    let [mut one, _] = met("{}", [&set("/m", r#"{"a":1}"#), &set("/m", "true")]);
    let shown = one.text();
    one.edit(&resolve("/m", None));
    assert_eq!((one.text(), one.document.conflicts()), (shown, Ok(vec![])));
}

#[test]
fn a_deletion_that_ran_into_edits_is_settled_at_the_root() {
    let [mut one, mut two] = met(r#"{"a":1}"#, [&Edit::Remove, &set("/b", "2")]);
    assert_eq!(one.document.conflicts().expect("sound").len(), 1);
    let shown = one.text();
    let changes = one.edit(&resolve("", None));
    assert_eq!(changes.len(), 1);
    two.receive(&changes);
    assert_eq!((one.text(), two.text()), (shown.clone(), shown));
    assert_eq!((one.document.conflicts(), two.document.conflicts()), (Ok(vec![]), Ok(vec![])));
    assert_eq!(one.edit(&resolve("", None)).len(), 0);
}
