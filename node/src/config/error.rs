//! What can be wrong with a configuration.

use std::{io, path::PathBuf};

/// Why a node cannot start with what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is far longer than any configuration.
    #[error("the configuration file {} is longer than {bytes_max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// Something in the file is wrong: an unknown key, a value of the wrong kind, no TOML at all.
    #[error("{}:{line}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// The file in a data directory names another data directory.
    #[error("{} says data_dir, but it was found in a data directory; remove the line, or pass the file with --config", path.display())]
    DataDirInside {
        /// The file.
        path: PathBuf,
    },
    /// A variable of the environment has a value that cannot be used.
    #[error("{name} cannot be used: {message}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// There is no place for files.
    #[error("there is no data directory: set HOME or XDG_DATA_HOME, or pass --data-dir")]
    NoDataDirectory,
    /// The kernel takes no socket path of that length.
    #[error(
        "the API socket's path has {bytes} bytes and the kernel takes {max}: {}; pass --api-socket with a shorter one",
        path.display(), max = super::SOCKET_PATH_BYTES_MAX
    )]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
}

impl ConfigError {
    pub(super) fn variable(name: &'static str, message: impl std::fmt::Display) -> Self {
        Self::Variable { name, message: message.to_string() }
    }
}
