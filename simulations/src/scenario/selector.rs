//! Which nodes something is about.
//!
//! `"all"`, `"east"` (a group), `"east-0"` (a node), `["east", "west-1"]`, or a table:
//! `{ of = ["east"], percent = 20 }`, `{ random = 2 }`. Shares and random draws are drawn by the world
//! each time the thing happens.

use serde::{Deserialize, Serialize, Serializer};

use super::Scenario;

/// A selection of nodes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "Written")]
pub struct Selector {
    /// Names of groups or nodes; empty: every node.
    pub of: Vec<String>,
    /// Only so many percent of those, rounded to the nearest whole node, at least one.
    pub percent: Option<f64>,
    /// Only so many of those.
    pub random: Option<u32>,
}

/// The forms in which people write a selector.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
    Table(Table),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    random: Option<u32>,
}

impl From<Written> for Selector {
    fn from(written: Written) -> Self {
        let all = |of: Vec<String>| if of == ["all"] { Vec::new() } else { of };
        match written {
            Written::One(name) => Self { of: all(vec![name]), percent: None, random: None },
            Written::Several(of) => Self { of: all(of), percent: None, random: None },
            Written::Table(table) => Self { of: all(table.of), percent: table.percent, random: table.random },
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.percent.is_none() && self.random.is_none() {
            return match self.of.as_slice() {
                [] => serializer.serialize_str("all"),
                [one] => serializer.serialize_str(one),
                several => several.serialize(serializer),
            };
        }
        Table { of: self.of.clone(), percent: self.percent, random: self.random }.serialize(serializer)
    }
}

impl Selector {
    /// Every node.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether it says every node, with no draw.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The nodes it may take, in fleet order, before any draw.
    pub fn candidates(&self, scenario: &Scenario) -> Vec<usize> {
        let named = |name: &str, group: &str| self.of.iter().any(|of| of == name || of == group);
        let nodes = scenario.nodes().into_iter().enumerate();
        let chosen = nodes.filter(|(_, node)| self.of.is_empty() || named(&node.name, &node.group.name));
        chosen.map(|(index, _)| index).collect()
    }

    /// How many of `candidates` nodes it takes.
    pub fn take(&self, candidates: usize) -> usize {
        let share = self.percent.map(|percent| {
            let exact = candidates as f64 * percent / 100.0;
            (exact.round() as usize).max(1)
        });
        let count = self.random.map(|random| random as usize);
        share.unwrap_or(candidates).min(count.unwrap_or(candidates)).min(candidates)
    }
}
