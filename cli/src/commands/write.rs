//! What every command that writes one document prints.

use std::io;

use starling_api::client::WriteOptions;
use starling_api::document::Written;

use crate::args::WriteArgs;
use crate::output::Output;

impl From<WriteArgs> for WriteOptions {
    fn from(args: WriteArgs) -> Self {
        Self {
            if_heads: args.if_heads,
            if_absent: args.if_absent,
            request_id: args.request_id,
            ..Self::default()
        }
    }
}

/// The heads after the write: alone in a pipe, with a word of what happened on a terminal.
pub(crate) fn print(out: &mut Output, document: &str, written: &Written) -> io::Result<()> {
    if out.is_json() {
        return out.json(written);
    }
    if !out.is_terminal() {
        return out.line(&written.heads.to_string());
    }
    let what = match (written.created, written.changed) {
        (true, _) => "created",
        (_, true) => "written",
        (_, false) => "unchanged",
    };
    out.line(&format!("{document}: {what}, heads {}", written.heads))
}
