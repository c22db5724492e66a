//! The command line: what every command shares, and the rule that gives each flag its environment twin.
//!
//! Promises: a global flag `--some-flag` reads `STARLING_SOME_FLAG`, as do the flags of `up` and
//! `config`, which are the node's configuration keys; a flag of another command reads `STARLING_<COMMAND>_SOME_FLAG`,
//! so that one variable never changes the meaning of two commands. Leaves out: the flags of each
//! command, which stand beside the command.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command as ClapCommand, CommandFactory, FromArgMatches, Parser,
    Subcommand,
};

use starling_api::Heads;
pub(crate) use starling_api::duration::parse as duration;
use starling_api::member::Nodes;

use crate::commands;
use crate::output::Format;

/// Starling: a leaderless, replicated document store. Every host runs the same node, reads and writes
/// locally, and converges with every other host it can reach.
#[derive(Debug, Parser)]
#[command(name = "starling", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 precondition \
failed, 6 not confirmed in time, 7 node unreachable, 8 a check failed, 9 try later, 130 interrupted.\n\
Start with `starling up`, or see five nodes at work with `starling demo`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The flags every command knows.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The node to talk to: `unix:PATH` or `http://HOST:PORT`. Without it: the API socket in the data
    /// directory, then in /run/starling, then in /var/lib/starling.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) node: Option<String>,
    /// The space, by name or by the beginning of its id; needless where the node has one.
    #[arg(long, global = true, value_name = "SPACE")]
    pub(crate) space: Option<String>,
    /// `table` for people and pipes, `json` for programs.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// The node's directory: identity, store, API socket. Default: $XDG_DATA_HOME/starling, or
    /// /var/lib/starling for root. Given explicitly, only this directory's socket is tried, and
    /// `status`, `get`, `ls`, `export`, `history`, `blame`, `quarantine` and `forks` read the store of a
    /// stopped node.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The flags that stand on the command line itself, by name: what else has a value has it from the
    /// environment.
    #[arg(skip)]
    pub(crate) given: BTreeSet<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(commands::up::UpArgs),
    Id(commands::id::IdArgs),
    Demo(commands::demo::DemoArgs),
    Version(commands::version::VersionArgs),
    Completions(commands::completions::CompletionsArgs),
    Man(commands::man::ManArgs),
    Config(commands::offline::config::ConfigArgs),
    LogLevel(commands::log_level::LogLevelArgs),
    Space(commands::space::SpaceArgs),
    Invite(commands::invite::InviteArgs),
    Join(commands::join::JoinArgs),
    Put(commands::put::PutArgs),
    Get(commands::get::GetArgs),
    Ls(commands::ls::LsArgs),
    Set(commands::set::SetArgs),
    Inc(commands::inc::IncArgs),
    Patch(commands::patch::PatchArgs),
    Splice(commands::splice::SpliceArgs),
    Insert(commands::insert::InsertArgs),
    Rm(commands::rm::RmArgs),
    Watch(commands::watch::WatchArgs),
    Import(commands::import::ImportArgs),
    Export(commands::export::ExportArgs),
    Batch(commands::batch::BatchArgs),
    Bench(commands::bench::BenchArgs),
    Status(commands::status::StatusArgs),
    Members(commands::members::MembersArgs),
    Peers(commands::peers::PeersArgs),
    Doctor(commands::doctor::DoctorArgs),
    Top(commands::top::TopArgs),
    #[command(visible_alias = "log")]
    History(commands::history::HistoryArgs),
    Blame(commands::blame::BlameArgs),
    Diff(commands::diff::DiffArgs),
    Revert(commands::revert::RevertArgs),
    Conflicts(commands::conflicts::ConflictsArgs),
    Resolve(commands::resolve::ResolveArgs),
    Edit(commands::edit::EditArgs),
    Wait(commands::wait::WaitArgs),
    Compare(commands::compare::CompareArgs),
    Quarantine(commands::quarantine::QuarantineArgs),
    Forks(commands::forks::ForksArgs),
    Verify(commands::offline::verify::VerifyArgs),
    Backup(commands::offline::backup::BackupArgs),
    Compact(commands::offline::compact::CompactArgs),
    Restore(commands::offline::restore::RestoreArgs),
    Sim(commands::sim::SimArgs),
}

/// What every write of one document takes. Preconditions hold against this node's view only: two nodes
/// can both succeed, so they are no compare-and-swap across nodes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WriteArgs {
    /// Write only if the document's heads on this node are these (as `get` and `put` print them).
    #[arg(long, value_name = "HEADS", conflicts_with = "if_absent")]
    pub(crate) if_heads: Option<Heads>,
    /// Write only if the document does not exist on this node.
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// A name of your own for this write: repeating it within 24 hours changes nothing.
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

