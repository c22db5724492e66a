//! One round of decisions: whom to disconnect, whom to dial, when to look again.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;

use super::{
    BRIDGE_SPACING, ConnectAction, ConnectPolicy, DIAL_TIMEOUT, DialTarget, DisconnectReason, PRUNE_AGE_MIN,
    PRUNE_SPACING, PRUNES_MAX, Wanted,
};
use crate::id::AuthorKey;
use crate::jitter::{between, shuffle};
use crate::limits::{DEGREE_HIGH, DEGREE_TARGET, DIALS_MAX};
use crate::time::Moment;

/// Somebody who could be dialled.
struct Candidate {
    target: DialTarget,
    due: Moment,
    failures: u32,
    /// A connection with it may join two parts of a partition.
    bridges: bool,
}

pub(super) fn tick(
    policy: &mut ConnectPolicy,
    now: Moment,
    rng: &mut ChaCha8Rng,
    wanted: &[Wanted],
) -> Vec<ConnectAction> {
    policy.expire_blocks(now);
    policy.wanted = wanted.iter().map(|wanted| wanted.peer).collect();
    give_up_overdue_dials(policy, now, rng);
    let mut actions = disconnect_blocked(policy, now);
    actions.extend(prune(policy, now, rng));
    let mut candidates = candidates(policy, now, wanted);
    actions.extend(dial(policy, now, rng, &mut candidates));
    policy.wakeup = next_wakeup(policy, now, &candidates);
    actions
}

fn give_up_overdue_dials(policy: &mut ConnectPolicy, now: Moment, rng: &mut ChaCha8Rng) {
    let dials = policy.dialling.iter();
    let overdue: Vec<DialTarget> =
        dials.filter(|(_, until)| **until <= now).map(|(target, _)| target.clone()).collect();
    for target in overdue {
        policy.on_dial_failed(now, rng, &target);
    }
}

fn disconnect_blocked(policy: &mut ConnectPolicy, now: Moment) -> Vec<ConnectAction> {
    let connected = policy.connected.keys().copied();
    let due: Vec<AuthorKey> =
        connected.filter(|peer| policy.is_blocked(now, *peer) && !policy.closing.contains(peer)).collect();
    policy.closing.extend(&due);
    let reason = DisconnectReason::Blocked;
    due.into_iter().map(|peer| ConnectAction::Disconnect { peer, reason }).collect()
}

/// Closes some of too many connections, those with nobody wanted first. Seeds stay: the operator
/// chose them, and through them others find us.
fn prune(policy: &mut ConnectPolicy, now: Moment, rng: &mut ChaCha8Rng) -> Vec<ConnectAction> {
    let excess = excess(policy);
    if excess == 0 || policy.prune_next > now {
        return Vec::new();
    }
    let old_enough = loose(policy).filter(|(_, since)| *since + PRUNE_AGE_MIN <= now);
    let mut loose: Vec<AuthorKey> = old_enough.map(|(peer, _)| peer).collect();
    if loose.is_empty() {
        return Vec::new();
    }
    shuffle(rng, &mut loose);
    loose.sort_by_key(|peer| policy.wanted.contains(peer));
    loose.truncate(excess.min(PRUNES_MAX));
    policy.prune_next = now + PRUNE_SPACING;
    policy.closing.extend(&loose);
    let reason = DisconnectReason::TooMany;
    loose.into_iter().map(|peer| ConnectAction::Disconnect { peer, reason }).collect()
}

/// Connections that may be closed, and since when they stand.
fn loose(policy: &ConnectPolicy) -> impl Iterator<Item = (AuthorKey, Moment)> + '_ {
    let seeds: BTreeSet<AuthorKey> = policy.seeds.values().filter_map(|seed| seed.peer).collect();
    let standing = policy.connected.iter().map(|(peer, connection)| (*peer, connection.since));
    standing.filter(move |(peer, _)| !seeds.contains(peer) && !policy.closing.contains(peer))
}

fn excess(policy: &ConnectPolicy) -> usize {
    policy.connected.len().saturating_sub(policy.closing.len()).saturating_sub(DEGREE_HIGH)
}

