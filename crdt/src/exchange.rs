//! Repair: what two nodes ask each other to end with the same records.
//!
//! One side asks, the other answers from what it holds and keeps nothing: a dialogue can stop
//! anywhere and start again. The cost follows the difference: fingerprints of ranges of items narrow
//! down what differs, then whole runs are fetched in causal order, in bounded chunks.
//!
//! Leaves out when to ask whom, and what becomes of the answer, which the replica decides.

mod message;
mod ranges;
mod tiles;

pub use message::*;
pub use ranges::{Less, Reconciliation, answer_ranges};
pub use tiles::{RANGES_MAX, RangeFingerprint, Tiles};
