//! One run of the command of `watch --exec`.
//!
//! Promises: the command learns of the change from its environment and standard input, never from a
//! shell's reading of a name; it and what it started end after its time, or when the watch ends: asked
//! first, then killed. Leaves out when it runs and what follows from its end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use starling_api::NodeAddress;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use super::queue::Run;

/// How long a command that was asked to end may take.
const GRACE: Duration = Duration::from_secs(5);

/// Pause between two looks whether what the command started has ended, too.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// The command and what it is given besides the change.
pub(super) struct Hook {
    /// For `sh -c`.
    pub(super) command: String,
    /// Longest time of one run.
    pub(super) time_max: Duration,
    /// The node the changes come from, so that the command can ask it.
    pub(super) node: NodeAddress,
    /// Where its standard output goes.
    pub(super) stdout: fn() -> Stdio,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With exit code 0.
    Succeeded,
    /// With another exit code.
    Failed(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// It took too long and was ended.
    TimedOut(Duration),
    /// It could not be started.
    NotStarted(io::Error),
    /// The watch ended.
    Stopped,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Succeeded => f.write_str("the command succeeded"),
            Self::Failed(code) => write!(f, "the command ended with exit code {code}"),
            Self::Signalled(signal) => write!(f, "the command was ended by signal {signal}"),
            Self::TimedOut(time) => {
                write!(f, "the command took longer than {time:?} (--exec-timeout) and was ended")
            }
            Self::NotStarted(error) => write!(f, "the command could not be started: {error}"),
            Self::Stopped => f.write_str("the command was ended with the watch"),
        }
    }
}

impl Hook {
    /// Runs the command for one change, until it ends or `stop` says true.
    pub(super) async fn run(&self, run: &Run, stop: Receiver<bool>) -> Ending {
        let mut child = match self.spawn(run) {
            Ok(child) => child,
            Err(error) => return Ending::NotStarted(error),
        };
        // A process that was not waited for keeps its number, so the group is the one meant.
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        // An event holds texts only, and such a thing always has a JSON form.
        let json = serde_json::to_string(&run.event).unwrap_or_default() + "\n";
        let stdin = child.stdin.take();
        let cause = tokio::select! {
            ended = wait(&mut child, stdin, json) => return ended,
            () = tokio::time::sleep(self.time_max) => Ending::TimedOut(self.time_max),
            () = stopped(stop) => Ending::Stopped,
        };
        end(&mut child, group).await;
        cause
    }

    fn spawn(&self, run: &Run) -> io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command);
        for (name, value) in variables(run, &self.node) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // A group of its own: a signal reaches what the command started, too, and Ctrl-C only us.
        command.process_group(0).kill_on_drop(true).stdin(Stdio::piped()).stdout((self.stdout)());
        command.spawn()
    }
}

/// What the command finds in its environment; nothing means that the variable is not set.
fn variables(run: &Run, node: &NodeAddress) -> [(&'static str, Option<OsString>); 8] {
    let event = &run.event;
    [
        ("STARLING_NODE", Some(node.to_string().into())),
        ("STARLING_SPACE", Some(event.space.clone().into())),
        ("STARLING_DOCUMENT", Some(event.name.clone().into())),
        ("STARLING_POSITION", Some(event.position.to_string().into())),
        ("STARLING_HEADS", Some(event.heads.to_string().into())),
        ("STARLING_AUTHOR", event.author.clone().map(Into::into)),
        ("STARLING_DELETED", event.deleted.then(|| "1".into())),
        ("STARLING_TRY", Some(run.attempt.to_string().into())),
    ]
}

/// Feeds the command and waits for its end. One that does not read its input is no failure.
async fn wait(child: &mut Child, stdin: Option<ChildStdin>, json: String) -> Ending {
    let feed = async move {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(json.as_bytes()).await;
        }
    };
    let feed = std::pin::pin!(feed);
    let waiting = std::pin::pin!(child.wait());
    match futures::future::select(waiting, feed).await {
        futures::future::Either::Left((status, _)) => ending(status),
        futures::future::Either::Right(((), waiting)) => ending(waiting.await),
    }
}

fn ending(status: io::Result<ExitStatus>) -> Ending {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(0), _) => Ending::Succeeded,
            (Some(code), _) => Ending::Failed(code),
            (None, signal) => Ending::Signalled(signal.unwrap_or_default()),
        },
        Err(error) => Ending::NotStarted(error),
    }
}

async fn stopped(mut stop: Receiver<bool>) {
    // Whoever could say so is there as long as a command runs.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Ends the command and what it started: asked first, killed when the grace is over.
async fn end(child: &mut Child, group: Option<Pid>) {
    let Some(group) = group else { return };
    // A group that ended by itself needs no signal.
    let _ = kill_process_group(group, Signal::TERM);
    let gone = async {
        let _ = child.wait().await;
        // A group lives as long as one of its processes, and so long its number is no other's.
        while test_kill_process_group(group).is_ok() {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    if timeout(GRACE, gone).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_api::Position;
    use starling_api::document::WatchEvent;

    #[test]
    fn what_a_change_does_not_say_is_not_inherited_from_an_earlier_one() {
        let event = WatchEvent {
            space: "s".to_owned(),
            name: "a b".to_owned(),
            heads: Default::default(),
            author: None,
            position: Position("p-1".to_owned()),
            deleted: false,
            ops: None,
        };
        let node = "unix:/x/api.sock".parse().unwrap();
        let run = Run { event, attempt: 2 };
        let variables = variables(&run, &node);
        let value = |name| variables.iter().find(|row| row.0 == name).and_then(|row| row.1.clone());
        assert_eq!(value("STARLING_DOCUMENT"), Some("a b".into()));
        assert_eq!(value("STARLING_NODE"), Some("unix:/x/api.sock".into()));
        assert_eq!(value("STARLING_TRY"), Some("2".into()));
        assert_eq!(value("STARLING_DELETED"), None);
        assert_eq!(value("STARLING_AUTHOR"), None);
    }
}
