//! `starling demo`

use clap::Args;

use crate::demo;
use crate::failure::Outcome;
use crate::output::Output;

/// Watch five real nodes live through a partition and a crash.
///
/// Starts five nodes on this machine, cuts the network between them, lets both sides work, kills one in the
/// middle of writes, heals the network and checks every claim against the nodes. Takes less than a minute and
/// leaves nothing behind.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the nodes' directories and logs, and say where they are.
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: DemoArgs, out: &mut Output) -> Outcome {
    demo::play(args.keep, out).await
}
