//! The same load on Starling, etcd and Redis, in turns on one disk.
//!
//! Each client has a connection of its own and one write under way: 100 bytes to one of a thousand keys,
//! answered once it is durable. All three servers and all clients share one machine, and the clients one
//! thread. Starling is spoken to in HTTP over a Unix socket, Redis in its own protocol over a Unix socket, etcd
//! in gRPC over loopback: what each one's own clients speak. Redis runs with `appendfsync always`; etcd is one
//! member. Neither signs what it stores, merges, or keeps the history of a value for good.

#[path = "peers/etcd.rs"]
mod etcd;
#[path = "peers/redis.rs"]
mod redis;

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use starling_api::Client;
use starling_api::client::WriteOptions;
use tokio::time::{sleep, timeout};

use super::{DOCUMENTS, LOAD, Node, Outcome, PATIENCE, SPACE, append, fill, percentile, shown, value};

const CLIENTS: [u64; 3] = [1, 16, 64];
/// Appends, for the speed of the disk.
const APPENDS: usize = 1_000;
/// Least gain of many clients over one, and over etcd.
const MANY_MIN: f64 = 4.0;
const ETCD_MIN: f64 = 2.0;

/// A server that ends with its owner.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, directory: &Path) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = File::create(directory.join("log"))?;
        let started = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Self(started.map_err(|error| format!("{name} does not start ({error}); is it installed?"))?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that ended by itself needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a client's writes go.
enum Connection {
    Starling(Client),
    Etcd(etcd::Connection),
    Redis(redis::Connection),
}

impl Connection {
    async fn put(&mut self, key: &str, value: String) -> Outcome<()> {
        match self {
            Self::Starling(client) => {
                client.put(SPACE, key, value, &WriteOptions::default()).await?;
                Ok(())
            }
            Self::Etcd(etcd) => etcd.put(key, &value).await,
            Self::Redis(redis) => redis.put(key, &value).await,
        }
    }
}

/// The three, running.
struct Stage {
    node: Node,
    etcd: etcd::Etcd,
    redis: redis::Redis,
}

const NAMES: [&str; 3] = ["Starling", "etcd", "Redis"];

impl Stage {
    async fn connection(&self, name: &str) -> Outcome<Connection> {
        Ok(match name {
            "Starling" => Connection::Starling(self.node.client()),
            "etcd" => Connection::Etcd(self.etcd.connect().await?),
            _ => Connection::Redis(self.redis.connect().await?),
        })
    }

    /// Writes a second.
    async fn load(&self, name: &str, clients: u64) -> Outcome<f64> {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(self.connection(name).await?);
        }
        let (began, until) = (Instant::now(), Instant::now() + LOAD);
        let clients_running =
            connections.into_iter().zip(0_u64..).map(|(mut connection, number)| async move {
                let mut done = Vec::new();
                for write in 0_u64.. {
                    let sent = Instant::now();
                    if sent >= until {
                        break;
                    }
                    let key = format!("d/{}", (number * 131 + write * 7) % DOCUMENTS);
                    connection.put(&key, value(write)).await?;
                    done.push(sent.elapsed());
                }
                Ok::<_, Box<dyn std::error::Error>>(done)
            });
        let mut done = try_join_all(clients_running).await?.concat();
        let rate = done.len() as f64 / began.elapsed().as_secs_f64();
        shown(&format!("{name}, {clients} clients, {rate:.0} writes/s"), &mut done);
        Ok(rate)
    }
}

/// Waits until something answers.
async fn once_ready<T>(mut attempt: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
    let ready = timeout(PATIENCE, async {
        loop {
            match attempt().await {
                Ok(ready) => break ready,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    Ok(ready.await?)
}

pub(super) async fn peers(program: &Path, directory: &Path) -> Outcome<bool> {
    println!(
        "writes of 100 bytes, {DOCUMENTS} keys, durable when answered: Starling, etcd, Redis with fsync"
    );
    let node = Node::start(program, directory.join("peers")).await?;
    let client = node.client();
    client.create_space(SPACE).await?;
    fill(&client, (0..DOCUMENTS).map(|n| (format!("d/{n}"), value(n)))).await?;
    let etcd = etcd::Etcd::start(&node.directory.join("etcd")).await?;
    let redis = redis::Redis::start(&node.directory.join("redis")).await?;
    let stage = Stage { node, etcd, redis };
    let mut file = File::create(stage.node.directory.join("append"))?;
    let mut appends = (0..APPENDS).map(|_| append(&mut file)).collect::<Outcome<Vec<_>>>()?;
    appends.sort();
    println!(
        "  append of 400 bytes and fdatasync: p50 {:.3} ms",
        percentile(&appends, 50).as_secs_f64() * 1e3
    );
    let (mut held, mut alone) = (true, 0.0);
    for clients in CLIENTS {
        let mut rates = [0.0; NAMES.len()];
        for (rate, name) in rates.iter_mut().zip(NAMES) {
            *rate = stage.load(name, clients).await?;
        }
        let [own, etcd, redis] = rates;
        if clients == 1 {
            alone = own;
            continue;
        }
        println!(
            "  {clients} clients: {:.1} x one client, {:.1} x etcd, {:.2} x Redis",
            own / alone,
            own / etcd,
            own / redis
        );
        held &= own >= MANY_MIN * alone && own >= ETCD_MIN * etcd;
    }
    println!(
        "  bound {MANY_MIN} x one client and {ETCD_MIN} x etcd: {}",
        if held { "holds" } else { "MISSED" }
    );
    Ok(held)
}
