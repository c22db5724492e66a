//! Bytes as decisions: what a fuzzer varies, spent one by one.

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
