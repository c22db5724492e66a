//! From a scenario to a world: nodes, disks, links, and who knows whom.

use std::collections::BTreeMap;

use starling_crdt::id::StoreId;
use starling_crdt::store::Store;

use crate::scenario::fleet::DiskKind as PlannedDisk;
use crate::scenario::network::{Preset, REGIONS, Topology};
use crate::scenario::{Region, Scenario};
use crate::world::WorldSetup;
use crate::world::chance::{Chance, Purpose};
use crate::world::clock::Clock;
use crate::world::disk::{Disk, DiskKind};
use crate::world::founding::Founding;
use crate::world::link::{Link, shaped};
use crate::world::node::NodeSetup;

/// Most addresses an operator gives one node in a `full` topology: more are learnt from beacons.
const SEEDS_GIVEN_MAX: usize = 16;

/// Everything a world needs to begin.
///
/// # Errors
/// What a store said that could not be made.
pub fn setup(scenario: &Scenario, founding: &Founding, seed: u64) -> Result<WorldSetup, String> {
    let chance = Chance::new(seed);
    let plans = scenario.nodes();
    let regions: Vec<Region> = plans
        .iter()
        .enumerate()
        .map(|(index, plan)| plan.group.region.unwrap_or(REGIONS[index % REGIONS.len()]))
        .collect();
    let seeds = topology(scenario, &chance);
    let mut nodes = Vec::with_capacity(plans.len());
    for (index, plan) in plans.iter().enumerate() {
        let bytes = chance.bytes(Purpose::StoreId, index as u64, 0);
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        let kind = match plan.group.disk.kind {
            PlannedDisk::Memory => DiskKind::Memory,
            PlannedDisk::Redb => DiskKind::Redb,
        };
        let disk = Disk::new(kind, StoreId(id));
        let mut store = disk.open(StoreId(id), plans.len()).map_err(|error| error.to_string())?;
        store.commit(&founding.rows).map_err(|error| error.to_string())?;
        drop(store);
        let mut clock = Clock::default();
        clock.drift(0, plan.group.clock.drift_ppm.round() as i32);
        clock.step(plan.group.clock.offset.0 / 1_000);
        nodes.push(NodeSetup {
            name: plan.name.clone(),
            identity: founding.identities[index].clone(),
            region: regions[index],
            clock,
            disk,
            sync: plan.group.disk.sync.0,
            capacity: plan.group.disk.capacity.map(|capacity| capacity.0),
            seeds: seeds[index].clone(),
            hostile: plan.group.behaviour.hostility(),
        });
    }
    let (links, link_of) = links(scenario, &regions);
    let epoch_key = founding.ticket.epoch_key.clone();
    let local = scenario.network.preset == Preset::Lan;
    Ok(WorldSetup { seed, nodes, space: founding.space, epoch_key, links, link_of, local })
}

/// Whose addresses each node has at the start.
fn topology(scenario: &Scenario, chance: &Chance) -> Vec<Vec<usize>> {
    let plans = scenario.nodes();
    let count = plans.len();
    let mut known: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut draws = chance.stream(Purpose::Topology, 0, 0);
    match &scenario.topology {
        Topology::Full => {
            for (node, known) in known.iter_mut().enumerate() {
                let mut others: Vec<usize> = (0..count).filter(|other| *other != node).collect();
                if others.len() > SEEDS_GIVEN_MAX {
                    draws.shuffle(&mut others);
                    others.truncate(SEEDS_GIVEN_MAX);
                    others.sort_unstable();
                }
                *known = others;
            }
        }
        Topology::Ring => {
            (0..count).filter(|_| count > 1).for_each(|node| known[node].push((node + 1) % count))
        }
        Topology::Tree { fanout } => {
            let fanout = (*fanout).max(1) as usize;
            (1..count).for_each(|node| known[node].push((node - 1) / fanout));
        }
        Topology::KRegular { degree } => {
            // A ring in random order connects the whole; the rest of the degree is drawn.
            let mut order: Vec<usize> = (0..count).collect();
            draws.shuffle(&mut order);
            for place in 0..count {
                let (node, next) = (order[place], order[(place + 1) % count]);
                if node != next {
                    known[node].push(next);
                }
                let wanted = (*degree as usize).min(count - 1);
                for _ in 0..4 * wanted {
                    let other = draws.below(count as u64) as usize;
                    if known[node].len() < wanted && other != node && !known[node].contains(&other) {
                        known[node].push(other);
                    }
                }
            }
        }
        Topology::File { pairs, .. } => {
            let place: BTreeMap<&str, usize> =
                plans.iter().enumerate().map(|(index, plan)| (plan.name.as_str(), index)).collect();
            for (one, other) in pairs {
                if let (Some(one), Some(other)) = (place.get(one.as_str()), place.get(other.as_str())) {
                    known[*one].push(*other);
                }
            }
        }
    }
    known
}

/// The different links there are, and which each pair has.
fn links(scenario: &Scenario, regions: &[Region]) -> (Vec<Link>, Vec<u16>) {
    let count = regions.len();
    let plans = &scenario.network.links;
    let members = |selected: Vec<usize>| {
        let mut is_member = vec![false; count];
        selected.into_iter().for_each(|node| is_member[node] = true);
        is_member
    };
    let ends: Vec<(Vec<bool>, Vec<bool>)> = plans
        .iter()
        .map(|plan| (members(plan.from.candidates(scenario)), members(plan.to.candidates(scenario))))
        .collect();
    let mut kinds: BTreeMap<(Region, Region, Vec<bool>), u16> = BTreeMap::new();
    let mut links = Vec::new();
    let mut link_of = Vec::with_capacity(count * count);
    for from in 0..count {
        for to in 0..count {
            let applies: Vec<bool> = plans
                .iter()
                .zip(&ends)
                .map(|(plan, (a, b))| (a[from] && b[to]) || (!plan.one_way && a[to] && b[from]))
                .collect();
            let key = (regions[from], regions[to], applies);
            let kind = kinds.get(&key).copied().unwrap_or_else(|| {
                let mut overrides = vec![scenario.network.all];
                let chosen = plans.iter().zip(&key.2).filter(|(_, applies)| **applies);
                overrides.extend(chosen.map(|(plan, _)| plan.shape));
                let shape = shaped(scenario.network.preset.link(key.0, key.1), &overrides);
                links.push(Link::new(&shape));
                let number = (links.len() - 1) as u16;
                kinds.insert(key, number);
                number
            });
            link_of.push(kind);
        }
    }
    (links, link_of)
}
