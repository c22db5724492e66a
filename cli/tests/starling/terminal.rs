//! A command on a terminal of its own, which `script` provides.

use std::path::Path;
use std::process::Command;

use crate::support::{Ran, run_with_input};

/// Runs `starling` with these words on a terminal of so many columns, in a directory, for the node of a data
/// directory. What it prints comes back without carriage returns.
#[track_caller]
pub fn on_terminal(words: &[&str], columns: u16, directory: &Path, data: &Path) -> Ran {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    let program = env!("CARGO_BIN_EXE_starling");
    let line = format!("stty cols {columns} rows 50; exec '{program}' {}", quoted.join(" "));
    let mut command = Command::new("script");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"STARLING_"))
    {
        command.env_remove(name);
    }
    command
        .args(["-qefc", &line, "/dev/null"])
        .current_dir(directory)
        .env("STARLING_DATA_DIR", data)
        .env("TERM", "xterm")
        .env("NO_COLOR", "1");
    let mut ran = run_with_input(command, "");
    ran.stdout = ran.stdout.replace('\r', "");
    ran
}
