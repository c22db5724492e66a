//! The node's identity: one ed25519 key in `<data-dir>/identity.pem`, made on the first start.
//!
//! It promises that a key is on disk, synced, before anybody may use it, that an existing file is never
//! replaced, that a file others could read is refused, and that a damaged one is never taken for the key of
//! another node. It leaves out rotation. The file is PKCS#8 in PEM, so that other tools read it, below one line
//! with the public key.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use starling_crdt::identity::Identity;
use zeroize::Zeroizing;

/// Name of the identity's file in a data directory.
pub const IDENTITY_FILE: &str = "identity.pem";

/// What a key that is being made is called until it is safely on disk.
const UNFINISHED_FILE: &str = "identity.pem.new";

/// Longest identity file that is read; a real one has about 120 bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Bits of a file's mode that let its group or others do anything.
const OTHERS_MODE: u32 = 0o077;

/// Why there is no identity to start with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file or its directory could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is readable by others, so the key may be known to them.
    #[error(
        "{} is open to others (mode {mode:04o}), and whoever reads it can write as this node; run `chmod 600 {}`",
        path.display(), path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold an ed25519 key.
    #[error(
        "{} does not hold an ed25519 private key in PEM ({what}); put the right file back, or move it away to start \
         as a new node", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system has no randomness to give.
    #[error("the operating system gives no randomness")]
    NoRandomness(#[source] io::Error),
}

