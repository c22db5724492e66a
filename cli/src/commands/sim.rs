//! `starling sim`: the simulator, in this binary so that what is rehearsed is what runs.

use std::io::{self, IsTerminal};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_simulations::command::{Console, OutputFormat, SimCommand, execute};
use starling_simulations::report::terminal::Colour;

use crate::failure::Outcome;
use crate::output::Output;

/// Rehearse partitions, crashes and hostile peers with the code of this binary.
#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    command: SimCommand,
}

pub(crate) fn run(args: &SimArgs, out: &Output) -> Outcome {
    let mut console = Console {
        out: &mut io::stdout().lock(),
        err: &mut io::stderr(),
        format: if out.is_json() { OutputFormat::Json } else { OutputFormat::Table },
        colour: if out.is_coloured() { Colour::On } else { Colour::Off },
        progress: io::stderr().is_terminal(),
        program: "starling sim",
    };
    Ok(match execute(&args.command, &mut console)? {
        0 => Exit::Done,
        2 => Exit::Usage,
        3 => Exit::NotFound,
        8 => Exit::CheckFailed,
        _ => Exit::Failed,
    })
}
