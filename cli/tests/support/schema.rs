//! Whether a value has the shape of a JSON Schema in `docs/schemas/`.
//!
//! Promises: every keyword of JSON Schema 2020-12 that those files use is judged, and one that is not
//! known here fails the test, so that nothing is passed over. Of patterns it knows the two kinds used: so
//! many hex digits, and JSON pointers. Leaves out references.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Asserts that a value fits the schema of that name.
#[track_caller]
pub fn fits(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).expect("a schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let wrong = complaint(&schema, value);
    assert!(wrong.is_none(), "{name}: {} in {value:#}", wrong.unwrap_or_default());
}

/// What is wrong with a value, if anything.
pub fn complaint(schema: &Value, value: &Value) -> Option<String> {
    let keywords = schema.as_object().expect("a schema is an object");
    keywords.iter().find_map(|(keyword, rule)| judge(schema, keyword, rule, value))
}

fn judge(schema: &Value, keyword: &str, rule: &Value, value: &Value) -> Option<String> {
    let number = || rule.as_u64().expect("a number");
    let items = || value.as_array().into_iter().flatten();
    let members = || value.as_object().into_iter().flatten();
    let wrong = match keyword {
        "$schema" | "title" | "description" => false,
        "type" => !is_a(rule.as_str().expect("a type"), value),
        "const" => rule != value,
        "enum" => !rule.as_array().expect("alternatives").contains(value),
        "minimum" => value.as_f64().is_some_and(|value| value < number() as f64),
        "minItems" => value.as_array().is_some_and(|items| (items.len() as u64) < number()),
        "format" => !is_formatted(rule.as_str().expect("a format"), value),
        "pattern" => value.as_str().is_some_and(|text| !matches(rule.as_str().expect("a pattern"), text)),
        "required" => {
            let names = rule.as_array().expect("names");
            value.is_object() && names.iter().any(|name| value.get(name.as_str().expect("a name")).is_none())
        }
        "additionalProperties" => {
            assert_eq!(rule, &Value::Bool(false), "only this is known here");
            members().any(|(name, _)| schema["properties"].get(name).is_none())
        }
        "oneOf" => {
            let alternatives = rule.as_array().expect("alternatives").iter();
            alternatives.filter(|schema| complaint(schema, value).is_none()).count() != 1
        }
        "items" => return items().find_map(|item| complaint(rule, item)),
        "properties" => {
            return members()
                .find_map(|(name, value)| Some(format!("{name}: {}", complaint(rule.get(name)?, value)?)));
        }
        other => panic!("the keyword {other:?} is not judged here"),
    };
    wrong.then(|| format!("{keyword} {rule} does not hold of {value}"))
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the type {other:?} is not judged here"),
    }
}

fn is_formatted(format: &str, value: &Value) -> bool {
    assert_eq!(format, "date-time", "only this is known here");
    value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

fn matches(pattern: &str, text: &str) -> bool {
    if pattern == "^(/.*)?$" {
        return text.is_empty() || text.starts_with('/');
    }
    let digits = pattern.strip_prefix("^[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
    let digits: usize = digits.and_then(|digits| digits.parse().ok()).expect("a pattern known here");
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
