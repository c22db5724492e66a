//! Who signs: an ed25519 key pair, its signatures, and its form on disk.
//!
//! Promises: a signature that [`verify`] accepts was made over exactly these bytes by the holder of
//! this key, under the strict rules of `verify_strict` (no small-order keys, no malleable form), so
//! every node reaches the same verdict. Secret halves are wiped from memory and never printed.
//!
//! Leaves out: where the key file lies and who may read it, which the shell decides.

mod memo;

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{self, DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

pub use memo::{SIGNATURES_REMEMBERED_MAX, remembering};

use crate::codec::Signable;
use crate::id::AuthorKey;

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Signature(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature(")?;
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ")")
    }
}

/// The signature is not one by this key over these bytes, or the key is no usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match its author and content")]
pub struct BadSignature;

/// Checks that `key` signed `signable`.
///
/// # Errors
/// [`BadSignature`] when it did not, or when `key` is not a point of prime order.
pub fn verify(key: AuthorKey, signable: &Signable, signature: &Signature) -> Result<(), BadSignature> {
    memo::verdict(&key, signable, signature, || {
        let key = VerifyingKey::from_bytes(&key.0).map_err(|_| BadSignature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(signable.as_slice(), &signature).map_err(|_| BadSignature)
    })
}

/// Why a text holds no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No PEM block of the expected kind.
    #[error("expected a PEM block that starts with `-----BEGIN PRIVATE KEY-----`")]
    NotPem,
    /// A private key, but none we can use.
    #[error("the PEM block holds no ed25519 private key in PKCS#8 form: {0}")]
    NotEd25519(String),
    /// The public half in the file belongs to another secret.
    #[error("the public key in the PEM block does not belong to its secret key")]
    Mismatched,
    /// Above the block stands something else than its own public key.
    #[error("the line above the PEM block is not `public key` with the key that belongs to its secret")]
    OtherAbove,
}

/// How a PEM block with a private key begins.
const BLOCK_START: &str = "-----BEGIN PRIVATE KEY-----";

/// How the line above it begins; what follows is the public key in hex.
const PUBLIC_LINE: &str = "public key ";

/// A key pair: who this node is, or the secret that a ticket carries.
pub struct Identity(SigningKey);

impl Identity {
    /// The key pair that follows from 32 secret bytes (the seed of RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, wiped when dropped.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn key(&self) -> AuthorKey {
        AuthorKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `signable`. The same bytes always give the same signature (RFC 8032).
    pub fn sign(&self, signable: &Signable) -> Signature {
        let signature = Signature(self.0.sign(signable.as_slice()).to_bytes());
        memo::signed(|| self.key(), signable, &signature);
        signature
    }

