//! What the connect policy promises: single decisions first, then networks on virtual time.

mod network;

use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::codec::{decode, encode};
use crate::limits::{ADDRESSES_MAX, DEGREE_HIGH, DIALS_MAX, PEERS_BLOCKED_MAX, PEERS_KNOWN_MAX};
use crate::time::WallTime;

const OWN: AuthorKey = AuthorKey([0; 32]);
const WALL: i64 = 1_700_000_000_000;

fn key(n: u64) -> AuthorKey {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    AuthorKey(bytes)
}

fn address(text: &str) -> Address {
    Address::new(text).unwrap()
}

fn at(seconds: f64) -> Moment {
    Moment(1_000_000_000 + (seconds * 1e6) as u64)
}

fn now(seconds: f64) -> Now {
    Now { monotonic: at(seconds), wall: WallTime(WALL + (seconds * 1e3) as i64) }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::from_seed([3; 32])
}

/// A member and whether it is away.
struct Wanted {
    peer: AuthorKey,
    away: bool,
}

/// Lets the policy decide when exactly these are wanted.
fn tick(
    policy: &mut ConnectPolicy,
    now: Moment,
    rng: &mut ChaCha8Rng,
    wanted: &[Wanted],
) -> Vec<ConnectAction> {
    let gone: Vec<AuthorKey> =
        policy.wanted().filter(|peer| wanted.iter().all(|wanted| wanted.peer != *peer)).collect();
    gone.into_iter().for_each(|peer| policy.unwant(now, peer));
    wanted.iter().for_each(|wanted| policy.want(now, wanted.peer, wanted.away));
    policy.tick(now, rng)
}

fn wanted(peers: impl IntoIterator<Item = u64>) -> Vec<Wanted> {
    peers.into_iter().map(|n| Wanted { peer: key(n), away: true }).collect()
}

/// A policy that knows one address of each of these peers.
fn knowing(peers: std::ops::Range<u64>) -> ConnectPolicy {
    let mut policy = ConnectPolicy::new(OWN);
    for n in peers {
        let addresses = [address(&format!("host-{n}:1"))];
        policy.on_addresses(at(0.0), &mut rng(), key(n), &addresses, AddressSource::Beacon);
    }
    policy
}

fn connect(policy: &mut ConnectPolicy, seconds: f64, n: u64) {
    policy.on_peer_up(now(seconds), &mut rng(), key(n), &Direction::Inbound);
}

fn targets(actions: &[ConnectAction]) -> Vec<DialTarget> {
    let dials = actions.iter().filter_map(|action| match action {
        ConnectAction::Dial { target, .. } => Some(target.clone()),
        ConnectAction::Disconnect { .. } => None,
    });
    dials.collect()
}

fn seed(text: &str) -> DialTarget {
    DialTarget::Seed(address(text))
}

#[test]
fn a_seed_is_dialled_at_once_and_retried_for_ever_within_a_minute() {
    let mut policy = ConnectPolicy::new(OWN);
    policy.add_seed(at(0.0), address("seed:1")).unwrap();
    let mut rng = rng();
    let (mut moment, mut dials) = (at(0.0), Vec::new());
    while moment < at(3_600.0) {
        let actions = tick(&mut policy, moment, &mut rng, &[]);
        if !actions.is_empty() {
            assert_eq!(targets(&actions), [seed("seed:1")]);
            dials.push(moment);
            policy.on_dial_failed(moment, &mut rng, &seed("seed:1"));
            tick(&mut policy, moment, &mut rng, &[]);
        }
        moment = policy.next_wakeup().expect("it never gives up").max(Moment(moment.0 + 1));
    }
    assert_eq!(dials[0], at(0.0));
    assert!(dials[1].since(dials[0]) <= RETRY_FIRST);
    assert!(dials.windows(2).all(|pair| pair[1].since(pair[0]) <= RETRY_MAX));
    assert!((60..=140).contains(&dials.len()), "{}", dials.len());
}

