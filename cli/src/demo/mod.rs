//! `starling demo`: five real nodes on this machine live through a partition and a crash.
//!
//! Promises: the nodes are processes of this very program with directories and identities of their
//! own; every claim printed was checked against them within its deadline; nothing is left behind,
//! however the demo ends. Leaves out: anything simulated.

mod acts;
mod claim;
mod cluster;
mod report;
mod world;

use starling_api::ExitCode as Exit;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};
use cluster::Cluster;
use report::Report;
use world::World;

/// Plays every act, or stops at the first claim that does not hold.
pub(crate) async fn play(keep: bool, out: &mut Output) -> Outcome {
    let mut terminated = signal(SignalKind::terminate())?;
    let cluster = Cluster::new()?;
    let mut world = World::new(cluster);
    let ended = tokio::select! {
        outcome = perform(&mut world, out) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        _ = terminated.recv() => Ok(Exit::Interrupted),
    };
    let ended = ended.map_err(unfinished);
    let flushed = out.flush();
    if ended.as_ref().is_err_and(|failure| failure.exit() == Exit::CheckFailed) {
        world.cluster.show_log_ends();
    }
    match world.cluster.end(keep).await {
        Ok(Some(directory)) => note(&format!("kept: {}", directory.display())),
        Ok(None) => {}
        Err(error) => {
            let left = Failure::failed("the demo's directory could not be removed").caused_by(&error);
            return ended.and(Err(left));
        }
    }
    let exit = ended?;
    flushed?;
    Ok(exit)
}

/// A reader that went away is no failure of other commands, but here it left claims unchecked.
fn unfinished(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::Done => Failure::reported(Exit::Failed),
        _ => failure,
    }
}

async fn perform(world: &mut World, out: &mut Output) -> Outcome {
    let mut report = Report::new(out);
    for act in acts::ALL {
        report.act(act)?;
        for claim in act.claims {
            let checked = claim.check(world).await;
            report.claim(&checked)?;
            if !checked.ok {
                let rest = acts::count() - report.checked();
                return Err(Failure::new(
                    Exit::CheckFailed,
                    "claim-refuted",
                    format!("claim `{}` does not hold", checked.claim),
                )
                .because(checked.detail)
                .because(format!("{rest} further claims were not checked"))
                .next("run it again with --keep and read the nodes' logs"));
            }
        }
    }
    report.end()?;
    Ok(Exit::Done)
}
