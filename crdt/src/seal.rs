//! What hides a space from onlookers of its gossip: topic names and sealed payloads.
//!
//! gossipsub delivers to whoever subscribes, so the topic's name is a keyed hash of the space and
//! every payload is encrypted under the space's epoch key.
//!
//! Promises: the same plaintext under the same key gives the same bytes, so that gossip recognises
//! a repeated delta by its hash; and it is the only sealed form that [`open`] accepts, so nobody who
//! holds the key can flood with variants of one payload. Equal payloads are thereby visible as
//! equal, which is intended.
//!
//! The keyed hashes are SHA-256 over a domain, the key and the data, each behind its length. As no
//! such input is a prefix of another, this is a pseudo-random function (Coron, Dodis, Malinaud,
//! Puniya: "Merkle-Damgard revisited", CRYPTO 2005): extending a hash, against which HMAC exists,
//! yields only hashes of byte strings that are never asked for.
//!
//! Leaves out: who may hold the key, which the charter decides.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use minicbor::{Decode, Encode};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::id::{SpaceId, Topic};

const VERSION: u8 = 0;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Bytes that sealing adds: version, nonce, tag.
pub const SEAL_OVERHEAD: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// The key under which a space's gossip is sealed during one epoch.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct EpochKey(#[cbor(n(0), with = "secret_bytes")] Zeroizing<[u8; 32]>);

impl EpochKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key from a generator that was seeded by the operating system.
    pub fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(key.as_mut_slice());
        Self(key)
    }

    /// The secret bytes, for a store or an authenticated link.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn hash(&self, domain: &str, data: &[u8]) -> [u8; 32] {
        // The layout of `codec::Signable`, hashed piece by piece so that no copy of the key is left.
        let fields = [domain.as_bytes(), self.0.as_slice(), data];
        let hash = fields.iter().fold(Sha256::new(), |hash, field| {
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            hash.chain_update(length.to_be_bytes()).chain_update(field)
        });
        hash.finalize().into()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let key = Zeroizing::new(self.hash("starling/seal-key", b""));
        XChaCha20Poly1305::new(&(*key).into())
    }

    fn nonce(&self, plaintext: &[u8]) -> XNonce {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&self.hash("starling/seal-nonce", plaintext)[..NONCE_BYTES]);
        nonce.into()
    }
}

/// Secret bytes in CBOR, wiped where they are kept.
pub(crate) mod secret_bytes {
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder};
    use zeroize::Zeroizing;

    pub(crate) fn encode<C, W: encode::Write>(
        secret: &Zeroizing<[u8; 32]>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.bytes(secret.as_slice())?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Zeroizing<[u8; 32]>, Error> {
        let bytes = d.bytes()?;
        let secret = <[u8; 32]>::try_from(bytes);
        secret.map(Zeroizing::new).map_err(|_| Error::message("a secret has 32 bytes"))
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(not shown)")
    }
}

/// Name of the gossip topic of `space` in the epoch of `key`.
pub fn topic(space: SpaceId, key: &EpochKey) -> Topic {
    Topic(key.hash("starling/topic", space.as_bytes()))
}

/// Why sealed bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too few bytes to be sealed at all.
    #[error("{0} bytes are too few for a sealed payload")]
    TooShort(usize),
    /// Made by a newer version: nobody's offence.
    #[error("sealed payload of unknown version {0}")]
    UnknownVersion(u8),
    /// Another key, or changed on the way.
    #[error("the payload was sealed with another key, or changed")]
    Refused,
    /// Sealed by a holder of the key, but not in the one form that a payload has.
    #[error("the payload was sealed with a nonce that does not belong to it")]
    WrongNonce,
}

