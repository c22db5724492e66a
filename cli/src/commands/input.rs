//! Text that a command is given: as an argument, from a file, or on standard input.
//!
//! Promises: bounded reading, and errors that name where the text came from. Leaves out: judging it.

use std::fs::File;
use std::io::{IsTerminal, Read};

use starling_api::ExitCode as Exit;

use crate::failure::Failure;
use crate::output::note;

/// Largest document body that is sent: what a node reads, which is one change (1 MiB) and its envelope.
/// A node refuses a longer one before it has arrived, and that answer can get lost on the way back.
pub(crate) const BODY_BYTES_MAX: u64 = 1024 * 1024 + 64 * 1024;

/// The text that `ARGUMENT|@FILE|-` means; no argument means standard input.
pub(crate) fn argument(argument: Option<&str>) -> Result<String, Failure> {
    match argument {
        None | Some("-") => {
            if std::io::stdin().is_terminal() {
                note("reading JSON from the terminal; end it with Ctrl-D");
            }
            text(std::io::stdin(), "standard input", BODY_BYTES_MAX)
        }
        Some(argument) => match argument.strip_prefix('@') {
            Some(path) => {
                let file = File::open(path)
                    .map_err(|error| Failure::usage(format!("cannot read {path}")).caused_by(&error))?;
                text(file, path, BODY_BYTES_MAX)
            }
            None if argument.len() as u64 > BODY_BYTES_MAX => Err(too_long("the argument", BODY_BYTES_MAX)),
            None => Ok(argument.to_owned()),
        },
    }
}

/// One JSON value that `ARGUMENT|@FILE|-` means; `usage` shows how a string is written.
pub(crate) fn value(argument: &str, usage: &str) -> Result<serde_json::Value, Failure> {
    let text = self::argument(Some(argument))?;
    crate::import::strict_json(&text).map_err(|why| {
        Failure::usage(format!("the value is no JSON that can be stored: {why}"))
            .next(format!("a string needs its quotes, as in {usage}"))
    })
}

/// All text of a source, up to a limit.
pub(crate) fn text(source: impl Read, name: &str, most: u64) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("cannot read {name}")).caused_by(&error))?;
    if bytes.len() as u64 > most {
        return Err(too_long(name, most));
    }
    String::from_utf8(bytes)
        .map_err(|error| Failure::usage(format!("{name} is no UTF-8 text")).caused_by(&error))
}

fn too_long(name: &str, most: u64) -> Failure {
    Failure::new(Exit::Usage, "body-too-large", format!("{name} is longer than {most} bytes"))
        .next("split it into several documents, or write it in several steps with `starling set`")
}

#[cfg(test)]
mod tests {
    use super::{Exit, argument, text};

    #[test]
    fn an_argument_is_the_text_itself_or_names_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert_eq!(argument(Some("{\"a\":1}")).unwrap(), "{\"a\":1}");
        assert_eq!(argument(Some(&format!("@{}", file.path().display()))).unwrap(), "{}");
        assert_eq!(argument(Some("@/nonexistent/x")).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn too_much_and_non_text_are_refused() {
        assert!(text(&b"12345"[..], "x", 4).is_err());
        assert!(text(&[0xff][..], "x", 4).is_err());
        assert_eq!(text(&b"1234"[..], "x", 4).unwrap(), "1234");
    }
}
