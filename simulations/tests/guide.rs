//! `docs/simulation.md`, from which people write their first scenario, names everything there is.

use serde_json::Value;
use starling_simulations::scenario::{load_text, schema::schema};

fn guide() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulation.md");
    std::fs::read_to_string(path).expect("the guide is there")
}

/// Words of the format: keys of these tables, and choices of these values.
fn words() -> Vec<String> {
    let schema = schema();
    let keys = |path: &str| -> Vec<String> {
        let table = schema.pointer(path).and_then(Value::as_object);
        table.unwrap_or_else(|| panic!("{path} is a table")).keys().cloned().collect()
    };
    let choices = |path: &str| -> Vec<String> {
        let words = schema.pointer(path).and_then(Value::as_array);
        let words = words.unwrap_or_else(|| panic!("{path} is a list")).iter();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let kinds = schema.pointer("/properties/fault/items/oneOf").and_then(Value::as_array);
    let kinds = kinds.expect("faults are of several kinds").iter();
    let mut words: Vec<String> = Vec::new();
    for kind in kinds {
        words.extend(kind.pointer("/properties/kind/const").and_then(Value::as_str).map(str::to_owned));
        words.extend(kind["properties"].as_object().into_iter().flat_map(|table| table.keys().cloned()));
    }
    for path in [
        "",
        "/properties/group/items",
        "/properties/network",
        "/properties/workload",
        "/properties/random",
        "/properties/expect",
    ] {
        words.extend(keys(&format!("{path}/properties")));
    }
    words.extend(choices("/properties/network/properties/preset/enum"));
    words.extend(choices("/properties/group/items/properties/region/enum"));
    words.extend(choices("/properties/group/items/properties/behaviour/enum"));
    words.extend(choices("/properties/fault/items/oneOf/0/properties/shape/enum"));
    words
}

#[test]
fn the_guide_names_every_key_and_every_word() {
    let guide = guide();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let said: Vec<&str> = guide.split(|c: char| !is_part(c)).collect();
    let words = words();
    assert!(words.len() > 80, "{words:?}");
    let missing: Vec<String> = words.into_iter().filter(|word| !said.contains(&word.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_scenario_in_the_guide_loads() {
    let guide = guide();
    let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut count = 0;
    for block in blocks {
        count += 1;
        let loaded = load_text("the guide", block, None);
        assert!(loaded.is_ok(), "{loaded:#?}");
    }
    assert!(count > 0, "the guide shows a scenario");
}
