//! `starling join`

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::space::JoinState;

use crate::args::Global;
use crate::commands::input;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Longest ticket that is read from standard input.
const TICKET_BYTES_MAX: u64 = 64 * 1024;

/// Join a space with a ticket.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The ticket as `starling invite` printed it, or `-` to read it from standard input, which keeps
    /// it out of the shell's history.
    #[arg(value_name = "TICKET|-", allow_hyphen_values = true)]
    ticket: String,
}

pub(crate) async fn run(global: &Global, args: JoinArgs, out: &mut Output) -> Outcome {
    let ticket = match args.ticket.as_str() {
        "-" => input::text(std::io::stdin(), "standard input", TICKET_BYTES_MAX)?,
        ticket => ticket.to_owned(),
    };
    let ticket = ticket.trim().to_owned();
    if ticket.is_empty() {
        return Err(Failure::usage("there is no ticket")
            .next("make one with `starling invite` on a host of the space"));
    }
    let joined = Session::open(global)?.client.join(&ticket).await?;
    if out.is_json() {
        out.json(&joined)?;
        return Ok(Exit::Done);
    }
    out.line(&joined.space)?;
    match joined.state {
        JoinState::Joined => hint("joined; its documents arrive now: `starling ls`"),
        JoinState::Joining => {
            hint("no member has witnessed the join yet; the node keeps trying: `starling space list`")
        }
    }
    Ok(Exit::Done)
}
