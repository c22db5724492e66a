//! Documents: listing, writing, watching, conflicts, batches.

mod batch;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Heads, Position, Problem,
    member::{Holder, Nodes},
};

#[cfg(feature = "schema")]
pub(crate) use batch::BatchResultWire;
pub use batch::{BatchLine, BatchResult};

/// Response header that carries a document's heads, comma separated.
pub const HEADS_HEADER: &str = "starling-heads";

/// Response header that carries the position of the store an answer was read at.
pub const POSITION_HEADER: &str = "starling-position";

/// Request header that makes a write safe to send again.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// Most characters of an idempotency key.
pub const REQUEST_ID_LENGTH_MAX: usize = 128;

/// Media type of batches and other streams of records.
pub const NDJSON_MEDIA_TYPE: &str = "application/x-ndjson";

/// Media type of a JSON Merge Patch (RFC 7396).
pub const MERGE_PATCH_MEDIA_TYPE: &str = "application/merge-patch+json";

/// Media type of a JSON Patch (RFC 6902).
pub const JSON_PATCH_MEDIA_TYPE: &str = "application/json-patch+json";

/// Media type of a document as an automerge file.
pub const AUTOMERGE_MEDIA_TYPE: &str = "application/octet-stream";

/// Query of `GET /v1/spaces/{space}/docs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only names that start with this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// Only names after this one: the `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<String>,
    /// At most so many items; the node has its own bound.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u32>,
    /// Whether deleted documents are listed too.
    #[serde(skip_serializing_if = "is_false", default)]
    pub deleted: bool,
}

/// One document in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DocumentItem {
    /// Its name.
    pub name: String,
    /// Heads of its view.
    pub heads: Heads,
    /// Changes in its history here.
    pub changes: u64,
    /// Whether it is deleted.
    #[serde(skip_serializing_if = "is_false", default)]
    pub deleted: bool,
    /// When its newest change was made, by its author's clock, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub modified: Option<String>,
    /// Key of the newest change's author, hex.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
}

/// Answer of `GET /v1/spaces/{space}/docs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DocumentList {
    /// In order of name.
    pub items: Vec<DocumentItem>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Query of `GET /v1/spaces/{space}/docs/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    /// Read at these heads (comma separated, each whole or a unique beginning of at least four digits),
    /// or at this time (RFC 3339, by the claims of authors), instead of the present view.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// Only the value at this RFC 6901 pointer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pointer: Option<String>,
    /// In which form; absent means JSON. As an automerge file only the whole present document is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub format: Option<ReadFormat>,
}

/// In which form a document is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReadFormat {
    /// Its value as JSON.
    #[default]
    Json,
    /// The document with its history, as every automerge program reads it.
    Automerge,
}

/// Query of `PUT`, `PATCH` and `DELETE` on a document and of `POST …/ops/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WriteQuery {
    /// The heads (comma separated) the body was derived from; absent means the present view. Only for `PUT`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// Write only if these (comma separated) are the heads of this node's view.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub if_heads: Option<String>,
    /// Answer only when so many other nodes hold the write, or `all` that are neither away nor left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirm: Option<String>,
    /// How long to wait for them, such as `5s`, which is also the default. Only with `confirm`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout: Option<String>,
}

/// A document as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its value, or the value at the pointer asked for.
    pub value: Value,
    /// The heads it was read at.
    pub heads: Heads,
    /// The entity tag, with its quotes, for If-Match and If-None-Match.
    pub etag: Option<String>,
}

/// What a durable write did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Written {
    /// Heads of the document after it.
    pub heads: Heads,
    /// Where the store stood after it.
    pub position: Position,
    /// Whether there was anything to change: a put of what is there already writes nothing.
    pub changed: bool,
    /// Whether the write made the document, or the increment made the counter.
    #[serde(skip_serializing_if = "is_false", default)]
    pub created: bool,
    /// Who else holds it, where that was asked; the status is then 202 unless `satisfied`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub confirmed: Option<Confirmed>,
}

/// Who holds a write besides the node that made it. The write is durable there either way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Confirmed {
    /// How many others were asked for.
    pub asked: Nodes,
    /// How many others said that they hold it.
    pub count: u64,
    /// Whether that is as many as asked for.
    pub satisfied: bool,
    /// Who said so.
    pub holders: Vec<Holder>,
    /// Who did not say so in time.
    pub missing: Vec<Holder>,
    /// Who was away or had left, and so was not waited for.
    pub not_waited_for: Vec<Holder>,
    /// Why nobody was asked, where the node could not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<Problem>,
}

/// Body of `POST /v1/spaces/{space}/ops/{*name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Operation {
    /// Add to a counter; an absent one is created.
    Increment {
        /// Where the counter is.
        pointer: String,
        /// How much; may be negative.
        by: i64,
    },
    /// Replace one value.
    Set {
        /// Where it goes.
        pointer: String,
        /// The value, with special forms.
        value: Value,
    },
    /// Settle a conflict: one value in place of all.
    Resolve {
        /// Where the values are.
        pointer: String,
        /// The value that stands; absent means the one a plain read shows.
        #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
        value: Option<Value>,
    },
    /// Make the document what it was.
    Revert {
        /// The heads, or the time, to go back to.
        to: String,
    },
    /// Remove one value: a member, or an element of a list.
    Remove {
        /// Where it is.
        pointer: String,
    },
    /// Insert an element into a list.
    Insert {
        /// Before which position; `-` as the last step appends.
        pointer: String,
        /// The element.
        value: Value,
    },
    /// Replace characters of a text.
    Splice {
        /// Where the text is.
        pointer: String,
        /// Position of the first character replaced, in Unicode code points.
        at: u64,
        /// How many characters are removed.
        #[serde(default)]
        delete: u64,
        /// What takes their place.
        #[serde(default)]
        insert: String,
    },
}

/// One of several values that were written at one place without knowledge of each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictValue {
    /// The value; absent where it is the deletion of the document.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
    pub value: Option<Value>,
    /// The actor that wrote it, hex.
    pub actor: String,
    /// Key of the author, hex.
    pub author: String,
    /// What the author's node calls itself, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author_name: Option<String>,
    /// The change that wrote it, hex, where known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<String>,
    /// Whether this is the one a plain read shows.
    #[serde(skip_serializing_if = "is_false", default)]
    pub shown: bool,
}

/// One place with more than one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// Where, as an RFC 6901 pointer.
    pub pointer: String,
    /// All values there; the one shown first.
    pub values: Vec<ConflictValue>,
}

/// Answer of `GET /v1/spaces/{space}/conflicts/{*name}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictList {
    /// In document order.
    pub items: Vec<Conflict>,
}

/// Query of `GET /v1/spaces/{space}/watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Only documents whose name starts with this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prefix: Option<String>,
    /// Start after this position; absent means from now on. `Last-Event-ID` wins over it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
}

/// One event of a watch: a document's view changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WatchEvent {
    /// Id of the space, hex.
    pub space: String,
    /// The document.
    pub name: String,
    /// Its heads now.
    pub heads: Heads,
    /// Key of the author, hex, where one author made the change.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// Where the store stood after it; also the event's `id`.
    pub position: Position,
    /// Whether it is deleted now.
    #[serde(skip_serializing_if = "is_false", default)]
    pub deleted: bool,
    /// What changed inside, where the node says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ops: Option<Vec<Value>>,
}

/// A member that is there, `null` among its values.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

const fn is_false(value: &bool) -> bool {
    !*value
}
