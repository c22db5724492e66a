//! Heads and positions, as text.

use serde::{Deserialize, Serialize};

/// Most hashes that one `Heads` read from text may hold; far above what a document ever shows at once.
pub const HEADS_MAX: usize = 1_024;

const HASH_HEX_LENGTH: usize = 64;

/// The heads of a document: change hashes in lower-case hex, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Heads(Vec<String>);

/// Why a text is not heads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadsError {
    /// One part is not 64 hex digits.
    #[error("{0:?} is not a change hash of 64 hex digits")]
    NotAHash(String),
    /// More hashes than one request may name.
    #[error("{0} hashes, more than the {HEADS_MAX} one request may name")]
    TooMany(usize),
}

impl Heads {
    /// The hashes, sorted.
    #[must_use]
    pub fn hashes(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none, as for a document that does not exist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for Heads {
    type Error = HeadsError;

    fn try_from(mut hashes: Vec<String>) -> Result<Self, HeadsError> {
        if hashes.len() > HEADS_MAX {
            return Err(HeadsError::TooMany(hashes.len()));
        }
        for hash in &mut hashes {
            if hash.len() != HASH_HEX_LENGTH || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(HeadsError::NotAHash(hash.chars().take(80).collect()));
            }
            hash.make_ascii_lowercase();
        }
        hashes.sort_unstable();
        hashes.dedup();
        Ok(Self(hashes))
    }
}

impl From<Heads> for Vec<String> {
    fn from(heads: Heads) -> Self {
        heads.0
    }
}

/// Comma separated hashes; nothing for none.
impl std::str::FromStr for Heads {
    type Err = HeadsError;

    fn from_str(text: &str) -> Result<Self, HeadsError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Self::try_from(parts.take(HEADS_MAX + 1).map(str::to_owned).collect::<Vec<_>>())
    }
}

impl std::fmt::Display for Heads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Where a store stands: what a watch resumes from. Opaque to everyone but the node that said it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Position(pub String);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_read_from_text_are_sorted_and_distinct() {
        let (a, b) = ("a".repeat(64), "B".repeat(64));
        let heads: Heads = format!("{b}, {a},{a}").parse().expect("heads");
        assert_eq!(heads.to_string(), format!("{a},{}", "b".repeat(64)));
        assert_eq!(heads.to_string().parse(), Ok(heads));
        assert!("".parse::<Heads>().expect("none").is_empty());
    }

    #[test]
    fn text_that_is_no_hash_is_named_in_the_error() {
        assert_eq!("zz".parse::<Heads>(), Err(HeadsError::NotAHash("zz".into())));
        let many = vec!["0".repeat(64); HEADS_MAX + 1];
        assert_eq!(Heads::try_from(many), Err(HeadsError::TooMany(HEADS_MAX + 1)));
    }
}
