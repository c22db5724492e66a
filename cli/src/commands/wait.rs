//! `starling wait`

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use starling_api::ExitCode as Exit;
use starling_api::member::{Nodes, Wait, Waited};

use crate::args::{Global, duration};
use crate::commands::write::names;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Longest time asked of the node in one request, so that a connection lost meanwhile is noticed.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(20);

/// Wait until other nodes hold what this node holds now.
///
/// Ends with exit code 6 when fewer than asked hold it in time; what this node holds stays durable here
/// either way.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The document; without it everything in the space.
    doc: Option<String>,
    /// How many nodes, this one among them, or `all` members that are neither away nor left.
    #[arg(long, value_name = "N|all", default_value = "all")]
    nodes: Nodes,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

pub(crate) async fn run(global: &Global, args: WaitArgs, out: &mut Output) -> Outcome {
    let deadline = Instant::now() + args.timeout;
    let session = Session::open(global)?;
    let space = session.space().await?;
    let waited = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout_ms = u64::try_from(left.min(REQUEST_TIME_MAX).as_millis()).unwrap_or(u64::MAX);
        let wait = Wait { doc: args.doc.clone(), nodes: args.nodes, timeout_ms };
        let waited = session.client.wait(&space, &wait).await?;
        if waited.satisfied || Instant::now() >= deadline {
            break waited;
        }
    };
    print(&waited, out)?;
    if waited.satisfied {
        return Ok(Exit::Done);
    }
    out.flush()?;
    Err(Failure::new(
        Exit::Unconfirmed,
        "unconfirmed",
        format!("too few nodes hold it: {}, asked for {}", waited.holders.len(), args.nodes),
    )
    .because(format!("not heard from in time: {}", names(&waited.missing)))
    .next("it is durable on this node and spreads when the others can be reached; see `starling members`"))
}

fn print(waited: &Waited, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(waited);
    }
    let groups = [
        ("holds it", &waited.holders),
        ("missing", &waited.missing),
        ("not waited for", &waited.not_waited_for),
    ];
    let mut rows = Vec::new();
    for (state, holders) in groups {
        let mut holders: Vec<_> = holders.iter().collect();
        holders.sort_by_key(|holder| (&holder.name, &holder.key));
        for holder in holders {
            rows.push(vec![state.to_owned(), holder.name.clone(), out.id(&holder.key)]);
        }
    }
    out.rows(&["state", "name", "key"], rows)
}
