//! `starling status`

use std::io;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use starling_api::ExitCode as Exit;
use starling_api::member::Member;
use starling_api::space::Space;
use starling_api::status::{Distance, Status, StoreStatus};

use crate::args::Global;
use crate::commands::offline::{self, read::StoppedStatus};
use crate::commands::{age, bytes, counted, members};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Colour, Output};

/// Show what the node says about itself: addresses, spaces, peers, store, and what needs a look, the most
/// urgent first.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Also show the other nodes of each space, as each was last heard; every figure says how old it is.
    #[arg(long)]
    all: bool,
}

/// A space and its members, for `--all`.
#[derive(Serialize)]
struct Fleet {
    /// Id of the space.
    space: String,
    /// What its founders call it.
    name: String,
    /// In order of name, then key.
    members: Vec<Member>,
}

pub(crate) async fn run(global: &Global, args: StatusArgs, out: &mut Output) -> Outcome {
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::read::status(directory, out),
            None => return Err(failure),
        },
    };
    let status = session.client.status().await?;
    if !args.all {
        print(&status, out)?;
        return Ok(Exit::Done);
    }
    let mut fleet = Vec::with_capacity(status.spaces.len());
    for space in &status.spaces {
        let members = session.client.members(&space.id).await?.items;
        fleet.push(Fleet { space: space.id.clone(), name: space.name.clone(), members });
    }
    if out.is_json() {
        out.json(&serde_json::json!({ "status": status, "fleet": fleet }))?;
        return Ok(Exit::Done);
    }
    print(&status, out)?;
    for space in &fleet {
        if out.is_terminal() {
            out.line("")?;
            out.line(&format!("nodes of {}", space.name))?;
        }
        members::print(&space.members, out)?;
    }
    Ok(Exit::Done)
}

pub(crate) fn print(status: &Status, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(status);
    }
    let uptime = Duration::from_secs(status.uptime_ms / 1000);
    out.fields([
        ("name", Some(status.name.clone())),
        ("version", Some(status.version.clone())),
        ("key", Some(status.key.clone())),
        ("peer id", Some(status.peer_id.clone())),
        ("listening", some(status.listen.join(" "))),
        ("advertised", some(status.advertise.join(" "))),
        ("peers", Some(status.peers.to_string())),
        ("store", Some(store(&status.store))),
        ("started", Some(format!("{} ({uptime:?} ago)", status.started))),
    ])?;
    print_spaces(&status.spaces, out)?;
    print_lag(status, out)?;
    for warning in &status.warnings {
        let told = format!("{}: {}", warning.code, warning.message);
        if !out.is_terminal() {
            out.fields([("warning", Some(format!("{told} (run: {})", warning.command)))])?;
            continue;
        }
        out.prose((Some(Colour::Yellow), "warning  "), (None, &told))?;
        out.prose((None, "         "), (Some(Colour::Dim), &warning.why))?;
        out.line(&format!("         run: {}", warning.command))?;
    }
    Ok(())
}

/// The same of a node that does not run.
pub(crate) fn print_stopped(status: &StoppedStatus, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(status);
    }
    out.fields([
        ("state", Some("stopped".to_owned())),
        ("version", Some(status.version.to_owned())),
        ("key", status.key.clone()),
        ("peer id", status.peer_id.clone()),
        ("store", Some(store(&status.store))),
    ])?;
    print_spaces(&status.spaces, out)
}

fn print_spaces(spaces: &[Space], out: &mut Output) -> io::Result<()> {
    for space in spaces {
        let role = space.role.map_or("joining", |role| role.name());
        out.fields([(
            "space",
            Some(format!(
                "{} {:.12} as {role}: {}, {}, {}",
                space.name,
                space.id,
                counted(space.documents, "document"),
                counted(space.changes, "change"),
                counted(space.members, "member"),
            )),
        )])?;
    }
    Ok(())
}

/// How far the nodes of each space are apart.
fn print_lag(status: &Status, out: &mut Output) -> io::Result<()> {
    for lag in &status.lag {
        let space = status.spaces.iter().find(|space| space.id == lag.space);
        let mut told = format!(
            "{}: {} of {} held the same when last heard",
            space.map_or(lag.space.as_str(), |space| space.name.as_str()),
            lag.in_sync,
            counted(lag.others, "other member"),
        );
        for (distance, way) in [(&lag.behind, "behind"), (&lag.ahead, "ahead")] {
            if let Some(Distance { name, changes, age_ms }) = distance {
                let changes = counted(*changes, "change");
                told += &format!("; {name} {changes} {way}, heard {} ago", age(*age_ms));
            }
        }
        out.fields([("lag", Some(told))])?;
    }
    Ok(())
}

fn store(store: &StoreStatus) -> String {
    let mut text = format!("{} at {}", bytes(store.bytes as f64), store.position);
    if let Some(grown) = store.grown {
        text += &format!(", {} more since the start", bytes(grown as f64));
    }
    if let Some(room) = store.room {
        text += &format!(", room for {}", bytes(room as f64));
    }
    text
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
