//! Bodies of writes: JSON, JSON Patch, JSON Merge Patch, JSON Pointer, and edits at a pointer.

use starling_crdt::document::{Commit, Document, Edit, Json, Patch, Pointer, canonical};
use starling_crdt::id::Actor;

const PATCHED: &str = r#"{"a": {"b": [1, "two", {"c": null}], "n": {"$counter": 4}}, "t": {"$text": "text"},
    "": 0, "~/": {"$bytes": "AAE="}, "when": {"$time": "2026-01-01T00:00:00Z"}}"#;

/// A kind; from the fourth on a pointer and a line break; then a value in JSON.
pub fn patch(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let (pointer, body) = match kind % 8 {
        0..=2 => (Pointer::root(), body),
        _ => {
            let end = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
            let text = std::str::from_utf8(&body[..end]).unwrap_or_default();
            let Ok(pointer) = text.parse::<Pointer>() else { return };
            assert_eq!(pointer.to_string().parse::<Pointer>().as_ref(), Ok(&pointer));
            (pointer, body.get(end + 1..).unwrap_or_default())
        }
    };
    let Ok(value) = Json::parse(body) else { return };
    assert_eq!(Json::parse(value.to_text()).as_ref(), Ok(&value), "written and read again");
    assert_eq!(Json::parse(value.to_text_pretty()).as_ref(), Ok(&value));
    if let Some(edit) = edit(*kind, pointer, value) {
        edits_alike(&edit);
    }
}

fn edit(kind: u8, pointer: Pointer, value: Json) -> Option<Edit> {
    Some(match (kind % 8, value) {
        (0, value) => Edit::Patch(Patch::of(value).ok()?),
        (1, patch) => Edit::Merge { pointer, patch },
        (2, value) => Edit::Put { value, base: None },
        (3, value) => Edit::Set { pointer, value },
        (4, value) => Edit::Insert { pointer, value },
        (5, Json::Integer(by)) => Edit::Increment { pointer, by },
        (5, Json::String(insert)) => {
            let (at, delete) = (usize::from(kind >> 3) % 6, usize::from(kind >> 6));
            Edit::Splice { pointer, at, delete, insert }
        }
        (5, _) => Edit::Unset { pointer },
        (6, Json::Null) => Edit::Resolve { pointer, value: None },
        (6, value) => Edit::Resolve { pointer, value: Some(value) },
        (_, patch) => Edit::Merge { pointer, patch },
    })
}

/// An edit gives one change that means the same elsewhere, or changes nothing.
pub fn edits_alike(edit: &Edit) {
    let mut document = Document::new();
    let commit = |actor| Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None };
    let start = Edit::Put { value: Json::parse(PATCHED).expect("an example"), base: None };
    document.edit(commit(1), &start).expect("a document");
    let mut copy = document.clone();
    let before = document.read(None, None).expect("it is readable");
    match document.edit(commit(2), edit) {
        Ok(edited) => {
            let changes: Vec<&[u8]> = edited.changes.iter().map(|change| change.bytes.as_slice()).collect();
            for change in &changes {
                canonical(change).expect("honest changes are canonical");
            }
            assert_eq!(copy.apply(&changes), Vec::new(), "an honest change is refused elsewhere");
            assert_eq!(copy.heads(), document.heads());
            assert_eq!(copy.read(None, None), document.read(None, None));
        }
        Err(_) => assert_eq!(document.read(None, None), Ok(before), "refused, and yet changed"),
    }
}
