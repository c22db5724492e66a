//! `starling blame`

use std::io;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::past::{BlameItem, BlamePage, BlameQuery, Writer, WrittenValue};

use crate::args::Global;
use crate::commands::history::name;
use crate::commands::{moment, offline};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Colour, Output};

/// Values asked for at once.
const PAGE_ITEMS: u32 = 1_000;

/// Show who wrote each value of a document.
///
/// Beneath a value stand those that lost against it: written elsewhere, without knowledge of it. Times are
/// what each author's clock said. A counter or list is shown with who made it; `history` tells who added.
/// In a pipe: pointer, shown or hidden, value, author, time, change.
#[derive(Debug, Args)]
pub(crate) struct BlameArgs {
    /// The document's name.
    pub(crate) doc: String,
    /// Only values at and below this JSON pointer, such as /limits.
    pub(crate) pointer: Option<String>,
    /// As of these heads, or this time, instead of now.
    #[arg(long, value_name = "HEADS|TIME", value_parser = moment::state)]
    pub(crate) at: Option<String>,
}

impl BlameArgs {
    /// What to ask for first.
    pub(crate) fn query(&self) -> BlameQuery {
        BlameQuery { pointer: self.pointer.clone(), at: self.at.clone(), skip: None, limit: Some(PAGE_ITEMS) }
    }
}

pub(crate) async fn run(global: &Global, args: BlameArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::past::blame(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let (mut printer, mut query) = (Printer::default(), args.query());
    loop {
        let page = session.client.blame(&space, &args.doc, &query).await?;
        if !printer.page(page, &mut query, out)? {
            break;
        }
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// Prints the values as their pages come.
#[derive(Default)]
pub(crate) struct Printer {
    seen: u64,
    begun: bool,
}

impl Printer {
    /// One page; whether another follows, which the query then asks for.
    pub(crate) fn page(
        &mut self,
        page: BlamePage,
        query: &mut BlameQuery,
        out: &mut Output,
    ) -> io::Result<bool> {
        if out.is_json() && !self.begun {
            out.raw(&format!("{{\"heads\":{},\"items\":[", serde_json::to_string(&page.heads)?))?;
        }
        self.begun = true;
        for item in &page.items {
            self.item(item, out)?;
            self.seen += 1;
        }
        // The rest is read at the same heads, so that what changes meanwhile shifts nothing.
        query.at = Some(page.heads.to_string());
        query.skip = page.next;
        out.flush()?;
        Ok(page.next.is_some())
    }

    fn item(&self, item: &BlameItem, out: &mut Output) -> io::Result<()> {
        if out.is_json() {
            out.raw(if self.seen == 0 { "" } else { "," })?;
            return out.raw(&serde_json::to_string(item)?);
        }
        if !out.is_terminal() {
            let row = |state: &str, value: &WrittenValue, out: &Output| {
                let time = value.writer.claimed_time.clone().unwrap_or_default();
                let (value, writer) = (value.value.to_string(), &value.writer);
                let cells = [item.pointer.clone(), state.to_owned(), value, name(writer, out), time];
                [cells.to_vec(), vec![writer.change.clone()]].concat()
            };
            let shown = row("shown", &item.shown, out);
            let hidden: Vec<_> = item.hidden.iter().map(|value| row("hidden", value, out)).collect();
            return out.rows(&[], std::iter::once(shown).chain(hidden));
        }
        let pointer = if item.pointer.is_empty() { "/" } else { &item.pointer };
        let value = item.shown.value.to_string();
        out.pieces(&[(Some(Colour::Yellow), pointer), (None, "  "), (None, &value)])?;
        if item.parts.is_empty() {
            Self::by("    by ", &item.shown.writer, out)?;
        }
        for part in &item.parts {
            let text = serde_json::Value::String(part.text.clone()).to_string();
            out.pieces(&[(None, "    "), (Some(Colour::Green), &text)])?;
            Self::by("      by ", &part.writer, out)?;
        }
        for value in &item.hidden {
            let text = value.value.to_string();
            out.pieces(&[(None, "    lost: "), (Some(Colour::Red), &text)])?;
            Self::by("      by ", &value.writer, out)?;
        }
        Ok(())
    }

    fn by(start: &str, writer: &Writer, out: &mut Output) -> io::Result<()> {
        let time = writer.claimed_time.as_deref().unwrap_or("no time of any calendar");
        let line = format!("{start}{}, in {}, claims {time}", name(writer, out), out.id(&writer.change));
        out.pieces(&[(Some(Colour::Dim), &line)])
    }

    pub(crate) fn end(self, out: &mut Output) -> io::Result<()> {
        if out.is_json() { out.raw("]}\n") } else { Ok(()) }
    }
}
