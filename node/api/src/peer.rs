//! Connections to other nodes, and blocking them.

use serde::{Deserialize, Serialize};

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

impl Direction {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A peer that is connected, or blocked, or did wrong of late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peer {
    /// Public key, hex.
    pub key: String,
    /// libp2p's name for the key.
    pub peer_id: String,
    /// What it calls itself, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Whether a connection is open.
    pub connected: bool,
    /// The address of the connection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// Who opened it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub direction: Option<Direction>,
    /// `tcp` or `quic`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transport: Option<String>,
    /// Milliseconds since it opened.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connected_ms: Option<u64>,
    /// Last measured round trip in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round_trip_ms: Option<u64>,
    /// Bytes of protocols received over the connections that stand with it, before encryption.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub received_bytes: Option<u64>,
    /// The same, sent to it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sent_bytes: Option<u64>,
    /// Points of its offences that have not faded, rounded up: ten disconnect it, thirty block it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub score: Option<u64>,
    /// What it did wrong, counted while it is remembered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offences: Option<u64>,
    /// Present while the peer is blocked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blocked: Option<Blocked>,
}

/// How long a peer stays blocked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Blocked {
    /// Milliseconds left; absent means until it is unblocked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub left_ms: Option<u64>,
}

/// Answer of `GET /v1/peers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeerList {
    /// Connected peers first, then the others, by key.
    pub items: Vec<Peer>,
}

/// Body of `POST /v1/peers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddPeer {
    /// A multiaddr, or HOST or HOST:PORT.
    pub address: String,
}

/// Answer of `POST /v1/peers`: the address is dialled now and retried for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeerAdded {
    /// The address as understood.
    pub address: String,
}

/// Body of `PUT /v1/peers/{id}/block`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BlockPeer {
    /// Seconds; absent means until it is unblocked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_s: Option<u64>,
}
