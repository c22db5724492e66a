//! One run: what it holds, and how it drives the world from one thing on the agenda to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::faults::{self, PlannedFault};
use super::presence::Presences;
use super::reading::Written;
use super::receipts::Receipts;
use super::sides::Standing;
use super::workload::{self, PlannedWrite};
use super::{fleet, judge};
use crate::oracle::Oracle;
use crate::oracle::ledger::Holding;
use crate::properties;
use crate::record::{
    Band, Bytes, Divergence, FaultSpan, Lag, Resources, RunRecord, SAMPLES_MAX, Violation, Waited, Writes,
};
use crate::scenario::{NodePlan, Scenario};
use crate::world::disk::Disk;
use crate::world::event::Seen;
use crate::world::founding::Founding;
use crate::world::log::EventLog;
use crate::world::queue::{MILLISECOND, SECOND, Time};
use crate::world::{Progress, World};

/// Least time between two samples.
const SAMPLE_MIN: Time = 100 * MILLISECOND;
/// Events at one moment of virtual time, after which it stands still: the largest fleets have a
/// thousandth of it.
const MOMENT_EVENTS_MAX: u64 = 5_000_000;
/// Events a second of virtual time and node, over [`STORM_SPAN`], of a fleet that does nothing but
/// talk: a hundred times what the busiest shipped scenario has.
const STORM_EVENTS_MAX: u64 = 5_000;
/// How long a storm is looked at before it is called one.
const STORM_SPAN: Time = 10 * SECOND;
/// Events of one run. Past it the run ends undecided: a run that never ends tells nothing.
const EVENTS_MAX: u64 = 2_000_000_000;
/// Idle traffic is measured over this last part of a run.
pub(super) const IDLE_SPAN: Time = 30 * SECOND;

/// What is to be done at a time.
pub(super) enum Agenda {
    /// Ask for a write.
    Write(usize),
    /// A fault begins, or is over.
    Begin {
        fault: usize,
        time: usize,
    },
    End {
        fault: usize,
        time: usize,
    },
    /// A backup is made for a fault that restores one.
    Backup {
        fault: usize,
        time: usize,
    },
    /// A part of a fault: opens or closes a cut, or lets a node out of it.
    Cut {
        fault: usize,
        time: usize,
    },
    Mend {
        fault: usize,
        time: usize,
    },
    Release {
        fault: usize,
        time: usize,
        node: usize,
    },
    Silence {
        fault: usize,
        time: usize,
        node: usize,
    },
    Hear {
        fault: usize,
        time: usize,
        node: usize,
    },
    /// A process starts, or dies of churn.
    Start(usize),
    ChurnDown {
        fault: usize,
        time: usize,
        node: usize,
        round: u64,
    },
    ChurnUp {
        fault: usize,
        time: usize,
        node: usize,
        round: u64,
    },
    /// A kill that met no disk operation is carried out.
    KillAnyway {
        fault: usize,
        node: usize,
    },
    /// A hostile node does something.
    Hostile {
        fault: Option<usize>,
        time: usize,
        node: usize,
        round: u64,
    },
    /// Figures are noted.
    Sample,
    /// Everything is healed.
    Healed,
    /// The last part begins.
    Idle,
    /// The run is over.
    Over,
}

