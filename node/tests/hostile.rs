//! A node as a process against a peer that has nothing but a connection: what it sends is refused with
//! one line in the log and a figure that moved, and the node goes on.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::Duration,
};

use serde_json::Value;
use starling_api::{Client, NodeAddress};
use starling_crdt::id::{AuthorKey, Topic};
use starling_node::{
    metrics::Registry,
    network::{Command, Event, NetworkConfig, NetworkHandle, start},
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

/// Far above what any of these needs; passing it is a failure, not a pace.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A node with a space of its own, that logs as JSON.
struct Victim {
    process: Child,
    client: Client,
    log: PathBuf,
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Victim {
    async fn start(directory: &Path) -> Self {
        let (data, log) = (directory.join("data"), directory.join("log"));
        let process = Process::new(env!("CARGO_BIN_EXE_starlingd"))
            .env_clear()
            .env("STARLING_DATA_DIR", &data)
            .env("STARLING_PROFILE", "local")
            .env("STARLING_LISTEN", "/ip4/127.0.0.1/tcp/0")
            .env("STARLING_LOG_FORMAT", "json")
            .env("STARLING_LOG_LEVEL", "info,starling_node=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("the program was built");
        let victim = Self { process, client: Client::new(NodeAddress::Unix(data.join("api.sock"))), log };
        let give_up = Instant::now() + DEADLINE;
        while victim.client.create_space("shop").await.is_err() {
            assert!(Instant::now() < give_up, "it does not serve: {}", victim.log());
            sleep(LOOK_PAUSE).await;
        }
        victim
    }

    async fn address(&self) -> String {
        self.client.status().await.expect("a status").listen.first().expect("it listens").clone()
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log's lines of one event and code.
    fn lines(&self, event: &str, code: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == event && line["code"] == code).collect()
    }

    /// Whether the node serves a figure with this name and labels, and this value.
    async fn counts(&self, figure: &str, value: u64) -> bool {
        let figures = self.client.metrics().await.expect("the node serves its figures");
        figures.lines().any(|line| line == format!("{figure} {value}"))
    }

    /// Waits until a refusal is in the log and in the figures, each once.
    async fn refused_once(&self, event: &str, code: &str, figure: &str) {
        let give_up = Instant::now() + DEADLINE;
        while self.lines(event, code).is_empty() || !self.counts(figure, 1).await {
            let log = self.log();
            assert!(Instant::now() < give_up, "no {event} with {code}, or no {figure} of 1: {log}");
            sleep(LOOK_PAUSE).await;
        }
        assert_eq!(self.lines(event, code).len(), 1, "{}", self.log());
    }
}

/// A peer without a replica behind it.
struct Hostile {
    handle: NetworkHandle,
    events: UnboundedReceiver<Event>,
}

impl Hostile {
    /// Connects to a node.
    async fn connect(seed: u8, address: &str) -> (Self, AuthorKey) {
        let (sender, events) = unbounded_channel();
        let config = NetworkConfig::new(Zeroizing::new([seed; 32]));
        let deliver = move |event| {
            // The test that no longer reads has ended.
            let _ = sender.send(event);
            Ok(())
        };
        let handle = start(&Handle::current(), &config, &mut Registry::default(), deliver).expect("starts");
        let mut peer = Self { handle, events };
        peer.send(Command::Dial { peer: None, addresses: vec![address.to_owned()] });
        let key = peer
            .wait(|event| match event {
                Event::PeerUp { peer, .. } => Some(peer),
                _ => None,
            })
            .await;
        (peer, key)
    }

    fn send(&self, command: Command) {
        self.handle.send(command).expect("the network takes the command");
    }

    async fn wait<T>(&mut self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = pick(self.events.recv().await.expect("the network runs")) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, found).await.expect("it happens in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_garbage_is_an_offence_that_disconnects_and_the_node_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = Victim::start(directory.path()).await;
    let offences = "starling_offences_total{kind=\"garbage\"}";
    assert!(!victim.counts(offences, 1).await);
    let (mut peer, key) = Hostile::connect(201, &victim.address().await).await;
    peer.send(Command::Request { peer: key, id: 1, body: vec![0xff; 40] });
    victim.refused_once("offence", "malformed_request", offences).await;
    let line = victim.lines("offence", "malformed_request").remove(0);
    assert_eq!(line["offence"], "garbage", "{line}");
    assert_eq!(line["peer"], peer.handle.local().to_string(), "{line}");
    peer.wait(|event| matches!(event, Event::PeerDown { .. }).then_some(())).await;
    assert!(!victim.log().contains("panicked"), "{}", victim.log());
    assert_eq!(victim.client.spaces().await.expect("it serves").items.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_that_nobody_sealed_is_refused_and_the_node_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let victim = Victim::start(directory.path()).await;
    let refused = "starling_deltas_refused_total{code=\"not_sealed\"}";
    assert!(!victim.counts(refused, 1).await);
    let (mut peer, _) = Hostile::connect(202, &victim.address().await).await;
    // A node tells whoever connects which topics it follows; their names say nothing about the space.
    let topic: Topic = peer
        .wait(|event| match event {
            Event::Follows { topic, .. } => Some(topic),
            _ => None,
        })
        .await;
    peer.send(Command::Publish { topic, payload: vec![0xff; 200] });
    victim.refused_once("refused", "not_sealed", refused).await;
    assert!(!victim.log().contains("panicked"), "{}", victim.log());
    assert_eq!(victim.client.spaces().await.expect("it serves").items.len(), 1);
}