#[test]
fn a_connected_seed_is_not_dialled_again_and_comes_back_after_a_loss() {
    let mut policy = ConnectPolicy::new(OWN);
    policy.add_seed(at(0.0), address("seed:1")).unwrap();
    assert_eq!(targets(&tick(&mut policy, at(0.0), &mut rng(), &[])), [seed("seed:1")]);
    let direction = Direction::Outbound(seed("seed:1"));
    policy.on_peer_up(now(0.1), &mut rng(), key(1), &direction);
    assert_eq!(policy.seeds().next(), Some((&address("seed:1"), Some(key(1)))));
    assert!(tick(&mut policy, at(0.1), &mut rng(), &[]).is_empty());
    assert!(tick(&mut policy, at(9_999.0), &mut rng(), &[]).is_empty());
    assert_eq!(policy.next_wakeup(), None);
    policy.on_peer_down(at(10_000.0), &mut rng(), key(1));
    assert_eq!(targets(&tick(&mut policy, at(10_000.3), &mut rng(), &[])), [seed("seed:1")]);
}

#[test]
fn a_seed_whose_peer_dialled_us_is_left_alone() {
    let mut policy = ConnectPolicy::new(OWN);
    policy.add_seed(at(0.0), address("seed:1")).unwrap();
    tick(&mut policy, at(0.0), &mut rng(), &[]);
    policy.on_peer_up(now(0.0), &mut rng(), key(1), &Direction::Outbound(seed("seed:1")));
    policy.on_peer_down(at(100.0), &mut rng(), key(1));
    connect(&mut policy, 100.01, 1);
    assert!(tick(&mut policy, at(200.0), &mut rng(), &[]).is_empty());
}

#[test]
fn a_seed_that_is_this_node_is_dropped_from_dialling_until_given_again() {
    let mut policy = ConnectPolicy::new(OWN);
    policy.add_seed(at(0.0), address("self:1")).unwrap();
    tick(&mut policy, at(0.0), &mut rng(), &[]);
    policy.on_peer_up(now(0.1), &mut rng(), OWN, &Direction::Outbound(seed("self:1")));
    assert!(!policy.is_connected(OWN));
    assert!(tick(&mut policy, at(500.0), &mut rng(), &[]).is_empty());
    policy.add_seed(at(600.0), address("self:1")).unwrap();
    assert_eq!(targets(&tick(&mut policy, at(600.0), &mut rng(), &[])), [seed("self:1")]);
}

#[test]
fn dials_stop_at_the_degree_and_few_run_at_once() {
    let mut policy = knowing(1..60);
    let members = wanted(1..60);
    let mut rng = rng();
    let first = targets(&tick(&mut policy, at(1.0), &mut rng, &members));
    assert_eq!(first.len(), DIALS_MAX);
    assert!(tick(&mut policy, at(1.0), &mut rng, &members).is_empty(), "all slots are taken");
    for target in first {
        let DialTarget::Peer(peer) = target.clone() else { unreachable!() };
        policy.on_peer_up(now(1.1), &mut rng, peer, &Direction::Outbound(target));
    }
    let second = targets(&tick(&mut policy, at(1.2), &mut rng, &members));
    assert_eq!(second.len(), DEGREE_TARGET - DIALS_MAX);
    // Strangers do not count: they carry nothing of ours.
    for stranger in 1_000..1_010 {
        connect(&mut policy, 1.3, stranger);
    }
    policy.on_dial_failed(at(1.3), &mut rng, &second[0]);
    assert_eq!(targets(&tick(&mut policy, at(1.3), &mut rng, &members)).len(), 1);
}

#[test]
fn with_connections_enough_only_bridges_are_dialled_one_at_a_time() {
    let mut policy = knowing(1..40);
    let mut rng = rng();
    for n in 1..=DEGREE_TARGET as u64 {
        connect(&mut policy, 0.0, n);
    }
    let present = |n: u64| Wanted { peer: key(n), away: n >= 38 };
    let members: Vec<Wanted> = (1..40).map(present).collect();
    let mut dials = Vec::new();
    let mut seconds = 1.0;
    while seconds < 1_000.0 {
        for target in targets(&tick(&mut policy, at(seconds), &mut rng, &members)) {
            dials.push(seconds);
            assert!([38, 39].map(|n| DialTarget::Peer(key(n))).contains(&target), "{target:?}");
            policy.on_dial_failed(at(seconds), &mut rng, &target);
        }
        seconds += 0.5;
    }
    assert!((20..=60).contains(&dials.len()), "{}", dials.len());
    assert!(dials.windows(2).all(|pair| (20.0..=62.0).contains(&(pair[1] - pair[0]))));
}