/// One write asked for.
pub(super) struct AskedWrite {
    pub(super) planned: usize,
    pub(super) node: usize,
    pub(super) at: Time,
    pub(super) starts: u64,
    pub(super) answered: bool,
    /// Nothing was wrong with the node.
    pub(super) fair: bool,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    /// The fleet as the scenario plans it.
    pub(super) plans: Vec<NodePlan<'a>>,
    pub(super) founding: &'a Founding,
    pub(super) seed: u64,
    pub(super) world: World,
    pub(super) oracle: Oracle,
    pub(super) agenda: Vec<Option<Agenda>>,
    pub(super) writes: Vec<PlannedWrite>,
    pub(super) faults: Vec<PlannedFault>,
    pub(super) fired: Vec<u64>,
    pub(super) spans: Vec<Vec<FaultSpan>>,
    pub(super) bands: Vec<Band>,
    /// Handles of what is in place for a (fault, time), per node where there are several.
    pub(super) handles: BTreeMap<(usize, usize, usize), u64>,
    pub(super) backups: BTreeMap<(usize, usize, usize), Disk>,
    /// Nodes whose disk was destroyed or set back, with what they held: their losses are excused.
    pub(super) destroyed: BTreeMap<usize, Holding>,
    /// Nodes with broken disks or halted processes, by the number of reasons.
    pub(super) harmed: BTreeMap<usize, u32>,
    /// When each node was last harmed.
    pub(super) harmed_until: BTreeMap<usize, Time>,
    /// Nodes that may not open their store: bits of it rotted, or the disk is full.
    pub(super) unsound: BTreeSet<usize>,
    /// Nodes that lack some of what the fleet began with, since their disk was lost: a write into a document
    /// that a node does not hold is rightly refused.
    pub(super) bare: BTreeSet<usize>,
    /// Nodes whose disk is as full as its capacity lets it be, and since when.
    pub(super) filled: BTreeMap<usize, Time>,
    pub(super) findings: Vec<Violation>,
    pub(super) known: BTreeSet<(u32, Option<usize>, Option<String>)>,
    pub(super) checks: BTreeMap<u32, u64>,
    pub(super) asked: BTreeMap<u64, AskedWrite>,
    pub(super) replies: BTreeMap<u64, Vec<[u8; 32]>>,
    pub(super) increments: BTreeMap<u32, (i64, i64)>,
    /// Acknowledged writes whose value can be told, by document.
    pub(super) written: BTreeMap<u32, Vec<Written>>,
    /// Changes that came and were not held afterwards.
    pub(super) receipts: Receipts,
    /// What each node waited for because of each fault.
    pub(super) waited: BTreeMap<(usize, Option<u32>), Waited>,
    /// How often a process that was to die inside a disk operation met none, by fault.
    pub(super) unmet: BTreeMap<usize, u64>,
    pub(super) counts: Writes,
    pub(super) fair: (u64, u64),
    pub(super) healed: Option<Time>,
    pub(super) heal_noted: Option<judge::HealNoted>,
    /// What stands between the nodes.
    pub(super) standing: Standing,
    /// What nodes did that are hostile from the start.
    pub(super) acts: BTreeMap<usize, u64>,
    /// When last something was wrong beside what hostile nodes did.
    pub(super) disturbed: Time,
    pub(super) converged: Option<Time>,
    pub(super) idle_from: Option<(Time, u64)>,
    pub(super) lag: Lag,
    pub(super) divergence: Vec<Divergence>,
    pub(super) bytes: Vec<Bytes>,
    pub(super) resources: Vec<Resources>,
    pub(super) offences: BTreeMap<(usize, usize), u64>,
    pub(super) undecided: Vec<String>,
    pub(super) presences: Presences,
    /// Emptied observations, to be filled again.
    pub(super) seen: Vec<Seen>,
    pub(super) began: Instant,
}

impl<'a> Run<'a> {
    /// Sets everything up and puts it on the agenda.
    pub(super) fn new(
        scenario: &'a Scenario,
        founding: &'a Founding,
        seed: u64,
        log: Option<EventLog>,
    ) -> Result<Self, String> {
        let began = Instant::now();
        let mut world = World::new(fleet::setup(scenario, founding, seed)?);
        if let Some(log) = log {
            world.log_to(log);
        }
        let faults = faults::plan(scenario, seed);
        let plans = scenario.nodes();
        let nodes = plans.len();
        let hostile = world
            .nodes()
            .iter()
            .enumerate()
            .filter(|(_, node)| node.hostile.is_some())
            .map(|(index, _)| index);
        let hostile: BTreeSet<usize> = hostile.collect();
        let mut run = Self {
            scenario,
            plans,
            founding,
            seed,
            oracle: Oracle::watching(hostile),
            agenda: Vec::new(),
            writes: workload::plan(scenario, seed),
            fired: vec![0; faults.len()],
            spans: vec![Vec::new(); faults.len()],
            faults,
            bands: Vec::new(),
            handles: BTreeMap::new(),
            backups: BTreeMap::new(),
            destroyed: BTreeMap::new(),
            harmed: BTreeMap::new(),
            harmed_until: BTreeMap::new(),
            unsound: BTreeSet::new(),
            bare: BTreeSet::new(),
            filled: BTreeMap::new(),
            findings: Vec::new(),
            known: BTreeSet::new(),
            checks: BTreeMap::new(),
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            increments: BTreeMap::new(),
            written: BTreeMap::new(),
            receipts: Receipts::new(),
            waited: BTreeMap::new(),
            unmet: BTreeMap::new(),
            counts: Writes::default(),
            fair: (0, 0),
            healed: None,
            heal_noted: None,
            standing: Standing::default(),
            acts: BTreeMap::new(),
            disturbed: 0,
            converged: None,
            idle_from: None,
            lag: Lag { at_us: Vec::new(), missing: vec![Vec::new(); nodes] },
            divergence: Vec::new(),
            bytes: Vec::new(),
            resources: Vec::new(),
            offences: BTreeMap::new(),
            undecided: Vec::new(),
            presences: Presences::default(),
            seen: Vec::new(),
            began,
            world,
        };
        run.begin(nodes);
        Ok(run)
    }

