//! Where a node's API is, and where its files are by default.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// File name of the API's socket in a data directory.
pub const SOCKET_FILE: &str = "api.sock";

/// Data directory of a node that the system runs.
pub const SYSTEM_DATA_DIR: &str = "/var/lib/starling";

/// Where a service manager may put the socket of the system's node.
pub const SYSTEM_RUNTIME_DIR: &str = "/run/starling";

/// On whose behalf this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The superuser.
    Root,
    /// Anybody else.
    Ordinary,
}

/// The data directory of a user who named none: `/var/lib/starling` for root, else
/// `$XDG_DATA_HOME/starling`, else `$HOME/.local/share/starling`. None where neither variable is set.
pub fn default_data_dir(user: User, environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if user == User::Root {
        return Some(PathBuf::from(SYSTEM_DATA_DIR));
    }
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    base.map(|base| base.join("starling"))
}

/// The sockets at which a node of this machine may answer, the own data directory's first.
#[must_use]
pub fn default_addresses(data_dir: Option<&Path>) -> Vec<NodeAddress> {
    let system = [SYSTEM_RUNTIME_DIR, SYSTEM_DATA_DIR].map(Path::new);
    let mut addresses = Vec::new();
    for directory in data_dir.into_iter().chain(system) {
        let address = NodeAddress::Unix(directory.join(SOCKET_FILE));
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Where a node's API is: a Unix socket or loopback TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain HTTP on TCP.
    Http {
        /// Host name or IP address, without the brackets of IPv6.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// Why a text is not a node's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither of the two schemes.
    #[error("{0:?} is neither unix:PATH nor http://HOST:PORT")]
    UnknownScheme(String),
    /// `unix:` without a path.
    #[error("unix: needs the path of a socket")]
    NoPath,
    /// No host in an `http://` address.
    #[error("{0:?} names no host")]
    NoHost(String),
    /// No port, or one that is no number from 1 to 65535.
    #[error("{0:?} needs a port, as in http://127.0.0.1:4711")]
    NoPort(String),
    /// Something after the port.
    #[error("{0:?} has a path; an address ends after the port")]
    HasPath(String),
}

impl std::str::FromStr for NodeAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::NoPath)
            } else {
                Ok(Self::Unix(PathBuf::from(path)))
            };
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(AddressError::UnknownScheme(text.to_owned()));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(AddressError::HasPath(text.to_owned()));
        }
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| AddressError::NoPort(text.to_owned()))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(host) => host,
            None if host.contains(':') => return Err(AddressError::NoPort(text.to_owned())),
            None => host,
        };
        if host.is_empty() {
            return Err(AddressError::NoHost(text.to_owned()));
        }
        Ok(Self::Http { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_print() {
        for text in [
            "unix:/run/starling/api.sock",
            "http://127.0.0.1:4711",
            "http://[::1]:4711",
            "http://localhost:80",
        ] {
            let address: NodeAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        let with_slashes: NodeAddress = "unix:///run/x".parse().expect("address");
        assert_eq!(with_slashes, NodeAddress::Unix("/run/x".into()));
    }

    #[test]
    fn the_data_directory_follows_the_user_and_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let both = &[("XDG_DATA_HOME", "/d"), ("HOME", "/h")];
        assert_eq!(default_data_dir(User::Root, with(both)), Some("/var/lib/starling".into()));
        assert_eq!(default_data_dir(User::Ordinary, with(both)), Some("/d/starling".into()));
        let relative = &[("XDG_DATA_HOME", "d"), ("HOME", "/h")];
        assert_eq!(default_data_dir(User::Ordinary, with(relative)), Some("/h/.local/share/starling".into()));
        assert_eq!(default_data_dir(User::Ordinary, with(&[])), None);
    }

    #[test]
    fn the_own_socket_is_tried_first_and_none_twice() {
        let text =
            |addresses: Vec<NodeAddress>| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        let system = ["unix:/run/starling/api.sock", "unix:/var/lib/starling/api.sock"];
        assert_eq!(text(default_addresses(None)), system);
        assert_eq!(text(default_addresses(Some(Path::new(SYSTEM_DATA_DIR)))), [system[1], system[0]]);
        assert_eq!(text(default_addresses(Some(Path::new("/d"))))[0], "unix:/d/api.sock");
    }

    #[test]
    fn what_is_no_address_says_why() {
        let cases = [
            ("https://x:1", AddressError::UnknownScheme("https://x:1".into())),
            ("unix:", AddressError::NoPath),
            ("http://localhost", AddressError::NoPort("http://localhost".into())),
            ("http://localhost:0", AddressError::NoPort("http://localhost:0".into())),
            ("http://::1:80", AddressError::NoPort("http://::1:80".into())),
            ("http://:80", AddressError::NoHost("http://:80".into())),
            ("http://a:80/v1", AddressError::HasPath("http://a:80/v1".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<NodeAddress>(), Err(expected), "{text}");
        }
    }
}
