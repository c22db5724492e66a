//! An address to dial, as text. The core passes addresses on and compares them; what they mean
//! (multiaddr, host name with port) only the shell knows.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode};

use crate::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("address is empty")]
    Empty,
    /// Over 256 bytes.
    #[error("address is longer than {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    /// White space or a control character inside.
    #[error("address holds white space or a control character")]
    BadCharacter,
}

/// A place to dial: 1 to 256 bytes of text without white space and control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct Address(#[n(0)] String);

impl Address {
    /// Checks the rules above.
    ///
    /// # Errors
    /// [`AddressError`] with the rule that is broken.
    pub fn new(text: impl Into<String>) -> Result<Self, AddressError> {
        let text = text.into();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::BadCharacter);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'b, C> Decode<'b, C> for Address {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(|error| minicbor::decode::Error::message(error.to_string()))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::new(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Decodes at most [`ADDRESSES_MAX`] addresses.
pub(crate) fn decode_addresses<'b, C>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<Address>, minicbor::decode::Error> {
    crate::bounded::decode_list(d, ctx, ADDRESSES_MAX, "addresses")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_rules() {
        for good in ["/ip4/10.0.0.1/tcp/4710", "host.example:4710", &"x".repeat(256)] {
            assert!(Address::new(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", AddressError::Empty),
            ("a b", AddressError::BadCharacter),
            ("a\u{7}", AddressError::BadCharacter),
            (&"x".repeat(257), AddressError::TooLong),
        ] {
            assert_eq!(Address::new(bad), Err(error), "{bad:?}");
        }
    }
}
