//! CBOR in and out, and the byte strings that get signed.
//!
//! Messages and records are CBOR maps with integer keys (RFC 8949, through `minicbor`): a reader
//! skips fields it does not know. Signed bytes are never a serialisation of structs, but a domain
//! string and length-prefixed fields, so that no two meanings share their bytes.

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};

/// Why bytes are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes are no well-formed message of this kind.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// What was being decoded.
        what: &'static str,
        /// The decoder's reason.
        why: String,
    },
    /// A part of the message is of a kind this version does not know: a newer node may be honest.
    #[error("{what} of an unknown kind: {why}")]
    UnknownKind {
        /// What was being decoded.
        what: &'static str,
        /// The decoder's reason.
        why: String,
    },
    /// The bytes go on after the message ended.
    #[error("{extra} bytes after the end of the {what}")]
    Trailing {
        /// What was being decoded.
        what: &'static str,
        /// Number of bytes left over.
        extra: usize,
    },
}

/// Encodes `value` as CBOR.
///
/// # Panics
/// Never: a `Vec` takes every byte, and our own `Encode` implementations report no error.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("a Vec takes every byte and our types encode without error")
}

/// Decodes exactly one `T` from `bytes`; `what` names it in the error.
///
/// # Errors
/// [`CodecError`] when the bytes are malformed or go on after the value.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], what: &'static str) -> Result<T, CodecError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|error| match error.is_unknown_variant() {
        true => CodecError::UnknownKind { what, why: error.to_string() },
        false => CodecError::Malformed { what, why: error.to_string() },
    })?;
    match bytes.len() - decoder.position() {
        0 => Ok(value),
        extra => Err(CodecError::Trailing { what, extra }),
    }
}

/// Builds the bytes to sign or hash: a domain, then fields, each behind its length.
#[derive(Debug, Clone)]
pub struct Signable(Vec<u8>);

impl Signable {
    /// Starts with the domain, such as `starling/delta`.
    pub fn new(domain: &str) -> Self {
        Self(Vec::with_capacity(256)).bytes(domain.as_bytes())
    }

    /// Appends one field: its length as a 4-byte big-endian number, then its bytes.
    #[must_use]
    pub fn bytes(mut self, field: &[u8]) -> Self {
        // No field reaches 4 GiB: everything signed is bounded by limits far below.
        let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a number as an 8-byte big-endian field.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Their SHA-256.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}
