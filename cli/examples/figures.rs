//! Measures a built `starling`: durable writes, the same load on etcd and Redis, bulk writes, writes to one
//! space beside a flood in another, the way of a write to a watcher at another node, memory and idle traffic, a
//! start on a large store, the commands that inspect. What it prints is what `docs/performance.md` tells, with
//! the machine it ran on.
//!
//! `cargo run --release --example figures -- PROGRAM DIRECTORY [FIGURE…]`, where PROGRAM is
//! the `starling` to measure, DIRECTORY lies on the disk to measure and FIGURE is `writes`, `peers`, `bulk`,
//! `fairness`, `watch`, `idle`, `open`, `inspect` or `top`; without one all but `peers`, which needs `etcd` and
//! `redis-server`, are measured. Ends 1 if a figure misses its bound.

#[path = "figures/bulk.rs"]
mod bulk;
#[path = "figures/inspect.rs"]
mod inspect;
#[path = "figures/open.rs"]
mod open;
#[path = "figures/peers.rs"]
mod peers;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use starling_api::address::SOCKET_FILE;
use starling_api::client::WriteOptions;
use starling_api::document::{BatchLine, WatchQuery};
use starling_api::member::{Nodes, Wait};
use starling_api::space::{CreateInvite, JoinState, Role};
use starling_api::{Client, NodeAddress};
use tokio::time::{sleep, timeout};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SPACE: &str = "figures";
/// Documents written to, so that neither one document nor an empty store is measured.
const DOCUMENTS: u64 = 1_000;
/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// Samples of one client; the plain append takes turns with it, so that another user of the disk slows both.
/// Several for each document: the first one also reads it from the store.
const WRITES: u64 = 5_000;
const TURN: u64 = 50;
/// How long many clients write.
const LOAD: Duration = Duration::from_secs(5);
/// Writes to a space beside which another is flooded, their spacing, and lines of one batch of the flood.
const QUIET_WRITES: u64 = 500;
const QUIET_PERIOD: Duration = Duration::from_millis(20);
const FLOOD_BATCH: u64 = 5_000;
/// Writes on their way to a watcher, and their spacing.
const WATCHED: u64 = 1_000;
const WATCH_PERIOD: Duration = Duration::from_millis(100);
/// Writes of the watcher's own node, to compare with.
const OWN_WRITES: u64 = 300;
/// Nodes of the cluster.
const NODES: usize = 5;
/// How long the cluster idles.
const IDLE: Duration = Duration::from_secs(60);
/// Nothing takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Unit of processor times in `/proc`: Linux shows it to programs as 100 everywhere.
const TICKS_PER_SECOND: f64 = 100.0;
/// Most bytes a second that an idle node sends, and receives.
const IDLE_BYTES_MAX: f64 = 1_000.0;
/// Most memory of an idle node with the registry of MIME types.
const IDLE_KIB_MAX: u64 = 60 * 1024;

struct Node {
    process: Child,
    directory: PathBuf,
}

impl Node {
    async fn start(program: &Path, directory: PathBuf) -> Outcome<Self> {
        fs::create_dir_all(&directory)?;
        let node = Self { process: Self::process(program, &directory)?, directory };
        node.ready().await?;
        Ok(node)
    }

