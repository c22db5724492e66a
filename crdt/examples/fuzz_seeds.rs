//! Writes good inputs for the fuzz targets of this crate: `cargo run -p starling-crdt --example fuzz_seeds -- fuzz/seeds`
//! makes a directory for each target there.

#[path = "../tests/draws/mod.rs"]
mod draws;
#[path = "../tests/fuzzed/mod.rs"]
mod fuzzed;
#[path = "../tests/mesh/mod.rs"]
mod mesh;
#[path = "../tests/messages/mod.rs"]
mod messages;

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::args_os().nth(1).map(PathBuf::from);
    let root = root.ok_or_else(|| io::Error::other("say into which directory"))?;
    for (target, _) in fuzzed::TARGETS {
        let directory = root.join(target);
        fs::create_dir_all(&directory)?;
        for (number, seed) in fuzzed::seeds::of(target).into_iter().enumerate() {
            fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
