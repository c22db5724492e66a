//! What files tell `doctor`: the data directory, identity, store and configuration.
//!
//! Promises: nothing is written, and a store in use is left alone. Leaves out what only a running node
//! knows, and the network.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access};
use starling_crdt::charter::Ticket;
use starling_node::config::{ConfigOverrides, Explained, Origin};
use starling_node::identity::{self, IDENTITY_FILE, IdentityError};
use starling_node::network::address;

use super::stopped::StoppedNode;
use super::{id, store_path};
use crate::commands::counted;
use crate::commands::doctor::check::{CLOCK, CONFIGURATION, Check, DIRECTORY, IDENTITY, STORE};
use crate::commands::doctor::online::{charter, room};
use crate::commands::doctor::reach::Target;

/// How far a file's time may lie ahead: file servers keep their own.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// A node's data directory.
pub(crate) struct Directory<'a> {
    path: &'a Path,
}

/// What of the configuration the network is asked about.
#[derive(Default)]
pub(crate) struct Configured {
    /// Addresses of `join`.
    pub(crate) seeds: Vec<Target>,
    /// Where the node would listen.
    pub(crate) listen: Vec<String>,
    /// Whether the node looks for others on its network.
    pub(crate) mdns: bool,
}

/// True when a node ran there once.
pub(crate) fn is_of_a_node(directory: &Path) -> bool {
    directory.join(IDENTITY_FILE).exists() || store_path(directory).exists()
}

/// The addresses that a text of `join` stands for; of a ticket those inside.
pub(crate) fn targets(text: &str) -> Result<Vec<Target>, String> {
    let texts = if text.trim_start().starts_with("starling-ticket") {
        let ticket = Ticket::parse(text).map_err(|error| error.to_string())?;
        ticket.addresses.iter().map(|address| address.as_str().to_owned()).collect()
    } else {
        vec![text.to_owned()]
    };
    let mut targets = Vec::new();
    for text in texts {
        let found = address::parse(&text).map_err(|error| error.to_string())?;
        targets.extend(found.into_iter().map(|found| Target {
            name: None,
            address: found.address,
            peer_id: found.peer.as_ref().map(address::peer_id_text),
        }));
    }
    Ok(targets)
}

impl<'a> Directory<'a> {
    pub(crate) const fn new(path: &'a Path) -> Self {
        Self { path }
    }

    /// The directory, the identity in it, and the clock by its files. `running` is the key of the node
    /// that runs on it.
    pub(crate) fn files(&self, running: Option<&str>) -> Vec<Check> {
        let mut checks = vec![self.directory(), self.identity(running)];
        checks.extend(self.clock());
        checks
    }

    fn directory(&self) -> Check {
        let shown = self.path.display();
        let look = format!("ls -ld {shown}");
        let owner = match fs::metadata(self.path) {
            Ok(metadata) if metadata.is_dir() => metadata.uid(),
            Ok(_) => return DIRECTORY.failed(format!("{shown} is no directory")).mended_by(look),
            Err(error) => return DIRECTORY.failed(format!("{shown}: {error}")).mended_by(look),
        };
        let own = rustix::process::geteuid();
        if owner != own.as_raw() && !own.is_root() {
            let message = format!("{shown} belongs to user {owner}: what it holds cannot be checked as you");
            return DIRECTORY.warning(message).mended_by("run this as that user, or with sudo");
        }
        match access(self.path, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => DIRECTORY.ok(format!("{shown} can be written")),
            Err(error) => DIRECTORY
                .failed(format!("{shown} cannot be written: {}", io::Error::from(error)))
                .mended_by(format!("chmod u+rwx {shown}; or the file system is mounted read-only")),
        }
    }

