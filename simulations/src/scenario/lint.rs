//! What only the whole scenario can tell: names that nobody has, faults that can never fire, an
//! expectation that is missing.

use std::collections::BTreeSet;

use super::fault::{DISK_KINDS, FaultKind, Partition, Shape};
use super::fleet::{DiskKind, Role};
use super::network::{Latency, Topology};
use super::shape::instead;
use super::tree::{Complaint, Node};
use super::{Expect, Fault, NODES_MAX, Scenario, Selector, Span, Until};

/// Everything that is wrong with a scenario whose keys, types and ranges are right.
pub(crate) fn lint(scenario: &Scenario, tree: &Node) -> Vec<Complaint> {
    let count: u64 = scenario.groups.iter().map(|group| u64::from(group.count)).sum();
    if count > u64::from(NODES_MAX) {
        // Everything else looks at each node, and a file of a megabyte can speak of millions.
        let words = format!("{count} nodes are more than a fleet may have, {NODES_MAX}");
        return vec![tree.at(&["group"]).place.complain(words)];
    }
    let names = scenario.nodes().into_iter().map(|node| node.name);
    let groups = scenario.groups.iter().map(|group| group.name.clone());
    let known = groups.chain(names).collect();
    let mut lint = Lint { scenario, tree, known, found: Vec::new() };
    lint.fleet();
    lint.network();
    lint.workload();
    for (index, fault) in scenario.faults.iter().enumerate() {
        lint.fault(index, fault);
    }
    lint.random();
    lint.expect();
    lint.found
}

struct Lint<'a> {
    scenario: &'a Scenario,
    tree: &'a Node,
    known: BTreeSet<String>,
    found: Vec<Complaint>,
}

