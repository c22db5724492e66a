//! Ranges of item keys as they travel: fingerprints parted by cuts.
//!
//! A list of ranges with both their ends would tell most keys twice, and 16 bytes of each where three
//! tell neighbours apart. So ranges are told as the tiles of a whole that both sides know: in a question
//! of all keys, in an answer of the range that was asked about. A tile without a fingerprint is a gap, of which nothing
//! is said. A cut is a key without the zero bytes at its end.
//!
//! Promises: tiles, made or decoded, rise, have at most [`RANGES_MAX`] fingerprints among them and are the
//! only way to tell what they tell. Leaves out whether they lie within the whole, which
//! only [`Tiles::parts`] can know.

use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder, decode};

use crate::history::ItemKey;

/// Ranges in one message, so that question and answer stay far below an exchange frame.
pub const RANGES_MAX: usize = 1_024;
/// Elements of their array: with a gap before, between and behind them, and a cut between each two tiles.
const ELEMENTS_MAX: u64 = 2 * (2 * RANGES_MAX as u64 + 1) - 1;

/// A range of keys and the fingerprint of the items in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeFingerprint {
    /// First key.
    pub start: ItemKey,
    /// First key after it; none: the end.
    pub end: Option<ItemKey>,
    /// Salted sum over the items in it; 0 over none.
    pub fingerprint: u32,
}

/// Disjoint ranges in rising order with their fingerprints, as tiles of a whole; by default one gap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tiles {
    /// The fingerprint of the tile at the beginning of the whole; none: a gap.
    first: Option<u32>,
    /// Every further tile, behind the cut at which it begins.
    rest: Vec<(ItemKey, Option<u32>)>,
}

impl Tiles {
    /// The tiles of all keys among which are these ranges; none when the ranges are too many or do not rise.
    pub fn of(ranges: &[RangeFingerprint]) -> Option<Self> {
        let mut tiles = Vec::with_capacity(2 * ranges.len() + 1);
        // Where the tiles so far end; none: at the end of all keys.
        let mut reached = Some(ItemKey::LOWEST);
        for range in ranges {
            let from = reached?;
            if range.start < from || range.end.is_some_and(|end| end <= range.start) {
                return None;
            }
            if from < range.start {
                tiles.push((from, None));
            }
            tiles.push((range.start, Some(range.fingerprint)));
            reached = range.end;
        }
        tiles.extend(reached.map(|from| (from, None)));
        let mut tiles = tiles.into_iter();
        let (_, first) = tiles.next()?;
        (ranges.len() <= RANGES_MAX).then(|| Self { first, rest: tiles.collect() })
    }

    /// A range in parts: the fingerprint of the first, then each cut with the fingerprint of what follows it. The
    /// cuts rise.
    pub(super) fn split(first: u32, rest: impl Iterator<Item = (ItemKey, u32)>) -> Self {
        Self { first: Some(first), rest: rest.map(|(cut, print)| (cut, Some(print))).collect() }
    }

    /// The ranges, if the whole is all keys.
    pub fn ranges(&self) -> Vec<RangeFingerprint> {
        self.within((ItemKey::LOWEST, None)).collect()
    }

    /// The parts of the range from the first key on and before the second; none unless they tile it:
    /// with a gap, or with a cut that is not inside.
    pub fn parts(&self, (start, end): (ItemKey, Option<ItemKey>)) -> Option<Vec<RangeFingerprint>> {
        let inside = |cut: ItemKey| start < cut && end.is_none_or(|end| cut < end);
        let gap = self.first.is_none() || self.rest.iter().any(|(_, print)| print.is_none());
        let tile = !gap && self.rest.iter().all(|(cut, _)| inside(*cut));
        tile.then(|| self.within((start, end)).collect())
    }

