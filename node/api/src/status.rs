//! What a node says about itself.

use serde::{Deserialize, Serialize};

use crate::{Position, space::Space};

/// Something an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// A stable word: one of [`crate::warning::ALL`].
    pub code: String,
    /// What is the matter, with names and figures.
    pub message: String,
    /// Why it matters.
    pub why: String,
    /// The command that mends it, or looks deeper.
    pub command: String,
}

/// Figures of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreStatus {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes left on its file system for this user; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub room: Option<u64>,
    /// Bytes by which it grew since the node started; absent for a stopped node.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grown: Option<u64>,
    /// Where it stands.
    pub position: Position,
}

/// How far the nodes of a space are from holding the same, by what each said when it was last heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lag {
    /// Id of the space.
    pub space: String,
    /// Members besides this node.
    pub others: u64,
    /// How many of them held exactly what this node holds now.
    pub in_sync: u64,
    /// Who held fewest changes, where somebody held fewer than this node.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub behind: Option<Distance>,
    /// Who held most changes, where somebody held more than this node.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ahead: Option<Distance>,
}

/// How far one member is from this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Distance {
    /// What its node calls itself.
    pub name: String,
    /// By so many changes.
    pub changes: u64,
    /// Milliseconds since it was heard.
    pub age_ms: u64,
}

/// Answer of `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// What the node calls itself.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Public key, hex.
    pub key: String,
    /// libp2p's name for the key.
    pub peer_id: String,
    /// Addresses it listens at.
    pub listen: Vec<String>,
    /// Addresses it tells others to use.
    #[serde(default)]
    pub advertise: Vec<String>,
    /// The spaces it holds.
    pub spaces: Vec<Space>,
    /// Peers connected now.
    pub peers: u64,
    /// How far each space's nodes are apart; a space without other members is left out.
    #[serde(default)]
    pub lag: Vec<Lag>,
    /// Figures of the store.
    pub store: StoreStatus,
    /// What needs a look, the most urgent first; empty when nothing does.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// When it started, RFC 3339.
    pub started: String,
    /// Milliseconds since then.
    pub uptime_ms: u64,
}

/// Answer of `GET /v1/log-level`, body and answer of `PUT /v1/log-level`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// The filter: a level (`error`, `warn`, `info`, `debug`, `trace`), or `TARGET=LEVEL` parts with
    /// commas between them.
    pub filter: String,
}

/// Answer of `GET /healthz` and `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`; anything else comes as a problem.
    pub status: String,
}
