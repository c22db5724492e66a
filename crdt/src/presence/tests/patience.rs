//! Doubts, of others and of oneself, and what is known of members after a restart.

use super::*;

#[test]
fn what_nobody_said_anything_new_about_is_not_stored_again() {
    let mut presence = presence(3);
    presence.on_beacon(at(0), &mut rng(), heard(2, 1));
    let told = |presence: &mut Presence, millis| presence.take_news(now(millis), Everybody::Too).len();
    assert_eq!((told(&mut presence, 1), told(&mut presence, 600_000)), (1, 0));
    presence.on_beacon(at(601_000), &mut rng(), heard(2, 2));
    assert_eq!((told(&mut presence, 602_000), told(&mut presence, 603_000)), (1, 0));
}

#[test]
fn one_loss_that_many_report_makes_this_node_doubt_itself_once() {
    let patience = |reporters: std::ops::Range<u8>| {
        let mut presence = presence(9);
        let counter = presence.own_counter();
        for seed in reporters {
            let lost = vec![Lost { author: who(1).key(), counter }];
            let report = VerifiedBeacon::sign(beacon(seed, 1, lost), &who(seed));
            presence.on_beacon(at(0), &mut rng(), report);
        }
        presence.on_peer_up(at(1), who(9).key());
        presence.on_peer_down(at(2), &mut rng(), who(9).key());
        presence.member(who(9).key()).and_then(|member| member.deadline)
    };
    assert_eq!(patience(2..8), patience(2..3));
    assert!(patience(2..3) > patience(2..2));
}

#[test]
fn who_came_back_from_a_doubt_just_now_gets_longer_the_next_time() {
    let mut presence = presence(3);
    let member = who(2).key();
    presence.on_peer_up(at(0), member);
    let mut away = Vec::new();
    // A link that breaks every ten seconds and is whole again after six.
    for flap in 0..6 {
        let start = 100_000 + flap * 10_000;
        presence.on_peer_down(at(start), &mut rng(), member);
        away.extend(pass(&mut presence, start, start + 6_000));
        presence.on_peer_up(at(start + 6_000), member);
    }
    assert_eq!(away.len(), 1, "only the first break is told: {away:?}");
    presence.on_peer_down(at(300_000), &mut rng(), member);
    let late = pass(&mut presence, 300_000, 320_000);
    assert_eq!(late[0].0, 304_000, "a minute later it is trusted as before");
}

#[test]
fn a_node_that_stood_still_gives_suspects_their_time_anew_once() {
    let mut presence = presence(3);
    for member in [2, 3] {
        presence.on_peer_up(at(0), who(member).key());
        presence.on_peer_down(at(1_000), &mut rng(), who(member).key());
    }
    // Asleep for an hour.
    let awake = 3_600_000;
    assert_eq!(presence.tick(at(awake)), []);
    presence.on_beacon(at(awake + 500), &mut rng(), heard(2, 9));
    let changes = pass(&mut presence, awake, awake + 14_000);
    let told: Vec<_> = changes.iter().map(|(at, change)| (*at - awake, change.author, change.to)).collect();
    assert_eq!(told, [(8_000, who(3).key(), State::Away)], "twice the patience, for the one that is gone");
    // Being late over and over puts nothing off for ever.
    presence.on_peer_up(at(awake + 20_000), who(3).key());
    presence.on_peer_down(at(awake + 21_000), &mut rng(), who(3).key());
    let mut now = awake + 21_000;
    while state(&presence, 3).0 != State::Away {
        now += 60_000;
        presence.tick(at(now));
        assert!(now < awake + 400_000);
    }
}

#[test]
fn a_node_that_was_reported_lost_is_slower_to_judge_others() {
    let mut presence = presence(3);
    let counter = presence.own_counter();
    presence.on_beacon(at(2_000), &mut rng(), reports(2, 1, 1, counter));
    presence.on_peer_up(at(2_000), who(3).key());
    presence.on_peer_down(at(3_000), &mut rng(), who(3).key());
    let changes = pass(&mut presence, 3_000, 16_000);
    assert_eq!(changes.first().map(|(at, change)| (*at, change.to)), Some((11_000, State::Away)));
}

#[test]
fn only_a_change_of_who_is_counted_on_is_more_than_a_doubt() {
    use State::{Alive, Away, Left, Suspect};
    for (from, to, doubt) in [
        (Alive, Suspect, true),
        (Suspect, Alive, true),
        (Suspect, Away, false),
        (Away, Alive, false),
        (Alive, Left, false),
        (Left, Alive, false),
    ] {
        let change = StateChange { author: who(2).key(), from, to, reason: Reason::Silent };
        assert_eq!(change.is_doubt(), doubt, "{from:?} {to:?}");
    }
}

