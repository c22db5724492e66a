//! `starling watch`

mod exec;
mod follow;
mod hook;
mod place;
mod queue;

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use starling_api::document::{WatchEvent, WatchQuery};
use tokio::sync::mpsc;

use crate::args::{Global, duration};
use crate::connect::Session;
use crate::failure::Outcome;
use crate::output::{Output, note};
use follow::{Follower, OtherStore, Told};
use hook::Hook;
use place::Place;
use queue::Bounds;
use starling_api::ExitCode as Exit;

/// Most commands at once.
const JOBS_MAX: u16 = 64;

/// Changes read ahead of what handles them. When there are so many, the connection rests, and the node
/// keeps what comes.
const TOLD_MAX: usize = 64;

/// Print every change of a document as it happens, or run a command for each, until interrupted.
///
/// Each line is position, `changed` or `deleted`, the document's name and the author's key. When the node
/// goes away, the watch comes back at the last position, so nothing is missed.
///
/// With --exec a command runs for each change, as `sh -c CMD`, with STARLING_DOCUMENT, STARLING_SPACE,
/// STARLING_POSITION, STARLING_HEADS, STARLING_AUTHOR, STARLING_TRY, STARLING_DELETED (1, or not set),
/// STARLING_NODE, and the change as JSON on standard input. Commands for one document never run at once;
/// what changes meanwhile is one more run. A command that fails is tried again with growing pauses, so it
/// must bear to be run twice for one change.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
starling watch config/ --exec 'starling get \"$STARLING_DOCUMENT\" > /etc/app.json && systemctl reload app'\n  \
starling watch --resume mirror --exec ./mirror.sh    # goes on where it ended\n  \
starling --output json watch | jq .name")]
pub(crate) struct WatchArgs {
    /// Only documents whose name starts with this.
    prefix: Option<String>,
    /// Start after this position (the first column) instead of now.
    #[arg(long, value_name = "POSITION", conflicts_with = "resume")]
    since: Option<String>,
    /// Keep the last handled position under this name and go on there at the next start; the first start
    /// begins now. If the node's store is another one by then, every document is told anew.
    #[arg(long, value_name = "NAME", value_parser = place::name)]
    resume: Option<String>,
    /// Where --resume keeps positions; else $XDG_STATE_HOME/starling or ~/.local/state/starling.
    #[arg(long, value_name = "DIR", requires = "resume")]
    state_dir: Option<PathBuf>,
    /// Run this with `sh -c` for each change instead of printing it.
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// So many commands at once, each for another document.
    #[arg(long, value_name = "N", requires = "exec", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(JOBS_MAX)))]
    jobs: u16,
    /// A command that takes longer is ended and counts as failed.
    #[arg(long, value_name = "TIME", requires = "exec", default_value = "60s", value_parser = duration)]
    exec_timeout: Duration,
    /// Failures in a row after which a change is given up, 0 for never. With --resume that ends the watch
    /// with exit code 1 before that change; otherwise the document's next change starts anew.
    #[arg(long, value_name = "N", requires = "exec", default_value_t = 10)]
    tries: u32,
}

impl WatchArgs {
    /// True when commands run, which must be ended with the watch.
    pub(crate) fn runs_commands(&self) -> bool {
        self.exec.is_some()
    }
}

pub(crate) async fn run(global: &Global, args: WatchArgs, out: &mut Output) -> Outcome {
    let session = Session::open(global)?;
    let mut space = session.space().await?;
    let mut query = WatchQuery { prefix: args.prefix, since: args.since };
    let mut place = None;
    if let Some(name) = &args.resume {
        space = session.client.space(&space).await?.id;
        let directory = place::directory(args.state_dir)?;
        let opened = Place::open(&directory, name, &space, query.prefix.as_deref())?;
        let from = opened.position().map_or_else(|| "now".to_owned(), |position| format!("after {position}"));
        note(&format!("watch: from {from}; the position is kept in {}", opened.path().display()));
        query.since = opened.position().map(ToString::to_string);
        place = Some(opened);
    }
    let other_store = if place.is_some() { OtherStore::TellAll } else { OtherStore::End };
    let follower = Follower::open(&session, space, query, other_store).await?;
    let Some(command) = args.exec else { return print_all(follower, place, out).await };
    let hook = Hook {
        command,
        time_max: args.exec_timeout,
        node: session.address.clone(),
        // Standard output is for one kind of lines: the command's, or with JSON ours.
        stdout: if out.is_json() { || io::stderr().into() } else { Stdio::inherit },
    };
    let bounds = Bounds { jobs: args.jobs.into(), tries: NonZeroU32::new(args.tries) };
    exec::run(follower, place, &hook, bounds, out).await
}

/// Prints each change; a position is kept when everything before it was handed to the reader.
async fn print_all(follower: Follower<'_>, mut place: Option<Place>, out: &mut Output) -> Outcome {
    let (to, mut told) = mpsc::channel(TOLD_MAX);
    let mut follow = pin!(follower.run(to));
    loop {
        let save_due = place.as_ref().and_then(Place::save_due);
        tokio::select! {
            told = told.recv() => match told {
                Some(Told::Change(event)) => {
                    print(&event, out)?;
                    out.flush()?;
                }
                Some(Told::Reached(position)) => if let Some(place) = &mut place { place.keep(position) },
                None => {}
            },
            refused = &mut follow => return refused.map(|()| Exit::Done),
            () = until(save_due), if save_due.is_some() => place.as_mut().map_or(Ok(()), Place::save)?,
        }
    }
}

async fn until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment.into()).await;
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
