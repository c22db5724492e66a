//! `starling rm`

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use serde_json::json;
use starling_api::client::WriteOptions;
use starling_api::document::BatchLine;
use starling_api::{Code, ExitCode as Exit, Heads};

use crate::args::{ConfirmArgs, Global};
use crate::commands::pages::Pages;
use crate::commands::{counted, write};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note, progress};

/// Delete a document, or every document below a prefix.
///
/// A deleted document can be written again; an edit made elsewhere without knowledge of the deletion
/// brings it back.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The document's name.
    #[arg(required_unless_present = "prefix", conflicts_with = "prefix")]
    doc: Option<String>,
    /// No failure if the document does not exist.
    #[arg(long, conflicts_with = "prefix")]
    if_exists: bool,
    /// Delete every document whose name starts with this.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Do not ask before deleting below a prefix.
    #[arg(long, requires = "prefix")]
    yes: bool,
    /// Only print what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Delete only if the document's heads on this node are these.
    #[arg(long, value_name = "HEADS", conflicts_with = "prefix")]
    if_heads: Option<Heads>,
    /// A name of your own for this deletion: repeating it within 24 hours changes nothing.
    #[arg(long, value_name = "ID", conflicts_with = "prefix")]
    request_id: Option<String>,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &Global, args: RmArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    match (&args.prefix, &args.doc) {
        (Some(prefix), _) => remove_below(&session, &space, prefix, &args, out).await,
        (None, Some(doc)) => remove_one(&session, &space, doc, &args, out).await,
        (None, None) => Err(Failure::usage("say which document, or --prefix")),
    }
}

async fn remove_one(session: &Session, space: &str, doc: &str, args: &RmArgs, out: &mut Output) -> Outcome {
    let absent = |code: Option<Code>| args.if_exists && code == Some(Code::UnknownDocument);
    if args.dry_run {
        return match session.client.document(space, doc).await {
            Ok(_) => {
                print_name(doc, out)?;
                Ok(Exit::Done)
            }
            Err(error) if absent(error.problem().map(|problem| problem.code)) => Ok(Exit::Done),
            Err(error) => Err(error.into()),
        };
    }
    let options = WriteOptions {
        if_heads: args.if_heads.clone(),
        request_id: args.request_id.clone(),
        confirm: args.confirm.into(),
        ..WriteOptions::default()
    };
    match session.client.delete(space, doc, &options).await {
        Ok(written) => write::end(out, doc, &written),
        Err(error) if absent(error.problem().map(|problem| problem.code)) => Ok(Exit::Done),
        Err(error) => Err(error.into()),
    }
}

async fn remove_below(
    session: &Session,
    space: &str,
    prefix: &str,
    args: &RmArgs,
    out: &mut Output,
) -> Outcome {
    if !args.dry_run && !args.yes {
        match count_below(session, space, prefix).await? {
            0 => return Ok(Exit::Done),
            count => confirm(prefix, count)?,
        }
    }
    let mut pages = Pages::new(&session.client, space, Some(prefix), false, None);
    let bar = progress(None, "deleted");
    let mut first_refusal = None;
    // Deleting changes what is listed, but a page continues after a name, so nothing is skipped.
    while let Some(items) = pages.next().await? {
        if args.dry_run {
            items.iter().try_for_each(|item| print_name(&item.name, out))?;
            continue;
        }
        let lines = items.into_iter().map(|item| BatchLine::Delete { doc: item.name });
        let mut results = Vec::new();
        session.client.batch_all(space, lines, |result| results.push(result)).await?;
        for result in results {
            bar.inc(1);
            match &result.outcome {
                Ok(_) => print_name(result.doc.as_deref().unwrap_or_default(), out)?,
                Err(problem) => {
                    note(&format!("{}: {problem}", result.doc.as_deref().unwrap_or("?")));
                    first_refusal.get_or_insert(problem.exit_code());
                }
            }
        }
    }
    bar.finish_and_clear();
    match first_refusal {
        Some(exit) => Err(Failure::new(exit, "partly-refused", "some documents were not deleted")),
        None if args.dry_run => Ok(Exit::Done),
        None => write::confirm_all(session, space, args.confirm).await,
    }
}

fn print_name(doc: &str, out: &mut Output) -> std::io::Result<()> {
    if out.is_json() { out.json_line(&json!({ "doc": doc })) } else { out.line(doc) }
}

async fn count_below(session: &Session, space: &str, prefix: &str) -> Result<u64, Failure> {
    let mut pages = Pages::new(&session.client, space, Some(prefix), false, None);
    let mut count = 0;
    while let Some(items) = pages.next().await? {
        count += items.len() as u64;
    }
    Ok(count)
}

fn confirm(prefix: &str, count: u64) -> Result<(), Failure> {
    let refused =
        |what: &str| Err(Failure::usage(what).next("repeat with --yes, or look first with --dry-run"));
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return refused("deleting below a prefix needs --yes where nobody can be asked");
    }
    let mut err = std::io::stderr();
    let (count, prefix) = (counted(count, "document"), crate::escape::one_line(prefix));
    write!(err, "delete {count} below {prefix}? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { refused("nothing was deleted") }
}
