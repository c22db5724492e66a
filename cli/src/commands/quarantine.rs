//! `starling quarantine`

use std::io;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::evidence::{QuarantineItem, QuarantinePage, QuarantineQuery};

use crate::args::Global;
use crate::commands::{counted, offline};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output};

/// List the changes that are kept out of their documents: who wrote each, why it is kept out, what to do.
///
/// Such a change is signed and kept as evidence, and shown nowhere. Its author was checked. In a pipe each
/// is one line: document, change, author, place in its author's run, code, reason, since when.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {
    /// Only this document.
    pub(crate) doc: Option<String>,
    /// End with exit code 8 if there is any.
    #[arg(long)]
    pub(crate) fail_if_any: bool,
}

impl QuarantineArgs {
    /// What to ask for first.
    pub(crate) fn query(&self) -> QuarantineQuery {
        QuarantineQuery { doc: self.doc.clone(), after: None }
    }
}

pub(crate) async fn run(global: &Global, args: QuarantineArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::past::quarantine(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let (mut printer, mut query) = (Printer::default(), args.query());
    while printer.asks() {
        let page = session.client.quarantine(&space, &query).await?;
        printer.page(page, &mut query, out)?;
    }
    printer.end(args.fail_if_any, out)
}

/// Prints what is kept out as its pages come.
#[derive(Default)]
pub(crate) struct Printer {
    found: u64,
    ended: bool,
}

impl Printer {
    /// Whether another page is wanted.
    pub(crate) fn asks(&self) -> bool {
        !self.ended
    }

    pub(crate) fn page(
        &mut self,
        page: QuarantinePage,
        query: &mut QuarantineQuery,
        out: &mut Output,
    ) -> io::Result<()> {
        self.found += page.items.len() as u64 + page.more;
        page.items.iter().try_for_each(|item| print(item, out))?;
        if page.more > 0 && !out.is_json() {
            out.line(&format!("and {} more", page.more))?;
        }
        query.after = page.next;
        self.ended = query.after.is_none();
        Ok(())
    }

    pub(crate) fn end(self, fail_if_any: bool, out: &mut Output) -> Outcome {
        if self.found == 0 && out.is_terminal() && !out.is_json() {
            out.line("nothing is kept out of any document")?;
        }
        if self.found > 0 && fail_if_any {
            out.flush()?;
            let what = format!("{} kept out of documents", counted(self.found, "change"));
            return Err(Failure::new(Exit::CheckFailed, "quarantine-found", what));
        }
        Ok(Exit::Done)
    }
}

fn print(item: &QuarantineItem, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json_line(item);
    }
    let author = item.writer.author_name.clone().unwrap_or_else(|| out.id(&item.writer.author));
    let since = item.since.clone().unwrap_or_default();
    if !out.is_terminal() {
        let seq = item.seq.to_string();
        let cells = [item.doc.as_str(), &item.writer.change, &author, &seq, &item.code, &item.reason, &since];
        return out.rows(&[], [cells.map(str::to_owned).to_vec()]);
    }
    let (change, claims) = (out.id(&item.writer.change), item.writer.claimed_time.as_deref());
    out.pieces(&[
        (None, item.doc.as_str()),
        (None, "  "),
        (Some(Colour::Yellow), &change),
        (None, &format!("  by {author}")),
        (Some(Colour::Dim), &claims.map_or(String::new(), |time| format!("  claims {time}"))),
    ])?;
    out.prose((None, "    "), (None, &format!("{} ({})", item.reason, item.code)))?;
    if let Some(held) = item.holds_back.filter(|held| *held > 0) {
        out.prose(
            (None, "    "),
            (None, &format!("holds back {} that rest on it", counted(held, "change"))),
        )?;
    }
    for below in &item.rests_on {
        let below = out.id(below);
        out.prose((None, "    "), (None, &format!("rests on {below}")))?;
    }
    if !since.is_empty() {
        out.prose((None, "    "), (None, &format!("since {since} on this node")))?;
    }
    out.prose((None, "    next: "), (None, &item.advice))
}
