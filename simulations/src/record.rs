//! What a run produced: the one source of every report.
//!
//! The shape is stable (`docs/schemas/runs.json`): fields are added, never renamed or given another meaning, and
//! [`RECORD_VERSION`] rises when that cannot be helped. Times are microseconds of virtual time since
//! the start unless a field says otherwise; absent means absent. Nodes are named by their place in
//! [`RunRecord::nodes`], faults by their place in [`RunRecord::faults`].

#[cfg(test)]
mod schema;

use serde::{Deserialize, Serialize};

/// The version of the record's shape.
pub const RECORD_VERSION: u32 = 1;

/// One run of one scenario with one seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's summary.
    pub summary: String,
    /// The scenario as it ran, complete, as TOML: what a replay reads.
    pub scenario_toml: String,
    /// SHA-256 of `scenario_toml`, in hex.
    pub scenario_digest: String,
    /// The seed.
    pub seed: u64,
    /// The version of the binary that ran it.
    pub binary: String,
    /// The defect planted in this build, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<String>,
    /// Hash over every event in order, in hex.
    pub trace_hash: String,
    /// The command that runs this again.
    pub replay: String,
    /// The judgement.
    pub verdict: Verdict,
    /// Why the verdict is undecided; empty otherwise.
    #[serde(default)]
    pub undecided: Vec<String>,
    /// What was violated, in order of time.
    #[serde(default)]
    pub violations: Vec<Violation>,
    /// What the scenario expected and what was measured.
    #[serde(default)]
    pub expectations: Vec<Judged>,
    /// How often each property was checked.
    #[serde(default)]
    pub properties: Vec<PropertyCount>,
    /// The fleet.
    pub nodes: Vec<NodeRecord>,
    /// Every fault, requested or drawn, and what it really did.
    #[serde(default)]
    pub faults: Vec<FaultRecord>,
    /// Times in which links between sides carried nothing.
    #[serde(default)]
    pub bands: Vec<Band>,
    /// Writes asked for and what became of them.
    pub writes: Writes,
    /// How long things took.
    pub timings: Timings,
    /// How many writes each node missed, over time.
    pub lag: Lag,
    /// How far the fleet was apart, over time.
    #[serde(default)]
    pub divergence: Vec<Divergence>,
    /// Time from a write to its arrival at another node.
    pub propagation: Propagation,
    /// Bytes sent by all nodes since the start, over time.
    #[serde(default)]
    pub bytes: Vec<Bytes>,
    /// Memory and queues, over time.
    #[serde(default)]
    pub resources: Vec<Resources>,
    /// Who missed what, since when, because of which fault: the longest waits first, and all that
    /// were still missing at the end, bounded by [`MISSED_MAX`].
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// How many there were in all; more than [`RunRecord::missed`] keeps, perhaps.
    #[serde(default)]
    pub missed_total: u64,
    /// The same in numbers, for each node and fault, whole whatever [`RunRecord::missed`] keeps.
    #[serde(default)]
    pub waits: Vec<Waited>,
}

/// Most entries of [`RunRecord::missed`].
pub const MISSED_MAX: usize = 1_000;

/// Most samples of each curve: one for every pixel of a wide screen is enough.
pub const SAMPLES_MAX: usize = 400;

/// The judgement of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was checked held.
    Held,
    /// The run could not tell: a fault never fired, or a check never ran.
    #[default]
    Undecided,
    /// Something that must hold did not.
    Violated,
}

/// One thing that did not hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The invariant's number in the design; absent for a missed expectation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<u32>,
    /// Its name, such as `no-acknowledged-write-lost`.
    pub name: String,
    /// When it was noticed.
    pub at_us: u64,
    /// Where, if at one node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
    /// In which document, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What happened, in a sentence.
    pub words: String,
    /// The fault that was going on there, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<u32>,
    /// The nodes whose doing it is, where that can be told: the one that went wrong first, hostile ones after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub culprits: Vec<u32>,
}

/// One expectation and its measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its key in the file, such as `converges_within`.
    pub name: String,
    /// The bound, as the file says it.
    pub bound: String,
    /// What was measured, in the same unit; absent if nothing could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// Whether it held.
    pub held: bool,
}

/// How often a property was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyCount {
    /// The invariant's number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How often it was checked.
    pub checks: u64,
    /// How often it did not hold.
    pub violations: u64,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name, `group-0`.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its role.
    pub role: String,
    /// Its behaviour; `honest` if it keeps to the protocol.
    pub behaviour: String,
    /// How often its process started.
    pub starts: u64,
    /// When its disk had reached its capacity; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_full_us: Option<u64>,
    /// Offences it charged to others.
    pub offences_seen: u64,
    /// Offences others charged to it.
    pub offences_done: u64,
}

