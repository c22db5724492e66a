//! Admission: every check between bytes from a stranger and history.
//!
//! [`screen_delta`] does what needs no state (size, decoding, signatures, structure, canonical form), so it
//! runs on any thread, many at a time. What depends on history is checked by
//! [`DocumentHistory::check`](crate::history::DocumentHistory::check), change by change, and
//! [`Orphans`] holds what still lacks something, within bounds.

mod orphans;
mod screen;

pub use orphans::{Orphan, Orphans, Waiting};
pub use screen::{DeltaRefused, screen_delta, screen_encoded_delta};
