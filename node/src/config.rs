//! What a node is told before it starts: flags over environment over file over defaults.
//!
//! It promises a [`Config`] whose values can all be used, or an error that names where the wrong value
//! stands. It leaves out multiaddrs, which the network layer reads, and tickets, which the core reads.

mod address;
mod error;
mod file;
mod origin;
mod profile;
mod size;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;
use starling_api::address::{SOCKET_FILE, User, default_data_dir};
use starling_crdt::limits::DOCUMENTS_BYTES_MAX;

pub use address::{HttpAddress, HttpAddressError};
pub use error::ConfigError;
use file::ConfigFile;
pub use origin::{ConfigFault, Explained, Origin, Setting};
pub use profile::{LISTEN_DEFAULT, LISTEN_LOCAL, Profile};
pub use size::{ByteSize, ByteSizeError};

/// Name of the configuration file in a data directory.
pub const CONFIG_FILE: &str = "starling.toml";

/// Longest path the kernel takes for a Unix socket, in bytes (`sockaddr_un`, less its final zero).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Longest name of a node, in bytes: what a beacon carries.
pub const NAME_BYTES_MAX: usize = starling_crdt::limits::LABEL_BYTES_MAX;

/// What is logged unless told otherwise: libp2p says at `info` what only its authors want to know, and its
/// directory warns of every start without neighbours.
pub const LOG_LEVEL_DEFAULT: &str = "info,libp2p_kad=error,libp2p_mdns=warn,libp2p_swarm=warn";

/// Memory for built documents unless told otherwise.
pub const DOCUMENTS_MEMORY_DEFAULT: ByteSize = ByteSize::of(DOCUMENTS_BYTES_MAX as u64);

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(UnknownWord { found: other.to_owned(), known: "text, json" }),
        }
    }
}

/// A word that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is none of {known}")]
pub struct UnknownWord {
    found: String,
    known: &'static str,
}

/// What a node calls itself: 1 to 64 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeName(String);

/// Why a text is no name for a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's name has 1 to {NAME_BYTES_MAX} bytes and no control characters, not {0:?}")]
pub struct NodeNameError(String);

impl NodeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host's name; `starling` where that cannot be used.
    fn of_host() -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::try_from(host).unwrap_or_else(|_| Self("starling".to_owned()))
    }
}

impl TryFrom<String> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: String) -> Result<Self, NodeNameError> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(NodeNameError(text));
        }
        Ok(Self(text))
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        Self::try_from(text.to_owned())
    }
}

/// What flags and environment say; absent or empty means that they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigOverrides {
    /// The configuration file, which must then exist (`STARLING_CONFIG`).
    pub config: Option<PathBuf>,
    /// The data directory (`STARLING_DATA_DIR`).
    pub data_dir: Option<PathBuf>,
    /// See [`Config::name`] (`STARLING_NAME`).
    pub name: Option<NodeName>,
    /// See [`Config::listen`] (`STARLING_LISTEN`, comma separated).
    pub listen: Vec<String>,
    /// See [`Config::advertise`] (`STARLING_ADVERTISE`, comma separated).
    pub advertise: Vec<String>,
    /// See [`Config::join`] (`STARLING_JOIN`, comma separated).
    pub join: Vec<String>,
    /// See [`Config::http`] (`STARLING_HTTP`).
    pub http: Option<HttpAddress>,
    /// See [`Config::api_socket`] (`STARLING_API_SOCKET`).
    pub api_socket: Option<PathBuf>,
    /// See [`Config::api_socket_group`] (`STARLING_API_SOCKET_GROUP`).
    pub api_socket_group: Option<String>,
    /// See [`Config::mdns`] (`STARLING_MDNS`, `true` or `false`).
    pub mdns: Option<bool>,
    /// See [`Config::profile`] (`STARLING_PROFILE`).
    pub profile: Option<Profile>,
    /// See [`Config::space_quota`] (`STARLING_SPACE_QUOTA`).
    pub space_quota: Option<ByteSize>,
    /// See [`Config::documents_memory`] (`STARLING_DOCUMENTS_MEMORY`).
    pub documents_memory: Option<ByteSize>,
    /// See [`Config::log_level`] (`STARLING_LOG_LEVEL`).
    pub log_level: Option<String>,
    /// See [`Config::log_format`] (`STARLING_LOG_FORMAT`).
    pub log_format: Option<LogFormat>,
}

