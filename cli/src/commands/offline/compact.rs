//! `starling compact`: deltas of a running node merged, or the file of a stopped one made small.

use clap::Args;
use starling_api::ExitCode as Exit;

use super::{stopped, store_path, verify};
use crate::args::Global;
use crate::connect::{Session, data_directory};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Merge small signed runs of changes into larger ones; a stopped node's file is made as small as what
/// it holds.
///
/// A running node does the former by itself while it is idle, and uses room that became free again. Every
/// merged run is verified before it replaces its parts.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {}

pub(crate) async fn run(global: &Global, _args: CompactArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => return stopped_node(global, failure, out),
    };
    let told = session.client.compact().await?;
    if out.is_json() {
        out.json(&told)?;
    } else {
        out.fields([
            ("documents", Some(told.documents.to_string())),
            ("signed runs", Some(format!("{} before, {} after", told.deltas_before, told.deltas_after))),
            ("their bytes", Some(format!("{} before, {} after", told.bytes_before, told.bytes_after))),
            ("damaged, left alone", (told.refused > 0).then(|| told.refused.to_string())),
            ("file", Some(format!("{} bytes", told.store_bytes))),
        ])?;
    }
    hint("the file shrinks when you run this on the stopped node");
    Ok(Exit::Done)
}

fn stopped_node(global: &Global, unreachable: Failure, out: &mut Output) -> Outcome {
    let path = store_path(&data_directory(global)?);
    if global.node.is_some() || !path.exists() {
        return Err(unreachable);
    }
    let size = || {
        let known = path.metadata().map(|metadata| metadata.len());
        known.map_err(|error| Failure::failed("the store's size is not known").caused_by(&error))
    };
    let before = size()?;
    verify::open(&data_directory(global)?)?.shrink().map_err(stopped::damaged)?;
    let after = size()?;
    if out.is_json() {
        out.json(&serde_json::json!({ "store_bytes_before": before, "store_bytes": after }))?;
    } else {
        out.fields([("file", Some(format!("{before} bytes before, {after} after")))])?;
    }
    Ok(Exit::Done)
}
