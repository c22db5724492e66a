//! JSON out, through serde, so that a value can also be a part of a larger answer.

use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

use super::{Json, forms, time};

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Unsigned(number) => serializer.serialize_u64(*number),
            Self::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Float(_) => Err(S::Error::custom("a number that is not finite has no JSON form")),
            Self::String(text) => serializer.serialize_str(text),
            Self::Counter(number) => form(serializer, "$counter", number),
            Self::Text(text) => form(serializer, "$text", text),
            Self::Bytes(bytes) => form(serializer, "$bytes", &forms::bytes_text(bytes)),
            Self::Time(ms) => form(serializer, "$time", &time::format(*ms)),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(members) => match members.first_key_value() {
                Some((key, value)) if members.len() == 1 => form(serializer, &forms::write_key(key), value),
                _ => serializer.collect_map(members),
            },
        }
    }
}

/// An object with one member.
fn form<S: Serializer>(serializer: S, key: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// Compact JSON.
pub(super) fn compact(value: &Json) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| not_finite())
}

/// Indented JSON.
pub(super) fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| not_finite())
}

/// Writing to memory fails only for a number that is not finite, which neither the parser nor a
/// document yields; a value made by hand that holds one reads as null, as in other JSON writers.
fn not_finite() -> String {
    "null".to_owned()
}