    /// Kills it, and starts it again on what it left.
    async fn start_again(&mut self, program: &Path) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = Self::process(program, &self.directory)?;
        self.ready().await
    }

    fn process(program: &Path, directory: &Path) -> Outcome<Child> {
        let process = Command::new(program)
            .args(["up", "--no-mdns", "--profile", "local", "--log-level", "warn"])
            .args(["--listen", "/ip4/127.0.0.1/tcp/0", "--data-dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(directory.join("log"))?)
            .spawn()?;
        Ok(process)
    }

    /// Waits until it answers and listens.
    async fn ready(&self) -> Outcome<()> {
        let client = self.client();
        timeout(PATIENCE, async {
            while !client.status().await.is_ok_and(|status| !status.listen.is_empty()) {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await?;
        Ok(())
    }

    fn client(&self) -> Client {
        Client::new(NodeAddress::Unix(self.directory.join(SOCKET_FILE)))
    }

    /// The sum of all figures whose name and labels contain these.
    async fn figure(&self, name: &str, label: &str) -> Outcome<f64> {
        let text = self.client().metrics().await?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Processor time of all its threads so far.
    fn processor_seconds(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields = stat.rsplit(") ").next().ok_or("no fields")?.split(' ').skip(11).take(2);
        let ticks: f64 = fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_SECOND)
    }

    fn resident_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn value(number: u64) -> String {
    let text = format!("{number:0width$}", width = VALUE_BYTES - 8);
    format!("{{\"v\":\"{text}\"}}")
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn shown(label: &str, samples: &mut [Duration]) -> Duration {
    samples.sort();
    let of = |percent| percentile(samples, percent).as_secs_f64() * 1e3;
    println!("  {label:<44} p50 {:7.3} ms   p99 {:7.3} ms", of(50), of(99));
    percentile(samples, 50)
}

fn judged(what: &str, reached: Duration, bound: Duration) -> bool {
    let held = reached <= bound;
    let word = if held { "holds" } else { "MISSED" };
    println!(
        "  {what}: {:.3} ms against {:.3} ms: {word}",
        reached.as_secs_f64() * 1e3,
        bound.as_secs_f64() * 1e3
    );
    held
}

// One thread: what is measured is the node, not how the client's own tasks wake each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(program), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err(
            "usage: figures PROGRAM DIRECTORY [writes|peers|bulk|fairness|watch|idle|open|inspect|top]…"
                .into(),
        );
    };
    let (program, directory) = (PathBuf::from(program), PathBuf::from(directory).join("figures"));
    let figures: Vec<String> = arguments.map(|figure| figure.to_string_lossy().into_owned()).collect();
    let wanted = |name: &str| figures.is_empty() || figures.iter().any(|figure| figure == name);
    let mut held = true;
    if wanted("writes") {
        held &= writes(&program, &directory).await?;
    }
    if figures.iter().any(|figure| figure == "peers") {
        held &= peers::peers(&program, &directory).await?;
    }
    if wanted("bulk") {
        held &= bulk::bulk(&program, &directory).await?;
    }
    if wanted("fairness") {
        held &= fairness(&program, &directory).await?;
    }
    if wanted("watch") {
        held &= watch(&cluster(&program, &directory).await?).await?;
    }
    if wanted("idle") {
        held &= idle(&cluster(&program, &directory).await?).await?;
    }
    if wanted("open") {
        held &= open::open(&program, &directory).await?;
    }
    if wanted("inspect") {
        held &= inspect::looks(&program, &directory).await?;
    }
    if wanted("top") {
        held &= inspect::top(&program, &directory).await?;
    }
    if held { Ok(()) } else { Err("a figure misses its bound".into()) }
}

async fn writes(program: &Path, directory: &Path) -> Outcome<bool> {
    println!("durable writes at one node, {VALUE_BYTES}-byte values, {DOCUMENTS} documents");
    let node = Node::start(program, directory.join("one")).await?;
    let client = node.client();
    client.create_space(SPACE).await?;
    fill(&client, (0..DOCUMENTS).map(|n| (format!("d/{n}"), value(n)))).await?;
    let mut file = File::create(node.directory.join("append"))?;
    let before = spent(&node).await?;
    let (mut appends, mut puts) = (Vec::new(), Vec::new());
    for turn in 0..WRITES / TURN {
        for _ in 0..TURN {
            appends.push(append(&mut file)?);
        }
        for sample in turn * TURN..(turn + 1) * TURN {
            let (name, value) = (format!("d/{}", sample * 7 % DOCUMENTS), value(sample + DOCUMENTS));
            let began = Instant::now();
            client.put(SPACE, &name, value, &WriteOptions::default()).await?;
            puts.push(began.elapsed());
        }
    }
    let append = shown("append of 400 bytes and fdatasync", &mut appends);
    let put = shown("one client", &mut puts);
    let after = spent(&node).await?;
    let mean = |of: fn(&Spent) -> f64| (of(&after) - of(&before)) / WRITES as f64 * 1e3;
    println!(
        "  of it, on average: commit {:.3} ms, the rest of the step {:.3} ms, processor {:.3} ms",
        mean(|spent| spent.commits),
        mean(|spent| spent.steps - spent.commits),
        mean(|spent| spent.processor)
    );
    let held = judged("p50 of one client", put, 3 * append + Duration::from_micros(200));
    for clients in [16, 64] {
        let done = load(&node, clients).await?;
        let per_second = done.len() as f64 / LOAD.as_secs_f64();
        let mut done = done;
        shown(&format!("{clients} clients, {per_second:.0} writes/s"), &mut done);
    }
    Ok(held)
}

fn append(file: &mut File) -> Outcome<Duration> {
    let began = Instant::now();
    file.write_all(&[7; 400])?;
    file.sync_data()?;
    Ok(began.elapsed())
}

async fn load(node: &Node, clients: u64) -> Outcome<Vec<Duration>> {
    let until = Instant::now() + LOAD;
    let clients = (0..clients).map(|number| async move {
        let client = node.client();
        let mut done = Vec::new();
        for write in 0_u64.. {
            let began = Instant::now();
            if began >= until {
                break;
            }
            let name = format!("d/{}", (number * 131 + write * 7) % DOCUMENTS);
            client.put(SPACE, &name, value(write), &WriteOptions::default()).await?;
            done.push(began.elapsed());
        }
        Ok::<_, Box<dyn Error>>(done)
    });
    Ok(try_join_all(clients).await?.concat())
}

/// What a node has spent so far, in seconds.
struct Spent {
    steps: f64,
    commits: f64,
    processor: f64,
}

async fn spent(node: &Node) -> Outcome<Spent> {
    Ok(Spent {
        steps: node.figure("starling_step_seconds_sum", "").await?,
        commits: node.figure("starling_commit_seconds_sum", "").await?,
        processor: node.processor_seconds()?,
    })
}

/// What a flood of writes in one space costs the writes of another.
async fn fairness(program: &Path, directory: &Path) -> Outcome<bool> {
    const QUIET: &str = "quiet";
    println!("one client, a write each {QUIET_PERIOD:?}, beside batches in another space");
    let node = Node::start(program, directory.join("fair")).await?;
    let client = node.client();
    client.create_space(SPACE).await?;
    client.create_space(QUIET).await?;
    let quiet = async |label: &str| {
        let mut samples = Vec::new();
        for sample in 0..QUIET_WRITES {
            let began = Instant::now();
            client.put(QUIET, &format!("q/{}", sample % 50), value(sample), &WriteOptions::default()).await?;
            samples.push(began.elapsed());
            sleep(QUIET_PERIOD.saturating_sub(began.elapsed())).await;
        }
        shown(label, &mut samples);
        Ok::<_, Box<dyn Error>>(percentile(&samples, 99))
    };
    quiet("once to each document").await?;
    let alone = quiet("alone").await?;
    let lines = || (0..FLOOD_BATCH).map(|n| (format!("d/{}", n % DOCUMENTS), value(n)));
    let flood = async {
        loop {
            if let Err(error) = fill(&client, lines()).await {
                break error;
            }
        }
    };
    let beside = tokio::select! {
        error = flood => return Err(error),
        beside = quiet("beside the flood") => beside?,
    };
    Ok(judged("p99 beside the flood", beside, 2 * alone))
}

async fn fill(client: &Client, documents: impl Iterator<Item = (String, String)>) -> Outcome<()> {
    let mut lines = Vec::new();
    for (doc, value) in documents {
        lines.push(BatchLine::Put { doc, value: serde_json::from_str(&value)?, base: None });
    }
    batch(client, lines).await
}

async fn batch(client: &Client, lines: Vec<BatchLine>) -> Outcome<()> {
    let mut refused = 0;
    client.batch_all(SPACE, lines, |result| refused += u64::from(result.outcome.is_err())).await?;
    if refused == 0 { Ok(()) } else { Err(format!("{refused} lines of a batch were refused").into()) }
}

async fn cluster(program: &Path, directory: &Path) -> Outcome<Vec<Node>> {
    connected(program, directory, NODES).await
}

/// Two nodes of one space.
async fn pair(program: &Path, directory: &Path) -> Outcome<(Node, Node)> {
    let mut nodes = connected(program, directory, 2).await?.into_iter();
    nodes.next().zip(nodes.next()).ok_or_else(|| "two nodes were started".into())
}

/// Nodes of one space, all connected with each other.
async fn connected(program: &Path, directory: &Path, count: usize) -> Outcome<Vec<Node>> {
    let mut nodes = Vec::new();
    for number in 0..count {
        nodes.push(Node::start(program, directory.join(number.to_string())).await?);
    }
    let first = nodes[0].client();
    first.create_space(SPACE).await?;
    let invite = CreateInvite { role: Role::Writer, prefix: None, uses: None, expires_in_s: None };
    let ticket = first.invite(SPACE, &invite).await?.ticket;
    for node in &nodes[1..] {
        node.client().join(&ticket).await?;
    }
    timeout(PATIENCE, async {
        for node in &nodes {
            let client = node.client();
            loop {
                let joined =
                    client.spaces().await?.items.iter().all(|space| space.state == JoinState::Joined);
                let peers = client.peers().await?.items.iter().filter(|peer| peer.connected).count();
                if joined && peers == count - 1 {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok::<_, Box<dyn Error>>(())
    })
    .await??;
    Ok(nodes)
}

async fn watch(nodes: &[Node]) -> Outcome<bool> {
    println!("a write on A to a watcher on B, {NODES} nodes, one each {WATCH_PERIOD:?}, {WATCHED} samples");
    let (a, b) = (nodes[0].client(), nodes[1].client());
    let own = nodes[1].client();
    let mut watch = b.watch(SPACE, WatchQuery::default()).await?;
    let (mut ways, mut puts, mut owns, mut appends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut file = File::create(nodes[0].directory.join("append"))?;
    let before = commits(&nodes[1]).await?;
    let mut ticks = tokio::time::interval(WATCH_PERIOD);
    for sample in 0..WATCHED {
        ticks.tick().await;
        let name = format!("w/{}", sample % DOCUMENTS);
        let began = Instant::now();
        let put = async {
            a.put(SPACE, &name, value(sample), &WriteOptions::default()).await?;
            Ok::<_, Box<dyn Error>>(began.elapsed())
        };
        let seen = async {
            while watch.next().await?.name != name {}
            Ok::<_, Box<dyn Error>>(began.elapsed())
        };
        let (put, way) = timeout(PATIENCE, futures::future::try_join(put, seen)).await??;
        puts.push(put);
        ways.push(way);
        // At the same pace: a disk and a processor that rest in between are slower than busy ones.
        appends.push(append(&mut file)?);
    }
    let after = commits(&nodes[1]).await?;
    for sample in 0..OWN_WRITES {
        ticks.tick().await;
        let began = Instant::now();
        own.put(SPACE, &format!("o/{sample}"), value(sample), &WriteOptions::default()).await?;
        owns.push(began.elapsed());
    }
    shown("append of 400 bytes and fdatasync, same pace", &mut appends);
    shown("acknowledged by A", &mut puts);
    let way = shown("seen at B", &mut ways);
    let own = shown("B's own writes, acknowledged", &mut owns);
    let mean = (after.0 - before.0) / (after.1 - before.1);
    println!("  B's commits meanwhile: {:.0}, mean {:.3} ms", after.1 - before.1, mean * 1e3);
    Ok(judged("p50 from A to the watcher on B", way, Duration::from_millis(5) + own))
}

async fn commits(node: &Node) -> Outcome<(f64, f64)> {
    let seconds = node.figure("starling_commit_seconds_sum", "").await?;
    Ok((seconds, node.figure("starling_commit_seconds_count", "").await?))
}

async fn idle(nodes: &[Node]) -> Outcome<bool> {
    println!("{NODES} nodes with the registry of MIME types, idle for {IDLE:?}");
    let records = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mime-db.ndjson"))?;
    let named = records.lines().enumerate().map(|(line, record)| (format!("mime/{line}"), record.to_owned()));
    let client = nodes[0].client();
    fill(&client, named).await?;
    let wait = Wait { doc: None, nodes: Nodes::All, timeout_ms: PATIENCE.as_millis() as u64 };
    if !client.wait(SPACE, &wait).await?.satisfied {
        return Err("not every node holds the registry in time".into());
    }
    let mut before = Vec::new();
    for node in nodes {
        before.push(traffic(node).await?);
    }
    sleep(IDLE).await;
    let mut held = true;
    for (number, (node, before)) in nodes.iter().zip(before).enumerate() {
        let after = traffic(node).await?;
        let rate = |after: f64, before: f64| (after - before) / IDLE.as_secs_f64();
        let resident = node.resident_kib()?;
        let (received, sent) = (rate(after.0, before.0), rate(after.1, before.1));
        held &= resident <= IDLE_KIB_MAX && received.max(sent) <= IDLE_BYTES_MAX;
        println!(
            "  node {number}: {:.1} MiB resident, {:.0} B/s in, {:.0} B/s out",
            resident as f64 / 1024.0,
            received,
            sent
        );
    }
    println!(
        "  bound {} MiB and {IDLE_BYTES_MAX} B/s each way: {}",
        IDLE_KIB_MAX / 1024,
        if held { "holds" } else { "MISSED" }
    );
    Ok(held)
}

async fn traffic(node: &Node) -> Outcome<(f64, f64)> {
    let name = "libp2p_bandwidth_bytes";
    Ok((node.figure(name, "Inbound").await?, node.figure(name, "Outbound").await?))
}
