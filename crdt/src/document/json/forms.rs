//! Special forms and their escapes: what a sole member's key means, in both directions.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Json, time};

/// The names of the special forms, without their `$`.
const NAMES: [&str; 4] = ["counter", "text", "bytes", "time"];

/// What the key of an object's only member says.
pub(super) enum Key<'a> {
    /// The key of a special form.
    Form(&'static str),
    /// A plain key, one `$` taken off where it was an escape.
    Plain(&'a str),
}

/// Whether the key is a form's name behind one or more `$`, and that name.
fn form_of(key: &str) -> Option<&'static str> {
    let bare = key.trim_start_matches('$');
    let name = NAMES.into_iter().find(|name| *name == bare)?;
    (bare.len() < key.len()).then_some(name)
}

/// Reads the key of an object's only member.
pub(super) fn read_key(key: &str) -> Key<'_> {
    match form_of(key) {
        Some(name) if key.len() == name.len() + 1 => Key::Form(name),
        Some(_) => Key::Plain(&key[1..]),
        None => Key::Plain(key),
    }
}

/// The key with which an object's only member is written.
pub(super) fn write_key(key: &str) -> Cow<'_, str> {
    match form_of(key) {
        Some(_) => Cow::Owned(format!("${key}")),
        None => Cow::Borrowed(key),
    }
}

/// The value of a special form, or what it should have been.
pub(super) fn read(form: &'static str, value: Json) -> Result<Json, &'static str> {
    match (form, value) {
        ("counter", Json::Integer(number)) => Ok(Json::Counter(number)),
        ("counter", _) => Err("$counter needs a whole number that fits 64 bits with sign"),
        ("text", Json::String(text)) => Ok(Json::Text(text)),
        ("text", _) => Err("$text needs a string"),
        ("bytes", Json::String(text)) => {
            let bytes = STANDARD.decode(text).map_err(|_| "$bytes needs standard base64 with padding")?;
            Ok(Json::Bytes(bytes))
        }
        ("bytes", _) => Err("$bytes needs a string of base64"),
        (_, Json::String(text)) => {
            time::parse(&text).map(Json::Time).ok_or("$time needs a time such as 2026-01-31T12:00:00Z")
        }
        (_, _) => Err("$time needs a string such as 2026-01-31T12:00:00Z"),
    }
}

/// The text of bytes in a `$bytes` form.
pub(super) fn bytes_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
