//! `starling doctor`

pub(crate) mod check;
pub(crate) mod online;
pub(crate) mod reach;

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use starling_api::address::SOCKET_FILE;
use starling_api::member::MemberList;
use starling_api::peer::PeerList;
use starling_api::{ExitCode as Exit, NodeAddress};

use crate::args::{Global, duration};
use crate::commands::counted;
use crate::commands::offline;
use crate::connect::{Session, data_directory};
use crate::failure::{Failure, Outcome};
use crate::output::{Colour, Output};
use crate::wrap::wrapped;
use check::{Check, Kind, State};
use offline::doctor::Directory;
use reach::{Prober, Target};

/// Fewest columns that a text is fitted into beside its check.
const TEXT_COLUMNS_MIN: usize = 40;

/// Addresses tried at most; a fleet's doctor asks about the first ones.
const TARGETS_MAX: usize = 32;

/// Check this node and everything it rests on: identity, directory, store, clock, ports, other nodes.
///
/// With a running node through its API; on the directory of a stopped one as far as files and the network
/// tell. One line for each check, with the command that mends it. Ends with exit code 8 when a check
/// failed; warnings alone end with 0.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// More addresses to try: a multiaddr, HOST or HOST:PORT. Those of `join` in the configuration and of
    /// members that are not connected are tried anyway.
    address: Vec<String>,
    /// How long an address may take to answer.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    timeout: Duration,
}

/// All of it, for programs.
#[derive(Serialize)]
struct Report {
    /// Whether a node answered, so that its own view is in the checks.
    running: bool,
    checks: Vec<Check>,
    failed: usize,
    warnings: usize,
}

pub(crate) async fn run(global: &Global, args: DoctorArgs, out: &mut Output) -> Outcome {
    let prober = Prober::new(args.timeout);
    let asked = targets(&args.address)?;
    let report = match Session::open(global) {
        Ok(session) => running(&session, asked, &prober).await?,
        Err(failure) if global.node.is_some() => return Err(failure),
        Err(failure) => stopped(global, failure, asked, &prober).await?,
    };
    print(&report, out)?;
    if report.failed == 0 {
        return Ok(Exit::Done);
    }
    out.flush()?;
    Err(Failure::new(
        Exit::CheckFailed,
        "check-failed",
        format!("{} failed", counted(report.failed as u64, "check")),
    ))
}

fn targets(addresses: &[String]) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for text in addresses {
        targets.extend(
            offline::doctor::targets(text).map_err(|reason| {
                Failure::usage(format!("`{text}` is no address of a node")).because(reason)
            })?,
        );
    }
    Ok(targets)
}

/// A running node: what it says, what its directory says if that is at hand, and who can be reached.
async fn running(session: &Session, asked: Vec<Target>, prober: &Prober) -> Result<Report, Failure> {
    let began = Instant::now();
    let status = session.client.status().await?;
    let took = began.elapsed();
    let peers = session.client.peers().await?;
    let mut spaces = Vec::new();
    for space in &status.spaces {
        // A space that is being joined has no members to tell of yet.
        spaces
            .push((space, session.client.members(&space.id).await.unwrap_or_else(|_| MemberList::default())));
    }
    let mut checks =
        vec![check::ANSWERS.ok(format!("{} answered in {} ms", session.address, took.as_millis()))];
    let directory = own_directory(&session.address).map(Directory::new);
    let mut seeds = asked;
    match &directory {
        Some(directory) => {
            checks.extend(directory.files(Some(&status.key)));
            let (checked, configured) = directory.configuration();
            checks.extend(checked);
            seeds.extend(configured.seeds);
            if configured.mdns {
                checks.push(reach::mdns());
            }
        }
        None => {
            checks.push(check::DIRECTORY.warning("the node's directory is not at hand: run this on its host"))
        }
    }
    checks.extend(online::of_itself(&status));
    checks.push(prober.listening(&status.listen).await);
    checks.extend(online::of_others(&status, &spaces, &peers));
    seeds.extend(online::unconnected(&spaces, &peers));
    seeds.truncate(TARGETS_MAX);
    let silent = if status.peers == 0 { State::Failed } else { State::Warning };
    checks.extend(prober.all(seeds, &peers, silent).await);
    checks.extend(online::warnings(&status, &checks));
    Ok(Report { running: true, ..report(checks) })
}

