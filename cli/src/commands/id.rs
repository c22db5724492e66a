//! `starling id`

use clap::Args;

use crate::args::Global;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Print this node's public key, PeerId and addresses; works before the first start.
#[derive(Debug, Args)]
pub(crate) struct IdArgs {}

pub(crate) fn run(global: &Global, _args: &IdArgs, out: &mut Output) -> Outcome {
    let _ = (global, out);
    Err(Failure::failed("no node yet"))
}
