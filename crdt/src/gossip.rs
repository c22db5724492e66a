//! What travels by gossip, and how it is opened.
//!
//! A payload is one [`Frame`], sealed under the space's epoch key. [`Screener`] opens payloads and
//! answers of an exchange on any thread: everything that needs no history is checked there, so the
//! replica's one thread is left with what only it can decide.
//!
//! Leaves out delivery: gossip is best effort, and repair makes it complete.

mod screener;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

pub use screener::Screener;

use crate::admission::DeltaRefused;
use crate::budget::Offence;
use crate::charter::{StatementError, VerifiedStatement};
use crate::codec::{self, CodecError};
use crate::delta::{Announcement, Delta, DeltaFault, VerifiedAnnouncement, VerifiedDelta};
use crate::exchange::{MessageError, Request, Response};
use crate::history::ItemKey;
use crate::id::{SpaceId, StatementId};
use crate::incarnation::{Incarnation, VerifiedIncarnation};
use crate::presence::{BeaconError, VerifiedBeacon};
use crate::seal::{self, EpochKey, OpenError};

/// One gossip payload, before sealing.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub enum Frame {
    /// A delta; its incarnation rides along while that is young.
    #[n(0)]
    Delta {
        /// The certificate of the delta's actor.
        #[n(0)]
        incarnation: Option<Incarnation>,
        /// The delta.
        #[n(1)]
        delta: Delta,
    },
    /// A delta too large for gossip: fetch it from whoever passes this on.
    #[n(1)]
    Announcement {
        /// The certificate of the delta's actor.
        #[n(0)]
        incarnation: Option<Incarnation>,
        /// What the delta's signature says.
        #[n(1)]
        announcement: Announcement,
    },
    /// An encoded charter statement.
    #[n(2)]
    Statement(#[n(0)] ByteVec),
    /// An encoded beacon.
    #[n(3)]
    Beacon(#[n(0)] ByteVec),
}

impl Frame {
    /// Encodes and seals the frame.
    pub fn seal(&self, key: &EpochKey) -> Vec<u8> {
        seal::seal(key, &codec::encode(self))
    }
}

/// Why a payload or an answer is refused whoever looks at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It belongs to no space this node holds.
    #[error("the topic belongs to no space of this node")]
    UnknownTopic,
    /// It does not open under the space's key.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// It is malformed, or of a kind that a newer node knows.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It holds a delta of another space than its topic's.
    #[error("the payload speaks of another space than its topic")]
    ForeignSpace,
    /// Its delta is not what its author signed.
    #[error(transparent)]
    Delta(#[from] DeltaRefused),
    /// Its incarnation is not signed by its author.
    #[error(transparent)]
    Incarnation(#[from] crate::incarnation::IncarnationFault),
    /// Its statement is malformed or not signed by its issuer.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Its beacon is malformed or not signed by its author.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// The announcement is not what the delta's author signed.
    #[error(transparent)]
    Announcement(#[from] DeltaFault),
    /// Checking it failed inside: a defect of Starling, and nobody's offence.
    #[error("checking it failed inside")]
    Crash,
}

impl Refused {
    /// Stable short code, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::Sealed(_) => "not_sealed",
            Self::Codec(CodecError::UnknownKind { .. }) => "unknown_kind",
            Self::Codec(_) => "malformed",
            Self::ForeignSpace => "foreign_space",
            Self::Delta(refused) => refused.code(),
            Self::Incarnation(_) => "bad_incarnation",
            Self::Statement(error) => error.code(),
            Self::Beacon(_) => "bad_beacon",
            Self::Announcement(fault) => fault.code(),
            Self::Crash => "screening_failed",
        }
    }

    /// What the sender did wrong; nothing when an honest node may send this: what is sealed under a key
    /// not known here, or of a kind this version does not know.
    pub fn offence(&self) -> Option<Offence> {
        match self {
            Self::UnknownTopic | Self::Sealed(_) | Self::Crash => None,
            Self::Codec(error) => codec_offence(error),
            Self::ForeignSpace => Some(Offence::Garbage),
            Self::Delta(DeltaRefused::Codec(error)) => codec_offence(error),
            Self::Delta(DeltaRefused::Canonical(_)) => Some(Offence::StructureViolation),
            Self::Delta(DeltaRefused::Fault(fault)) | Self::Announcement(fault) => Some(fault_offence(fault)),
            Self::Incarnation(_) => Some(Offence::BadSignature),
            Self::Statement(error) => statement_offence(error),
            Self::Beacon(BeaconError::Codec(error)) => codec_offence(error),
            Self::Beacon(BeaconError::TooLong(_)) => Some(Offence::Garbage),
            Self::Beacon(BeaconError::Signature(_)) => Some(Offence::BadSignature),
        }
    }
}

fn codec_offence(error: &CodecError) -> Option<Offence> {
    match error {
        CodecError::UnknownKind { .. } => None,
        _ => Some(Offence::Garbage),
    }
}

/// Whoever sent it could see it: what is wrong follows from the bytes alone, by rules that are the same on every node,
/// so no node that keeps to them has such a delta in history to pass it on.
fn fault_offence(fault: &DeltaFault) -> Offence {
    match fault {
        DeltaFault::ForeignActor => Offence::ForeignActor,
        DeltaFault::Signature(_) => Offence::BadSignature,
        DeltaFault::Size | DeltaFault::Chunk(_) | DeltaFault::Chain => Offence::StructureViolation,
    }
}

/// What the sender of such a statement did wrong; nothing for one of a newer version.
pub(crate) fn statement_offence(error: &StatementError) -> Option<Offence> {
    match error {
        StatementError::UnknownKind(_) => None,
        StatementError::Codec(error) => codec_offence(error),
        StatementError::TooLong(_) => Some(Offence::Garbage),
        StatementError::Signature(_) => Some(Offence::BadSignature),
    }
}

/// A delta after every check that needs no history.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are verified, so a box would only cost")]
pub enum ScreenedDelta {
    /// Signature and form are good. The incarnation is there when it rode along.
    Verified(VerifiedDelta, Option<VerifiedIncarnation>),
    /// Its incarnation is not known to the screener: the replica may know it.
    Unverified(Delta),
    /// It is refused.
    Refused(Refused),
}

impl ScreenedDelta {
    /// Its item, when it could be read.
    pub(crate) fn item(&self) -> Option<ItemKey> {
        match self {
            Self::Verified(delta, _) => Some(ItemKey::of(&delta.delta().document, delta.delta().actor)),
            Self::Unverified(delta) => Some(ItemKey::of(&delta.document, delta.actor)),
            Self::Refused(_) => None,
        }
    }
}

/// An announcement after every check that needs no history.
#[derive(Clone, Debug)]
pub enum ScreenedAnnouncement {
    /// Its signature is good. The incarnation is there when it rode along.
    Verified(VerifiedAnnouncement, Option<VerifiedIncarnation>),
    /// Its incarnation is not known to the screener: the replica may know it.
    Unverified(Announcement),
}

/// One statement of a list: each has its own verdict.
pub type ScreenedStatement = Result<VerifiedStatement, StatementError>;

/// A gossip payload after every check that needs no history.
#[derive(Clone, Debug)]
pub enum ScreenedFrame {
    /// A delta.
    Delta(ScreenedDelta),
    /// A delta to be fetched.
    Announcement(ScreenedAnnouncement),
    /// A charter statement.
    Statement(VerifiedStatement),
    /// A beacon.
    Beacon(VerifiedBeacon),
    /// It is refused.
    Refused(Refused),
}

/// An answer of an exchange after every check that needs no history.
#[derive(Clone, Debug)]
pub enum ScreenedAnswer {
    /// Deltas, each with its own verdict.
    Deltas {
        /// Incarnations that came with them, those badly signed left out.
        incarnations: Vec<VerifiedIncarnation>,
        /// The deltas.
        deltas: Vec<ScreenedDelta>,
        /// There are more.
        more: bool,
    },
    /// Statements this node lacks, and how far the other side's charter reaches.
    Statements {
        /// The statements, each after those it cites.
        statements: Vec<ScreenedStatement>,
        /// Tips of the question that the answering node lacks.
        lacking: Vec<StatementId>,
        /// There are more.
        more: bool,
        /// The answering node's tips.
        tips: Vec<StatementId>,
    },
    /// A join was witnessed.
    Joined(Vec<ScreenedStatement>),
    /// Any other answer.
    Plain(Response),
    /// Not readable.
    Malformed(MessageError),
}

/// A question of an exchange after every check that needs no history.
#[derive(Clone, Debug)]
pub enum ScreenedRequest {
    /// Statements this node lacks.
    TakeStatements {
        /// The space.
        space: SpaceId,
        /// The statements, each after those it cites.
        statements: Vec<ScreenedStatement>,
    },
    /// Any other question.
    Plain(Request),
}

impl ScreenedRequest {
    /// The space it is about, if it is about one.
    pub fn space(&self) -> Option<SpaceId> {
        match self {
            Self::TakeStatements { space, .. } => Some(*space),
            Self::Plain(request) => request.space(),
        }
    }
}
