//! What an operator writes down: a fleet, a workload, what goes wrong, and what must hold.
//!
//! A [`Scenario`] is a plain value, read from TOML and checked before anything runs. It says what
//! shall happen, never how: which random nodes a selector takes is drawn by the world, from the seed.
//! What it leaves out: authority (grants and revocations) and faults of several spaces.

mod format;
mod lint;
mod shape;
mod tree;

pub mod expect;
pub mod fault;
pub mod fleet;
pub mod load;
pub mod network;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod shipped;
pub mod workload;

use serde::{Deserialize, Serialize};

pub use expect::Expect;
pub use fault::{Fault, FaultKind, Until};

pub use fleet::{Behaviour, Clock, Disk, Group, Hostility, NodePlan, Role};
#[cfg(test)]
pub(crate) use format::FAULT_KINDS;
pub use load::{Loaded, load, load_text};
pub use network::{LinkShape, NetworkPlan, Preset, Region, Topology};
pub use quantity::{Bandwidth, Offset, Size, Span};
pub use selector::Selector;
pub use tree::{Complaint, Place};
pub use workload::Workload;

/// The version of the file format this build reads and writes.
pub const SCENARIO_VERSION: u32 = 1;

/// Most nodes a fleet may have: what fits in memory with every replica whole.
pub const NODES_MAX: u32 = 2_000;

/// A scenario as it runs: complete, checked, nothing left to look up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The version of the format, [`SCENARIO_VERSION`].
    pub version: u32,
    /// A short name, by which reports and seeds speak of it.
    pub name: String,
    /// What happens, in a sentence.
    pub summary: String,
    /// What running it teaches, in a sentence.
    pub learn: String,
    /// How long the workload runs and faults begin. At its end every fault is healed.
    pub duration: Span,
    /// How long the healed fleet may take to settle before the last sweep.
    #[serde(default = "default_drain")]
    pub drain: Span,
    /// The seed of the pinned run, which `sim run` takes when it is given none.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The fleet, in the order in which nodes are numbered.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
    /// What links are like.
    #[serde(default)]
    pub network: NetworkPlan,
    /// Who may know whom at the start.
    #[serde(default)]
    pub topology: Topology,
    /// What is written.
    #[serde(default)]
    pub workload: Workload,
    /// What goes wrong, and when.
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Faults drawn anew from each seed, beside those above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<RandomFaults>,
    /// What must hold beyond the invariants, which always must.
    pub expect: Expect,
}

/// A budget of faults that each seed draws for itself: swarm testing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFaults {
    /// How many faults one run draws at most; it draws at least one.
    pub faults: u32,
    /// The longest a drawn fault lasts.
    #[serde(default = "default_longest")]
    pub longest: Span,
    /// Names of the kinds to draw from; each run uses a random half of them. Empty: every kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// The largest share of the fleet one drawn fault may touch, in percent.
    #[serde(default = "default_share")]
    pub percent: f64,
}

fn default_drain() -> Span {
    Span::seconds(120)
}

fn default_seed() -> u64 {
    1
}

fn default_longest() -> Span {
    Span::seconds(30)
}

fn default_share() -> f64 {
    40.0
}

impl Scenario {
    /// Every node in order, with its name (`group-0`), its group and what the group says.
    pub fn nodes(&self) -> Vec<NodePlan<'_>> {
        let mut nodes = Vec::new();
        for (group_index, group) in self.groups.iter().enumerate() {
            for ordinal in 0..group.count {
                nodes.push(NodePlan {
                    name: format!("{}-{ordinal}", group.name),
                    group_index,
                    ordinal,
                    group,
                });
            }
        }
        nodes
    }

    /// When the run ends: the workload's time and the time to settle.
    pub fn end(&self) -> Span {
        Span(self.duration.0.saturating_add(self.drain.0))
    }
}
