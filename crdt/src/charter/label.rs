//! Names that people give to nodes and spaces.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode};

use crate::limits::LABEL_BYTES_MAX;

/// Why a text is no name of a node or a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Nothing there.
    #[error("name is empty")]
    Empty,
    /// Over 64 bytes.
    #[error("name is longer than {LABEL_BYTES_MAX} bytes")]
    TooLong,
    /// White space at an end makes names that look equal differ.
    #[error("name starts or ends with white space")]
    OuterSpace,
    /// Would garble or reorder what a terminal shows.
    #[error("name holds a control character")]
    Control,
}

/// A name of a node or a space: 1 to 64 bytes of text that fits on a line. Names are not unique;
/// keys and space ids are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Label(#[n(0)] String);

impl Label {
    /// Checks the rules above.
    ///
    /// # Errors
    /// [`LabelError`] with the rule that is broken.
    pub fn new(text: impl Into<String>) -> Result<Self, LabelError> {
        let text = text.into();
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.len() > LABEL_BYTES_MAX {
            return Err(LabelError::TooLong);
        }
        if text.trim() != text {
            return Err(LabelError::OuterSpace);
        }
        if text.chars().any(is_unprintable) {
            return Err(LabelError::Control);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line and paragraph separators, and those that change the direction of text
/// (Unicode Standard Annex 9, section 2).
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<'b, C> Decode<'b, C> for Label {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(|error| minicbor::decode::Error::message(error.to_string()))
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::new(text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_rules() {
        for good in ["a", "web 1", "küche", "雪", &"x".repeat(64)] {
            assert!(Label::new(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", LabelError::Empty),
            (" a", LabelError::OuterSpace),
            ("a\n", LabelError::OuterSpace),
            ("a\tb", LabelError::Control),
            ("a\u{202e}b", LabelError::Control),
            ("a\u{1b}[2Jb", LabelError::Control),
            (&"x".repeat(65), LabelError::TooLong),
        ] {
            assert_eq!(Label::new(bad), Err(error), "{bad:?}");
        }
    }
}
