//! `starling history`

use std::io;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::past::{ChangeItem, Deed, DeedKind, HistoryPage, HistoryQuery, Writer};

use crate::args::Global;
use crate::commands::{moment, offline};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Colour, Output};

/// Changes asked for at once.
const PAGE_ITEMS: u64 = 1_000;

/// List the changes of a document, or of every document, newest first.
///
/// Each change comes before all that it knew of: that order is sure. Times are what each author's clock
/// said, and no more. Every change that is listed was checked against its author's signature. In a pipe
/// each is one line: document, change, time, author, place in its author's run, and what it did.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The document's name. Without it: all documents, the one that changed last on this node first.
    pub(crate) doc: Option<String>,
    /// Only changes by this member: its name, its key, or a unique beginning of the key.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) author: Option<String>,
    /// Only changes that claim this time or a later one: 2026-01-31, 2026-01-31T12:00:00Z, or a span such
    /// as 24h for so long ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

impl HistoryArgs {
    /// What to ask for first.
    pub(crate) fn query(&self) -> HistoryQuery {
        HistoryQuery {
            author: self.author.clone(),
            since: self.since.as_deref().map(moment::asked),
            ..HistoryQuery::default()
        }
    }
}

pub(crate) async fn run(global: &Global, args: HistoryArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::past::history(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let mut printer = Printer::new(&args);
    let mut query = args.query();
    while printer.asks(&mut query) {
        let page = session.client.history(&space, args.doc.as_deref(), &query).await?;
        printer.page(page, &mut query, out)?;
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// Prints a history as its pages come.
pub(crate) struct Printer {
    left: u64,
    seen: u64,
    ended: bool,
    /// Lines name the document when there may be several.
    several: bool,
}

impl Printer {
    pub(crate) fn new(args: &HistoryArgs) -> Self {
        Self { left: args.limit.unwrap_or(u64::MAX), seen: 0, ended: false, several: args.doc.is_none() }
    }

    /// Whether another page is wanted, with its size put into the query.
    pub(crate) fn asks(&self, query: &mut HistoryQuery) -> bool {
        query.limit = u32::try_from(self.left.min(PAGE_ITEMS)).ok();
        !self.ended && self.left > 0
    }

    pub(crate) fn page(
        &mut self,
        page: HistoryPage,
        query: &mut HistoryQuery,
        out: &mut Output,
    ) -> io::Result<()> {
        for item in page.items.into_iter().take(usize::try_from(self.left).unwrap_or(usize::MAX)) {
            self.left -= 1;
            self.item(&item, out)?;
            self.seen += 1;
        }
        self.ended = page.next.is_none();
        query.after = page.next;
        out.flush()
    }

    fn item(&self, item: &ChangeItem, out: &mut Output) -> io::Result<()> {
        if out.is_json() {
            out.raw(if self.seen == 0 { "{\"items\":[" } else { "," })?;
            return out.raw(&serde_json::to_string(item)?);
        }
        if !out.is_terminal() {
            let did: Vec<_> = words(item).collect();
            let time = item.writer.claimed_time.clone().unwrap_or_default();
            let row = [item.doc.clone(), item.writer.change.clone(), time, name(&item.writer, out)];
            return out.rows(&[], [[row.to_vec(), vec![item.seq.to_string(), did.join("; ")]].concat()]);
        }
        let doc = if self.several { format!("  {}", item.doc) } else { String::new() };
        let time = item.writer.claimed_time.as_deref().unwrap_or("no time of any calendar");
        let change = out.id(&item.writer.change);
        let by = format!("  {}  claims {time}", name(&item.writer, out));
        out.pieces(&[(Some(Colour::Yellow), &change), (None, &doc), (Some(Colour::Dim), &by)])?;
        words(item).try_for_each(|line| out.pieces(&[(None, "    "), (None, &line)]))
    }

    pub(crate) fn end(self, out: &mut Output) -> io::Result<()> {
        if !out.is_json() {
            return Ok(());
        }
        out.raw(if self.seen == 0 { "{\"items\":[]}\n" } else { "]}\n" })
    }
}

/// What a person calls the author.
pub(crate) fn name(writer: &Writer, out: &Output) -> String {
    writer.author_name.clone().unwrap_or_else(|| out.id(&writer.author))
}

/// What a change did, a line each.
pub(crate) fn words(item: &ChangeItem) -> impl Iterator<Item = String> + '_ {
    let deleted = item.deletes.then(|| "delete the document".to_owned());
    let deeds = item.did.iter().filter(|_| !item.deletes).map(word);
    let nothing =
        (!item.deletes && item.did.is_empty() && item.more == 0).then(|| "change no value".to_owned());
    let more = (item.more > 0).then(|| format!("and {} operations more", item.more));
    deleted.into_iter().chain(deeds).chain(nothing).chain(more)
}

fn word(deed: &Deed) -> String {
    let pointer = if deed.pointer.is_empty() { "the root" } else { &deed.pointer };
    let text = match &deed.what {
        DeedKind::Set { value } => format!("set {pointer} to {value}"),
        DeedKind::Remove => format!("remove {pointer}"),
        DeedKind::Increment { by } if *by < 0 => format!("subtract {} from {pointer}", by.unsigned_abs()),
        DeedKind::Increment { by } => format!("add {by} to {pointer}"),
        DeedKind::Insert { value } => format!("insert {value} into {pointer}"),
        DeedKind::InsertText { text } => {
            format!("write {} into {pointer}", serde_json::Value::String(text.clone()))
        }
        DeedKind::RemoveText { characters: 1 } => format!("erase 1 character of {pointer}"),
        DeedKind::RemoveText { characters } => format!("erase {characters} characters of {pointer}"),
    };
    if deed.gone { format!("{text} (the place is gone since)") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deeds_are_told_in_words() {
        let told = |what, gone| word(&Deed { what, pointer: "/a".into(), gone });
        assert_eq!(told(DeedKind::Set { value: json!({"b": 1}) }, false), r#"set /a to {"b":1}"#);
        assert_eq!(told(DeedKind::Increment { by: -2 }, false), "subtract 2 from /a");
        assert_eq!(told(DeedKind::RemoveText { characters: 1 }, false), "erase 1 character of /a");
        assert_eq!(told(DeedKind::Remove, true), "remove /a (the place is gone since)");
    }
}
