//! Bytes as decisions: what a fuzzer varies, spent one by one, and what follows from all of them.

use sha2::{Digest, Sha256};

/// Decisions made by bytes. Once they are spent every further one is the first that there is.
pub struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub fn are_spent(&self) -> bool {
        self.0.is_empty()
    }

    pub fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`; one byte decides unless `bound` is more than a byte can say.
    pub fn below(&mut self, bound: usize) -> usize {
        let high = if bound > 256 { usize::from(self.next()) << 8 } else { 0 };
        (high | usize::from(self.next())) % bound.max(1)
    }

    /// Something rare, which never happens once the bytes are spent.
    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) + 1 == chances
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// Up to `length` bytes as they are.
    pub fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// SplitMix64: a seed gives one sequence on every machine.
pub struct Dice(pub u64);

impl Dice {
    /// Dice that fall as all of these bytes say.
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

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[0]).collect()
    }
}
