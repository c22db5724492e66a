//! Who could hear whom while several cuts stood at once: the islands of all of them together.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Band, RunRecord};

/// Colours of islands there are; more islands at one time begin again.
const COLOURS: usize = 6;

/// A time that one node spent in one island.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The row of the node.
    pub(super) row: usize,
    /// The colour of the island.
    pub(super) colour: usize,
    /// Since when.
    pub(super) from_us: u64,
    /// Until when.
    pub(super) to_us: u64,
    /// The cut that made it begin, and which end of it did.
    pub(super) begins: (usize, &'static str),
    /// The cuts that stood when it began.
    pub(super) bands: BTreeSet<usize>,
    /// Nodes of the island.
    members: BTreeSet<usize>,
}

/// Where a node stands in every cut that touches it: nodes that stand alike in all of them share an island.
type Standing = BTreeSet<(usize, usize)>;

/// The islands of each row over time; a node that no cut touches is in none.
pub(super) fn stretches(record: &RunRecord, rows: &[usize]) -> Vec<Stretch> {
    let mut edges: BTreeMap<u64, Vec<(usize, &'static str)>> = BTreeMap::new();
    for (index, band) in record.bands.iter().enumerate() {
        edges.entry(band.from_us).or_default().push((index, "from_us"));
        edges.entry(band.to_us).or_default().push((index, "to_us"));
    }
    let times: Vec<u64> = edges.keys().copied().collect();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    let mut known: BTreeMap<BTreeSet<usize>, usize> = BTreeMap::new();
    let mut last: BTreeMap<usize, Stretch> = BTreeMap::new();
    let mut done = Vec::new();
    for (place, (at, here)) in edges.iter().enumerate() {
        for (band, end) in here {
            if *end == "from_us" {
                open.insert(*band)
            } else {
                open.remove(band)
            };
        }
        // A cut that was over at once stands for no time.
        open.retain(|band| record.bands[*band].to_us > *at);
        let to_us = times.get(place + 1).copied().unwrap_or(*at);
        let islands = coloured(islands(record, &open), &mut known);
        for (row, node) in rows.iter().enumerate() {
            let found = islands.iter().find(|(members, _)| members.contains(node));
            let before = last.remove(&row);
            let now = found.map(|(members, colour)| match before.clone() {
                Some(same) if same.members == *members => Stretch { to_us, ..same },
                _ => Stretch {
                    row,
                    colour: *colour,
                    from_us: *at,
                    to_us,
                    begins: here[0],
                    bands: open.clone(),
                    members: members.clone(),
                },
            });
            let went_on =
                now.as_ref().zip(before.as_ref()).is_some_and(|(now, was)| now.from_us == was.from_us);
            done.extend(before.filter(|_| !went_on));
            last.extend(now.map(|now| (row, now)));
        }
    }
    done.extend(last.into_values());
    done.sort_by_key(|stretch| (stretch.from_us, stretch.row));
    done
}

/// The islands that the open cuts leave, by their nodes.
fn islands(record: &RunRecord, open: &BTreeSet<usize>) -> Vec<BTreeSet<usize>> {
    let mut standings: BTreeMap<usize, Standing> = BTreeMap::new();
    for index in open {
        let band = &record.bands[*index];
        for (side, nodes) in band.sides.iter().enumerate() {
            for node in nodes {
                // Nodes that stand alone hear not even each other.
                let side = if is_alone(band) { *node as usize } else { side };
                standings.entry(*node as usize).or_default().insert((*index, side));
            }
        }
    }
    let mut islands: BTreeMap<Standing, BTreeSet<usize>> = BTreeMap::new();
    for (node, standing) in standings {
        islands.entry(standing).or_default().insert(node);
    }
    let mut islands: Vec<_> = islands.into_values().collect();
    islands.sort();
    islands
}

/// Whether a cut leaves each of its nodes alone: it has one side, which nobody else is cut from.
fn is_alone(band: &Band) -> bool {
    band.sides.len() == 1 || band.words.starts_with("isolate")
}

/// A colour for each island: the one it had before if no other has it now.
fn coloured(
    islands: Vec<BTreeSet<usize>>,
    known: &mut BTreeMap<BTreeSet<usize>, usize>,
) -> Vec<(BTreeSet<usize>, usize)> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let kept = islands.iter().map(|island| known.get(island).copied().filter(|colour| taken.insert(*colour)));
    let kept: Vec<Option<usize>> = kept.collect();
    let mut next = 0;
    let islands = islands.into_iter().zip(kept).map(|(island, kept)| {
        let colour = kept.unwrap_or_else(|| {
            let free = (0..COLOURS).find(|colour| taken.insert(*colour));
            free.unwrap_or_else(|| {
                next += 1;
                (next - 1) % COLOURS
            })
        });
        known.insert(island.clone(), colour);
        (island, colour)
    });
    islands.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bands: &[(u64, u64, &[&[u32]])]) -> RunRecord {
        let band = |(from_us, to_us, sides): &(u64, u64, &[&[u32]])| Band {
            from_us: *from_us,
            to_us: *to_us,
            sides: sides.iter().map(|side| side.to_vec()).collect(),
            ..Band::default()
        };
        RunRecord { bands: bands.iter().map(band).collect(), ..RunRecord::default() }
    }

    /// The colours of all rows at a time; none where no cut touches the node.
    fn colours(record: &RunRecord, nodes: usize, at: u64) -> Vec<Option<usize>> {
        let all = stretches(record, &(0..nodes).collect::<Vec<_>>());
        let of = |row: usize| {
            all.iter().find(|one| one.row == row && one.from_us <= at && at < one.to_us).map(|one| one.colour)
        };
        (0..nodes).map(of).collect()
    }

    #[test]
    fn cuts_that_overlap_leave_the_islands_of_both() {
        let record = record(&[(10, 40, &[&[0], &[1, 2, 3]]), (20, 30, &[&[3], &[0, 1, 2]])]);
        let one = colours(&record, 4, 15);
        assert!(one[0] != one[1] && one[1] == one[2] && one[2] == one[3], "{one:?}");
        let both = colours(&record, 4, 25);
        assert!(both[1] == both[2], "{both:?}");
        assert_eq!(both.iter().collect::<BTreeSet<_>>().len(), 3, "{both:?}");
        assert_eq!(colours(&record, 4, 35), one, "an island keeps its colour");
        assert_eq!(colours(&record, 4, 45), [None; 4]);
    }

    #[test]
    fn nodes_that_are_isolated_do_not_hear_each_other() {
        let record = record(&[(0, 10, &[&[0, 1]])]);
        let seen = colours(&record, 3, 5);
        assert!(seen[0] != seen[1] && seen[2].is_none(), "{seen:?}");
    }

    #[test]
    fn what_another_cut_does_not_change_is_one_stretch() {
        let record = record(&[(0, 40, &[&[0], &[1, 2]]), (10, 20, &[&[1], &[2]])]);
        let all = stretches(&record, &[0, 1, 2]);
        assert_eq!(all.iter().filter(|one| one.row == 0).count(), 1, "{all:?}");
        assert_eq!(all.iter().filter(|one| one.row == 1).count(), 3, "{all:?}");
    }
}