#[test]
fn a_dial_nobody_reports_on_is_taken_as_failed() {
    let mut policy = knowing(1..2);
    assert_eq!(tick(&mut policy, at(1.0), &mut rng(), &wanted([1])).len(), 1);
    assert_eq!(policy.next_wakeup(), Some(at(1.0) + DIAL_TIMEOUT));
    assert!(tick(&mut policy, at(30.0), &mut rng(), &wanted([1])).is_empty());
    assert!(tick(&mut policy, at(31.0), &mut rng(), &wanted([1])).is_empty(), "back-off first");
    assert_eq!(tick(&mut policy, at(31.3), &mut rng(), &wanted([1])).len(), 1);
    // A late word about the first dial is about the second as far as anyone can tell.
    policy.on_dial_failed(at(31.4), &mut rng(), &DialTarget::Peer(key(1)));
    policy.on_dial_failed(at(31.4), &mut rng(), &DialTarget::Peer(key(1)));
    assert_eq!(tick(&mut policy, at(32.0), &mut rng(), &wanted([1])).len(), 1);
}

#[test]
fn strangers_are_never_dialled_unless_they_are_seeds() {
    let mut policy = knowing(1..5);
    assert!(tick(&mut policy, at(1.0), &mut rng(), &[]).is_empty());
    assert_eq!(targets(&tick(&mut policy, at(1.0), &mut rng(), &wanted([3]))), [DialTarget::Peer(key(3))]);
}

#[test]
fn a_new_address_or_the_operator_ends_a_long_back_off() {
    let member = wanted([1]);
    for source in [AddressSource::Beacon, AddressSource::LocalNetwork, AddressSource::Operator] {
        let mut policy = knowing(1..2);
        let mut rng = rng();
        for round in 0..20 {
            let moment = at(f64::from(round) * 100.0);
            tick(&mut policy, moment, &mut rng, &member);
            policy.on_dial_failed(moment, &mut rng, &DialTarget::Peer(key(1)));
        }
        assert!(tick(&mut policy, at(1_901.0), &mut rng, &member).is_empty());
        let known = [address("host-1:1")];
        policy.on_addresses(at(1_902.0), &mut rng, key(1), &known, AddressSource::Beacon);
        assert!(tick(&mut policy, at(1_902.0), &mut rng, &member).is_empty(), "nothing new");
        policy.on_addresses(at(1_903.0), &mut rng, key(1), &[address("new:1")], source);
        let actions = tick(&mut policy, at(1_903.0), &mut rng, &member);
        let ConnectAction::Dial { peer, addresses, .. } = &actions[0] else { unreachable!() };
        assert_eq!((*peer, addresses.len()), (Some(key(1)), 2));
    }
}

#[test]
fn addresses_that_change_all_the_time_do_not_cause_dials_all_the_time() {
    let mut policy = knowing(1..2);
    let mut rng = rng();
    let mut dials = 0;
    for n in 0..1_000 {
        let moment = at(f64::from(n) * 0.1);
        let new = [address(&format!("elsewhere-{n}:1"))];
        policy.on_addresses(moment, &mut rng, key(1), &new, AddressSource::Beacon);
        for target in targets(&tick(&mut policy, moment, &mut rng, &wanted([1]))) {
            policy.on_dial_failed(moment, &mut rng, &target);
            dials += 1;
        }
    }
    assert!(dials <= 80, "{dials} dials in 100 s");
    assert_eq!(policy.addresses(key(1)).len(), ADDRESSES_MAX);
}

#[test]
fn the_most_trusted_addresses_are_kept_and_tried_first() {
    let mut policy = ConnectPolicy::new(OWN);
    let mut rng = rng();
    let operator = [address("operator:1")];
    policy.on_addresses(at(0.0), &mut rng, key(1), &operator, AddressSource::Operator);
    for n in 0..40 {
        let beacon = [address(&format!("beacon-{n}:1"))];
        policy.on_addresses(at(f64::from(n)), &mut rng, key(1), &beacon, AddressSource::Beacon);
    }
    let addresses = policy.addresses(key(1));
    assert_eq!(addresses.len(), ADDRESSES_MAX);
    assert_eq!(addresses[..2], [address("operator:1"), address("beacon-39:1")]);
    for n in 0..40 {
        let local = [address(&format!("local-{n}:1"))];
        policy.on_addresses(at(50.0), &mut rng, key(1), &local, AddressSource::LocalNetwork);
    }
    assert!(policy.addresses(key(1)).contains(&address("operator:1")));
}

