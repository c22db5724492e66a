//! Faults: when each happens, whom it strikes, and what it does to the world.
//!
//! Everything is drawn before the run, from streams keyed by the fault's place in the file and its
//! occurrence, so that taking one fault away moves no other.

use crate::scenario::fault::{DISK_KINDS, Occurrence, Partition, Shape};
use crate::scenario::fleet::{DiskKind, Hostility};
use crate::scenario::{Fault, FaultKind, Scenario, Span};
use crate::world::chance::{Chance, Draws, Purpose};
use crate::world::cut::{Cut, Hearing, SIDES_MAX};
use crate::world::link::{Added, ppm};
use crate::world::queue::SECOND;

/// Kinds that the random section draws when it names none: those after which nothing acknowledged
/// may be missing.
const DRAWN: [&str; 16] = [
    "partition",
    "loss",
    "burst",
    "duplicate",
    "reorder",
    "slow",
    "corrupt",
    "pause",
    "crash",
    "kill-in-io",
    "restart",
    "clock-offset",
    "clock-drift",
    "clock-step",
    "lose-unsynced",
    "io-error",
];

/// A fault with everything drawn.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Whether the seed drew it.
    pub drawn: bool,
    /// Its times.
    pub occurrences: Vec<PlannedOccurrence>,
}

/// One time a fault happens.
#[derive(Clone, Debug)]
pub struct PlannedOccurrence {
    /// When.
    pub when: Occurrence,
    /// Whom it strikes, in fleet order.
    pub nodes: Vec<usize>,
    /// For a partition: its sides.
    pub sides: Vec<Vec<usize>>,
}

/// Every fault of a run.
pub fn plan(scenario: &Scenario, seed: u64) -> Vec<PlannedFault> {
    let chance = Chance::new(seed);
    let mut all: Vec<PlannedFault> = scenario
        .faults
        .iter()
        .enumerate()
        .map(|(number, fault)| planned(scenario, &chance, number, fault, false))
        .collect();
    let written = all.len();
    for (place, fault) in drawn(scenario, &chance).into_iter().enumerate() {
        all.push(planned(scenario, &chance, written + place, &fault, true));
    }
    all
}

fn planned(scenario: &Scenario, chance: &Chance, number: usize, fault: &Fault, drawn: bool) -> PlannedFault {
    let occurrences = fault.occurrences(scenario.duration).into_iter().enumerate().map(|(time, when)| {
        let mut draws = chance.stream(Purpose::Fault, number as u64, time as u64);
        let mut nodes = fault.on.candidates(scenario);
        if fault.kind.needs_disk() && drawn {
            let plans = scenario.nodes();
            nodes.retain(|node| plans[*node].group.disk.kind == DiskKind::Redb);
        }
        let take = fault.on.take(nodes.len());
        if take < nodes.len() {
            draws.shuffle(&mut nodes);
            nodes.truncate(take);
            nodes.sort_unstable();
        }
        let sides = match &fault.kind {
            FaultKind::Partition(partition) => sides(scenario, partition, &nodes, &mut draws),
            _ => Vec::new(),
        };
        PlannedOccurrence { when, nodes, sides }
    });
    PlannedFault { kind: fault.kind.clone(), drawn, occurrences: occurrences.collect() }
}

fn sides(scenario: &Scenario, partition: &Partition, nodes: &[usize], draws: &mut Draws) -> Vec<Vec<usize>> {
    if !partition.sides.is_empty() {
        return partition
            .sides
            .iter()
            .map(|side| {
                let mut of = side.candidates(scenario);
                let take = side.take(of.len());
                if take < of.len() {
                    draws.shuffle(&mut of);
                    of.truncate(take);
                    of.sort_unstable();
                }
                of
            })
            .collect();
    }
    let mut order = nodes.to_vec();
    draws.shuffle(&mut order);
    let count = partition.count.map(|count| count as usize);
    let parts = match partition.shape {
        Shape::Halves | Shape::OneWay | Shape::Bridge => 2,
        Shape::Ways => count.unwrap_or(3).clamp(2, SIDES_MAX),
        Shape::NonTransitive => count.unwrap_or(4).clamp(4, SIDES_MAX),
        Shape::Isolate => {
            order.truncate(count.unwrap_or(1));
            1
        }
        Shape::SwizzleClog => {
            order.truncate(count.unwrap_or(order.len().div_ceil(2)));
            1
        }
    };
    let bridge = (partition.shape == Shape::Bridge && order.len() > 2).then(|| order.pop()).flatten();
    let mut sides: Vec<Vec<usize>> = vec![Vec::new(); parts];
    for (place, node) in order.into_iter().enumerate() {
        sides[place % parts].push(node);
    }
    for side in &mut sides {
        side.extend(bridge);
    }
    // The order of a swizzle-clog's only side is the order in which its nodes fall silent.
    if partition.shape != Shape::SwizzleClog {
        sides.iter_mut().for_each(|side| side.sort_unstable());
    }
    sides
}

