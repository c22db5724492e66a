//! From what people write to heads: hashes, beginnings of hashes, or a time.

use jiff::{Timestamp, civil, tz::TimeZone};
use starling_api::{Code, Problem, heads::HEADS_MAX};
use starling_crdt::{
    document::{Document, HeadsFault},
    id::ChangeHash,
};

use super::{Inspected, problem};

/// What stands for the present state.
const NOW: &str = "now";

/// Refuses what can stand for no state of any document, before one is looked for.
///
/// # Errors
/// A problem that says what was expected.
pub(super) fn check(text: &str) -> Inspected<()> {
    let parts = parts(text);
    if text.trim() == NOW || seconds(text).is_some() {
        return Ok(());
    }
    if parts.is_empty() || parts.len() > HEADS_MAX {
        return Err(problem(Code::BadHeads, "expected heads, beginnings of heads, or a time"));
    }
    let spelt = Document::new().heads_named(parts);
    match spelt {
        Err(fault @ HeadsFault::NotAHash(_)) => Err(unnamed(&fault)),
        _ => Ok(()),
    }
}

fn parts(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The heads a text stands for.
pub(super) fn heads(document: &Document, text: &str) -> Inspected<Vec<ChangeHash>> {
    if text.trim() == NOW {
        return Ok(document.heads());
    }
    check(text)?;
    match seconds(text) {
        Some(seconds) => at_time(document, text, seconds),
        None => document.heads_named(parts(text)).map_err(|fault| unnamed(&fault)),
    }
}

/// Seconds since 1970 of a time; nothing for what is none.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    // Without an offset it is UTC, which is how times are shown.
    let civil = text.parse::<civil::DateTime>().ok().filter(|_| text.contains('-'))?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

fn at_time(document: &Document, text: &str, seconds: i64) -> Inspected<Vec<ChangeHash>> {
    let heads = document.heads_up_to(seconds);
    if !heads.is_empty() {
        return Ok(heads);
    }
    let earliest = document.earliest_claim().and_then(rfc3339).unwrap_or_else(|| "none".to_owned());
    let detail =
        format!("the document has no change that claims a time up to {text}; its earliest is {earliest}");
    Err(Box::new(
        Problem::new(Code::UnknownHeads, detail).with_hint("its history shows the times its authors claim"),
    ))
}

/// RFC 3339 of a claimed time; nothing for one that no calendar holds.
pub(super) fn rfc3339(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn unnamed(fault: &HeadsFault) -> Box<Problem> {
    let new = |code| Problem::new(code, fault.to_string());
    Box::new(match fault {
        HeadsFault::NotAHash(_) => {
            new(Code::BadHeads).with_hint("a time is written like 2026-01-31 or 2026-01-31T12:00:00Z")
        }
        HeadsFault::Unknown(_) => {
            new(Code::UnknownHeads).with_hint("its history shows the changes there are")
        }
        HeadsFault::Ambiguous { candidates, .. } => new(Code::AmbiguousHeads)
            .with_hint("say more digits")
            .with_candidates(candidates.iter().map(ToString::to_string).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_or_without_an_offset() {
        assert_eq!(seconds("1970-01-02T00:00:00Z"), Some(86_400));
        assert_eq!(seconds("1970-01-02T01:00:00+01:00"), Some(86_400));
        assert_eq!(seconds("1970-01-02"), Some(86_400));
        assert_eq!(seconds(" 1970-01-01T00:00:09.999Z "), Some(9));
        for text in ["", "deadbeef", "12345678", "20260131", "yesterday", "99999-01-01"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
