//! `starling set`

use clap::Args;
use starling_api::document::Operation;

use crate::args::{Global, WriteArgs};
use crate::commands::{input, write};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// Replace one value in a document.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The document's name.
    doc: String,
    /// Where, as a JSON pointer such as /limits/cpu.
    pointer: String,
    /// The value as JSON (a string needs its quotes), `@FILE`, or `-` for standard input.
    #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    json: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: SetArgs, out: &mut Output) -> Outcome {
    let usage = format!("starling set {} {} '\"text\"'", args.doc, args.pointer);
    let value = input::value(&args.json, &usage)?;
    let session = Session::open(global)?;
    let space = session.space().await?;
    let operation = Operation::Set { pointer: args.pointer, value };
    let written = session.client.operate(&space, &args.doc, &operation, &args.write.into()).await?;
    write::end(out, &args.doc, &written)
}
