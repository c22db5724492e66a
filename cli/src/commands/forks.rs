//! `starling forks`

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::evidence::{ForkItem, ForksPage, ForksQuery};

use crate::args::Global;
use crate::commands::{counted, offline};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output, note};

/// List the authors who signed two changes with one number, with proofs.
///
/// Two signed changes with one number are malice, or one identity that runs twice. Nobody can say which of
/// the two is right. Each proof was checked. In a pipe each is one line: document, author, actor, number,
/// the change this node holds, the other, since when.
#[derive(Debug, Args)]
pub(crate) struct ForksArgs {
    /// Only this document.
    pub(crate) doc: Option<String>,
    /// Write the proof to a new file, for `starling verify --proof FILE` on any machine. There must be
    /// exactly one fork: name its document, and its actor if that is not enough.
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    /// Only this actor, by a beginning of its digits.
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// End with exit code 8 if there is any.
    #[arg(long)]
    pub(crate) fail_if_any: bool,
}

impl ForksArgs {
    /// What to ask for first.
    pub(crate) fn query(&self) -> ForksQuery {
        ForksQuery { doc: self.doc.clone(), after: None }
    }
}

pub(crate) async fn run(global: &Global, args: ForksArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::past::forks(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let (mut printer, mut query) = (Printer::new(&args), args.query());
    while printer.asks() {
        let page = session.client.forks(&space, &query).await?;
        printer.page(page, &mut query, out)?;
    }
    printer.end(out)
}

/// Prints or keeps forks as their pages come.
pub(crate) struct Printer<'a> {
    args: &'a ForksArgs,
    found: u64,
    /// What is to be written, of the first fork.
    proof: Option<ForkItem>,
    ended: bool,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(args: &'a ForksArgs) -> Self {
        Self { args, found: 0, proof: None, ended: false }
    }

    /// Whether another page is wanted.
    pub(crate) fn asks(&self) -> bool {
        !self.ended
    }

    pub(crate) fn page(
        &mut self,
        page: ForksPage,
        query: &mut ForksQuery,
        out: &mut Output,
    ) -> io::Result<()> {
        let wanted = |item: &ForkItem| {
            self.args.actor.as_ref().is_none_or(|actor| item.actor.starts_with(&actor.to_ascii_lowercase()))
        };
        for item in page.items.into_iter().filter(wanted) {
            self.found += 1;
            print(&item, out)?;
            if self.args.export.is_some() {
                self.proof.get_or_insert(item);
            }
        }
        query.after = page.next;
        self.ended = query.after.is_none();
        Ok(())
    }

    pub(crate) fn end(self, out: &mut Output) -> Outcome {
        if let Some(path) = &self.args.export {
            out.flush()?;
            return self.export(path);
        }
        if self.found == 0 && out.is_terminal() && !out.is_json() {
            out.line("no author is known to have signed two changes with one number")?;
        }
        if self.found > 0 && self.args.fail_if_any {
            out.flush()?;
            let what = format!("{} proven", counted(self.found, "fork"));
            return Err(Failure::new(Exit::CheckFailed, "forks-found", what));
        }
        Ok(Exit::Done)
    }

    fn export(self, path: &Path) -> Outcome {
        let proof = match (self.found, self.proof) {
            (1, Some(item)) => item.proof,
            (0, _) | (_, None) => {
                return Err(Failure::new(Exit::NotFound, "unknown-fork", "there is no such fork to export"));
            }
            (several, _) => {
                return Err(Failure::new(
                    Exit::Usage,
                    "ambiguous-fork",
                    format!("{several} forks, and a file holds one proof"),
                )
                .next("name the document, and with --actor the actor"));
            }
        };
        let bytes = bytes(&proof)
            .ok_or_else(|| Failure::new(Exit::Failed, "not-understood", "the node's proof is no hex text"))?;
        let failed =
            |error: io::Error| Failure::failed(format!("cannot write {}", path.display())).caused_by(&error);
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        note(&format!("the proof is in {0}; check it with `starling verify --proof {0}`", path.display()));
        Ok(Exit::Done)
    }
}

/// The bytes that hex digits stand for.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn print(item: &ForkItem, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json_line(item);
    }
    let author = item.author_name.clone().unwrap_or_else(|| out.id(&item.author));
    let (since, seq) = (item.since.clone().unwrap_or_default(), item.seq.to_string());
    let mut sides: Vec<_> = item.changes.iter().collect();
    sides.sort_by_key(|side| !side.held);
    if !out.is_terminal() {
        let mut cells = vec![item.doc.clone(), author, item.actor.clone(), seq];
        cells.extend(sides.iter().map(|side| side.change.clone()));
        cells.push(since);
        return out.rows(&[], [cells]);
    }
    out.pieces(&[
        (None, item.doc.as_str()),
        (None, "  "),
        (Some(Colour::Red), &author),
        (None, &format!(" signed two changes with number {seq}")),
        (Some(Colour::Dim), &format!("  actor {}", out.id(&item.actor))),
    ])?;
    for side in sides {
        let place = if side.held { "held here" } else { "the other" };
        let claims = side.claimed_time.as_deref().map_or(String::new(), |time| format!("  claims {time}"));
        let told = format!("{place}  {}{claims}", out.id(&side.change));
        out.prose((None, "    "), (None, &told))?;
    }
    if !since.is_empty() {
        out.prose((None, "    "), (None, &format!("since {since} on this node")))?;
    }
    out.prose((None, "    next: "), (None, &item.advice))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn hex_becomes_bytes_and_nothing_else_does() {
        assert_eq!(bytes("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(bytes("0g"), None);
    }
}
