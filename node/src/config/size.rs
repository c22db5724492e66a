//! A number of bytes as people write it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Units and the bytes in each, the largest first.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A number of bytes, one at least: `500MiB`, `10 GiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ByteSize(u64);

/// Why a text is no number of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size; say a whole number and KiB, MiB, GiB or TiB, such as 500MiB")]
pub struct ByteSizeError(String);

impl ByteSize {
    /// So many bytes.
    pub(super) const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let named = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name));
        let factor = if unit.is_empty() { Some(1) } else { named.map(|(_, factor)| *factor) };
        let bytes =
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| ByteSizeError(text.to_owned()))
    }
}

impl TryFrom<String> for ByteSize {
    type Error = ByteSizeError;

    fn try_from(text: String) -> Result<Self, ByteSizeError> {
        text.parse()
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (name, factor) = whole.copied().unwrap_or(("B", 1));
        write!(f, "{} {name}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_as_people_write_them() {
        let cases = [
            ("500MiB", 500 << 20, "500 MiB"),
            ("2 gib", 2 << 30, "2 GiB"),
            ("4096", 4096, "4 KiB"),
            ("7B", 7, "7 B"),
        ];
        for (text, bytes, shown) in cases {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown));
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "0", "MiB", "5 MB", "1.5GiB", "-1", "99999999TiB", "5 MiB of it"] {
            let error = text.parse::<ByteSize>().expect_err(text);
            assert!(error.to_string().contains("such as 500MiB"), "{error}");
        }
    }
}
