//! `starling members`

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
pub(crate) struct MembersArgs {}

pub(crate) async fn run(global: &Global, _args: MembersArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let list = session.client.members(&space).await?;
    if out.is_json() {
        out.json(&list)?;
    } else {
        let header = ["name", "role", "state", "in sync", "documents", "changes", "heard", "version", "key"];
        let rows: Vec<_> = list.items.iter().map(|member| row(member, out)).collect();
        out.rows(&header, rows)?;
    }
    Ok(Exit::Done)
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
        in_sync.to_owned(),
        member.documents.map(|count| count.to_string()).unwrap_or_default(),
        member.changes.map(|count| count.to_string()).unwrap_or_default(),
        member.age_ms.map(|ms| format!("{} ago", age(ms))).unwrap_or_default(),
        member.version.clone().unwrap_or_default(),
        out.id(&member.key),
    ]
}
