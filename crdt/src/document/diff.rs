//! What differs between two sequences: Myers' greedy algorithm ("An O(ND) Difference Algorithm and
//! Its Variations", 1986) with a cap on the number of differences.

use std::ops::Range;

/// Elements `old` of the old sequence give way to elements `new` of the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// The hunks that turn `old` into `new`, in order, none touching the next. Past `edits_max`
/// insertions and deletions everything between the common beginning and end is one hunk.
pub(super) fn hunks<T: PartialEq>(old: &[T], new: &[T], edits_max: usize) -> Vec<Hunk> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    let middle = match (old_middle.len(), new_middle.len()) {
        (0, 0) => Vec::new(),
        (0, _) | (_, 0) => vec![Hunk { old: 0..old_middle.len(), new: 0..new_middle.len() }],
        _ => shortest(old_middle, new_middle, edits_max)
            .unwrap_or_else(|| vec![Hunk { old: 0..old_middle.len(), new: 0..new_middle.len() }]),
    };
    let shift = |range: Range<usize>| range.start + start..range.end + start;
    middle.into_iter().map(|hunk| Hunk { old: shift(hunk.old), new: shift(hunk.new) }).collect()
}

/// How far each diagonal was reached with a number of edits: for `edits`, the diagonals `-edits`,
/// `-edits + 2`, … `edits`, as places in the old sequence.
type Reached = Vec<usize>;

fn shortest<T: PartialEq>(old: &[T], new: &[T], edits_max: usize) -> Option<Vec<Hunk>> {
    let mut trace: Vec<Reached> = Vec::new();
    for edits in 0..=edits_max.min(old.len() + new.len()) {
        let mut reached = Vec::with_capacity(edits + 1);
        for lane in 0..=edits {
            let from = start_of(&trace, edits, lane);
            let mut x = from.filter(|x| *x <= old.len()).unwrap_or(usize::MAX);
            // Off the grid: no path comes here.
            let Some(mut y) = y_of(x, edits, lane).filter(|y| *y <= new.len()) else {
                reached.push(usize::MAX);
                continue;
            };
            while x < old.len() && y < new.len() && old[x] == new[y] {
                x += 1;
                y += 1;
            }
            reached.push(x);
            if x == old.len() && y == new.len() {
                trace.push(reached);
                return Some(walk_back(&trace, old.len(), new.len()));
            }
        }
        trace.push(reached);
    }
    None
}

/// The place in the new sequence on a diagonal: x − (2 · lane − edits).
fn y_of(x: usize, edits: usize, lane: usize) -> Option<usize> {
    x.checked_add(edits)?.checked_sub(2 * lane)
}

/// Where the path of `edits` edits enters diagonal `lane`: from the one above by an insertion, or
/// from the one below by a deletion, whichever got further.
fn start_of(trace: &[Reached], edits: usize, lane: usize) -> Option<usize> {
    let Some(before) = edits.checked_sub(1).and_then(|edits| trace.get(edits)) else {
        return Some(0);
    };
    let usable = |x: &usize| *x != usize::MAX;
    let deletion =
        lane.checked_sub(1).and_then(|lane| before.get(lane)).copied().filter(usable).map(|x| x + 1);
    let insertion = before.get(lane).copied().filter(usable);
    deletion.max(insertion)
}

fn walk_back(trace: &[Reached], old_len: usize, new_len: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut x, mut y) = (old_len, new_len);
    for edits in (1..trace.len()).rev() {
        // x − y = 2 · lane − edits.
        let lane = (x + edits - y) / 2;
        let before = &trace[edits - 1];
        let usable = |x: &usize| *x != usize::MAX;
        let deletion =
            lane.checked_sub(1).and_then(|lane| before.get(lane)).copied().filter(usable).map(|x| x + 1);
        let insertion = before.get(lane).copied().filter(usable);
        let (old, new) = if deletion > insertion {
            let entered = deletion.unwrap_or_default();
            let y = entered + edits - 2 * lane;
            (entered - 1..entered, y..y)
        } else {
            let entered = insertion.unwrap_or_default();
            let y = entered + edits - 2 * lane;
            (entered..entered, y - 1..y)
        };
        (x, y) = (old.start, new.start);
        match hunks.last_mut() {
            Some(last) if last.old.start == old.end && last.new.start == new.end => {
                last.old.start = old.start;
                last.new.start = new.start;
            }
            _ => hunks.push(Hunk { old, new }),
        }
    }
    hunks.reverse();
    hunks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(old: &[u8], new: &[u8], hunks: &[Hunk]) -> Vec<u8> {
        let mut result = Vec::new();
        let mut at = 0;
        for hunk in hunks {
            result.extend(&old[at..hunk.old.start]);
            result.extend(&new[hunk.new.clone()]);
            at = hunk.old.end;
        }
        result.extend(&old[at..]);
        result
    }

    fn cost(hunks: &[Hunk]) -> usize {
        hunks.iter().map(|hunk| hunk.old.len() + hunk.new.len()).sum()
    }

    /// Insertions and deletions needed, by dynamic programming over the longest common subsequence.
    fn least_cost(old: &[u8], new: &[u8]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (place, b) in new.iter().enumerate() {
                let above = row[place + 1];
                row[place + 1] = if a == b { diagonal + 1 } else { above.max(row[place]) };
                diagonal = above;
            }
        }
        old.len() + new.len() - 2 * row[new.len()]
    }

    #[test]
    fn past_the_cap_the_middle_is_one_hunk() {
        let hunks = hunks(b"xabcdy", b"x1234y", 4);
        assert_eq!(hunks, [Hunk { old: 1..5, new: 1..5 }]);
    }

    proptest! {
        #[test]
        fn hunks_turn_old_into_new_with_the_fewest_edits(
            old in proptest::collection::vec(0_u8..4, 0..24),
            new in proptest::collection::vec(0_u8..4, 0..24),
        ) {
            let found = hunks(&old, &new, 1_000);
            prop_assert_eq!(apply(&old, &new, &found), new.clone());
            prop_assert_eq!(cost(&found), least_cost(&old, &new));
            prop_assert!(found.windows(2).all(|pair| pair[0].old.end < pair[1].old.start
                || pair[0].new.end < pair[1].new.start));
            let capped = hunks(&old, &new, 3);
            prop_assert_eq!(apply(&old, &new, &capped), new);
        }
    }
}
