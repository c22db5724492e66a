//! What budgets promise, at their surface.

use super::*;

fn who(n: u64) -> AuthorKey {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_be_bytes());
    AuthorKey(key)
}

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

#[test]
fn one_peer_at_its_limit_takes_nothing_from_another() {
    let mut budget = Budget::new();
    while budget.charge(at(0), who(1), Usage::Request).is_ok() {}
    let over = budget.charge(at(0), who(1), Usage::Request).unwrap_err();
    assert_eq!(over.retry_after, Duration::from_millis(20));
    assert_eq!(over.to_string(), "over its share: try again after 20 ms");
    assert!(budget.charge(at(0), who(2), Usage::Request).is_ok());
    assert!(budget.charge(at(0), who(1), Usage::Join).is_ok(), "each use has its own share");
    assert!(budget.charge(at(1), who(1), Usage::Request).is_ok());
}

#[test]
fn each_use_is_limited_to_its_burst_and_rate() {
    let chunk = 1024 * 1024;
    for (usage, rate, unit) in [
        (Usage::Request, REQUESTS, 1),
        (Usage::BytesServed(chunk), BYTES_SERVED, chunk),
        (Usage::Join, JOINS, 1),
    ] {
        let mut budget = Budget::new();
        let mut served = 0;
        for tenth in 0..100 {
            let now = Moment(tenth * 100_000);
            while budget.charge(now, who(1), usage).is_ok() {
                served += unit;
            }
        }
        let expected = rate.burst + rate.per_second * 99 / 10;
        assert!((expected - unit..=expected).contains(&served), "{usage:?}: {served}");
    }
}

#[test]
fn offences_add_up_from_ignoring_to_disconnecting_to_blocking() {
    let mut budget = Budget::new();
    let mut add = |offence| budget.offend(at(0), who(1), offence);
    assert_eq!(add(Offence::SequenceViolation), OffenceAction::Ignore);
    assert_eq!(add(Offence::StructureViolation), OffenceAction::Disconnect);
    assert_eq!(add(Offence::Garbage), OffenceAction::Disconnect);
    assert_eq!(add(Offence::BadSignature), OffenceAction::Block(Duration::from_secs(60)));
    let standing = budget.standing(at(0), who(1)).unwrap();
    assert_eq!((standing.offences, standing.blocks), (4, 1));
    assert_eq!(budget.standing(at(0), who(2)), None);
}

#[test]
fn a_forgery_disconnects_at_once_and_an_equivocation_does_not() {
    for offence in Offence::ALL {
        let action = Budget::new().offend(at(0), who(1), offence);
        let forged =
            [Offence::Garbage, Offence::BadSignature, Offence::OversizedFrame, Offence::ForeignActor];
        let expected =
            if forged.contains(&offence) { OffenceAction::Disconnect } else { OffenceAction::Ignore };
        assert_eq!(action, expected, "{}", offence.code());
    }
    let codes: std::collections::BTreeSet<_> = Offence::ALL.map(Offence::code).into();
    assert_eq!(codes.len(), Offence::ALL.len());
    assert!(codes.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
}

#[test]
fn offences_fade_however_they_are_spaced() {
    let mut slow = Budget::new();
    for minute in 0..1_000 {
        let action = slow.offend(at(minute * 600), who(1), Offence::StructureViolation);
        assert_eq!(action, OffenceAction::Ignore);
    }
    // Points fade between offences that come faster than once a second, too.
    let mut quick = Budget::new();
    quick.offend(Moment(0), who(1), Offence::Flood);
    let before = quick.standing(Moment(0), who(1)).unwrap().score;
    assert!(quick.standing(Moment(500_000), who(1)).unwrap().score < before);
    assert_eq!(quick.standing(at(10_000), who(1)).unwrap().score, 0);
    assert_eq!(quick.offenders(at(10_000)).count(), 1, "shown while remembered");
}

#[test]
fn blocks_grow_and_stay_below_an_hour() {
    let mut budget = Budget::new();
    let mut blocks = Vec::new();
    for n in 0..100 {
        if let OffenceAction::Block(time) = budget.offend(at(n), who(1), Offence::Garbage) {
            blocks.push(time.as_secs());
        }
    }
    assert_eq!(blocks[..7], [60, 120, 240, 480, 960, 1_920, 3_600]);
    assert!(blocks[7..].iter().all(|seconds| *seconds == 3_600));
}

#[test]
fn the_number_remembered_is_bounded_and_offenders_stay_longest() {
    let mut budget = Budget::new();
    budget.offend(at(0), who(0), Offence::Garbage);
    for n in 1..PEERS_MEASURED_MAX as u64 * 2 {
        budget.charge(at(1), who(n), Usage::Request).unwrap();
    }
    assert_eq!(budget.len(), PEERS_MEASURED_MAX);
    assert_eq!(budget.standing(at(1), who(0)).unwrap().offences, 1);
}
