//! `starling members`

use std::io;

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::member::Member;

use crate::args::Global;
use crate::commands::age;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::Output;

/// List the members of the space, how each stands, and how old that news is.
#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    /// Only members in this state.
    #[arg(long, value_name = "STATE", value_parser = ["alive", "suspect", "away", "left", "unknown", "self"])]
    state: Option<String>,
}

/// Columns that a narrow terminal does without, the first named first.
const SPARE: [&str; 8] =
    ["addresses", "key", "version", "documents", "clock", "changes", "round trip", "role"];

pub(crate) async fn run(global: &Global, args: MembersArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let mut list = session.client.members(&space).await?;
    if let Some(state) = &args.state {
        list.items.retain(|member| member.state.name() == state);
    }
    if out.is_json() {
        out.json(&list)?;
    } else {
        print(&list.items, out)?;
    }
    Ok(Exit::Done)
}

/// The members as rows.
pub(crate) fn print(members: &[Member], out: &mut Output) -> io::Result<()> {
    let header = [
        "name",
        "role",
        "state",
        "since",
        "in sync",
        "documents",
        "changes",
        "behind",
        "heard",
        "round trip",
        "clock",
        "version",
        "key",
        "addresses",
    ];
    let rows: Vec<_> = members.iter().map(|member| row(member, out)).collect();
    out.rows_sparing(&header, rows, &SPARE)
}

fn row(member: &Member, out: &Output) -> Vec<String> {
    let role = match &member.prefix {
        Some(prefix) => format!("{} of {prefix}", member.role),
        None => member.role.to_string(),
    };
    let in_sync = member.in_sync.map_or("", |in_sync| if in_sync { "yes" } else { "no" });
    let state = match &member.reason {
        Some(reason) => format!("{} ({reason})", member.state),
        None => member.state.to_string(),
    };
    vec![
        member.name.clone(),
        role,
        state,
        member.since_ms.map(age).unwrap_or_default(),
        in_sync.to_owned(),
        member.documents.map(|count| count.to_string()).unwrap_or_default(),
        member.changes.map(|count| count.to_string()).unwrap_or_default(),
        member.changes_behind.map(|count| count.to_string()).unwrap_or_default(),
        member.age_ms.map(|ms| format!("{} ago", age(ms))).unwrap_or_default(),
        member.round_trip_ms.map(age).unwrap_or_default(),
        member.clock_offset_ms.map(|ms| format!("{ms:+} ms")).unwrap_or_default(),
        member.version.clone().unwrap_or_default(),
        out.id(&member.key),
        member.addresses.join(" "),
    ]
}
