//! `starlingd`: the node alone, for service managers and small images.
//!
//! It takes its configuration from `starling.toml` and the `STARLING_…` environment, runs until SIGTERM
//! or Ctrl-C, and logs to stderr. It leaves out flags and what `starling up` tells a person: that binary
//! holds the same node.

use std::process::ExitCode;

use starling_node::config::{Config, ConfigOverrides};
use starling_node::node::Node;
use starling_node::{shutdown, telemetry};

/// What other exit codes mean is said in SURFACE: 1 failed, 2 wrong usage or configuration.
const USAGE: u8 = 2;

const HELP: &str = "\
It is configured by STARLING_… variables, such as STARLING_DATA_DIR and STARLING_NAME, and by
starling.toml in the data directory or the file that STARLING_CONFIG names. `starling up --help`
lists what can be set.";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None => {}
        Some("--version") => {
            println!("starlingd {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some("--help" | "-h") => {
            println!("starlingd runs a Starling node until SIGTERM or Ctrl-C.\n\n{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!(
                "starlingd takes no arguments but --help and --version, and was given {other:?}\n\n{HELP}"
            );
            return ExitCode::from(USAGE);
        }
    }
    let environment = |name: &str| std::env::var_os(name);
    let config = ConfigOverrides::from_environment(environment)
        .and_then(|overrides| Config::load(overrides, environment));
    match config {
        Ok(config) => run(&config),
        Err(error) => fail(&error, ExitCode::from(USAGE)),
    }
}

fn run(config: &Config) -> ExitCode {
    let level = match telemetry::install(&config.log_level, config.log_format) {
        Ok(level) => level,
        Err(error) => return fail(&error, ExitCode::from(USAGE)),
    };
    let runtime = match starling_node::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, ExitCode::FAILURE),
    };
    let ended = runtime.block_on(async {
        let (trigger, shutdown) = shutdown::channel();
        if let Err(error) = trigger.clone().on_signals() {
            return fail(&error, ExitCode::FAILURE);
        }
        match Node::start(config).await {
            Ok(node) => match node.with_log_level(level).run(shutdown).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(died) => fail(&died, ExitCode::FAILURE),
            },
            Err(error) => fail(&error, ExitCode::FAILURE),
        }
    });
    // The node has ended in order; what may still hang, such as a disk, is not waited for.
    runtime.shutdown_background();
    ended
}

fn fail(error: &dyn std::error::Error, exit: ExitCode) -> ExitCode {
    eprintln!("starlingd: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    exit
}