/// Seals `plaintext`: one version byte, the nonce, the ciphertext with its tag.
///
/// # Panics
/// Never: XChaCha20-Poly1305 takes up to 256 GiB, and payloads are bounded far below.
pub fn seal(key: &EpochKey, plaintext: &[u8]) -> Vec<u8> {
    let nonce = key.nonce(plaintext);
    let payload = Payload { msg: plaintext, aad: &[VERSION] };
    let sealed = key.cipher().encrypt(&nonce, payload).expect("payloads stay below 256 GiB");
    let mut bytes = Vec::with_capacity(SEAL_OVERHEAD + plaintext.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    bytes
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`OpenError`] when it is not that, or was sealed with another key.
pub fn open(key: &EpochKey, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (&version, rest) = sealed.split_first().ok_or(OpenError::TooShort(0))?;
    if version != VERSION {
        return Err(OpenError::UnknownVersion(version));
    }
    if sealed.len() < SEAL_OVERHEAD {
        return Err(OpenError::TooShort(sealed.len()));
    }
    let (head, ciphertext) = rest.split_at(NONCE_BYTES);
    let nonce = XNonce::try_from(head).map_err(|_| OpenError::TooShort(sealed.len()))?;
    let payload = Payload { msg: ciphertext, aad: &[VERSION] };
    let plaintext = key.cipher().decrypt(&nonce, payload).map_err(|_| OpenError::Refused)?;
    if key.nonce(&plaintext) == nonce { Ok(plaintext) } else { Err(OpenError::WrongNonce) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Signable;
    use rand_chacha::rand_core::SeedableRng;

    fn key(byte: u8) -> EpochKey {
        EpochKey::from_bytes([byte; 32])
    }

    #[test]
    fn the_same_plaintext_gives_the_same_bytes_and_another_gives_others() {
        let one = seal(&key(7), b"starling");
        assert_eq!(one, seal(&key(7), b"starling"));
        assert_eq!(one.len(), b"starling".len() + SEAL_OVERHEAD);
        let (other_text, other_key) = (seal(&key(7), b"starlinG"), seal(&key(8), b"starling"));
        assert_ne!(one[1..25], other_text[1..25]);
        assert_ne!(one[1..25], other_key[1..25]);
        for length in [0, 1, 63, 64, 65, 48 * 1024] {
            let plaintext = vec![0xa5; length];
            assert_eq!(open(&key(7), &seal(&key(7), &plaintext)), Ok(plaintext));
        }
    }

    #[test]
    fn what_was_changed_or_sealed_otherwise_does_not_open() {
        let sealed = seal(&key(7), b"starling");
        for byte in 1..sealed.len() {
            let mut bent = sealed.clone();
            bent[byte] ^= 1;
            assert_eq!(open(&key(7), &bent), Err(OpenError::Refused), "byte {byte}");
        }
        assert_eq!(open(&key(8), &sealed), Err(OpenError::Refused));
        let mut newer = sealed.clone();
        newer[0] = 1;
        assert_eq!(open(&key(7), &newer), Err(OpenError::UnknownVersion(1)));
        for length in 0..SEAL_OVERHEAD {
            assert_eq!(open(&key(7), &sealed[..length]), Err(OpenError::TooShort(length)));
        }
    }

    #[test]
    fn a_holder_of_the_key_cannot_seal_one_text_in_two_ways() {
        let payload = Payload { msg: b"starling", aad: &[VERSION] };
        let nonce = XNonce::from([1; NONCE_BYTES]);
        let sealed = key(7).cipher().encrypt(&nonce, payload).unwrap();
        let variant = [&[VERSION], nonce.as_slice(), &sealed].concat();
        assert_eq!(open(&key(7), &variant), Err(OpenError::WrongNonce));
    }

    #[test]
    fn topics_depend_on_space_and_key() {
        let (one, two) = (SpaceId([1; 32]), SpaceId([2; 32]));
        assert_ne!(topic(one, &key(7)), topic(two, &key(7)));
        assert_ne!(topic(one, &key(7)), topic(one, &key(8)));
        // The layout is that of all hashed bytes.
        let signable = Signable::new("starling/topic").bytes(&[7; 32]).bytes(&[1; 32]);
        assert_eq!(topic(one, &key(7)), Topic(signable.hash()));
    }

    #[test]
    fn random_keys_differ_and_are_not_shown() {
        let mut rng = ChaCha8Rng::from_seed([1; 32]);
        let (one, two) = (EpochKey::random(&mut rng), EpochKey::random(&mut rng));
        assert!(one != two);
        assert_eq!(format!("{one:?}"), "EpochKey(not shown)");
        let bytes = crate::codec::encode(&one);
        assert!(crate::codec::decode::<EpochKey>(&bytes, "epoch key").unwrap() == one);
        assert!(crate::codec::decode::<EpochKey>(&bytes[..20], "epoch key").is_err());
    }
}