impl ConfigOverrides {
    /// What the environment alone says, for a program without flags.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] for a variable whose value cannot be used.
    pub fn from_environment(environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let path = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name: &'static str| -> Result<Option<String>, ConfigError> {
            let Some(value) = environment(name).filter(|value| !value.is_empty()) else {
                return Ok(None);
            };
            let text = value.into_string().map_err(|_| ConfigError::variable(name, "it is not UTF-8"))?;
            Ok(Some(text))
        };
        let list = |name| -> Result<Vec<String>, ConfigError> {
            let text = text(name)?.unwrap_or_default();
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        };
        Ok(Self {
            config: path("STARLING_CONFIG"),
            data_dir: path("STARLING_DATA_DIR"),
            name: parsed("STARLING_NAME", text("STARLING_NAME")?)?,
            listen: list("STARLING_LISTEN")?,
            advertise: list("STARLING_ADVERTISE")?,
            join: list("STARLING_JOIN")?,
            http: parsed("STARLING_HTTP", text("STARLING_HTTP")?)?,
            api_socket: path("STARLING_API_SOCKET"),
            api_socket_group: text("STARLING_API_SOCKET_GROUP")?,
            mdns: parsed("STARLING_MDNS", text("STARLING_MDNS")?)?,
            profile: parsed("STARLING_PROFILE", text("STARLING_PROFILE")?)?,
            space_quota: parsed("STARLING_SPACE_QUOTA", text("STARLING_SPACE_QUOTA")?)?,
            documents_memory: parsed("STARLING_DOCUMENTS_MEMORY", text("STARLING_DOCUMENTS_MEMORY")?)?,
            log_level: text("STARLING_LOG_LEVEL")?,
            log_format: parsed("STARLING_LOG_FORMAT", text("STARLING_LOG_FORMAT")?)?,
        })
    }
}

fn parsed<T>(name: &'static str, text: Option<String>) -> Result<Option<T>, ConfigError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.map(|text| text.parse().map_err(|error| ConfigError::variable(name, error))).transpose()
}

/// Everything a node is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where identity, store, socket and file are. Default: `/var/lib/starling` for root, else
    /// `$XDG_DATA_HOME/starling`. Two nodes cannot share one.
    pub data_dir: PathBuf,
    /// What the node calls itself in beacons and tables. Default: the host's name.
    pub name: NodeName,
    /// Multiaddrs it listens at for other nodes. Default: [`LISTEN_DEFAULT`]. Port 0 takes any free one.
    pub listen: Vec<String>,
    /// Multiaddrs that tickets and beacons say instead of the ones found. Default: none. Needed behind
    /// a port forward; a wrong one makes others dial in vain.
    pub advertise: Vec<String>,
    /// Tickets, multiaddrs or `HOST[:PORT]` to join or dial, again and again, for ever. Default: none.
    pub join: Vec<String>,
    /// Loopback address of the API on TCP, besides the socket. Default: none.
    pub http: Option<HttpAddress>,
    /// The API's socket. Default: `<data-dir>/api.sock`. At most 107 bytes, which is the kernel's limit.
    pub api_socket: PathBuf,
    /// Group (name or number) that may use the socket besides its owner. Default: none, mode 0600.
    pub api_socket_group: Option<String>,
    /// Whether nodes on the same link find each other. Default: true with the profile `lan`.
    pub mdns: bool,
    /// What kind of network the node lives in. Default: `lan`.
    pub profile: Profile,
    /// Bytes of changes it keeps of each space; past it writes are refused and nothing more is taken in. Default: no
    /// bound but the disk.
    pub space_quota: Option<ByteSize>,
    /// Memory for built documents, half of it for reads and half for writes. Default: 256 MiB. Too little, and documents
    /// are built from their history again and again; more than is used changes nothing.
    pub documents_memory: ByteSize,
    /// What is logged, as a `tracing` filter. Default: [`LOG_LEVEL_DEFAULT`].
    pub log_level: String,
    /// The form of a log line. Default: `text`.
    pub log_format: LogFormat,
}

