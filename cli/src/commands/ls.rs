//! `starling ls`

use clap::Args;
use serde_json::json;
use starling_api::ExitCode as Exit;
use starling_api::document::DocumentItem;

use crate::args::Global;
use crate::commands::offline;
use crate::commands::pages::Pages;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// List documents, in the order of their names.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only names that start with this.
    pub(crate) prefix: Option<String>,
    /// Also changes, time, author and heads of each; in a pipe tab-separated in this order after the name
    /// and state.
    #[arg(long, short = 'l', conflicts_with = "count")]
    long: bool,
    /// Deleted documents too.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only how many there are.
    #[arg(long)]
    count: bool,
}

pub(crate) async fn run(global: &Global, args: LsArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::read::ls(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let mut pages = Pages::new(&session.client, &space, args.prefix.as_deref(), args.deleted, args.limit);
    let mut printer = Printer::new(&args);
    while let Some(items) = pages.next().await? {
        printer.page(items, out)?;
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// Prints a listing as its pages come.
pub(crate) struct Printer {
    long: bool,
    count: bool,
    seen: u64,
    rows: Vec<Vec<String>>,
}

impl Printer {
    pub(crate) fn new(args: &LsArgs) -> Self {
        Self { long: args.long, count: args.count, seen: 0, rows: Vec::new() }
    }

    /// One page. A table on a terminal is held until the end, because its columns need every row.
    pub(crate) fn page(&mut self, items: Vec<DocumentItem>, out: &mut Output) -> std::io::Result<()> {
        for item in items {
            self.seen += 1;
            match (self.count, out.is_json(), self.long) {
                (true, ..) => {}
                (_, true, _) => {
                    out.raw(if self.seen == 1 { "{\"items\":[" } else { "," })?;
                    out.raw(&serde_json::to_string(&item)?)?;
                }
                (_, _, true) if out.is_terminal() => self.rows.push(long_row(item, out)),
                (_, _, true) => {
                    let row = long_row(item, out);
                    out.rows(&[], [row])?;
                }
                _ => out.line(&item.name)?,
            }
        }
        Ok(())
    }

    pub(crate) fn end(self, out: &mut Output) -> std::io::Result<()> {
        match (self.count, out.is_json()) {
            (true, true) => out.json(&json!({ "count": self.seen })),
            (true, false) => out.line(&self.seen.to_string()),
            (_, true) => out.raw(if self.seen == 0 { "{\"items\":[]}\n" } else { "]}\n" }),
            _ if self.rows.is_empty() => Ok(()),
            _ => out.rows(&["name", "state", "changes", "modified", "author", "heads"], self.rows),
        }
    }
}

fn long_row(item: DocumentItem, out: &Output) -> Vec<String> {
    let state = if item.deleted { "deleted" } else { "present" };
    vec![
        item.name,
        state.to_owned(),
        item.changes.to_string(),
        item.modified.unwrap_or_default(),
        out.id(&item.author.unwrap_or_default()),
        item.heads.hashes().iter().map(|head| out.id(head)).collect::<Vec<_>>().join(","),
    ]
}
