//! `starling edit`

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;
use starling_api::client::WriteOptions;
use starling_api::document::Document;
use starling_api::{Code, ExitCode as Exit};

use crate::args::{ConfirmArgs, Global};
use crate::commands::write;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// Edit a document in your editor.
///
/// Opens pretty JSON in $VISUAL or $EDITOR. What you change is written as a difference to what was opened,
/// so what others write meanwhile is kept. A document that does not exist is created. A text that is
/// refused stays in a file, whose name is said.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The document's name.
    doc: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &Global, args: EditArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let found = match session.client.document(&space, &args.doc).await {
        Ok(found) => Some(found),
        Err(error) if error.problem().is_some_and(|problem| problem.code == Code::UnknownDocument) => None,
        Err(error) => return Err(error.into()),
    };
    let before = pretty(found.as_ref())?;
    let file = tempfile::Builder::new()
        .prefix("starling-")
        .suffix(".json")
        .tempfile()
        .map_err(|error| Failure::failed("cannot make a file to edit").caused_by(&error))?;
    fs::write(file.path(), &before)?;
    open_editor(file.path())?;
    let after = fs::read_to_string(file.path())
        .map_err(|error| Failure::failed("cannot read what was edited").caused_by(&error))?;
    if after == before {
        note("nothing changed");
        return Ok(Exit::Done);
    }
    let base = found.map(|found| found.heads);
    // A document that was not there when it was opened must not be there now: else two texts would mix.
    let options = WriteOptions {
        if_absent: base.is_none(),
        base,
        confirm: args.confirm.into(),
        ..WriteOptions::default()
    };
    match put(&session, &space, &args.doc, &options, &after).await {
        Ok(written) => write::end(out, &args.doc, &written),
        Err(failure) => Err(kept(failure, file, &args.doc)),
    }
}

async fn put(
    session: &Session,
    space: &str,
    doc: &str,
    options: &WriteOptions,
    text: &str,
) -> Result<starling_api::document::Written, Failure> {
    crate::import::strict_json(text)
        .map_err(|why| Failure::usage(format!("what was edited is no JSON that can be stored: {why}")))?;
    Ok(session.client.put(space, doc, text.to_owned(), options).await?)
}

fn pretty(found: Option<&Document>) -> Result<String, Failure> {
    let text = match found {
        Some(found) => serde_json::to_string_pretty(&found.value),
        None => Ok("{}".to_owned()),
    };
    let text = text.map_err(|error| Failure::failed("the document is no JSON").caused_by(&error))?;
    Ok(text + "\n")
}

/// Runs the editor through the shell, since the variable may hold arguments.
fn open_editor(file: &Path) -> Result<(), Failure> {
    let said = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let editor = said("VISUAL").or_else(|| said("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let run = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file).status();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::failed(format!("the editor `{editor}` ended with {status}"))
            .because("nothing was written")
            .next("set EDITOR to an editor that is installed")),
        Err(error) => Err(Failure::failed(format!("cannot run the editor `{editor}`")).caused_by(&error)),
    }
}

/// The failure, and where the text that could not be written is.
fn kept(failure: Failure, file: tempfile::NamedTempFile, doc: &str) -> Failure {
    match file.keep() {
        Ok((_, path)) => failure.next(format!(
            "what you wrote is in {}; write it with `starling put {doc} @{}`",
            path.display(),
            path.display()
        )),
        Err(error) => failure.caused_by(&error),
    }
}
