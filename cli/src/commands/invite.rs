//! `starling invite`

use std::time::Duration;

use clap::{Args, ValueEnum};
use starling_api::ExitCode as Exit;
use starling_api::space::{CreateInvite, Role};

use crate::args::{Global, duration};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Print a ticket that lets other hosts join the space.
///
/// Who holds the ticket may join with it: pass it on as you would a password. Whoever witnesses a join
/// checks expiry by its own clock; across a partition more hosts may join than `--uses` says.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// What those who join may do.
    #[arg(long, value_enum, default_value_t = RoleArg::Writer)]
    role: RoleArg,
    /// Limit the role to documents whose names start with this.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// How many hosts may join by it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// How long it is good for, such as 90m, 24h or 7d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    /// Read documents.
    Reader,
    /// Read and write documents.
    Writer,
    /// Also invite, grant and revoke.
    Admin,
}

pub(crate) async fn run(global: &Global, args: InviteArgs, out: &mut Output) -> Outcome {
    let expires_in_s = match args.expires {
        Some(time) if time.as_secs() == 0 => {
            return Err(
                Failure::usage("a ticket cannot expire in less than a second").next("write --expires 24h")
            );
        }
        time => time.map(|time| time.as_secs()),
    };
    let session = Session::open(global)?;
    let space = session.space().await?;
    let wanted = CreateInvite {
        role: match args.role {
            RoleArg::Reader => Role::Reader,
            RoleArg::Writer => Role::Writer,
            RoleArg::Admin => Role::Admin,
        },
        prefix: args.prefix,
        uses: args.uses,
        expires_in_s,
    };
    let invite = session.client.invite(&space, &wanted).await?;
    if out.is_json() {
        out.json(&invite)?;
    } else {
        out.line(&invite.ticket)?;
        hint("on the other host: `starling up --join TICKET`, or `starling join TICKET` where a node runs");
    }
    Ok(Exit::Done)
}
