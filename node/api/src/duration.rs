//! Time spans as people write them (`500ms`, `5s`, `10m`, `24h`, `7d`), and as they read them.

use std::time::Duration;

/// Why a text is no time span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration: write a number and ms, s, m, h or d, such as 90s or 24h")]
pub struct DurationError(String);

/// Reads a number and its unit, without anything between.
///
/// # Errors
/// [`DurationError`] for anything else, and for more than 64 bits of milliseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let wrong = || DurationError(text.to_owned());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// A time span for people: two units at most.
#[must_use]
pub fn told(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_in_two_units() {
        assert_eq!(told(Duration::from_millis(7)), "7 ms");
        assert_eq!(told(Duration::from_millis(61_500)), "1 min 1 s");
        assert_eq!(told(Duration::from_secs(90_000)), "1 d 1 h");
    }

    #[test]
    fn durations_need_a_known_unit() {
        assert_eq!(parse("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "5", "h", "5 s", "-5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
