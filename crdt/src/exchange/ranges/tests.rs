//! Reconciliations of items in memory, honest and not.

use std::sync::Arc;

use super::*;
use crate::exchange::{Request, Response, encode_message};
use crate::id::{Actor, ChangeHash, DocumentName, SpaceId};

fn items(numbers: impl Iterator<Item = (u64, u64)>) -> Items {
    let mut items = Items::new(SpaceId([1; 32]));
    for (number, seq) in numbers {
        let document = Arc::new(DocumentName::new(format!("d/{number}")).unwrap());
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(number * 1_000 + seq).to_be_bytes());
        items.raise(&document, Actor([1; 16]), FrontierRecord { seq, hash: ChangeHash(hash) });
    }
    items
}

fn reconcile(mine: &Items, theirs: &Items) -> (Reconciliation, usize) {
    let (run, rounds, _) = weighed(mine, theirs);
    (run, rounds)
}

/// A whole reconciliation, its rounds, and the bytes of its questions and answers.
fn weighed(mine: &Items, theirs: &Items) -> (Reconciliation, usize, f64) {
    let mut run = Reconciliation::new(mine, 99);
    let (mut rounds, mut bytes) = (0, 0);
    while let Some(ranges) = run.next_ranges() {
        let answers = answer_ranges(theirs, 99, &ranges);
        let asked = Request::Reconcile { space: SpaceId([1; 32]), salt: 99, ranges };
        let answered = Response::Ranges(answers.clone());
        bytes += encode_message(&asked).len() + encode_message(&answered).len();
        run.take_answers(mine, answers);
        rounds += 1;
        assert!(rounds < 50);
    }
    (run, rounds, bytes as f64)
}

#[test]
fn every_difference_is_found_in_few_rounds() {
    let count = 10_000;
    let mine = items((0..count).filter(|n| n % 1_000 != 3).map(|n| (n, if n % 2_500 == 7 { 1 } else { 2 })));
    let theirs = items((0..count).filter(|n| n % 2_000 != 5).map(|n| (n, 2)));
    let (run, rounds) = reconcile(&mine, &theirs);
    assert_eq!((run.wants.len(), run.offers.len()), (14, 5));
    assert!(rounds <= 5, "{rounds}");
}

#[test]
fn equal_items_end_at_once_and_an_empty_side_learns_all() {
    let both = items((0..500).map(|n| (n, 1)));
    let (run, rounds) = reconcile(&both, &both);
    assert_eq!((run.wants.len(), run.offers.len(), rounds), (0, 0, 1));
    let none = items(std::iter::empty());
    assert_eq!(reconcile(&none, &both).0.wants.len(), 500);
    assert_eq!(reconcile(&both, &none).0.offers.len(), 500);
}

#[test]
fn equal_numbers_with_other_hashes_are_a_fork() {
    let mine = items((0..40).map(|n| (n, 1)));
    let mut theirs = mine.clone();
    let document = Arc::new(DocumentName::new("d/7").unwrap());
    theirs.raise(&document, Actor([1; 16]), FrontierRecord { seq: 1, hash: ChangeHash([7; 32]) });
    assert_eq!(reconcile(&mine, &theirs).0.forked, vec![ItemKey::of(&document, Actor([1; 16]))]);
}

#[test]
fn one_document_is_compared_alone_and_a_bound_ends_early() {
    let mine = items((0..10_000).map(|n| (n, 1)));
    let theirs = items((0..10_000).map(|n| (n, 2)));
    let document = DocumentName::new("d/7").unwrap();
    let mut run = Reconciliation::within(&mine, 99, Some(ItemKey::range_of(&document)), 10);
    while let Some(ranges) = run.next_ranges() {
        assert_eq!(run.repeat_ranges().as_ref(), Some(&ranges));
        run.take_answers(&mine, answer_ranges(&theirs, 99, &ranges));
    }
    assert!(run.is_complete());
    assert_eq!(run.wants.keys().copied().collect::<Vec<_>>(), [ItemKey::of(&document, Actor([1; 16]))]);
    let mut run = Reconciliation::within(&mine, 99, None, 10);
    while let Some(ranges) = run.next_ranges() {
        run.take_answers(&mine, answer_ranges(&theirs, 99, &ranges));
    }
    assert!(run.wants.len() >= 10 && !run.is_complete());
}

#[test]
fn the_other_sides_number_is_known_of_what_it_has_less_of() {
    let mine = items((0..40).map(|n| (n, 5)));
    let theirs = items((1..40).map(|n| (n, if n == 7 { 2 } else { 5 })));
    let (run, _) = reconcile(&mine, &theirs);
    let mut less: Vec<_> = run.offers.iter().map(|less| (less.mine.seq, less.theirs)).collect();
    less.sort_unstable();
    assert_eq!(less, [(5, 0), (5, 2)]);
}

