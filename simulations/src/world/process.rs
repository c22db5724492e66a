//! Processes: how they start, step, stand still and end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use starling_crdt::address::Address;
use starling_crdt::charter::Label;
use starling_crdt::id::StoreId;
use starling_crdt::limits::STEP_INPUTS_MAX;
use starling_crdt::replica::{Counted, Effect, Input, Note, Options, Replica};
use starling_crdt::store::{Store, StoreError};
use starling_crdt::view::Reader;
use starling_store::backend::Loss;

use super::World;
use super::chance::Purpose;
use super::event::{Event, Observation};
use super::gossip::{HEARTBEAT, Neighbourhood};
use super::harm::Trouble;
use super::node::{Node, NodeSetup, Process};
use super::queue::{MILLISECOND, Time};

/// What a step costs besides its signatures and its commit: measured on one core at 3 GHz.
const STEP_COST: Time = 20;
/// What checking one signature costs (ed25519, strict: 21,000 to 32,000 a second).
const SIGNATURE_COST: Time = 40;
/// Built documents one simulated node may keep for its readers, in bytes.
const READER_BYTES: usize = 8 * 1024 * 1024;
/// How long the driver waits before it tries a store again that could not be read.
const STORE_RETRY: Time = 1_000 * MILLISECOND;
/// Wake-ups in a row without inputs, effects and time between them, after which a node spins.
const IDLE_STEPS_MAX: u32 = 10_000;

/// The address at which a node listens.
pub(super) fn address(node: usize) -> Address {
    Address::new(format!("sim/{node}")).expect("digits and letters")
}

/// The place in the fleet that an address names.
pub(super) fn place(address: &Address) -> Option<usize> {
    address.as_str().strip_prefix("sim/")?.parse().ok()
}

pub(super) fn at_rest(setup: NodeSetup) -> Node {
    if let Some(capacity) = setup.capacity {
        setup.disk.limit(capacity);
    }
    Node {
        key: setup.identity.key(),
        name: setup.name,
        identity: setup.identity,
        region: setup.region,
        clock: setup.clock,
        disk: setup.disk,
        hostile: setup.hostile,
        starts: 0,
        sync: setup.sync,
        capacity: setup.capacity,
        seeds: setup.seeds.into_iter().map(address).collect(),
        process: None,
        paused: false,
        blocked: BTreeSet::new(),
        trouble: Trouble::default(),
    }
}

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// It says farewell and closes its store.
    InOrder,
    /// It is killed: what it wrote is there.
    Killed,
    /// The machine loses power: what was not synced is lost, all of it.
    Unsynced,
    /// The machine loses power: of what was not synced some is there, perhaps torn.
    Torn,
}

impl World {
    pub(super) fn store_id(&self, node: usize, counter: u64) -> StoreId {
        let bytes = self.chance.bytes(Purpose::StoreId, node as u64, counter);
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        StoreId(id)
    }

    /// Starts a node's process. Says whether it runs now.
    pub fn start(&mut self, node: usize) -> bool {
        if self.nodes[node].process.is_some() {
            return true;
        }
        let at = self.nodes[node].clock.now(self.now);
        self.nodes[node].starts += 1;
        self.nodes[node].paused = false;
        let starts = self.nodes[node].starts;
        let id = self.store_id(node, starts);
        let opened = catch_unwind(AssertUnwindSafe(|| self.open(node, starts, id, at)));
        let process = match opened {
            Ok(Ok(process)) => process,
            Ok(Err(why)) => {
                self.observe(Observation::NotStarted { node, why });
                return false;
            }
            Err(panic) => {
                self.observe(Observation::Panicked { node, words: words(&*panic) });
                return false;
            }
        };
        let standing = process.replica.standing_effects();
        self.nodes[node].process = Some(process);
        self.messages.unsee(node);
        self.trace_note(node, b"start");
        self.observe(Observation::Started { node });
        self.release(node, starts, standing);
        self.beat_soon(node);
        self.deliver(node, Input::Listening { addresses: vec![address(node)] }, 0);
        true
    }

