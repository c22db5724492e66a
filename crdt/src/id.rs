//! The identifiers of the system: one newtype per idea, ordered, printable, never interchangeable.
//!
//! Promises: an identifier's text form round-trips; a [`DocumentName`] that exists is a valid one.
//! Leaves out: what the identifiers mean for each other, which the modules above decide.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

use crate::limits::DOCUMENT_NAME_BYTES_MAX;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not the expected number of hexadecimal digits.
    #[error("expected {expected} hexadecimal digits, found {found:?}")]
    NotHex {
        /// Number of digits expected.
        expected: usize,
        /// The text found instead.
        found: String,
    },
    /// A document name breaks the rule given in the message.
    #[error("document name {0}")]
    BadName(&'static str),
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let fail = || IdError::NotHex { expected: N * 2, found: text.chars().take(80).collect() };
    if text.len() != N * 2 || !text.is_ascii() {
        return Err(fail());
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| fail())?;
        if digits.starts_with('+') {
            return Err(fail());
        }
        *byte = u8::from_str_radix(digits, 16).map_err(|_| fail())?;
    }
    Ok(bytes)
}

/// The order of the bytes, eight at a time: the first eight nearly always decide, without a call.
#[inline]
fn order<const N: usize>(one: &[u8; N], other: &[u8; N]) -> Ordering {
    let (ours, our_rest) = one.as_chunks::<8>();
    let (theirs, their_rest) = other.as_chunks::<8>();
    for (ours, theirs) in ours.iter().zip(theirs) {
        let order = u64::from_be_bytes(*ours).cmp(&u64::from_be_bytes(*theirs));
        if order.is_ne() {
            return order;
        }
    }
    our_rest.cmp(their_rest)
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $len]);

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                order(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The identifier of exactly these bytes, or none when their number is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                write_hex(f, &self.0[..self.0.len().min(6)])?;
                write!(f, ")")
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

byte_id! {
    /// A space: SHA-256 of its genesis.
    SpaceId, 32
}
byte_id! {
    /// An author's ed25519 public key. It also names the node that holds the secret half: a peer's
    /// libp2p PeerId follows from it.
    AuthorKey, 32
}
byte_id! {
    /// The automerge actor: the first 16 bytes of SHA-256 of an incarnation.
    Actor, 16
}
byte_id! {
    /// SHA-256 of an automerge change chunk, as automerge computes it.
    ChangeHash, 32
}
byte_id! {
    /// SHA-256 of a charter statement's signed bytes.
    StatementId, 32
}
byte_id! {
    /// Drawn once when a store is created, and again when one is restored: what makes a position of
    /// one store meaningless to another.
    StoreId, 16
}
byte_id! {
    /// Name of a gossip topic: a keyed hash of the space, so that an onlooker learns nothing from it.
    Topic, 32
}

/// A document's name within its space, such as `config/web/prod`.
///
/// 1 to 512 bytes of UTF-8, segments separated by `/`, no empty segment, no control character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct DocumentName(#[n(0)] String);

impl DocumentName {
    /// Checks the rules above.
    ///
    /// # Errors
    /// [`IdError::BadName`] with the rule that is broken.
    pub fn new(name: impl Into<String>) -> Result<Self, IdError> {
        let name = name.into();
        if name.is_empty() {
            return Err(IdError::BadName("is empty"));
        }
        if name.len() > DOCUMENT_NAME_BYTES_MAX {
            return Err(IdError::BadName("is longer than 512 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(IdError::BadName("holds a control character"));
        }
        if name.split('/').any(str::is_empty) {
            return Err(IdError::BadName("has an empty segment (a `/` at the start, at the end or doubled)"));
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'b, C> Decode<'b, C> for DocumentName {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(|error| minicbor::decode::Error::message(error.to_string()))
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for DocumentName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

/// A place in one node's sequence of commits: what `watch` resumes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Position {
    /// The store the commit happened in.
    #[n(0)]
    pub store: StoreId,
    /// How many commits that store had made, this one included.
    #[n(1)]
    pub commit: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.store, self.commit)
    }
}

impl FromStr for Position {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fail = || IdError::NotHex { expected: StoreId::LEN * 2, found: text.chars().take(80).collect() };
        let (store, commit) = text.split_once('-').ok_or_else(fail)?;
        Ok(Self { store: store.parse()?, commit: commit.parse().map_err(|_| fail())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_names_follow_the_rules() {
        for good in ["a", "config/web/prod", "with space", "ünïcode/雪", ".hidden/..", &"x".repeat(512)] {
            assert!(DocumentName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "tab\there", "nul\0", "\u{85}", &"x".repeat(513)] {
            assert!(DocumentName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn text_forms_round_trip() {
        let id = SpaceId([0xa5; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("+1".repeat(32).parse::<SpaceId>().is_err());
        let position = Position { store: StoreId([7; 16]), commit: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        assert!("42".parse::<Position>().is_err());
    }
}
