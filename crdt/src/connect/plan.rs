//! One round of decisions: whom to disconnect, whom to dial, when to look again.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;

use super::{
    BRIDGE_SPACING, ConnectAction, ConnectPolicy, DIAL_TIMEOUT, DialTarget, DisconnectReason, PRUNE_AGE_MIN,
    PRUNE_SPACING, PRUNES_MAX,
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
}

/// Whom it makes sense to dial now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// Connections are lacking: anybody wanted.
    Connections,
    /// Connections enough: only somebody who may be behind a partition.
    Bridges,
}

pub(super) fn tick(policy: &mut ConnectPolicy, now: Moment, rng: &mut ChaCha8Rng) -> Vec<ConnectAction> {
    policy.expire_blocks(now);
    give_up_overdue_dials(policy, now, rng);
    let mut actions = disconnect_blocked(policy, now);
    actions.extend(prune(policy, now, rng));
    let next_dial = dial(policy, now, rng, &mut actions);
    policy.wakeup = next_wakeup(policy, next_dial);
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
    if policy.blocked.is_empty() {
        return Vec::new();
    }
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
    loose.sort_by_key(|peer| policy.wanted.contains(*peer));
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

/// Everyone who could be dialled for what is lacking, due or not.
fn candidates(policy: &ConnectPolicy, now: Moment, lack: Lack) -> Vec<Candidate> {
    let free = |peer: AuthorKey| {
        !policy.connected.contains_key(&peer)
            && !policy.is_blocked(now, peer)
            && !policy.dialling.contains_key(&DialTarget::Peer(peer))
    };
    let mut under_way = BTreeSet::new();
    let mut found = Vec::new();
    for (address, seed) in &policy.seeds {
        let target = DialTarget::Seed(address.clone());
        // The own address among the seeds leads nowhere.
        let leads = |peer| peer != policy.own && free(peer);
        if policy.dialling.contains_key(&target) {
            under_way.extend(seed.peer);
        } else if seed.peer.is_none_or(leads) && serves(policy, lack, seed.peer) {
            found.push(Candidate { target, due: seed.retry.due(), failures: seed.retry.failures() });
        }
    }
    let mut add = |peer: AuthorKey| {
        if free(peer)
            && !under_way.contains(&peer)
            && let Some((due, failures)) = policy.known.prospect(peer)
        {
            found.push(Candidate { target: DialTarget::Peer(peer), due, failures });
        }
    };
    match lack {
        Lack::Connections => policy.wanted.peers().for_each(&mut add),
        Lack::Bridges => policy.wanted.away().for_each(&mut add),
    }
    found
}

/// Whether a seed with this peer behind it, if any is known, is worth a dial for what is lacking.
fn serves(policy: &ConnectPolicy, lack: Lack, peer: Option<AuthorKey>) -> bool {
    lack == Lack::Connections || peer.is_none_or(|peer| !policy.wanted.is_present(peer))
}

/// What is lacking, and how many dials it is worth now, those under way not counted.
fn need(policy: &ConnectPolicy, now: Moment) -> (Lack, usize) {
    let connected = policy.connected.values().filter(|connection| connection.wanted).count();
    match DEGREE_TARGET.saturating_sub(connected) {
        0 => (Lack::Bridges, usize::from(policy.bridge_next <= now)),
        lacking => (Lack::Connections, lacking.saturating_sub(policy.dialling.len())),
    }
}

/// Dials who is due, those that failed least first. Returns when another dial may be due; results of
/// dials wake the policy anyway. Members are gone through only when there is room for a dial.
fn dial(
    policy: &mut ConnectPolicy,
    now: Moment,
    rng: &mut ChaCha8Rng,
    actions: &mut Vec<ConnectAction>,
) -> Option<Moment> {
    let (lack, worth) = need(policy, now);
    let slots = DIALS_MAX.saturating_sub(policy.dialling.len());
    if slots == 0 || (lack == Lack::Connections && worth == 0) {
        return None;
    }
    if worth == 0 {
        let waits = policy.wanted.away().next().is_some()
            || policy.seeds.values().any(|seed| serves(policy, lack, seed.peer));
        return waits.then_some(policy.bridge_next);
    }
    let mut candidates = candidates(policy, now, lack);
    let later = candidates.iter().map(|candidate| candidate.due).filter(|due| *due > now).min();
    candidates.retain(|candidate| candidate.due <= now);
    let due = candidates.len();
    let dialled = dial_some(policy, now, rng, candidates, worth.min(slots));
    let dials = dialled.len();
    actions.extend(dialled);
    match lack {
        Lack::Bridges if dials > 0 => {
            policy.bridge_next = now + between(rng, BRIDGE_SPACING, BRIDGE_SPACING * 2);
            let next = if due > dials { Some(policy.bridge_next) } else { later };
            next.map(|next| next.max(policy.bridge_next))
        }
        // Whoever is left waits for a dial under way to end.
        Lack::Connections if dials == worth || dials == slots => None,
        _ => later,
    }
}

/// Dials at most `room` of these, those that failed least first.
fn dial_some(
    policy: &mut ConnectPolicy,
    now: Moment,
    rng: &mut ChaCha8Rng,
    mut candidates: Vec<Candidate>,
    room: usize,
) -> Vec<ConnectAction> {
    shuffle(rng, &mut candidates);
    candidates.sort_by_key(|candidate| candidate.failures);
    let mut dialled = Vec::new();
    // Two seeds, or a seed and a known peer, may be one peer: one dial is enough.
    let mut aimed: BTreeSet<AuthorKey> = BTreeSet::new();
    for Candidate { target, .. } in candidates {
        if dialled.len() == room {
            break;
        }
        let peer = match &target {
            DialTarget::Peer(peer) => Some(*peer),
            DialTarget::Seed(address) => policy.seeds.get(address).and_then(|seed| seed.peer),
        };
        if peer.is_none_or(|peer| aimed.insert(peer)) {
            dialled.push(action(policy, &target));
            policy.dialling.insert(target, now + DIAL_TIMEOUT);
        }
    }
    dialled
}

fn action(policy: &ConnectPolicy, target: &DialTarget) -> ConnectAction {
    let (peer, addresses) = match target {
        DialTarget::Peer(peer) => (Some(*peer), policy.known.addresses(*peer)),
        DialTarget::Seed(address) => (None, vec![address.clone()]),
    };
    ConnectAction::Dial { target: target.clone(), peer, addresses }
}

/// The next moment at which time alone changes what to do.
fn next_wakeup(policy: &ConnectPolicy, next_dial: Option<Moment>) -> Option<Moment> {
    let dials = policy.dialling.values().copied().min();
    let blocks = policy.blocked.values().copied().flatten().min();
    let crowded = excess(policy) > 0;
    let oldest = crowded.then(|| loose(policy).map(|(_, since)| since).min()).flatten();
    let pruning = oldest.map(|oldest| policy.prune_next.max(oldest + PRUNE_AGE_MIN));
    [dials, blocks, pruning, next_dial].into_iter().flatten().min()
}
