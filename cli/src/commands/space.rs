//! `starling space`

use std::io;

use clap::{Args, Subcommand};
use starling_api::ExitCode as Exit;
use starling_api::space::{JoinState, Space};

use crate::args::Global;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Output, hint};

/// Make a space, list those of this node, or show one.
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
    }
    Ok(Exit::Done)
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
        ("members", Some(space.members.to_string())),
        ("founders", Some(space.founders.join(" "))),
        ("join refused", space.join_refused.clone()),
        ("fingerprint", space.fingerprint.clone()),
        ("created", space.created.clone()),
    ])
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