    fn open(
        &self,
        node: usize,
        starts: u64,
        id: StoreId,
        at: starling_crdt::time::Now,
    ) -> Result<Process, String> {
        let here = &self.nodes[node];
        let store = here.disk.open(id, self.fleet).map_err(|error| error.to_string())?;
        let commits = store.commits();
        let label = |text: &str| Label::new(text).map_err(|error| error.to_string());
        let options = Options {
            name: label(&here.name)?,
            version: label("sim")?,
            seeds: here.seeds.clone(),
            space_bytes_max: None,
        };
        let mut nonces = self.chance.stream(Purpose::Nonce, node as u64, starts);
        let nonces = Box::new(move || {
            let mut nonce = [0; 16];
            nonce[..8].copy_from_slice(&nonces.next().to_be_bytes());
            nonce[8..].copy_from_slice(&nonces.next().to_be_bytes());
            nonce
        });
        let phase = self.chance.stream(Purpose::Phase, node as u64, starts).below(HEARTBEAT);
        let seed = self.chance.bytes(Purpose::Replica, node as u64, starts);
        let reader = store.reader();
        let replica = Replica::open(store, here.identity.clone(), options, seed, nonces, at)
            .map_err(|error| error.to_string())?;
        Ok(Process {
            number: starts,
            screener: replica.screener(),
            reader: Reader::new(reader, READER_BYTES),
            replica,
            commits,
            wake_at: Time::MAX,
            busy_until: self.now,
            step_scheduled: false,
            inbox: VecDeque::new(),
            unchecked: 0,
            idle_steps: 0,
            links: BTreeMap::new(),
            asked: BTreeMap::new(),
            gossip: Neighbourhood::new(phase),
        })
    }

    /// Hands an input to a process; with it come signatures to check.
    pub(super) fn deliver(&mut self, node: usize, input: Input, signatures: u64) {
        let now = self.now;
        let paused = self.nodes[node].paused;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        process.inbox.push_back(input);
        process.unchecked += signatures;
        if !process.step_scheduled && !paused {
            process.step_scheduled = true;
            let event = Event::Step { node, process: process.number };
            self.queue.schedule(process.busy_until.max(now), event);
        }
    }

    /// Hands an input to a process if it is still the one it was meant for.
    pub(super) fn hand_over(&mut self, node: usize, process: u64, input: Input) {
        if self.nodes[node].process.as_ref().is_some_and(|running| running.number == process) {
            self.deliver(node, input, 0);
        }
    }

