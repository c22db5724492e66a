//! The JSON Schema of scenario files, for editors: made from the same description as the check.

use serde_json::{Map, Value, json};

use super::format::SCENARIO;
use super::shape::{Field, SELECTOR_TABLE, Shape};

/// The schema, as committed in `docs/schemas/scenario.json`.
pub fn schema() -> Value {
    let mut schema = of(&SCENARIO);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        members.insert("title".into(), json!("A Starling scenario, version 1"));
        // A file that extends another need not repeat what must be there in the whole.
        members.remove("required");
        members.insert(
            "anyOf".into(),
            json!([{ "required": ["extends"] }, { "required": required(&SCENARIO) }]),
        );
    }
    schema
}

fn required(shape: &Shape) -> Vec<&'static str> {
    let Shape::Table(fields) = shape else { return Vec::new() };
    fields.iter().filter(|field| field.required).map(|field| field.name).collect()
}

fn of(shape: &Shape) -> Value {
    let quantity =
        |units: &str| json!({ "type": "string", "pattern": format!("^-?[0-9]+(\\.[0-9]+)?({units})$") });
    match shape {
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Whole(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Span | Shape::Offset => quantity("us|ms|s|m|h|d|w"),
        Shape::Size => quantity("B|KiB|MiB|GiB"),
        Shape::Bandwidth => quantity("bit|kbit|Mbit|Gbit"),
        Shape::Until => json!({ "anyOf": [{ "const": "healed" }, of(&Shape::Span)] }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List(inner) => json!({ "type": "array", "items": of(inner) }),
        Shape::Selector => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
            of(&Shape::Table(SELECTOR_TABLE)),
        ] }),
        Shape::Table(fields) => table(fields.iter(), None),
        Shape::Tagged { tag, common, variants } => {
            let each = variants.iter().map(|variant| {
                let tagged = (*tag, variant.name, variant.words);
                table(common.iter().chain(variant.fields), Some(tagged))
            });
            json!({ "oneOf": each.collect::<Vec<_>>() })
        }
    }
}

fn table<'a>(
    fields: impl Iterator<Item = &'a Field>,
    tagged: Option<(&'static str, &'static str, &'static str)>,
) -> Value {
    let (mut members, mut required) = (Map::new(), Vec::new());
    if let Some((tag, name, _)) = tagged {
        members.insert(tag.into(), json!({ "const": name }));
        required.push(tag);
    }
    for field in fields {
        let mut member = of(&field.shape);
        if let Some(member) = member.as_object_mut() {
            member.insert("description".into(), json!(field.words));
        }
        members.insert(field.name.into(), member);
        required.extend(field.required.then_some(field.name));
    }
    let mut table = json!({ "type": "object", "properties": members, "additionalProperties": false });
    if let Some(table) = table.as_object_mut() {
        if !required.is_empty() {
            table.insert("required".into(), json!(required));
        }
        if let Some((.., words)) = tagged {
            table.insert("description".into(), json!(words));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_what_this_build_makes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/scenario.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let made = format!("{:#}\n", schema());
        assert!(
            committed == made,
            "docs/schemas/scenario.json is not current: write it with `starling-sim lint --schema > docs/schemas/scenario.json`"
        );
    }
}
