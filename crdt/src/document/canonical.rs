//! Whether a change's bytes are exactly what automerge writes for what they say.
//!
//! Two different byte strings that decode alike would have two hashes, and automerge, which
//! re-encodes, would answer with the other one. So only the one encoding is admitted. The check
//! also fixes the list of actors: an encoder lists exactly those that are used.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::Change;

use crate::chunk::{ChangeChunk, ChunkError};

/// Why a change is not in the one form that is admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// The pre-parser refuses the bytes.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// Automerge does not read the bytes.
    #[error("automerge does not read the change: {0}")]
    Unreadable(String),
    /// Writing what was read gives other bytes.
    #[error("the change is not encoded as automerge encodes it")]
    Different,
    /// Automerge panicked, which no caller notices: the change is refused.
    #[error("automerge fails on the change")]
    Crash,
}

impl CanonicalError {
    /// A short, stable name for metrics, logs and the answer to the sender.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Chunk(error) => error.code(),
            Self::Unreadable(_) => "change-unreadable",
            Self::Different => "change-not-canonical",
            Self::Crash => "change-crash",
        }
    }
}

/// Checks that `bytes` are one change within every limit, encoded as automerge encodes it.
///
/// # Errors
/// [`CanonicalError`]; all of them are the sender's fault.
pub fn canonical(bytes: &[u8]) -> Result<ChangeChunk, CanonicalError> {
    let chunk = ChangeChunk::parse(bytes)?;
    catch_unwind(AssertUnwindSafe(|| reencodes(bytes))).unwrap_or(Err(CanonicalError::Crash))?;
    Ok(chunk)
}

fn reencodes(bytes: &[u8]) -> Result<(), CanonicalError> {
    let change = Change::try_from(bytes).map_err(|error| CanonicalError::Unreadable(error.to_string()))?;
    let written = Change::from(change.decode());
    if written.raw_bytes() == bytes { Ok(()) } else { Err(CanonicalError::Different) }
}
