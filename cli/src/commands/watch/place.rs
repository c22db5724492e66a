//! Where a watch with a name goes on: one small file for each name.
//!
//! Promises: the file is replaced whole or not at all; two watches of one name never run at once; a file
//! that belongs to another space or prefix is refused, for its position says nothing about them. Leaves
//! out when to keep a position: who handles changes knows.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use starling_api::{ExitCode as Exit, Position};

use crate::failure::Failure;

/// Longest name, so that every file system takes the file.
const NAME_LENGTH_MAX: usize = 64;

/// How long a position may wait to be saved while more is handled; a watch that is killed repeats that much.
const SAVE_PAUSE: Duration = Duration::from_millis(100);

/// What the file holds, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    space: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// The kept position of one name.
pub(super) struct Place {
    path: PathBuf,
    kept: Kept,
    unsaved_since: Option<Instant>,
    // Held as long as the watch lives.
    _lock: File,
}

/// The name of a kept position, as the command line takes it.
pub(super) fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > NAME_LENGTH_MAX || text.starts_with('.') || !text.chars().all(plain) {
        return Err(format!(
            "a name has 1 to {NAME_LENGTH_MAX} letters, digits, `-`, `_` or `.`, and does not begin with `.`"
        ));
    }
    Ok(text.to_owned())
}

/// The directory for what programs of this user keep between runs: the one given, else
/// `$XDG_STATE_HOME/starling`, else `$HOME/.local/state/starling`.
pub(super) fn directory(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = || {
        let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        base.map(|base| base.join("starling"))
    };
    given.or_else(own).ok_or_else(|| {
        Failure::usage("there is no directory to keep the position in")
            .because("neither XDG_STATE_HOME nor HOME is set")
            .next("give one with --state-dir DIR")
    })
}

impl Place {
    /// Opens, or begins, the position of that name.
    pub(super) fn open(
        directory: &Path,
        name: &str,
        space: &str,
        prefix: Option<&str>,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        let lock = lock(&directory.join(format!("watch-{name}.lock")), name)?;
        let path = directory.join(format!("watch-{name}.json"));
        let begun = || Kept { space: space.to_owned(), prefix: prefix.map(str::to_owned), position: None };
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => begun(),
            Err(error) => return Err(unusable(&path, &error)),
        };
        if kept.space != space || kept.prefix.as_deref() != prefix {
            return Err(of_something_else(&path, name, &kept));
        }
        Ok(Self { path, kept, unsaved_since: None, _lock: lock })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where to go on; nothing before the first position was kept.
    pub(super) fn position(&self) -> Option<&Position> {
        self.kept.position.as_ref()
    }

    /// When a position that waits must be saved; nothing while none waits.
    pub(super) fn save_due(&self) -> Option<Instant> {
        self.unsaved_since.map(|since| since + SAVE_PAUSE)
    }

    /// Takes a position before which everything is handled.
    pub(super) fn keep(&mut self, position: Position) {
        self.unsaved_since.get_or_insert_with(Instant::now);
        self.kept.position = Some(position);
    }

    /// Writes what was kept, if anything is new.
    pub(super) fn save(&mut self) -> Result<(), Failure> {
        if self.unsaved_since.is_none() {
            return Ok(());
        }
        replace(&self.path, &self.kept).map_err(|error| unusable(&self.path, &error))?;
        self.unsaved_since = None;
        Ok(())
    }
}

/// A new file takes the place of the old one when it is whole.
fn replace(path: &Path, kept: &Kept) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer(&mut file, kept)?;
    file.write_all(b"\n")?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn lock(path: &Path, name: &str) -> Result<File, Failure> {
    let opened = File::options().create(true).truncate(false).write(true).open(path);
    let file = opened.map_err(|error| unusable(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Exit::TryLater,
            "already-watching",
            format!("a watch named {name} runs already"),
        )
        .because(format!("it holds {}", path.display()))
        .next("end it first, or choose another name")),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("the position cannot be kept in {}", path.display()))
        .caused_by(error)
        .next("mend that, or choose another directory with --state-dir DIR")
}

fn damaged(path: &Path, error: &serde_json::Error) -> Failure {
    Failure::failed(format!("the kept position in {} cannot be read", path.display()))
        .caused_by(error)
        .next("remove that file to begin anew; changes since then may then be missed")
}

fn of_something_else(path: &Path, name: &str, kept: &Kept) -> Failure {
    let prefix = kept.prefix.as_ref().map_or("no prefix".to_owned(), |prefix| format!("prefix {prefix}"));
    Failure::usage(format!("the position named {name} belongs to another watch"))
        .because(format!("{} is of space {:.12} with {prefix}", path.display(), kept.space))
        .next("choose another name, or remove that file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path, prefix: Option<&str>) -> Result<Place, Failure> {
        Place::open(directory, "n", "space", prefix)
    }

    #[test]
    fn a_position_is_found_again_and_only_by_the_same_watch() {
        let directory = tempfile::tempdir().unwrap();
        let mut place = open(directory.path(), Some("a/")).unwrap();
        assert_eq!(place.position(), None);
        place.keep(Position("s-7".to_owned()));
        assert!(place.save_due().is_some());
        place.save().unwrap();
        assert_eq!(place.save_due(), None);
        assert_eq!(
            open(directory.path(), Some("a/")).err().map(|failure| failure.exit()),
            Some(Exit::TryLater)
        );
        drop(place);
        let again = open(directory.path(), Some("a/")).unwrap();
        assert_eq!(again.position(), Some(&Position("s-7".to_owned())));
        drop(again);
        assert_eq!(open(directory.path(), None).err().map(|failure| failure.exit()), Some(Exit::Usage));
        let left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }

    #[test]
    fn a_damaged_file_is_named_and_nothing_is_guessed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("watch-n.json"), "{\"space\":").unwrap();
        let failure = open(directory.path(), None).err().unwrap();
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(name("web.reload-1_x"), Ok("web.reload-1_x".to_owned()));
        for wrong in ["", ".", "../x", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
