//! One module per command, and the dispatch to them.

mod announce;
pub(crate) mod batch;
pub(crate) mod bench;
pub(crate) mod blame;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod conflicts;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod export;
pub(crate) mod forks;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod id;
pub(crate) mod import;
pub(crate) mod inc;
mod input;
pub(crate) mod insert;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod log_level;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod members;
mod moment;
pub(crate) mod offline;
pub(crate) mod pages;
pub(crate) mod patch;
pub(crate) mod peers;
pub(crate) mod put;
pub(crate) mod quarantine;
pub(crate) mod resolve;
pub(crate) mod revert;
pub(crate) mod rm;
pub(crate) mod set;
pub(crate) mod sim;
pub(crate) mod space;
pub(crate) mod splice;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod wait;
pub(crate) mod watch;
mod write;

use std::future::Future;
use std::time::Duration;

use starling_api::{ExitCode as Exit, duration};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, Command, Global};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Runs one command to its end.
pub(crate) fn run(cli: Cli) -> Outcome {
    let mut out = Output::new(cli.global.output);
    let exit = dispatch(&cli.global, cli.command, &mut out);
    // What was printed before a failure is data too.
    let flushed = out.flush();
    let exit = exit?;
    flushed?;
    Ok(exit)
}

fn dispatch(global: &Global, command: Command, out: &mut Output) -> Outcome {
    match command {
        Command::Up(args) => up::run(global, args, out),
        Command::Demo(args) => runtime()?.block_on(demo::run(args, out)),
        Command::Version(_) => version::run(out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
        Command::Config(args) => offline::config::run(global, &args, out),
        Command::LogLevel(args) => interruptible(log_level::run(global, &args, out)),
        Command::Id(args) => interruptible(id::run(global, &args, out)),
        Command::Space(args) => interruptible(space::run(global, args, out)),
        Command::Invite(args) => interruptible(invite::run(global, args, out)),
        Command::Join(args) => interruptible(join::run(global, args, out)),
        Command::Put(args) => interruptible(put::run(global, args, out)),
        Command::Get(args) => interruptible(get::run(global, args, out)),
        Command::Ls(args) => interruptible(ls::run(global, args, out)),
        Command::Set(args) => interruptible(set::run(global, args, out)),
        Command::Inc(args) => interruptible(inc::run(global, args, out)),
        Command::Patch(args) => interruptible(patch::run(global, args, out)),
        Command::Splice(args) => interruptible(splice::run(global, args, out)),
        Command::Insert(args) => interruptible(insert::run(global, args, out)),
        Command::Rm(args) => interruptible(rm::run(global, args, out)),
        // It ends its commands itself when it is interrupted.
        Command::Watch(args) if args.runs_commands() => runtime()?.block_on(watch::run(global, args, out)),
        Command::Watch(args) => interruptible(watch::run(global, args, out)),
        Command::Import(args) => interruptible(import::run(global, args, out)),
        Command::Export(args) => interruptible(export::run(global, args, out)),
        Command::Batch(args) => interruptible(batch::run(global, args, out)),
        Command::Bench(args) => bench::run(global, &args, out),
        Command::Status(args) => interruptible(status::run(global, args, out)),
        Command::Members(args) => interruptible(members::run(global, args, out)),
        // It gives the terminal back itself when it is interrupted.
        Command::Top(args) => runtime()?.block_on(top::run(global, args, out)),
        Command::Doctor(args) => interruptible(doctor::run(global, args, out)),
        Command::Peers(args) => interruptible(peers::run(global, args, out)),
        Command::History(args) => interruptible(history::run(global, args, out)),
        Command::Blame(args) => interruptible(blame::run(global, args, out)),
        Command::Diff(args) => interruptible(diff::run(global, args, out)),
        Command::Revert(args) => interruptible(revert::run(global, args, out)),
        Command::Resolve(args) => interruptible(resolve::run(global, args, out)),
        Command::Edit(args) => interruptible(edit::run(global, args, out)),
        Command::Conflicts(args) => interruptible(conflicts::run(global, args, out)),
        Command::Compare(args) => interruptible(compare::run(global, args, out)),
        Command::Quarantine(args) => interruptible(quarantine::run(global, args, out)),
        Command::Forks(args) => interruptible(forks::run(global, args, out)),
        Command::Wait(args) => interruptible(wait::run(global, args, out)),
        Command::Verify(args) => interruptible(offline::verify::run(global, &args, out)),
        Command::Backup(args) => interruptible(offline::backup::run(global, &args, out)),
        Command::Compact(args) => interruptible(offline::compact::run(global, args, out)),
        Command::Restore(args) => offline::restore::run(global, &args, out),
        Command::Sim(args) => sim::run(&args, out),
    }
}

/// Runs a command that Ctrl-C ends at once, with the exit code of an interruption.
fn interruptible(command: impl Future<Output = Outcome>) -> Outcome {
    // A thread of its own hears the signal even while the command blocks on reading its input. These
    // commands hold nothing that an abrupt end would damage: the node does the durable work.
    std::thread::spawn(|| {
        let heard = runtime().map(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
        if matches!(heard, Ok(Ok(()))) {
            std::process::exit(Exit::Interrupted.number().into());
        }
    });
    runtime()?.block_on(command)
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("cannot start").caused_by(&error))
}

/// A time span for people: two units at most.
fn age(ms: u64) -> String {
    duration::told(Duration::from_millis(ms))
}

/// A number of bytes, for people.
fn bytes(count: f64) -> String {
    let (mut count, mut unit) = (count, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if count < 1024.0 {
            break;
        }
        (count, unit) = (count / 1024.0, larger);
    }
    if unit == "B" { format!("{count:.0} {unit}") } else { format!("{count:.1} {unit}") }
}

/// A number of things, in words that fit it.
fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_thing_is_singular() {
        assert_eq!(counted(1, "document"), "1 document");
        assert_eq!(counted(0, "document"), "0 documents");
    }
}
