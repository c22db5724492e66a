//! Range reconciliation over the items of a space.
//!
//! The asker sends fingerprints of ranges, at first of [`RANGE_PARTS`] that hold everything: both sides know
//! already that something differs. Where they differ the answering side splits its range
//! into as many parts, or lists its items when they are few. After at most log₈ of the
//! number of items rounds the asker knows every item that differs. The idea is range-based set
//! reconciliation (A. Meyer, "Range-Based Set Reconciliation", 2022).

use std::collections::BTreeMap;

use super::message::{OfferedItem, RangeAnswer, RangeFingerprint};
use crate::history::{Item, ItemKey, Items, item_fingerprint};

/// Parts a differing range is split into.
pub const RANGE_PARTS: usize = 8;
/// A range with at most this many items is listed instead of split.
const LISTED_ITEMS_MAX: usize = 16;
/// Ranges in one request, so that request and answer stay far below an exchange frame.
pub const RANGES_PER_REQUEST_MAX: usize = 1_024;
/// Differences gathered in one reconciliation; the rest is found by the next one.
const DIFFERENCES_MAX: usize = 65_536;
/// Requests of one reconciliation, so that a peer that lies about its parts cannot keep it going.
const ROUNDS_MAX: usize = 256;

fn offered(key: ItemKey, item: &Item) -> OfferedItem {
    let mut hash = [0; 8];
    hash.copy_from_slice(&item.tip.hash.0[..8]);
    OfferedItem { key, seq: item.tip.seq, hash }
}

fn fingerprint(items: &Items, salt: u64, start: ItemKey, end: Option<ItemKey>) -> u64 {
    items
        .range(start, end)
        .fold(0, |sum, (key, item)| sum.wrapping_add(item_fingerprint(salt, key, &item.tip)))
}

/// An item of which the other side has less, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Less {
    /// As this side holds it.
    pub mine: OfferedItem,
    /// The other side's sequence number; 0: it has none.
    pub theirs: u64,
}

/// Answers each range from `items`; none when the ranges are too many, out of order or overlap, so
/// that no request costs more than one pass over the items.
pub fn answer_ranges(items: &Items, salt: u64, ranges: &[RangeFingerprint]) -> Option<Vec<RangeAnswer>> {
    let disjoint = ranges.windows(2).all(|pair| pair[0].end.is_some_and(|end| end <= pair[1].start));
    (disjoint && ranges.len() <= RANGES_PER_REQUEST_MAX)
        .then(|| ranges.iter().map(|range| answer_range(items, salt, range)).collect())
}

fn answer_range(items: &Items, salt: u64, range: &RangeFingerprint) -> RangeAnswer {
    let mine = printed(items, salt, (range.start, range.end));
    if sum(&mine) == range.fingerprint {
        return RangeAnswer::Equal;
    }
    if mine.len() <= LISTED_ITEMS_MAX {
        return RangeAnswer::Items(
            items.range(range.start, range.end).map(|(key, item)| offered(key, item)).collect(),
        );
    }
    RangeAnswer::Parts(parts(&mine, (range.start, range.end)))
}

fn sum(part: &[(ItemKey, u64)]) -> u64 {
    part.iter().fold(0_u64, |sum, (_, print)| sum.wrapping_add(*print))
}

/// The items of a range in [`RANGE_PARTS`] parts of about the same size, which tile it.
fn parts(items: &[(ItemKey, u64)], (start, end): (ItemKey, Option<ItemKey>)) -> Vec<RangeFingerprint> {
    let parts: Vec<&[(ItemKey, u64)]> = items.chunks(items.len().div_ceil(RANGE_PARTS).max(1)).collect();
    let bound = |index: usize| parts.get(index).and_then(|part| part.first()).map(|(key, _)| *key);
    let told = parts.iter().enumerate().map(|(index, part)| RangeFingerprint {
        start: if index == 0 { start } else { bound(index).unwrap_or(start) },
        end: bound(index + 1).or(end),
        fingerprint: sum(part),
    });
    told.collect()
}

