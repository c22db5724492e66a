//! What every command that writes one document prints, and how it ends.

use std::time::Duration;

use starling_api::ExitCode as Exit;
use starling_api::client::{Confirm, WriteOptions};
use starling_api::document::{Confirmed, Written};
use starling_api::member::{Holder, Nodes, Wait};

use crate::args::{ConfirmArgs, WriteArgs};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, note};

/// How long other nodes are waited for unless the command line says.
const CONFIRM_TIME_DEFAULT: Duration = Duration::from_secs(5);

impl From<WriteArgs> for WriteOptions {
    fn from(args: WriteArgs) -> Self {
        Self {
            if_heads: args.if_heads,
            if_absent: args.if_absent,
            request_id: args.request_id,
            confirm: args.confirm.into(),
            ..Self::default()
        }
    }
}

impl From<ConfirmArgs> for Option<Confirm> {
    fn from(args: ConfirmArgs) -> Self {
        let timeout = args.timeout.unwrap_or(CONFIRM_TIME_DEFAULT);
        args.confirm.map(|nodes| Confirm { nodes, timeout })
    }
}

/// Prints the heads after the write (alone in a pipe, with a word of what happened on a terminal), and
/// ends as the confirmation asked for says.
pub(crate) fn end(out: &mut Output, document: &str, written: &Written) -> Outcome {
    print(out, document, written)?;
    match &written.confirmed {
        Some(confirmed) if !confirmed.satisfied => {
            out.flush()?;
            Err(unconfirmed(confirmed))
        }
        _ => Ok(Exit::Done),
    }
}

fn print(out: &mut Output, document: &str, written: &Written) -> std::io::Result<()> {
    if out.is_json() {
        return out.json(written);
    }
    if !out.is_terminal() {
        return out.line(&written.heads.to_string());
    }
    let what = match (written.created, written.changed) {
        (true, _) => "created",
        (_, true) => "written",
        (_, false) => "unchanged",
    };
    out.line(&format!("{document}: {what}, heads {}", written.heads))?;
    if let Some(confirmed) = written.confirmed.as_ref().filter(|confirmed| confirmed.satisfied) {
        match confirmed.holders.as_slice() {
            [] => out.line("there was nobody to wait for")?,
            holders => out.line(&format!("held by {} too", names(holders)))?,
        }
        if !confirmed.not_waited_for.is_empty() {
            out.line(&format!("not waited for, being away: {}", names(&confirmed.not_waited_for)))?;
        }
    }
    Ok(())
}

fn unconfirmed(confirmed: &Confirmed) -> Failure {
    let asked = match confirmed.asked {
        Nodes::All => "all that are not away".to_owned(),
        Nodes::AtLeast(count) => count.to_string(),
    };
    let what = format!("written here, but confirmed by {} others, asked for {asked}", confirmed.count);
    let mut failure = Failure::new(Exit::Unconfirmed, "unconfirmed", what);
    if let Some(problem) = &confirmed.problem {
        failure = failure.because(format!("nobody could be asked: {problem}"));
    }
    let groups = [
        ("holds it", &confirmed.holders),
        ("not heard from in time", &confirmed.missing),
        ("away, and not waited for", &confirmed.not_waited_for),
    ];
    for (what, holders) in groups.into_iter().filter(|(_, holders)| !holders.is_empty()) {
        failure = failure.because(format!("{what}: {}", names(holders)));
    }
    if confirmed.problem.is_none() && groups.iter().all(|(_, holders)| holders.is_empty()) {
        failure = failure.because("this node knows of no other member");
    }
    failure
        .next("it is durable on this node and spreads when the others can be reached; see `starling members`")
}

/// Waits until others hold the whole space as this node does: what the commands do that write many
/// documents.
pub(crate) async fn confirm_all(session: &Session, space: &str, args: ConfirmArgs) -> Outcome {
    let Some(Confirm { nodes, timeout }) = args.into() else {
        return Ok(Exit::Done);
    };
    // The route counts this node too.
    let counted = match nodes {
        Nodes::All => Nodes::All,
        Nodes::AtLeast(count) => Nodes::AtLeast(count.saturating_add(1)),
    };
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let waited = session.client.wait(space, &Wait { doc: None, nodes: counted, timeout_ms }).await?;
    // The first holder is this node.
    let holders: Vec<Holder> = waited.holders.into_iter().skip(1).collect();
    if waited.satisfied {
        if !waited.not_waited_for.is_empty() {
            note(&format!("not waited for, being away: {}", names(&waited.not_waited_for)));
        }
        return Ok(Exit::Done);
    }
    Err(unconfirmed(&Confirmed {
        asked: nodes,
        count: holders.len() as u64,
        satisfied: false,
        holders,
        missing: waited.missing,
        not_waited_for: waited.not_waited_for,
        problem: None,
    }))
}

/// Names, comma separated.
pub(crate) fn names(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "nobody".to_owned();
    }
    holders.iter().map(|holder| holder.name.as_str()).collect::<Vec<_>>().join(", ")
}