/// Waiting for other nodes after a write.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ConfirmArgs {
    /// Wait until so many other nodes hold the write, or `all` members that are neither away nor left.
    /// Exit code 6 when fewer say so in time; the write is durable on this node either way.
    #[arg(long, value_name = "N|all")]
    pub(crate) confirm: Option<Nodes>,
    /// How long to wait for them; 5s unless said.
    #[arg(long, value_name = "TIME", requires = "confirm", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// The command line as clap sees it, every flag with its environment twin.
pub(crate) fn command() -> ClapCommand {
    let command = Cli::command();
    let command = command.mut_args(|arg| with_twin(arg, "STARLING_"));
    command.mut_subcommands(|sub| with_twins(sub, Some("")))
}

/// Parses the process's arguments, or prints help, a version or what is wrong with them.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches()?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    given(&matches, &mut cli.global.given);
    Ok(cli)
}

/// The variable of the environment from which a value came that clap complains about under its flag's name;
/// nothing where the flag stands on the command line.
pub(crate) fn variable_at_fault(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = named.strip_prefix("--")?.split([' ', '=', '[']).next()?;
    let on_the_line =
        |arg: &String| arg.strip_prefix("--").is_some_and(|given| given.split('=').next() == Some(flag));
    if std::env::args().any(|arg| on_the_line(&arg)) {
        return None;
    }
    let mut twins = BTreeSet::new();
    twins_of(flag, &command(), &mut twins);
    let said = |variable: &String| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    let mut said = twins.into_iter().filter(said);
    // Several commands have a flag of that name: which of their variables it was is not told.
    said.next().filter(|_| said.next().is_none())
}

fn twins_of(flag: &str, command: &ClapCommand, found: &mut BTreeSet<String>) {
    let named = command.get_arguments().filter(|arg| arg.get_long() == Some(flag));
    found.extend(named.filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())));
    command.get_subcommands().for_each(|sub| twins_of(flag, sub, found));
}

fn given(matches: &ArgMatches, found: &mut BTreeSet<String>) {
    let on_the_line = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    found.extend(matches.ids().filter(on_the_line).map(ToString::to_string));
    if let Some((_, below)) = matches.subcommand() {
        given(below, found);
    }
}

/// `above` is what the names of the commands above add; nothing where the flags are configuration keys.
fn with_twins(command: ClapCommand, above: Option<&str>) -> ClapCommand {
    let path = match command.get_name() {
        "up" | "config" => None,
        name => above.map(|above| format!("{above}{}_", upper(name))),
    };
    let prefix = format!("STARLING_{}", path.as_deref().unwrap_or_default());
    command.mut_args(|arg| with_twin(arg, &prefix)).mut_subcommands(|sub| with_twins(sub, path.as_deref()))
}

fn with_twin(arg: Arg, prefix: &str) -> Arg {
    let Some(flag) = arg.get_long().filter(|flag| !matches!(*flag, "help" | "version")) else {
        return arg;
    };
    let variable = format!("{prefix}{}", upper(flag));
    // An empty variable says nothing, as in the node's configuration.
    if std::env::var_os(&variable).is_some_and(|value| value.is_empty()) {
        return arg;
    }
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let list = matches!(arg.get_action(), ArgAction::Append);
    let arg = arg.env(variable).hide_env_values(true);
    let arg = if list { arg.value_delimiter(',') } else { arg };
    // `STARLING_NO_MDNS=1`, `=yes` and `=true` switch on; empty, `0`, `no`, `off` and `false` do not.
    if switch { arg.value_parser(FalseyValueParser::new()) } else { arg }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::{ClapCommand, command};

    fn flags_without_twin(command: &ClapCommand, path: &str, found: &mut Vec<String>) {
        for arg in command.get_arguments() {
            let Some(flag) = arg.get_long().filter(|flag| !matches!(*flag, "help" | "version")) else {
                continue;
            };
            let twin = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
            if !twin.starts_with("STARLING_") || !twin.ends_with(&flag.to_uppercase().replace('-', "_")) {
                found.push(format!("{path} --{flag}"));
            }
        }
        for sub in command.get_subcommands() {
            flags_without_twin(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }

    #[test]
    fn every_flag_has_an_environment_twin() {
        let mut found = Vec::new();
        flags_without_twin(&command(), "starling", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }
}
