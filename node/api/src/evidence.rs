//! What is kept out of documents, and which authors contradicted themselves.
//!
//! Everything that is told was checked against signatures. Times that authors claim are named so; `since` is
//! by the clock of the node that tells.

use serde::{Deserialize, Serialize};

use crate::past::Writer;

/// Query of `GET /v1/spaces/{space}/quarantine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QuarantineQuery {
    /// Only this document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// Only documents after this one: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

/// A change that is kept out of its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuarantineItem {
    /// The document.
    pub doc: String,
    /// Which change, and whose.
    #[serde(flatten)]
    pub writer: Writer,
    /// Its place among its actor's changes of this document, from 1.
    pub seq: u64,
    /// Why, as a stable word: a name of a rule, or `rests-on-quarantined`.
    pub code: String,
    /// Why, in words.
    pub reason: String,
    /// When this node found it, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// Those of the changes it rests on that are kept out as well, hex.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rests_on: Vec<String>,
    /// How many changes are kept out because they rest on it; absent where that was not counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub holds_back: Option<u64>,
    /// What to do about it.
    pub advice: String,
}

/// Answer of `GET /v1/spaces/{space}/quarantine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuarantinePage {
    /// By name of the document; in each those at fault themselves first.
    pub items: Vec<QuarantineItem>,
    /// Changes of these documents that are kept out beside those in `items`.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub more: u64,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Query of `GET /v1/spaces/{space}/forks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ForksQuery {
    /// Only this document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// Only forks after this one: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

/// One of two changes with one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForkSide {
    /// The change, hex.
    pub change: String,
    /// The time its author claims, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub claimed_time: Option<String>,
    /// Whether it is the one in this node's history.
    pub held: bool,
}

/// A proven fork: an author signed two changes with one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForkItem {
    /// The document.
    pub doc: String,
    /// Public key of the author, hex.
    pub author: String,
    /// What the author's node calls itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author_name: Option<String>,
    /// The actor, hex.
    pub actor: String,
    /// The number that two changes have.
    pub seq: u64,
    /// The two.
    pub changes: Vec<ForkSide>,
    /// When this node found it, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// What to do about it.
    pub advice: String,
    /// The proof, hex: what `starling verify --proof` checks on any machine.
    pub proof: String,
}

/// Answer of `GET /v1/spaces/{space}/forks`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForksPage {
    /// By document and actor.
    pub items: Vec<ForkItem>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}
