//! `starling resolve`

use clap::Args;
use starling_api::document::Operation;

use crate::args::{Global, WriteArgs};
use crate::commands::{input, write};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Settle a conflict: leave one value where there are several.
///
/// `starling conflicts` lists the places. The values that lose stay in the history.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The document's name.
    doc: String,
    /// Where the values are, as `conflicts` prints it; an empty one is the document itself, when its
    /// deletion ran into edits.
    pointer: String,
    /// The value that stands: JSON, `@FILE`, or `-` for standard input. Without it, the one that is shown.
    #[arg(value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    json: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: ResolveArgs, out: &mut Output) -> Outcome {
    let text = args.json.as_deref().map(|json| input::argument(Some(json))).transpose()?;
    let value = text.map(|text| crate::import::strict_json(&text)).transpose().map_err(|why| {
        Failure::usage(format!("the value is no JSON that can be stored: {why}"))
            .next("a string needs its quotes, as in '\"text\"'")
    })?;
    let session = Session::open(global)?;
    let space = session.space().await?;
    let operation = Operation::Resolve { pointer: args.pointer, value };
    let written = session.client.operate(&space, &args.doc, &operation, &args.write.into()).await?;
    write::end(out, &args.doc, &written)
}
