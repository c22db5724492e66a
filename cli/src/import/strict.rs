//! JSON as Starling means it.
//!
//! Promises: a member that stands twice in one object and an integer beyond 64 bits are refused
//! instead of silently changed, which is what a plain parser would do before the node could see them.
//! Leaves out: special forms and the depth of documents, which the node judges.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a text is no JSON to store, and the line it fails at, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct StrictError {
    /// The line.
    pub(crate) line: usize,
    /// The reason.
    pub(crate) why: String,
}

/// Parses one JSON value.
pub(crate) fn strict_json(text: &str) -> Result<Value, StrictError> {
    let refuse = |error: serde_json::Error| StrictError { line: error.line().max(1), why: error.to_string() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer).map_err(refuse)?;
    deserializer.end().map_err(refuse)?;
    match oversized_integer(text) {
        None => Ok(value),
        Some((line, digits)) => Err(StrictError {
            line,
            why: format!("the integer {digits} needs more than 64 bits; write it as a string"),
        }),
    }
}

/// The first integer of valid JSON that neither `i64` nor `u64` holds; the parser would round it.
fn oversized_integer(text: &str) -> Option<(usize, String)> {
    let bytes = text.as_bytes();
    let (mut at, mut line, mut in_string) = (0, 1, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'\n' => line += 1,
            b'-' | b'0'..=b'9' if !in_string => {
                let rest = &text[at..];
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                let number = &rest[..end.unwrap_or(rest.len())];
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some((line, number.chars().take(40).collect()));
                }
                at += number.len() - 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Reads a value and refuses duplicate members.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the member {name:?} stands twice in one object")));
            }
            let value = members.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::strict_json;

    #[test]
    fn what_a_plain_parser_reads_faithfully_is_the_same() {
        let text =
            r#"{"a":[1,-2,18446744073709551615,-9223372036854775808,0.5,1e300,null,true,"x\"9\\"],"b":{}}"#;
        assert_eq!(strict_json(text).unwrap(), serde_json::from_str::<serde_json::Value>(text).unwrap());
    }

    #[test]
    fn what_a_plain_parser_would_change_is_refused_with_its_line() {
        let rows = [
            ("{\"a\":1,\n\"a\":2}", 2, "stands twice"),
            ("[{\"x\":{\"b\":1,\"b\":1}}]", 1, "stands twice"),
            ("[1,\n\n18446744073709551616]", 3, "64 bits"),
            ("-9223372036854775809", 1, "64 bits"),
            ("{\"a\":1} x", 1, "trailing"),
            ("", 1, "EOF"),
        ];
        for (text, line, why) in rows {
            let error = strict_json(text).unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{text}: {error:?}");
        }
    }

    #[test]
    fn digits_in_strings_are_no_numbers() {
        assert!(strict_json("\"18446744073709551616 \\\" 99999999999999999999\"").is_ok());
    }

    #[test]
    fn nesting_is_bounded() {
        let text = "[".repeat(100_000);
        assert!(strict_json(&text).is_err());
    }
}
