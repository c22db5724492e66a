//! YAML and TOML as JSON text.
//!
//! Promises: integers stay integers, TOML's times with an offset become Starling's `$time`, and what
//! JSON cannot say is refused rather than bent. Leaves out: comments, anchors' names and every other
//! thing that is not data.

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use super::{Fault, Origin};

/// The YAML documents of a file.
pub(super) fn yaml(text: &str, origin: &Origin) -> Result<Vec<String>, Fault> {
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let value = serde_yaml_ng::Value::deserialize(document).map_err(|error| Fault {
            origin: origin.at(error.location().map(|location| location.line())),
            why: format!("is no YAML: {error}"),
        })?;
        let value = json_of_yaml(value).map_err(|why| Fault { origin: origin.clone(), why })?;
        documents.push(value.to_string());
    }
    Ok(documents)
}

/// The TOML document of a file.
pub(super) fn toml(text: &str, origin: &Origin) -> Result<String, Fault> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
        Fault {
            origin: origin.at(Some(1 + before.matches('\n').count())),
            why: format!("is no TOML: {}", error.message()),
        }
    })?;
    json_of_toml(toml::Value::Table(table))
        .map(|value| value.to_string())
        .map_err(|why| Fault { origin: origin.clone(), why })
}

fn json_of_yaml(value: serde_yaml_ng::Value) -> Result<Value, String> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::String(text) => text.into(),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (_, Some(number), _) => number.into(),
            (_, _, Some(number)) => finite(number)?,
            _ => return Err(format!("holds the number {number}, which JSON cannot say")),
        },
        Yaml::Sequence(items) => items.into_iter().map(json_of_yaml).collect::<Result<_, _>>()?,
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                let name = match name {
                    Yaml::String(name) => name,
                    Yaml::Number(name) => name.to_string(),
                    Yaml::Bool(name) => name.to_string(),
                    _ => {
                        return Err(
                            "holds a mapping with a key that is no string, number or boolean".to_owned()
                        );
                    }
                };
                if object.insert(name.clone(), json_of_yaml(value)?).is_some() {
                    return Err(format!("holds the member `{name}` twice in one mapping"));
                }
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            return Err(format!("holds the tag {}, which JSON cannot say", tagged.tag));
        }
    })
}

fn json_of_toml(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => finite(number)?,
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) if time.offset.is_some() => {
            json!({ "$time": time.to_string() })
        }
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of_toml).collect::<Result<_, _>>()?,
        toml::Value::Table(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| Ok((name, json_of_toml(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}

fn finite(number: f64) -> Result<Value, String> {
    Number::from_f64(number)
        .map(Value::Number)
        .ok_or_else(|| format!("holds the number {number}, which JSON cannot say"))
}