    fn within(
        &self,
        (start, end): (ItemKey, Option<ItemKey>),
    ) -> impl Iterator<Item = RangeFingerprint> + use<'_> {
        let tiles = std::iter::once((start, self.first)).chain(self.rest.iter().copied());
        let ends = self.rest.iter().map(|(cut, _)| Some(*cut)).chain([end]);
        tiles.zip(ends).filter_map(|((start, fingerprint), end)| {
            fingerprint.map(|fingerprint| RangeFingerprint { start, end, fingerprint })
        })
    }

    /// Puts another tile behind the last one.
    fn push(&mut self, cut: ItemKey, tile: Option<u32>) -> Result<(), &'static str> {
        let last = self.rest.last().copied().unwrap_or((ItemKey::LOWEST, self.first));
        if cut <= last.0 {
            return Err("cuts of ranges that do not rise");
        }
        if last.1.is_none() && tile.is_none() {
            return Err("two gaps side by side between ranges");
        }
        self.rest.push((cut, tile));
        Ok(())
    }
}

/// The shortest cut between two keys: it lies above the first and not above the second.
pub(super) fn cut_between(below: ItemKey, above: ItemKey) -> ItemKey {
    let common = below.0.iter().zip(&above.0).take_while(|(below, above)| below == above).count();
    let mut cut = above;
    cut.0.iter_mut().skip(common + 1).for_each(|byte| *byte = 0);
    cut
}

fn told(cut: &ItemKey) -> &[u8] {
    let length = cut.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &cut.0[..length]
}

fn heard(told: &[u8]) -> Option<ItemKey> {
    let mut cut = ItemKey::LOWEST;
    cut.0.get_mut(..told.len())?.copy_from_slice(told);
    told.last().is_some_and(|last| *last != 0).then_some(cut)
}