    pub(super) fn wake(&mut self, node: usize, number: u64) {
        let (now, paused) = (self.now, self.nodes[node].paused);
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.number == number)
        else {
            return;
        };
        if process.wake_at != now || process.step_scheduled || paused {
            return;
        }
        if process.busy_until > now {
            process.step_scheduled = true;
            self.queue.schedule(process.busy_until, Event::Step { node, process: number });
            return;
        }
        self.step(node);
    }

    pub(super) fn step_due(&mut self, node: usize, number: u64) {
        let paused = self.nodes[node].paused;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.number == number)
        else {
            return;
        };
        process.step_scheduled = false;
        if !paused {
            self.step(node);
        }
    }

    /// One step of the core.
    fn step(&mut self, node: usize) {
        let at = self.nodes[node].clock.now(self.now);
        let failing = self.disk_fails(node);
        let sync = self.nodes[node].sync;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let count = process.inbox.len().min(STEP_INPUTS_MAX);
        let inputs: Vec<Input> = process.inbox.drain(..count).collect();
        let signatures = std::mem::take(&mut process.unchecked);
        let before = process.commits.load(Ordering::Relaxed);
        let replica = &mut process.replica;
        let done = catch_unwind(AssertUnwindSafe(|| replica.step(at, inputs)));
        let committed = process.commits.load(Ordering::Relaxed) > before;
        if failing {
            self.nodes[node].disk.heal();
            self.limit_again(node);
            if committed && let Some((_, fault)) = self.nodes[node].trouble.failing {
                self.fired(&[fault]);
            }
        }
        let effects = match done {
            Ok(Ok(effects)) => effects,
            // Memory could not be read again from a failing disk: the driver tries again later.
            Ok(Err(error)) => {
                let effects = vec![Effect::Note(Note::StoreFault { error })];
                self.after_step(node, count, effects, STORE_RETRY);
                return;
            }
            Err(panic) => {
                self.observe(Observation::Panicked { node, words: words(&*panic) });
                self.end(node, Death::Killed);
                return;
            }
        };
        if self.killed_meanwhile(node) {
            return;
        }
        let cost = STEP_COST + signatures * SIGNATURE_COST + if committed { sync } else { 0 };
        self.after_step(node, count, effects, cost);
    }

    fn after_step(&mut self, node: usize, inputs: usize, effects: Vec<Effect>, cost: Time) {
        let now = self.now;
        let clock = self.nodes[node].clock;
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let number = process.number;
        process.busy_until = now + cost;
        if !process.inbox.is_empty() && !process.step_scheduled {
            process.step_scheduled = true;
            self.queue.schedule(now + cost, Event::Step { node, process: number });
        }
        let wakeup = clock.when(process.replica.next_wakeup());
        process.idle_steps =
            if inputs == 0 && effects.is_empty() && wakeup <= now { process.idle_steps + 1 } else { 0 };
        let spins = process.idle_steps > IDLE_STEPS_MAX;
        let wakeup = wakeup.max(now + cost);
        if wakeup < process.wake_at || process.wake_at <= now {
            process.wake_at = wakeup;
            self.queue.schedule(wakeup, Event::Wake { node, process: number });
        }
        if spins {
            self.observe(Observation::Spins { node });
            self.end(node, Death::Killed);
            return;
        }
        let bytes = effects.iter().map(outward).sum();
        self.trace.effects(now, node, &effects);
        self.observe(Observation::Stepped { node, inputs, effects: effects.len(), bytes });
        if effects.is_empty() {
            return;
        }
        self.queue.schedule(now + cost, Event::Release { node, process: number, effects });
    }

    /// Lets the effects of a step out into the world.
    pub(super) fn release(&mut self, node: usize, number: u64, effects: Vec<Effect>) {
        let fetched = effects.iter().any(|e| matches!(e, Effect::Count { what: Counted::FetchedBytes, .. }));
        let admitted = effects.iter().any(|e| matches!(e, Effect::Count { what: Counted::Admitted, .. }));
        for effect in effects {
            if self.nodes[node].process.as_ref().is_none_or(|process| process.number != number) {
                return;
            }
            match effect {
                Effect::Reply { ticket, reply } => {
                    self.observe(Observation::Replied { node, ticket: ticket.0, reply });
                }
                Effect::Subscribe(topic) => {
                    if let Some(process) = self.nodes[node].process.as_mut() {
                        process.gossip.topics.insert(topic);
                    }
                }
                Effect::Unsubscribe(topic) => {
                    if let Some(process) = self.nodes[node].process.as_mut() {
                        process.gossip.topics.remove(&topic);
                    }
                }
                Effect::Publish { topic, payload } => self.publish(node, topic, payload),
                Effect::Verdict { token, verdict } => self.judged(node, token, verdict),
                Effect::Ask { peer, id, body } => self.ask(node, peer, id, body),
                Effect::Answer { peer, id, body } => self.answer(node, peer, id, body),
                Effect::Dial { target, peer, addresses } => self.dial(node, target, peer, &addresses),
                Effect::Disconnect { peer, .. } => self.disconnect(node, peer),
                Effect::Block(peer) => {
                    self.nodes[node].blocked.insert(peer);
                    self.disconnect(node, peer);
                }
                Effect::Unblock(peer) => {
                    self.nodes[node].blocked.remove(&peer);
                }
                Effect::Changed(change) => self.observe(Observation::Changed { node, change }),
                Effect::Offence { peer, code, .. } => self.observe(Observation::Offence { node, peer, code }),
                Effect::MemberChanged { change, .. } => self.observe(Observation::Member { node, change }),
                Effect::Count { what: Counted::FetchedBytes, by } if fetched => {
                    // What an exchange brought is useful when any of it was new.
                    let (useful, redundant) = if admitted { (by, 0) } else { (0, by) };
                    self.traffic.reclassify(useful, redundant);
                    self.observe(Observation::Count { node, what: Counted::FetchedBytes, by });
                }
                Effect::Count { what, by } => self.observe(Observation::Count { node, what, by }),
                Effect::Note(note) => self.noted(node, note),
            }
        }
    }

    fn noted(&mut self, node: usize, note: Note) {
        if let (Note::StoreFault { error: StoreError::Full }, Some(fault)) =
            (&note, self.nodes[node].trouble.full)
        {
            self.fired(&[fault]);
        }
        self.observe(Observation::Noted { node, note });
    }

    /// Ends a node's process; says whether there was one.
    pub fn end(&mut self, node: usize, death: Death) -> bool {
        if death == Death::InOrder {
            self.say_farewell(node);
        }
        let Some(process) = self.nodes[node].process.take() else { return false };
        self.nodes[node].paused = false;
        self.nodes[node].trouble.kill_at = None;
        let loss = match death {
            Death::InOrder => None,
            Death::Killed => Some(Loss::Nothing),
            Death::Unsynced => Some(Loss::All),
            Death::Torn => {
                let seed = self.chance.stream(Purpose::Disk, node as u64, process.number).next();
                Some(Loss::Some { seed })
            }
        };
        if let Some(loss) = loss {
            // The power goes before the store is dropped, or closing it would write.
            self.nodes[node].disk = self.nodes[node].disk.after_crash(loss);
            self.limit_again(node);
        }
        self.trace_note(node, b"end");
        let silent = matches!(death, Death::Unsynced | Death::Torn);
        for connection in process.links.into_values() {
            self.break_from(connection, node, silent);
        }
        self.observe(Observation::Ended { node });
        true
    }

    fn say_farewell(&mut self, node: usize) {
        let at = self.nodes[node].clock.now(self.now);
        let Some(process) = self.nodes[node].process.as_mut() else { return };
        let number = process.number;
        let said = catch_unwind(AssertUnwindSafe(|| process.replica.leave(at)));
        if let Ok(Ok(effects)) = said {
            self.trace.effects(self.now, node, &effects);
            self.release(node, number, effects);
        }
    }

    /// Lets a process stand still.
    pub fn pause(&mut self, node: usize) -> bool {
        if self.nodes[node].process.is_none() || self.nodes[node].paused {
            return false;
        }
        self.nodes[node].paused = true;
        self.trace_note(node, b"pause");
        self.reachability_changed();
        true
    }

    /// Lets it go on.
    pub fn resume(&mut self, node: usize) {
        if !std::mem::take(&mut self.nodes[node].paused) {
            return;
        }
        self.trace_note(node, b"resume");
        self.reachability_changed();
        self.beat_soon(node);
        let now = self.now;
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.step_scheduled = true;
            self.queue.schedule(now.max(process.busy_until), Event::Step { node, process: process.number });
        }
    }
}

fn outward(effect: &Effect) -> usize {
    match effect {
        Effect::Publish { payload, .. } => payload.len(),
        Effect::Ask { body, .. } | Effect::Answer { body, .. } => body.len(),
        _ => 0,
    }
}

/// The words of a panic.
pub(crate) fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
