//! `starling compare`

use std::io;
use std::time::Duration;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::client::ClientError;
use starling_api::compare::{Compare, Compared, DifferenceKind, DifferingRun, Outcome as Found, Told};
use starling_api::document::ListQuery;
use starling_api::member::Member;

use crate::args::{Global, duration};
use crate::commands::{age, counted};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output};

/// Say what differs between this node and others: which documents, whose changes, how many.
///
/// Each node is asked over the connection that stands with it; nothing is fetched, and repair goes on
/// meanwhile, so what differs may be under way already. Ends with 8 if anything differs, with 7 if nothing
/// does as far as could be told but a node could not be asked.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// With whom: members by name, key, or a unique beginning of a key. In front of them a document: of
    /// several words the first is one, unless a member is called so.
    #[arg(required = true, value_name = "[DOC] NODE")]
    words: Vec<String>,
    /// The document, where a member is called like it.
    #[arg(long, value_name = "DOC")]
    doc: Option<String>,
    /// How long each node has.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,
}

pub(crate) async fn run(global: &Global, args: CompareArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let timeout_ms = Some(u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX));
    let (doc, nodes) = match args.doc {
        Some(doc) => (Some(doc), args.words),
        None => doc_and_nodes(&session, &space, args.words).await?,
    };
    let compared = session.client.compare(&space, &Compare { nodes, doc, timeout_ms }).await?;
    if out.is_json() {
        out.json(&compared)?;
    } else {
        compared.items.iter().try_for_each(|item| print(item, out))?;
    }
    let any = |holds: fn(&Found) -> bool| compared.items.iter().any(|item| holds(&item.outcome));
    Ok(if any(|found| matches!(found, Found::Differs(_))) {
        Exit::CheckFailed
    } else if any(|found| matches!(found, Found::Unasked { .. })) {
        Exit::Unreachable
    } else {
        Exit::Done
    })
}

/// Whether the first of several words is a document.
async fn doc_and_nodes(
    session: &Session,
    space: &str,
    mut words: Vec<String>,
) -> Result<(Option<String>, Vec<String>), Failure> {
    if words.len() < 2 {
        return Ok((None, words));
    }
    let members = session.client.members(space).await?.items;
    if !members.iter().any(|member| answers_to(member, &words[0])) {
        return Ok((Some(words.remove(0)), words));
    }
    if is_document(session, space, &words[0]).await? {
        return Err(Failure::new(
            Exit::Usage,
            "ambiguous-name",
            format!("{:?} is a document, and a member is called so", words[0]),
        )
        .next(format!("say `starling compare --doc {} NODE…`, or name the member by its key", words[0])));
    }
    Ok((None, words))
}

fn answers_to(member: &Member, text: &str) -> bool {
    member.name == text || (text.len() >= 4 && member.key.starts_with(&text.to_ascii_lowercase()))
}

async fn is_document(session: &Session, space: &str, name: &str) -> Result<bool, ClientError> {
    let query = ListQuery { prefix: Some(name.to_owned()), limit: Some(1), ..ListQuery::default() };
    // In order of name the document itself comes before those that only begin like it.
    let page = session.client.documents(space, &query).await?;
    Ok(page.items.first().is_some_and(|first| first.name == name))
}

fn print(item: &Compared, out: &mut Output) -> io::Result<()> {
    match &item.outcome {
        Found::Unasked { code: _, why } => line(out, &item.name, "not compared", Some(Colour::Red), why),
        Found::Equal(told) => {
            line(out, &item.name, "equal", Some(Colour::Green), &taken(told))?;
            charter(told, item, out)
        }
        Found::Differs(told) => {
            let what = if told.complete { "" } else { "more than " };
            let count = counted(told.differing, "run");
            let differs = format!("{what}{count} of changes differ; {}", taken(told));
            line(out, &item.name, "differs", Some(Colour::Yellow), &differs)?;
            charter(told, item, out)?;
            for difference in &told.differences {
                print_difference(difference, item, out)?;
            }
            if out.is_terminal() {
                prospects(told).into_iter().try_for_each(|line| out.line(&format!("  {line}")))?;
            }
            Ok(())
        }
    }
}

