use std::collections::BTreeSet;

use starling_api::route;

use super::*;

/// What only a path without a route, or a method a route does not have, is answered with.
const OF_NO_ROUTE: [Code; 2] = [Code::UnknownRoute, Code::MethodNotAllowed];

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().into_iter().flat_map(Map::values);
    paths.flat_map(|path| path.as_object().into_iter().flat_map(Map::values))
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<&str> =
        document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let served: BTreeSet<String> = route::ALL.iter().map(|route| route.replace("{*", "{")).collect();
    assert_eq!(described, served.iter().map(String::as_str).collect());
}

#[test]
fn every_code_is_one_that_some_operation_says_it_refuses_with() {
    let document = document();
    let mut said = BTreeSet::new();
    for operation in operations(&document) {
        for answer in operation["responses"].as_object().expect("answers").values() {
            said.extend(answer["x-codes"].as_array().into_iter().flatten().filter_map(Value::as_str));
        }
    }
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !OF_NO_ROUTE.contains(code))
        .map(|code| code.name())
        .filter(|name| !said.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_reference_leads_somewhere_and_nothing_may_be_null() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("it is of this document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert!(!document.to_string().contains("null"), "{document}");
}

#[test]
fn operations_have_names_of_their_own_and_describe_their_paths() {
    let document = document();
    let mut names = BTreeSet::new();
    for operation in operations(&document) {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(names.insert(id), "{id} stands twice");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{id}");
        let answers = operation["responses"].as_object().expect("answers");
        assert!(answers.keys().any(|status| status.starts_with('2')) && answers.contains_key("500"), "{id}");
    }
    let parameters = &document["paths"][route::DOCUMENT.replace("{*", "{")]["put"]["parameters"];
    let named: Vec<&str> =
        parameters.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    for name in ["space", "name", "base", "if_heads", "confirm", "timeout", "If-Match", "Idempotency-Key"] {
        assert!(named.contains(&name), "{name} of {named:?}");
    }
}

#[test]
fn a_null_that_is_planted_is_taken_out() {
    let mut schema = json!({
        "type": ["string", "null"], "default": null,
        "properties": { "a": { "anyOf": [{ "$ref": "#/x" }, { "type": "null" }] } },
    });
    without_null(&mut schema);
    assert_eq!(schema, json!({ "type": "string", "properties": { "a": { "$ref": "#/x" } } }));
}
