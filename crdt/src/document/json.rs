//! JSON as documents hold it: exact integers, and four special forms for values that JSON lacks.
//!
//! Promises: [`Json::parse`] and [`Json::to_text`] are inverse to each other, for every value a
//! document can hold; a text with duplicate members, with a number that would lose digits, or
//! nested too deep is refused with the place where it goes wrong.
//!
//! Special forms are objects with one member: `{"$counter": 3}`, `{"$text": "…"}`,
//! `{"$bytes": "base64"}`, `{"$time": "RFC 3339"}`. An object that only looks like one is written
//! with one more `$`: `{"$$counter": 3}` stands for the plain object `{"$counter": 3}`, and so on
//! for any number of `$`. Every other member that starts with `$` is plain.

mod forms;
mod parse;
mod time;
mod write;

use std::collections::BTreeMap;

pub use parse::{JsonError, JsonErrorKind};

use crate::limits::COUNTER_START_MAX;

/// A JSON value, as a document holds it.
#[derive(Debug, Clone)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits an `i64`.
    Integer(i64),
    /// A whole number above `i64::MAX` that fits a `u64`.
    Unsigned(u64),
    /// Any other number; always finite.
    Float(f64),
    /// A text that is replaced as a whole.
    String(String),
    /// A counter: concurrent increments add up. `{"$counter": 3}`.
    Counter(i64),
    /// A text edited character by character. `{"$text": "…"}`.
    Text(String),
    /// Bytes. `{"$bytes": "base64"}`.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970-01-01 UTC. `{"$time": "RFC 3339"}`.
    Time(i64),
    /// An array.
    List(Vec<Json>),
    /// An object that is no special form.
    Map(BTreeMap<String, Json>),
}

impl Json {
    /// Reads one JSON value, special forms included.
    ///
    /// # Errors
    /// [`JsonError`] with the line and column where the text is no such value.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, JsonError> {
        parse::parse(text.as_ref())
    }

    /// Writes the value as compact JSON, special forms and escapes included.
    pub fn to_text(&self) -> String {
        write::compact(self)
    }

    /// Writes the value as JSON with two spaces of indentation.
    pub fn to_text_pretty(&self) -> String {
        write::pretty(self)
    }

    /// How many containers lie inside each other: 0 for a value without parts, 1 for a list, a map
    /// or a text that holds no further one.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(members) => 1 + members.values().map(Self::depth).max().unwrap_or(0),
            Self::Text(_) => 1,
            _ => 0,
        }
    }

    /// Whether every number is finite: always so for a parsed value, and for one a document holds.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Float(number) => number.is_finite(),
            Self::List(items) => items.iter().all(Self::is_finite),
            Self::Map(members) => members.values().all(Self::is_finite),
            _ => true,
        }
    }

    /// Whether every counter may start at its value.
    pub(super) fn counters_fit(&self) -> bool {
        match self {
            Self::Counter(number) => number.unsigned_abs() <= COUNTER_START_MAX.unsigned_abs(),
            Self::List(items) => items.iter().all(Self::counters_fit),
            Self::Map(members) => members.values().all(Self::counters_fit),
            _ => true,
        }
    }

    /// How many operations write the value.
    pub(super) fn ops(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::ops).sum::<usize>(),
            Self::Map(members) => 1 + members.values().map(Self::ops).sum::<usize>(),
            Self::Text(text) => 1 + text.chars().count(),
            _ => 1,
        }
    }

    /// A whole number, in the variant it belongs to.
    pub fn unsigned(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Unsigned(number), Self::Integer)
    }
}

/// Equal values are those a document need not change to become each other.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Integer(a), Self::Integer(b))
            | (Self::Counter(a), Self::Counter(b))
            | (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Unsigned(a), Self::Unsigned(b)) => a == b,
            // Automerge takes equal numbers for one value; what is not finite must still equal itself.
            (Self::Float(a), Self::Float(b)) => a == b || a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) | (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Json {}
