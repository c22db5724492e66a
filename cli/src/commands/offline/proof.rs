//! `starling verify --proof`: a proof of a fork, checked without node or network.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use starling_api::ExitCode as Exit;
use starling_crdt::proof::{Contradiction, FORK_PROOF_BYTES_MAX, ForkProof, ProvenFork};
use starling_crdt::time::WallTime;

use super::stopped::time;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

pub(super) fn verify(path: &Path, out: &mut Output) -> Outcome {
    let bytes = read(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, "unreadable-proof", format!("cannot read {}", path.display())).caused_by(&error)
    })?;
    let judged = ForkProof::from_bytes(&bytes).and_then(|proof| proof.verify());
    let fork = judged.map_err(|fault| {
        Failure::new(Exit::CheckFailed, "proves-nothing", format!("{} proves nothing", path.display()))
            .caused_by(&fault)
    })?;
    print(&fork, out)?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than a proof may have tells that it has too many.
    File::open(path)?.take(FORK_PROOF_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn print(fork: &ProvenFork, out: &mut Output) -> std::io::Result<()> {
    let claims = |change: &Contradiction| time(WallTime(change.time_seconds.saturating_mul(1_000)));
    if out.is_json() {
        let side = |change: &Contradiction| match claims(change) {
            Some(time) => serde_json::json!({ "change": change.hash.to_string(), "claimed_time": time }),
            None => serde_json::json!({ "change": change.hash.to_string() }),
        };
        return out.json(&serde_json::json!({
            "proven": "fork",
            "author": fork.author.to_string(),
            "space": fork.space.to_string(),
            "doc": fork.document.as_str(),
            "actor": fork.actor.to_string(),
            "seq": fork.seq,
            "changes": fork.changes.iter().map(side).collect::<Vec<_>>(),
        }));
    }
    out.line(&format!("proven: one author signed two changes with number {}", fork.seq))?;
    out.fields([
        ("author", Some(fork.author.to_string())),
        ("space", Some(fork.space.to_string())),
        ("document", Some(fork.document.as_str().to_owned())),
        ("actor", Some(fork.actor.to_string())),
    ])?;
    for change in &fork.changes {
        let claims = claims(change).map_or(String::new(), |time| format!(" claims {time}"));
        out.fields([("change", Some(format!("{}{claims}", change.hash)))])?;
    }
    Ok(())
}
