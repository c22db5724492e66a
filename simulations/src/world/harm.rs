//! Harm done to one node from outside: kills inside disk operations, broken and full disks, copies of
//! disks, wrong clocks.

use std::collections::BTreeSet;

use starling_crdt::id::StoreId;

use super::World;
use super::chance::Purpose;
use super::clock::Clock;
use super::disk::{Disk, DiskKind};
use super::event::Event;
use super::node::Node;
use super::process::Death;
use super::queue::{MILLISECOND, Time};

/// How long a kill inside a disk operation waits for one before the process is killed anyway.
const KILL_WAIT: Time = 5_000 * MILLISECOND;

/// What is wrong with a node's disk, and what was asked for.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Kill the process once the disk has done this many operations.
    pub(super) kill_at: Option<Kill>,
    /// This share of commits meets a failing disk, and the fault that wants it.
    pub(super) failing: Option<(u32, usize)>,
    /// The fault that fills the disk.
    pub(super) full: Option<usize>,
}

/// A kill that waits for a disk operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    operations: u64,
    fault: usize,
    death: Death,
}

impl World {
    /// Lets the process die at the `step`-th disk operation from now on. A disk in memory has none:
    /// its process dies at the next step.
    pub fn kill_in_io(&mut self, node: usize, step: u64, fault: usize, death: Death) {
        let Some(disk) = self.nodes[node].disk.blocks() else {
            self.end(node, Death::Killed);
            self.fired(&[fault]);
            return;
        };
        let operations = disk.operations() + step.saturating_sub(1);
        disk.cut_power_after(operations);
        self.nodes[node].trouble.kill_at = Some(Kill { operations, fault, death });
    }

    /// Whether a kill is still waiting for a disk operation.
    pub fn kill_pending(&self, node: usize) -> bool {
        self.nodes[node].trouble.kill_at.is_some()
    }

    /// How long to wait for a kill inside a disk operation.
    pub fn kill_wait(&self) -> Time {
        KILL_WAIT
    }

    pub(super) fn killed_meanwhile(&mut self, node: usize) -> bool {
        let Some(kill) = self.nodes[node].trouble.kill_at else { return false };
        let reached = self.nodes[node].disk.blocks().is_some_and(|disk| disk.operations() > kill.operations);
        if reached {
            self.fired(&[kill.fault]);
            self.end(node, kill.death);
        }
        reached
    }

    /// Lets a share of commits fail; none if absent.
    pub fn io_errors(&mut self, node: usize, share: Option<(u32, usize)>) -> bool {
        self.nodes[node].trouble.failing = share;
        self.nodes[node].disk.blocks().is_some()
    }

    pub(super) fn disk_fails(&mut self, node: usize) -> bool {
        let Some((share, _)) = self.nodes[node].trouble.failing else { return false };
        let counter = self.events;
        let mut draws = self.chance.stream(Purpose::Disk, node as u64 + (1 << 32), counter);
        draws.happens(share) && self.nodes[node].disk.fail_writes()
    }

    /// Leaves no room on the disk, or gives it back.
    pub fn fill_disk(&mut self, node: usize, fault: Option<usize>) -> bool {
        self.nodes[node].trouble.full = fault;
        match fault {
            Some(_) => self.nodes[node].disk.fill(),
            None => {
                self.nodes[node].disk.heal();
                self.limit_again(node);
                true
            }
        }
    }

    /// A disk that was healed or replaced has no limit of its own: what holds for the node's comes back.
    pub(super) fn limit_again(&mut self, node: usize) {
        let here = &self.nodes[node];
        if here.trouble.full.is_some() {
            here.disk.fill();
        } else if let Some(capacity) = here.capacity {
            here.disk.limit(capacity);
        }
    }

    /// A copy of a node's disk, as a backup program makes it.
    pub fn backup(&self, node: usize, counter: u64) -> Option<Disk> {
        self.nodes[node].disk.image(self.store_id(node, counter | 1 << 40)).ok()
    }

    /// Puts another disk in the place of a node's, whose process must not run.
    pub fn replace_disk(&mut self, node: usize, disk: Disk) {
        debug_assert!(self.nodes[node].process.is_none());
        self.nodes[node].disk = disk;
        self.limit_again(node);
    }

    /// A new empty disk of the kind a node has.
    pub fn empty_disk(&self, node: usize) -> Disk {
        match &self.nodes[node].disk {
            Disk::Memory(_) => {
                Disk::new(DiskKind::Memory, self.store_id(node, self.nodes[node].starts | 1 << 41))
            }
            Disk::Blocks(_) => Disk::new(DiskKind::Redb, StoreId([0; 16])),
        }
    }

    /// Changes a node's clocks.
    pub fn clock_mut(&mut self, node: usize) -> &mut Clock {
        &mut self.nodes[node].clock
    }

    /// After a change of clocks: what is due is looked at anew.
    pub fn clock_changed(&mut self, node: usize) {
        let now = self.now;
        if let Some(process) = self.nodes[node].process.as_mut() {
            process.wake_at = now;
            let number = process.number;
            self.queue.schedule(now, Event::Wake { node, process: number });
        }
    }

    /// Adds a node that runs a copy of another's disk under the same key. Gives its place.
    pub fn clone_node(&mut self, node: usize, name: String) -> Option<usize> {
        let place = self.nodes.len();
        let disk = self.backup(node, place as u64)?;
        let here = &self.nodes[node];
        let copy = Node {
            name,
            identity: here.identity.clone(),
            key: here.key,
            region: here.region,
            clock: here.clock,
            disk,
            hostile: None,
            starts: 0,
            sync: here.sync,
            capacity: here.capacity,
            seeds: here.seeds.clone(),
            process: None,
            paused: false,
            blocked: BTreeSet::new(),
            trouble: Trouble::default(),
        };
        self.trace.introduce(copy.key, &copy.name);
        self.nodes.push(copy);
        self.limit_again(place);
        Some(place)
    }
}
