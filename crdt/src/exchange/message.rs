//! The messages of an exchange: requests, answered once each.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::tiles::Tiles;
use crate::codec::{self, CodecError, Signable};
use crate::history::ItemKey;
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, Position, SpaceId, StatementId};
use crate::incarnation::Incarnation;

/// Version of the exchange this node speaks.
pub const EXCHANGE_VERSION: u32 = 0;

/// What one node asks another.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub enum Request {
    /// Which spaces have we in common, and are they equal?
    #[n(0)]
    Hello(#[n(0)] Vec<Greeting>),
    /// Which statements do I lack?
    #[n(1)]
    Statements {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// The asker's tips: it holds these and everything they cite.
        #[n(1)]
        tips: Vec<StatementId>,
        /// How many of those it lacks it was sent already since it named these tips.
        #[n(2)]
        after: u64,
    },
    /// Here are statements you lack, encoded one by one: an unknown kind does not spoil the rest.
    #[n(2)]
    TakeStatements {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// The statements, each after those it cites.
        #[n(1)]
        statements: Vec<ByteVec>,
    },
    /// Which of these ranges of items are equal?
    #[n(3)]
    Reconcile {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// Salts every fingerprint of this exchange.
        #[n(1)]
        salt: u64,
        /// The asker's ranges, as tiles of all keys.
        #[n(2)]
        ranges: Tiles,
    },
    /// Send me these runs.
    #[n(4)]
    Fetch {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// What is wanted.
        #[n(1)]
        wants: Vec<Want>,
    },
    /// You lack these runs: fetch them.
    #[n(5)]
    Offer {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// The items, as the offering node holds them.
        #[n(1)]
        items: Vec<OfferedItem>,
    },
    /// Witness this join: an encoded join request.
    #[n(6)]
    Join(#[n(0)] ByteVec),
    /// Do you hold these changes durably?
    #[n(7)]
    Confirm {
        /// The space.
        #[n(0)]
        space: SpaceId,
        /// Documents and the heads asked about.
        #[n(1)]
        documents: Vec<DocumentHeads>,
        /// Everything: the fingerprint of the asker's items.
        #[n(2)]
        items: Option<u64>,
    },
    /// How do you stand, and what are these items?
    #[n(8)]
    Look(#[n(0)] Look),
}

impl Request {
    /// The space it is about, if it is about one.
    pub fn space(&self) -> Option<SpaceId> {
        match self {
            Self::Statements { space, .. }
            | Self::TakeStatements { space, .. }
            | Self::Reconcile { space, .. }
            | Self::Fetch { space, .. }
            | Self::Offer { space, .. }
            | Self::Confirm { space, .. }
            | Self::Look(Look { space, .. }) => Some(*space),
            Self::Hello(_) | Self::Join(_) => None,
        }
    }
}

/// What comes back.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub enum Response {
    /// To `Hello`: the spaces in common, as the answering node holds them.
    #[n(0)]
    Hello(#[n(0)] Vec<Greeting>),
    /// To `Statements`.
    #[n(1)]
    Statements {
        /// What the asker lacks, each after those it cites.
        #[n(0)]
        statements: Vec<ByteVec>,
        /// Those of the asker's tips that the answering node lacks.
        #[n(1)]
        lacking: Vec<StatementId>,
        /// There are more than fit: ask again, with the same tips.
        #[n(2)]
        more: bool,
        /// The answering node's tips.
        #[n(3)]
        tips: Vec<StatementId>,
    },
    /// To `TakeStatements` and `Offer`.
    #[n(2)]
    Done,
    /// To `Reconcile`: one answer per range, in order; none where the fingerprints are equal.
    #[n(3)]
    Ranges(#[n(0)] Vec<Option<RangeAnswer>>),
    /// To `Fetch`: deltas, each after those it rests on.
    #[n(4)]
    Deltas {
        /// Incarnations the asker cannot know.
        #[n(0)]
        incarnations: Vec<Incarnation>,
        /// The deltas, encoded one by one: a malformed one does not spoil the rest.
        #[n(1)]
        deltas: Vec<ByteVec>,
        /// There are more than fit: ask again.
        #[n(2)]
        more: bool,
    },
    /// To `Join`: the charter's statements that make the asker a member.
    #[n(5)]
    Joined(#[n(0)] Vec<ByteVec>),
    /// To `Confirm`: whether everything is held, then each of the documents, in order.
    #[n(6)]
    Confirmed(#[n(0)] Vec<bool>),
    /// To `Look`.
    #[n(9)]
    Looked(#[n(0)] Standing),
    /// Not now.
    #[n(7)]
    Busy {
        /// When to ask again, in milliseconds.
        #[n(0)]
        retry_after_ms: u32,
    },
    /// Not at all.
    #[n(8)]
    Refused {
        /// Stable code.
        #[n(0)]
        code: RefusalCode,
        /// In words, for the operator on the other side.
        #[n(1)]
        reason: String,
    },
}

/// Why a peer refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum RefusalCode {
    /// It does not hold the space, or the asker is no member: an outsider learns no difference.
    #[n(0)]
    NotAdmitted,
    /// The message is malformed.
    #[n(1)]
    Malformed,
    /// The message is of a version or kind it does not know.
    #[n(2)]
    Unsupported,
    /// The join is refused.
    #[n(3)]
    JoinRefused,
}

/// One space in a `Hello`. The tag tells only those who hold the space which one it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Greeting {
    /// Hash of space, asker and asked.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub tag: [u8; 16],
    /// Fingerprint of the charter's statements.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub statements: [u8; 8],
    /// Fingerprint of the items.
    #[n(2)]
    pub items: u64,
}

/// The tag of a space in a greeting: it tells those who hold the space, and only them, that it is
/// spoken of.
pub fn greeting_tag(space: SpaceId, asker: AuthorKey, asked: AuthorKey) -> [u8; 16] {
    let hash = Signable::new("starling/greeting").bytes(&space.0).bytes(&asker.0).bytes(&asked.0).hash();
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash[..16]);
    tag
}

/// The answer for a range that differs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum RangeAnswer {
    /// The answering node's parts of the range, which tile it.
    #[n(0)]
    Parts(#[n(0)] Tiles),
    /// All its items in the range.
    #[n(1)]
    Items(#[n(0)] Vec<OfferedItem>),
}

/// An item by key: no names travel before they are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct OfferedItem {
    /// Its key.
    #[n(0)]
    pub key: ItemKey,
    /// Highest clean sequence number.
    #[n(1)]
    pub seq: u64,
    /// First 8 bytes of that change's hash.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub hash: [u8; 8],
}

/// A run that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Want {
    /// Its item.
    #[n(0)]
    pub key: ItemKey,
    /// The last sequence number already held; 0 asks for the incarnation as well.
    #[n(1)]
    pub after: u64,
}

/// A question how a node stands.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Look {
    /// The space.
    #[n(0)]
    pub space: SpaceId,
    /// Items to be named.
    #[n(1)]
    pub items: Vec<ItemKey>,
}

/// How a node stands in a space.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Standing {
    /// Its last commit.
    #[n(0)]
    pub position: Position,
    /// Fingerprint of its statements.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub statements: [u8; 8],
    /// Fingerprint of its items.
    #[n(2)]
    pub items: u64,
    /// Of the items asked about, in order, what those are that it holds.
    #[n(3)]
    pub named: Vec<Option<ItemName>>,
}

