//! History: every authentic, structurally sound change, as a DAG by hash.
//!
//! [`DocumentHistory`] indexes one document's changes and decides whether the next one fits;
//! [`Items`] sums up a whole space for repair. Promises: both are functions of the changes admitted,
//! whatever their order. Leaves out signatures and authority, which were checked before, and the
//! content of changes, which the view judges.

mod document_history;
mod items;
mod load;

pub use document_history::{DocumentHistory, Misfit};
pub use items::{Item, ItemKey, Items, item_fingerprint};
pub use load::{Pending, StoredChange, frontier, load_verified, stored_changes, stored_delta};
