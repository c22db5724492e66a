//! Batches: the lines that are sent, and the lines that are answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::is_false;
use crate::{Heads, Problem};

/// One line of a batch's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum BatchLine {
    /// Write a whole document.
    Put {
        /// The document.
        doc: String,
        /// What it shall be.
        value: Value,
        /// The heads the value was derived from.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        base: Option<Heads>,
    },
    /// Delete a document.
    Delete {
        /// The document.
        doc: String,
    },
    /// Replace one value.
    Set {
        /// The document.
        doc: String,
        /// Where the value goes.
        pointer: String,
        /// The value.
        value: Value,
    },
    /// Add to a counter.
    Increment {
        /// The document.
        doc: String,
        /// Where the counter is.
        pointer: String,
        /// How much.
        by: i64,
    },
    /// Remove one value.
    Remove {
        /// The document.
        doc: String,
        /// Where the value is.
        pointer: String,
    },
    /// Insert an element into a list.
    Insert {
        /// The document.
        doc: String,
        /// Before which position.
        pointer: String,
        /// The element.
        value: Value,
    },
    /// Replace characters of a text.
    Splice {
        /// The document.
        doc: String,
        /// Where the text is.
        pointer: String,
        /// Position of the first character replaced.
        at: u64,
        /// How many characters are removed.
        #[serde(default)]
        delete: u64,
        /// What takes their place.
        #[serde(default)]
        insert: String,
    },
    /// Apply a JSON Patch (RFC 6902).
    Patch {
        /// The document.
        doc: String,
        /// The patch.
        patch: Value,
    },
    /// Apply a JSON Merge Patch (RFC 7396).
    Merge {
        /// The document.
        doc: String,
        /// The patch.
        patch: Value,
    },
}

impl BatchLine {
    /// The document it is about.
    #[must_use]
    pub fn doc(&self) -> &str {
        match self {
            Self::Put { doc, .. }
            | Self::Delete { doc }
            | Self::Set { doc, .. }
            | Self::Increment { doc, .. }
            | Self::Remove { doc, .. }
            | Self::Insert { doc, .. }
            | Self::Splice { doc, .. }
            | Self::Patch { doc, .. }
            | Self::Merge { doc, .. } => doc,
        }
    }
}

/// One line of a batch's answer, in the order of the lines asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BatchResultWire", into = "BatchResultWire")]
pub struct BatchResult {
    /// The document; absent where the line could not be read.
    pub doc: Option<String>,
    /// The heads after the write, or why it was refused.
    pub outcome: Result<Heads, Problem>,
}

/// The form of a [`BatchResult`] on the wire.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct BatchResultWire {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    doc: Option<String>,
    #[serde(skip_serializing_if = "is_false", default)]
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    heads: Option<Heads>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error: Option<Problem>,
}

impl From<BatchResult> for BatchResultWire {
    fn from(result: BatchResult) -> Self {
        let ok = result.outcome.is_ok();
        let (heads, error) = match result.outcome {
            Ok(heads) => (Some(heads), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { doc: result.doc, ok, heads, error }
    }
}

impl TryFrom<BatchResultWire> for BatchResult {
    type Error = &'static str;

    fn try_from(wire: BatchResultWire) -> Result<Self, Self::Error> {
        let outcome = match (wire.ok, wire.heads, wire.error) {
            (true, Some(heads), None) => Ok(heads),
            (false, None, Some(problem)) => Err(problem),
            _ => return Err("a batch result is either ok with heads or an error"),
        };
        Ok(Self { doc: wire.doc, outcome })
    }
}
