//! The operator's guide does what it says: its commands are run, in order, by one shell.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test uses the part it needs")]
mod support;

use std::path::Path;
use std::process::Command;

/// The commands of the blocks that begin with `sh`.
fn commands(guide: &str) -> String {
    let mut inside = false;
    let lines = guide.lines().filter(|line| {
        let fence = line.starts_with("```");
        if fence {
            inside = *line == "```sh";
        }
        inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_of_the_guide_works() {
    let home = tempfile::tempdir().expect("a directory");
    let script = commands(include_str!("../../docs/operating.md"));
    assert!(script.lines().count() > 25, "{script}");
    let program = Path::new(env!("CARGO_BIN_EXE_starling")).parent().expect("a directory").to_owned();
    let path = std::env::var("PATH").expect("a path");
    // Whatever happens, no node outlives the shell, and a step that hangs ends with it.
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{script}\n");
    let mut command = Command::new("timeout");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"STARLING_"))
    {
        command.env_remove(name);
    }
    command.args(["--kill-after=2", "55", "bash", "-xc", &script]);
    command.env("HOME", home.path()).env("PATH", format!("{}:{path}", program.display()));
    let ran = support::run_with_input(command, "");
    let logs =
        ["a.log", "b.log"].map(|log| std::fs::read_to_string(home.path().join(log)).unwrap_or_default());
    assert_eq!(ran.code, Some(0), "{}\n{}\n{logs:?}", ran.stdout, ran.stderr);
    for said in [
        "sound: 1 space, 1 document",
        "left; removed from this node",
        "room for",
        "signed runs",
        "identity\t",
    ] {
        assert!(ran.stdout.contains(said), "{said} is not in {}", ran.stdout);
    }
}

#[test]
fn only_blocks_of_commands_are_run() {
    assert_eq!(commands("a\n```sh\nb\nc\n```\nd\n```toml\ne\n```\n```sh\nf\n```"), "b\nc\nf");
}
