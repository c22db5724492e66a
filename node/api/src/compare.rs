//! Comparing this node with others: what differs, down to the change.
//!
//! Nothing is fetched for it, and repair goes on meanwhile: an answer says between which states it was made,
//! and what differs in it may be under way already.

use serde::{Deserialize, Serialize};

use crate::Position;

/// Body of `POST /v1/spaces/{space}/compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// With whom: members by name, key or unique beginning of a key.
    pub nodes: Vec<String>,
    /// Only this document; absent means the whole space.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// How long each may take; the node has its own bound, and its own time if this is absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout_ms: Option<u64>,
}

/// Answer of `POST /v1/spaces/{space}/compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComparedList {
    /// One for each node asked for, in the order asked.
    pub items: Vec<Compared>,
}

/// How a comparison with one node ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// What the node calls itself.
    pub name: String,
    /// Its public key, hex.
    pub key: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Both hold the same.
    Equal(Told),
    /// Something differs.
    Differs(Told),
    /// The node could not be asked, or did not answer to the end.
    Unasked {
        /// A stable word.
        code: UnaskedCode,
        /// What happened, and how the node stands.
        why: String,
    },
}

/// Why a node could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnaskedCode {
    /// No connection with it is open.
    NotConnected,
    /// The connection broke before the end.
    ConnectionLost,
    /// It did not answer in time.
    TimedOut,
    /// It refused, as a node of an older version does.
    Refused,
}

/// What was found, and between which states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Told {
    /// This node at the beginning and at the end.
    pub ours: Span,
    /// The other node when it was asked first and last.
    pub theirs: Span,
    /// Whether neither gained anything of the space meanwhile: then the answer is exact for both positions.
    pub settled: bool,
    /// Whether both hold the same statements of the charter.
    pub charters_equal: bool,
    /// How many runs of an actor in a document differ, at least.
    pub differing: u64,
    /// Whether each of them is among the differences.
    pub complete: bool,
    /// What differs, by document and actor.
    pub differences: Vec<DifferingRun>,
    /// Bytes of questions and answers.
    pub bytes: u64,
    /// Questions that were answered.
    pub round_trips: u32,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// Where a node stood at the beginning and at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Span {
    /// At the beginning.
    pub from: Position,
    /// At the end.
    pub to: Position,
}

/// Who has more of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The other node has changes that this one lacks.
    LackedHere,
    /// This node has changes that the other lacks.
    LackedThere,
    /// Both have as many, and they are not the same: their author signed two with one number.
    Forked,
}

/// One actor's run in one document that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DifferingRun {
    /// The document; absent only where the other node did not name it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doc: Option<String>,
    /// The actor, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
    /// Its author's public key, hex; absent while this node does not know the actor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// What that author's node calls itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author_name: Option<String>,
    /// Who has more.
    pub kind: DifferenceKind,
    /// The actor's last change of the document here; 0: none.
    pub ours: u64,
    /// The actor's last change of the document there; 0: none.
    pub theirs: u64,
}
