//! How often something took how long, in bounded memory.
//!
//! Promises: a quantile is at most four percent above the time it stands for, and never below; the
//! maximum is exact. Leaves out: what the times are of.

/// Each power of two is divided into so many equal steps, which bounds the error.
const STEPS: u64 = 64;

/// Steps below which every value has its own, and those of all greater powers of two.
const BUCKETS: usize = (STEPS + (64 - 6) * STEPS / 2) as usize;

/// A histogram of whole numbers.
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
        self.max = self.max.max(value);
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub(super) const fn max(&self) -> u64 {
        self.max
    }

    /// The least value that at least this share of all values does not exceed; 0 for none at all.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        // A count of values is far below where floats lose whole numbers.
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return greatest(place).min(self.max);
            }
        }
        self.max
    }
}

/// Values below [`STEPS`] stand alone. Of the others the highest bit and the five after it count.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - (STEPS / 2).ilog2();
    let step = (value >> shift) - STEPS / 2;
    (STEPS + u64::from(shift - 1) * (STEPS / 2) + step) as usize
}

/// The greatest value of a bucket.
fn greatest(place: usize) -> u64 {
    let place = place as u64;
    if place < STEPS {
        return place;
    }
    let shift = (place - STEPS) / (STEPS / 2) + 1;
    let step = (place - STEPS) % (STEPS / 2) + STEPS / 2;
    // The last bucket ends where 64 bits do.
    u64::try_from(((u128::from(step) + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_close_to_its_end() {
        let values = (0..4_096).chain((0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for value in values.chain([u64::MAX]) {
            let end = greatest(bucket(value));
            assert!(end >= value && (end - value) as f64 <= value as f64 / 31.0, "{value} ends at {end}");
            assert!(bucket(value) < BUCKETS);
        }
    }

    #[test]
    fn quantiles_of_known_values_are_known() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (0, 0));
        (1..=50).for_each(|value| histogram.add(value));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.99), histogram.max()), (25, 50, 50));
        let mut other = Histogram::default();
        (0..50).for_each(|_| other.add(1_000_000));
        histogram.join(&other);
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.51)), (50, 1_000_000));
    }
}
