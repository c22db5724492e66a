//! The fuzz targets of the tests, run by libFuzzer. What each of them does stands in `crdt/tests/fuzzed` and
//! `simulations/tests/fuzzed`, where the ordinary tests run it on what is kept in `fuzz/corpus`.

#[path = "../../crdt/tests/draws/mod.rs"]
mod draws;
#[path = "../../crdt/tests/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../../crdt/tests/mesh/mod.rs"]
mod mesh;
#[path = "../../crdt/tests/messages/mod.rs"]
mod messages;
#[path = "../../simulations/tests/fuzzed/mod.rs"]
mod scenarios;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

pub use libfuzzer_sys;

static HOOK: Once = Once::new();

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the target of this name on one input, and ends the process if it fails.
///
/// A panic that the program catches is no failure: libFuzzer's own hook would end the process at every one.
///
/// # Panics
/// When there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    HOOK.call_once(|| set_hook(Box::new(|panic| SAID.with(|said| *said.borrow_mut() = panic.to_string()))));
    let mut targets = fuzzed::TARGETS.into_iter().chain(scenarios::TARGETS);
    let (_, body) = targets.find(|(target, _)| *target == name).expect("a target");
    if catch_unwind(AssertUnwindSafe(|| body(bytes))).is_err() {
        SAID.with(|said| eprintln!("{name}: {}", said.borrow()));
        std::process::abort();
    }
}

/// A target by name, as libFuzzer calls it.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { $crate::run($name, bytes) });
    };
}
