//! Documents through time: history, blame, differences, conflicts.
//!
//! Order is causal: what comes first knew what comes after it in a history, newest first. Times are what
//! authors claim, and are named so; they select, they never order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Heads, document::Conflict};

/// Query of `GET /v1/spaces/{space}/history/{*name}` and `GET /v1/spaces/{space}/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only changes by this member: its name, its key, or a unique beginning of the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// Only changes that claim this time (RFC 3339) or a later one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// At most so many items; the node has its own bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u32>,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Writer {
    /// The change, hex.
    pub change: String,
    /// Key of the author, hex.
    pub author: String,
    /// What the author's node calls itself, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author_name: Option<String>,
    /// The author's actor, hex: one run of one process.
    pub actor: String,
    /// When, by the author's own clock, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub claimed_time: Option<String>,
}

/// The delta by which a change is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedBy {
    /// Sequence number of its first change.
    pub first_seq: u64,
    /// Sequence number of its last change, over which the author signed.
    pub last_seq: u64,
    /// The signature, hex.
    pub signature: String,
}

/// One thing that a change did. Places in lists are those of the document as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deed {
    /// What.
    #[serde(flatten)]
    pub what: DeedKind,
    /// Where: of an insertion, the list or text it went into.
    pub pointer: String,
    /// The place is not in the document any more; `pointer` is what is nearest to it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub gone: bool,
}

/// What a change did at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum DeedKind {
    /// Put a value there.
    Set {
        /// The value, with special forms.
        value: Value,
    },
    /// Took the value away.
    Remove,
    /// Added to a counter.
    Increment {
        /// How much.
        by: i64,
    },
    /// Inserted an element into a list.
    Insert {
        /// The element, with special forms.
        value: Value,
    },
    /// Inserted characters into a text.
    InsertText {
        /// The characters.
        text: String,
    },
    /// Removed characters of a text.
    RemoveText {
        /// How many.
        characters: u64,
    },
}

/// One change of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangeItem {
    /// The document.
    pub doc: String,
    /// Which change, and whose.
    #[serde(flatten)]
    pub writer: Writer,
    /// Its place among its actor's changes of this document, from 1.
    pub seq: u64,
    /// The changes it knew and rests on, hex.
    pub rests_on: Vec<String>,
    /// Whether it deleted the document.
    #[serde(skip_serializing_if = "is_false", default)]
    pub deletes: bool,
    /// Size of the change in bytes.
    pub bytes: u64,
    /// What it did, in order.
    pub did: Vec<Deed>,
    /// Operations beside those in `did`, of a large change.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub more: u64,
    /// The delta that signs it. A signature that covers the change was checked for this answer.
    pub delta: SignedBy,
}

/// Answer of the history routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryPage {
    /// Newest first: each change comes before all that it rests on. Of a whole space, document by
    /// document, the one that changed last on this node first.
    pub items: Vec<ChangeItem>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Query of `GET /v1/spaces/{space}/blame/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BlameQuery {
    /// Only values at and below this RFC 6901 pointer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pointer: Option<String>,
    /// At these heads, or at this time, instead of now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// Values to pass over: the `next` of the page before, whose `heads` go into `at`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skip: Option<u64>,
    /// At most so many items; the node has its own bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u32>,
}

/// A value, and who wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WrittenValue {
    /// The value, with special forms.
    pub value: Value,
    /// Who wrote it.
    #[serde(flatten)]
    pub writer: Writer,
}

/// A stretch of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextPart {
    /// Its characters.
    pub text: String,
    /// Who inserted them.
    #[serde(flatten)]
    pub writer: Writer,
}

/// One place of a document, and who wrote what is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlameItem {
    /// Where, as an RFC 6901 pointer.
    pub pointer: String,
    /// What a plain read shows.
    #[serde(flatten)]
    pub shown: WrittenValue,
    /// What lost against it, written without knowledge of it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub hidden: Vec<WrittenValue>,
    /// The stretches of a text that several changes wrote.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<TextPart>,
}

/// Answer of `GET /v1/spaces/{space}/blame/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlamePage {
    /// The heads it was read at.
    pub heads: Heads,
    /// In order of the document.
    pub items: Vec<BlameItem>,
    /// What to pass as `skip` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<u64>,
}

/// Query of `GET /v1/spaces/{space}/diff/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The heads, or the time, on the one side.
    pub from: String,
    /// The heads, or the time, on the other; absent means now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
}

/// What an operation of a JSON Patch (RFC 6902) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PatchOp {
    /// Puts a value where there was none.
    Add,
    /// Takes a value away.
    Remove,
    /// Puts a value in place of another.
    Replace,
}

/// One operation of a JSON Patch, with the value that was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// What it does.
    pub op: PatchOp,
    /// Where, as an RFC 6901 pointer, once all operations before it were applied.
    pub path: String,
    /// The value there afterwards; absent where nothing is left.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "crate::document::present")]
    pub value: Option<Value>,
    /// The value there before; absent where there was nothing. RFC 6902 lets readers pass over it.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "crate::document::present")]
    pub before: Option<Value>,
}

/// Answer of `GET /v1/spaces/{space}/diff/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diff {
    /// The heads on the one side.
    pub from: Heads,
    /// The heads on the other.
    pub to: Heads,
    /// A JSON Patch that turns the one into the other.
    pub patch: Vec<Difference>,
}

/// Query of `GET /v1/spaces/{space}/conflicts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConflictsQuery {
    /// Only documents whose name starts with this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// Only documents after this one: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
}

/// A conflict, and the document it is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DocumentConflict {
    /// The document.
    pub doc: String,
    /// Where in it, and what the values are.
    #[serde(flatten)]
    pub conflict: Conflict,
}

/// Answer of `GET /v1/spaces/{space}/conflicts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictsPage {
    /// By name of the document, then in document order. A page may hold none and not be the last.
    pub items: Vec<DocumentConflict>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}
