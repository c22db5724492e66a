//! `starling put`

use clap::Args;
use starling_api::Heads;
use starling_api::client::WriteOptions;

use crate::args::{Global, WriteArgs};
use crate::commands::{input, write};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// Write a whole document.
///
/// What is written is the difference between the base and the JSON given, so that another's concurrent
/// work elsewhere in the document is kept. In a pipe the new heads are printed.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The document's name, such as config/web/prod.
    doc: String,
    /// The JSON itself, `@FILE`, or `-` for standard input, which is also the default.
    #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    json: Option<String>,
    /// The heads the JSON was derived from (as `get --heads` printed them); without it, what this node
    /// has now.
    #[arg(long, value_name = "HEADS")]
    base: Option<Heads>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: PutArgs, out: &mut Output) -> Outcome {
    let json = input::argument(args.json.as_deref())?;
    let session = Session::open(global)?;
    let space = session.space().await?;
    let options = WriteOptions { base: args.base, ..args.write.into() };
    let written = session.client.put(&space, &args.doc, json, &options).await?;
    write::end(out, &args.doc, &written)
}
