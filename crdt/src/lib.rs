//! Starling's pure core: signed CRDT history, authority, repair. No async, no sockets, no files, no
//! clock and no randomness of the operating system: inputs go in, effects come out.
//!
//! Modules import downward only, in this order: [`replica`]; [`gossip`], [`exchange`]; [`presence`],
//! [`connect`], [`budget`]; [`verify`]; [`admission`]; [`view`]; [`charter`]; [`document`]; [`history`];
//! [`proof`]; [`delta`], [`incarnation`], [`chunk`]; [`backup`]; [`store`]; and what everything rests on.

pub mod address;
pub mod admission;
pub mod backup;
mod bounded;
pub mod budget;
pub mod charter;
pub mod chunk;
pub mod codec;
pub mod connect;
pub mod delta;
pub mod document;
pub mod exchange;
pub mod gossip;
pub mod history;
pub mod id;
pub mod identity;
pub mod incarnation;
mod jitter;
pub mod limits;
#[doc(hidden)]
pub mod planted;
pub mod presence;
pub mod proof;
pub mod replica;
pub mod seal;
pub mod store;
pub mod time;
pub mod verify;
pub mod view;
