//! What differs between two values, place by place.
//!
//! Promises: the differences, taken in order as operations of a JSON Patch (RFC 6902), turn the first
//! value into the second. What looks like a special form is one value, as it is to a pointer. Lists are
//! told apart by Myers with the same cap as writes have.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::hunks;
use super::json::Json;
use super::pointer::Pointer;
use crate::limits::SEQUENCE_DIFF_EDITS_MAX;

/// One place that differs. At least one side is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where, in the value as it is once all differences before this one were applied.
    pub pointer: Pointer,
    /// The value there before; none where there was nothing.
    pub before: Option<Json>,
    /// The value there afterwards; none where nothing is left.
    pub after: Option<Json>,
}

/// The differences that turn `before` into `after`.
pub fn compare(before: &Json, after: &Json) -> Vec<Difference> {
    let mut found = Vec::new();
    values(&Pointer::root(), before, after, &mut found);
    found
}

/// Recursion is bounded by the depth rule, which every value of a document obeys.
fn values(pointer: &Pointer, before: &Json, after: &Json, found: &mut Vec<Difference>) {
    match (before, after) {
        (Json::Map(before), Json::Map(after)) if entered(before) && entered(after) => {
            members(pointer, before, after, found);
        }
        (Json::List(before), Json::List(after)) => elements(pointer, before, after, found),
        _ if before == after => {}
        _ => found.push(difference(pointer.clone(), Some(before), Some(after))),
    }
}

/// Whether the members of a map have places of their own. A sole member that begins with `$` may be
/// spelt otherwise in JSON, so such a map is told as a whole.
fn entered(members: &BTreeMap<String, Json>) -> bool {
    members.len() != 1 || members.keys().all(|key| !key.starts_with('$'))
}

fn difference(pointer: Pointer, before: Option<&Json>, after: Option<&Json>) -> Difference {
    Difference { pointer, before: before.cloned(), after: after.cloned() }
}

fn members(
    pointer: &Pointer,
    before: &BTreeMap<String, Json>,
    after: &BTreeMap<String, Json>,
    found: &mut Vec<Difference>,
) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let place = pointer.child(key);
        match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => values(&place, before, after, found),
            (before, after) => found.push(difference(place, before, after)),
        }
    }
}

fn elements(pointer: &Pointer, before: &[Json], after: &[Json], found: &mut Vec<Difference>) {
    for hunk in hunks(before, after, SEQUENCE_DIFF_EDITS_MAX) {
        let (old, new) = (&before[hunk.old], &after[hunk.new.clone()]);
        let both = old.len().min(new.len());
        // Everything before the hunk is as it shall be, so its place is that in the new list.
        let place = |offset: usize| pointer.child((hunk.new.start + offset).to_string());
        for (offset, (old, new)) in old.iter().zip(new).enumerate() {
            values(&place(offset), old, new, found);
        }
        for gone in &old[both..] {
            found.push(difference(place(both), Some(gone), None));
        }
        for (offset, added) in new.iter().enumerate().skip(both) {
            found.push(difference(place(offset), None, Some(added)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    /// Applies one operation of a JSON Patch.
    fn apply(value: &mut Json, steps: &[String], difference: &Difference) {
        let Some((step, rest)) = steps.split_first() else {
            *value = difference.after.clone().expect("the root stays");
            return;
        };
        match value {
            Json::Map(members) if rest.is_empty() => {
                let old = match &difference.after {
                    Some(after) => members.insert(step.clone(), after.clone()),
                    None => members.remove(step),
                };
                assert_eq!(old, difference.before);
            }
            Json::Map(members) => apply(members.get_mut(step).expect("there"), rest, difference),
            Json::List(items) => {
                let place: usize = step.parse().expect("a position");
                match (&difference.before, &difference.after) {
                    _ if !rest.is_empty() => apply(&mut items[place], rest, difference),
                    (None, Some(after)) => items.insert(place, after.clone()),
                    (Some(before), None) => assert_eq!(&items.remove(place), before),
                    (Some(before), Some(after)) => {
                        assert_eq!(&std::mem::replace(&mut items[place], after.clone()), before);
                    }
                    (None, None) => panic!("a difference without sides"),
                }
            }
            other => panic!("{other:?} holds nothing"),
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            (0_i64..4).prop_map(Json::Integer),
            (0_i64..3).prop_map(Json::Counter),
            "[ab]{0,2}".prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::List);
            let key = prop_oneof![Just("a"), Just("b"), Just("$counter"), Just("~/")].prop_map(str::to_owned);
            let map = proptest::collection::btree_map(key, inner, 0..4).prop_map(Json::Map);
            prop_oneof![list, map]
        })
    }

    #[test]
    fn each_difference_is_told_where_it_is() {
        let before = json(r#"{"a": 1, "b": {"c": [1, 2, 3], "d": "x"}, "e": true}"#);
        let after = json(r#"{"a": 1, "b": {"c": [1, 9, 3, 4], "d": "y"}, "f": {"$counter": 2}}"#);
        let told: Vec<_> = compare(&before, &after)
            .into_iter()
            .map(|found| {
                let text = |side: Option<Json>| side.map_or("-".to_owned(), |value| value.to_text());
                format!("{} {} {}", found.pointer, text(found.before), text(found.after))
            })
            .collect();
        let expected = ["/b/c/1 2 9", "/b/c/3 - 4", r#"/b/d "x" "y""#, "/e true -", r#"/f - {"$counter":2}"#];
        assert_eq!(told, expected);
        assert_eq!(compare(&after, &after), []);
    }

    #[test]
    fn what_is_spelt_like_a_special_form_is_one_value() {
        let (before, after) = (json(r#"{"a": {"$$counter": 1}}"#), json(r#"{"a": {"$$counter": 2}}"#));
        let found = compare(&before, &after);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pointer.to_string(), "/a");
    }

    proptest! {
        #[test]
        fn differences_in_order_turn_one_value_into_the_other(before in any_json(), after in any_json()) {
            let mut value = before.clone();
            for difference in compare(&before, &after) {
                apply(&mut value, difference.pointer.steps(), &difference);
            }
            prop_assert_eq!(value, after);
        }
    }
}
