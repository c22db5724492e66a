//! Chance: seeded streams of draws, one for each (seed, purpose, node, counter).
//!
//! Promises: a stream depends on its key alone, never on what was drawn elsewhere, so removing one
//! fault from a scenario moves no draw of anything else; integers only, so every machine draws alike.

/// What a draw is for. The number is part of the stream's key and never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// How long a packet takes.
    Latency = 1,
    /// Whether a packet is lost, and how often.
    Loss = 2,
    /// Which neighbours a node takes into its gossip mesh.
    Mesh = 3,
    /// Whom a node offers what it has seen.
    Lazy = 4,
    /// When a dead connection is noticed.
    Detection = 5,
    /// The generator handed to a replica.
    Replica = 6,
    /// Incarnation nonces, the part of the operating system.
    Nonce = 7,
    /// Ids of stores.
    StoreId = 8,
    /// Identities.
    Identity = 9,
    /// The phase of a node's timers.
    Phase = 10,
    /// What survives a crash of the disk.
    Disk = 11,
    /// The workload.
    Workload = 12,
    /// Which nodes a fault hits, and when.
    Fault = 13,
    /// What a hostile peer does.
    Hostile = 14,
    /// Whether a message is delivered twice.
    Duplicate = 15,
    /// Whether a message is overtaken.
    Reorder = 16,
    /// Whether a frame is damaged.
    Corrupt = 17,
    /// The topology.
    Topology = 18,
    /// Clocks.
    Clock = 19,
    /// Which bytes of a disk rot.
    Rot = 20,
}

/// The source of all streams of a run.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    seed: u64,
}

impl Chance {
    /// The source for a run.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream of one key.
    pub fn stream(&self, purpose: Purpose, node: u64, counter: u64) -> Draws {
        let keyed = [purpose as u64, node, counter].iter().fold(finish(self.seed), |state, part| {
            finish(state.rotate_left(23) ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        });
        Draws(keyed)
    }

    /// 32 bytes of one key.
    pub fn bytes(&self, purpose: Purpose, node: u64, counter: u64) -> [u8; 32] {
        let mut draws = self.stream(purpose, node, counter);
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&draws.next().to_be_bytes());
        }
        bytes
    }
}

fn finish(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of draws (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Draws(u64);

/// Quantiles of the exponential distribution with mean 1,024, at 0/16 to 15/16 and 255/256.
const EXPONENTIAL: [u64; 17] =
    [0, 66, 137, 213, 295, 384, 481, 589, 710, 847, 1_004, 1_191, 1_420, 1_714, 2_129, 2_839, 5_678];

impl Draws {
    /// The next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "a stream of draws never ends, an iterator may")]
    pub fn next(&mut self) -> u64 {
        let value = finish(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        value
    }

    /// A number below `bound`; zero when that is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a product of 64 bits is far below what any run could notice.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `ppm` cases of a million.
    pub fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// An exponential draw with this mean, cut off at 5.5 times the mean, from a table of quantiles:
    /// a logarithm would not be the same on every machine.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let draw = self.next();
        let (step, part) = ((draw >> 60) as usize, (draw >> 44) & 0xffff);
        let (low, high) = (EXPONENTIAL[step], EXPONENTIAL[step + 1]);
        let quantile = low * 65_536 + (high - low) * part;
        ((u128::from(quantile) * u128::from(mean)) >> 26) as u64
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end as u64 + 1) as usize;
            items.swap(end, other);
        }
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_keys_do_not_touch() {
        let chance = Chance::new(7);
        let first = chance.stream(Purpose::Loss, 3, 9).next();
        for (purpose, node, counter) in
            [(Purpose::Latency, 3, 9), (Purpose::Loss, 4, 9), (Purpose::Loss, 3, 10)]
        {
            assert_ne!(first, chance.stream(purpose, node, counter).next());
        }
        assert_eq!(first, Chance::new(7).stream(Purpose::Loss, 3, 9).next());
        assert_ne!(first, Chance::new(8).stream(Purpose::Loss, 3, 9).next());
    }

    #[test]
    fn draws_have_the_means_they_claim() {
        let mut draws = Chance::new(1).stream(Purpose::Latency, 0, 0);
        let count = 100_000;
        let below: u64 = (0..count).map(|_| draws.below(1_000)).sum();
        assert!((490..510).contains(&(below / count)), "{}", below / count);
        let exponential: u64 = (0..count).map(|_| draws.exponential(10_000)).sum();
        assert!((9_300..10_700).contains(&(exponential / count)), "{}", exponential / count);
        let hits = (0..count).filter(|_| draws.happens(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
    }
}