/// The cut of a partition's sides.
pub fn cut(fault: usize, shape: Shape, sides: &[Vec<usize>]) -> Cut {
    let hearing = match shape {
        Shape::Halves | Shape::Ways | Shape::Bridge => Hearing::Apart,
        Shape::Isolate | Shape::SwizzleClog => Hearing::Alone,
        Shape::OneWay => Hearing::OneWay,
        Shape::NonTransitive => Hearing::Ring,
    };
    Cut::new(fault, hearing, sides)
}

/// What a kind of fault adds to links, if that is what it does.
pub fn added(kind: &FaultKind) -> Option<Added> {
    Some(match kind {
        FaultKind::Loss { rate } => Added::Loss(ppm(*rate)),
        FaultKind::Burst { rate, length } => Added::Burst(ppm(*rate), length.max(1.0) as u32),
        FaultKind::Duplicate { rate } => Added::Duplicate(ppm(*rate)),
        FaultKind::Reorder { rate } => Added::Reorder(ppm(*rate)),
        FaultKind::Slow { latency } => Added::Slow(*latency),
        FaultKind::Narrow { bandwidth } => Added::Narrow(bandwidth.0),
        FaultKind::Corrupt { rate } => Added::Corrupt(ppm(*rate)),
        _ => return None,
    })
}

/// What one firing of a kind is, in words.
pub fn counted(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Partition(_) => "frames, dials and connections cut",
        FaultKind::Loss { .. } | FaultKind::Burst { .. } => "frames lost",
        FaultKind::Duplicate { .. } => "frames doubled",
        FaultKind::Reorder { .. } => "frames overtaken",
        FaultKind::Slow { .. } | FaultKind::Narrow { .. } => "frames delayed",
        FaultKind::Corrupt { .. } => "frames damaged",
        FaultKind::Pause => "processes stopped for a while",
        FaultKind::Crash | FaultKind::KillInIo { .. } | FaultKind::Churn { .. } => "processes killed",
        FaultKind::LoseUnsynced | FaultKind::TornWrite => "machines without power",
        FaultKind::Restart => "processes restarted",
        FaultKind::Wipe => "disks emptied",
        FaultKind::Restore { .. } => "backups restored",
        FaultKind::Clone => "twins started",
        FaultKind::ClockOffset { .. } | FaultKind::ClockDrift { .. } | FaultKind::ClockStep { .. } => {
            "clocks set"
        }
        FaultKind::IoError { .. } => "commits failed",
        FaultKind::DiskFull => "commits refused",
        FaultKind::BitRot { .. } => "bits flipped",
        FaultKind::Hostile { .. } => "hostile acts",
    }
}

