//! Cuts: which node's frames reach which other node, while a partition is there.

use std::collections::BTreeMap;

/// How the sides of a cut hear each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hearing {
    /// Sides hear nothing of each other. A node of several sides hears all of them.
    Apart,
    /// The first side hears nothing from the second.
    OneWay,
    /// Sides stand in a ring and hear their neighbours only.
    Ring,
    /// Who is on a side hears nobody, whichever side.
    Alone,
}

/// One cut.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The number of its fault.
    pub fault: usize,
    /// How its sides hear each other.
    pub hearing: Hearing,
    /// The sides as bits for each node; nodes that are absent hear everyone.
    sides: BTreeMap<usize, u64>,
    ring: u32,
}

/// Sides one cut may have: one bit each.
pub const SIDES_MAX: usize = 64;

impl Cut {
    /// A cut into `sides`, at most [`SIDES_MAX`] of them.
    pub fn new(fault: usize, hearing: Hearing, sides: &[Vec<usize>]) -> Self {
        let mut bits: BTreeMap<usize, u64> = BTreeMap::new();
        for (side, nodes) in sides.iter().take(SIDES_MAX).enumerate() {
            for node in nodes {
                *bits.entry(*node).or_default() |= 1 << side;
            }
        }
        Self { fault, hearing, sides: bits, ring: sides.len().min(SIDES_MAX) as u32 }
    }

    /// Lets a node hear and be heard again.
    pub fn release(&mut self, node: usize) {
        self.sides.remove(&node);
    }

    /// Whether frames from one node do not reach another.
    pub fn blocks(&self, from: usize, to: usize) -> bool {
        let side = |node: usize| self.sides.get(&node).copied().unwrap_or(0);
        let (from, to) = (side(from), side(to));
        match self.hearing {
            Hearing::Alone => from | to != 0,
            _ if from == 0 || to == 0 => false,
            Hearing::Apart => from & to == 0,
            Hearing::OneWay => from & 1 == 0 && to & 1 == 1,
            Hearing::Ring => {
                let distance = from.trailing_zeros().abs_diff(to.trailing_zeros());
                distance.min(self.ring - distance) > 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(hearing: Hearing, sides: &[Vec<usize>], nodes: usize) -> Vec<(usize, usize)> {
        let cut = Cut::new(0, hearing, sides);
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        pairs.filter(|(from, to)| from != to && cut.blocks(*from, *to)).collect()
    }

    #[test]
    fn each_shape_blocks_exactly_its_links() {
        let halves = blocked(Hearing::Apart, &[vec![0], vec![1]], 3);
        assert_eq!(halves, [(0, 1), (1, 0)]);
        let bridge = blocked(Hearing::Apart, &[vec![0, 2], vec![1, 2]], 3);
        assert_eq!(bridge, [(0, 1), (1, 0)]);
        assert_eq!(blocked(Hearing::OneWay, &[vec![0], vec![1]], 3), [(1, 0)]);
        let ring = blocked(Hearing::Ring, &[vec![0], vec![1], vec![2], vec![3]], 4);
        assert_eq!(ring, [(0, 2), (1, 3), (2, 0), (3, 1)]);
        assert_eq!(blocked(Hearing::Alone, &[vec![0]], 3), [(0, 1), (0, 2), (1, 0), (2, 0)]);
    }

    #[test]
    fn a_released_node_is_heard_again() {
        let mut cut = Cut::new(0, Hearing::Apart, &[vec![0], vec![1]]);
        cut.release(1);
        assert!(!cut.blocks(0, 1) && !cut.blocks(1, 0));
    }
}