#[test]
fn blocked_peers_are_disconnected_and_not_dialled_until_unblocked() {
    let mut policy = knowing(1..3);
    let members = wanted(1..3);
    let mut rng = rng();
    connect(&mut policy, 0.0, 1);
    policy.block(at(1.0), key(1), None).unwrap();
    policy.block(at(1.0), key(2), Some(Duration::from_secs(60))).unwrap();
    let reason = DisconnectReason::Blocked;
    let expected = [ConnectAction::Disconnect { peer: key(1), reason }];
    assert_eq!(tick(&mut policy, at(1.0), &mut rng, &members), expected);
    assert!(tick(&mut policy, at(2.0), &mut rng, &members).is_empty(), "asked once");
    policy.on_peer_down(at(2.0), &mut rng, key(1));
    assert!(tick(&mut policy, at(60.9), &mut rng, &members).is_empty());
    assert!(policy.is_blocked(at(60.9), key(2)) && !policy.is_blocked(at(61.0), key(2)));
    assert_eq!(policy.next_wakeup(), Some(at(61.0)));
    assert_eq!(targets(&tick(&mut policy, at(61.0), &mut rng, &members)), [DialTarget::Peer(key(2))]);
    // It slips in: it is sent away again.
    connect(&mut policy, 62.0, 1);
    assert_eq!(tick(&mut policy, at(62.0), &mut rng, &members), expected);
    policy.on_peer_down(at(62.1), &mut rng, key(1));
    assert!(policy.unblock(at(63.0), key(1)) && !policy.unblock(at(63.0), key(1)));
    assert_eq!(targets(&tick(&mut policy, at(63.0), &mut rng, &members)), [DialTarget::Peer(key(1))]);
    assert_eq!(policy.block(at(63.0), OWN, None), Err(BlockError::Own));
}

#[test]
fn a_block_for_good_is_not_shortened_and_a_longer_one_wins() {
    let mut policy = ConnectPolicy::new(OWN);
    let block = |policy: &mut ConnectPolicy, seconds: Option<u64>| {
        policy.block(at(0.0), key(1), seconds.map(Duration::from_secs)).unwrap();
        policy.blocked().next().unwrap().1
    };
    assert_eq!(block(&mut policy, Some(10)), Some(at(10.0)));
    assert_eq!(block(&mut policy, Some(5)), Some(at(10.0)));
    assert_eq!(block(&mut policy, Some(20)), Some(at(20.0)));
    assert_eq!(block(&mut policy, None), None);
    assert_eq!(block(&mut policy, Some(5)), None);
}

#[test]
fn too_many_connections_are_closed_slowly_strangers_first_and_seeds_never() {
    let mut policy = ConnectPolicy::new(OWN);
    policy.add_seed(at(0.0), address("seed:1")).unwrap();
    tick(&mut policy, at(0.0), &mut rng(), &[]);
    policy.on_peer_up(now(0.0), &mut rng(), key(0), &Direction::Outbound(seed("seed:1")));
    let total = DEGREE_HIGH as u64 + 10;
    (1..total).for_each(|n| connect(&mut policy, 0.0, n));
    // The last two are no members.
    let members: Vec<Wanted> = (0..total - 2).map(|n| Wanted { peer: key(n), away: false }).collect();
    let mut rng = rng();
    assert!(tick(&mut policy, at(59.0), &mut rng, &members).is_empty(), "too young");
    let mut closed = Vec::new();
    for second in 60..200 {
        let actions = tick(&mut policy, at(f64::from(second)), &mut rng, &members);
        assert!(actions.len() <= PRUNES_MAX && (actions.is_empty() || second % 10 == 0));
        for action in actions {
            let ConnectAction::Disconnect { peer, reason } = action else { panic!("{action:?}") };
            assert_eq!(reason, DisconnectReason::TooMany);
            policy.on_peer_down(at(f64::from(second)), &mut rng, peer);
            closed.push(peer);
        }
    }
    assert_eq!(closed.len(), 10);
    assert!(closed[..4].contains(&key(total - 1)) && closed[..4].contains(&key(total - 2)));
    assert!(!closed.contains(&key(0)) && policy.connected().count() == DEGREE_HIGH);
}

