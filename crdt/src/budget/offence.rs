//! What counts as an offence, how much, and what follows.

use std::time::Duration;

use super::Standing;
use crate::time::Moment;

/// Points at which a peer is disconnected, in thousandths.
const DISCONNECT_AT: u64 = 10_000;
/// Points at which it is blocked, in thousandths.
const BLOCK_AT: u64 = 30_000;
/// Thousandths of a point that fade each second: ten points take about a quarter of an hour.
const FADING_PER_SECOND: u64 = 11;
/// Length of the first block; each further one is twice as long.
const BLOCK_FIRST: Duration = Duration::from_secs(60);
/// Longest block: a bug in an honest node must not keep it out for good.
const BLOCK_MAX: Duration = Duration::from_secs(60 * 60);

/// What a peer or an author did wrong. Not among them, because honest nodes do it: a version we do
/// not know, a kind of statement we do not know, and anything that rests on what we do not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Offence {
    /// Bytes that are no message.
    Garbage,
    /// A signature that does not match.
    BadSignature,
    /// A frame above its limit.
    OversizedFrame,
    /// A change under an actor that is not its author's.
    ForeignActor,
    /// A change out of sequence: a number twice, skipped, or counters out of line.
    SequenceViolation,
    /// A change whose form no honest writer produces.
    StructureViolation,
    /// Two signed changes with one number. The cut of its work is decided by the proof; a restored
    /// backup does this too, so the connection stays.
    Equivocation,
    /// A statement without effect, which its issuer could see.
    VoidStatement,
    /// A change by an author whom the charter does not let write it.
    NotAllowed,
    /// Far more messages than its share.
    Flood,
}

impl Offence {
    /// Every offence.
    pub const ALL: [Offence; 10] = [
        Offence::Garbage,
        Offence::BadSignature,
        Offence::OversizedFrame,
        Offence::ForeignActor,
        Offence::SequenceViolation,
        Offence::StructureViolation,
        Offence::Equivocation,
        Offence::VoidStatement,
        Offence::NotAllowed,
        Offence::Flood,
    ];

    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Offence::Garbage => "garbage",
            Offence::BadSignature => "bad_signature",
            Offence::OversizedFrame => "oversized_frame",
            Offence::ForeignActor => "foreign_actor",
            Offence::SequenceViolation => "sequence_violation",
            Offence::StructureViolation => "structure_violation",
            Offence::Equivocation => "equivocation",
            Offence::VoidStatement => "void_statement",
            Offence::NotAllowed => "not_allowed",
            Offence::Flood => "flood",
        }
    }

    /// Points, in thousandths. Ten points disconnect: what only forgery or broken code produces
    /// does so at once; what damage on the way or haste may produce needs repetition.
    pub fn weight(self) -> u64 {
        match self {
            Offence::ForeignActor => 15_000,
            Offence::BadSignature | Offence::OversizedFrame | Offence::Garbage => 10_000,
            Offence::StructureViolation | Offence::SequenceViolation | Offence::NotAllowed => 5_000,
            Offence::VoidStatement | Offence::Flood => 2_000,
            Offence::Equivocation => 1_000,
        }
    }
}

/// What to do about an offence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OffenceAction {
    /// Nothing beyond refusing what it sent.
    Ignore,
    /// Close the connection.
    Disconnect,
    /// Close the connection and let none stand for this long.
    Block(Duration),
}

/// What one author did wrong so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    score: u64,
    at: Moment,
    offences: u64,
    blocks: u32,
}

impl Record {
    pub(super) fn add(&mut self, now: Moment, offence: Offence) -> OffenceAction {
        self.score = self.faded(now).saturating_add(offence.weight());
        self.at = now;
        self.offences = self.offences.saturating_add(1);
        if self.score >= BLOCK_AT {
            let doubled = BLOCK_FIRST.saturating_mul(1 << self.blocks.min(16));
            self.blocks = self.blocks.saturating_add(1);
            // It starts again below the line, else its first word after the block would block it.
            self.score = DISCONNECT_AT - 1;
            OffenceAction::Block(doubled.min(BLOCK_MAX))
        } else if self.score >= DISCONNECT_AT {
            OffenceAction::Disconnect
        } else {
            OffenceAction::Ignore
        }
    }

    pub(super) fn standing(&self, now: Moment) -> Standing {
        Standing { score: self.faded(now), offences: self.offences, blocks: self.blocks }
    }

    fn faded(&self, now: Moment) -> u64 {
        let faded = now.since(self.at).as_millis() * u128::from(FADING_PER_SECOND) / 1_000;
        self.score.saturating_sub(u64::try_from(faded).unwrap_or(u64::MAX))
    }
}
