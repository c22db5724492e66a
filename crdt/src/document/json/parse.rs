//! The JSON parser (RFC 8259): strict, exact about numbers, and saying where a text goes wrong.
//!
//! Our own, because `serde_json` turns whole numbers beyond 64 bits into floats, keeps the last of
//! duplicate members, and cannot name the place of either.

use std::collections::BTreeMap;
use std::fmt;

use super::Json;
use super::forms::{self, Key};
use crate::limits::JSON_DEPTH_MAX;

/// Why a text is no JSON value a document can hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    End,
    /// Something else was expected.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The bytes are not UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// An escape in a string is none of JSON's, or half of a surrogate pair.
    #[error("a string escape that JSON does not have")]
    Escape,
    /// A whole number beyond 64 bits.
    #[error("the whole number {0} does not fit 64 bits; write it as a string to keep its digits")]
    IntegerTooLarge(NumberText),
    /// A number beyond the range of a float.
    #[error("the number {0} does not fit a 64-bit float")]
    FloatTooLarge(NumberText),
    /// A member that is there twice.
    #[error("the member {0:?} is there twice")]
    DuplicateMember(String),
    /// Nested deeper than a document may be.
    #[error("nesting deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A special form with a value it cannot have.
    #[error("{0}")]
    Form(&'static str),
}

/// The digits of a number, shortened for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberText(String);

/// Most characters of a number shown in a message.
const NUMBER_SHOWN_MAX: usize = 40;

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get(..NUMBER_SHOWN_MAX) {
            Some(start) => write!(f, "{start}…"),
            None => f.write_str(&self.0),
        }
    }
}

/// Reads exactly one value.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    let (text, utf8) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, Ok(())),
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            (std::str::from_utf8(valid).unwrap_or_default(), Err(JsonErrorKind::NotUtf8))
        }
    };
    let mut parser = Parser { text, at: 0, depth: 0 };
    let outcome = utf8.map_err(|kind| Fault { kind, at: text.len() }).and_then(|()| parser.whole());
    outcome.map_err(|fault| locate(text, fault))
}

/// What is wrong, and at which byte.
struct Fault {
    kind: JsonErrorKind,
    at: usize,
}

fn locate(text: &str, fault: Fault) -> JsonError {
    let before = text.get(..fault.at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    JsonError {
        kind: fault.kind,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Result<Json, Fault> {
        let value = self.value()?;
        self.skip_space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    fn value(&mut self) -> Result<Json, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.expected("a JSON value")),
            None => Err(self.fault(JsonErrorKind::End)),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, Fault>) -> Result<Json, Fault> {
        // The bound on recursion: each level of nesting passes here.
        if self.depth == JSON_DEPTH_MAX {
            return Err(self.fault(JsonErrorKind::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Result<Json, Fault> {
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Json::List(items));
            }
            self.need(b',', "`,` or `]`")?;
        }
    }

    fn object(&mut self) -> Result<Json, Fault> {
        let start = self.at - 1;
        let mut members = BTreeMap::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Json::Map(members));
        }
        loop {
            self.skip_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member's name in double quotes"));
            }
            let key = self.string()?;
            if members.contains_key(&key) {
                return Err(Fault { kind: JsonErrorKind::DuplicateMember(key), at: key_at });
            }
            self.skip_space();
            self.need(b':', "`:`")?;
            let value = self.value()?;
            members.insert(key, value);
            self.skip_space();
            if self.eat(b'}') {
                return special(members).map_err(|why| Fault { kind: JsonErrorKind::Form(why), at: start });
            }
            self.need(b',', "`,` or `}`")?;
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            string.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return Err(self.expected("an escape instead of a control character")),
                None => {
                    return Err(Fault { kind: JsonErrorKind::End, at: start });
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let wrong = || Fault { kind: JsonErrorKind::Escape, at: start };
        let letter = self.text.as_bytes().get(self.at + 1).copied().ok_or_else(wrong)?;
        self.at += 2;
        match letter {
            b'"' | b'\\' | b'/' => Ok(char::from(letter)),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'n' => Ok('\n'),
            b'r' => Ok('\r'),
            b't' => Ok('\t'),
            b'u' => {
                let high = self.hex().ok_or_else(wrong)?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high).ok_or_else(wrong);
                }
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(wrong());
                }
                let low = self.hex().filter(|low| (0xdc00..0xe000).contains(low)).ok_or_else(wrong)?;
                char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let number = digits
            .iter()
            .try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))?;
        self.at += 4;
        Some(number)
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let start = self.at;
        let negative = self.eat(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits()?;
        if leading_zero && whole > 1 {
            return Err(Fault { kind: JsonErrorKind::Expected("a number without leading zeros"), at: start });
        }
        let mut float = false;
        if self.eat(b'.') {
            float = true;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            float = true;
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let too_large = |kind: fn(NumberText) -> JsonErrorKind| Fault {
            kind: kind(NumberText(text.to_owned())),
            at: start,
        };
        if float {
            let number: f64 = text.parse().map_err(|_| too_large(JsonErrorKind::FloatTooLarge))?;
            return if number.is_finite() {
                Ok(Json::Float(number))
            } else {
                Err(too_large(JsonErrorKind::FloatTooLarge))
            };
        }
        let whole = if negative {
            text.parse().ok().map(Json::Integer)
        } else {
            text.parse().ok().map(Json::unsigned)
        };
        whole.ok_or_else(|| too_large(JsonErrorKind::IntegerTooLarge))
    }

    /// One or more digits, and how many.
    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(self.expected("a digit")),
            count => Ok(count),
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Result<Json, Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.eat(byte) { Ok(()) } else { Err(self.expected(what)) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn fault(&self, kind: JsonErrorKind) -> Fault {
        Fault { kind, at: self.at }
    }

    fn expected(&self, what: &'static str) -> Fault {
        let kind =
            if self.at == self.text.len() { JsonErrorKind::End } else { JsonErrorKind::Expected(what) };
        self.fault(kind)
    }
}

/// Turns an object with one member into the special form it stands for, or takes its escape off.
fn special(mut members: BTreeMap<String, Json>) -> Result<Json, &'static str> {
    if members.len() != 1 {
        return Ok(Json::Map(members));
    }
    match members.pop_first() {
        None => Ok(Json::Map(members)),
        Some((key, value)) => match forms::read_key(&key) {
            Key::Form(form) => forms::read(form, value),
            Key::Plain(plain) => Ok(Json::Map(BTreeMap::from([(plain.to_owned(), value)]))),
        },
    }
}
