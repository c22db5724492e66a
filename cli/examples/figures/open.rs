//! How long a node takes to start on a large store, and what memory it has then.

use std::path::Path;
use std::time::{Duration, Instant};

use starling_api::document::BatchLine;

use super::{Node, Outcome, SPACE, batch, judged};

/// Documents, and changes of each.
const DOCUMENTS: u64 = 10_000;
const CHANGES: u64 = 100;
/// Documents in one batch.
const FILLED: u64 = 500;
/// Starts that are measured; the middle one counts.
const STARTS: usize = 3;
const OPEN_MAX: Duration = Duration::from_secs(5);

/// From the start of the process to its first answer, out of a cold page cache: a store gives up what the
/// cache holds of it whenever it is opened.
pub(super) async fn open(program: &Path, directory: &Path) -> Outcome<bool> {
    println!("a start on {DOCUMENTS} documents of {CHANGES} changes each");
    let mut node = Node::start(program, directory.join("open")).await?;
    let client = node.client();
    client.create_space(SPACE).await?;
    for from in (0..DOCUMENTS).step_by(FILLED as usize) {
        let edits = (from..from + FILLED).flat_map(|document| (0..CHANGES).map(move |n| edit(document, n)));
        batch(&client, edits.collect()).await?;
    }
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        node.start_again(program).await?;
        starts.push(began.elapsed());
    }
    let held = node.client().spaces().await?.items.iter().map(|space| space.changes).sum::<u64>();
    if held != DOCUMENTS * CHANGES {
        return Err(format!("{held} changes after the start").into());
    }
    starts.sort();
    println!("  {held} changes; {:.1} MiB resident after the start", node.resident_kib()? as f64 / 1024.0);
    Ok(judged("start to first answer", starts[STARTS / 2], OPEN_MAX))
}

fn edit(document: u64, number: u64) -> BatchLine {
    let doc = format!("d/{document}");
    match number {
        0 => BatchLine::Put { doc, value: serde_json::json!({ "n": 0 }), base: None },
        _ => BatchLine::Set { doc, pointer: "/n".into(), value: number.into() },
    }
}
