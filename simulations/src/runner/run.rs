//! One run: drives the world, writes, strikes, watches, samples.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use starling_crdt::replica::{LocalRequest, Note, Refusal, Reply};
use starling_crdt::store::StoreError;

use super::faults::{self, PlannedFault};
use super::workload::{self, PlannedEdit, PlannedWrite};
use super::{fleet, judge};
use crate::oracle::ledger::{Holding, Wrong};
use crate::oracle::{Goal, Oracle};
use crate::properties::{self, Finding};
use crate::record::{
    Band, Bytes, Divergence, FaultSpan, Lag, Resources, RunRecord, SAMPLES_MAX, Violation, Writes,
};
use crate::scenario::Scenario;
use crate::world::disk::Disk;
use crate::world::event::{Observation, Seen};
use crate::world::founding::{Founding, document_name};
use crate::world::log::EventLog;
use crate::world::queue::{MILLISECOND, SECOND, Time};
use crate::world::{Progress, World};

/// Violations kept of one run: the first ones tell the cause.
const VIOLATIONS_MAX: usize = 100;
/// Least time between two samples.
const SAMPLE_MIN: Time = 100 * MILLISECOND;
/// How long a node whose store does not open waits before it tries again.
const START_RETRY: Time = 5 * SECOND;
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
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
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
    /// Nodes whose disk is as full as its capacity lets it be, and since when.
    pub(super) filled: BTreeMap<usize, Time>,
    pub(super) hostile: BTreeSet<usize>,
    pub(super) findings: Vec<Violation>,
    pub(super) known: BTreeSet<(u32, Option<usize>, Option<String>)>,
    pub(super) checks: BTreeMap<u32, u64>,
    pub(super) asked: BTreeMap<u64, AskedWrite>,
    pub(super) replies: BTreeMap<u64, Vec<[u8; 32]>>,
    pub(super) increments: BTreeMap<u32, (i64, i64)>,
    pub(super) counts: Writes,
    pub(super) fair: (u64, u64),
    pub(super) healed: Option<Time>,
    pub(super) converged: Option<Time>,
    pub(super) idle_from: Option<(Time, u64)>,
    pub(super) lag: Lag,
    pub(super) divergence: Vec<Divergence>,
    pub(super) bytes: Vec<Bytes>,
    pub(super) resources: Vec<Resources>,
    pub(super) offences: BTreeMap<(usize, usize), u64>,
    pub(super) undecided: Vec<String>,
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
        let nodes = scenario.nodes().len();
        let hostile = world
            .nodes()
            .iter()
            .enumerate()
            .filter(|(_, node)| node.hostile.is_some())
            .map(|(index, _)| index);
        let hostile: BTreeSet<usize> = hostile.collect();
        let mut run = Self {
            scenario,
            founding,
            seed,
            oracle: Oracle::default(),
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
            filled: BTreeMap::new(),
            hostile,
            findings: Vec::new(),
            known: BTreeSet::new(),
            checks: BTreeMap::new(),
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            increments: BTreeMap::new(),
            counts: Writes::default(),
            fair: (0, 0),
            healed: None,
            converged: None,
            idle_from: None,
            lag: Lag { at_us: Vec::new(), missing: vec![Vec::new(); nodes] },
            divergence: Vec::new(),
            bytes: Vec::new(),
            resources: Vec::new(),
            offences: BTreeMap::new(),
            undecided: Vec::new(),
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
            fault => self.act(fault),
        }
    }

    /// Whether a node keeps to the protocol.
    pub(super) fn is_honest(&self, node: usize) -> bool {
        !self.hostile.contains(&node)
    }

    /// Honest nodes whose processes run.
    pub(super) fn sound(&self) -> Vec<usize> {
        (0..self.world.nodes().len())
            .filter(|node| self.is_honest(*node) && self.world.node(*node).runs())
            .collect()
    }

    fn write(&mut self, planned: usize) {
        let write = self.writes[planned].clone();
        let node = write.node;
        if !self.is_honest(node) {
            return;
        }
        self.counts.asked += 1;
        let harmed = self.is_harmed(node);
        if !harmed {
            self.fair.0 += 1;
        }
        let request = write.request(self.founding.space, self.scenario.workload.value.0);
        if let PlannedEdit::Counter(by) = write.what
            && !write.repeats
        {
            self.increments.entry(write.document).or_default().1 += by;
        }
        match self.world.submit(node, request) {
            Some(ticket) => {
                let starts = self.world.node(node).starts;
                let at = self.world.now();
                self.asked.insert(ticket, AskedWrite { planned, node, at, starts, answered: false });
            }
            None => self.counts.unanswered += 1,
        }
    }

    /// Whether something keeps a node from answering as it should.
    pub(super) fn is_harmed(&self, node: usize) -> bool {
        self.harmed.get(&node).is_some_and(|reasons| *reasons > 0)
            || self.filled.contains_key(&node)
            || !self.world.node(node).runs()
            || self.world.node(node).is_paused()
    }

    /// Looks at everything that was observed.
    pub(super) fn watch(&mut self) {
        let seen = self.world.observations();
        // What stores hold comes before what clients were told of it.
        for one in &seen {
            self.look(one);
        }
        for one in seen {
            self.hear(one);
        }
    }

    fn look(&mut self, seen: &Seen) {
        match &seen.what {
            Observation::Changed { node, change } => {
                let name = change.document.as_str();
                let wrong = self.oracle.look(&self.world, *node, Some(name));
                self.wrongs(*node, wrong);
                let heads = change.heads.iter().map(|head| head.0).collect();
                self.oracle.ledger.show(*node, name, heads);
                self.count_check(7);
                self.count_check(8);
                self.maybe_converged();
            }
            Observation::Started { node } => self.started(*node),
            // Before the refusals that come of it, or they would seem to have no reason.
            Observation::Noted { node, note: Note::StoreFault { error: StoreError::Full } } => {
                self.full(*node, seen.at);
            }
            _ => {}
        }
    }

    fn started(&mut self, node: usize) {
        self.unsound.remove(&node);
        let before = self.oracle.ledger.forget(node);
        let destroyed = self.destroyed.remove(&node);
        let wrong = self.oracle.look(&self.world, node, None);
        self.wrongs(node, wrong);
        self.show_all(node);
        match destroyed {
            Some(_) => self.oracle.ledger.excuse(&before),
            None => {
                let now = self.oracle.ledger.holding(node).clone();
                for (key, (from, _)) in &before.tips {
                    let to = now.tips.get(key).map_or(0, |(to, _)| *to);
                    if to < *from {
                        let wrong = Wrong::Shrunk { document: key.0.clone(), from: *from, to };
                        self.wrongs(node, vec![wrong]);
                    }
                }
            }
        }
        self.count_check(8);
        self.count_check(10);
        self.sweep_store(node);
        if let Some(goal) = self.oracle.goal {
            self.set_goal(goal.since);
        }
    }

    fn show_all(&mut self, node: usize) {
        for document in 0..self.scenario.workload.documents {
            let name = document_name(document);
            let Some(reader) = self.world.node(node).reader() else { return };
            if let Ok(known) = reader.document(self.founding.space, &name) {
                let heads = known.heads.iter().map(|head| head.0).collect();
                self.oracle.ledger.show(node, name.as_str(), heads);
            }
        }
    }

    fn wrongs(&mut self, node: usize, wrongs: Vec<Wrong>) {
        if !self.is_honest(node) {
            return;
        }
        for wrong in wrongs {
            let hostile = self.hostile.clone();
            let forked = properties::selffork::check(node, &wrong, |author| !hostile.contains(&author));
            let found = forked.or_else(|| properties::sessions::monotonic(node, &wrong)).or_else(|| {
                let Wrong::Foreign { document } = &wrong else { return None };
                // What a hostile member signed is its own affair, as long as it is a member.
                self.hostile.is_empty().then(|| {
                    Finding::at(5, node, "shows changes that no honest node made").in_document(document)
                })
            });
            if let Some(found) = found {
                self.find(found);
            }
        }
    }

    fn hear(&mut self, seen: Seen) {
        let at = seen.at;
        match seen.what {
            Observation::Replied { node, ticket, reply } => self.replied(at, node, ticket, reply),
            Observation::Panicked { node, words } => {
                self.misbehaved(node, properties::panics::Misbehaved::Panicked(words));
            }
            Observation::Spins { node } => self.misbehaved(node, properties::panics::Misbehaved::Spins),
            Observation::NotStarted { node, why } => self.not_started(node, &why),
            Observation::Fired { fault, by } => {
                if let Some(fired) = self.fired.get_mut(fault) {
                    *fired += by;
                }
            }
            Observation::Offence { node, peer, .. } => {
                if let Some(charged) = self.world.nodes_of(peer).next() {
                    *self.offences.entry((node, charged)).or_default() += 1;
                }
            }
            Observation::Noted { node, note: Note::Fork { document, author, seq, .. } } => {
                let Some(author) = self.world.nodes_of(author).next() else { return };
                let wrong = Wrong::Forked { author, document: document.as_str().to_owned(), seq };
                self.wrongs(node, vec![wrong]);
            }
            Observation::Stepped { node, inputs, effects, .. } => {
                self.count_check(11);
                if self.is_honest(node)
                    && let Some(found) = properties::bounds::check_step(node, inputs, effects)
                {
                    self.find(found);
                }
            }
            _ => {}
        }
    }

    /// A disk took no more although no fault filled it: then its capacity did.
    fn full(&mut self, node: usize, at: Time) {
        let plans = self.scenario.nodes();
        let bounded = plans.get(node).is_some_and(|plan| plan.group.disk.capacity.is_some());
        if bounded && self.harmed.get(&node).is_none_or(|reasons| *reasons == 0) {
            self.filled.entry(node).or_insert(at);
        }
    }

    fn misbehaved(&mut self, node: usize, misbehaved: properties::panics::Misbehaved) {
        let found = properties::panics::check(node, &misbehaved);
        self.find(found);
        let at = self.world.now() + START_RETRY;
        self.put(at, Agenda::Start(node));
    }

    fn not_started(&mut self, node: usize, why: &str) {
        let may_fail =
            self.unsound.contains(&node) || self.harmed.get(&node).is_some_and(|reasons| *reasons > 0);
        if let Some(found) = properties::integrity::check_start(node, may_fail, why) {
            self.find(found);
        }
        if self.unsound.remove(&node) {
            // As the error says: the operator moves the store away and joins the space again.
            let empty = self.world.empty_disk(node);
            self.world.replace_disk(node, empty);
            self.destroyed.entry(node).or_default();
        }
        let at = self.world.now() + START_RETRY;
        self.put(at, Agenda::Start(node));
    }

    /// Starts a process, which joins if its disk is empty.
    pub(super) fn start(&mut self, node: usize) {
        if self.world.start(node) && self.oracle_sees_no_space(node) {
            let ticket = Box::new(self.founding.ticket.clone());
            self.world.submit(node, LocalRequest::Join { ticket });
        }
    }

    fn oracle_sees_no_space(&self, node: usize) -> bool {
        self.world.node(node).reader().is_some_and(|reader| reader.space(self.founding.space).is_err())
    }

    fn replied(&mut self, at: Time, node: usize, ticket: u64, reply: Result<Reply, Refusal>) {
        let Some(asked) = self.asked.get_mut(&ticket) else { return };
        asked.answered = true;
        let (asked_at, planned) = (asked.at, asked.planned);
        let took = at - asked_at;
        let harmed =
            self.is_harmed(node) || self.harmed_until.get(&node).is_some_and(|until| *until >= asked_at);
        let write = self.writes[planned].clone();
        self.count_check(13);
        let refused = match reply {
            Ok(Reply::Written(written)) => {
                self.counts.acknowledged += 1;
                self.fair.1 += u64::from(!harmed);
                let heads: Vec<[u8; 32]> = written.heads.iter().map(|head| head.0).collect();
                self.acknowledged(at, node, &write, heads, written.changed);
                None
            }
            Ok(_) => return,
            Err(refusal) => {
                self.counts.refused += 1;
                Some(refusal.to_string())
            }
        };
        let fared = properties::availability::Fared { node, took, refused, harmed };
        if let Some(found) = properties::availability::check(&fared) {
            self.find(found);
        }
    }

    fn acknowledged(
        &mut self,
        at: Time,
        node: usize,
        write: &PlannedWrite,
        heads: Vec<[u8; 32]>,
        changed: bool,
    ) {
        let name = document_name(write.document);
        let first = self.replies.get(&write.number).cloned();
        if let Some(first) = first {
            self.count_check(9);
            // A disk that was destroyed or set back forgets what it was asked as well.
            if !self.destroyed_ever(node)
                && let Some(found) =
                    properties::idempotence::check_replies(node, name.as_str(), &first, &heads)
            {
                self.find(found);
            }
            return;
        }
        self.replies.insert(write.number, heads.clone());
        if let PlannedEdit::Counter(by) = write.what {
            let sums = self.increments.entry(write.document).or_default();
            sums.0 += by;
            sums.1 -= by;
        }
        if !changed {
            return;
        }
        let mut is_known = false;
        for head in &heads {
            is_known |= self.oracle.ledger.acknowledge(head, at).is_some();
        }
        if let Some(found) = properties::sessions::own_write(node, name.as_str(), is_known) {
            self.find(found);
        }
    }

    pub(super) fn destroyed_ever(&self, node: usize) -> bool {
        use crate::scenario::FaultKind;
        self.faults.iter().any(|fault| {
            matches!(fault.kind, FaultKind::Wipe | FaultKind::Restore { .. } | FaultKind::BitRot { .. })
                && fault.occurrences.iter().any(|occurrence| occurrence.nodes.contains(&node))
        })
    }

    /// Notes that a property was checked.
    pub(super) fn count_check(&mut self, property: u32) {
        *self.checks.entry(property).or_default() += 1;
    }

    /// Notes that something does not hold, once for each place.
    pub(super) fn find(&mut self, finding: Finding) {
        let key = (finding.property, finding.node, finding.document.clone());
        if self.findings.len() >= VIOLATIONS_MAX || !self.known.insert(key) {
            return;
        }
        let at = self.world.now();
        self.findings.push(Violation {
            property: Some(finding.property),
            name: properties::name(finding.property).to_owned(),
            at_us: at,
            node: finding.node.map(|node| node as u32),
            document: finding.document,
            fault: finding.node.and_then(|node| self.blame(node, None, at, at)),
            words: finding.words,
        });
    }

    /// The fault that was going on at a node, or between it and another, at some time of a span.
    pub(super) fn blame(&self, node: usize, other: Option<usize>, from: Time, to: Time) -> Option<u32> {
        let overlaps = |since: u64, until: u64| since <= to && until >= from;
        let between = self.bands.iter().find(|band| {
            let apart = other.is_none_or(|other| {
                let side = |node: usize| band.sides.iter().position(|side| side.contains(&(node as u32)));
                band.sides.len() == 1 || side(node) != side(other)
            });
            let touches = band.sides.iter().flatten().any(|one| *one as usize == node)
                || other.is_some_and(|other| band.sides.iter().flatten().any(|one| *one as usize == other));
            apart && touches && overlaps(band.from_us, band.to_us)
        });
        between.map(|band| band.fault).or_else(|| {
            let strikes = |span: &FaultSpan| {
                let struck = |node: usize| span.nodes.contains(&(node as u32));
                (struck(node) || other.is_some_and(struck)) && overlaps(span.from_us, span.to_us)
            };
            self.spans.iter().position(|spans| spans.iter().any(strikes)).map(|fault| fault as u32)
        })
    }

    /// From now on everyone is to catch up with what is acknowledged by now.
    pub(super) fn set_goal(&mut self, since: Time) {
        let nodes = (0..self.world.nodes().len()).filter(|node| self.is_honest(*node));
        let missing = nodes.map(|node| self.unexcused_before(node, since)).sum();
        let reached = (missing == 0).then(|| self.world.now());
        self.oracle.goal = Some(Goal { since, missing, reached });
    }

    fn maybe_converged(&mut self) {
        if self.healed.is_none() {
            return;
        }
        if self.is_converged() {
            self.converged = self.converged.or(Some(self.world.now()));
        } else {
            self.converged = None;
        }
    }

    /// Whether all honest nodes run, show the same and miss nothing.
    pub(super) fn is_converged(&self) -> bool {
        let holdings = self.oracle.ledger.holdings();
        let mut honest = (0..self.world.nodes().len()).filter(|node| self.is_honest(*node));
        let Some(first) = honest.next().and_then(|node| holdings.get(node)) else { return true };
        self.world.node(0).runs()
            && honest.all(|node| {
                self.world.node(node).runs()
                    && holdings.get(node).is_some_and(|holding| holding.shown == first.shown)
            })
    }

    fn heal(&mut self) {
        self.heal_faults();
        let harm = self.faults.iter().any(|fault| {
            fault.occurrences.iter().any(|occurrence| occurrence.when.to.0 >= self.scenario.duration.0)
        });
        self.healed = Some(self.world.now());
        if harm || self.oracle.goal.is_none() {
            self.set_goal(self.world.now());
        }
        self.sweep_all(judge::Occasion::Heal);
        self.maybe_converged();
    }

    fn sample(&mut self) {
        let at = self.world.now();
        self.lag.at_us.push(at);
        let mut states = BTreeSet::new();
        let (mut missing_all, mut used_max) = (0, properties::bounds::Use::default());
        let mut memory_all = 0;
        let mut memory_max = 0;
        for node in 0..self.world.nodes().len() {
            let runs = self.world.node(node).runs();
            let missing = self.oracle.ledger.missing(node);
            if let Some(line) = self.lag.missing.get_mut(node) {
                line.push(if runs { missing as i64 } else { -1 });
            }
            if !self.is_honest(node) || !runs {
                continue;
            }
            states.insert(self.oracle.ledger.holdings().get(node).map_or(0, |holding| holding.shown));
            missing_all += missing;
            let memory = self.world.node(node).memory();
            let used = properties::bounds::Use {
                inbox: self.world.node(node).waiting(),
                orphans: memory.orphans,
                views: memory.histories + memory.views,
            };
            self.count_check(11);
            if let Some(found) = properties::bounds::check(node, &used) {
                self.find(found);
            }
            let bytes = (used.orphans + used.views) as u64;
            memory_all += bytes;
            memory_max = memory_max.max(bytes);
            used_max.inbox = used_max.inbox.max(used.inbox);
            used_max.orphans = used_max.orphans.max(used.orphans);
        }
        self.divergence.push(Divergence { at_us: at, states: states.len() as u64, missing: missing_all });
        let traffic = self.world.traffic();
        let (useful, redundant, control) = (traffic.useful, traffic.redundant, traffic.control);
        self.bytes.push(Bytes { at_us: at, useful, redundant, control });
        self.resources.push(Resources {
            at_us: at,
            memory_max,
            memory_all,
            inbox_max: used_max.inbox as u64,
            orphans_max: used_max.orphans as u64,
            frames: self.world.events_waiting() as u64,
        });
    }
}
