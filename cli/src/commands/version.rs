//! `starling version`

use std::io;

use clap::Args;

use crate::failure::Outcome;
use crate::output::Output;
use starling_api::ExitCode as Exit;

/// Print the version.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {}

pub(crate) fn run(out: &mut Output) -> Outcome {
    print(out)?;
    Ok(Exit::Done)
}

fn print(out: &mut Output) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if out.is_json() {
        return out.json(&serde_json::json!({ "name": "starling", "version": version }));
    }
    out.line(&format!("starling {version}"))
}
