//! Random draws that are the same on every machine (SplitMix64, Steele, Lea and Flood, 2014).

#![allow(dead_code, reason = "each test uses the part it needs")]

use sha2::{Digest, Sha256};

/// A sequence that follows from its seed.
pub struct Draws(pub u64);

impl Draws {
    /// Draws that follow from all of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = <[u8; 32]>::from(Sha256::digest(bytes));
        Self(hash.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_be_bytes()[0])
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
