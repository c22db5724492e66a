//! A set of small ids in one word: ordered, copied by value, without hashing.
//!
//! The model numbers statements, changes, proofs and keys from zero and never holds more than
//! [`SET_IDS_MAX`] of a kind, which [`Set::with`] asserts.

use std::fmt;

/// How many ids of one kind a [`Set`] can name: the bits of a word.
pub const SET_IDS_MAX: usize = 64;

/// A set of ids below [`SET_IDS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Set(u64);

impl Set {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// The set of the ids `0..count`.
    #[must_use]
    pub fn below(count: usize) -> Self {
        (0..count).fold(Self::EMPTY, Self::with)
    }

    /// The set with one member.
    #[must_use]
    pub fn one(id: usize) -> Self {
        Self::EMPTY.with(id)
    }

    /// This set and `id`.
    #[must_use]
    pub fn with(self, id: usize) -> Self {
        assert!(id < SET_IDS_MAX, "the model numbers at most {SET_IDS_MAX} records of a kind");
        Self(self.0 | 1 << id)
    }

    /// This set without `id`.
    #[must_use]
    pub fn without(self, id: usize) -> Self {
        self.minus(Self::one(id))
    }

    /// Whether `id` is a member.
    #[must_use]
    pub fn contains(self, id: usize) -> bool {
        id < SET_IDS_MAX && self.0 >> id & 1 == 1
    }

    /// Members of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members of both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Members of this set that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether every member is in `other`.
    #[must_use]
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many members there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The members, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let id = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                id
            })
        })
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(ids: I) -> Self {
        ids.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