/// The directory whose socket that is, when it is a node's.
fn own_directory(address: &NodeAddress) -> Option<&std::path::Path> {
    match address {
        NodeAddress::Unix(path) => path.parent().filter(|directory| offline::doctor::is_of_a_node(directory)),
        NodeAddress::Http { .. } => None,
    }
}

/// A node that does not run, or does not answer.
async fn stopped(
    global: &Global,
    failure: Failure,
    asked: Vec<Target>,
    prober: &Prober,
) -> Result<Report, Failure> {
    let path = data_directory(global)?;
    if !offline::doctor::is_of_a_node(&path) {
        return Err(failure);
    }
    let directory = Directory::new(&path);
    let mut checks = vec![socket(&path.join(SOCKET_FILE))];
    checks.extend(directory.files(None));
    checks.extend(directory.store());
    let (checked, configured) = directory.configuration();
    checks.extend(checked);
    checks.extend(configured.listen.iter().map(|address| reach::free(address)));
    if configured.mdns {
        checks.push(reach::mdns());
    }
    let mut seeds = asked;
    seeds.extend(configured.seeds);
    seeds.truncate(TARGETS_MAX);
    checks.extend(prober.all(seeds, &PeerList::default(), State::Failed).await);
    Ok(report(checks))
}

/// Why nobody answers at a socket.
fn socket(path: &std::path::Path) -> Check {
    let error = match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return check::ANSWERS.ok(format!("somebody listens at {}", path.display())),
        Err(error) => error,
    };
    match error.kind() {
        io::ErrorKind::NotFound => {
            check::ANSWERS.warning("no node runs here; this is what its directory says")
        }
        io::ErrorKind::ConnectionRefused => check::ANSWERS.warning(format!(
            "no node runs here, and the last one did not end in order: nobody listens at {}",
            path.display()
        )),
        io::ErrorKind::PermissionDenied => check::ANSWERS
            .failed(format!("you may not open {}", path.display()))
            .mended_by("set api_socket_group, and be in that group"),
        _ => check::ANSWERS.failed(format!("{}: {error}", path.display())),
    }
}

fn report(checks: Vec<Check>) -> Report {
    let count = |state| checks.iter().filter(|check: &&Check| check.state == state).count();
    Report { running: false, failed: count(State::Failed), warnings: count(State::Warning), checks }
}

fn print(report: &Report, out: &mut Output) -> io::Result<()> {
    if out.is_json() {
        return out.json(report);
    }
    if !out.is_terminal() {
        let row = |check: &Check| {
            let command = check.command.clone().unwrap_or_default();
            vec![check.state.name().to_owned(), check.check.to_owned(), check.message.clone(), command]
        };
        return out.rows(&[], report.checks.iter().map(row));
    }
    for check in &report.checks {
        print_check(check, out)?;
    }
    out.line(&format!(
        "{}: {} failed, {}",
        counted(report.checks.len() as u64, "check"),
        report.failed,
        counted(report.warnings as u64, "warning")
    ))
}

/// One check for a person: nothing is cut off, for what stands last is often what helps.
fn print_check(check: &Check, out: &mut Output) -> io::Result<()> {
    let colour = match check.state {
        State::Ok => Colour::Green,
        State::Warning => Colour::Yellow,
        State::Failed => Colour::Red,
    };
    let names = check::ALL.iter().map(|kind: &Kind| kind.code.len()).max().unwrap_or_default();
    let head = format!("{:names$}  ", check.check);
    let state = format!("{:<9}", check.state.name());
    let beside = state.len() + head.chars().count();
    // In a narrow terminal the text stands below, where there is room for it.
    let indent = if out.columns() < beside + TEXT_COLUMNS_MIN { 2 } else { beside };
    let mend = check.command.as_ref().map(|command| format!("mend: {command}"));
    let room = out.columns().saturating_sub(indent);
    let mut lines: Vec<(Option<Colour>, String)> =
        wrapped(&check.message, room).into_iter().map(|line| (None, line)).collect();
    lines.extend(mend.iter().flat_map(|mend| wrapped(mend, room)).map(|line| (Some(Colour::Dim), line)));
    let first = if indent == beside { lines.remove(0).1 } else { String::new() };
    out.pieces(&[(Some(colour), &state), (None, &head), (None, &first)])?;
    let space = " ".repeat(indent);
    lines.iter().try_for_each(|(colour, line)| out.pieces(&[(None, &space), (*colour, line)]))
}
