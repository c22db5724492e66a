//! Spaces, invites and joining.

use serde::{Deserialize, Serialize};

use crate::member::Holder;

/// What a member may do; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read documents.
    Reader,
    /// Also write documents.
    Writer,
    /// Also invite, grant and revoke.
    Admin,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether this node takes part in a space yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JoinState {
    /// The charter admits this node.
    Joined,
    /// A member has yet to witness the join; the node keeps trying.
    Joining,
}

/// Body of `POST /v1/spaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSpace {
    /// What people call it; not unique across nodes.
    pub name: String,
}

/// One space as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Space {
    /// Hash of its genesis, hex: unique everywhere.
    pub id: String,
    /// What its founders call it.
    pub name: String,
    /// Keys of the founders, hex.
    #[serde(default)]
    pub founders: Vec<String>,
    /// Whether this node takes part yet.
    pub state: JoinState,
    /// This node's own role; absent while it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<Role>,
    /// The part of the names the own role is limited to; absent means all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// Documents that exist, without deleted ones.
    pub documents: u64,
    /// Changes held.
    pub changes: u64,
    /// Bytes of those, as they were signed; of documents that were not changed since a release that did not count
    /// them, nothing.
    #[serde(default)]
    pub bytes: u64,
    /// How many of them this node keeps at most; absent where it knows no bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_max: Option<u64>,
    /// Members the charter admits.
    pub members: u64,
    /// Of everything held, hex: equal on nodes that hold the same changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
    /// Why nobody witnessed the join yet, in the words of the member that refused last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub join_refused: Option<String>,
    /// When the genesis was made, RFC 3339, by the founder's clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
}

/// Answer of `GET /v1/spaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpaceList {
    /// In order of name, then id.
    pub items: Vec<Space>,
}

/// Answer of `DELETE /v1/spaces/{space}`: the space was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpaceLeft {
    /// Id of the space, hex.
    pub id: String,
    /// What its founders call it.
    pub name: String,
    /// Documents that existed here.
    pub documents: u64,
    /// Changes that were held here and are being removed.
    pub changes: u64,
    /// Nodes that confirmed to hold all of it.
    #[serde(default)]
    pub holders: Vec<Holder>,
}

/// Query of `DELETE /v1/spaces/{space}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaveQuery {
    /// Leave even if no other node confirms that it holds what this one holds.
    #[serde(default)]
    pub force: bool,
}

/// Body of `POST /v1/spaces/{space}/invites`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// What whoever joins by it may do.
    pub role: Role,
    /// The part of the names that role is limited to; absent means all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// How many may join by it; absent means the node's default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uses: Option<u32>,
    /// Seconds until it expires by the witness's clock; absent means the node's default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_in_s: Option<u64>,
}

/// Answer of `POST /v1/spaces/{space}/invites`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Invite {
    /// What the invited node passes to `join`; a secret.
    pub ticket: String,
    /// Hash of the invite statement, hex; safe to show.
    pub invite: String,
}

/// Body of `POST /v1/join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The ticket as `invite` printed it.
    pub ticket: String,
}

/// Answer of `POST /v1/join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Joined {
    /// Id of the space, hex.
    pub space: String,
    /// What its founders call it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Whether a member has witnessed the join already.
    pub state: JoinState,
}
