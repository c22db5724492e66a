//! What it takes to look: the commands an operator waits for, on a node of many documents, and what a live
//! picture costs while it is open.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use starling_api::client::WriteOptions;
use starling_api::compare::{Compare, Outcome as Found};
use starling_api::document::BatchLine;
use starling_api::peer::BlockPeer;
use tokio::time::{interval, sleep, timeout};

use super::{Node, Outcome, PATIENCE, SPACE, TICKS_PER_SECOND, batch, fill, judged, pair, shown, value};

/// Documents of the node that is looked at.
const DOCUMENTS: u64 = 100_000;
/// Lines of one batch while they are written.
const FILL: u64 = 20_000;
/// Changes of the document whose past is told.
const CHANGES: u64 = 10_000;
/// Samples of a command, each a process of its own as a person starts it.
const SAMPLES: usize = 50;
/// Samples of a command that tells of ten thousand changes.
const PAST_SAMPLES: usize = 10;
/// Documents in which the nodes differ that are compared.
const DIFFERENT: u64 = 10;
/// How often nodes are parted for a comparison that sees them differ.
const PARTINGS: usize = 10;
/// How long the live picture is open, and how often something changes meanwhile.
const TOP: Duration = Duration::from_secs(60);
const TOP_PERIOD: Duration = Duration::from_millis(10);

const QUICK_MAX: Duration = Duration::from_millis(20);
const FIRST_LINE_MAX: Duration = Duration::from_millis(50);
const PAST_MAX: Duration = Duration::from_millis(300);
const COMPARE_MAX: Duration = Duration::from_secs(1);
const COMPARE_BYTES_MAX: u64 = 64 * 1024;
const TOP_SHARE_MAX: f64 = 0.02;