impl Lint<'_> {
    fn complain(&mut self, path: &[&str], words: impl Into<String>) {
        let complaint = self.tree.at(path).place.complain(words);
        self.found.push(complaint);
    }

    fn fleet(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, group) in self.scenario.groups.iter().enumerate() {
            let index = index.to_string();
            let path = ["group", &index, "name"];
            if !seen.insert(group.name.as_str()) {
                self.complain(&path, format!("there are two groups called {:?}", group.name));
            }
            if group.disk.capacity.is_some() && group.disk.kind == DiskKind::Memory {
                let words = "a store in memory has no capacity: it never fills (disk = { kind = \"redb\" })";
                self.complain(&["group", &index, "disk", "capacity"], words);
            }
            if group.name == "all" || group.name.chars().any(|c| c.is_whitespace() || c == '|') {
                self.complain(
                    &path,
                    format!("{:?} cannot be a name: selectors could not tell it apart", group.name),
                );
            }
        }
        if self.scenario.duration.0 == 0 {
            self.complain(&["duration"], "a run without time shows nothing");
        }
    }

    fn network(&mut self) {
        if let Some(latency) = self.scenario.network.all.latency {
            self.latency(latency, &["network", "latency"]);
        }
        for (index, link) in self.scenario.network.links.iter().enumerate() {
            let index = index.to_string();
            self.selector(&link.from, &["network", "link", &index, "from"]);
            self.selector(&link.to, &["network", "link", &index, "to"]);
            if let Some(latency) = link.shape.latency {
                self.latency(latency, &["network", "link", &index, "latency"]);
            }
        }
        if let Topology::File { pairs, .. } = &self.scenario.topology {
            for name in pairs.iter().flat_map(|(a, b)| [a, b]) {
                if !self.known.contains(name) {
                    let words = format!("the file names {name:?}, which is no node");
                    self.complain(&["topology", "path"], words);
                }
            }
        }
    }

    fn latency(&mut self, latency: Latency, path: &[&str]) {
        let wrong = match latency {
            Latency::Uniform { min, max } => min > max,
            Latency::Exponential { min, mean } => min > mean,
            Latency::Constant { .. } | Latency::Normal { .. } => false,
        };
        if wrong {
            self.complain(path, "the least is more than the rest");
        }
    }

    fn workload(&mut self) {
        let workload = &self.scenario.workload;
        self.selector(&workload.writers, &["workload", "writers"]);
        let nodes = self.scenario.nodes();
        let chosen = workload.writers.candidates(self.scenario);
        if !chosen.iter().any(|index| nodes[*index].group.role != Role::Reader) {
            self.complain(&["workload", "writers"], "nobody of these may write: all are readers");
        }
        let until = workload.until.unwrap_or(self.scenario.duration);
        if workload.from >= until || until > self.scenario.duration {
            let words = "nothing is ever written: writing ends before it begins, or after the duration";
            self.complain(&["workload"], words);
        }
        let mix = workload.mix;
        if u64::from(mix.map) + u64::from(mix.list) + u64::from(mix.text) + u64::from(mix.counter) == 0 {
            self.complain(&["workload", "mix"], "every kind of edit has the weight 0");
        }
    }

    /// Whether names are known.
    fn selector(&mut self, selector: &Selector, path: &[&str]) {
        for name in &selector.of {
            if !self.known.contains(name) {
                let instead = instead(name, self.known.iter().map(String::as_str));
                let words = format!("{name:?} selects nobody: it is neither a group nor a node{instead}");
                self.complain(path, words);
            }
        }
    }

    fn fault(&mut self, index: usize, fault: &Fault) {
        let index = index.to_string();
        let path = |key| ["fault", index.as_str(), key];
        self.selector(&fault.on, &path("on"));
        self.times(fault, &index);
        match &fault.kind {
            FaultKind::Partition(partition) => self.partition(fault, partition, &index),
            FaultKind::Slow { latency } => self.latency(*latency, &path("latency")),
            FaultKind::Restore { age } if *age > fault.at => {
                self.complain(
                    &path("age"),
                    "this fault can never fire: the backup would be older than the run",
                );
            }
            FaultKind::ClockOffset { by } | FaultKind::ClockStep { by } if by.0 == 0 => {
                self.complain(&path("by"), "this fault can never fire: a clock moved by nothing");
            }
            kind if kind.needs_disk() => self.needs_redb(fault, &index),
            kind if needs_links(kind) && self.scenario.nodes().len() < 2 => {
                self.complain(&path("kind"), "this fault can never fire: one node has no links");
            }
            _ => {}
        }
    }

    fn times(&mut self, fault: &Fault, index: &str) {
        let path = |key| ["fault", index, key];
        let duration = self.scenario.duration;
        if fault.at >= duration {
            let words = format!("this fault can never fire: the duration ends at {duration}");
            self.complain(&path("at"), words);
        }
        if let Some(Until::At(until)) = fault.until
            && until <= fault.at
        {
            self.complain(&path("until"), "this fault can never fire: it stops before it begins");
        }
        if fault.lasts == Some(Span(0)) {
            self.complain(&path("for"), "this fault can never fire: it lasts no time");
        }
        if let Some(every) = fault.every {
            if every.0 == 0 || fault.lasts.is_some_and(|lasts| lasts >= every) {
                self.complain(&path("every"), "it would come again before it is over");
            }
            if fault.lasts.is_none() && fault.kind.lasts() {
                self.complain(
                    &path("every"),
                    "what comes again needs to say how long it lasts, with \"for\"",
                );
            }
        } else if fault.lasts.is_none() && fault.until.is_none() && fault.kind.lasts() {
            self.complain(
                &path("at"),
                "say how long it lasts, with \"for\", or that it lasts until = \"healed\"",
            );
        }
        if fault.lasts.is_some() && !fault.kind.lasts() {
            let words = format!("{} is over in a moment: it has no \"for\"", fault.kind.name());
            self.complain(&path("for"), words);
        }
    }

    fn partition(&mut self, fault: &Fault, partition: &Partition, index: &str) {
        let path = |key| ["fault", index, key];
        let nodes = fault.on.candidates(self.scenario).len();
        for side in &partition.sides {
            self.selector(side, &path("sides"));
        }
        let sides: Vec<_> = partition.sides.iter().map(|side| side.candidates(self.scenario)).collect();
        let two = matches!(partition.shape, Shape::Halves | Shape::OneWay | Shape::Bridge);
        if two && !sides.is_empty() && sides.len() != 2 {
            self.complain(&path("sides"), "this shape has two sides");
        }
        if partition.shape != Shape::Bridge && overlap(&sides) {
            self.complain(&path("sides"), "a node stands on two sides");
        }
        let least = match (partition.shape, partition.count) {
            (Shape::Ways, None) if sides.len() < 2 => {
                return self
                    .complain(&path("shape"), "say how many sides there are, with \"count\" or \"sides\"");
            }
            (Shape::Isolate, None) => {
                return self.complain(&path("shape"), "say how many nodes stand alone, with \"count\"");
            }
            (Shape::Ways, Some(count)) => count as usize,
            (Shape::Isolate, Some(count)) => count as usize + usize::from(fault.on.is_all()),
            (Shape::Bridge | Shape::SwizzleClog, _) => 3,
            (Shape::NonTransitive, _) => 4,
            _ => 2,
        };
        let reachable = if sides.is_empty() { nodes } else { self.scenario.nodes().len() };
        if reachable < least {
            let words =
                format!("this fault can never fire: it takes {least} nodes and there are {reachable}");
            self.complain(&path("shape"), words);
        }
    }

    fn needs_redb(&mut self, fault: &Fault, index: &str) {
        let nodes = self.scenario.nodes();
        let chosen = fault.on.candidates(self.scenario);
        let in_memory = |node: &&usize| nodes[**node].group.disk.kind == DiskKind::Memory;
        let without = chosen.iter().filter(in_memory).count();
        let words = if chosen.is_empty() {
            // Names that nobody has are said already.
            return;
        } else if without == chosen.len() {
            "this fault can never fire: these nodes have no disk (disk = { kind = \"memory\" })"
        } else if without > 0 && fault.on.take(chosen.len()) <= without {
            "this fault may never fire: the draw may take only nodes without a disk (disk = { kind = \"memory\" })"
        } else {
            return;
        };
        self.complain(&["fault", index, "kind"], words);
    }

    fn random(&mut self) {
        let Some(random) = &self.scenario.random else { return };
        let needs_disk = |kind: &String| DISK_KINDS.contains(&kind.as_str());
        let has_disk = self.scenario.groups.iter().any(|group| group.disk.kind == DiskKind::Redb);
        if !has_disk && !random.kinds.is_empty() && random.kinds.iter().all(needs_disk) {
            let words = "none of these can ever fire: no node has a disk (disk = { kind = \"memory\" })";
            self.complain(&["random", "kinds"], words);
        }
    }

    fn expect(&mut self) {
        let expect = &self.scenario.expect;
        if *expect == Expect::default() {
            self.complain(
                &["expect"],
                "nothing is expected here: set at least one bound, such as converges_within = \"30s\"",
            );
        }
        if expect.converges_within.is_some_and(|within| within > self.scenario.drain) {
            let words = format!("the run would end before this bound: drain is {}", self.scenario.drain);
            self.complain(&["expect", "converges_within"], words);
        }
    }
}

