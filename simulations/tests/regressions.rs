//! What the simulator once found runs for ever: every file of `simulations/regressions/` holds.
//!
//! Each is a whole scenario with the seed that showed the fault, and says in its first lines what was
//! wrong.

use std::path::{Path, PathBuf};

use starling_simulations::record::Verdict;
use starling_simulations::runner::Stage;
use starling_simulations::scenario::load;

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(directory).expect("the directory of regressions");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

#[test]
fn everything_that_was_once_found_holds() {
    let files = files();
    assert!(!files.is_empty(), "no regression is stored");
    for file in files {
        let loaded = load(&file).unwrap_or_else(|complaints| panic!("{}: {complaints:?}", file.display()));
        let stage = Stage::new(&loaded.scenario).expect("a fleet");
        let record = stage.run(loaded.scenario.seed).expect("a run");
        assert_eq!(
            record.verdict,
            Verdict::Held,
            "{}: {:?} {:?}",
            file.display(),
            record.violations,
            record.undecided
        );
    }
}

#[test]
fn every_regression_says_what_was_wrong() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        assert!(text.starts_with("# "), "{} does not say what it shows", file.display());
    }
}
