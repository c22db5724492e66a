//! Which files an import reads, in which format, and what they are called.
//!
//! Promises: directories are walked in the order of names, hidden entries and symbolic links inside
//! them are passed over, and so are files of other formats, which are counted; a file named on the
//! command line is read or refused. Leaves out: reading.

use std::path::{Path, PathBuf};

use super::{Fault, Origin};

/// Deepest directory that is walked: deeper trees are more likely a mistake than data.
const DIRECTORY_DEPTH_MAX: usize = 64;

/// The format of a file, told by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// `.json`
    Json,
    /// `.ndjson`, `.jsonl`, and standard input
    Ndjson,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.toml`
    Toml,
}

/// One file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its path; `-` is standard input.
    pub(crate) path: PathBuf,
    /// Its format.
    pub(crate) format: FileFormat,
    /// What its document is called: the path below the directory that was named, or the file's own
    /// name, without the extension, segments joined by `/`.
    pub(crate) stem: String,
}

/// Every file below these paths, and how many were passed over for their extension.
pub(crate) fn sources(paths: &[PathBuf]) -> (Vec<Result<Source, Fault>>, usize) {
    let mut found = Vec::new();
    let mut passed_over = 0;
    for path in paths {
        if path == Path::new("-") {
            found.push(Ok(Source { path: path.clone(), format: FileFormat::Ndjson, stem: String::new() }));
        } else if path.is_dir() {
            walk(path, path, 0, &mut found, &mut passed_over);
        } else {
            found.push(named_file(path));
        }
    }
    (found, passed_over)
}

fn named_file(path: &Path) -> Result<Source, Fault> {
    let fault = |why: String| Fault { origin: Origin { file: path.to_owned(), line: None }, why };
    if let Err(error) = path.metadata() {
        return Err(fault(error.to_string()));
    }
    let Some(format) = format_of(path) else {
        return Err(fault(
            "has no extension that says what it is: json, ndjson, jsonl, yaml, yml or toml".to_owned(),
        ));
    };
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| fault("has a name that is no UTF-8 text".to_owned()))?;
    Ok(Source { path: path.to_owned(), format, stem: stem.to_owned() })
}

fn walk(
    root: &Path,
    directory: &Path,
    depth: usize,
    found: &mut Vec<Result<Source, Fault>>,
    passed_over: &mut usize,
) {
    let fault = |why: String| Fault { origin: Origin { file: directory.to_owned(), line: None }, why };
    if depth > DIRECTORY_DEPTH_MAX {
        found.push(Err(fault(format!("lies deeper than {DIRECTORY_DEPTH_MAX} directories"))));
        return;
    }
    let entries = match std::fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            found.push(Err(fault(error.to_string())));
            return;
        }
    };
    let mut entries: Vec<_> = entries.into_iter().map(|entry| (entry.path(), entry.file_type())).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, kind) in entries {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        match kind {
            _ if hidden => {}
            Ok(kind) if kind.is_dir() => walk(root, &path, depth + 1, found, passed_over),
            Ok(kind) if kind.is_file() => match format_of(&path) {
                Some(format) => found.push(below(root, &path, format)),
                None => *passed_over += 1,
            },
            Ok(_) => *passed_over += 1,
            Err(error) => found.push(Err(fault(error.to_string()))),
        }
    }
}

fn below(root: &Path, path: &Path, format: FileFormat) -> Result<Source, Fault> {
    let relative = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let segments: Option<Vec<_>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
    match segments {
        Some(segments) => Ok(Source { path: path.to_owned(), format, stem: segments.join("/") }),
        None => Err(Fault {
            origin: Origin { file: path.to_owned(), line: None },
            why: "has a name that is no UTF-8 text".to_owned(),
        }),
    }
}

fn format_of(path: &Path) -> Option<FileFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "json" => Some(FileFormat::Json),
        "ndjson" | "jsonl" => Some(FileFormat::Ndjson),
        "yaml" | "yml" => Some(FileFormat::Yaml),
        "toml" => Some(FileFormat::Toml),
        _ => None,
    }
}
