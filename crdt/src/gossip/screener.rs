//! Opening and checking, on any thread: everything that needs no history.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use minicbor::bytes::ByteVec;

use super::{
    Frame, Refused, ScreenedAnnouncement, ScreenedAnswer, ScreenedDelta, ScreenedFrame, ScreenedRequest,
    ScreenedStatement,
};
use crate::admission::{screen_delta, screen_encoded_delta};
use crate::charter::VerifiedStatement;
use crate::codec;
use crate::delta::{Delta, VerifiedAnnouncement};
use crate::exchange::{MessageError, Request, Response, decode_message};
use crate::id::{Actor, SpaceId, Topic};
use crate::incarnation::VerifiedIncarnation;
use crate::presence::VerifiedBeacon;
use crate::seal::{self, EpochKey};

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
            Frame::Announcement { incarnation, announcement } => {
                let brought = incarnation.map(VerifiedIncarnation::verify).transpose()?;
                let known = brought.clone().or_else(|| self.incarnation(announcement.actor));
                Ok(ScreenedFrame::Announcement(match known {
                    None => ScreenedAnnouncement::Unverified(announcement),
                    Some(known) => {
                        let verified = VerifiedAnnouncement::verify(announcement, space, &known)?;
                        ScreenedAnnouncement::Verified(verified, brought)
                    }
                }))
            }
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
            Ok(Response::Statements { statements, lacking, more, tips }) => {
                ScreenedAnswer::Statements { statements: screened(&statements), lacking, more, tips }
            }
            Ok(Response::Joined(statements)) => ScreenedAnswer::Joined(screened(&statements)),
            Ok(response) => ScreenedAnswer::Plain(response),
            Err(error) => ScreenedAnswer::Malformed(error),
        }
    }

    /// Reads and checks a question of an exchange.
    ///
    /// # Errors
    /// [`MessageError`] when it cannot be read.
    pub fn screen_request(&self, bytes: &[u8]) -> Result<ScreenedRequest, MessageError> {
        Ok(self.screen(decode_message(bytes)?))
    }

    /// Checks a question that was read already.
    pub fn screen(&self, request: Request) -> ScreenedRequest {
        match request {
            // Signatures are checked only for spaces held here: nobody else's cost anything.
            Request::TakeStatements { space, statements } => ScreenedRequest::TakeStatements {
                space,
                statements: if self.holds(space) { screened(&statements) } else { Vec::new() },
            },
            request => ScreenedRequest::Plain(request),
        }
    }

    fn holds(&self, space: SpaceId) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.topics.values().any(|(held, _)| *held == space)
    }
}

fn screened(statements: &[ByteVec]) -> Vec<ScreenedStatement> {
    statements.iter().map(|bytes| VerifiedStatement::from_bytes(bytes)).collect()
}