    fn begin(&mut self, nodes: usize) {
        for node in 0..nodes {
            self.world.start(node);
        }
        self.oracle.founding(&self.world, nodes);
        self.watch();
        for write in 0..self.writes.len() {
            let at = self.writes[write].at;
            self.put(at, Agenda::Write(write));
        }
        self.plan_faults();
        let end = self.scenario.end().0;
        let pace = (end / SAMPLES_MAX as u64 + 1).max(SAMPLE_MIN);
        let mut at = 0;
        while at < end {
            self.put(at, Agenda::Sample);
            at += pace;
        }
        self.put(self.scenario.duration.0, Agenda::Healed);
        self.put(end.saturating_sub(IDLE_SPAN).max(self.scenario.duration.0), Agenda::Idle);
        self.put(end, Agenda::Over);
    }

    /// Puts something on the agenda.
    pub(super) fn put(&mut self, at: Time, what: Agenda) {
        self.agenda.push(Some(what));
        self.world.schedule(at, self.agenda.len() as u64 - 1);
    }

    /// Lets the run happen and tells what it was.
    pub(super) fn finish(mut self) -> RunRecord {
        let (mut moment, mut first) = (0, 0);
        let mut span = (0, 0);
        loop {
            match self.world.go_on() {
                Progress::Inside => self.watch(),
                Progress::Nothing => break,
                Progress::Agenda(number) => {
                    let due = self.agenda.get_mut(number as usize).and_then(Option::take);
                    let over = matches!(due, Some(Agenda::Over));
                    if let Some(due) = due {
                        self.due(due);
                    }
                    self.watch();
                    if over {
                        break;
                    }
                }
            }
            let events = self.world.events();
            if self.world.now() != moment {
                (moment, first) = (self.world.now(), events);
            } else if events - first > MOMENT_EVENTS_MAX {
                self.find(properties::panics::stands_still(moment));
                break;
            }
            if self.world.now() >= span.0 + STORM_SPAN {
                span = (self.world.now(), events);
            }
            let nodes = self.world.nodes().len() as u64;
            if events - span.1 > STORM_EVENTS_MAX * nodes * (STORM_SPAN / SECOND) {
                self.find(properties::quiescence::storm(events - span.1, STORM_SPAN / SECOND));
                break;
            }
            if events > EVENTS_MAX {
                self.undecided.push(format!("the run was not over after {EVENTS_MAX} events"));
                break;
            }
        }
        self.judge_end();
        self.tell()
    }

    fn due(&mut self, due: Agenda) {
        match due {
            Agenda::Write(write) => self.write(write),
            Agenda::Sample => self.sample(),
            Agenda::Healed => self.heal(),
            Agenda::Idle => self.idle_from = Some((self.world.now(), self.world.traffic().total())),
            Agenda::Over => {}
            fault => {
                self.act(fault);
                // Who died is heard of before those who cannot reach it any more are noted.
                self.watch();
                self.look_who_is_apart();
            }
        }
    }

    /// Whether a node keeps to the protocol.
    pub(super) fn is_honest(&self, node: usize) -> bool {
        !self.oracle.hostile.contains(&node)
    }

    /// Honest nodes whose processes run.
    pub(super) fn sound(&self) -> Vec<usize> {
        (0..self.world.nodes().len())
            .filter(|node| self.is_honest(*node) && self.world.node(*node).runs())
            .collect()
    }

    /// Whether something keeps a node from answering as it should.
    pub(super) fn is_harmed(&self, node: usize) -> bool {
        self.harmed.get(&node).is_some_and(|reasons| *reasons > 0)
            || self.filled.contains_key(&node)
            || self.bare.contains(&node)
            || !self.world.node(node).runs()
            || self.world.node(node).is_paused()
    }
}
