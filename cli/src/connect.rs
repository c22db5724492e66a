//! Finding the node to talk to, and the space meant.
//!
//! Promises: the search order of SURFACE; when no node answers, the failure names every place tried
//! and why each failed. A data directory given explicitly is the only place tried, so that a command
//! never reaches another node than the one meant. Leaves out: the requests themselves.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use starling_api::address::{SOCKET_FILE, User, default_addresses, default_data_dir};
use starling_api::{Client, ExitCode as Exit, NodeAddress};

use crate::args::Global;
use crate::failure::Failure;

/// A node to talk to, and the space the command line names.
pub(crate) struct Session {
    /// The node.
    pub(crate) client: Client,
    /// Where it is.
    pub(crate) address: NodeAddress,
    space: Option<String>,
}

impl Session {
    /// Finds the node.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let address = match &global.node {
            Some(text) => text.parse().map_err(|error| {
                Failure::usage(format!("`{text}` is no address of a node"))
                    .caused_by(&error)
                    .next("write `--node unix:/path/to/api.sock` or `--node http://127.0.0.1:4711`")
            })?,
            None => NodeAddress::Unix(find_socket(&candidates(global)?)?),
        };
        Ok(Self { client: Client::new(address.clone()), address, space: global.space.clone() })
    }

    /// The space the command means: the one named, or the only one the node has.
    pub(crate) async fn space(&self) -> Result<String, Failure> {
        if let Some(space) = &self.space {
            return Ok(space.clone());
        }
        let mut spaces = self.client.spaces().await?.items;
        match spaces.len() {
            1 => Ok(spaces.remove(0).id),
            0 => Err(Failure::new(Exit::NotFound, "unknown-space", "this node takes part in no space")
                .next("make one with `starling space create NAME`, or `starling join TICKET`")),
            _ => {
                let names: Vec<_> =
                    spaces.iter().map(|space| format!("{} ({:.8})", space.name, space.id)).collect();
                Err(Failure::new(Exit::Usage, "ambiguous-space", "this node takes part in several spaces")
                    .because(format!("candidates: {}", names.join(", ")))
                    .next("say which with --space NAME or STARLING_SPACE"))
            }
        }
    }
}

/// The data directory: the one given, else the user's own.
pub(crate) fn data_directory(global: &Global) -> Result<PathBuf, Failure> {
    let user = if rustix::process::geteuid().is_root() { User::Root } else { User::Ordinary };
    let own = || default_data_dir(user, |name| std::env::var_os(name));
    global.data_dir.clone().or_else(own).ok_or_else(|| {
        Failure::usage("there is no data directory")
            .because("neither XDG_DATA_HOME nor HOME is set")
            .next("give one with --data-dir DIR")
    })
}

fn candidates(global: &Global) -> Result<Vec<PathBuf>, Failure> {
    let directory = data_directory(global)?;
    if global.data_dir.is_some() {
        return Ok(vec![directory.join(SOCKET_FILE)]);
    }
    let path = |address| match address {
        NodeAddress::Unix(path) => Some(path),
        NodeAddress::Http { .. } => None,
    };
    Ok(default_addresses(Some(&directory)).into_iter().filter_map(path).collect())
}

/// The first socket somebody listens on.
fn find_socket(sockets: &[PathBuf]) -> Result<PathBuf, Failure> {
    let mut failure = Failure::new(Exit::Unreachable, "unreachable", "no running node found");
    for socket in sockets {
        match UnixStream::connect(socket) {
            Ok(_) => return Ok(socket.clone()),
            Err(error) => failure = failure.because(refusal(socket, &error)),
        }
    }
    Err(failure.next("start a node with `starling up`, or say where it is with --node or --data-dir"))
}

fn refusal(socket: &Path, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there any more".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "you may not open it; its group is set by api_socket_group".to_owned()
        }
        _ => error.to_string(),
    };
    format!("unix:{}: {reason}", socket.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::{candidates, find_socket};
    use crate::args::Global;
    use crate::output::Format;
    use starling_api::ExitCode as Exit;

    fn global(data_dir: Option<&str>) -> Global {
        Global {
            node: None,
            space: None,
            output: Format::Table,
            data_dir: data_dir.map(PathBuf::from),
            given: Default::default(),
        }
    }

    #[test]
    fn an_explicit_directory_is_the_only_place_tried() {
        assert_eq!(candidates(&global(Some("/x"))).unwrap(), [PathBuf::from("/x/api.sock")]);
    }

    #[test]
    fn the_services_are_tried_last() {
        let sockets = candidates(&global(None)).unwrap();
        for service in ["/run/starling/api.sock", "/var/lib/starling/api.sock"] {
            assert!(sockets.contains(&PathBuf::from(service)), "{sockets:?}");
        }
    }

    #[test]
    fn a_dead_socket_is_passed_over_and_every_place_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (absent, dead, alive) =
            (directory.path().join("absent"), directory.path().join("dead"), directory.path().join("alive"));
        drop(UnixListener::bind(&dead).unwrap());
        let failure = find_socket(&[absent.clone(), dead.clone()]).unwrap_err();
        assert_eq!(failure.exit(), Exit::Unreachable);
        let mut text = Vec::new();
        failure.write(&mut text, Format::Table, false).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(&format!("unix:{}: there is no such socket", absent.display())), "{text}");
        assert!(text.contains(&format!("unix:{}: nobody listens", dead.display())), "{text}");
        let _listener = UnixListener::bind(&alive).unwrap();
        assert_eq!(find_socket(&[absent, dead, alive.clone()]).unwrap(), alive);
    }
}
