//! `export` of a stopped node.

use std::path::Path;

use starling_crdt::document::ReadError;

use super::read::{fault, open};
use crate::args::Global;
use crate::commands::export::{Content, ExportArgs, Sink, Wanted};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Documents read at once in a listing.
const PAGE_ITEMS: usize = 1_000;

/// `starling export` on a stopped node.
pub(crate) fn run(global: &Global, directory: &Path, args: &ExportArgs, out: &mut Output) -> Outcome {
    let node = open(directory)?;
    let space = node.space(global.space.as_deref())?;
    let mut sink = Sink::open(args, out)?;
    let mut after = None::<String>;
    loop {
        let prefix = args.prefix.as_deref().unwrap_or_default();
        let page = node.reader.list(space, prefix, after.as_deref(), PAGE_ITEMS, false).map_err(fault)?;
        for (name, _) in page.documents {
            let wanted = sink.wanted();
            let look = |view: &starling_crdt::view::BuiltView, _: &_| match wanted {
                Wanted::Value => view.document().read(None, None).map(|value| Found::Text(value.to_text())),
                Wanted::Automerge => Ok(Found::File(view.document().to_automerge_file())),
            };
            let (found, poison) = node.reader.view(space, &name, look).map_err(fault)?;
            if !poison.is_empty() {
                hint(&format!(
                    "{} changes of {name} could not be applied and are not exported",
                    poison.len()
                ));
            }
            sink.document(name.as_str(), found.map_err(|error| unreadable(&error))?.content()?)?;
        }
        after = page.next;
        if after.is_none() {
            return sink.end();
        }
    }
}

fn unreadable(error: &ReadError) -> Failure {
    Failure::failed("there is nothing to export").caused_by(error)
}

/// What was read of one document.
enum Found {
    Text(String),
    File(Vec<u8>),
}

impl Found {
    fn content(self) -> Result<Content, Failure> {
        match self {
            Self::File(bytes) => Ok(Content::Automerge(bytes)),
            Self::Text(text) => serde_json::from_str(&text)
                .map(Content::Value)
                .map_err(|error| Failure::failed("the value is no JSON").caused_by(&error)),
        }
    }
}
