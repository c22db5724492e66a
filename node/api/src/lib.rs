//! The HTTP API of a Starling node, as types and as a client.
//!
//! This crate is a leaf: it knows no other crate of Starling, so a program that talks to a node needs
//! nothing but this. It promises that what [`Client`] sends and reads is what the node's router serves,
//! because both use these types and these [`route`]s. Absent means absent: no field is ever `null`.
//! Times are RFC 3339 strings. It leaves out what a document means; a value is plain JSON.

pub mod address;
pub mod client;
pub mod compare;
pub mod document;
pub mod duration;
pub mod evidence;
pub mod exit;
pub mod heads;
pub mod keep;
pub mod member;
pub mod past;
pub mod peer;
pub mod problem;
pub mod route;
#[cfg(feature = "schema")]
mod schema;
pub mod space;
pub mod status;
pub mod warning;

pub use address::{AddressError, NodeAddress};
pub use client::{Client, ClientError};
pub use exit::ExitCode;
pub use heads::{Heads, HeadsError, Position};
pub use problem::{Code, Problem};
