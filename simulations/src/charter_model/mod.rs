//! The charter model: the rules of authority, checked before their bytes freeze.
//!
//! A plain reference of who may do what (`charter`, `strata`), what counts (`forks`, `clean`), what
//! a document shows (`document`) and how lost edits return (`reissue`); the behaviour of honest and
//! hostile authors (`behaviour`); the properties that must hold (`properties`); and a search over
//! every history a family of behaviours can produce (`search`, `families`). The rules in prose are
//! in `docs/charter-rules.md`, what the search taught in `docs/decisions/`.
//!
//! Left out: signatures, hashes, bytes, networks and automerge's own operations. Records carry
//! small numbers instead of hashes, so nothing here measures cost.

pub mod behaviour;
pub mod casts;
pub mod charter;
pub mod clean;
mod codes;
pub mod document;
pub mod families;
pub mod forks;
pub mod incremental;
mod outcome;
pub mod properties;
pub mod records;
mod recovery;
pub mod reissue;
pub mod rules;
pub mod search;
pub mod set;
mod strata;
mod work;
