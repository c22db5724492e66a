//! What happened last, and when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The last of its kind. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Lately<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for Lately<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Lately<T> {
    /// It happened now.
    pub(super) fn note(&self, what: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), what));
    }

    /// How long ago it happened, and what it was; nothing if it never did.
    pub(super) fn last(&self) -> Option<(Duration, T)> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(at, what)| (at.elapsed(), what.clone()))
    }
}
