//! `starling log-level`

use clap::Args;
use starling_api::ExitCode as Exit;

use crate::args::Global;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// Show what the running node logs, or change it until the node stops.
///
/// The filter is a level, or parts of the program with a level each: `info`, `debug`,
/// `info,starling_node::network=trace`. After the next start the configuration counts again.
#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// The new filter; without it the one in force is shown.
    filter: Option<String>,
}

pub(crate) async fn run(global: &Global, args: &LogLevelArgs, out: &mut Output) -> Outcome {
    let client = Session::open(global)?.client;
    let level = match &args.filter {
        None => client.log_level().await?,
        Some(filter) => client.set_log_level(filter).await?,
    };
    if out.is_json() {
        out.json(&level)?;
    } else {
        out.line(&level.filter)?;
    }
    Ok(Exit::Done)
}
