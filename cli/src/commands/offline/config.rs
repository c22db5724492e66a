//! `starling config`: what a node would be told, and what of it cannot work.

use clap::{Args, Subcommand};
use serde::Serialize;
use starling_api::ExitCode as Exit;
use starling_node::config::{ConfigError, ConfigFault, Explained, Origin, Setting};

use crate::args::Global;
use crate::commands::up::Settings;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Show the configuration a node would start with, or check it.
///
/// It is put together as `starling up` does: flags over environment over file over defaults.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show every value and where it came from. Tickets are not shown.
    Show(Settings),
    /// Check every value; exit code 2 with file and line where one cannot work.
    Check(Settings),
}

/// One value, for programs.
#[derive(Serialize)]
struct Item {
    key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// `flag`, `environment`, `file` or `default`.
    source: &'static str,
    /// The flag, the variable, or file and line; absent for defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

pub(crate) fn run(global: &Global, args: &ConfigArgs, out: &mut Output) -> Outcome {
    match &args.command {
        ConfigCommand::Show(settings) => show(&explain(global, settings)?, out),
        ConfigCommand::Check(settings) => check(&explain(global, settings)?, out),
    }
}

fn show(explained: &Explained, out: &mut Output) -> Outcome {
    let settings = explained.settings();
    if out.is_json() {
        let items: Vec<Item> = settings.into_iter().map(item).collect();
        out.json(&serde_json::json!({ "items": items }))?;
    } else {
        let row = |setting: Setting| {
            vec![setting.key.to_owned(), setting.value.unwrap_or_default(), setting.origin.to_string()]
        };
        out.rows(&["key", "value", "from"], settings.into_iter().map(row))?;
    }
    Ok(Exit::Done)
}

fn check(explained: &Explained, out: &mut Output) -> Outcome {
    let faults = explained.faults();
    if !faults.is_empty() {
        let start = Failure::new(Exit::Usage, "bad-config", "a node cannot start with this configuration");
        return Err(faults
            .iter()
            .fold(start, |failure, fault: &ConfigFault| failure.because(fault.to_string())));
    }
    if out.is_json() {
        out.json(&serde_json::json!({ "ok": true }))?;
    } else {
        out.line("the configuration is fine")?;
    }
    Ok(Exit::Done)
}

fn explain(global: &Global, settings: &Settings) -> Result<Explained, Failure> {
    let said = |key: &str| origin(global, key);
    let explained = settings
        .overrides(global)
        .and_then(|overrides| Explained::load(overrides, said, |name| std::env::var_os(name)));
    explained.map_err(|error: ConfigError| {
        Failure::new(Exit::Usage, "bad-config", "a node cannot start with this configuration")
            .caused_by(&error)
    })
}

/// Where the value of a key came from that is not in the file.
fn origin(global: &Global, key: &str) -> Origin {
    let names: &[&str] = if key == "mdns" { &["no_mdns", "mdns"] } else { &[key] };
    let flag = names.iter().find(|name| global.given.contains(**name));
    if let Some(flag) = flag {
        return Origin::Flag(format!("--{}", flag.replace('_', "-")));
    }
    let variables = names.iter().map(|name| format!("STARLING_{}", name.to_uppercase()));
    let set = |name: &String| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let mut variables: Vec<String> = variables.collect();
    let at = variables.iter().position(set).unwrap_or(0);
    Origin::Environment(variables.swap_remove(at))
}

fn item(setting: Setting) -> Item {
    let source = match &setting.origin {
        Origin::Flag(_) => "flag",
        Origin::Environment(_) => "environment",
        Origin::File { .. } => "file",
        Origin::Default => "default",
    };
    let from = (source != "default").then(|| setting.origin.to_string());
    Item { key: setting.key, value: setting.value, source, from }
}
