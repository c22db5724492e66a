//! What presence promises, on virtual time.

use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::address::Address;
use crate::charter::Label;
use crate::codec::CodecError;
use crate::identity::BadSignature;
use crate::limits::{ADDRESSES_MAX, BEACON_BYTES_MAX, BEACON_LOST_MAX};
use crate::time::WallTime;

mod patience;

const SPACE: SpaceId = SpaceId([4; 32]);
const SECOND: Duration = Duration::from_secs(1);

fn who(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn at(millis: u64) -> Moment {
    Moment(1_000_000_000 + millis * 1_000)
}

fn now(millis: u64) -> Now {
    Now { monotonic: at(millis), wall: WallTime(1_700_000_000_000 + millis as i64) }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::from_seed([3; 32])
}

fn facts() -> Facts {
    Facts {
        name: Label::new("node").unwrap(),
        version: Label::new("0.1.0").unwrap(),
        addresses: vec![Address::new("/ip4/10.0.0.1/tcp/4710").unwrap()],
        statements: [1; 8],
        documents: [2; 8],
        document_count: 3,
        change_count: 400,
        commit: 5_000,
    }
}

fn beacon(author: u8, counter: u64, lost: Vec<Lost>) -> Beacon {
    Beacon {
        space: SPACE,
        author: who(author).key(),
        counter,
        facts: facts(),
        period_ms: 5_000,
        leaving: false,
        lost,
        time: WallTime(1_700_000_000_000),
        signature: Signature([0; 64]),
    }
}

fn heard(author: u8, counter: u64) -> VerifiedBeacon {
    VerifiedBeacon::sign(beacon(author, counter, vec![]), &who(author))
}

fn reports(author: u8, counter: u64, lost: u8, lost_counter: u64) -> VerifiedBeacon {
    let lost = Lost { author: who(lost).key(), counter: lost_counter };
    VerifiedBeacon::sign(beacon(author, counter, vec![lost]), &who(author))
}

/// Node 1 with members 1 to `members`, its first beacon sent at 0.
fn presence(members: u8) -> Presence {
    let mut presence = Presence::new(SPACE, who(1).key(), 1_000, at(0));
    presence.set_members(at(0), (1..=members).map(|seed| who(seed).key()));
    presence.beacon(now(0), &mut rng(), &who(1), facts());
    presence
}

fn state(presence: &Presence, author: u8) -> (State, Reason) {
    let sighting = presence.member(who(author).key()).unwrap();
    (sighting.state, sighting.reason)
}

/// Lets time pass from wake-up to wake-up, without beacons of the node itself.
fn pass(presence: &mut Presence, from: u64, to: u64) -> Vec<(u64, StateChange)> {
    (from..=to)
        .flat_map(|millis| presence.tick(at(millis)).into_iter().map(move |change| (millis, change)))
        .collect()
}

#[test]
fn members_are_away_until_heard_of_and_strangers_are_ignored() {
    let mut presence = presence(2);
    assert_eq!(state(&presence, 2), (State::Away, Reason::NeverHeard));
    assert!(presence.on_beacon(at(1), &mut rng(), heard(9, 1)).is_empty());
    assert_eq!(presence.member(who(9).key()), None);
    let changes = presence.on_beacon(at(1), &mut rng(), heard(2, 1));
    let (author, reason) = (who(2).key(), Reason::Heard);
    assert_eq!(changes, [StateChange { author, from: State::Away, to: State::Alive, reason }]);
    assert!(presence.member(who(1).key()).is_none(), "the node itself is not listed");
}

#[test]
fn replayed_and_older_beacons_change_nothing() {
    let mut presence = presence(2);
    presence.on_beacon(at(0), &mut rng(), heard(2, 7));
    let before = presence.member(who(2).key()).cloned();
    for counter in [7, 6, 0] {
        assert!(presence.on_beacon(at(9_000), &mut rng(), heard(2, counter)).is_empty());
    }
    assert_eq!(presence.member(who(2).key()).cloned(), before);
    let mut elsewhere = beacon(2, 8, vec![]);
    elsewhere.space = SpaceId([5; 32]);
    presence.on_beacon(at(9_000), &mut rng(), VerifiedBeacon::sign(elsewhere, &who(2)));
    assert_eq!(presence.member(who(2).key()).cloned(), before);
}

#[test]
fn silence_makes_suspect_and_then_away_by_the_own_clock() {
    let mut presence = presence(2);
    presence.on_beacon(at(0), &mut rng(), heard(2, 1));
    let changes = pass(&mut presence, 0, 30_000);
    let seen: Vec<_> = changes.iter().map(|(at, change)| (*at, change.to, change.reason)).collect();
    assert_eq!(seen, [(15_000, State::Suspect, Reason::Silent), (19_000, State::Away, Reason::Silent)]);
    // Away is not for ever.
    presence.on_beacon(at(40_000), &mut rng(), heard(2, 2));
    assert_eq!(state(&presence, 2), (State::Alive, Reason::Heard));
}

#[test]
fn a_deadline_that_beacons_put_off_comes_when_it_is_due_and_in_its_turn() {
    let mut presence = presence(3);
    presence.on_beacon(at(0), &mut rng(), heard(2, 1));
    presence.on_beacon(at(5_000), &mut rng(), heard(3, 1));
    presence.on_beacon(at(14_000), &mut rng(), heard(2, 2));
    assert!(presence.tick(at(15_000)).is_empty(), "it was put off");
    presence.on_beacon(at(15_000), &mut rng(), heard(2, 3));
    let changes = pass(&mut presence, 15_000, 70_000);
    let seen: Vec<_> = changes.iter().map(|(at, change)| (*at, change.author, change.to)).collect();
    let (two, three) = (who(2).key(), who(3).key());
    let expected = [
        (20_000, three, State::Suspect),
        (24_000, three, State::Away),
        (30_000, two, State::Suspect),
        (34_000, two, State::Away),
    ];
    assert_eq!(seen, expected, "who fell silent first, first");
}

#[test]
fn a_connected_member_stays_alive_without_beacons() {
    let mut presence = presence(2);
    presence.on_peer_up(at(0), who(2).key());
    assert_eq!(state(&presence, 2), (State::Alive, Reason::Connected));
    assert!(pass(&mut presence, 0, 200_000).is_empty());
    assert!(presence.is_connected(who(2).key()));
}

#[test]
fn a_lost_connection_is_suspected_at_once_reported_soon_and_away_in_seconds() {
    let mut presence = presence(3);
    presence.on_beacon(at(0), &mut rng(), heard(2, 7));
    presence.on_peer_up(at(0), who(2).key());
    let change = presence.on_peer_down(at(2_000), &mut rng(), who(2).key()).unwrap();
    assert_eq!((change.to, change.reason), (State::Suspect, Reason::ConnectionLost));
    assert!(presence.next_wakeup() <= Some(at(2_400)));
    assert!(presence.beacon_due(at(2_400)));
    let own = presence.beacon(now(2_400), &mut rng(), &who(1), facts());
    assert_eq!(own.lost, [Lost { author: who(2).key(), counter: 7 }]);
    assert!(presence.beacon(now(9_000), &mut rng(), &who(1), facts()).lost.is_empty());
    let changes = pass(&mut presence, 2_400, 20_000);
    assert_eq!(changes.len(), 1);
    let (millis, change) = changes[0];
    assert_eq!((millis, change.to, change.reason), (6_000, State::Away, Reason::ConnectionLost));
}

#[test]
fn a_reconnection_or_a_beacon_clears_the_suspicion() {
    let mut presence = presence(3);
    for (millis, reason) in [(0, Reason::Connected), (100_000, Reason::Heard)] {
        presence.on_peer_up(at(millis), who(2).key());
        presence.on_peer_down(at(millis + 20_000), &mut rng(), who(2).key());
        assert_eq!(state(&presence, 2).0, State::Suspect);
        if reason == Reason::Connected {
            presence.on_peer_up(at(millis + 20_100), who(2).key());
        } else {
            presence.on_beacon(at(millis + 20_100), &mut rng(), heard(2, 9));
        }
        assert_eq!(state(&presence, 2), (State::Alive, reason));
        let due = presence.next_wakeup().expect("a member speaks");
        assert!(due > at(millis + 20_500) || presence.beacon_due(due), "nothing is left to report");
    }
}

#[test]
fn a_report_makes_suspect_unless_something_newer_was_heard() {
    let mut presence = presence(4);
    presence.on_beacon(at(0), &mut rng(), heard(2, 7));
    presence.on_beacon(at(0), &mut rng(), heard(3, 7));
    presence.on_peer_up(at(0), who(3).key());
    // Older than what was heard, about a connected peer, about a stranger: nothing.
    for (counter, report) in
        [reports(4, 1, 2, 6), reports(4, 2, 3, 7), reports(4, 3, 9, 7)].into_iter().enumerate()
    {
        let changes = presence.on_beacon(at(1), &mut rng(), report);
        assert_eq!(changes.len(), usize::from(counter == 0), "only the reporter itself shows up");
    }
    let changes = presence.on_beacon(at(2), &mut rng(), reports(4, 4, 2, 7));
    assert_eq!(changes.len(), 1);
    assert_eq!(state(&presence, 2), (State::Suspect, Reason::ReportedLost(who(4).key())));
    assert_eq!(pass(&mut presence, 2, 5_000).last().unwrap().0, 4_002);
    assert_eq!(state(&presence, 2).0, State::Away);
}

#[test]
fn a_node_reported_lost_refutes_at_once_and_not_without_bound() {
    let mut presence = presence(3);
    let counter = presence.own_counter();
    presence.on_beacon(at(3_000), &mut rng(), reports(2, 1, 1, counter));
    assert!(presence.beacon_due(at(3_050)));
    let refutation = presence.beacon(now(3_050), &mut rng(), &who(1), facts());
    assert_eq!(refutation.counter, counter + 1);
    // The same report by others, after the refutation, changes nothing.
    presence.on_beacon(at(3_100), &mut rng(), reports(3, 1, 1, counter));
    assert!(!presence.beacon_due(at(6_000)));
    // A liar who goes on costs one beacon a second.
    let mut sent = 0;
    for n in 0..100 {
        let millis = 10_000 + n * 100;
        let lie = reports(2, 2 + n, 1, u64::MAX);
        presence.on_beacon(at(millis), &mut rng(), lie);
        if presence.beacon_due(at(millis)) {
            presence.beacon(now(millis), &mut rng(), &who(1), facts());
            sent += 1;
        }
    }
    assert!((8..=12).contains(&sent), "{sent}");
    assert!(presence.own_counter() < counter + 20, "a lie does not move the counter");
}

#[test]
fn what_others_reported_first_is_not_said_again() {
    let mut presence = presence(4);
    presence.on_beacon(at(0), &mut rng(), heard(2, 7));
    presence.on_peer_up(at(0), who(2).key());
    presence.on_peer_down(at(2_000), &mut rng(), who(2).key());
    presence.on_beacon(at(2_000), &mut rng(), reports(3, 1, 2, 7));
    assert!(!presence.beacon_due(at(3_000)), "no early beacon is needed any more");
}

#[test]
fn a_farewell_is_left_until_the_node_comes_back() {
    let mut presence = presence(2);
    presence.on_peer_up(at(0), who(2).key());
    let mut leaving = beacon(2, 5, vec![]);
    leaving.leaving = true;
    presence.on_beacon(at(1), &mut rng(), VerifiedBeacon::sign(leaving, &who(2)));
    assert_eq!(state(&presence, 2), (State::Left, Reason::Farewell));
    assert_eq!(presence.on_peer_down(at(2), &mut rng(), who(2).key()), None);
    assert!(pass(&mut presence, 2, 60_000).is_empty());
    presence.on_beacon(at(60_000), &mut rng(), heard(2, 6));
    assert_eq!(state(&presence, 2).0, State::Alive);
    assert_eq!(presence.on_greeting(at(60_000), who(9).key(), SECOND), None, "a stranger's says nothing");
    let own = presence.farewell(now(60_000), &who(1), facts());
    assert!(own.leaving);
}

#[test]
fn a_connection_takes_no_farewell_back_and_a_greeting_over_a_younger_one_does() {
    let mut presence = presence(3);
    let mut leaving = beacon(2, 5, vec![]);
    leaving.leaving = true;
    presence.on_peer_up(at(0), who(2).key());
    presence.on_beacon(at(10_000), &mut rng(), VerifiedBeacon::sign(leaving, &who(2)));
    // It still runs, and what it said before the farewell may come after it.
    assert_eq!(presence.on_greeting(at(10_010), who(2).key(), SECOND * 10), None);
    presence.on_peer_down(at(20_000), &mut rng(), who(2).key());
    assert_eq!(presence.on_peer_up(at(21_000), who(2).key()), None);
    assert_eq!(state(&presence, 2), (State::Left, Reason::Farewell));
    assert!(presence.is_connected(who(2).key()));
    let back = presence.on_greeting(at(21_100), who(2).key(), Duration::from_millis(100));
    assert_eq!(back.map(|change| (change.from, change.to)), Some((State::Left, State::Alive)));
    assert_eq!(state(&presence, 2), (State::Alive, Reason::Connected));
}

#[test]
fn a_beacon_that_others_wait_for_comes_although_a_loss_need_not_be_reported_any_more() {
    let mut presence = presence(3);
    presence.on_peer_up(at(0), who(2).key());
    presence.on_peer_down(at(2_000), &mut rng(), who(2).key());
    presence.speak_soon(at(2_000), &mut rng());
    presence.on_peer_up(at(2_001), who(2).key());
    assert!(presence.beacon_due(at(2_400)), "somebody new has not heard this node yet");
    assert!(presence.beacon(now(2_400), &mut rng(), &who(1), facts()).lost.is_empty());
    assert!(!presence.beacon_due(at(4_000)));
}

#[test]
fn a_clock_set_back_between_two_starts_is_overcome() {
    let mut peer = presence(2);
    peer.on_beacon(at(0), &mut rng(), heard(2, 1_000_000));
    let mut restarted = Presence::new(SPACE, who(2).key(), 5_000, at(0));
    restarted.set_members(at(0), [who(1).key(), who(2).key()]);
    let stale = restarted.beacon(now(0), &mut rng(), &who(2), facts());
    let held = peer.correction(at(1_000), &stale).expect("the peer holds a later one").clone();
    assert!(peer.correction(at(5_999), &stale).is_none(), "not for each of many");
    assert!(peer.correction(at(6_000), &stale).is_some());
    assert!(peer.on_beacon(at(1_000), &mut rng(), stale).is_empty());
    // The peer shows what it holds; only the node itself can have signed it.
    restarted.on_beacon(at(1_000), &mut rng(), held);
    assert!(restarted.beacon_due(at(1_000)));
    let fresh = restarted.beacon(now(1_000), &mut rng(), &who(2), facts());
    assert_eq!(fresh.counter, 1_000_001);
    assert!(!restarted.has_twin(at(1_000)), "it was an earlier process");
    peer.on_beacon(at(1_000), &mut rng(), fresh);
    assert_eq!(peer.member(who(2).key()).unwrap().counter(), 1_000_001);
    // Beacons that overtook one another on the way are no reason to correct anybody.
    assert!(peer.correction(at(60_000), &heard(2, 1_000_000)).is_none());
}

#[test]
fn two_processes_with_one_identity_find_out_and_do_not_shout_each_other_down() {
    let mut twins = [1_000, 5_000].map(|counter| {
        let mut twin = Presence::new(SPACE, who(2).key(), counter, at(0));
        twin.set_members(at(0), [who(1).key(), who(2).key()]);
        twin
    });
    let (mut beacons, mut found) = (0, [None, None]);
    for millis in (0..600_000).step_by(100) {
        for speaker in [0, 1] {
            if twins[speaker].beacon_due(at(millis)) {
                beacons += 1;
                let said = twins[speaker].beacon(now(millis), &mut rng(), &who(2), facts());
                twins[1 - speaker].on_beacon(at(millis), &mut rng(), said);
            }
            if twins[speaker].has_twin(at(millis)) {
                found[speaker].get_or_insert(millis);
            }
        }
    }
    assert!(found.iter().any(|found| found.is_some_and(|millis| millis < 120_000)), "{found:?}");
    assert!(beacons < 300, "{beacons} beacons in ten minutes");
    // Long after the other stopped it is forgotten.
    assert!(twins.iter().all(|twin| !twin.has_twin(at(1_300_000))));
}

#[test]
fn who_is_no_member_any_more_is_forgotten() {
    let mut presence = presence(3);
    presence.on_beacon(at(0), &mut rng(), heard(2, 1));
    presence.on_beacon(at(0), &mut rng(), heard(3, 1));
    presence.on_peer_up(at(0), who(4).key());
    presence.set_members(at(1), [1, 3, 4].map(|seed| who(seed).key()));
    let known: Vec<AuthorKey> = presence.members().map(|(author, _)| author).collect();
    assert_eq!(known.len(), 2);
    assert!(!known.contains(&who(2).key()));
    assert_eq!(state(&presence, 4), (State::Alive, Reason::Connected));
    assert!(pass(&mut presence, 1, 60_000).iter().all(|(_, change)| change.author == who(3).key()));
}

#[test]
fn the_period_keeps_beacons_rare_in_a_space_of_any_size() {
    assert_eq!(own_beacon_period(1), Duration::from_secs(5));
    assert_eq!(own_beacon_period(5), Duration::from_secs(5));
    assert_eq!(own_beacon_period(50), Duration::from_secs(185));
    for (members, most) in [(5_usize, 1.0), (10, 0.4), (50, 0.28), (500, 0.26), (900, 0.26)] {
        let per_second = members as f64 / own_beacon_period(members).as_secs_f64();
        assert!(per_second <= most, "{members}: {per_second}");
    }
    assert_eq!(own_beacon_period(100_000), BEACON_PERIOD_MAX);
}

fn facts_with(documents: u8) -> Facts {
    Facts { documents: [documents; 8], ..facts() }
}

/// The pauses between `count` beacons of a node, whose documents at each are as `documents` says.
fn pauses(presence: &mut Presence, count: u8, documents: impl Fn(u8) -> u8) -> Vec<Duration> {
    let mut rng = rng();
    let mut last = at(0);
    let pauses = (0..count).map(|n| {
        let due = presence.next_wakeup().expect("a member speaks");
        assert!(!presence.beacon_due(Moment(due.0 - 1)) && presence.beacon_due(due));
        let pause = due.since(last);
        last = due;
        let now = Now { monotonic: due, wall: WallTime(0) };
        presence.beacon(now, &mut rng, &who(1), facts_with(documents(n)));
        pause
    });
    pauses.collect()
}

#[test]
fn beacons_with_news_come_at_the_jittered_period() {
    let mut gaps = pauses(&mut presence(2), 50, |n| n + 10);
    gaps.sort();
    assert!(gaps[0] >= Duration::from_millis(4_250) && gaps[49] <= Duration::from_millis(5_750));
    assert!(gaps[49] - gaps[0] > SECOND, "jittered: {gaps:?}");
}

#[test]
fn beacons_without_news_become_rare_and_say_so_until_something_changes() {
    let mut presence = presence(2);
    let gaps = pauses(&mut presence, 8, |_| 9);
    for (gap, doubled) in gaps[1..].iter().zip([1, 2, 4, 8, 16, 16, 16]) {
        let period = BEACON_PERIOD_MIN * doubled;
        assert!(*gap >= period.mul_f64(0.85) && *gap <= period.mul_f64(1.15), "{gap:?} for {period:?}");
    }
    let start = presence.voice.last.expect("it has spoken");
    let calm = BEACON_PERIOD_MIN * 16;
    let said =
        presence.beacon(Now { monotonic: start, wall: WallTime(0) }, &mut rng(), &who(1), facts_with(9));
    assert_eq!(u128::from(said.period_ms), calm.as_millis());
    // Nobody takes the silence for an absence.
    assert!(Sighting::period(&sighting(said)) == calm);
    presence.notice(start, &mut rng(), ([1; 8], [9; 8]));
    assert!(presence.next_wakeup() > Some(start + BEACON_PERIOD_MIN), "nothing is new");
    presence.notice(start, &mut rng(), ([1; 8], [7; 8]));
    let due = presence.next_wakeup().expect("a member speaks");
    assert!(due >= start + BEACON_PERIOD_MIN / 2 && due <= start + BEACON_PERIOD_MIN, "{due:?}");
    presence.notice(start + SECOND, &mut rng(), ([1; 8], [6; 8]));
    assert_eq!(presence.next_wakeup(), Some(due), "further changes wait for the same beacon");
}

#[test]
fn somebody_who_comes_back_hears_calm_nodes_soon() {
    let mut presence = presence(2);
    pauses(&mut presence, 8, |_| 9);
    let start = presence.voice.last.expect("it has spoken");
    presence.on_beacon(start, &mut rng(), heard(2, 1));
    presence.notice(start, &mut rng(), ([1; 8], [9; 8]));
    assert!(presence.next_wakeup() <= Some(start + BEACON_PERIOD_MIN));
}

fn sighting(beacon: VerifiedBeacon) -> Sighting {
    Sighting {
        state: State::Alive,
        since: at(0).into(),
        reason: Reason::Heard,
        heard: Some(at(0).into()),
        beacon: Some(beacon),
        clock_offset_ms: None,
        deadline: None,
        looked_at: None,
        spared: false,
        fresh: false,
        corrected: None,
        doubts: Doubts::default(),
    }
}

/// Fifty nodes in a ring where each is connected with the six on either side; beacons reach
/// everyone after 100 ms. One is cut off without a word.
#[test]
fn a_dead_node_is_away_everywhere_within_ten_seconds_at_fifty_nodes() {
    const NODES: usize = 50;
    const DEAD: usize = 17;
    let identities: Vec<Identity> = (1..=NODES as u8).map(who).collect();
    let keys: Vec<AuthorKey> = identities.iter().map(Identity::key).collect();
    let mut rng = rng();
    let mut nodes: Vec<Presence> = keys.iter().map(|key| Presence::new(SPACE, *key, 1_000, at(0))).collect();
    let near = |a: usize, b: usize| a != b && ((a + NODES - b) % NODES <= 6 || (b + NODES - a) % NODES <= 6);
    for (n, node) in nodes.iter_mut().enumerate() {
        node.set_members(at(0), keys.iter().copied());
        for peer in (0..NODES).filter(|peer| *peer != n && near(n, *peer)) {
            node.on_peer_up(at(0), keys[peer]);
        }
    }
    let death = 60_000;
    let mut in_flight: Vec<(u64, VerifiedBeacon)> = Vec::new();
    let (mut extra, mut away_by) = (0, vec![None; NODES]);
    for millis in (0..death + 20_000).step_by(50) {
        let dead = millis >= death;
        if millis == death {
            for n in (0..NODES).filter(|n| *n != DEAD && near(*n, DEAD)) {
                nodes[n].on_peer_down(at(millis), &mut rng, keys[DEAD]);
            }
        }
        let (arrived, rest) = in_flight.into_iter().partition(|(due, _)| *due <= millis);
        in_flight = rest;
        let arrived: Vec<(u64, VerifiedBeacon)> = arrived;
        for (n, node) in nodes.iter_mut().enumerate() {
            if dead && n == DEAD {
                continue;
            }
            for (_, beacon) in &arrived {
                node.on_beacon(at(millis), &mut rng, beacon.clone());
            }
            for change in node.tick(at(millis)) {
                assert!(!dead || change.author == keys[DEAD], "{n} accuses the living: {change:?}");
                if change.author == keys[DEAD] && change.to == State::Away {
                    away_by[n] = Some(millis - death);
                }
            }
            if node.beacon_due(at(millis)) {
                let beacon = node.beacon(now(millis), &mut rng, &identities[n], facts());
                extra += usize::from(!beacon.lost.is_empty());
                in_flight.push((millis + 100, beacon));
            }
        }
    }
    for (n, away) in away_by.iter().enumerate().filter(|(n, _)| *n != DEAD) {
        assert!(away.is_some_and(|millis| millis <= 10_000), "node {n}: {away:?}");
    }
    assert!(extra <= 6, "{extra} of 12 neighbours reported it");
}

#[test]
fn a_beacon_round_trips_and_every_changed_bit_is_noticed() {
    let good = reports(2, 7, 3, 9);
    let bytes = good.to_bytes();
    assert_eq!(VerifiedBeacon::from_bytes(&bytes), Ok(good.clone()));
    for bit in 0..bytes.len() * 8 {
        let mut bent = bytes.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = VerifiedBeacon::from_bytes(&bent) {
            // Only a field this version does not read may differ.
            assert_eq!(read, good, "bit {bit}");
        }
    }
    let forged = Beacon { author: who(3).key(), ..(*good).clone() };
    assert_eq!(forged.verify(), Err(BadSignature));
}

#[test]
fn beacons_over_their_bounds_are_refused() {
    let mut wide = beacon(2, 1, vec![]);
    wide.facts.addresses = vec![Address::new("a:1").unwrap(); ADDRESSES_MAX + 1];
    let mut long = beacon(2, 1, vec![]);
    long.lost = vec![Lost { author: who(3).key(), counter: 1 }; BEACON_LOST_MAX + 1];
    for over in [wide, long] {
        let error = Beacon::from_bytes(&over.to_bytes()).unwrap_err();
        assert!(matches!(error, BeaconError::Codec(CodecError::Malformed { .. })), "{error}");
    }
    let huge = vec![0; BEACON_BYTES_MAX + 1];
    assert_eq!(Beacon::from_bytes(&huge), Err(BeaconError::TooLong(huge.len())));
    let mut largest = beacon(2, u64::MAX, vec![]);
    largest.facts.addresses = vec![Address::new("x".repeat(256)).unwrap(); ADDRESSES_MAX];
    largest.lost = vec![Lost { author: who(3).key(), counter: u64::MAX }; BEACON_LOST_MAX];
    assert!(largest.to_bytes().len() <= BEACON_BYTES_MAX / 2 + 1_024);
}
