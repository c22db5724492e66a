//! The configuration file: TOML, where an unknown key is an error.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::de::DeTable;

use super::{ByteSize, ConfigError, HttpAddress, LogFormat, NodeName, Profile};

/// Longest configuration file that is read; a real one has a few hundred bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Every key a file may hold.
pub(super) const KEYS: [&str; 14] = [
    "data_dir",
    "name",
    "listen",
    "advertise",
    "join",
    "http",
    "api_socket",
    "api_socket_group",
    "mdns",
    "profile",
    "space_quota",
    "documents_memory",
    "log_level",
    "log_format",
];

/// Edits by which a key may be missed and still be taken for a slip.
const SLIP_EDITS_MAX: usize = 3;

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
    pub(super) space_quota: Option<ByteSize>,
    pub(super) documents_memory: Option<ByteSize>,
    pub(super) log_level: Option<String>,
    pub(super) log_format: Option<LogFormat>,
    /// The line of each key that is there.
    #[serde(skip)]
    pub(super) lines: BTreeMap<&'static str, usize>,
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
        let malformed = |error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            wrong(line_of(&bytes, start), error.message())
        };
        let table = DeTable::parse(text).map_err(malformed)?;
        let mut lines = BTreeMap::new();
        for key in table.get_ref().keys() {
            let (line, name) = (line_of(&bytes, key.span().start), key.get_ref());
            let known = KEYS.iter().find(|known| **known == name.as_ref());
            lines.insert(*known.ok_or_else(|| wrong(line, &unknown(name)))?, line);
        }
        let file: Self = toml::from_str(text).map_err(malformed)?;
        Ok(Self { lines, ..file })
    }
}

/// What is said of a key that no configuration has, with the key that was probably meant.
fn unknown(name: &str) -> String {
    let nearest = KEYS.iter().map(|key| (edits(name, key), *key)).min();
    match nearest {
        Some((distance, key)) if distance <= SLIP_EDITS_MAX && distance < name.chars().count() => {
            format!("unknown key `{name}`; did you mean `{key}`?")
        }
        _ => format!("unknown key `{name}`; the keys are {}", KEYS.join(", ")),
    }
}

/// Insertions, removals and exchanges of characters between two words (Levenshtein 1965), by the
/// usual table of which one row is kept.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, right) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(left != *right);
            diagonal = row[at + 1];
            row[at + 1] = exchanged.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_what_tells_two_words_apart() {
        for (from, to, count) in
            [("name", "name", 0), ("nmae", "name", 2), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!((edits(from, to), edits(to, from)), (count, count), "{from} {to}");
        }
    }

    #[test]
    fn a_slip_is_told_from_a_key_of_another_program() {
        assert_eq!(unknown("log_levle"), "unknown key `log_levle`; did you mean `log_level`?");
        assert_eq!(unknown("lisen"), "unknown key `lisen`; did you mean `listen`?");
        assert!(unknown("replication_factor").contains("the keys are data_dir, name"));
    }

    #[test]
    fn the_list_of_keys_is_that_of_the_file() {
        for key in KEYS {
            let wrong =
                toml::from_str::<ConfigFile>(&format!("{key} = 1979-05-27")).expect_err("no date is a value");
            assert!(!wrong.message().contains("unknown field"), "{key}: {wrong}");
        }
        let said = toml::from_str::<ConfigFile>("nothing = 1").expect_err("no such key").message().to_owned();
        assert_eq!(said.matches('`').count() / 2, KEYS.len() + 1, "{said}");
    }
}
