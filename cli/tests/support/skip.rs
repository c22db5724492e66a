//! Skipping what this machine cannot do, aloud and counted.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tests of this binary skipped so far.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says and counts that a test is skipped `for_want_of` something.
///
/// # Panics
/// Where `STARLING_TEST_REQUIRE`, a list with commas, names it.
pub fn skip(for_want_of: &str, reason: &str) {
    let required = std::env::var("STARLING_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|what| what.trim() == for_want_of), "{for_want_of}: {reason}");
    let skipped = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    // Past the capture of a passing test's output; the last such line has the total.
    writeln!(std::io::stderr(), "skipped {skipped} in this binary for want of {for_want_of}: {reason}")
        .expect("stderr takes a line");
}