#[test]
fn few_bytes_tell_what_differs_of_many() {
    let bound = |d: f64, count: f64| 64.0 * d * (count / d + 2.0).log2();
    for (count, differing, most) in [(1_000, 1, 4), (20_000, 1, 4), (20_000, 20, 4), (20_000, 200, 4)] {
        let mine = items((0..count).map(|n| (n, 1)));
        let stride = count / differing;
        let theirs = items((0..count).map(|n| (n, if n % stride == 3 { 2 } else { 1 })));
        let (run, rounds, bytes) = weighed(&mine, &theirs);
        assert_eq!(run.wants.len() as u64, differing);
        assert!(rounds <= most, "{rounds} rounds for {differing} of {count}");
        assert!(bytes < bound(differing as f64, count as f64), "{bytes} for {differing} of {count}");
    }
}

#[test]
fn who_holds_nothing_is_told_much_at_once() {
    let (none, many) = (items(std::iter::empty()), items((0..5_000).map(|n| (n, 1))));
    let (run, rounds, _) = weighed(&none, &many);
    assert_eq!((run.wants.len(), rounds), (5_000, 4));
    let (run, rounds, _) = weighed(&many, &none);
    assert_eq!((run.offers.len(), rounds), (5_000, 1));
}

#[test]
fn many_that_differ_are_asked_about_whole_and_within_the_bound() {
    let mine = items((0..30_000).map(|n| (n, 1)));
    let theirs = items((0..30_000).map(|n| (n, 1 + n % 2)));
    let mut run = Reconciliation::new(&mine, 99);
    while let Some(ranges) = run.next_ranges() {
        assert!(ranges.ranges().len() <= RANGES_MAX);
        run.take_answers(&mine, answer_ranges(&theirs, 99, &ranges));
    }
    assert_eq!(run.wants.len(), 15_000);
}

#[test]
fn answers_that_lie_lead_nowhere() {
    let mine = items((0..10_000).map(|n| (n, 1)));
    let key = |byte: u8| ItemKey([byte; 16]);
    let split = |cuts: &[u8]| RangeAnswer::Parts(Tiles::split(1, cuts.iter().map(|cut| (key(*cut), 1))));
    let item = |byte: u8| OfferedItem { key: key(byte), seq: 9, hash: [0; 8] };
    let whole = RangeFingerprint { start: ItemKey::LOWEST, end: None, fingerprint: 1 };
    let mut rising: Vec<u8> = (1..9).collect();
    let nine = split(&rising);
    rising.push(200);
    for (what, lie) in [
        ("the same range", split(&[])),
        ("more parts than allowed", nine),
        ("parts beyond the range", split(&rising[5..])),
        (
            "parts with a gap",
            RangeAnswer::Parts(Tiles::of(&[RangeFingerprint { start: key(1), ..whole }]).unwrap()),
        ),
        ("items beyond the range", RangeAnswer::Items((100..150).map(item).collect())),
    ] {
        let mut run = Reconciliation::new(&mine, 1);
        assert_eq!(run.next_ranges().unwrap().ranges().len(), RANGE_PARTS);
        // The first range asked about ends near key 32; the others are said to be equal.
        run.take_answers(&mine, vec![Some(lie)]);
        let held = (run.next_ranges(), run.wants.len(), run.offers.len());
        let offers = if what.starts_with("items") { 1_250 } else { 0 };
        assert_eq!(held, (None, 0, offers), "{what}");
    }
    let mut run = Reconciliation::new(&mine, 1);
    run.next_ranges().unwrap();
    run.take_answers(&mine, (0..20).map(|_| Some(split(&[]))).collect());
    assert_eq!(run.next_ranges(), None, "more answers than questions");
}

#[test]
fn parts_that_differ_for_ever_end_the_reconciliation() {
    let mine = items((0..100).map(|n| (n, 1)));
    let mut run = Reconciliation::new(&mine, 1);
    let mut rounds = 0;
    while let Some(asked) = run.next_ranges() {
        rounds += 1;
        let halves = |range: &RangeFingerprint| {
            let low = u128::from_be_bytes(range.start.0);
            let high = range.end.map_or(u128::MAX, |end| u128::from_be_bytes(end.0));
            let middle = ItemKey((low + (high - low) / 2).to_be_bytes());
            Some(RangeAnswer::Parts(Tiles::split(9, std::iter::once((middle, 9)))))
        };
        run.take_answers(&mine, asked.ranges().iter().map(halves).collect());
    }
    assert!(rounds <= ROUNDS_MAX, "{rounds}");
}
