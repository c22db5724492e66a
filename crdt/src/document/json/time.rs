//! RFC 3339 times to and from milliseconds since 1970-01-01 UTC.
//!
//! Years outside 0000 to 9999, which only a foreign program can have written, take a sign and as
//! many digits as they need, so that every value has a text and comes back from it. Calendar
//! arithmetic: Howard Hinnant, "chrono-compatible low-level date algorithms" (proleptic Gregorian).

const MS_PER_SECOND: i64 = 1_000;
const MS_PER_DAY: i64 = 86_400 * MS_PER_SECOND;
/// Days in 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
/// Most digits of a year that an `i64` of milliseconds can reach.
const YEAR_DIGITS_MAX: usize = 9;

/// The time as text, such as `2026-01-31T12:00:00.250Z`.
pub(super) fn format(ms: i64) -> String {
    let (year, month, day) = date_of(ms.div_euclid(MS_PER_DAY));
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (seconds, fraction) = (of_day / MS_PER_SECOND, of_day % MS_PER_SECOND);
    let year = match year {
        0..=9_999 => format!("{year:04}"),
        _ => format!("{year:+05}"),
    };
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let clock = format!("{hour:02}:{minute:02}:{second:02}");
    match fraction {
        0 => format!("{year}-{month:02}-{day:02}T{clock}Z"),
        _ => format!("{year}-{month:02}-{day:02}T{clock}.{fraction:03}Z"),
    }
}

/// The milliseconds of a text, digits of the fraction beyond the third dropped. A leap second
/// counts as the second after it.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let (year_text, rest) = rest.split_once('-')?;
    let signed = text.len() > year_text.len() + 1 + rest.len();
    let digits = if signed { 4..=YEAR_DIGITS_MAX } else { 4..=4 };
    if !digits.contains(&year_text.len()) {
        return None;
    }
    let year = sign * number(year_text)?;
    let (date, time) = rest.split_once(['T', 't', ' '])?;
    let (month, day) = date.split_once('-')?;
    let days = days_of(year, two_digits(month)?, two_digits(day)?)?;
    let (clock, offset_minutes) = split_offset(time)?;
    let (clock, fraction) = clock
        .split_once('.')
        .map_or(Some((clock, 0)), |(clock, digits)| Some((clock, milliseconds(digits)?)))?;
    let mut parts = clock.split(':');
    let (hour, minute, second) =
        (two_digits(parts.next()?)?, two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    // In 128 bits, since the first day of the range starts before its first millisecond.
    let ms = i128::from(days) * i128::from(MS_PER_DAY) + i128::from(seconds * MS_PER_SECOND + fraction);
    i64::try_from(ms).ok()
}

/// The clock text, and by how many minutes it is ahead of UTC.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (clock, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let ahead = hours * 60 + minutes;
    Some((clock, if offset.starts_with('-') { -ahead } else { ahead }))
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn two_digits(digits: &str) -> Option<i64> {
    (digits.len() == 2).then(|| number(digits))?
}

fn milliseconds(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let three: String = digits.chars().chain("00".chars()).take(3).collect();
    number(&three)
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_1970;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970-01-01, absent when the calendar has no such day.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * DAYS_PER_ERA + of_era - DAYS_TO_1970;
    (date_of(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_have_known_texts() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_790_000_000_250, "2026-09-21T14:13:20.250Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
        ] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        assert_eq!(parse("2026-01-31T12:00:00+01:30"), parse("2026-01-31T10:30:00Z"));
        assert_eq!(parse("2026-01-31t12:00:00.1239z"), parse("2026-01-31T12:00:00.123Z"));
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-01-31",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00Z",
            "26-01-31T12:00:00Z",
            "2026-1-31T12:00:00Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+1:30",
            "2026-01-31T12:00:00Zx",
            "é026-01-31T12:00:00Z",
            "2026-01-31T12:00:00é",
            "99999-01-31T12:00:00Z",
            "+999999999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
