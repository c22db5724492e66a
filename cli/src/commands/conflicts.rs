//! `starling conflicts`

use std::io;

use clap::Args;
use serde_json::json;
use starling_api::ExitCode as Exit;
use starling_api::document::Conflict;
use starling_api::past::ConflictsQuery;

use crate::args::Global;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output};

/// List the places where hosts wrote different values without knowledge of each other.
///
/// A plain read shows the same one of them on every host; all of them are here, each with its author.
/// `starling resolve` or the next write of another value at such a place settles it.
#[derive(Debug, Args)]
pub(crate) struct ConflictsArgs {
    /// Only documents whose name starts with this.
    prefix: Option<String>,
    /// End with exit code 8 if there is any.
    #[arg(long)]
    fail_if_any: bool,
}

pub(crate) async fn run(global: &Global, args: ConflictsArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let mut query = ConflictsQuery { prefix: args.prefix, after: None };
    let mut found = 0;
    loop {
        let page = session.client.space_conflicts(&space, &query).await?;
        for item in &page.items {
            found += 1;
            print(&item.doc, &item.conflict, out)?;
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if found > 0 && args.fail_if_any {
        out.flush()?;
        return Err(Failure::new(
            Exit::CheckFailed,
            "conflicts-found",
            format!("{found} places hold several values"),
        )
        .next("settle each with `starling resolve DOC POINTER [JSON]`"));
    }
    Ok(Exit::Done)
}

/// One record a conflict in JSON; one line a value otherwise, the shown one first.
fn print(doc: &str, conflict: &Conflict, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json_line(&json!({ "doc": doc, "pointer": conflict.pointer, "values": conflict.values }));
    }
    for value in &conflict.values {
        let shown = if value.shown { "shown" } else { "hidden" };
        let author = value.author_name.clone().unwrap_or_else(|| out.id(&value.author));
        let written = value.value.as_ref().map_or_else(|| "(deleted)".to_owned(), ToString::to_string);
        if out.is_terminal() {
            out.pieces(&[
                (None, doc),
                (None, &format!(" {}  ", conflict.pointer)),
                (value.shown.then_some(Colour::Green).or(Some(Colour::Red)), shown),
                (None, &format!("  by {author}  ")),
                (None, &written),
            ])?;
        } else {
            let cells = [doc, &conflict.pointer, shown, &written, &author].map(str::to_owned);
            out.rows(&[], [cells.to_vec()])?;
        }
    }
    Ok(())
}
