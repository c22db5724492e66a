//! Inputs kept in files, and targets run on them, for the ordinary tests: what libFuzzer found worth keeping
//! (`fuzz/corpus`), and what once failed (`fuzz/found`).

#![allow(dead_code, reason = "each user takes the part it needs")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A target: any bytes in, a panic where something that must hold does not.
pub type Body = fn(&[u8]);

/// A file's name, and what is in it.
pub type Input = (String, Vec<u8>);

/// The directory of the fuzz targets: every member that uses this lies beside it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The files of a directory, in order of name.
///
/// # Errors
/// When there are none, since then nothing would be replayed.
pub fn files(directory: &Path) -> Result<Vec<Input>, String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut inputs = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        inputs.push((name, fs::read(&path).expect("a file")));
    }
    inputs.sort();
    if inputs.is_empty() { Err(format!("{} is empty", directory.display())) } else { Ok(inputs) }
}

/// Inputs of a target that once failed; mostly none.
pub fn found(target: &str) -> Vec<Input> {
    files(&root().join("found").join(target)).unwrap_or_default()
}

/// The corpus of a target.
///
/// # Panics
/// When there is none.
pub fn corpus(target: &str) -> Vec<Input> {
    files(&root().join("corpus").join(target)).unwrap_or_else(|why| panic!("no corpus: {why}"))
}

/// Runs a target on one input; what it said and the input in hex, if it failed.
pub fn tried(run: Body, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| run(input))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}\n{hex}", said.unwrap_or_default())
    })
}

/// Runs a target on every input kept for it, and gives them.
///
/// # Panics
/// When one fails, or there are none.
pub fn replayed(target: &str, run: Body) -> Vec<Vec<u8>> {
    let inputs = corpus(target).into_iter().chain(found(target));
    let replay = |(name, input): Input| {
        tried(run, &input).unwrap_or_else(|why| panic!("{target}, {name}: {why}"));
        input
    };
    inputs.map(replay).collect()
}

/// Every input that once failed is explained by name in the README beside it.
pub fn unexplained(target: &str) -> Vec<String> {
    let explained = fs::read_to_string(root().join("found/README.md")).expect("it explains what was found");
    let names = found(target).into_iter().map(|(name, _)| format!("{target}/{name}"));
    names.filter(|name| !explained.contains(name.as_str())).collect()
}
