//! The beginning of a space: its name, its founders, and by its hash its identifier.

use minicbor::{Decode, Decoder, Encode, Encoder};

use super::Label;
use crate::bounded::decode_sorted;
use crate::codec::Signable;
use crate::id::{AuthorKey, SpaceId};
use crate::limits::FOUNDERS_MAX;
use crate::time::WallTime;

/// Why there can be no such genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Nobody could ever act in the space.
    #[error("a space needs at least one founder")]
    NoFounder,
    /// Too many founders.
    #[error("a space has at most {FOUNDERS_MAX} founders")]
    TooManyFounders,
}

/// Rules of a space that never change. This version knows none: an empty map keeps their place. A
/// genesis with rules this version does not know is refused, since it could not be obeyed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {}

impl<C> Encode<C> for Policy {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Policy {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        match d.map()? {
            Some(0) => Ok(Self {}),
            _ => Err(minicbor::decode::Error::message("policy of a newer version")),
        }
    }
}

/// The first record of a space.
#[derive(Clone, PartialEq, Eq, Debug, Encode)]
#[cbor(map)]
pub struct Genesis {
    #[n(0)]
    name: Label,
    #[n(1)]
    time: WallTime,
    #[cbor(n(2), with = "minicbor::bytes")]
    nonce: [u8; 16],
    #[n(3)]
    founders: Vec<AuthorKey>,
    #[n(4)]
    policy: Policy,
}

impl Genesis {
    /// A new space. The nonce makes two spaces of one name and moment different; founders are
    /// sorted and doubles dropped.
    ///
    /// # Errors
    /// [`GenesisError`] for no founder or more than [`FOUNDERS_MAX`].
    pub fn new(
        name: Label,
        time: WallTime,
        nonce: [u8; 16],
        mut founders: Vec<AuthorKey>,
    ) -> Result<Self, GenesisError> {
        founders.sort();
        founders.dedup();
        match founders.len() {
            0 => Err(GenesisError::NoFounder),
            1..=FOUNDERS_MAX => Ok(Self { name, time, nonce, founders, policy: Policy {} }),
            _ => Err(GenesisError::TooManyFounders),
        }
    }

    /// The space's name.
    pub fn name(&self) -> &Label {
        &self.name
    }

    /// When its maker says it was made.
    pub fn time(&self) -> WallTime {
        self.time
    }

    /// Admins of the whole space from the start, sorted.
    pub fn founders(&self) -> &[AuthorKey] {
        &self.founders
    }

    /// Whether `author` is a founder.
    pub fn is_founder(&self, author: AuthorKey) -> bool {
        self.founders.binary_search(&author).is_ok()
    }

    /// The bytes whose hash is the space's identifier.
    pub fn signable(&self) -> Signable {
        let head = Signable::new("starling/genesis")
            .bytes(self.name.as_str().as_bytes())
            .number(self.time.0.cast_unsigned())
            .bytes(&self.nonce)
            .number(self.founders.len() as u64);
        let founders = self.founders.iter().fold(head, |signable, key| signable.bytes(&key.0));
        // Number of policy rules.
        founders.number(0)
    }

    /// The space's identifier.
    pub fn space_id(&self) -> SpaceId {
        SpaceId(self.signable().hash())
    }
}

/// The fields as they come, before the rules of [`Genesis::new`].
#[derive(Decode)]
#[cbor(map)]
struct Fields {
    #[n(0)]
    name: Label,
    #[n(1)]
    time: WallTime,
    #[cbor(n(2), with = "minicbor::bytes")]
    nonce: [u8; 16],
    #[cbor(n(3), decode_with = "decode_founders")]
    founders: Vec<AuthorKey>,
    #[n(4)]
    policy: Policy,
}

fn decode_founders<'b, C>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<AuthorKey>, minicbor::decode::Error> {
    decode_sorted(d, ctx, FOUNDERS_MAX, "founders")
}

impl<'b, C> Decode<'b, C> for Genesis {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let Fields { name, time, nonce, founders, policy } = Fields::decode(d, ctx)?;
        let genesis = Self::new(name, time, nonce, founders)
            .map_err(|error| minicbor::decode::Error::message(error.to_string()))?;
        Ok(Self { policy, ..genesis })
    }
}