/// The first question about a range: its parts, or all of it when the answer would list it.
fn first_ranges(items: &Items, salt: u64, (start, end): (ItemKey, Option<ItemKey>)) -> Vec<RangeFingerprint> {
    let mine = printed(items, salt, (start, end));
    match mine.len() {
        0..=LISTED_ITEMS_MAX => vec![RangeFingerprint { start, end, fingerprint: sum(&mine) }],
        _ => parts(&mine, (start, end)),
    }
}

fn printed(items: &Items, salt: u64, (start, end): (ItemKey, Option<ItemKey>)) -> Vec<(ItemKey, u64)> {
    items.range(start, end).map(|(key, item)| (key, item_fingerprint(salt, key, &item.tip))).collect()
}

/// The asker's side of one reconciliation.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    salt: u64,
    rounds: usize,
    /// Differences after which it ends.
    most: usize,
    open: Vec<RangeFingerprint>,
    asked: Vec<RangeFingerprint>,
    /// Items of which the other side has more, with its sequence number.
    pub wants: BTreeMap<ItemKey, u64>,
    /// Items of which the other side has less, or none.
    pub offers: Vec<Less>,
    /// Items whose tips have equal numbers and different hashes: somebody equivocated.
    pub forked: Vec<ItemKey>,
}

impl Reconciliation {
    /// Starts with everything. Equal salts on both sides make fingerprints comparable; a fresh salt
    /// each time makes a chance collision heal at the next try.
    pub fn new(items: &Items, salt: u64) -> Self {
        Self::within(items, salt, None, DIFFERENCES_MAX)
    }

    /// Starts with one range of keys, from the first one on and before the second, or with everything; ends
    /// when `most` differences are known.
    pub fn within(items: &Items, salt: u64, range: Option<(ItemKey, Option<ItemKey>)>, most: usize) -> Self {
        let range = range.unwrap_or((ItemKey([0; 16]), None));
        Self {
            salt,
            rounds: 0,
            most,
            open: first_ranges(items, salt, range),
            asked: Vec::new(),
            wants: BTreeMap::new(),
            offers: Vec::new(),
            forked: Vec::new(),
        }
    }

    /// The salt of this reconciliation.
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// Whether there is nothing left to ask.
    pub fn is_done(&self) -> bool {
        let found = self.wants.len() + self.offers.len();
        self.open.is_empty() || found >= self.most || self.rounds >= ROUNDS_MAX
    }

    /// Whether every difference is known, as far as the other side answered truly.
    pub fn is_complete(&self) -> bool {
        self.open.is_empty() && self.asked.is_empty()
    }

    /// The ranges asked about last, as long as they were not answered.
    pub fn repeat_ranges(&self) -> Option<Vec<RangeFingerprint>> {
        (!self.asked.is_empty()).then(|| self.asked.clone())
    }

    /// The next ranges to ask about; none when every difference is known.
    pub fn next_ranges(&mut self) -> Option<Vec<RangeFingerprint>> {
        if self.is_done() {
            return None;
        }
        self.rounds += 1;
        let count = self.open.len().min(RANGES_PER_REQUEST_MAX);
        self.asked = self.open.split_off(self.open.len() - count);
        (!self.asked.is_empty()).then(|| self.asked.clone())
    }

    /// Takes the answers to the ranges asked about last. Parts outside the range asked about, and
    /// answers beyond it, are ignored: a lying peer costs only itself an exchange.
    pub fn take_answers(&mut self, items: &Items, answers: Vec<RangeAnswer>) {
        let asked = std::mem::take(&mut self.asked);
        for (range, answer) in asked.iter().zip(answers) {
            match answer {
                RangeAnswer::Equal => {}
                RangeAnswer::Parts(parts) => self.take_parts(items, range, parts),
                RangeAnswer::Items(theirs) => self.take_items(items, range, theirs),
            }
        }
    }