/// The identity of that data directory; nothing where none was made yet.
///
/// # Errors
/// See [`IdentityError`].
pub fn load(data_dir: &Path) -> Result<Option<Identity>, IdentityError> {
    let path = data_dir.join(IDENTITY_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", &path)(error)),
    };
    let mode = file.metadata().map_err(failed("examine", &path))?.mode() & 0o7777;
    if mode & OTHERS_MODE != 0 {
        return Err(IdentityError::OpenToOthers { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    match file.take(FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(IdentityError::Damaged { path, what: "it is not text".to_owned() });
        }
        Err(error) => return Err(failed("read", &path)(error)),
    }
    match Identity::from_pem(&text) {
        Ok(identity) => Ok(Some(identity)),
        Err(error) => Err(IdentityError::Damaged { path, what: error.to_string() }),
    }
}

/// The identity of that data directory; both are made where they do not exist.
///
/// # Errors
/// See [`IdentityError`].
pub fn load_or_make(data_dir: &Path) -> Result<Identity, IdentityError> {
    if let Some(identity) = load(data_dir)? {
        return Ok(identity);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(failed("make the data directory", data_dir))?;
    let identity = generate()?;
    if write(&identity, data_dir)? == Outcome::Written {
        return Ok(identity);
    }
    // Another process made one meanwhile, and that one counts.
    load(data_dir)?
        .ok_or_else(|| failed("open", &data_dir.join(IDENTITY_FILE))(io::ErrorKind::NotFound.into()))
}

/// A new identity, from the operating system's randomness; written nowhere.
///
/// # Errors
/// [`IdentityError::NoRandomness`].
pub fn generate() -> Result<Identity, IdentityError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| IdentityError::NoRandomness(io::Error::other(error)))?;
    Ok(Identity::from_seed(&seed))
}

fn write(identity: &Identity, data_dir: &Path) -> Result<Outcome, IdentityError> {
    let path = data_dir.join(IDENTITY_FILE);
    let unfinished = data_dir.join(UNFINISHED_FILE);
    // What an interrupted start left behind was never used by anybody.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &unfinished)(error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(failed("make", &unfinished))?;
    file.write_all(identity.to_file().as_bytes()).map_err(failed("write", &unfinished))?;
    file.sync_all().map_err(failed("sync", &unfinished))?;
    let outcome = publish(&unfinished, &path)?;
    File::open(data_dir).and_then(|directory| directory.sync_all()).map_err(failed("sync", data_dir))?;
    Ok(outcome)
}

/// Whether the key just made is the one that counts.
#[derive(PartialEq, Eq)]
enum Outcome {
    Written,
    AnotherWasThere,
}

/// Gives the finished file its name, unless another already has it. A file system without hard links
/// cannot tell the two apart in one step; there the name is checked first.
fn publish(unfinished: &Path, path: &Path) -> Result<Outcome, IdentityError> {
    let outcome = match fs::hard_link(unfinished, path) {
        Ok(()) => Outcome::Written,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Outcome::AnotherWasThere,
        Err(_) if !path.exists() => {
            fs::rename(unfinished, path).map_err(failed("rename", unfinished))?;
            return Ok(Outcome::Written);
        }
        Err(_) => Outcome::AnotherWasThere,
    };
    fs::remove_file(unfinished).map_err(failed("remove", unfinished))?;
    Ok(outcome)
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> IdentityError + 'a {
    move |source| IdentityError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn make() -> (tempfile::TempDir, PathBuf, Identity) {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path().join("deep/inside");
        let identity = load_or_make(&data_dir).expect("an identity");
        (directory, data_dir, identity)
    }

    #[test]
    fn the_first_start_makes_a_key_that_later_starts_find() {
        let (_directory, data_dir, identity) = make();
        let again = load_or_make(&data_dir).expect("an identity");
        assert_eq!(again.key(), identity.key());
        let names: Vec<_> = fs::read_dir(&data_dir)
            .expect("a listing")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, [IDENTITY_FILE]);
        let mode = |path: &Path| fs::metadata(path).expect("metadata").mode() & 0o777;
        assert_eq!((mode(&data_dir.join(IDENTITY_FILE)), mode(&data_dir)), (0o600, 0o700));
    }

    #[test]
    fn two_directories_have_two_keys_and_an_empty_one_has_none() {
        let (_a, _, first) = make();
        let (_b, _, second) = make();
        assert_ne!(first.key(), second.key());
        let empty = tempfile::tempdir().expect("a directory");
        assert!(load(empty.path()).expect("readable").is_none());
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_command_that_mends_it() {
        let (_directory, data_dir, _) = make();
        let path = data_dir.join(IDENTITY_FILE);
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let error = load_or_make(&data_dir).expect_err("open to others");
            assert!(matches!(error, IdentityError::OpenToOthers { mode: found, .. } if found == mode));
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("a mode");
        load(&data_dir).expect("readable by its owner alone");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays_as_it_is() {
        let (_directory, data_dir, _) = make();
        let path = data_dir.join(IDENTITY_FILE);
        let good = fs::read(&path).expect("a file");
        let cut = good[..good.len() / 2].to_vec();
        for bytes in [Vec::new(), b"garbage".to_vec(), vec![0xff; 64], vec![b'x'; 100_000], cut] {
            fs::write(&path, &bytes).expect("a file");
            let error = load_or_make(&data_dir).expect_err("damaged");
            assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
            assert_eq!(fs::read(&path).expect("a file"), bytes);
        }
    }

    #[test]
    fn a_plain_pem_file_of_another_tool_is_read() {
        let (_directory, data_dir, identity) = make();
        fs::write(data_dir.join(IDENTITY_FILE), identity.to_pem().as_bytes()).expect("a file");
        assert_eq!(load(&data_dir).expect("readable").map(|found| found.key()), Some(identity.key()));
    }

    #[test]
    fn an_interrupted_first_start_does_not_stop_the_second() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(UNFINISHED_FILE), "half a k").expect("a file");
        load_or_make(directory.path()).expect("an identity");
        assert!(!directory.path().join(UNFINISHED_FILE).exists());
    }

    #[test]
    fn the_key_another_process_made_first_counts() {
        let (_directory, data_dir, first) = make();
        let second = generate().expect("a key");
        assert!(write(&second, &data_dir).expect("no failure") == Outcome::AnotherWasThere);
        assert_eq!(load_or_make(&data_dir).expect("an identity").key(), first.key());
    }
}
