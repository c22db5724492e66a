//! The commands of `sim`, as a library: `starling sim` and `starling-sim` are the same.
//!
//! What they promise: exit 0 if everything held, 8 if something did not, 1 if that could not be told,
//! 2 for a wrong call or a scenario that does not load, 3 for a scenario that is not there. Output
//! goes to `out`; progress and where files were written to `err`.

mod keep;
mod lint;
mod run;
mod stored;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

pub use run::{RunArgs, Seeds};

/// What `sim` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum SimCommand {
    /// Runs scenarios and judges them.
    Run(RunArgs),
    /// Checks scenario files; says file, line, column and what would be right.
    Lint {
        /// Files, or names of shipped scenarios.
        #[arg(required_unless_present = "schema")]
        scenarios: Vec<PathBuf>,
        /// Prints the JSON Schema of scenario files instead.
        #[arg(long)]
        schema: bool,
    },
    /// Lists the shipped scenarios and what each teaches.
    List,
    /// Writes a scenario to begin with.
    New {
        /// The file to write; it must not exist.
        file: PathBuf,
        /// A shipped scenario to copy; without it, a short one with a word on every part.
        #[arg(long, value_name = "NAME")]
        from: Option<String>,
    },
    /// Runs a stored run again and compares the trace.
    Replay {
        /// A file that `sim run` stored: one that did not hold, or any with --out or --report.
        #[arg(value_name = "RUN")]
        run: PathBuf,
    },
    /// Makes the HTML report of a stored run.
    Report {
        /// A file that `sim run` stored: one that did not hold, or any with --out or --report.
        #[arg(value_name = "RUN")]
        run: PathBuf,
        /// Where to write it. Default: beside the run.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Says who missed what, since when, because of which fault.
    Explain {
        /// A file that `sim run` stored: one that did not hold, or any with --out or --report.
        #[arg(value_name = "RUN")]
        run: PathBuf,
    },
}

/// How output looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people and pipes.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Where output goes and what it may look like.
pub struct Console<'a> {
    /// Data.
    pub out: &'a mut dyn Write,
    /// Progress and complaints.
    pub err: &'a mut (dyn Write + Send),
    /// How data looks.
    pub format: OutputFormat,
    /// Whether `out` is coloured.
    pub colour: crate::report::terminal::Colour,
    /// Whether `err` is a terminal, on which progress is shown.
    pub progress: bool,
    /// What the user calls this program, for the commands it prints: `starling sim`.
    pub program: &'static str,
}

/// Everything held.
const HELD: u8 = 0;
/// This process failed, or a run could not tell.
const FAILED: u8 = 1;
/// A wrong call, or a scenario that does not load.
const USAGE: u8 = 2;
/// There is no such scenario.
const NOT_FOUND: u8 = 3;
/// A check failed.
const CHECK_FAILED: u8 = 8;

/// Does what `command` says and returns the exit code.
///
/// # Errors
/// If output cannot be written.
pub fn execute(command: &SimCommand, console: &mut Console<'_>) -> io::Result<u8> {
    match command {
        SimCommand::Run(args) => run::run(args, console),
        SimCommand::Lint { schema: true, .. } => {
            writeln!(console.out, "{:#}", crate::scenario::schema::schema())?;
            Ok(HELD)
        }
        SimCommand::Lint { scenarios, .. } => lint::lint(scenarios, console),
        SimCommand::List => lint::list(console),
        SimCommand::New { file, from } => lint::new(file, from.as_deref(), console),
        SimCommand::Replay { run } => stored::replay(run, console),
        SimCommand::Report { run, out } => stored::report(run, out.as_deref(), console),
        SimCommand::Explain { run } => stored::explain(run, console),
    }
}
