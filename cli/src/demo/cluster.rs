//! The demo's nodes: processes of this program, each with its own directory and identity.
//!
//! Promises: no process and no directory outlives the demo. A node ends when the pipe at its standard
//! input closes, which the operating system does even when the demo itself is killed. Leaves out: what
//! the nodes are used for.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use starling_api::address::SOCKET_FILE;
use starling_api::{Client, NodeAddress};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::claim::Refuted;
use crate::output::note;

/// The nodes' names. The first three stay together when the network is cut.
pub(super) const NAMES: [&str; 5] = ["oslo", "lima", "cairo", "delhi", "perth"];

/// How long a node may take to stop by itself before it is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks at a node that starts.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

/// How much of a log's end is shown when a claim fails.
const LOG_END_BYTES: u64 = 1_500;

/// All nodes of the demo.
pub(super) struct Cluster {
    root: TempDir,
    /// The nodes, in the order of [`NAMES`].
    pub(super) nodes: Vec<DemoNode>,
}

/// One node.
pub(super) struct DemoNode {
    /// What it calls itself.
    pub(super) name: &'static str,
    /// Talks to it.
    pub(super) client: Client,
    /// Its public key, known once it ran.
    pub(super) key: String,
    directory: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Directories for five nodes, none of which runs yet.
    pub(super) fn new() -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("starling-demo-").tempdir()?;
        let nodes = NAMES.iter().map(|name| DemoNode::new(root.path(), name)).collect();
        Ok(Self { root, nodes })
    }

    /// Ends every node and removes everything, or keeps the directory and says where it is.
    pub(super) async fn end(mut self, keep: bool) -> io::Result<Option<PathBuf>> {
        for node in &mut self.nodes {
            node.ask_to_stop();
        }
        for node in &mut self.nodes {
            node.stopped().await;
        }
        if keep {
            return Ok(Some(self.root.keep()));
        }
        self.root.close().map(|()| None)
    }

    /// Prints the end of every node's log to stderr.
    pub(super) fn show_log_ends(&self) {
        for node in &self.nodes {
            let end = log_end(&node.log_path()).unwrap_or_default();
            note(&format!("--- end of the log of {}", node.name));
            end.lines().for_each(note);
        }
    }
}

impl DemoNode {
    fn new(root: &Path, name: &'static str) -> Self {
        let directory = root.join(name);
        let client = Client::new(NodeAddress::Unix(directory.join(SOCKET_FILE)));
        Self { name, client, key: String::new(), directory, process: None }
    }

    /// Starts the process. It is not ready yet.
    pub(super) fn start(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("up")
            .arg("--data-dir")
            .arg(&self.directory)
            .args([
                "--name",
                self.name,
                "--listen",
                "/ip4/127.0.0.1/tcp/0",
                "--no-mdns",
                "--profile",
                "local",
            ])
            .arg("--exit-with-parent")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the demo's terminal is for the demo, which then stops its nodes.
            .process_group(0)
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"STARLING_") {
                command.env_remove(name);
            }
        }
        self.process = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until the node serves, and learns its key.
    pub(super) async fn ready(&mut self) -> Result<(), Refuted> {
        loop {
            let process = self
                .process
                .as_mut()
                .ok_or_else(|| Refuted::because(format!("{} does not run", self.name)))?;
            if let Some(status) = process.try_wait()? {
                let end = log_end(&self.log_path()).unwrap_or_default();
                return Err(Refuted::because(format!("{} ended with {status}: {}", self.name, end.trim())));
            }
            if self.client.ready().await.is_ok() {
                self.key = self.client.status().await?.key;
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Gives the process away, for the one who kills it: from now on the node counts as not running.
    pub(super) fn take_process(&mut self) -> Result<Child, Refuted> {
        self.process.take().ok_or_else(|| Refuted::because(format!("{} does not run", self.name)))
    }

    /// True while the process was started and not killed.
    pub(super) fn runs(&self) -> bool {
        self.process.is_some()
    }

    fn ask_to_stop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.stdin.take());
        }
    }

    async fn stopped(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if tokio::time::timeout(STOP_TIME_MAX, process.wait()).await.is_err() {
            note(&format!("{} did not stop within {} s and was killed", self.name, STOP_TIME_MAX.as_secs()));
            // A process that is gone already needs no killing.
            let _ = process.kill().await;
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }
}

fn log_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_END_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
