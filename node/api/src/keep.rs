//! Keeping a node: what a verification found, what a compaction gave.

use serde::{Deserialize, Serialize};

/// Media type of a backup.
pub const BACKUP_MEDIA_TYPE: &str = "application/x-starling-backup";

/// One thing that is wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// A stable word.
    pub code: String,
    /// Id of the space, hex, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub space: Option<String>,
    /// The document, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// What is wrong.
    pub what: String,
    /// Whether `verify --repair` puts it right.
    pub mendable: bool,
}

/// Changes that were in history and can no longer be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Loss {
    /// Id of the space, hex.
    pub space: String,
    /// The document.
    pub doc: String,
    /// The actor whose run it is, hex.
    pub actor: String,
    /// Its author's key, hex, where the incarnation can still be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// Whether this node wrote it: then it comes back only if another node holds it.
    pub own: bool,
    /// The first sequence number lost.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// Answer of `POST /v1/verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verified {
    /// Whether nothing is wrong.
    pub sound: bool,
    /// Spaces looked at.
    pub spaces: u64,
    /// Documents looked at.
    pub documents: u64,
    /// Deltas whose signatures were checked.
    pub deltas: u64,
    /// Changes in history.
    pub changes: u64,
    /// Things found wrong, all of them.
    pub wrong: u64,
    /// The first thousand of them.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Runs of changes that were in history and cannot be read, all of them.
    pub lost: u64,
    /// The first thousand of them.
    #[serde(default)]
    pub losses: Vec<Loss>,
}

/// Answer of `POST /v1/compact`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compacted {
    /// Documents looked at.
    pub documents: u64,
    /// Deltas, each with a signature, before.
    pub deltas_before: u64,
    /// Deltas after.
    pub deltas_after: u64,
    /// Bytes of the deltas before.
    pub bytes_before: u64,
    /// Bytes of the deltas after.
    pub bytes_after: u64,
    /// Runs left as they were because a part of them is damaged: `verify` says which.
    pub refused: u64,
    /// Bytes of the store's file after. What was freed inside is used again by later writes; the file
    /// itself shrinks when `compact` runs on the stopped node.
    pub store_bytes: u64,
}
