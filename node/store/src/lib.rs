//! Starling's store on disk: redb behind the `Store` contract of `starling_crdt`.
//!
//! Promises what the contract asks, on a file ([`RedbStore::open`]) and on any
//! [`redb::StorageBackend`] ([`RedbStore::with_backend`]): a batch is there whole or not at all; after
//! `Ok` it survives every crash; reads never wait for a write that goes well. When the disk refuses
//! a write, that commit fails, reads go on, and the store recovers by itself once the disk does.
//! Damaged bytes end in an error, never in a panic: every page is compared with its checksum when the store
//! is opened.
//!
//! Leaves out what the bytes mean: history is checked again by the core when it is loaded, because
//! redb does not compare checksums on every read.

pub mod backend;

mod check;
mod fault;
mod generation;
mod header;
mod image;
mod layout;
mod log;
mod medium;
mod open;
mod pages;
mod salvage;
mod seen;
mod store;
mod tables;
mod takeover;

pub use open::{OpenError, StoreOptions, WhenMissing};
pub use salvage::{Copied, Salvage};
pub use store::RedbStore;
pub use takeover::Takeover;

/// The version of the tables' layout that this program writes, and the only one it reads. Version 0 had longer
/// keys and records of deltas.
pub const SCHEMA_VERSION: u32 = 1;

/// Bytes of a new store's log, in whole blocks of 4 KiB. redb takes over what is in it when it is full, which
/// makes one commit in so many a slow one. Too small and that is often; too large and what a start has
/// to read from it, and the memory that holds it meanwhile, grow.
pub const LOG_BYTES: usize = 1024 * 1024;

/// Memory redb may use for pages, in bytes. The whole idle node must stay under 60 MiB; too small
/// and a random read costs a system call and a copy, too large and the cache outgrows the documents
/// it serves. While a broken handle is replaced two caches exist for a moment.
pub const CACHE_BYTES: usize = 16 * 1024 * 1024;
