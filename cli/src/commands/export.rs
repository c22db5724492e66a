//! `starling export`

mod files;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use starling_api::Code;
use starling_api::ExitCode as Exit;
use starling_api::client::ClientError;
use starling_api::document::BatchLine;

use crate::args::Global;
use crate::commands::offline;
use crate::commands::pages::Pages;
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, progress};
use files::Directory;

/// Write documents out: all of them, or those below a prefix.
///
/// To standard output: `json` is one object with a member for each document (what `starling import --split`
/// reads), `ndjson` one line for each (what `starling batch` reads). With --dir: one file for each document,
/// named like it, with what no file name may hold written as %XX. An automerge file holds the document with
/// its history but without its signatures; every automerge program opens it. Documents written meanwhile
/// may be missing: it is no snapshot.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only documents whose name starts with this.
    pub(crate) prefix: Option<String>,
    /// What is written of each document.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ExportFormat,
    /// Write one file for each document below this directory, which is made if need be.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The shape of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum ExportFormat {
    /// Values as JSON.
    #[default]
    Json,
    /// One line of JSON for each document, as `starling batch` reads it. Not with --dir.
    Ndjson,
    /// Automerge files. Needs --dir.
    Automerge,
}

pub(crate) async fn run(global: &Global, args: ExportArgs, out: &mut Output) -> Outcome {
    args.check()?;
    let session = match Session::open(global) {
        Ok(session) => session,
        Err(failure) => match offline::directory(global, &failure) {
            Some(directory) => return offline::export::run(global, directory, &args, out),
            None => return Err(failure),
        },
    };
    let space = session.space().await?;
    let mut pages = Pages::new(&session.client, &space, args.prefix.as_deref(), false, None);
    let mut sink = Sink::open(&args, out)?;
    let bar = progress(None, "exported");
    while let Some(items) = pages.next().await? {
        for item in items {
            let content = match sink.wanted() {
                Wanted::Value => {
                    session.client.document(&space, &item.name).await.map(|found| Content::Value(found.value))
                }
                Wanted::Automerge => session
                    .client
                    .automerge_file(&space, &item.name)
                    .await
                    .map(|bytes| Content::Automerge(bytes.into())),
            };
            match content {
                Ok(content) => sink.document(&item.name, content)?,
                // It was deleted since it was listed.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    sink.end()
}

fn is_gone(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.code == Code::UnknownDocument)
}

impl ExportArgs {
    fn check(&self) -> Result<(), Failure> {
        match (self.format, &self.dir) {
            (ExportFormat::Ndjson, Some(_)) => Err(Failure::usage("ndjson is one stream, not a directory")
                .next("leave out --dir, and use `> FILE`")),
            (ExportFormat::Automerge, None) => {
                Err(Failure::usage("automerge files are written into a directory")
                    .next("name it with --dir DIR"))
            }
            _ => Ok(()),
        }
    }
}

/// What an export needs of each document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Value,
    Automerge,
}

/// What of a document is written.
pub(crate) enum Content {
    Value(Value),
    Automerge(Vec<u8>),
}

/// Where documents go, one after the other.
pub(crate) struct Sink<'a> {
    format: ExportFormat,
    directory: Option<Directory>,
    out: &'a mut Output,
    count: u64,
}

impl<'a> Sink<'a> {
    pub(crate) fn open(args: &ExportArgs, out: &'a mut Output) -> Result<Self, Failure> {
        args.check()?;
        let directory = args.dir.as_deref().map(Directory::open).transpose()?;
        Ok(Self { format: args.format, directory, out, count: 0 })
    }

    pub(crate) fn wanted(&self) -> Wanted {
        if self.format == ExportFormat::Automerge { Wanted::Automerge } else { Wanted::Value }
    }

    pub(crate) fn document(&mut self, name: &str, content: Content) -> Result<(), Failure> {
        match (&self.directory, content) {
            (Some(directory), content) => {
                let (extension, bytes) = match content {
                    Content::Value(value) => {
                        let text = serde_json::to_string_pretty(&value).map_err(not_json)?;
                        ("json", (text + "\n").into_bytes())
                    }
                    Content::Automerge(bytes) => ("automerge", bytes),
                };
                let path = directory.write(name, extension, &bytes)?;
                if self.out.is_json() {
                    self.out.json_line(&json!({ "doc": name, "file": path }))?;
                } else {
                    self.out.rows(&[], [vec![name.to_owned(), path]])?;
                }
            }
            (None, Content::Value(value)) if self.format == ExportFormat::Ndjson => {
                self.out.json_text(&line(name, value)?)?;
            }
            (None, Content::Value(value)) => {
                let member = format!("{}:{value}", Value::from(name));
                self.out.raw(if self.count == 0 { "{" } else { ",\n" })?;
                self.out.raw(&member)?;
            }
            (None, Content::Automerge(_)) => {
                return Err(Failure::failed("an automerge file needs a directory"));
            }
        }
        self.count += 1;
        Ok(())
    }

    pub(crate) fn end(self) -> Outcome {
        if self.directory.is_none() && self.format == ExportFormat::Json {
            self.out.raw(if self.count == 0 { "{}\n" } else { "}\n" })?;
        }
        Ok(Exit::Done)
    }
}

/// The line of a batch that writes the document.
fn line(name: &str, value: Value) -> Result<String, Failure> {
    serde_json::to_string(&BatchLine::Put { doc: name.to_owned(), value, base: None }).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::failed("a document has no JSON form").caused_by(&error)
}