/// What will become of what differs.
fn prospects(told: &Told) -> Vec<&'static str> {
    let forked = |found: &&DifferingRun| found.kind == DifferenceKind::Forked;
    let forks = told.differences.iter().filter(forked).count();
    let mut lines = Vec::new();
    if told.differing > forks as u64 {
        lines.push("what differs may be under way already: repair goes on while this was asked");
    }
    if forks > 0 {
        lines.push("a fork does not mend itself: see `starling forks`");
    }
    lines
}

fn line(out: &mut Output, name: &str, word: &str, colour: Option<Colour>, more: &str) -> io::Result<()> {
    if !out.is_terminal() {
        return out.rows(&[], [vec![name.to_owned(), word.to_owned(), more.to_owned()]]);
    }
    out.pieces(&[(None, name), (None, ": "), (colour, word), (Some(Colour::Dim), &format!("  {more}"))])
}

fn charter(told: &Told, item: &Compared, out: &mut Output) -> io::Result<()> {
    if told.charters_equal {
        return Ok(());
    }
    line(out, &item.name, "charter differs", Some(Colour::Yellow), "who may write may be judged differently")
}

/// Between which states, and at which cost.
fn taken(told: &Told) -> String {
    let span = |span: &starling_api::compare::Span| {
        if span.from == span.to {
            short(&span.to.0)
        } else {
            format!("{} to {}", short(&span.from.0), short(&span.to.0))
        }
    };
    let exact = if told.settled { "" } else { ", while changes came in" };
    format!(
        "here at commit {}, there at {}{exact}; {} bytes, {}",
        span(&told.ours),
        span(&told.theirs),
        told.bytes,
        age(told.took_ms)
    )
}

/// The commit in a position.
fn short(position: &str) -> String {
    position.rsplit('-').next().unwrap_or(position).to_owned()
}

fn print_difference(found: &DifferingRun, item: &Compared, out: &mut Output) -> io::Result<()> {
    let doc = found.doc.clone().unwrap_or_else(|| "(a document not named)".to_owned());
    let author = match (&found.author_name, &found.author) {
        (Some(name), _) => name.clone(),
        (None, Some(key)) => out.id(key),
        (None, None) => "an author not known here".to_owned(),
    };
    let actor = found.actor.as_deref().unwrap_or("?");
    if !out.is_terminal() {
        let kind = match found.kind {
            DifferenceKind::LackedHere => "lacked-here",
            DifferenceKind::LackedThere => "lacked-there",
            DifferenceKind::Forked => "forked",
        };
        let (ours, theirs) = (found.ours.to_string(), found.theirs.to_string());
        let cells = [item.name.as_str(), kind, &doc, &author, actor, &ours, &theirs].map(str::to_owned);
        return out.rows(&[], [cells.to_vec()]);
    }
    let what = match found.kind {
        DifferenceKind::LackedHere => {
            format!("this node lacks {}", changes(found.ours, found.theirs))
        }
        DifferenceKind::LackedThere => format!("{} lacks {}", item.name, changes(found.theirs, found.ours)),
        DifferenceKind::Forked => format!("two changes have number {}: its author forked", found.ours),
    };
    out.pieces(&[
        (None, "  "),
        (Some(Colour::Yellow), &doc),
        (None, &format!("  {what}")),
        (Some(Colour::Dim), &format!("  by {author}, actor {actor:.12}")),
    ])
}

/// The changes from one number, without it, to another.
fn changes(from: u64, to: u64) -> String {
    let first = from + 1;
    if first == to { format!("change {to}") } else { format!("changes {first} to {to}") }
}

#[cfg(test)]
mod tests {
    use super::{changes, short};

    #[test]
    fn a_run_is_told_by_its_first_and_last_change() {
        assert_eq!(changes(3, 4), "change 4");
        assert_eq!(changes(0, 4), "changes 1 to 4");
    }

    #[test]
    fn the_commit_is_the_end_of_a_position() {
        assert_eq!(short("00ff-17"), "17");
    }
}