#[test]
fn how_members_stood_is_known_again_after_a_restart() {
    let mut before = presence(5);
    before.on_beacon(at(0), &mut rng(), heard(2, 7));
    let mut leaving = beacon(3, 5, vec![]);
    leaving.leaving = true;
    before.on_beacon(at(1_000), &mut rng(), VerifiedBeacon::sign(leaving, &who(3)));
    before.on_peer_up(at(1_000), who(4).key());
    before.on_peer_down(at(2_000), &mut rng(), who(4).key());
    pass(&mut before, 0, 6_500);
    assert!(before.has_news());
    let stored = before.take_news(now(10_000), Everybody::Too);
    assert_eq!(stored.len(), 3, "of the fifth nothing was ever heard");
    assert!(!before.has_news());

    // An hour later by the wall clock, with a monotonic clock that began anew.
    let start = Now { monotonic: Moment(5), wall: WallTime(now(10_000).wall.0 + 3_600_000) };
    let mut after = Presence::new(SPACE, who(1).key(), 1_000, start.monotonic);
    after.set_members(start.monotonic, (1..=5).map(|seed| who(seed).key()));
    for (author, record) in stored {
        let bytes = crate::codec::encode(&record.expect("it is a member"));
        after.remember(start, author, crate::codec::decode(&bytes, "record").expect("as written"));
    }
    assert_eq!(state(&after, 2), (State::Suspect, Reason::Remembered));
    assert_eq!(state(&after, 3), (State::Left, Reason::Farewell));
    assert_eq!(state(&after, 4), (State::Away, Reason::ConnectionLost));
    assert_eq!(state(&after, 5), (State::Away, Reason::NeverHeard));
    let seen = |author| after.member(who(author).key()).expect("a member");
    let heard_ago = |author| seen(author).heard.map(|heard| heard.age(start.monotonic));
    assert_eq!(heard_ago(2), Some(SECOND * 3_610));
    assert_eq!(seen(3).since.age(start.monotonic), SECOND * 3_609);
    assert_eq!(seen(2).counter(), 7, "an older beacon is known as such");

    // Who does not show itself goes; who does was never away.
    let mut quiet = after;
    let member = who(2).key();
    let mut changes = Vec::new();
    for seconds in 1..=15 {
        changes.extend(quiet.tick(start.monotonic + SECOND * seconds));
    }
    assert_eq!(
        changes.iter().map(|change| (change.author, change.to)).collect::<Vec<_>>(),
        [(member, State::Away)]
    );
    let back = quiet.on_beacon(start.monotonic + SECOND * 20, &mut rng(), heard(2, 8));
    assert_eq!(back.len(), 1);
}

#[test]
fn what_a_store_remembers_is_never_believed_over_what_was_heard() {
    let mut presence = presence(3);
    presence.on_beacon(at(0), &mut rng(), heard(2, 7));
    let stale = SightingRecord {
        state: State::Left,
        reason: Reason::Farewell,
        since: now(0).wall,
        heard: Some(now(0).wall),
        beacon: Some(heard(3, 4).to_bytes()),
        clock_offset_ms: None,
    };
    presence.remember(now(0), who(2).key(), stale.clone());
    assert_eq!(state(&presence, 2), (State::Alive, Reason::Heard));
    presence.remember(now(0), who(2).key(), stale.clone());
    // A beacon of somebody else is none of this member's.
    let other = SightingRecord { beacon: Some(heard(2, 9).to_bytes()), ..stale.clone() };
    presence.remember(now(0), who(3).key(), other);
    let seen = presence.member(who(3).key()).expect("a member");
    assert_eq!((seen.state, seen.beacon.clone(), seen.heard), (State::Left, None, None));
    presence.remember(now(0), who(9).key(), stale);
    assert!(presence.member(who(9).key()).is_none());
}

#[test]
fn after_a_commit_in_doubt_everything_is_told_the_store_again() {
    let mut before = presence(4);
    before.on_beacon(at(0), &mut rng(), heard(2, 7));
    before.on_peer_up(at(0), who(3).key());
    let stored = before.take_news(now(1), Everybody::Too);
    assert_eq!(stored.len(), 2);
    // The commit that was to hold this failed, and one more member's row stands in the store.
    let mut read = presence(4);
    for (author, record) in stored {
        read.remember(now(2), author, record.expect("a member"));
    }
    let gone = SightingRecord {
        state: State::Away,
        reason: Reason::Silent,
        since: now(0).wall,
        heard: None,
        beacon: None,
        clock_offset_ms: None,
    };
    read.remember(now(2), who(9).key(), gone);
    read.resume(before);
    assert_eq!(state(&read, 3), (State::Alive, Reason::Connected), "it is as it was");
    assert!(read.has_news());
    let told = read.take_news(now(3), Everybody::Not);
    let mut told: Vec<_> = told.into_iter().map(|(author, row)| (author, row.is_some())).collect();
    let mut expected = vec![(who(2).key(), true), (who(3).key(), true), (who(9).key(), false)];
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "of who was never heard there is nothing to tell");
}
