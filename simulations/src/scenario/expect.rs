//! What a scenario expects beyond the invariants.
//!
//! The invariants of the design are always checked; expectations put figures on them. Each one left
//! out is not judged. A bound that is missed makes the verdict `violated`.

use serde::{Deserialize, Serialize};

use super::quantity::{Size, Span};

/// The expectations of a scenario; at least one is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// After the last heal, every honest node shows the same within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converges_within: Option<Span>,
    /// Every acknowledged write of an honest node is held by every honest node at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_lost_writes: Option<bool>,
    /// Share of attempted writes that running, unharmed nodes acknowledge, at least, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes_accepted_min: Option<f64>,
    /// Time from a write to its arrival at 99 of 100 nodes that could be reached, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_p99_max: Option<Span>,
    /// Bytes sent by all nodes together, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<Size>,
    /// Redundant bytes for each useful byte, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redundancy_max: Option<f64>,
    /// Bytes a second and node in the last 30 s, when nothing is written any more, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_bytes_per_second_max: Option<f64>,
    /// Inputs waiting at any node at any time, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u64>,
    /// Bytes of orphans at any node at any time, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphan_bytes_max: Option<Size>,
    /// Offences that honest nodes charged to hostile ones, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offences_min: Option<u64>,
    /// Offences that honest nodes charged to honest ones, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_offences_max: Option<u64>,
    /// How often a node reports that another is away or back, for each time that the two were really apart,
    /// at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports_per_outage_max: Option<u64>,
    /// Times that a node calls another away that has been within its reach for ten seconds, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_aways_max: Option<u64>,
    /// Time from a process's end until every node that could see it calls it away or left, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away_within: Option<Span>,
}
