//! Range reconciliation over the items of a space.
//!
//! The asker sends fingerprints of ranges, at first of [`RANGE_PARTS`] that hold everything: both sides know
//! already that something differs. Where they differ the answering side splits its range
//! into as many parts, or lists its items when they are few; the asker splits the parts that differ again
//! before it asks about them, so each round trip goes two levels down. After at most log₆₄ of the
//! number of items rounds the asker knows every item that differs. The idea is range-based set
//! reconciliation (A. Meyer, "Range-Based Set Reconciliation", 2022); the numbers are those of
//! `docs/decisions/0034-fewer-bytes-in-ranges-and-rows.md`.

use std::collections::BTreeMap;

use super::message::{OfferedItem, RangeAnswer};
use super::tiles::{RANGES_MAX, RangeFingerprint, Tiles, cut_between};
use crate::history::{Item, ItemKey, Items, item_fingerprint};
use crate::store::tables::FrontierRecord;

/// Parts a differing range is split into, by either side.
const RANGE_PARTS: usize = 8;
/// A range with at most this many items is listed instead of split.
const LISTED_ITEMS_MAX: usize = 8;
/// The same for an asker that holds nothing there, so that all of them must be listed sooner or later. That many
/// in each of [`RANGES_MAX`] ranges are half of an exchange frame.
const LISTED_TO_NOTHING_MAX: usize = 32;
/// The fingerprint of a range without items.
const NOTHING: u32 = 0;
/// Differences gathered in one reconciliation; the rest is found by the next one.
const DIFFERENCES_MAX: usize = 65_536;
/// Requests of one reconciliation, so that a peer that lies about its parts cannot keep it going.
const ROUNDS_MAX: usize = 256;

/// A range of keys: from the first on, and before the second; none: to the end.
type Span = (ItemKey, Option<ItemKey>);

/// An item's key and its share in the fingerprints of the ranges that hold it.
type Print = (ItemKey, u32);

fn offered(key: ItemKey, item: &Item) -> OfferedItem {
    let mut hash = [0; 8];
    hash.copy_from_slice(&item.tip.hash.0[..8]);
    OfferedItem { key, seq: item.tip.seq, hash }
}

/// The first four bytes of an item's fingerprint.
fn share(salt: u64, key: ItemKey, tip: &FrontierRecord) -> u32 {
    (item_fingerprint(salt, key, tip) >> 32) as u32
}

fn prints(items: &Items, salt: u64, (start, end): Span) -> Vec<Print> {
    items.range(start, end).map(|(key, item)| (key, share(salt, key, &item.tip))).collect()
}

fn sum(prints: &[Print]) -> u32 {
    prints.iter().fold(NOTHING, |sum, (_, print)| sum.wrapping_add(*print))
}

/// The items of a range in at most so many parts of about the same size.
fn parts(mine: &[Print], most: usize) -> Tiles {
    let size = mine.len().div_ceil(most).max(1);
    let mut parts = mine.chunks(size);
    let first = parts.next().map_or(NOTHING, sum);
    // Before each further part lies the last item of the part before it.
    let rest = parts
        .enumerate()
        .map(|(index, part)| (cut_between(mine[(index + 1) * size - 1].0, part[0].0), sum(part)));
    Tiles::split(first, rest)
}

/// An item of which the other side has less, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Less {
    /// As this side holds it.
    pub mine: OfferedItem,
    /// The other side's sequence number; 0: it has none.
    pub theirs: u64,
}

/// Answers each range from `items`, in one pass over them; none where they are equal.
pub fn answer_ranges(items: &Items, salt: u64, asked: &Tiles) -> Vec<Option<RangeAnswer>> {
    asked.ranges().iter().map(|range| answer_range(items, salt, range)).collect()
}

fn answer_range(items: &Items, salt: u64, range: &RangeFingerprint) -> Option<RangeAnswer> {
    let mine = prints(items, salt, (range.start, range.end));
    if sum(&mine) == range.fingerprint {
        return None;
    }
    let listed_max = if range.fingerprint == NOTHING { LISTED_TO_NOTHING_MAX } else { LISTED_ITEMS_MAX };
    if mine.len() > listed_max {
        return Some(RangeAnswer::Parts(parts(&mine, RANGE_PARTS)));
    }
    let listed = items.range(range.start, range.end).map(|(key, item)| offered(key, item));
    Some(RangeAnswer::Items(listed.collect()))
}

/// What to ask about a range that differs: its parts, or all of it where few items are.
fn questions(mine: &[Print], span: Span, most: usize) -> Vec<RangeFingerprint> {
    let most = if mine.len() <= LISTED_ITEMS_MAX { 1 } else { most };
    // Its cuts lie between items of the range, and so inside it.
    parts(mine, most).parts(span).unwrap_or_default()
}

/// The asker's side of one reconciliation.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    salt: u64,
    rounds: usize,
    /// Differences after which it ends.
    most: usize,
    /// Ranges to ask about, disjoint and rising.
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
        let span = range.unwrap_or((ItemKey::LOWEST, None));
        Self {
            salt,
            rounds: 0,
            most,
            open: questions(&prints(items, salt, span), span, RANGE_PARTS),
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
    pub fn repeat_ranges(&self) -> Option<Tiles> {
        if self.asked.is_empty() { None } else { Tiles::of(&self.asked) }
    }

    /// The next ranges to ask about; none when every difference is known.
    pub fn next_ranges(&mut self) -> Option<Tiles> {
        if self.is_done() {
            return None;
        }
        self.rounds += 1;
        let count = self.open.len().min(RANGES_MAX);
        self.asked = self.open.split_off(self.open.len() - count);
        self.repeat_ranges()
    }

    /// Takes the answers to the ranges asked about last. Parts that do not tile the range asked about, items
    /// outside it, and answers beyond it, are ignored: a lying peer costs only itself an exchange.
    pub fn take_answers(&mut self, items: &Items, answers: Vec<Option<RangeAnswer>>) {
        let asked = std::mem::take(&mut self.asked);
        let mut differing = Vec::new();
        for (range, answer) in asked.iter().zip(answers) {
            match answer {
                None => {}
                Some(RangeAnswer::Parts(parts)) => differing.extend(self.differing(items, range, &parts)),
                Some(RangeAnswer::Items(theirs)) => self.take_items(items, range, theirs),
            }
        }
        // Many that differ are asked about whole: their parts would not fit into one question.
        let most = (RANGES_MAX / differing.len().max(1)).clamp(1, RANGE_PARTS);
        for (span, mine) in differing {
            self.open.extend(questions(&mine, span, most));
        }
    }

    /// Which parts of a range differ, with what is held here of each.
    fn differing(&self, items: &Items, range: &RangeFingerprint, parts: &Tiles) -> Vec<(Span, Vec<Print>)> {
        // A peer that answers with the whole range again would keep us asking for ever.
        let parts = parts.parts((range.start, range.end)).unwrap_or_default();
        if !(2..=RANGE_PARTS).contains(&parts.len()) {
            return Vec::new();
        }
        let differing = parts.into_iter().filter_map(|part| {
            let span = (part.start, part.end);
            let mine = prints(items, self.salt, span);
            (sum(&mine) != part.fingerprint).then_some((span, mine))
        });
        differing.collect()
    }

    fn take_items(&mut self, items: &Items, range: &RangeFingerprint, theirs: Vec<OfferedItem>) {
        let inside = |key: ItemKey| key >= range.start && range.end.is_none_or(|end| key < end);
        let mut theirs: BTreeMap<ItemKey, OfferedItem> = theirs
            .into_iter()
            .take(LISTED_TO_NOTHING_MAX)
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
mod tests;
