//! `starling get`

use std::io;

use clap::Args;
use serde_json::Value;
use starling_api::ExitCode as Exit;
use starling_api::client::{Read, ReadOptions};
use starling_api::document::Document;

use crate::args::Global;
use crate::commands::{moment, offline};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Print a document, or the value at a pointer in it.
///
/// JSON is printed over several lines, in a pipe as on a terminal; with `--output json` on one line.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The document's name.
    pub(crate) doc: String,
    /// Only the value at this JSON pointer, such as /limits/cpu.
    pub(crate) pointer: Option<String>,
    /// Read at these heads (unique beginnings of four digits or more will do) instead of now; or at a time,
    /// judged by what authors claim, such as 2026-01-31T12:00:00Z, or 24h for so long ago.
    #[arg(long, value_name = "HEADS|TIME", value_parser = moment::state)]
    pub(crate) at: Option<String>,
    /// A string without quotes and escapes, anything else as JSON on one line.
    #[arg(long)]
    raw: bool,
    /// Print the document's heads instead of its value.
    #[arg(long, conflicts_with = "raw")]
    heads: bool,
}

pub(crate) async fn run(global: &Global, args: GetArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::read::get(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let options = ReadOptions { at: args.at.clone(), pointer: args.pointer.clone(), unless_etag: None };
    match session.client.read(&space, &args.doc, &options).await? {
        Read::Found(document) => print(&args, &document, out)?,
        Read::NotModified => return Err(Failure::failed("the node answered without the document")),
    }
    Ok(Exit::Done)
}

pub(crate) fn print(args: &GetArgs, document: &Document, out: &mut Output) -> io::Result<()> {
    if args.heads {
        return if out.is_json() { out.json(&document.heads) } else { out.line(&document.heads.to_string()) };
    }
    match &document.value {
        Value::String(text) if args.raw => out.text(text),
        value if args.raw || out.is_json() => out.json_text(&value.to_string()),
        value => out.json_text(&serde_json::to_string_pretty(value)?),
    }
}
