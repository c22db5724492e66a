//! Whether the memory for built documents is too small for those in use.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Documents built again within [`SPAN`], although they had been dropped for room, from which memory counts as too
/// small. A few are the end of a long reading meeting its beginning.
const AGAIN_MANY: u64 = 16;

/// See [`AGAIN_MANY`].
const SPAN: Duration = Duration::from_secs(60);

/// See the module. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shortage(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// When the present span began, and how many had been built again then.
    span: Option<(Instant, u64)>,
    last: Option<Instant>,
}

impl Shortage {
    /// So many documents have been built again so far.
    pub(super) fn look(&self, again: u64) {
        self.look_at(again, Instant::now());
    }

    fn look_at(&self, again: u64, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = *seen.span.get_or_insert((now, 0));
        let many = again.saturating_sub(before) >= AGAIN_MANY;
        if many {
            seen.last = Some(now);
        }
        if many || now.saturating_duration_since(since) >= SPAN {
            seen.span = Some((now, again));
        }
    }

    /// How long ago memory was too small; nothing if it never was.
    pub(super) fn last(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.map(|at| at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_too_small_where_many_are_built_again_within_a_minute_and_not_where_few_are() {
        let start = Instant::now();
        let shortage = Shortage::default();
        let look = |seconds, again| {
            shortage.look_at(again, start + Duration::from_secs(seconds));
            shortage.last().is_some()
        };
        for minute in 0..20 {
            assert!(!look(60 * minute, minute * (AGAIN_MANY - 1)), "a few in minute {minute}");
        }
        assert!(!look(1_150, 19 * (AGAIN_MANY - 1) + 1));
        assert!(look(1_151, 19 * (AGAIN_MANY - 1) + AGAIN_MANY));
    }
}