    /// The PKCS#8 form as PEM text, in version 1 without the public half, which every tool reads
    /// (`openssl pkey -in identity.pem -pubout` works on it).
    ///
    /// # Panics
    /// Never: a 32-byte seed always has this form.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        pair.to_pkcs8_pem(LineEnding::LF).expect("a 32-byte seed always has a PKCS#8 form")
    }

    /// [`Self::to_pem`] below a line with the public key, which tools that read PEM skip. With any bit
    /// changed a seed is still some seed, so without that line a damaged file would be another key.
    pub fn to_file(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PUBLIC_LINE}{}\n{}", self.key(), *self.to_pem()))
    }

    /// Reads the PEM text of a PKCS#8 private key, with or without its public half, and with or without
    /// the line of [`Self::to_file`] above it. White space around them is ignored.
    ///
    /// # Errors
    /// [`PemError`] when there is no such block, it holds something else, or the line above it does not
    /// belong to it.
    pub fn from_pem(text: &str) -> Result<Self, PemError> {
        let (above, block) = text.split_at(text.find(BLOCK_START).ok_or(PemError::NotPem)?);
        let identity = Self::from_block(block.trim())?;
        match above.trim() {
            "" => Ok(identity),
            line if line == format!("{PUBLIC_LINE}{}", identity.key()) => Ok(identity),
            _ => Err(PemError::OtherAbove),
        }
    }

    fn from_block(text: &str) -> Result<Self, PemError> {
        let pair = KeypairBytes::from_pkcs8_pem(text)
            .map_err(|error: pkcs8::Error| PemError::NotEd25519(error.to_string()))?;
        let signing = SigningKey::from_bytes(&pair.secret_key);
        match pair.public_key {
            Some(public) if public.0 != signing.verifying_key().to_bytes() => Err(PemError::Mismatched),
            _ => Ok(Self(signing)),
        }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?}, secret not shown)", self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        let mut bytes = [0; N];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        }
        bytes
    }

    /// RFC 8410 section 10.3: the first example is version 1, the second carries the public half.
    const RFC8410_V1: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

    #[test]
    fn rfc_8032_test_1_has_its_known_public_key() {
        let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(Identity::from_seed(&seed).key().to_string(), key);
    }

    #[test]
    fn a_signature_binds_key_and_bytes() {
        let (one, two) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let signable = Signable::new("starling/test").number(7);
        let signature = one.sign(&signable);
        assert_eq!(verify(one.key(), &signable, &signature), Ok(()));
        assert_eq!(verify(two.key(), &signable, &signature), Err(BadSignature));
        let other = Signable::new("starling/test").number(8);
        assert_eq!(verify(one.key(), &other, &signature), Err(BadSignature));
        for byte in 0..Signature::LEN {
            let mut bent = signature;
            bent.0[byte] ^= 1;
            assert_eq!(verify(one.key(), &signable, &bent), Err(BadSignature));
        }
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element: R = identity and s = 0 satisfy the cofactored equation for any bytes.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let signable = Signable::new("starling/test");
        let verdict = verify(AuthorKey(neutral), &signable, &Signature(signature));
        assert_eq!(verdict, Err(BadSignature));
    }

    #[test]
    fn pem_round_trips_and_reads_the_rfc_example() {
        let known = Identity::from_pem(RFC8410_V1).unwrap();
        let key = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(known.key().to_string(), key);
        assert_eq!(*known.to_pem(), RFC8410_V1);
        let spaced = format!("\n  {RFC8410_V1}\n\n");
        assert_eq!(Identity::from_pem(&spaced).unwrap().key(), known.key());
    }

    #[test]
    fn a_file_with_any_bit_flipped_is_refused_or_the_same_key() {
        let known = Identity::from_pem(RFC8410_V1).unwrap();
        let file = known.to_file();
        assert_eq!(Identity::from_pem(&file).unwrap().key(), known.key());
        let mut refused = 0;
        for bit in 0..8 * file.len() {
            let mut bytes = file.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            match std::str::from_utf8(&bytes).map(Identity::from_pem) {
                Ok(Ok(found)) => assert_eq!(found.key(), known.key(), "bit {bit}"),
                _ => refused += 1,
            }
        }
        assert!(refused > 7 * file.len(), "{refused}");
        let stranger = Identity::from_seed(&[6; 32]).to_file();
        let (line, _) = stranger.split_once('\n').unwrap();
        assert_eq!(Identity::from_pem(&format!("{line}\n{RFC8410_V1}")).unwrap_err(), PemError::OtherAbove);
    }

    #[test]
    fn pem_errors_say_what_is_wrong() {
        assert_eq!(Identity::from_pem("hello").unwrap_err(), PemError::NotPem);
        assert_eq!(Identity::from_pem("").unwrap_err(), PemError::NotPem);
        let public = RFC8410_V1.replace("PRIVATE", "PUBLIC");
        assert_eq!(Identity::from_pem(&public).unwrap_err(), PemError::NotPem);
        let cut = &RFC8410_V1[..60];
        assert!(matches!(Identity::from_pem(cut), Err(PemError::NotEd25519(_))));
        // The object identifier of X25519 in place of ed25519.
        let x25519 = RFC8410_V1.replace("BQYDK2Vw", "BQYDK2Vu");
        assert!(matches!(Identity::from_pem(&x25519), Err(PemError::NotEd25519(_))));
        let seed = [5; 32];
        let stranger = Identity::from_seed(&[6; 32]).key();
        let public_key = Some(ed25519_dalek::pkcs8::PublicKeyBytes(stranger.0));
        let pair = KeypairBytes { secret_key: seed, public_key };
        let text = pair.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(Identity::from_pem(&text).unwrap_err(), PemError::Mismatched);
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::from_seed(&[0xab; 32]);
        let shown = format!("{identity:?}");
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}
