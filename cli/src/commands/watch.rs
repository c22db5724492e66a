//! `starling watch`

use std::io;
use std::time::Duration;

use clap::Args;
use starling_api::client::ClientError;
use starling_api::document::{WatchEvent, WatchQuery};

use crate::args::Global;
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Output, note};
use starling_api::ExitCode as Exit;

/// Pause after a node could not be reached for as long as the client tries by itself.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

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
    let mut away = false;
    loop {
        match watch.next().await {
            Ok(event) => {
                if std::mem::take(&mut away) {
                    note(&format!("watch: {} answers again", session.address));
                }
                print(&event, out)?;
                out.flush()?;
            }
            Err(error) if comes_back(&error) => {
                let after = watch.position().map_or_else(|| "now".to_owned(), ToString::to_string);
                note(&format!("watch: {error}; trying again, to go on after {after}"));
                away = true;
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
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
