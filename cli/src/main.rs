//! `starling`: run a node, and talk to one.
//!
//! Promises: what SURFACE says of commands, output and exit codes. Only `commands/up.rs` and
//! `commands/offline/` know the node and the core; everything else talks to a running node through
//! `starling-api`, as any other program would.

mod args;
mod backoff;
mod commands;
mod connect;
mod demo;
mod escape;
mod failure;
mod import;
mod output;
mod wrap;

use std::io;
use std::process::ExitCode;

use mimalloc::MiMalloc;
use starling_api::ExitCode as Exit;

/// A node and a simulation allocate much and small; see `docs/performance.md`.
#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures; a closed pipe while printing them is none either.
            let _ = error.print();
            if let Some(variable) = args::variable_at_fault(&error) {
                output::note(&format!("the value comes from {variable}"));
            }
            return u8::try_from(error.exit_code()).map_or_else(|_| Exit::Usage.into(), ExitCode::from);
        }
    };
    let format = cli.global.output;
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Nobody is left to tell when stderr is closed.
            let _ = failure.write(&mut io::stderr().lock(), format, output::stderr_colour());
            failure.exit().into()
        }
    }
}