/// Faults that the random section draws.
fn drawn(scenario: &Scenario, chance: &Chance) -> Vec<Fault> {
    let Some(random) = &scenario.random else { return Vec::new() };
    let mut draws = chance.stream(Purpose::Fault, 1 << 40, 0);
    let has_blocks = scenario.nodes().iter().any(|node| node.group.disk.kind == DiskKind::Redb);
    let mut kinds: Vec<&str> = if random.kinds.is_empty() {
        DRAWN.to_vec()
    } else {
        random.kinds.iter().map(String::as_str).collect()
    };
    kinds.retain(|kind| has_blocks || !DISK_KINDS.contains(kind));
    draws.shuffle(&mut kinds);
    kinds.truncate(kinds.len().div_ceil(2));
    let count = draws.between(1, u64::from(random.faults.max(1)));
    let mut faults = Vec::new();
    for _ in 0..count {
        let name = draws.pick(&kinds).copied().unwrap_or("pause");
        let Some(kind) = drawn_kind(name, &mut draws) else { continue };
        let at = draws.below(scenario.duration.0.saturating_sub(scenario.duration.0 / 10).max(1));
        let lasts = kind.lasts().then(|| Span(draws.between(SECOND.min(random.longest.0), random.longest.0)));
        let mut on = crate::scenario::Selector::all();
        on.percent = Some(random.percent);
        if let FaultKind::Partition(_) = kind {
            on.percent = None;
        }
        faults.push(Fault { at: Span(at), lasts, every: None, until: None, on, kind });
    }
    faults
}

/// A kind with figures drawn; none for a name that is not one, which lint refuses.
fn drawn_kind(name: &str, draws: &mut Draws) -> Option<FaultKind> {
    use crate::scenario::network::Latency;
    use crate::scenario::quantity::{Bandwidth, Offset};
    let rate = draws.between(1, 40) as f64 / 100.0;
    let offset = Offset(draws.between(0, 7_200_000_000) as i64 - 3_600_000_000);
    let shapes = [
        Shape::Halves,
        Shape::Ways,
        Shape::Isolate,
        Shape::Bridge,
        Shape::OneWay,
        Shape::NonTransitive,
        Shape::SwizzleClog,
    ];
    let shape = *draws.pick(&shapes)?;
    Some(match name {
        "partition" => FaultKind::Partition(Partition {
            shape,
            sides: Vec::new(),
            count: None,
            flap: None,
            heal_over: None,
        }),
        "loss" => FaultKind::Loss { rate },
        "burst" => FaultKind::Burst { rate, length: draws.between(2, 10) as f64 },
        "duplicate" => FaultKind::Duplicate { rate },
        "reorder" => FaultKind::Reorder { rate },
        "slow" => {
            FaultKind::Slow { latency: Latency::Constant { mean: Span::millis(draws.between(100, 2_000)) } }
        }
        "narrow" => FaultKind::Narrow { bandwidth: Bandwidth(draws.between(64_000, 1_000_000)) },
        "corrupt" => FaultKind::Corrupt { rate: rate / 20.0 },
        "pause" => FaultKind::Pause,
        "crash" => FaultKind::Crash,
        "kill-in-io" => FaultKind::KillInIo { step: draws.between(1, 12) },
        "restart" => FaultKind::Restart,
        "wipe" => FaultKind::Wipe,
        "restore" => FaultKind::Restore { age: Span::seconds(draws.between(5, 60)) },
        "clone" => FaultKind::Clone,
        "churn" => FaultKind::Churn { up: Span::seconds(20), down: Span::seconds(5) },
        "clock-offset" => FaultKind::ClockOffset { by: offset },
        "clock-drift" => FaultKind::ClockDrift { ppm: draws.between(0, 40_000) as f64 - 20_000.0 },
        "clock-step" => FaultKind::ClockStep { by: offset },
        "lose-unsynced" => FaultKind::LoseUnsynced,
        "torn-write" => FaultKind::TornWrite,
        "io-error" => FaultKind::IoError { rate },
        "disk-full" => FaultKind::DiskFull,
        "bit-rot" => FaultKind::BitRot { bits: draws.between(1, 20) as u32 },
        "hostile" => FaultKind::Hostile { does: *draws.pick(&Hostility::ALL)? },
        _ => return None,
    })
}