    fn identity(&self, running: Option<&str>) -> Check {
        let file = self.path.join(IDENTITY_FILE);
        let key = match identity::load(self.path) {
            Ok(Some(identity)) => identity.key(),
            Ok(None) if running.is_some() => {
                return IDENTITY
                    .failed(format!("{} is gone: the next start would be a new node", file.display()))
                    .mended_by("put it back from a backup with identity before the node stops");
            }
            Ok(None) => {
                return IDENTITY
                    .warning("there is none yet; the first start makes one")
                    .mended_by("starling up");
            }
            Err(error @ IdentityError::OpenToOthers { .. }) => {
                return IDENTITY.failed(error.to_string()).mended_by(format!("chmod 600 {}", file.display()));
            }
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                return IDENTITY
                    .warning(format!("{} cannot be read as you", file.display()))
                    .mended_by("run this as the node's user, or with sudo");
            }
            Err(error) => return IDENTITY.failed(error.to_string()).mended_by("starling restore FILE"),
        };
        match running {
            Some(running) if *running != key.to_string() => IDENTITY
                .failed(format!("the file holds {key}, but the node that answers is {running}"))
                .mended_by("restart the node, and find out who replaced the file"),
            _ => IDENTITY.ok(format!("{key}, readable by its owner only")),
        }
    }

    /// A file of the future means that the clock was ahead, or is behind now.
    fn clock(&self) -> Option<Check> {
        let modified = fs::metadata(store_path(self.path)).and_then(|metadata| metadata.modified()).ok()?;
        let ahead = modified.duration_since(SystemTime::now()).unwrap_or_default();
        Some(if ahead > CLOCK_LEEWAY {
            let seconds = ahead.as_secs();
            CLOCK.failed(format!(
                "the store was written {seconds} s from now: this host's clock was set back. No data is harmed, but \
                 times that it claims mislead, and invites expire late"
            ))
        } else {
            CLOCK.ok("not behind what this node wrote")
        })
    }

    /// The store of a stopped node, and what it says of spaces.
    pub(crate) fn store(&self) -> Vec<Check> {
        let path = store_path(self.path);
        if !path.exists() {
            return vec![
                STORE.warning("there is none yet; the first start makes one").mended_by("starling up"),
            ];
        }
        let node = match StoppedNode::open(self.path) {
            Ok(node) => node,
            Err(failure) => return vec![STORE.failed(failure.told())],
        };
        // What is wrong with the identity is told by its own check.
        let own = id::known(self.path).ok().flatten();
        let mut checks = Vec::new();
        match node.reports(own) {
            Ok(spaces) => {
                let held = counted(spaces.len() as u64, "space");
                checks.push(STORE.ok(format!("opens at position {}, with {held}", node.position)));
                checks.extend(spaces.iter().map(charter));
            }
            Err(failure) => checks.push(STORE.failed(failure.told()).mended_by("starling verify --repair")),
        }
        let left = rustix::fs::statvfs(&path).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
        checks.extend(left.map(room));
        checks
    }

    /// The configuration that a start would find here, without flags.
    pub(crate) fn configuration(&self) -> (Vec<Check>, Configured) {
        let loaded = ConfigOverrides::from_environment(|name| std::env::var_os(name)).and_then(|overrides| {
            let overrides = ConfigOverrides { data_dir: Some(self.path.to_owned()), ..overrides };
            let said = |key: &str| Origin::Environment(format!("STARLING_{}", key.to_uppercase()));
            Explained::load(overrides, said, |name| std::env::var_os(name))
        });
        let explained = match loaded {
            Ok(explained) => explained,
            Err(error) => return (vec![CONFIGURATION.failed(told(&error))], Configured::default()),
        };
        let faults = explained.faults();
        let mut checks: Vec<_> = faults.iter().map(|fault| CONFIGURATION.failed(fault.to_string())).collect();
        if checks.is_empty() {
            checks.push(CONFIGURATION.ok("every value can work"));
        }
        let config = explained.config;
        // What cannot be read as an address is among the faults already.
        let seeds = config.join.iter().filter_map(|text| targets(text).ok()).flatten().collect();
        (checks, Configured { seeds, listen: config.listen, mdns: config.mdns })
    }
}

/// An error and what caused it, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
