//! Quantities as people write them in a scenario: `"90s"`, `"-2s"`, `"64KiB"`, `"10Mbit"`.
//!
//! Each type holds a whole number of its smallest unit, prints the shortest exact form and reads back
//! what it prints. What it leaves out: ranges, which the scenario's description knows.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of virtual time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// A signed span of virtual time, in microseconds: how far a clock is ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// How much a link carries, in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(pub u64);

/// Units of time and what each is in microseconds, largest first.
const TIME_UNITS: [(&str, u64); 7] = [
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Units of size and what each is in bytes, largest first.
const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Units of bandwidth and what each is in bits per second, largest first.
const BANDWIDTH_UNITS: [(&str, u64); 4] =
    [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000_000)
    }

    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// The span in seconds, for arithmetic that may round.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Reads `text` as an amount with a unit, such as `1.5s`; an exact number of the smallest unit.
fn parse(text: &str, units: &[(&str, u64)], what: &str) -> Result<u64, String> {
    let text = text.trim();
    let example = units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join(", ");
    let wrong = || format!("{text:?} is not {what}: write a number and one of {example}");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (amount, unit) = (text[..split].trim(), &text[split..]);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(9));
    let number: u128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
    u64::try_from(number * u128::from(*factor) / scale).map_err(|_| wrong())
}

/// Prints the largest unit that divides `amount`.
fn print(amount: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let smallest = units.len() - 1;
    let fits = units.iter().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor));
    let (unit, factor) = fits.unwrap_or(if amount == 0 { &units[smallest.min(4)] } else { &units[smallest] });
    write!(f, "{}{unit}", amount / factor)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &TIME_UNITS, f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        print(self.0.unsigned_abs(), &TIME_UNITS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZE_UNITS, f)
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &BANDWIDTH_UNITS, f)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &TIME_UNITS, "a span of time").map(Self)
    }
}

impl std::str::FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sign, rest) = match text.trim().strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.trim().trim_start_matches('+')),
        };
        let amount = parse(rest, &TIME_UNITS, "a span of time")?;
        let amount = i64::try_from(amount).map_err(|_| format!("{text:?} is too long a span of time"))?;
        Ok(Self(sign * amount))
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &SIZE_UNITS, "a size").map(Self)
    }
}

impl std::str::FromStr for Bandwidth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &BANDWIDTH_UNITS, "a bandwidth").map(Self)
    }
}

/// Serialises a quantity as the string people write.
macro_rules! as_text {
    ($($quantity:ty),+) => {$(
        impl Serialize for $quantity {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

as_text!(Span, Offset, Size, Bandwidth);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_what_people_write_and_print_it_back() {
        for (text, micros) in
            [("90s", 90_000_000), ("7d", 604_800_000_000), ("1.5s", 1_500_000), ("250us", 250)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span(micros)), "{text}");
            assert_eq!(Span(micros).to_string().parse::<Span>(), Ok(Span(micros)));
        }
        assert_eq!("-2s".parse::<Offset>(), Ok(Offset(-2_000_000)));
        assert_eq!(Offset(-2_000_000).to_string(), "-2s");
        assert_eq!("64KiB".parse::<Size>(), Ok(Size(65_536)));
        assert_eq!("10Mbit".parse::<Bandwidth>(), Ok(Bandwidth(10_000_000)));
        assert_eq!((Span(0).to_string(), Size(0).to_string()), ("0s".to_owned(), "0B".to_owned()));
    }

    #[test]
    fn nonsense_is_refused_with_the_units_named() {
        for text in ["", "s", "5", "5 parsecs", "-1s", "1.2.3s", "99999999999999999999w", "1e3s"] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.contains("ms"), "{error}");
        }
    }
}
