//! `starling diff`

use std::io;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::past::{Diff, DiffQuery, Difference, PatchOp};

use crate::args::Global;
use crate::commands::moment;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output};

/// Show what differs between two states of a document.
///
/// A state is named by heads (unique beginnings of four digits or more will do; several are separated by
/// commas), by a time, which is judged by what authors claim, by a span such as 24h for so long ago, or by
/// `now`.
/// With `--output json` a JSON Patch (RFC 6902) that turns the one state into the other.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The document's name.
    doc: String,
    /// The state to start from.
    #[arg(value_name = "FROM", value_parser = moment::state)]
    from: String,
    /// The state to compare with; now, unless given.
    #[arg(value_name = "TO", value_parser = moment::state)]
    to: Option<String>,
    /// End with exit code 8 if anything differs.
    #[arg(long)]
    fail_if_any: bool,
}

pub(crate) async fn run(global: &Global, args: DiffArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let query = DiffQuery { from: args.from, to: args.to };
    let diff = session.client.diff(&space, &args.doc, &query).await?;
    print_all(&diff, out)?;
    if args.fail_if_any && !diff.patch.is_empty() {
        out.flush()?;
        return Err(Failure::new(Exit::CheckFailed, "differences-found", "the two states differ")
            .because(format!("{} places differ", diff.patch.len())));
    }
    Ok(Exit::Done)
}

/// A JSON Patch in JSON, else the places in order.
pub(crate) fn print_all(diff: &Diff, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        let patch = diff.patch.iter().map(|found| Difference { before: None, ..found.clone() });
        return out.json(&patch.collect::<Vec<_>>());
    }
    diff.patch.iter().try_for_each(|found| print(found, out))
}

/// What is gone on one line, what is new on the next; in a pipe, too.
fn print(found: &Difference, out: &mut Output) -> io::Result<()> {
    let path = if found.path.is_empty() { "/" } else { &found.path };
    let side = |sign: &str, value: &serde_json::Value| format!("{sign} {path}  {value}");
    if let Some(before) = found.before.as_ref().filter(|_| found.op != PatchOp::Add) {
        out.pieces(&[(Some(Colour::Red), &side("-", before))])?;
    }
    match &found.value {
        Some(value) => out.pieces(&[(Some(Colour::Green), &side("+", value))]),
        None => Ok(()),
    }
}
