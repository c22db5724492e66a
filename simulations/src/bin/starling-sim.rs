//! `starling-sim`: the simulator without the node, for machines that only rehearse.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use starling_simulations::command::{Console, OutputFormat, SimCommand, execute};
use starling_simulations::report::terminal::Colour;

// About a quarter of a run is allocation: 50 nodes took 93 s with this one and 129 s without.
#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

/// Rehearses partitions, crashes and hostile peers with the code of Starling.
#[derive(Debug, Parser)]
#[command(
    name = "starling-sim",
    version,
    after_help = "Exit codes: 0 everything held, 8 something did not, 1 the run could not tell, 2 wrong usage, 3 not found."
)]
struct Arguments {
    #[command(subcommand)]
    command: SimCommand,
    /// How output looks.
    #[arg(long, global = true, value_enum, default_value_t, env = "STARLING_OUTPUT", value_name = "FORMAT")]
    output: OutputFormat,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let coloured =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let progress = io::stderr().is_terminal();
    let mut console = Console {
        out: &mut io::stdout().lock(),
        err: &mut io::stderr(),
        format: arguments.output,
        colour: if coloured { Colour::On } else { Colour::Off },
        progress,
        program: "starling-sim",
    };
    match execute(&arguments.command, &mut console) {
        Ok(code) => code.into(),
        // Nobody listens any more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write output: {error}");
            ExitCode::FAILURE
        }
    }
}
