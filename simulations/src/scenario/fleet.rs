//! The fleet: groups of like nodes.

use serde::{Deserialize, Serialize};

use super::network::Region;
use super::quantity::{Offset, Size, Span};

/// Nodes that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, by which selectors speak of it; nodes are called `name-0`, `name-1`, ….
    pub name: String,
    /// How many nodes.
    pub count: u32,
    /// What their keys may do in the space.
    #[serde(default)]
    pub role: Role,
    /// Where they stand in the preset's matrix; without it nodes are dealt over the regions in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// How their clocks go.
    #[serde(default)]
    pub clock: Clock,
    /// What they store on.
    #[serde(default)]
    pub disk: Disk,
    /// Whether they keep to the protocol.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything, writes nothing.
    Reader,
    /// Writes documents.
    #[default]
    Writer,
    /// Writes documents and grants rights.
    Admin,
}

/// How a node's wall clock and timers go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// How far the wall clock is ahead at the start.
    #[serde(default)]
    pub offset: Offset,
    /// How much too fast both clocks run, in parts per million.
    #[serde(default)]
    pub drift_ppm: f64,
}

/// What a node stores on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Which store.
    #[serde(default)]
    pub kind: DiskKind,
    /// How long one durable sync takes.
    #[serde(default = "default_sync")]
    pub sync: Span,
    /// How much fits before the disk is full; without it, no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Size>,
}

/// Which store a node uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskKind {
    /// The core's own store in memory, which keeps every commit: for large fleets.
    Memory,
    /// The store that ships, on a simulated disk that can crash, tear and lie.
    #[default]
    Redb,
}

/// Whether a node keeps to the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// It runs the code as shipped.
    #[default]
    Honest,
    /// It sends random bytes.
    Garbage,
    /// It signs as authors whose key it does not have.
    Forge,
    /// It changes bytes of what it relays.
    Alter,
    /// It sends what it has seen again and again.
    Replay,
    /// It announces and never delivers.
    Withhold,
    /// It sends changes whose dependencies nobody has.
    OrphanFlood,
    /// It signs changes that the validator must refuse.
    Poison,
}

/// What a hostile node does: a [`Behaviour`] other than honest, as a fault can turn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hostility {
    /// It sends random bytes.
    Garbage,
    /// It signs as authors whose key it does not have.
    Forge,
    /// It changes bytes of what it relays.
    Alter,
    /// It sends what it has seen again and again.
    Replay,
    /// It announces and never delivers.
    Withhold,
    /// It sends changes whose dependencies nobody has.
    OrphanFlood,
    /// It signs changes that the validator must refuse.
    Poison,
}

/// One node of the fleet, as the scenario plans it.
#[derive(Clone, Debug)]
pub struct NodePlan<'a> {
    /// `group-ordinal`.
    pub name: String,
    /// The group's place in the file.
    pub group_index: usize,
    /// The node's place in its group.
    pub ordinal: u32,
    /// The group.
    pub group: &'a Group,
}

impl Hostility {
    /// Every one of them.
    pub const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Forge,
        Self::Alter,
        Self::Replay,
        Self::Withhold,
        Self::OrphanFlood,
        Self::Poison,
    ];
}

impl Behaviour {
    /// What it does when it is not honest.
    pub fn hostility(self) -> Option<Hostility> {
        match self {
            Self::Honest => None,
            Self::Garbage => Some(Hostility::Garbage),
            Self::Forge => Some(Hostility::Forge),
            Self::Alter => Some(Hostility::Alter),
            Self::Replay => Some(Hostility::Replay),
            Self::Withhold => Some(Hostility::Withhold),
            Self::OrphanFlood => Some(Hostility::OrphanFlood),
            Self::Poison => Some(Hostility::Poison),
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self { kind: DiskKind::default(), sync: default_sync(), capacity: None }
    }
}

/// A durable append on a disk under load, as measured for the store.
fn default_sync() -> Span {
    Span::millis(1)
}
