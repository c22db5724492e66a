//! A batch at one node: many small edits in one request.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use starling_api::document::BatchLine;

use super::{DOCUMENTS, Node, Outcome, SPACE, batch, spent, value};

/// Lines of one bulk measurement: small edits, and new documents.
const BULK_EDITS: u64 = 60_000;
const BULK_NEW: u64 = 20_000;
/// Fewest small edits a second in bulk.
const BULK_RATE_MIN: f64 = 30_000.0;

/// New documents, and small edits of several kinds.
pub(super) async fn bulk(program: &Path, directory: &Path) -> Outcome<bool> {
    println!("a batch at one node");
    let node = Node::start(program, directory.join("bulk")).await?;
    node.client().create_space(SPACE).await?;
    let put = |doc: String, value: &str| {
        Ok::<_, Box<dyn Error>>(BatchLine::Put { doc, value: serde_json::from_str(value)?, base: None })
    };
    let new = (0..BULK_NEW).map(|n| put(format!("n/{n}"), &value(n))).collect::<Outcome<Vec<_>>>()?;
    rate(&node, "new documents", new).await?;
    let counters = (0..DOCUMENTS).map(|n| put(format!("c/{n}"), r#"{"n":{"$counter":0},"v":""}"#));
    batch(&node.client(), counters.collect::<Outcome<Vec<_>>>()?).await?;
    let increment = |n: u64| BatchLine::Increment { doc: format!("c/{n}"), pointer: "/n".into(), by: 1 };
    let spread = (0..BULK_EDITS).map(|n| increment(n * 7 % DOCUMENTS)).collect();
    let spread = rate(&node, "increments, 1000 documents", spread).await?;
    let sets = (0..BULK_EDITS).map(|n| BatchLine::Set {
        doc: format!("c/{}", n * 7 % DOCUMENTS),
        pointer: "/v".into(),
        value: n.into(),
    });
    let sets = rate(&node, "sets, 1000 documents", sets.collect()).await?;
    let runs = (0..BULK_EDITS).map(|n| increment(n * DOCUMENTS / BULK_EDITS)).collect();
    let runs = rate(&node, "increments, document after document", runs).await?;
    let one =
        rate(&node, "increments, one document", (0..BULK_EDITS).map(|_| increment(0)).collect()).await?;
    let held = [spread, sets, runs, one].iter().all(|rate| *rate >= BULK_RATE_MIN);
    println!("  bound {BULK_RATE_MIN} small edits/s: {}", if held { "holds" } else { "MISSED" });
    Ok(held)
}

/// Sends a batch, and answers how many lines a second were done.
async fn rate(node: &Node, what: &str, lines: Vec<BatchLine>) -> Outcome<f64> {
    let (count, before, began) = (lines.len() as f64, spent(node).await?, Instant::now());
    batch(&node.client(), lines).await?;
    let (seconds, after) = (began.elapsed().as_secs_f64(), spent(node).await?);
    let each = |spent: f64| spent / count * 1e6;
    println!(
        "  {what:<44} {:7.0}/s   of each: processor {:.1} us, step {:.1} us, commit {:.1} us",
        count / seconds,
        each(after.processor - before.processor),
        each(after.steps - before.steps),
        each(after.commits - before.commits)
    );
    Ok(count / seconds)
}