/// A partition or another fault in words.
pub fn words(kind: &FaultKind, sides: &[Vec<usize>], named: impl Fn(&[usize]) -> String) -> String {
    match kind {
        FaultKind::Partition(partition) => {
            let shape = serde_json::to_value(partition.shape).ok();
            let shape = shape.as_ref().and_then(|shape| shape.as_str()).unwrap_or("partition").to_owned();
            let said = sides.iter().map(|side| named(side)).collect::<Vec<_>>().join(" | ");
            let alone = partition.shape == Shape::Isolate && sides.iter().any(|side| side.len() > 1);
            format!("{shape}: {said}{}", if alone { ", each alone" } else { "" })
        }
        FaultKind::Loss { rate } | FaultKind::Burst { rate, .. } => {
            format!("{} % of frames lost", rate * 100.0)
        }
        FaultKind::Duplicate { rate } => format!("{} % of frames doubled", rate * 100.0),
        FaultKind::Reorder { rate } => format!("{} % of frames overtaken", rate * 100.0),
        FaultKind::Corrupt { rate } => format!("{} % of frames damaged", rate * 100.0),
        FaultKind::Narrow { bandwidth } => format!("links carry {bandwidth} a second"),
        FaultKind::KillInIo { step } => format!("killed inside disk operation {step}"),
        FaultKind::Restore { age } => format!("a backup {age} old restored"),
        FaultKind::ClockOffset { by } | FaultKind::ClockStep { by } => format!("wall clock ahead by {by}"),
        FaultKind::ClockDrift { ppm } => format!("clocks {ppm} ppm fast"),
        FaultKind::IoError { rate } => format!("{} % of commits fail", rate * 100.0),
        FaultKind::BitRot { bits } => format!("{bits} bits flipped"),
        FaultKind::Hostile { does } => {
            let does = serde_json::to_value(does).ok();
            does.and_then(|does| does.as_str().map(str::to_owned)).unwrap_or_default()
        }
        other => other.name().replace('-', " "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A fleet of four with a random section.
    fn swarm(disk: &str, random: &str) -> Scenario {
        let text = format!(
            "version = 1\nname = \"s\"\nsummary = \"s\"\nlearn = \"l\"\nduration = \"2m\"\n\
             [[group]]\nname = \"n\"\ncount = 4\ndisk = {{ kind = \"{disk}\" }}\n\
             [random]\n{random}\n[expect]\nno_lost_writes = true\n"
        );
        crate::scenario::load_text("s.toml", &text, None)
            .unwrap_or_else(|found| panic!("{found:#?}"))
            .scenario
    }

    fn drawn_kinds(scenario: &Scenario, seeds: std::ops::Range<u64>) -> BTreeSet<&'static str> {
        seeds.flat_map(|seed| plan(scenario, seed)).map(|fault| fault.kind.name()).collect()
    }

    #[test]
    fn each_seed_draws_faults_of_its_own_within_the_budget_and_always_the_same() {
        let scenario = swarm("redb", "faults = 5\nlongest = \"10s\"\npercent = 50");
        let mut plans = BTreeSet::new();
        for seed in 1..=20 {
            let drawn = plan(&scenario, seed);
            assert!((1..=5).contains(&drawn.len()), "seed {seed} drew {}", drawn.len());
            assert_eq!(format!("{drawn:?}"), format!("{:?}", plan(&scenario, seed)));
            for fault in &drawn {
                assert!(fault.drawn);
                for time in &fault.occurrences {
                    assert!(time.when.to.0 - time.when.from.0 <= 10 * SECOND, "{fault:?}");
                    let is_cut = matches!(fault.kind, FaultKind::Partition(_));
                    assert!(is_cut || time.nodes.len() <= 2, "{fault:?}");
                }
            }
            plans.insert(format!("{drawn:?}"));
        }
        assert_eq!(plans.len(), 20);
    }

    #[test]
    fn every_kind_that_may_be_named_can_be_drawn() {
        for kind in crate::scenario::FAULT_KINDS {
            let scenario = swarm("redb", &format!("faults = 1\nkinds = [\"{kind}\"]"));
            assert_eq!(drawn_kinds(&scenario, 1..3), BTreeSet::from([*kind]));
        }
    }

    #[test]
    fn a_fleet_without_disks_draws_no_fault_of_a_disk() {
        let scenario = swarm("memory", "faults = 8");
        let kinds = drawn_kinds(&scenario, 1..40);
        assert!(kinds.len() > 5 && DISK_KINDS.iter().all(|kind| !kinds.contains(kind)), "{kinds:?}");
    }
}
