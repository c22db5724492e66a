//! `starling up`
//!
//! Promises: flags win over environment, environment over file; the node stops cleanly on SIGTERM and
//! Ctrl-C. Leaves out: everything the node does.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use starling_api::{Client, ExitCode as Exit, NodeAddress};
use starling_node::config::{
    ByteSize, Config, ConfigError, ConfigOverrides, HttpAddress, LogFormat, NodeName, Profile,
};
use starling_node::identity::IdentityError;
use starling_node::node::{Node, StartError};
use starling_node::shutdown::{self, ShutdownTrigger};
use starling_node::telemetry::{self, LogLevel};
use starling_store::OpenError;

use crate::args::Global;
use crate::commands::announce::{Whereabouts, advise_when_alone, announce};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// How long a store that is in use is waited for, and how often it is tried.
const STORE_WAIT_MAX: Duration = Duration::from_secs(2);
const STORE_LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Run a node on this host.
///
/// It stores everything below the data directory, listens for other nodes on port 4710 (TCP and QUIC), finds
/// nodes on the same network by itself, and serves the commands of this program on a Unix socket.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    settings: Settings,
    /// Stop when standard input closes, so that the node never outlives the program that started it.
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

/// What a node can be told on the command line: the configuration keys.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// What this node calls itself; without it the host's name.
    #[arg(long)]
    name: Option<NodeName>,
    /// Listen for other nodes at this address, such as /ip4/0.0.0.0/tcp/4710; repeatable. Port 0 takes a
    /// free one.
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// Tell others this address instead of the ones found, as behind a port forward; repeatable.
    #[arg(long, value_name = "MULTIADDR")]
    advertise: Vec<String>,
    /// Join the space of a ticket, or stay in touch with the node at an address; repeatable.
    #[arg(long, value_name = "TICKET|MULTIADDR|HOST[:PORT]")]
    join: Vec<String>,
    /// Serve the HTTP API at this loopback address too, such as 127.0.0.1:4711.
    #[arg(long, value_name = "ADDR")]
    http: Option<HttpAddress>,
    /// Do not look for nodes on the same network.
    #[arg(long)]
    no_mdns: bool,
    /// What kind of network this is: lan, wan (no mDNS) or local (loopback and free ports, no mDNS).
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Keep no more than so many bytes of changes of each space, such as 2GiB; without it as many as the disk holds.
    #[arg(long, value_name = "SIZE")]
    space_quota: Option<ByteSize>,
    /// Keep built documents in no more memory than this, such as 64MiB; without it 256MiB.
    #[arg(long, value_name = "SIZE")]
    documents_memory: Option<ByteSize>,
    /// The configuration file; without it starling.toml in the data directory, if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The API socket; without it api.sock in the data directory.
    #[arg(long, value_name = "PATH")]
    api_socket: Option<PathBuf>,
    /// A group that may use the API socket too.
    #[arg(long, value_name = "GROUP")]
    api_socket_group: Option<String>,
    /// What is logged to stderr, such as info or starling_node=debug.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// The form of log lines: text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl Settings {
    /// What the flags say; for what they do not say, what the environment says.
    pub(crate) fn overrides(&self, global: &Global) -> Result<ConfigOverrides, ConfigError> {
        let environment = ConfigOverrides::from_environment(|name| std::env::var_os(name))?;
        Ok(ConfigOverrides {
            config: self.config.clone(),
            data_dir: global.data_dir.clone(),
            name: self.name.clone(),
            listen: self.listen.clone(),
            advertise: self.advertise.clone(),
            join: self.join.clone(),
            http: self.http,
            api_socket: self.api_socket.clone(),
            api_socket_group: self.api_socket_group.clone(),
            mdns: if self.no_mdns { Some(false) } else { environment.mdns },
            profile: self.profile,
            space_quota: self.space_quota,
            documents_memory: self.documents_memory,
            log_level: self.log_level.clone(),
            log_format: self.log_format,
        })
    }
}

pub(crate) fn run(global: &Global, args: UpArgs, out: &mut Output) -> Outcome {
    let overrides = args.settings.overrides(global).map_err(|error| bad_config(&error))?;
    let config =
        Config::load(overrides, |name| std::env::var_os(name)).map_err(|error| bad_config(&error))?;
    let level =
        telemetry::install(&config.log_level, config.log_format).map_err(|error| bad_config(&error))?;
    let runtime = starling_node::runtime()
        .map_err(|error| Failure::failed("the node cannot start").caused_by(&error))?;
    let outcome = runtime.block_on(serve(&config, level, args.exit_with_parent, out));
    // The node has ended in order by now; what may still hang, such as a disk, is not waited for.
    runtime.shutdown_background();
    outcome
}

/// Runs the node until a signal, or the end of standard input where that is to stop it.
async fn serve(config: &Config, level: LogLevel, exit_with_parent: bool, out: &mut Output) -> Outcome {
    let (trigger, shutdown) = shutdown::channel();
    trigger.clone().on_signals()?;
    if exit_with_parent {
        stop_at_end_of_input(trigger.clone());
    }
    let node = start(config).await.map_err(not_started)?.with_log_level(level);
    let client = Client::new(NodeAddress::Unix(config.api_socket.clone()));
    let whereabouts = Whereabouts {
        data_dir: config.data_dir.display().to_string(),
        http: node.http_address(),
        mdns: config.mdns,
    };
    let tell = async {
        if announce(&client, &whereabouts, out).await.is_ok() {
            advise_when_alone(&client).await;
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = node.run(shutdown) => ended,
        () = tell => Ok(()),
    };
    drop(trigger);
    ended.map(|()| Exit::Done).map_err(|died| Failure::failed("the node stopped").caused_by(&died))
}

/// Starts the node, and again for a while when its store is in use: a command that reads the store of a
/// stopped node has it open for a moment.
async fn start(config: &Config) -> Result<Node, StartError> {
    let give_up = Instant::now() + STORE_WAIT_MAX;
    loop {
        match Node::start(config).await {
            Err(StartError::Store(OpenError::AlreadyOpen { .. })) if Instant::now() < give_up => {
                tokio::time::sleep(STORE_LOOK_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Reads standard input to its end on a thread of its own, which nothing waits for.
fn stop_at_end_of_input(trigger: ShutdownTrigger) {
    std::thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        trigger.request();
    });
}

fn not_started(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Ticket(_) | StartError::Seed { .. } => Exit::Usage,
        StartError::Identity(IdentityError::OpenToOthers { .. })
        | StartError::Store(OpenError::NotPermitted { .. }) => Exit::NotAllowed,
        _ => Exit::Failed,
    };
    Failure::new(exit, "not-started", "the node cannot start").caused_by(&error)
}

fn bad_config(error: &dyn Error) -> Failure {
    Failure::usage("the node cannot start with this configuration").caused_by(error)
}
