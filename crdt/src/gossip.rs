//! What travels by gossip, and how it is opened.
//!
//! A payload is one [`Frame`], sealed under the space's epoch key. [`Screener`] opens payloads and
//! answers of an exchange on any thread: everything that needs no history is checked there, so the
//! replica's one thread is left with what only it can decide.
//!
//! Leaves out delivery: gossip is best effort, and repair makes it complete.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::admission::{DeltaRefused, screen_delta, screen_encoded_delta};
use crate::charter::{StatementError, VerifiedStatement};
use crate::codec::{self, CodecError};
use crate::delta::{Delta, VerifiedDelta};
use crate::exchange::{MessageError, Response, decode_message};
use crate::history::ItemKey;
use crate::id::{Actor, SpaceId, Topic};
use crate::incarnation::{Incarnation, VerifiedIncarnation};
use crate::presence::{BeaconError, VerifiedBeacon};
use crate::seal::{self, EpochKey, OpenError};

/// One gossip payload, before sealing.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
#[expect(clippy::large_enum_variant, reason = "a frame is made, sealed and dropped; nearly all are deltas")]
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
        /// Its item.
        #[n(0)]
        key: ItemKey,
        /// Its last sequence number.
        #[n(1)]
        seq: u64,
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
        }
    }

    /// Whether the sender is at fault: a kind this version does not know may be honest.
    pub fn is_offence(&self) -> bool {
        !matches!(
            self,
            Self::UnknownTopic
                | Self::Sealed(_)
                | Self::Codec(CodecError::UnknownKind { .. })
                | Self::Statement(StatementError::UnknownKind(_))
        )
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

/// A gossip payload after every check that needs no history.
#[derive(Clone, Debug)]
pub enum ScreenedFrame {
    /// A delta.
    Delta(ScreenedDelta),
    /// A delta to be fetched.
    Announcement {
        /// Its item.
        key: ItemKey,
        /// Its last sequence number.
        seq: u64,
    },
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
    /// Any other answer.
    Plain(Response),
    /// Not readable.
    Malformed(MessageError),
}

/// What a screener knows, shared with the replica that teaches it.
#[derive(Default)]
struct Known {
    topics: BTreeMap<Topic, (SpaceId, EpochKey)>,
    incarnations: BTreeMap<Actor, VerifiedIncarnation>,
}

/// Incarnations a screener remembers. Past it the smallest are forgotten; the replica then verifies
/// their deltas itself, from the store.
const INCARNATIONS_MAX: usize = 4_096;

/// Opens and checks what comes from the network, on any thread. Clones share what they know.
#[derive(Clone, Default)]
pub struct Screener {
    known: Arc<RwLock<Known>>,
}

impl Screener {
    /// Teaches it a space's key.
    pub fn learn_space(&self, space: SpaceId, key: EpochKey) -> Topic {
        let topic = seal::topic(space, &key);
        self.write(|known| known.topics.insert(topic, (space, key)));
        topic
    }

    /// Lets it forget the space of a topic.
    pub fn forget_space(&self, topic: Topic) {
        self.write(|known| known.topics.remove(&topic));
    }

    /// Teaches it an incarnation.
    pub fn learn_incarnation(&self, incarnation: VerifiedIncarnation) {
        self.write(|known| {
            known.incarnations.insert(incarnation.actor(), incarnation);
            if known.incarnations.len() > INCARNATIONS_MAX {
                known.incarnations.pop_first();
            }
        });
    }

    fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        // Inserting into maps leaves nothing half done, so a poisoned lock is still good.
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The incarnation of an actor, if it is remembered.
    pub fn incarnation(&self, actor: Actor) -> Option<VerifiedIncarnation> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.incarnations.get(&actor).cloned()
    }

    fn space(&self, topic: Topic) -> Option<(SpaceId, EpochKey)> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).topics.get(&topic).cloned()
    }

    /// Opens and checks a gossip payload.
    pub fn screen_gossip(&self, topic: Topic, payload: &[u8]) -> (Option<SpaceId>, ScreenedFrame) {
        let Some((space, key)) = self.space(topic) else {
            return (None, ScreenedFrame::Refused(Refused::UnknownTopic));
        };
        let frame = self.open(space, &key, payload).unwrap_or_else(ScreenedFrame::Refused);
        (Some(space), frame)
    }

    fn open(&self, space: SpaceId, key: &EpochKey, payload: &[u8]) -> Result<ScreenedFrame, Refused> {
        let plain = seal::open(key, payload)?;
        match codec::decode(&plain, "gossip frame")? {
            Frame::Delta { incarnation, delta } => {
                let incarnation = incarnation.map(VerifiedIncarnation::verify).transpose()?;
                if delta.space != space {
                    return Err(Refused::ForeignSpace);
                }
                Ok(ScreenedFrame::Delta(self.screen_delta(delta, incarnation)))
            }
            Frame::Announcement { key, seq } => Ok(ScreenedFrame::Announcement { key, seq }),
            Frame::Statement(bytes) => {
                let statement = VerifiedStatement::from_bytes(&bytes)?;
                if statement.space != space {
                    return Err(Refused::ForeignSpace);
                }
                Ok(ScreenedFrame::Statement(statement))
            }
            Frame::Beacon(bytes) => {
                let beacon = VerifiedBeacon::from_bytes(&bytes)?;
                if beacon.space != space {
                    return Err(Refused::ForeignSpace);
                }
                Ok(ScreenedFrame::Beacon(beacon))
            }
        }
    }

    fn screen_delta(&self, delta: Delta, brought: Option<VerifiedIncarnation>) -> ScreenedDelta {
        let known = brought.clone().or_else(|| self.incarnation(delta.actor));
        let Some(incarnation) = known else {
            return ScreenedDelta::Unverified(delta);
        };
        match screen_delta(delta, &incarnation) {
            Ok(delta) => ScreenedDelta::Verified(delta, brought),
            Err(refused) => ScreenedDelta::Refused(refused.into()),
        }
    }

    /// Reads and checks an answer of an exchange.
    pub fn screen_answer(&self, bytes: &[u8]) -> ScreenedAnswer {
        match decode_message(bytes) {
            Ok(Response::Deltas { incarnations, deltas, more }) => {
                let incarnations: BTreeMap<Actor, VerifiedIncarnation> = incarnations
                    .into_iter()
                    .filter_map(|incarnation| VerifiedIncarnation::verify(incarnation).ok())
                    .map(|incarnation| (incarnation.actor(), incarnation))
                    .collect();
                let deltas = deltas.iter().map(|bytes| match screen_encoded_delta(bytes) {
                    Ok(delta) => {
                        let brought = incarnations.get(&delta.actor).cloned();
                        self.screen_delta(delta, brought)
                    }
                    Err(refused) => ScreenedDelta::Refused(refused.into()),
                });
                let deltas = deltas.collect();
                ScreenedAnswer::Deltas { incarnations: incarnations.into_values().collect(), deltas, more }
            }
            Ok(response) => ScreenedAnswer::Plain(response),
            Err(error) => ScreenedAnswer::Malformed(error),
        }
    }
}