fn command(program: &Path, node: &Node, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(&node.directory).args(words).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long a command takes to its end.
fn whole(program: &Path, node: &Node, words: &[&str]) -> Outcome<Duration> {
    let began = Instant::now();
    let done = command(program, node, words).stdout(Stdio::null()).status()?;
    let took = began.elapsed();
    if done.success() { Ok(took) } else { Err(format!("{words:?} ended with {done}").into()) }
}

/// How long a command takes to its first line.
fn first_line(program: &Path, node: &Node, words: &[&str]) -> Outcome<Duration> {
    let began = Instant::now();
    let mut running = command(program, node, words).stdout(Stdio::piped()).spawn()?;
    let mut out = BufReader::new(running.stdout.take().ok_or("no pipe")?);
    let mut line = String::new();
    let read = out.read_line(&mut line);
    let took = began.elapsed();
    out.read_to_end(&mut Vec::new())?;
    running.wait()?;
    if read? == 0 { Err(format!("{words:?} printed nothing").into()) } else { Ok(took) }
}

/// Commands on one node of many documents, and a comparison with another.
pub(super) async fn looks(program: &Path, directory: &Path) -> Outcome<bool> {
    println!("a node of {DOCUMENTS} documents, each command a process of its own");
    let (node, other) = pair(program, directory).await?;
    let client = node.client();
    for from in (0..DOCUMENTS).step_by(FILL as usize) {
        fill(&client, (from..from + FILL).map(|n| (format!("d/{n}"), value(n)))).await?;
    }
    let edits =
        (0..CHANGES).map(|n| BatchLine::Set { doc: "past".into(), pointer: "/v".into(), value: n.into() });
    fill(&client, std::iter::once(("past".to_owned(), "{}".to_owned()))).await?;
    batch(&client, edits.collect()).await?;
    let mut held = true;
    let p50 = |words: &[&str], samples: usize, took: fn(&Path, &Node, &[&str]) -> Outcome<Duration>| {
        // The first one also warms what every later one finds warm.
        took(program, &node, words)?;
        let mut all = (0..samples).map(|_| took(program, &node, words)).collect::<Outcome<Vec<_>>>()?;
        Ok::<_, Box<dyn std::error::Error>>(shown(&words.join(" "), &mut all))
    };
    p50(&["version"], SAMPLES, whole)?;
    for words in [&["status"][..], &["get", "d/777"], &["members"]] {
        held &= judged("p50", p50(words, SAMPLES, whole)?, QUICK_MAX);
    }
    held &= judged("p50 to the first line", p50(&["ls"], SAMPLES, first_line)?, FIRST_LINE_MAX);
    for words in [&["history", "past"][..], &["blame", "past"]] {
        held &= judged("p50", p50(words, PAST_SAMPLES, whole)?, PAST_MAX);
    }
    held &= comparison(&node, &other).await?;
    Ok(held)
}

/// A comparison of two nodes right after they met again.
async fn comparison(node: &Node, other: &Node) -> Outcome<bool> {
    let (client, name) = (node.client(), other.client().status().await?.key);
    alike(node, &name).await?;
    for parting in 0..PARTINGS {
        client.block_peer(&name, &BlockPeer::default()).await?;
        let names =
            (0..DIFFERENT).map(|n| (format!("d/{}", n * 7_919), value(DOCUMENTS + n + parting as u64)));
        fill(&client, names).await?;
        client.unblock_peer(&name).await?;
        let compare = Compare { nodes: vec![name.clone()], doc: None, timeout_ms: None };
        let told = loop {
            let began = Instant::now();
            let item = client.compare(SPACE, &compare).await?.items.remove(0);
            match item.outcome {
                // They have not met yet.
                Found::Unasked { .. } => sleep(Duration::from_millis(5)).await,
                Found::Equal(_) => break None,
                Found::Differs(told) => break Some((told, began.elapsed())),
            }
        };
        alike(node, &name).await?;
        let Some((told, took)) = told.filter(|(told, _)| told.differing == DIFFERENT) else { continue };
        println!(
            "  compare, {} documents differ: {} bytes, {} round trips",
            told.differing, told.bytes, told.round_trips
        );
        let small = told.bytes <= COMPARE_BYTES_MAX;
        println!("  bound {COMPARE_BYTES_MAX} bytes: {}", if small { "holds" } else { "MISSED" });
        return Ok(judged("compare", took, COMPARE_MAX) && small);
    }
    Err("repair was always faster than the comparison".into())
}

/// Waits until two nodes hold the same.
async fn alike(node: &Node, name: &str) -> Outcome<()> {
    let (client, compare) =
        (node.client(), Compare { nodes: vec![name.to_owned()], doc: None, timeout_ms: None });
    timeout(PATIENCE, async {
        while !matches!(client.compare(SPACE, &compare).await?.items[0].outcome, Found::Equal(_)) {
            sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })
    .await?
}

/// A `top` in a terminal of its own, killed when it is dropped.
struct Top(Child);

impl Drop for Top {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the live picture costs while the node is busy.
pub(super) async fn top(program: &Path, directory: &Path) -> Outcome<bool> {
    println!("top for {TOP:?}, a change each {TOP_PERIOD:?}");
    let node = Node::start(program, directory.join("top")).await?;
    let client = node.client();
    client.create_space(SPACE).await?;
    let pid = node.directory.join("pid");
    let line = format!(
        "stty cols 100 rows 30; echo $$ > '{}'; exec '{}' --data-dir '{}' top",
        pid.display(),
        program.display(),
        node.directory.display()
    );
    let script = Command::new("script")
        .args(["-qfc", &format!("sh -c \"{line}\""), "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let _top = Top(script);
    let spent = || -> Outcome<f64> {
        let pid = std::fs::read_to_string(&pid)?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))?;
        let fields = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').skip(11).take(2);
        Ok(fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND)
    };
    sleep(Duration::from_secs(2)).await;
    let (before, began, mut ticks) = (spent()?, Instant::now(), interval(TOP_PERIOD));
    let mut changes = 0;
    while began.elapsed() < TOP {
        ticks.tick().await;
        client.put(SPACE, &format!("d/{}", changes % 200), value(changes), &WriteOptions::default()).await?;
        changes += 1;
    }
    let share = (spent()? - before) / began.elapsed().as_secs_f64();
    let held = share <= TOP_SHARE_MAX;
    let rate = changes as f64 / began.elapsed().as_secs_f64();
    println!(
        "  {rate:.0} changes/s: {:.2} % of a core against {:.0} %: {}",
        share * 100.0,
        TOP_SHARE_MAX * 100.0,
        if held { "holds" } else { "MISSED" }
    );
    Ok(held)
}
