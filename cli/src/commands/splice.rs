//! `starling splice`

use clap::Args;
use starling_api::document::Operation;

use crate::args::{Global, WriteArgs};
use crate::commands::write;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// Replace characters of a text; what others type elsewhere in it meanwhile stays.
///
/// The value must be a text, which is written {"$text": "…"}; a plain string is replaced as a whole with
/// `starling set`.
#[derive(Debug, Args)]
pub(crate) struct SpliceArgs {
    /// The document's name.
    doc: String,
    /// Where the text is, as a JSON pointer such as /notes.
    pointer: String,
    /// Position of the first character replaced, from 0, in Unicode code points.
    at: u64,
    /// How many characters are removed.
    delete: u64,
    /// What takes their place; without it nothing does.
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    text: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) async fn run(global: &Global, args: SpliceArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let operation =
        Operation::Splice { pointer: args.pointer, at: args.at, delete: args.delete, insert: args.text };
    let written = session.client.operate(&space, &args.doc, &operation, &args.write.into()).await?;
    write::end(out, &args.doc, &written)
}