    fn take_parts(&mut self, items: &Items, range: &RangeFingerprint, parts: Vec<RangeFingerprint>) {
        // Parts must tile the range: a peer that answers with the whole range again would keep us asking for ever.
        let tiles = parts.len() >= 2
            && parts.len() <= RANGE_PARTS
            && parts.first().is_some_and(|first| first.start == range.start)
            && parts.last().is_some_and(|last| last.end == range.end)
            && parts
                .windows(2)
                .all(|pair| pair[0].end == Some(pair[1].start) && pair[0].start < pair[1].start);
        if !tiles {
            return;
        }
        for part in parts {
            let mine = fingerprint(items, self.salt, part.start, part.end);
            if mine != part.fingerprint {
                self.open.push(RangeFingerprint { fingerprint: mine, ..part });
            }
        }
    }

    fn take_items(&mut self, items: &Items, range: &RangeFingerprint, theirs: Vec<OfferedItem>) {
        let inside = |key: ItemKey| key >= range.start && range.end.is_none_or(|end| key < end);
        let mut theirs: BTreeMap<ItemKey, OfferedItem> = theirs
            .into_iter()
            .take(LISTED_ITEMS_MAX)
            .filter(|item| inside(item.key))
            .map(|item| (item.key, item))
            .collect();
        for (key, mine) in items.range(range.start, range.end) {
            let mine = offered(key, mine);
            match theirs.remove(&key) {
                Some(their) if their.seq > mine.seq => {
                    self.wants.insert(key, their.seq);
                }
                Some(their) if their.seq == mine.seq => {
                    if their.hash != mine.hash {
                        self.forked.push(key);
                    }
                }
                their => self.offers.push(Less { mine, theirs: their.map_or(0, |their| their.seq) }),
            }
        }
        self.wants.extend(theirs.into_values().map(|item| (item.key, item.seq)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::id::{Actor, ChangeHash, DocumentName, SpaceId};
    use crate::store::tables::FrontierRecord;

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
        let mut run = Reconciliation::new(mine, 99);
        let mut rounds = 0;
        while let Some(ranges) = run.next_ranges() {
            let answers = answer_ranges(theirs, 99, &ranges).unwrap();
            run.take_answers(mine, answers);
            rounds += 1;
            assert!(rounds < 50);
        }
        (run, rounds)
    }

    #[test]
    fn every_difference_is_found_in_few_rounds() {
        let count = 10_000;
        let mine =
            items((0..count).filter(|n| n % 1_000 != 3).map(|n| (n, if n % 2_500 == 7 { 1 } else { 2 })));
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
            run.take_answers(&mine, answer_ranges(&theirs, 99, &ranges).unwrap());
        }
        assert!(run.is_complete());
        assert_eq!(run.wants.keys().copied().collect::<Vec<_>>(), [ItemKey::of(&document, Actor([1; 16]))]);
        let mut run = Reconciliation::within(&mine, 99, None, 10);
        while let Some(ranges) = run.next_ranges() {
            run.take_answers(&mine, answer_ranges(&theirs, 99, &ranges).unwrap());
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
    fn overlapping_ranges_are_not_answered() {
        let mine = items((0..100).map(|n| (n, 1)));
        let whole = RangeFingerprint { start: ItemKey([0; 16]), end: None, fingerprint: 1 };
        assert!(answer_ranges(&mine, 1, &[whole]).is_some());
        assert_eq!(answer_ranges(&mine, 1, &[whole, whole]), None);
    }

    #[test]
    fn a_peer_that_answers_with_the_same_range_is_not_asked_for_ever() {
        let mine = items((0..100).map(|n| (n, 1)));
        let mut run = Reconciliation::new(&mine, 1);
        let asked = run.next_ranges().unwrap();
        let lie = RangeFingerprint { fingerprint: 1, ..asked[0] };
        run.take_answers(&mine, vec![RangeAnswer::Parts(vec![lie])]);
        assert_eq!(run.next_ranges(), None);
    }
}
