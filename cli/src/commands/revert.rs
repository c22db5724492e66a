//! `starling revert`

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::document::Operation;
use starling_api::past::DiffQuery;

use crate::args::{Global, WriteArgs};
use crate::commands::{diff, moment, write};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// Make a document what it was, by one new change.
///
/// What was written since stays in the history and can be gone back to in the same way; a deletion is
/// undone, too. What others write meanwhile without knowledge of it is kept beside it.
#[derive(Debug, Args)]
pub(crate) struct RevertArgs {
    /// The document's name.
    doc: String,
    /// The state to go back to: heads, unique beginnings of them, a time, or a span such as 24h.
    #[arg(long, value_name = "HEADS|TIME", value_parser = moment::state)]
    to: String,
    /// Only print what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: RevertArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let to = args.to;
    if args.dry_run {
        // Reversed: from now to then.
        let query = DiffQuery { from: "now".to_owned(), to: Some(to) };
        let found = session.client.diff(&space, &args.doc, &query).await?;
        diff::print_all(&found, out)?;
        return Ok(Exit::Done);
    }
    let options = args.write.into();
    let written = session.client.operate(&space, &args.doc, &Operation::Revert { to }, &options).await?;
    write::end(out, &args.doc, &written)
}