/// What an item is of.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ItemName {
    /// The document.
    #[n(0)]
    pub document: DocumentName,
    /// The actor.
    #[n(1)]
    pub actor: Actor,
}

/// A document at some heads.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct DocumentHeads {
    /// The document.
    #[n(0)]
    pub document: DocumentName,
    /// The heads.
    #[n(1)]
    pub heads: Vec<ChangeHash>,
}

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is of a version this node does not speak.
    #[error("the message is of version {found}; this node speaks version {EXCHANGE_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It is malformed, or of a kind that a newer node knows.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl MessageError {
    /// Whether a newer node may say this in good faith.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Codec(CodecError::UnknownKind { .. }))
    }
}

/// Encodes a message behind its version.
pub fn encode_message<T: Encode<()>>(message: &T) -> Vec<u8> {
    let mut bytes = codec::encode(&EXCHANGE_VERSION);
    bytes.extend_from_slice(&codec::encode(message));
    bytes
}

/// Decodes a message behind its version.
///
/// # Errors
/// [`MessageError`].
pub fn decode_message<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, MessageError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let found = decoder
        .u32()
        .map_err(|error| CodecError::Malformed { what: "exchange version", why: error.to_string() })?;
    if found != EXCHANGE_VERSION {
        return Err(MessageError::Version { found });
    }
    let rest = bytes.get(decoder.position()..).unwrap_or_default();
    Ok(codec::decode(rest, "exchange message")?)
}
