//! `starling space`

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};
use starling_api::ExitCode as Exit;
use starling_api::space::{JoinState, LeaveQuery, Space};

use crate::args::Global;
use crate::commands::counted;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, hint};

/// Make a space, list those of this node, show one, or leave one.
#[derive(Debug, Args)]
pub(crate) struct SpaceArgs {
    #[command(subcommand)]
    command: SpaceCommand,
}

#[derive(Debug, Subcommand)]
enum SpaceCommand {
    /// Make a space with this node as its founder and admin.
    Create {
        /// What people call it; not unique across nodes, its id is.
        name: String,
    },
    /// List the spaces of this node.
    List,
    /// Show one space.
    Show {
        /// Its name or the beginning of its id; needless where the node has one space.
        #[arg(id = "shown", value_name = "SPACE")]
        space: Option<String>,
    },
    /// Leave a space: say farewell to its members and remove what this node holds of it.
    ///
    /// The other members keep what they hold, and the charter goes on naming this node as a member. To
    /// come back, join again with a ticket.
    Leave(LeaveArgs),
}

#[derive(Debug, Args)]
struct LeaveArgs {
    /// Its name or the beginning of its id; needless where the node has one space.
    #[arg(id = "left", value_name = "SPACE")]
    space: Option<String>,
    /// Do not ask before removing.
    #[arg(long)]
    yes: bool,
    /// Leave even if no other node confirms that it holds everything this one holds.
    #[arg(long)]
    force: bool,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(global: &Global, args: SpaceArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    match args.command {
        SpaceCommand::Create { name } => {
            let space = session.client.create_space(&name).await?;
            print_created(&space, out)?;
        }
        SpaceCommand::List => {
            let list = session.client.spaces().await?;
            if out.is_json() {
                out.json(&list)?;
            } else {
                out.rows(
                    &["name", "id", "role", "documents", "members"],
                    list.items.iter().map(|space| row(space, out)).collect::<Vec<_>>(),
                )?;
            }
        }
        SpaceCommand::Show { space } => {
            let wanted = match space {
                Some(space) => space,
                None => session.space().await?,
            };
            let space = session.client.space(&wanted).await?;
            print_one(&space, out)?;
        }
        SpaceCommand::Leave(args) => leave(&session, &args, out).await?,
    }
    Ok(Exit::Done)
}

async fn leave(session: &Session, args: &LeaveArgs, out: &mut Output) -> Result<(), Failure> {
    let wanted = match &args.space {
        Some(space) => space.clone(),
        None => session.space().await?,
    };
    let space = session.client.space(&wanted).await?;
    let removed = format!(
        "{} with {} of the space {} ({:.12})",
        counted(space.documents, "document"),
        counted(space.changes, "change"),
        space.name,
        space.id,
    );
    if args.dry_run {
        if out.is_json() {
            out.json(&space)?;
        } else {
            out.line(&format!("would remove from this node: {removed}"))?;
        }
        return Ok(());
    }
    if !args.yes {
        ask(&format!("remove from this node: {removed}? Other members keep theirs."))?;
    }
    let left = session.client.leave_space(&space.id, LeaveQuery { force: args.force }).await?;
    if out.is_json() {
        out.json(&left)?;
        return Ok(());
    }
    out.line(&format!("left; removed from this node: {removed}"))?;
    let holders: Vec<&str> = left.holders.iter().map(|holder| holder.name.as_str()).collect();
    if !holders.is_empty() {
        out.line(&format!("held entirely by: {}", holders.join(", ")))?;
    }
    Ok(())
}

fn ask(question: &str) -> Result<(), Failure> {
    let refused =
        |what: &str| Err(Failure::usage(what).next("repeat with --yes, or look first with --dry-run"));
    if !io::stdin().is_terminal() {
        return refused("leaving a space needs --yes where nobody can be asked");
    }
    let mut err = io::stderr();
    write!(err, "{} [y/N] ", crate::escape::one_line(question))?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { refused("nothing was removed") }
}

fn print_created(space: &Space, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(space);
    }
    if out.is_terminal() {
        print_one(space, out)?;
    } else {
        out.line(&space.id)?;
    }
    hint("next: `starling invite` prints a ticket for other hosts; `starling put DOC JSON` writes");
    Ok(())
}

fn print_one(space: &Space, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(space);
    }
    out.fields([
        ("name", Some(space.name.clone())),
        ("id", Some(space.id.clone())),
        ("state", Some(state(space).to_owned())),
        ("role", space.role.map(|role| role.to_string())),
        ("prefix", space.prefix.clone()),
        ("documents", Some(space.documents.to_string())),
        ("changes", Some(space.changes.to_string())),
        ("bytes", Some(bytes(space))),
        ("members", Some(space.members.to_string())),
        ("founders", Some(space.founders.join(" "))),
        ("join refused", space.join_refused.clone()),
        ("fingerprint", space.fingerprint.clone()),
        ("created", space.created.clone()),
    ])
}

/// Bytes of its changes, and how many the node keeps at most.
fn bytes(space: &Space) -> String {
    let most = space.bytes_max.map(|most| format!(" of {most}"));
    format!("{}{}", space.bytes, most.unwrap_or_default())
}

fn row(space: &Space, out: &Output) -> Vec<String> {
    let role = space.role.map_or_else(|| state(space).to_owned(), |role| role.to_string());
    vec![space.name.clone(), out.id(&space.id), role, space.documents.to_string(), space.members.to_string()]
}

fn state(space: &Space) -> &'static str {
    match space.state {
        JoinState::Joined => "joined",
        JoinState::Joining => "joining",
    }
}
