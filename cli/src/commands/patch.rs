//! `starling patch`

use clap::{Args, ValueEnum};
use starling_api::client::PatchKind;

use crate::args::{Global, WriteArgs};
use crate::commands::{input, write};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Change parts of a document by a patch, all of it or nothing.
///
/// A merge patch is an object that looks like the document: members replace or join, `null` removes. A
/// JSON patch is a list of operations: add, remove, replace, move, copy, test; additions to a list are
/// insertions, so what others insert meanwhile stays. A patch whose test fails ends with exit code 5.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  starling patch config/web '{\"limits\": {\"cpu\": 2}, \"old\": null}'\n  \
starling patch config/web '[{\"op\": \"test\", \"path\": \"/port\", \"value\": 80}, {\"op\": \"replace\", \"path\": \"/port\", \"value\": 81}]'"
)]
pub(crate) struct PatchArgs {
    /// The document's name.
    doc: String,
    /// The patch itself, `@FILE`, or `-` for standard input.
    #[arg(value_name = "PATCH|@FILE|-", allow_hyphen_values = true)]
    patch: String,
    /// `merge` (RFC 7396) or `json` (RFC 6902); without it a list is a JSON patch, an object a merge patch.
    #[arg(long, value_enum, value_name = "TYPE")]
    r#type: Option<PatchType>,
    #[command(flatten)]
    write: WriteArgs,
}

/// The form of a patch, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PatchType {
    Merge,
    Json,
}

pub(crate) async fn run(global: &Global, args: PatchArgs, out: &mut Output) -> Outcome {
    let patch = input::argument(Some(&args.patch))?;
    let kind = match args.r#type {
        Some(PatchType::Merge) => PatchKind::Merge,
        Some(PatchType::Json) => PatchKind::Json,
        None => kind_of(&patch)?,
    };
    let session = Session::open(global)?;
    let space = session.space().await?;
    let written = session.client.patch(&space, &args.doc, patch, kind, &args.write.into()).await?;
    write::end(out, &args.doc, &written)
}

/// What a patch is by its first character.
fn kind_of(patch: &str) -> Result<PatchKind, Failure> {
    match patch.trim_start().as_bytes().first() {
        Some(b'[') => Ok(PatchKind::Json),
        Some(b'{') => Ok(PatchKind::Merge),
        _ => Err(Failure::usage("a patch is a JSON list of operations, or a JSON object to merge")
            .next("see the examples in `starling patch --help`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_a_json_patch_and_an_object_a_merge_patch() {
        assert_eq!(kind_of(" \n[]").ok(), Some(PatchKind::Json));
        assert_eq!(kind_of("{}").ok(), Some(PatchKind::Merge));
        assert!(kind_of("").is_err() && kind_of("null").is_err());
    }
}