impl Config {
    /// Puts together what flags, environment (both in `overrides`) and file say.
    ///
    /// # Errors
    /// See [`ConfigError`]: each names the place of the wrong value and what would be right.
    pub fn load(
        overrides: ConfigOverrides,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let (file, data_dir) = file_and_directory(&overrides, environment)?;
        Self::combine(overrides, file, data_dir)
    }

    fn combine(flags: ConfigOverrides, file: ConfigFile, data_dir: PathBuf) -> Result<Self, ConfigError> {
        let list = |flags: Vec<String>, file: Option<Vec<String>>| {
            if flags.is_empty() { file } else { Some(flags) }
        };
        let listen = list(flags.listen, file.listen);
        let profile = flags.profile.or(file.profile).unwrap_or_default();
        let socket = flags.api_socket.or(file.api_socket).unwrap_or_else(|| data_dir.join(SOCKET_FILE));
        Ok(Self {
            name: flags.name.or(file.name).unwrap_or_else(NodeName::of_host),
            listen: listen.unwrap_or_else(|| profile.listen()),
            advertise: list(flags.advertise, file.advertise).unwrap_or_default(),
            join: list(flags.join, file.join).unwrap_or_default(),
            http: flags.http.or(file.http),
            api_socket: short_enough(socket)?,
            api_socket_group: flags.api_socket_group.or(file.api_socket_group),
            mdns: flags.mdns.or(file.mdns).unwrap_or(profile.mdns()),
            profile,
            space_quota: flags.space_quota.or(file.space_quota),
            documents_memory: flags
                .documents_memory
                .or(file.documents_memory)
                .unwrap_or(DOCUMENTS_MEMORY_DEFAULT),
            log_level: flags.log_level.or(file.log_level).unwrap_or_else(|| LOG_LEVEL_DEFAULT.to_owned()),
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            data_dir,
        })
    }
}

/// The file that counts, and the data directory.
fn file_and_directory(
    overrides: &ConfigOverrides,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<(ConfigFile, PathBuf), ConfigError> {
    let default_dir = || default_data_dir(current_user(), environment);
    let (file, data_dir) = match &overrides.config {
        Some(path) => {
            let file = ConfigFile::read(path)?;
            let said = overrides.data_dir.clone().or_else(|| file.data_dir.clone());
            (file, said.or_else(default_dir))
        }
        None => {
            let data_dir = overrides.data_dir.clone().or_else(default_dir);
            (data_dir.as_deref().map(file_in).transpose()?.unwrap_or_default(), data_dir)
        }
    };
    Ok((file, data_dir.ok_or(ConfigError::NoDataDirectory)?))
}

/// The file of a data directory, where there is one. It was found through the data directory, so it
/// cannot name another.
fn file_in(data_dir: &Path) -> Result<ConfigFile, ConfigError> {
    let path = data_dir.join(CONFIG_FILE);
    match ConfigFile::read(&path) {
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(ConfigFile::default())
        }
        Ok(file) if file.data_dir.is_some() => Err(ConfigError::DataDirInside { path }),
        outcome => outcome,
    }
}

fn short_enough(socket: PathBuf) -> Result<PathBuf, ConfigError> {
    let bytes = socket.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        Err(ConfigError::SocketPathTooLong { path: socket, bytes })
    } else {
        Ok(socket)
    }
}

fn current_user() -> User {
    if rustix::process::geteuid().is_root() { User::Root } else { User::Ordinary }
}

#[cfg(test)]
mod tests;
