//! What is written while the scenario runs.

use serde::{Deserialize, Serialize};

use super::quantity::{Size, Span};
use super::selector::Selector;

/// The workload section: writes by all writers together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Writes per second in all, at random moments.
    pub rate: f64,
    /// Among how many documents.
    pub documents: u32,
    /// How uneven the choice of documents is: 0 is even, 1 is as words in a language (Zipf).
    pub skew: f64,
    /// Share of writes that follow another node's write to the same place at once, from 0 to 1.
    pub conflicts: f64,
    /// How long a written value is.
    pub value: Size,
    /// Who writes; of those, nodes whose role lets them.
    pub writers: Selector,
    /// When writing begins.
    pub from: Span,
    /// When it ends; without it, with the scenario's duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Span>,
    /// How often each kind of edit is chosen.
    pub mix: Mix,
    /// Share of writes sent a second time with the same request id, from 0 to 1.
    pub retries: f64,
}

/// Weights of the kinds of edit; their sum need not be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Setting a member of a map.
    pub map: u32,
    /// Inserting into and deleting from a list.
    pub list: u32,
    /// Splicing text.
    pub text: u32,
    /// Adding to a counter.
    pub counter: u32,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            rate: 1.0,
            documents: 100,
            skew: 0.0,
            conflicts: 0.0,
            value: Size(100),
            writers: Selector::all(),
            from: Span(0),
            until: None,
            mix: Mix::default(),
            retries: 0.0,
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self { map: 1, list: 0, text: 0, counter: 0 }
    }
}
