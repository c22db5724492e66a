//! What is fuzzed here: scenario files.

use starling_simulations::scenario::{NODES_MAX, load_text};

/// A target: its name, which is also that of its corpus, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: [Target; 1] = [("scenario", scenario)];

/// What loads can be written out, loads again and is the same; what does not has a reason.
pub fn scenario(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match load_text("fuzzed.toml", text, None) {
        Ok(loaded) => {
            let again = load_text("fuzzed.toml", &loaded.toml, None).expect("what is written can be read");
            assert_eq!(again.scenario, loaded.scenario);
            assert_eq!((again.toml, again.digest), (loaded.toml, loaded.digest));
            assert!((1..=NODES_MAX as usize).contains(&loaded.scenario.nodes().len()));
        }
        Err(complaints) => {
            assert!(!complaints.is_empty());
            assert!(complaints.iter().all(|complaint| !complaint.words.is_empty()));
        }
    }
}