#[test]
fn records_restore_addresses_and_blocks_across_a_restart() {
    let mut before = knowing(1..2);
    connect(&mut before, 5.0, 1);
    before.block(at(5.0), key(1), Some(Duration::from_secs(100))).unwrap();
    before.block(at(5.0), key(2), None).unwrap();
    let store = |policy: &ConnectPolicy, n| {
        let record = policy.record(now(10.0), key(n)).unwrap();
        decode::<PeerRecord>(&encode(&record), "peer record").unwrap()
    };
    let (first, second) = (store(&before, 1), store(&before, 2));
    assert_eq!(first.last_contact, Some(WallTime(WALL + 5_000)));
    // The monotonic clock starts anew, the wall clock is 20 s further.
    let restart = Now { monotonic: Moment(7), wall: WallTime(WALL + 30_000) };
    let mut after = ConnectPolicy::new(OWN);
    after.restore(restart, key(1), first.clone());
    after.restore(restart, key(2), second);
    assert_eq!(after.addresses(key(1)), [address("host-1:1")]);
    let end = restart.monotonic + Duration::from_secs(75);
    assert_eq!(after.blocked().collect::<Vec<_>>(), [(key(1), Some(end)), (key(2), None)]);
    let late = Now { monotonic: Moment(7), wall: WallTime(WALL + 200_000) };
    let mut later = ConnectPolicy::new(OWN);
    later.restore(late, key(1), first);
    assert_eq!(later.blocked().count(), 0);
}

#[test]
fn what_is_to_be_stored_is_told_once() {
    let mut policy = knowing(1..3);
    assert_eq!(policy.take_changed(), BTreeSet::from([key(1), key(2)]));
    assert!(policy.take_changed().is_empty());
    connect(&mut policy, 1.0, 1);
    policy.block(at(1.0), key(3), None).unwrap();
    assert_eq!(policy.take_changed(), BTreeSet::from([key(1), key(3)]));
    let known = [address("host-2:1")];
    policy.on_addresses(at(2.0), &mut rng(), key(2), &known, AddressSource::Beacon);
    assert!(policy.take_changed().is_empty(), "nothing new");
    policy.unblock(at(2.0), key(3));
    assert_eq!(policy.take_changed(), BTreeSet::from([key(3)]));
    assert_eq!(policy.record(now(2.0), key(3)), None, "nothing is left to store");
    policy.block(at(3.0), key(4), None).unwrap();
    policy.take_changed();
    policy.forget_stored();
    assert_eq!(
        policy.take_changed(),
        BTreeSet::from([key(1), key(2), key(4)]),
        "nobody knows what was stored"
    );
}

#[test]
fn everything_kept_is_bounded() {
    let mut policy = ConnectPolicy::new(OWN);
    let mut rng = rng();
    for n in 0..SEEDS_MAX {
        policy.add_seed(at(0.0), address(&format!("seed-{n}:1"))).unwrap();
    }
    assert_eq!(policy.add_seed(at(0.0), address("more:1")), Err(TooManySeeds));
    assert_eq!(policy.add_seed(at(0.0), address("seed-0:1")), Ok(()));
    assert!(policy.remove_seed(&address("seed-0:1")));
    for n in 0..PEERS_BLOCKED_MAX as u64 {
        policy.block(at(0.0), key(n), None).unwrap();
    }
    let more = key(u64::MAX);
    assert_eq!(policy.block(at(0.0), more, None), Err(BlockError::TooMany));
    assert_eq!(policy.block(at(0.0), key(0), None), Ok(()));
    let members = wanted(0..5);
    let mut policy = knowing(0..5);
    tick(&mut policy, at(0.0), &mut rng, &members);
    for n in 5..PEERS_KNOWN_MAX as u64 + 100 {
        let new = [address("x:1")];
        policy.on_addresses(at(1.0), &mut rng, key(n), &new, AddressSource::LocalNetwork);
        if n % 7 == 0 {
            connect(&mut policy, 1.0, n);
            policy.on_peer_down(at(1.0), &mut rng, key(n));
        }
    }
    assert_eq!(policy.known_peers().count(), PEERS_KNOWN_MAX);
    assert!(policy.take_changed().len() <= PEERS_KNOWN_MAX + PEERS_BLOCKED_MAX);
    assert!((0..5).all(|n| !policy.addresses(key(n)).is_empty()), "members are kept");
}
