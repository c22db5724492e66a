//! `starling inc`

use clap::Args;
use starling_api::document::Operation;

use crate::args::{Global, WriteArgs};
use crate::commands::write;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Output, note};

/// Add to a counter; concurrent additions on any number of hosts all count.
///
/// An absent counter is created. Two hosts that create the same counter at once hold two, of which one
/// shows: create the document once and let others add to it.
#[derive(Debug, Args)]
pub(crate) struct IncArgs {
    /// The document's name.
    doc: String,
    /// Where the counter is, as a JSON pointer such as /visits.
    pointer: String,
    /// How much to add; negative numbers subtract.
    #[arg(default_value_t = 1, allow_negative_numbers = true)]
    by: i64,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: IncArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let operation = Operation::Increment { pointer: args.pointer.clone(), by: args.by };
    let written = session.client.operate(&space, &args.doc, &operation, &args.write.into()).await?;
    if written.created {
        note(&format!("created the counter {} in {}", args.pointer, args.doc));
    }
    write::end(out, &args.doc, &written)
}
