//! Runs on disk: one JSON file for each, read back by `replay`, `report` and `explain`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::record::{RECORD_VERSION, RunRecord};

/// Most bytes of a stored run: a run of two thousand nodes has a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a scenario in the place of a run is told.
const SCENARIO_WORDS: &str = "it is a scenario; run it first, with --out DIR, and take the file in DIR";

/// A run that cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file system said no.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// It is not a run.
    #[error("{} is not a stored run: {words}", path.display())]
    NotARun {
        /// The file.
        path: PathBuf,
        /// Why.
        words: String,
    },
}

/// Where a run is stored in a directory: by scenario and seed.
pub fn path_of(directory: &Path, record: &RunRecord, ending: &str) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = record.scenario.chars().map(plain).collect();
    directory.join(format!("{name}-{}.{ending}", record.seed))
}

/// Writes `text` to `path`, making its directory.
///
/// # Errors
/// What the file system says.
pub fn write(path: &Path, text: &str) -> Result<(), StoredError> {
    create(path)?
        .write_all(text.as_bytes())
        .map_err(|error| StoredError::File { path: path.to_owned(), error })
}

/// Makes an empty file at `path`, and its directory.
///
/// # Errors
/// What the file system says.
pub fn create(path: &Path) -> Result<std::fs::File, StoredError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = directory.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::File::create(path))
        .map_err(|error| StoredError::File { path: path.to_owned(), error })
}

/// A run as it is stored.
pub fn json(record: &RunRecord) -> String {
    // A record is numbers, strings and lists of them: all of it is JSON.
    serde_json::to_string_pretty(record).unwrap_or_default() + "\n"
}

/// Reads a stored run.
///
/// # Errors
/// If the file cannot be read or is no run of this version.
pub fn read(path: &Path) -> Result<RunRecord, StoredError> {
    let file = |error| StoredError::File { path: path.to_owned(), error };
    let not = |words: String| StoredError::NotARun { path: path.to_owned(), words };
    if std::fs::metadata(path).map_err(file)?.len() > FILE_BYTES_MAX {
        return Err(not("it is too large".into()));
    }
    let text = std::fs::read_to_string(path).map_err(file)?;
    let record: RunRecord = serde_json::from_str(&text).map_err(|error| {
        let is_scenario = path.extension().is_some_and(|ending| ending == "toml");
        not(if is_scenario { SCENARIO_WORDS.into() } else { error.to_string() })
    })?;
    if record.version != RECORD_VERSION {
        return Err(not(format!("version {} where this build reads {RECORD_VERSION}", record.version)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_run_is_read_back_whole() {
        let record = super::super::sample::violated();
        let directory = std::env::temp_dir().join(format!("starling-stored-{}", std::process::id()));
        let path = path_of(&directory, &record, "json");
        write(&path, &json(&record)).expect("it is written");
        let back = read(&path).expect("it is read");
        std::fs::write(&path, "{}").expect("it is spoilt");
        let spoilt = read(&path);
        let scenario = path.with_extension("toml");
        std::fs::write(&scenario, "version = 1\n").expect("a scenario is beside it");
        let mistaken = read(&scenario).expect_err("a scenario is no run").to_string();
        std::fs::remove_dir_all(&directory).expect("the directory goes");
        assert_eq!(back, record);
        assert!(matches!(spoilt, Err(StoredError::NotARun { .. })));
        assert!(mistaken.contains("run it first, with --out DIR"), "{mistaken}");
    }

    #[test]
    fn a_name_cannot_leave_its_directory() {
        let mut record = super::super::sample::violated();
        record.scenario = "../../etc/passwd".into();
        assert_eq!(path_of(Path::new("out"), &record, "json"), Path::new("out/------etc-passwd-7.json"));
    }
}
