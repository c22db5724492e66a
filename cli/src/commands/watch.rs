//! `starling watch`

use std::io;
use std::time::Duration;

use clap::Args;
use starling_api::client::{ClientError, Watch};
use starling_api::document::{WatchEvent, WatchQuery};

use crate::args::Global;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Output, note};
use starling_api::ExitCode as Exit;

/// First and longest pause between two tries to reach a node that went away.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Print every change of a document as it happens, until interrupted.
///
/// Each line is position, `changed` or `deleted`, the document's name and the author's key. When the node
/// goes away, the watch comes back at the last position, so nothing is missed.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only documents whose name starts with this.
    prefix: Option<String>,
    /// Start after this position (the first column) instead of now.
    #[arg(long, value_name = "POSITION")]
    since: Option<String>,
}

pub(crate) async fn run(global: &Global, args: WatchArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let space = session.space().await?;
    let query = WatchQuery { prefix: args.prefix, since: args.since };
    let mut watch = session.client.watch(&space, query).await?;
    // Whoever watches is told at once when the node goes away.
    watch.set_patience(Duration::ZERO);
    loop {
        match watch.next().await {
            Ok(event) => {
                print(&event, out)?;
                out.flush()?;
            }
            Err(error) if comes_back(&error) => {
                let after = watch.position().map_or_else(|| "now".to_owned(), ToString::to_string);
                note(&format!("watch: {error}; trying again, to go on after {after}"));
                come_back(&mut watch).await?;
                note(&format!("watch: {} answers again", session.address));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tries until the node answers again, or refuses for good.
async fn come_back(watch: &mut Watch<'_>) -> Result<(), ClientError> {
    let mut pause = RETRY_PAUSE_MIN;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
        match watch.reconnect().await {
            Err(error) if comes_back(&error) => {}
            outcome => return outcome,
        }
    }
}

/// A node that restarts or is busy comes back; one that refuses does not change its mind.
fn comes_back(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Lost { .. } | ClientError::TimedOut { .. } => true,
        ClientError::Refused(problem) => problem.exit_code() == Exit::TryLater,
        ClientError::NotUnderstood { .. } | ClientError::BadRequest(_) => false,
    }
}

fn print(event: &WatchEvent, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json_line(event);
    }
    let what = if event.deleted { "deleted" } else { "changed" };
    let author = event.author.as_deref().unwrap_or("-");
    if out.is_terminal() {
        return out.line(&format!("{}  {what}  {}  by {author:.8}", event.position, event.name));
    }
    out.rows(&[], [vec![event.position.to_string(), what.to_owned(), event.name.clone(), author.to_owned()]])
}
