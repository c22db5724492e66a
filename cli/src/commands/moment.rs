//! States of a document as people name them: heads, beginnings of heads, times, and how long ago.

use jiff::{SignedDuration, Timestamp};

use crate::args;

/// What to ask a node for: a time span becomes the time so long ago, anything else stays.
pub(crate) fn asked(text: &str) -> String {
    // Digits and the letters a to f could be a hash, and then are.
    let could_be_hash = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match args::duration(text) {
        Ok(span) if !could_be_hash => ago(span).unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

fn ago(span: std::time::Duration) -> Option<String> {
    let span = SignedDuration::try_from(span).ok()?;
    Some(Timestamp::now().checked_sub(span).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn spans_become_times_and_the_rest_stays() {
        for text in ["deadbeef", "1234d", "2026-01-31", "2026-01-31T00:00:00Z", "nonsense", "ab12,cd34"] {
            assert_eq!(asked(text), text);
        }
        for span in ["10m", "24h", "5d", "90s"] {
            assert!(asked(span).parse::<jiff::Timestamp>().is_ok(), "{span}");
        }
        assert_eq!(asked("99999999999d"), "99999999999d");
    }
}
