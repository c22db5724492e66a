//! Starling's pure core: signed CRDT history, authority, repair. No async, no sockets, no files, no
//! clock and no randomness of the operating system: inputs go in, effects come out.

pub mod address;
mod bounded;
pub mod budget;
pub mod charter;
pub mod codec;
pub mod connect;
pub mod id;
pub mod identity;
mod jitter;
pub mod limits;
pub mod presence;
pub mod seal;
pub mod store;
pub mod time;
