//! Turns files into named documents for `starling import`.
//!
//! Promises: nothing in a file is silently changed (duplicate members and integers beyond 64 bits are
//! refused); NDJSON is read line by line and any other file whole, up to [`FILE_BYTES_MAX`], so memory
//! stays bounded whatever is imported; what cannot be read names its file and line and does not stop
//! the rest. Leaves out: sending, and the rules for document names, which the node enforces.

mod convert;
mod files;
mod spans;
mod strict;

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use files::{Source, sources};
pub(crate) use strict::strict_json;

/// Largest file, other than NDJSON, that is read: it is held in memory whole. Past it the file is
/// refused with the advice to use NDJSON.
pub(crate) const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest NDJSON line: no document that long can be one change, which is at most 1 MiB.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Where something came from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file, or `-` for standard input.
    pub(crate) file: PathBuf,
    /// The line it starts at, counted from 1, where the format has lines.
    pub(crate) line: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

/// One document to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The document's name, prefix included.
    pub(crate) name: String,
    /// Its content.
    pub(crate) body: Value,
    /// How long its text is, for bounding what is held.
    pub(crate) bytes: usize,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {why}")]
pub(crate) struct Fault {
    /// Where.
    pub(crate) origin: Origin,
    /// Why, and what to do.
    pub(crate) why: String,
}

/// How documents are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Naming {
    /// One document per file, named by its path without the extension.
    PerFile,
    /// One document per record, named by this member (or JSON pointer) of it.
    KeyField(String),
    /// One document per member of the file's root object, named by the member.
    Split,
}

/// Reads documents one at a time.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// How they are named.
    pub(crate) naming: Naming,
    /// What every name starts with.
    pub(crate) prefix: String,
}

/// What a source yields.
pub(crate) type Records = Box<dyn Iterator<Item = Result<Record, Fault>>>;

impl Reader {
    /// Everything in one source, in its order.
    pub(crate) fn read(&self, source: &Source) -> Records {
        match source.format {
            files::FileFormat::Ndjson => self.read_lines(source),
            format => match read_whole(&source.path).and_then(|text| self.read_text(source, format, &text)) {
                Ok(records) => Box::new(records.into_iter()),
                Err(fault) => Box::new(std::iter::once(Err(fault))),
            },
        }
    }

    fn read_lines(&self, source: &Source) -> Records {
        let origin = Origin { file: source.path.clone(), line: None };
        let Naming::KeyField(_) = self.naming else {
            return Box::new(std::iter::once(Err(Fault {
                origin,
                why: "holds a record a line, which need names: say which member names them with --key-field"
                    .to_owned(),
            })));
        };
        let input: Box<dyn BufRead> = if source.path == Path::new("-") {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            match File::open(&source.path) {
                Ok(file) => Box::new(BufReader::new(file)),
                Err(error) => {
                    return Box::new(std::iter::once(Err(Fault { origin, why: error.to_string() })));
                }
            }
        };
        let reader = self.clone();
        Box::new(Lines { input, origin, number: 0, ended: false }.filter_map(move |line| match line {
            Ok((text, _)) if text.trim().is_empty() => None,
            Ok((text, origin)) => Some(reader.keyed(&text, origin)),
            Err(fault) => Some(Err(fault)),
        }))
    }

    fn read_text(
        &self,
        source: &Source,
        format: files::FileFormat,
        text: &str,
    ) -> Result<Vec<Result<Record, Fault>>, Fault> {
        let origin = Origin { file: source.path.clone(), line: None };
        // Converted formats lose their lines; JSON keeps them.
        let (documents, has_lines) = match format {
            files::FileFormat::Yaml => (convert::yaml(text, &origin)?, false),
            files::FileFormat::Toml => (vec![convert::toml(text, &origin)?], false),
            files::FileFormat::Json | files::FileFormat::Ndjson => (vec![text.to_owned()], true),
        };
        let mut records = Vec::new();
        let several = documents.len() > 1;
        for document in documents {
            check_syntax(&document, &origin)?;
            match &self.naming {
                Naming::PerFile if several => {
                    return Err(Fault {
                        origin,
                        why: "holds several documents: name them with --key-field".to_owned(),
                    });
                }
                Naming::PerFile => records.push(self.named(&source.stem, &document, origin.clone())),
                Naming::KeyField(_) => self.read_records(&document, &origin, has_lines, &mut records)?,
                Naming::Split => self.read_members(&document, &origin, has_lines, &mut records)?,
            }
        }
        Ok(records)
    }

