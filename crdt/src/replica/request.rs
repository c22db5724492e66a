//! What tells one write from another that has the same request id.
//!
//! The digest is kept in the store for a day, so it is a hash over fields, like everything that is
//! signed: no version of this program and no change of a type's shape gives one write two digests.

use super::input::{Condition, Write};
use crate::codec::Signable;
use crate::document::{Edit, Patch, PatchStep};

/// A hash over document, edit and condition.
pub(super) fn digest(write: &Write) -> [u8; 32] {
    let start = Signable::new("starling/request").bytes(write.document.as_str().as_bytes());
    with_condition(with_edit(start, &write.edit), &write.condition).hash()
}

fn with_edit(fields: Signable, edit: &Edit) -> Signable {
    let named = |kind: u64, pointer: &crate::document::Pointer| {
        fields.clone().number(kind).bytes(pointer.to_string().as_bytes())
    };
    match edit {
        Edit::Put { value, base } => {
            let put = fields.clone().number(0).bytes(value.to_text().as_bytes());
            with_list(put, base.as_deref(), |hash| &hash.0)
        }
        Edit::Set { pointer, value } => named(1, pointer).bytes(value.to_text().as_bytes()),
        Edit::Unset { pointer } => named(2, pointer),
        Edit::Insert { pointer, value } => named(3, pointer).bytes(value.to_text().as_bytes()),
        Edit::Splice { pointer, at, delete, insert } => {
            named(4, pointer).number(*at as u64).number(*delete as u64).bytes(insert.as_bytes())
        }
        Edit::Merge { pointer, patch } => named(5, pointer).bytes(patch.to_text().as_bytes()),
        Edit::Increment { pointer, by } => named(6, pointer).number(by.cast_unsigned()),
        Edit::Remove => fields.clone().number(7),
        Edit::Resolve { pointer, value } => {
            let resolve = named(8, pointer).number(u64::from(value.is_some()));
            value.iter().fold(resolve, |fields, value| fields.bytes(value.to_text().as_bytes()))
        }
        Edit::Revert { to } => with_list(fields.clone().number(9), Some(to), |hash| &hash.0),
        Edit::Patch(patch) => with_patch(fields.clone().number(10), patch),
    }
}

fn with_patch(fields: Signable, patch: &Patch) -> Signable {
    patch.steps().iter().fold(fields.number(patch.steps().len() as u64), |fields, step| {
        let (kind, path, more) = match step {
            PatchStep::Add { path, value } => (0, path, Some(value.to_text())),
            PatchStep::Remove { path } => (1, path, None),
            PatchStep::Replace { path, value } => (2, path, Some(value.to_text())),
            PatchStep::Move { from, path } => (3, path, Some(from.to_string())),
            PatchStep::Copy { from, path } => (4, path, Some(from.to_string())),
            PatchStep::Test { path, value } => (5, path, Some(value.to_text())),
        };
        let fields = fields.number(kind).bytes(path.to_string().as_bytes());
        more.iter().fold(fields, |fields, more| fields.bytes(more.as_bytes()))
    })
}

fn with_condition(fields: Signable, condition: &Condition) -> Signable {
    let Condition { heads, tags, absent, present } = condition;
    let fields = with_list(fields, heads.as_deref(), |hash| &hash.0);
    let fields = with_list(fields, tags.as_deref(), |tag| &tag.0);
    fields.number(u64::from(*absent)).number(u64::from(*present))
}

/// An optional list is 0, or one more than its length and then its items.
fn with_list<T>(fields: Signable, list: Option<&[T]>, bytes: impl Fn(&T) -> &[u8]) -> Signable {
    let Some(list) = list else { return fields.number(0) };
    list.iter().fold(fields.number(1 + list.len() as u64), |fields, item| fields.bytes(bytes(item)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::document::Json;
    use crate::id::{ChangeHash, SpaceId};
    use crate::replica::EntityTag;

    fn write(edit: Edit, condition: Condition) -> Write {
        let document = "doc".parse().expect("a name");
        Write { space: SpaceId([1; 32]), document, edit, condition, request_id: Some("id".into()) }
    }

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    #[test]
    fn writes_that_differ_in_anything_have_different_digests() {
        let pointer = || "/a".parse().expect("a pointer");
        let hash = ChangeHash([2; 32]);
        let put = |base| Edit::Put { value: json(r#"{"a": 1}"#), base };
        let patch = |text: &str| Edit::Patch(Patch::of(json(text)).expect("a patch"));
        let edits = [
            put(None),
            put(Some(vec![])),
            put(Some(vec![hash])),
            put(Some(vec![hash, hash])),
            Edit::Put { value: json(r#"{"a": "1"}"#), base: None },
            Edit::Put { value: json(r#"{"a": {"$text": "1"}}"#), base: None },
            Edit::Set { pointer: pointer(), value: json("1") },
            Edit::Insert { pointer: pointer(), value: json("1") },
            Edit::Merge { pointer: pointer(), patch: json("1") },
            Edit::Unset { pointer: pointer() },
            Edit::Increment { pointer: pointer(), by: 1 },
            Edit::Increment { pointer: pointer(), by: -1 },
            Edit::Splice { pointer: pointer(), at: 1, delete: 0, insert: "x".into() },
            Edit::Splice { pointer: pointer(), at: 0, delete: 1, insert: "x".into() },
            Edit::Remove,
            Edit::Resolve { pointer: pointer(), value: None },
            Edit::Resolve { pointer: pointer(), value: Some(json("1")) },
            Edit::Revert { to: vec![] },
            Edit::Revert { to: vec![hash] },
            patch("[]"),
            patch(r#"[{"op": "add", "path": "/a", "value": 1}]"#),
            patch(r#"[{"op": "add", "path": "/a", "value": 2}]"#),
            patch(r#"[{"op": "replace", "path": "/a", "value": 1}]"#),
            patch(r#"[{"op": "test", "path": "/a", "value": 1}]"#),
            patch(r#"[{"op": "remove", "path": "/a"}]"#),
            patch(r#"[{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/b"}]"#),
            patch(r#"[{"op": "move", "from": "/b", "path": "/a"}]"#),
            patch(r#"[{"op": "copy", "from": "/b", "path": "/a"}]"#),
        ];
        let conditions = [
            Condition::default(),
            Condition { absent: true, ..Condition::default() },
            Condition { present: true, ..Condition::default() },
            Condition { heads: Some(vec![hash]), ..Condition::default() },
            Condition { tags: Some(vec![EntityTag([2; 16])]), ..Condition::default() },
        ];
        let mut digests = BTreeSet::new();
        for edit in &edits {
            for condition in &conditions {
                let one = write(edit.clone(), condition.clone());
                assert_eq!(digest(&one), digest(&one.clone()));
                assert!(digests.insert(digest(&one)), "{one:?}");
            }
        }
        let other =
            Write { document: "other".parse().expect("a name"), ..write(Edit::Remove, Condition::default()) };
        assert!(digests.insert(digest(&other)));
    }

    #[test]
    fn the_digest_is_the_hash_of_its_fields() {
        let by =
            write(Edit::Increment { pointer: "/n".parse().expect("a pointer"), by: 3 }, Condition::default());
        let fields = Signable::new("starling/request").bytes(b"doc").number(6).bytes(b"/n").number(3);
        let fields = fields.number(0).number(0).number(0).number(0);
        assert_eq!(digest(&by), fields.hash());
    }
}
