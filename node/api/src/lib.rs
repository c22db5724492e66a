//! The HTTP API of a Starling node, as types and as a client.
//!
//! This crate is a leaf: it knows no other crate of Starling, so a program that talks to a node needs
//! nothing but this. It promises that what [`Client`] sends and reads is what the node's router serves,
//! because both use these types and these [`route`]s. Absent means absent: no field is ever `null`.
//! Times are RFC 3339 strings. It leaves out what a document means; a value is plain JSON.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use starling_api::{Client, client::WriteOptions, document::WatchQuery};
//!
//! let client = Client::new("unix:/var/lib/starling/api.sock".parse()?);
//! client.put("shop", "config/web", r#"{"port": 80}"#, &WriteOptions::default()).await?;
//! let port = client.document("shop", "config/web").await?.value["port"].as_u64();
//! assert_eq!(port, Some(80));
//! let mut changes = client.watch("shop", WatchQuery::default()).await?;
//! println!("{} changed", changes.next().await?.name);
//! # Ok(())
//! # }
//! ```
//!
//! Three whole programs stand in `node/api/examples`, and a test runs them against real nodes:
//!
//! - `feature_flags`: flags that are read at the start and on every change, and kept while the node is away;
//! - `service_registry`: each host announces its instance, and who looks one up learns whether that host is there;
//! - `offline_notes`: notes written without a network, with who has them already.

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