impl<C> Encode<C> for Tiles {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2 * self.rest.len() as u64 + 1)?.encode(self.first)?;
        for (cut, tile) in &self.rest {
            e.bytes(told(cut))?.encode(tile)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Tiles {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let refused = decode::Error::message;
        let length = d.array()?.ok_or_else(|| refused("ranges in an array of no stated length"))?;
        if length % 2 == 0 || length > ELEMENTS_MAX {
            return Err(refused("ranges that are too many, or end with a cut"));
        }
        let mut tiles = Self { first: d.decode()?, rest: Vec::new() };
        for _ in 0..length / 2 {
            let cut = heard(d.bytes()?).ok_or_else(|| refused("a cut that is no key in its short form"))?;
            tiles.push(cut, d.decode()?).map_err(refused)?;
        }
        let gaps = tiles.rest.iter().filter(|(_, tile)| tile.is_none()).count();
        if tiles.rest.len() - gaps + usize::from(tiles.first.is_some()) > RANGES_MAX {
            return Err(refused("too many ranges"));
        }
        Ok(tiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn key(prefix: &[u8]) -> ItemKey {
        let mut key = ItemKey::LOWEST;
        key.0[..prefix.len()].copy_from_slice(prefix);
        key
    }

    fn range(start: &[u8], end: Option<&[u8]>, fingerprint: u32) -> RangeFingerprint {
        RangeFingerprint { start: key(start), end: end.map(key), fingerprint }
    }

    /// Ranges of one key each, each with a gap behind it, from key 1 on.
    fn scattered(count: u32) -> Vec<RangeFingerprint> {
        let at = |number: u32| key(&number.to_be_bytes());
        let ranges = (0..count).map(|number| RangeFingerprint {
            start: at(2 * number + 1),
            end: Some(at(2 * number + 2)),
            fingerprint: number,
        });
        ranges.collect()
    }

    #[test]
    fn ranges_come_back_with_and_without_gaps_between_them() {
        let lists = [
            vec![],
            vec![range(&[], None, 7)],
            vec![range(&[], Some(&[8]), 1), range(&[8], Some(&[9, 1]), 2), range(&[9, 1], None, 3)],
            vec![range(&[3], Some(&[8]), 1), range(&[8], Some(&[9]), 2), range(&[200, 0, 1], None, 0)],
            vec![range(&[1; 16], Some(&[2; 16]), u32::MAX)],
            scattered(1_024),
        ];
        for ranges in lists {
            let tiles = Tiles::of(&ranges).unwrap();
            assert_eq!(tiles.ranges(), ranges);
            assert_eq!(decode::<Tiles>(&encode(&tiles), "tiles"), Ok(tiles));
        }
    }

    #[test]
    fn ranges_that_do_not_rise_or_are_too_many_are_no_tiles() {
        for ranges in [
            vec![range(&[], None, 1), range(&[], None, 1)],
            vec![range(&[3], Some(&[5]), 1), range(&[4], Some(&[6]), 1)],
            vec![range(&[5], Some(&[6]), 1), range(&[3], Some(&[4]), 1)],
            vec![range(&[5], Some(&[5]), 1)],
            vec![range(&[5], Some(&[]), 1)],
            scattered(1_025),
        ] {
            assert_eq!(Tiles::of(&ranges), None);
        }
    }

    #[test]
    fn there_is_one_form_and_everything_else_is_refused() {
        let good = encode(&Tiles::of(&[range(&[], Some(&[8]), 1), range(&[9], None, 2)]).unwrap());
        assert_eq!(good, [0x85, 1, 0x41, 8, 0xf6, 0x41, 9, 2]);
        let refused: [(&str, &[u8]); 9] = [
            ("no tile", &[0x80]),
            ("a cut at the end", &[0x82, 1, 0x41, 8]),
            ("an empty cut", &[0x83, 1, 0x40, 2]),
            ("a zero at the end of a cut", &[0x83, 1, 0x42, 8, 0, 2]),
            ("a cut that falls", &[0x85, 1, 0x41, 8, 2, 0x41, 7, 3]),
            ("a cut that stays", &[0x85, 1, 0x41, 8, 2, 0x41, 8, 3]),
            ("two gaps", &[0x83, 0xf6, 0x41, 8, 0xf6]),
            ("a fingerprint of five bytes", &[0x81, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
            ("no stated length", &[0x9f, 1, 0xff]),
        ];
        for (what, bytes) in refused {
            assert!(decode::<Tiles>(bytes, "tiles").is_err(), "{what}");
        }
        let long = [&[0x83, 1, 0x51][..], &[1; 17], &[2]].concat();
        assert!(decode::<Tiles>(&long, "tiles").is_err(), "a cut longer than a key");
        // As many tiles as would fit with gaps between them, but without gaps.
        let many = |count: u32| {
            let cut = |number: u32| [&[0x44][..], &(256 * number + 1).to_be_bytes(), &[2]].concat();
            let length = u16::try_from(2 * count + 1).unwrap().to_be_bytes();
            [&[0x99][..], &length, &[1], &(0..count).flat_map(cut).collect::<Vec<u8>>()].concat()
        };
        assert!(decode::<Tiles>(&many(1_023), "tiles").is_ok());
        assert!(decode::<Tiles>(&many(1_024), "tiles").is_err());
    }

    #[test]
    fn parts_tile_the_range_or_are_none() {
        let whole = (key(&[4]), Some(key(&[8])));
        let parts = |cuts: &[&[u8]]| {
            Tiles::split(1, cuts.iter().map(|cut| (key(cut), 2))).parts(whole).map(|parts| parts.len())
        };
        assert_eq!(parts(&[]), Some(1));
        assert_eq!(parts(&[&[5], &[7, 9]]), Some(3));
        for outside in [&[3][..], &[4], &[8], &[9]] {
            assert_eq!(parts(&[outside]), None, "{outside:?}");
        }
        let gap = Tiles::of(&[range(&[], Some(&[5]), 1), range(&[6], None, 2)]).unwrap();
        assert_eq!(gap.parts(whole), None);
    }

    #[test]
    fn the_shortest_cut_parts_two_neighbours() {
        for (below, above, cut) in [
            (&[1, 2, 3][..], &[1, 2, 4, 9][..], &[1, 2, 4][..]),
            (&[1, 2, 3], &[200, 7], &[200]),
            (&[], &[0, 0, 1], &[0, 0, 1]),
            (&[7; 15], &[7; 16], &[7; 16]),
        ] {
            assert_eq!(cut_between(key(below), key(above)), key(cut));
        }
    }
}
