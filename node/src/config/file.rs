//! The configuration file: TOML, where an unknown key is an error.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{ConfigError, HttpAddress, LogFormat, NodeName, Profile};

/// Longest configuration file that is read; a real one has a few hundred bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a file says. The keys are the flags' names with `_` for `-`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) name: Option<NodeName>,
    pub(super) listen: Option<Vec<String>>,
    pub(super) advertise: Option<Vec<String>>,
    pub(super) join: Option<Vec<String>>,
    pub(super) http: Option<HttpAddress>,
    pub(super) api_socket: Option<PathBuf>,
    pub(super) api_socket_group: Option<String>,
    pub(super) mdns: Option<bool>,
    pub(super) profile: Option<Profile>,
    pub(super) log_level: Option<String>,
    pub(super) log_format: Option<LogFormat>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::TooLong { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
        }
        let wrong = |line, message: &str| ConfigError::Wrong {
            path: path.to_owned(),
            line,
            message: message.to_owned(),
        };
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| wrong(line_of(&bytes, error.valid_up_to()), "this is not UTF-8"))?;
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            wrong(line_of(&bytes, start), error.message())
        })
    }
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}
