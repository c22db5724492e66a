//! Members of a space, and waiting until they hold something.

use serde::{Deserialize, Serialize};

use crate::{Position, space::Role};

/// How a member stands from this node's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// This node itself.
    #[serde(rename = "self")]
    Own,
    /// Heard of recently.
    Alive,
    /// Overdue.
    Suspect,
    /// Not heard of for long.
    Away,
    /// Said goodbye.
    Left,
    /// Never heard of.
    Unknown,
}

impl MemberState {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Away => "away",
            Self::Left => "left",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for MemberState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One member, and the last this node heard of its node. Remote figures are as old as `age_ms` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// What its node calls itself; the key's first digits where it never said.
    pub name: String,
    /// Public key, hex.
    pub key: String,
    /// What it may do.
    pub role: Role,
    /// The part of the names that role is limited to; absent means all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// How it stands.
    pub state: MemberState,
    /// Why it stands so, as a stable word.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Whether a connection with its node is open.
    #[serde(skip_serializing_if = "is_false", default)]
    pub connected: bool,
    /// Last measured round trip to its node in milliseconds, where a connection is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub round_trip_ms: Option<u64>,
    /// Milliseconds since it stands so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since_ms: Option<u64>,
    /// Version of its program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Addresses it says it can be reached at.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Whether its documents were equal to ours when it was last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_sync: Option<bool>,
    /// Documents it held when last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub documents: Option<u64>,
    /// Changes it held when last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changes: Option<u64>,
    /// How old these figures are, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub age_ms: Option<u64>,
    /// By how many documents it held fewer, when last heard, than there are here now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub documents_behind: Option<u64>,
    /// By how many changes it held fewer, when last heard, than this node holds now. Both may lack changes of
    /// each other all the same: comparing tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changes_behind: Option<u64>,
    /// By how many milliseconds its clock was ahead of this node's when last heard, negative if behind. What
    /// was on its way for long looks late.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clock_offset_ms: Option<i64>,
    /// Where its store stood when last heard.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<Position>,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// Answer of `GET /v1/spaces/{space}/members`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberList {
    /// In order of name, then key.
    pub items: Vec<Member>,
}

/// How many nodes are asked for: a number, or the word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Every member that is neither away nor left at that moment.
    All,
    /// At least so many others than this node.
    AtLeast(u32),
}

impl Serialize for Nodes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::AtLeast(count) => serializer.serialize_u32(*count),
        }
    }
}

impl<'de> Deserialize<'de> for Nodes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Count(u32),
            Word(String),
        }
        match Wire::deserialize(deserializer) {
            Ok(Wire::Count(count)) => Ok(Self::AtLeast(count)),
            Ok(Wire::Word(word)) if word == "all" => Ok(Self::All),
            _ => Err(serde::de::Error::custom("nodes is a count or \"all\"")),
        }
    }
}

/// Why a text is not a number of nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a count nor \"all\"")]
pub struct NodesError(String);

impl std::str::FromStr for Nodes {
    type Err = NodesError;

    fn from_str(text: &str) -> Result<Self, NodesError> {
        match text {
            "all" => Ok(Self::All),
            count => count.parse().map(Self::AtLeast).map_err(|_| NodesError(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Nodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::AtLeast(count) => write!(f, "{count}"),
        }
    }
}

/// Body of `POST /v1/spaces/{space}/wait`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The document whose present heads must be held; absent means the whole space.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// By how many.
    pub nodes: Nodes,
    /// How long to wait; the node has its own bound.
    pub timeout_ms: u64,
}

/// A member, by key and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Holder {
    /// Public key, hex.
    pub key: String,
    /// What its node calls itself.
    pub name: String,
}

/// Answer of `POST /v1/spaces/{space}/wait`; status 200 when satisfied, 202 when not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Waited {
    /// Who holds it, besides this node.
    pub holders: Vec<Holder>,
    /// Who was waited for and did not say so in time.
    pub missing: Vec<Holder>,
    /// Who was away or had left, and so was not waited for.
    pub not_waited_for: Vec<Holder>,
    /// Whether as many as asked hold it.
    pub satisfied: bool,
}
