//! States of a document as people name them: heads, beginnings of heads, times, and how long ago.

use jiff::{SignedDuration, Timestamp, civil};

use crate::args;

/// Hex digits of a whole hash, and the fewest that stand for it.
const HASH_DIGITS: usize = 64;
const HASH_DIGITS_MIN: usize = 4;

/// What to ask a node for: a time span becomes the time so long ago, anything else stays.
pub(crate) fn asked(text: &str) -> String {
    // Digits and the letters a to f could be a hash, and then are.
    let could_be_hash = text.len() >= HASH_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match args::duration(text) {
        Ok(span) if !could_be_hash => ago(span).unwrap_or_else(|| text.to_owned()),
        _ => text.to_owned(),
    }
}

/// The same for a state of a document, which must be one: heads, beginnings of them, a time, a span, `now`.
pub(crate) fn state(text: &str) -> Result<String, String> {
    let asked = asked(text);
    let hash = |part: &str| {
        (HASH_DIGITS_MIN..=HASH_DIGITS).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let heads = asked.split(',').map(str::trim).all(hash);
    // Without an offset a time is UTC.
    let civil = || asked.contains('-') && asked.parse::<civil::DateTime>().is_ok();
    if asked == "now" || heads || asked.parse::<Timestamp>().is_ok() || civil() {
        return Ok(asked);
    }
    Err(format!(
        "write heads of {HASH_DIGITS_MIN} to {HASH_DIGITS} hex digits, a time such as 2026-01-31T12:00:00Z, a span \
such as 24h, or now"
    ))
}

fn ago(span: std::time::Duration) -> Option<String> {
    let span = SignedDuration::try_from(span).ok()?;
    Some(Timestamp::now().checked_sub(span).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::{asked, state};

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

    #[test]
    fn what_can_be_no_state_is_refused() {
        for good in ["now", "abcd", "ABCD, 012345", "2026-01-31", "2026-01-31T12:00:00+02:00"] {
            assert_eq!(state(good).as_deref(), Ok(good));
        }
        assert!(state("24h").is_ok());
        for bad in ["", "zz", "abc", "yesterday", "abcd,", "a/b", &"0".repeat(65)] {
            assert!(state(bad).is_err_and(|why| why.contains("64 hex digits")), "{bad}");
        }
    }
}
