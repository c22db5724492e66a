//! The checks that need no state.

use crate::codec::{self, CodecError};
use crate::delta::{Delta, DeltaFault, VerifiedDelta};
use crate::document::{self, CanonicalError};
use crate::incarnation::VerifiedIncarnation;

/// Why a delta is refused whoever looks at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaRefused {
    /// The bytes are no delta.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Signature, chain or structure.
    #[error(transparent)]
    Fault(#[from] DeltaFault),
    /// A change is not in the one form automerge writes.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl DeltaRefused {
    /// Stable short code, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Codec(_) => "malformed",
            Self::Fault(fault) => fault.code(),
            Self::Canonical(error) => error.code(),
        }
    }
}

/// Verifies a delta against its incarnation, then each of its changes for canonical form.
///
/// # Errors
/// [`DeltaRefused`].
pub fn screen_delta(delta: Delta, incarnation: &VerifiedIncarnation) -> Result<VerifiedDelta, DeltaRefused> {
    let verified = VerifiedDelta::verify(delta, incarnation)?;
    for (_, bytes) in verified.changes() {
        document::canonical(bytes)?;
    }
    Ok(verified)
}

/// Decodes a delta without trusting it yet.
///
/// # Errors
/// [`DeltaRefused::Codec`].
pub fn screen_encoded_delta(bytes: &[u8]) -> Result<Delta, DeltaRefused> {
    Ok(codec::decode(bytes, "delta")?)
}
