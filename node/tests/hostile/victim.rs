//! A node as a process, and what it tells about what it suffers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use serde_json::Value;
use starling_api::client::WriteOptions;
use starling_api::{Client, NodeAddress};
use tokio::time::{Instant, sleep};

/// What a node says and counts about one thing.
#[derive(Clone, Debug)]
pub struct Told {
    /// The stable name of the line in the log.
    pub event: &'static str,
    /// The code in it, if it has one.
    pub code: Option<&'static str>,
    /// The figure that moves; `{}` in it stands for the code.
    pub figure: &'static str,
    /// The kind and code of the offence noted against the sender; none where an honest node may do it.
    pub offence: Option<(&'static str, &'static str)>,
}

impl Told {
    pub fn figure(&self) -> String {
        self.figure.replace("{}", self.code.unwrap_or_default())
    }
}

/// Far above what any of these needs; passing it is a failure, not a pace.
pub const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// A node with a space of its own, that logs as JSON.
pub struct Victim {
    process: Child,
    pub client: Client,
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
    pub async fn start(directory: &Path) -> Self {
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

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The log's lines of one event, and of one code if it has one.
    pub fn lines(&self, event: &str, code: Option<&str>) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let wanted = |line: &Value| line["event"] == event && code.is_none_or(|code| line["code"] == code);
        lines.filter(wanted).collect()
    }

    /// A figure with its labels; zero while it never moved.
    pub async fn figure(&self, figure: &str) -> u64 {
        let figures = self.client.metrics().await.expect("the node serves its figures");
        let value = figures.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a number"))
    }

    /// How often the node said and counted something so far.
    pub async fn heard(&self, told: &Told) -> (usize, u64) {
        (self.lines(told.event, told.code).len(), self.figure(&told.figure()).await)
    }

    /// Waits until the node said and counted it once more than `before`, and then no more than once.
    pub async fn tells_once(&self, name: &str, told: &Told, before: (usize, u64)) {
        let wanted = (before.0 + 1, before.1 + 1);
        let give_up = Instant::now() + DEADLINE;
        loop {
            let heard = self.heard(told).await;
            if heard.0 >= wanted.0 && heard.1 >= wanted.1 {
                assert_eq!(heard, wanted, "{name}: said or counted more than once: {}", self.log());
                return;
            }
            let log = self.log();
            assert!(Instant::now() < give_up, "{name}: {told:?} heard {heard:?}, not {wanted:?}: {log}");
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Waits until a document reads as this.
    pub async fn shows(&self, name: &str, json: &Value) {
        let give_up = Instant::now() + DEADLINE;
        loop {
            let read = self.client.document("shop", name).await;
            if read.as_ref().is_ok_and(|document| document.value == *json) {
                return;
            }
            assert!(Instant::now() < give_up, "{name} is {read:?}, not {json}: {}", self.log());
            sleep(LOOK_PAUSE).await;
        }
    }

    /// The node still writes and reads what its own users write.
    pub async fn works(&self, name: &str) {
        let honest = serde_json::json!({ "written": name });
        let options = WriteOptions::default();
        self.client.put("shop", "honest", honest.to_string(), &options).await.expect("it takes writes");
        self.shows("honest", &honest).await;
    }

    /// Nothing ever panicked.
    pub fn is_sound(&self) {
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}