fn overlap(sides: &[Vec<usize>]) -> bool {
    let mut seen = BTreeSet::new();
    sides.iter().flatten().any(|node| !seen.insert(*node))
}

fn needs_links(kind: &FaultKind) -> bool {
    use FaultKind as Kind;
    matches!(
        kind,
        Kind::Loss { .. }
            | Kind::Burst { .. }
            | Kind::Duplicate { .. }
            | Kind::Reorder { .. }
            | Kind::Slow { .. }
            | Kind::Narrow { .. }
            | Kind::Corrupt { .. }
    )
}

/// Names of every kind of fault the format knows, for the tests that hold it against the types.
#[cfg(test)]
fn described_kinds() -> &'static [&'static str] {
    super::format::FAULT_KINDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_and_the_types_know_the_same_kinds_of_fault() {
        let text = include_str!("../../tests/every-fault.toml");
        let scenario = super::super::load_text("every-fault.toml", text, None);
        let scenario = scenario.unwrap_or_else(|found| panic!("{found:#?}")).scenario;
        let used: BTreeSet<_> = scenario.faults.iter().map(|fault| fault.kind.name()).collect();
        let known: BTreeSet<_> = described_kinds().iter().copied().collect();
        assert_eq!(used, known);
        assert_eq!(super::super::shape::variant_names(&super::super::format::SCENARIO, "fault"), known);
    }
}
