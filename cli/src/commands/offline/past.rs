//! `history`, `blame`, `quarantine` and `forks` of a stopped node.

use std::collections::BTreeMap;
use std::path::Path;

use starling_api::ExitCode as Exit;
use starling_crdt::id::DocumentName;
use starling_node::inspect::Inspector;

use super::read::{name_of, open};
use crate::args::Global;
use crate::commands::blame::{self, BlameArgs};
use crate::commands::forks::{self, ForksArgs};
use crate::commands::history::{self, HistoryArgs};
use crate::commands::quarantine::{self, QuarantineArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// `starling history` on a stopped node. What its members call themselves only a running node knows.
pub(crate) fn history(global: &Global, directory: &Path, args: &HistoryArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let name = args.doc.as_deref().map(name_of).transpose()?;
    let mut inspector = Inspector::new(&node.reader, space, BTreeMap::new());
    let (mut printer, mut query) = (history::Printer::new(args), args.query());
    while printer.asks(&mut query) {
        let page = match &name {
            Some(name) => inspector.history(name, &query),
            None => inspector.space_history(&query),
        };
        printer.page(page.map_err(|problem| Failure::from(*problem))?, &mut query, out)?;
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// `starling blame` on a stopped node.
pub(crate) fn blame(global: &Global, directory: &Path, args: &BlameArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let name: DocumentName = name_of(&args.doc)?;
    let mut inspector = Inspector::new(&node.reader, space, BTreeMap::new());
    let (mut printer, mut query) = (blame::Printer::default(), args.query());
    loop {
        let page = inspector.blame(&name, &query).map_err(|problem| Failure::from(*problem))?;
        if !printer.page(page, &mut query, out)? {
            break;
        }
    }
    printer.end(out)?;
    Ok(Exit::Done)
}

/// `starling quarantine` on a stopped node.
pub(crate) fn quarantine(
    global: &Global,
    directory: &Path,
    args: &QuarantineArgs,
    out: &mut Output,
) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let mut inspector = Inspector::new(&node.reader, space, BTreeMap::new());
    let (mut printer, mut query) = (quarantine::Printer::default(), args.query());
    while printer.asks() {
        let page = inspector.quarantine(&query).map_err(|problem| Failure::from(*problem))?;
        printer.page(page, &mut query, out)?;
    }
    printer.end(args.fail_if_any, out)
}

/// `starling forks` on a stopped node.
pub(crate) fn forks(global: &Global, directory: &Path, args: &ForksArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let mut inspector = Inspector::new(&node.reader, space, BTreeMap::new());
    let (mut printer, mut query) = (forks::Printer::new(args), args.query());
    while printer.asks() {
        let page = inspector.forks(&query).map_err(|problem| Failure::from(*problem))?;
        printer.page(page, &mut query, out)?;
    }
    printer.end(out)
}