    /// The items of a list, or the one record that the document is.
    fn read_records(
        &self,
        document: &str,
        origin: &Origin,
        has_lines: bool,
        records: &mut Vec<Result<Record, Fault>>,
    ) -> Result<(), Fault> {
        if !document.trim_start().starts_with('[') {
            records.push(self.keyed(document, origin.clone()));
            return Ok(());
        }
        for item in spans::items(document).map_err(|why| Fault { origin: origin.clone(), why })? {
            let origin = origin.at(has_lines.then_some(item.line));
            records.push(self.keyed(&document[item.range], origin));
        }
        Ok(())
    }

    fn read_members(
        &self,
        document: &str,
        origin: &Origin,
        has_lines: bool,
        records: &mut Vec<Result<Record, Fault>>,
    ) -> Result<(), Fault> {
        let mut names = BTreeSet::new();
        for (name, member) in spans::members(document).map_err(|why| Fault { origin: origin.clone(), why })? {
            let origin = origin.at(has_lines.then_some(member.line));
            if names.insert(name.clone()) {
                records.push(self.named(&name, &document[member.range], origin));
            } else {
                records.push(Err(Fault {
                    origin,
                    why: format!("the member {name:?} stands twice in one object"),
                }));
            }
        }
        Ok(())
    }

    fn keyed(&self, text: &str, origin: Origin) -> Result<Record, Fault> {
        let record = value(text, &origin)?;
        let Naming::KeyField(field) = &self.naming else {
            return self.record("", record, text.len(), origin);
        };
        let key = if field.starts_with('/') { record.pointer(field) } else { record.get(field) };
        let key = match key {
            Some(Value::String(key)) => key.clone(),
            Some(Value::Number(key)) => key.to_string(),
            Some(_) => {
                return Err(Fault {
                    origin,
                    why: format!("member `{field}` is neither a string nor a number"),
                });
            }
            None => {
                return Err(Fault { origin, why: format!("has no member `{field}` to be named by") });
            }
        };
        self.record(&key, record, text.len(), origin)
    }

    fn named(&self, name: &str, text: &str, origin: Origin) -> Result<Record, Fault> {
        let body = value(text, &origin)?;
        self.record(name, body, text.len(), origin)
    }

    fn record(&self, name: &str, body: Value, bytes: usize, origin: Origin) -> Result<Record, Fault> {
        if !body.is_object() {
            let why = "is no object, and a document's root must be one".to_owned();
            return Err(Fault { origin, why });
        }
        Ok(Record { name: format!("{}{name}", self.prefix), body, bytes, origin })
    }
}

impl Origin {
    fn at(&self, line: Option<usize>) -> Self {
        Self { file: self.file.clone(), line }
    }
}

/// The value of one record, whose first line the origin names.
fn value(text: &str, origin: &Origin) -> Result<Value, Fault> {
    strict_json(text).map_err(|error| Fault {
        origin: origin.at(origin.line.map(|line| line + error.line - 1).or(Some(error.line))),
        why: format!("is no JSON that can be stored: {}", error.why),
    })
}

fn check_syntax(text: &str, origin: &Origin) -> Result<(), Fault> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| Fault { origin: origin.at(Some(error.line())), why: format!("is no JSON: {error}") })
}

fn read_whole(path: &Path) -> Result<String, Fault> {
    let fault = |why: String| Fault { origin: Origin { file: path.to_owned(), line: None }, why };
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let most = FILE_BYTES_MAX / 1024 / 1024;
        return Err(fault(format!(
            "is larger than {most} MiB: split it, or turn it into NDJSON, which has no such limit"
        )));
    }
    Ok(text)
}

/// Lines of at most [`LINE_BYTES_MAX`] bytes, each with its number.
struct Lines {
    input: Box<dyn BufRead>,
    origin: Origin,
    number: usize,
    ended: bool,
}

impl Iterator for Lines {
    type Item = Result<(String, Origin), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.number += 1;
        let origin = self.origin.at(Some(self.number));
        let mut line = Vec::new();
        let read = self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        let why = match read {
            Ok(0) => return None,
            Ok(_) if line.len() > LINE_BYTES_MAX => {
                format!("is longer than {} MiB; nothing after it was read", LINE_BYTES_MAX / 1024 / 1024)
            }
            Ok(_) => match String::from_utf8(line) {
                Ok(text) => return Some(Ok((text, origin))),
                Err(_) => {
                    return Some(Err(Fault { origin, why: "is no UTF-8 text".to_owned() }));
                }
            },
            Err(error) => error.to_string(),
        };
        self.ended = true;
        Some(Err(Fault { origin, why }))
    }
}

#[cfg(test)]
mod tests;