fn candidates(policy: &ConnectPolicy, now: Moment, wanted: &[Wanted]) -> Vec<Candidate> {
    let free = |peer: AuthorKey| {
        peer != policy.own
            && !policy.connected.contains_key(&peer)
            && !policy.is_blocked(now, peer)
            && !policy.dialling.contains_key(&DialTarget::Peer(peer))
    };
    let present: BTreeSet<AuthorKey> =
        wanted.iter().filter(|wanted| !wanted.away).map(|wanted| wanted.peer).collect();
    let mut under_way = BTreeSet::new();
    let mut found = Vec::new();
    for (address, seed) in &policy.seeds {
        let target = DialTarget::Seed(address.clone());
        if policy.dialling.contains_key(&target) {
            under_way.extend(seed.peer);
        } else if seed.peer.is_none_or(free) {
            let bridges = seed.peer.is_none_or(|peer| !present.contains(&peer));
            let (due, failures) = (seed.retry.due(), seed.retry.failures());
            found.push(Candidate { target, due, failures, bridges });
        }
    }
    for Wanted { peer, away } in wanted.iter().copied() {
        if free(peer)
            && !under_way.contains(&peer)
            && let Some((due, failures)) = policy.known.prospect(peer)
        {
            found.push(Candidate { target: DialTarget::Peer(peer), due, failures, bridges: away });
        }
    }
    found
}

/// How many more dials connections are lacking.
enum Need {
    /// So many, those under way not counted.
    Dials(usize),
    /// Connections enough: only bridges are worth a dial.
    Bridges,
}

fn need(policy: &ConnectPolicy) -> Need {
    let connected = policy.connected.keys().filter(|peer| policy.wanted.contains(peer)).count();
    match DEGREE_TARGET.checked_sub(connected) {
        None | Some(0) => Need::Bridges,
        Some(lacking) => Need::Dials(lacking.saturating_sub(policy.dialling.len())),
    }
}

/// Dials who is due, those that failed least first, and takes them out of `candidates`.
fn dial(
    policy: &mut ConnectPolicy,
    now: Moment,
    rng: &mut ChaCha8Rng,
    candidates: &mut Vec<Candidate>,
) -> Vec<ConnectAction> {
    let slots = DIALS_MAX.saturating_sub(policy.dialling.len());
    let (room, bridging) = match need(policy) {
        Need::Dials(lacking) => (lacking, false),
        Need::Bridges => (usize::from(policy.bridge_next <= now), true),
    };
    shuffle(rng, candidates);
    candidates.sort_by_key(|candidate| candidate.failures);
    let mut actions = Vec::new();
    // Two seeds, or a seed and a known peer, may be one peer: one dial is enough.
    let mut aimed: BTreeSet<AuthorKey> = BTreeSet::new();
    candidates.retain(|candidate| {
        let peer = match &candidate.target {
            DialTarget::Peer(peer) => Some(*peer),
            DialTarget::Seed(address) => policy.seeds.get(address).and_then(|seed| seed.peer),
        };
        let chosen = actions.len() < room.min(slots)
            && candidate.due <= now
            && (candidate.bridges || !bridging)
            && peer.is_none_or(|peer| aimed.insert(peer));
        if chosen {
            actions.push(action(policy, &candidate.target));
            policy.dialling.insert(candidate.target.clone(), now + DIAL_TIMEOUT);
        }
        !chosen
    });
    if bridging && !actions.is_empty() {
        policy.bridge_next = now + between(rng, BRIDGE_SPACING, BRIDGE_SPACING * 2);
    }
    actions
}

fn action(policy: &ConnectPolicy, target: &DialTarget) -> ConnectAction {
    let (peer, addresses) = match target {
        DialTarget::Peer(peer) => (Some(*peer), policy.known.addresses(*peer)),
        DialTarget::Seed(address) => (None, vec![address.clone()]),
    };
    ConnectAction::Dial { target: target.clone(), peer, addresses }
}

/// The next moment at which time alone changes what to do. Results of dials wake the policy anyway.
fn next_wakeup(policy: &ConnectPolicy, now: Moment, candidates: &[Candidate]) -> Option<Moment> {
    let dials = policy.dialling.values().copied().min();
    let blocks = policy.blocked.values().copied().flatten().min();
    let oldest = loose(policy).map(|(_, since)| since).min().filter(|_| excess(policy) > 0);
    let pruning = oldest.map(|oldest| policy.prune_next.max(oldest + PRUNE_AGE_MIN));
    let dialling = match need(policy) {
        _ if policy.dialling.len() >= DIALS_MAX => None,
        Need::Dials(0) => None,
        Need::Dials(_) => candidates.iter().map(|candidate| candidate.due).filter(|due| *due > now).min(),
        Need::Bridges => {
            let bridges = candidates.iter().filter(|candidate| candidate.bridges);
            bridges.map(|candidate| candidate.due.max(policy.bridge_next)).min()
        }
    };
    [dials, blocks, pruning, dialling].into_iter().flatten().min()
}
