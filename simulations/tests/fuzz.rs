//! The fuzz target of scenario files on its corpus, on what was found, and on every file there is.

mod fuzzed;
#[path = "../../fuzz/src/kept.rs"]
mod kept;

use std::path::Path;

use fuzzed::TARGETS;

#[test]
fn scenario_files() {
    let (target, run) = TARGETS[0];
    for place in ["scenarios", "regressions", "tests"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                run(&std::fs::read(&path).expect("a file"));
            }
        }
    }
    kept::replayed(target, run);
    assert_eq!(kept::unexplained(target), Vec::<String>::new(), "fuzz/found/README.md says what it was");
}