/// One fault and what it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its kind, such as `partition`.
    pub kind: String,
    /// What it is, in words: `halves: east | west`.
    pub words: String,
    /// Whether the seed drew it rather than the file.
    #[serde(default)]
    pub drawn: bool,
    /// How often it began.
    pub occurrences: u64,
    /// How often it really did something: frames dropped, processes killed, bits flipped.
    pub fired: u64,
    /// What is counted, such as `frames dropped`.
    pub counted: String,
    /// When it was there, and where.
    #[serde(default)]
    pub spans: Vec<FaultSpan>,
}

/// One time a fault was there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSpan {
    /// Since when.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
    /// Whom it struck.
    pub nodes: Vec<u32>,
}

/// A time in which links between sides carried nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The fault that made it.
    pub fault: u32,
    /// Since when.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
    /// The sides; a node in none of them hears all, one in several bridges them.
    pub sides: Vec<Vec<u32>>,
    /// What it is, in words.
    pub words: String,
}

/// Writes asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// All.
    pub asked: u64,
    /// Acknowledged as durable.
    pub acknowledged: u64,
    /// Refused with a reason, such as a full disk.
    pub refused: u64,
    /// Without an answer because the process died.
    pub unanswered: u64,
}

/// How long things took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Virtual time in all.
    pub virtual_us: u64,
    /// When the last fault was healed.
    pub healed_us: u64,
    /// From the last heal until all honest nodes showed the same; absent if they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence_us: Option<u64>,
    /// Events handled.
    pub events: u64,
    /// Real time it took: the one figure that differs from run to run.
    pub real_us: u64,
}

/// How many writes each node missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// When it was looked at.
    pub at_us: Vec<u64>,
    /// For each node, in fleet order: at each of these times, acknowledged writes it did not hold;
    /// -1 where its process did not run.
    pub missing: Vec<Vec<i64>>,
}

/// How far the fleet was apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// When it was looked at.
    pub at_us: u64,
    /// Different states among honest nodes that ran; 1 is agreement.
    pub states: u64,
    /// Pairs of (node, write) missing, over all honest nodes.
    pub missing: u64,
}

/// Time from a write to its arrival at another node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Propagation {
    /// How many arrivals.
    pub arrivals: u64,
    /// How many never came.
    pub missing: u64,
    /// Points of the distribution, by rising share.
    #[serde(default)]
    pub points: Vec<Quantile>,
}

/// One point of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// Share of arrivals, from 0 to 1.
    pub share: f64,
    /// That took no longer than this.
    pub us: u64,
}

/// Bytes sent since the start by all nodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// When.
    pub at_us: u64,
    /// Of changes the receiver did not have.
    pub useful: u64,
    /// Of changes it had.
    pub redundant: u64,
    /// Of everything else: beacons, summaries, wants, announcements.
    pub control: u64,
}

/// Memory and queues at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// When.
    pub at_us: u64,
    /// Bytes of state held by the node that holds most.
    pub memory_max: u64,
    /// Bytes of state held by all nodes.
    pub memory_all: u64,
    /// Inputs waiting at the node where most wait.
    pub inbox_max: u64,
    /// Bytes of orphans at the node that has most.
    pub orphans_max: u64,
    /// Frames under way between all nodes.
    pub frames: u64,
}

/// One write that one node was without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Who was without it.
    pub node: u32,
    /// Who wrote it.
    pub author: u32,
    /// In which document.
    pub document: String,
    /// Which write, in the order of the run.
    pub write: u64,
    /// Since when it was acknowledged.
    pub since_us: u64,
    /// When it came; absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
    /// The fault that kept it away, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<u32>,
    /// How it came by gossip all the same and was not held afterwards, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Received>,
}

/// What one node was without because of one fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Who was without it.
    pub node: u32,
    /// The fault that kept it away, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<u32>,
    /// Writes that came more than a second after they were made.
    pub late: u64,
    /// Writes that never came.
    pub never: u64,
    /// The longest of those that came late took so long.
    pub longest_us: u64,
    /// Since when that one was awaited.
    pub since_us: u64,
}

/// A change that came to a node which did not hold it afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// When it came first.
    pub at_us: u64,
    /// From whom.
    pub from: u32,
    /// Whether the node said that it has it now; otherwise it was set aside.
    pub accepted: bool,
    /// The write that it rests on and that the node did not hold yet, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

impl RunRecord {
    /// The exit code of a run with this verdict: 0 held, 8 violated, 1 could not tell.
    pub fn exit_code(&self) -> u8 {
        self.verdict.exit_code()
    }

    /// The name of a node, or a plain mark for one that is not in the record.
    pub fn node_name(&self, node: u32) -> &str {
        self.nodes.get(node as usize).map_or("unknown node", |node| node.name.as_str())
    }
}

impl Verdict {
    /// The exit code: 0 held, 8 violated, 1 could not tell.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Undecided => 1,
            Self::Violated => 8,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Undecided => "undecided",
            Self::Violated => "violated",
        }
    }
}
