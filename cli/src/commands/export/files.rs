//! Documents as files below one directory, whatever they are called.
//!
//! Promises: two documents never share a file; nothing is written outside the directory, whatever the
//! documents are called and whatever links lie in it; a file is whole or was not touched. Leaves out:
//! removing files of documents that are gone.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use crate::failure::Failure;

/// Longest name of one file or directory here: file systems allow 255 bytes.
const COMPONENT_BYTES_MAX: usize = 200;

/// What a name begins with while its file is written. No document's file does.
const PART_PREFIX: &str = ".starling-";

/// The directory exported to.
pub(super) struct Directory {
    at: OwnedFd,
    shown: String,
}

impl Directory {
    /// Opens the directory, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        std::fs::create_dir_all(path).map_err(|error| {
            Failure::failed(format!("cannot make the directory {shown}")).caused_by(&error)
        })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = openat(CWD, path, flags, Mode::empty()).map_err(|error| failed(&shown, error))?;
        Ok(Self { at, shown })
    }

    /// Writes one document's file; the answer is its path as the caller would name it.
    pub(super) fn write(&self, document: &str, extension: &str, bytes: &[u8]) -> Result<String, Failure> {
        let components = components(document, extension);
        let shown = format!("{}/{}", self.shown.trim_end_matches('/'), components.join("/"));
        self.write_at(&components, bytes).map_err(|error| {
            let failure = failed(&shown, error);
            match error {
                Errno::LOOP | Errno::NOTDIR => {
                    failure.because("a link or a file is in the way, and links are not followed")
                }
                _ => failure,
            }
        })?;
        Ok(shown)
    }

    fn write_at(&self, components: &[String], bytes: &[u8]) -> Result<(), Errno> {
        let Some((file, directories)) = components.split_last() else {
            return Err(Errno::INVAL);
        };
        let mut at =
            self.at.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let inner = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for directory in directories {
            match mkdirat(&at, directory.as_str(), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            at = openat(&at, directory.as_str(), inner, Mode::empty())?;
        }
        let part = format!("{PART_PREFIX}{}", std::process::id());
        let new = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&at, part.as_str(), new, Mode::from_raw_mode(0o666))?;
        let written = File::from(opened).write_all(bytes);
        written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        renameat(&at, part.as_str(), &at, file.as_str())
    }
}

fn failed(path: &str, error: Errno) -> Failure {
    Failure::failed(format!("cannot write {path}")).caused_by(&std::io::Error::from(error))
}

/// The directories and the file that stand for a document's name. Different names have different ones.
fn components(document: &str, extension: &str) -> Vec<String> {
    let segments: Vec<&str> = document.split('/').collect();
    let mut components = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        let is_file = place + 1 == segments.len();
        let mut escaped = escape(segment);
        let suffix = format!(".{extension}");
        // A directory must not be called like a file of another document.
        if !is_file && let Some(stem) = escaped.strip_suffix(&suffix) {
            escaped = format!("{stem}%2E{extension}");
        }
        let mut pieces = pieces(&escaped);
        if is_file && let Some(last) = pieces.last_mut() {
            last.push_str(&suffix);
        }
        components.append(&mut pieces);
    }
    components
}

/// Letters, digits and a few signs as they are, every other byte as `%XX`. A dot or a hyphen at the
/// beginning too: such names are hidden, special, or taken for flags.
fn escape(segment: &str) -> String {
    let mut escaped = String::new();
    for (place, letter) in segment.char_indices() {
        let plain = letter.is_alphanumeric()
            || matches!(letter, '_' | '+' | '=' | '@' | ',')
            || (place > 0 && matches!(letter, '.' | '-'));
        if plain {
            escaped.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    escaped
}

/// A long name as directories inside each other, all but the last with `%` at the end, which no escape has.
fn pieces(escaped: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for letter in escaped.chars() {
        let full = pieces.last().is_some_and(|piece| piece.len() + letter.len_utf8() > COMPONENT_BYTES_MAX);
        if full {
            if let Some(piece) = pieces.last_mut() {
                piece.push('%');
            }
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            match letter {
                '.' if full => piece.push_str("%2E"),
                '-' if full => piece.push_str("%2D"),
                _ => piece.push(letter),
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(name: &str) -> String {
        components(name, "json").join("/")
    }

    #[test]
    fn names_become_paths_that_stay_inside() {
        for (name, expected) in [
            ("config/web", "config/web.json"),
            ("a.b-c", "a.b-c.json"),
            (".", "%2E.json"),
            ("..", "%2E..json"),
            ("../../etc/passwd", "%2E./%2E./etc/passwd.json"),
            ("a/../b", "a/%2E./b.json"),
            ("-rf", "%2Drf.json"),
            ("a b\\c:*", "a%20b%5Cc%3A%2A.json"),
            ("a%2Eb", "a%252Eb.json"),
            ("größe", "größe.json"),
            ("a.json/b", "a%2Ejson/b.json"),
            ("\u{202e}x", "%E2%80%AEx.json"),
        ] {
            assert_eq!(path(name), expected, "{name}");
        }
    }

    #[test]
    fn no_two_names_share_a_path_and_none_is_too_long() {
        let long = "x".repeat(512);
        let wide = "é/".repeat(170) + "é";
        let dots = format!("{}../{}/x", &long[..200], &long[..200]);
        let hidden = format!("{}.", &long[..200]);
        let names = [
            "a",
            "a/b",
            "a.json",
            "a.json/b",
            "a%2Ejson/b",
            "a%2Ejson",
            "A",
            "%",
            "%25",
            ".",
            "..",
            "%2E",
            "-",
            "%2D",
            &long,
            &long[..511],
            &long[..200],
            &long[..201],
            &wide,
            &dots,
            &hidden,
            "é",
        ];
        let mut seen = BTreeMap::new();
        for name in names {
            let components = components(name, "json");
            for component in &components {
                assert!(
                    component.len() <= 255 && !component.is_empty() && !component.starts_with('.'),
                    "{component}"
                );
            }
            assert_eq!(seen.insert(components.join("/"), name), None, "{name}");
        }
        // No file is a directory of another.
        for file in seen.keys() {
            assert!(!seen.keys().any(|other| other.starts_with(&format!("{file}/"))), "{file}");
        }
    }

    #[test]
    fn files_are_replaced_whole_and_links_are_not_followed() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = Directory::open(&inside.path().join("new/deep")).unwrap();
        let root = inside.path().join("new/deep");
        for text in ["first", "2nd"] {
            let written = directory.write("a/b", "json", text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(written).unwrap(), text);
        }
        assert_eq!(fs::read_dir(root.join("a")).unwrap().count(), 1, "nothing else is left there");

        symlink(outside.path(), root.join("link")).unwrap();
        assert!(directory.write("link/c", "json", b"x").is_err());
        let victim = outside.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, root.join("d.json")).unwrap();
        directory.write("d", "json", b"x").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        assert_eq!(fs::read_to_string(root.join("d.json")).unwrap(), "x");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
