//! Starling's pure core: signed CRDT history, authority, repair. No async, no sockets, no files, no
//! clock and no randomness of the operating system: inputs go in, effects come out.

pub mod chunk;
pub mod codec;
pub mod document;
pub mod id;
pub mod limits;
pub mod store;
pub mod time;
