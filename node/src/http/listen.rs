//! The sockets of the API: a Unix socket, and loopback TCP where it is wanted.
//!
//! It promises that nobody but the owner (and the group, where one is named) can ever connect to the
//! Unix socket, that a socket somebody listens on is never taken away, and that the file goes when the
//! listener does.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};

/// Connections the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 1_024;

const GROUP_FILE: &str = "/etc/group";

/// Why the API has no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something answers at the socket already.
    #[error("another process serves the API at {}; stop it, or choose another --data-dir", .0.display())]
    SocketInUse(PathBuf),
    /// A file that is no socket is in the way.
    #[error("{} is in the way and is no socket; move it, or choose another --api-socket", .0.display())]
    NotASocket(PathBuf),
    /// The Unix socket cannot be made.
    #[error("cannot {action} the API socket {}", path.display())]
    Socket {
        /// What was tried.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The group is not known on this host.
    #[error("there is no group {0:?} in {GROUP_FILE}; name another, or its number, in api_socket_group")]
    UnknownGroup(String),
    /// The TCP port is taken.
    #[error("another process listens at {0}; choose another port with --http")]
    PortInUse(SocketAddr),
    /// The TCP address cannot be listened at.
    #[error("cannot listen at {address}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// A Unix socket that is removed when it is dropped.
pub(super) struct OwnSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file we made: another process may have put its own there since.
    file: Option<(u64, u64)>,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        if self.file.is_some() && self.file == file_at(&self.path) {
            // Nothing is lost when it stays: the next start finds that nobody listens.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Makes the API's Unix socket, with mode 0600, or 0660 for a group.
pub(super) async fn unix(path: &Path, group: Option<&str>) -> Result<OwnSocket, ListenError> {
    let group = group.map(group_number).transpose()?;
    remove_stale(path).await?;
    let failed = |action| move |source| ListenError::Socket { action, path: path.to_owned(), source };
    let socket = UnixSocket::new_stream().map_err(failed("make"))?;
    socket.bind(path).map_err(failed("bind"))?;
    let file = file_at(path);
    // The kernel refuses every connection until `listen`, so nobody slips in before the mode is right.
    if let Some(group) = group {
        chown(path, None, Some(group)).map_err(failed("give the group"))?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("protect"))?;
    let listener = socket.listen(BACKLOG).map_err(failed("listen at"))?;
    Ok(OwnSocket { listener, path: path.to_owned(), file })
}

/// Removes a socket at which nobody listens any more.
async fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |action| move |source| ListenError::Socket { action, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("examine")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove"))
        }
        Ok(_) => Err(ListenError::SocketInUse(path.to_owned())),
        Err(error) => Err(failed("examine")(error)),
    }
}

/// Why a group cannot be given the socket; nothing where it is known on this host.
pub(super) fn group_fault(group: &str) -> Option<String> {
    group_number(group).err().map(|error| error.to_string())
}

/// The number of a group, by number or by its name in `/etc/group`.
fn group_number(group: &str) -> Result<u32, ListenError> {
    let unknown = || ListenError::UnknownGroup(group.to_owned());
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let groups = fs::read_to_string(GROUP_FILE).map_err(|_| unknown())?;
    number_in(&groups, group).ok_or_else(unknown)
}

/// Finds `name:password:number:members` in the text of `/etc/group`.
fn number_in(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

/// Listens at a TCP address, which the configuration has found to be loopback.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortInUse(address),
        _ => ListenError::Tcp { address, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").mode() & 0o777
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_or_its_group_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("api.sock");
        let own = unix(&path, None).await.expect("a socket");
        assert_eq!(mode(&path), 0o600);
        drop(own);
        assert!(!path.exists());
        let gid = rustix::process::getegid().as_raw().to_string();
        let shared = unix(&path, Some(&gid)).await.expect("a socket");
        assert_eq!(mode(&path), 0o660);
        drop(shared);
    }

    #[tokio::test]
    async fn a_socket_somebody_listens_on_stays_and_a_stale_one_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("api.sock");
        let first = unix(&path, None).await.expect("a socket");
        let second = unix(&path, None).await.err().expect("in use");
        assert!(matches!(second, ListenError::SocketInUse(_)), "{second}");
        UnixStream::connect(&path).await.expect("the first still listens");
        drop(first);

        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that stays behind"));
        assert!(path.exists());
        let third = unix(&path, None).await.expect("the stale one is replaced");
        UnixStream::connect(&path).await.expect("the new one listens");
        drop(third);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("api.sock");
        fs::write(&path, "mine").expect("a file");
        let error = unix(&path, None).await.err().expect("in the way");
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "mine");
    }

    #[tokio::test]
    async fn a_socket_another_process_put_in_our_place_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("api.sock");
        let own = unix(&path, None).await.expect("a socket");
        // Both stand at once, so that the second cannot be given the first one's inode.
        let other = directory.path().join("other.sock");
        let _theirs = std::os::unix::net::UnixListener::bind(&other).expect("a socket");
        fs::rename(&other, &path).expect("a rename");
        drop(own);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_missing_directory_and_an_unknown_group_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("absent/api.sock");
        let error = unix(&path, None).await.err().expect("no directory");
        assert!(error.to_string().contains("absent/api.sock"), "{error}");
        let error =
            unix(&directory.path().join("api.sock"), Some("no such group")).await.err().expect("no group");
        assert!(matches!(error, ListenError::UnknownGroup(_)), "{error}");
        assert_eq!(number_in("root:x:0:\nstaff:x:50:a,b\n", "staff"), Some(50));
        assert_eq!(number_in("staff2:x:51:\nbroken\n", "staff"), None);
    }

    #[tokio::test]
    async fn a_port_in_use_says_so() {
        let first = tcp("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let address = first.local_addr().expect("an address");
        let error = tcp(address).await.expect_err("in use");
        assert!(matches!(error, ListenError::PortInUse(found) if found == address), "{error}");
    }
}
