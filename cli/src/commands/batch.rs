//! `starling batch`

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use starling_api::document::{BatchLine, BatchResult};
use starling_api::{ExitCode as Exit, Problem};
use tokio::sync::mpsc;

use crate::args::{ConfirmArgs, Global};
use crate::commands::{counted, input, write};
use crate::connect::Session;
use crate::failure::{Failure, Outcome};
use crate::import::strict_json;
use crate::output::{Output, note};

/// Lines read ahead of the node.
const LINES_READ_MAX: usize = 256;

/// Lines sent and not yet answered: more than a connection's buffers hold of the shortest.
const LINES_UNANSWERED_MAX: usize = 16_384;

/// Silence after which the request ends, so that what came so far is answered to its end. The next line
/// opens another.
const IDLE_TIME_MAX: Duration = Duration::from_secs(1);

/// Write many documents by lines of NDJSON, each line a write of its own.
///
/// A line is {"op": OP, "doc": NAME, …}: put (value, base), set (pointer, value), remove (pointer), insert
/// (pointer, value), splice (pointer, at, delete, insert), increment (pointer, by), patch (patch: RFC 6902),
/// merge (patch: RFC 7396), delete. Nothing is atomic across lines: a line that is wrong or refused is
/// reported with its number and the rest goes on. What `starling export --format ndjson` prints can be fed
/// in here.
#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// The file, or `-` for standard input, which is also the default.
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// Only read the lines, and print the documents they are about.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(global: &Global, args: BatchArgs, out: &mut Output) -> Outcome {
    let mut lines = lines(args.file)?;
    let mut tally = Tally::default();
    if args.dry_run {
        while let Some(line) = lines.recv().await {
            match line.read {
                Ok(read) if out.is_json() => out.json_line(&json!({ "doc": read.doc() }))?,
                Ok(read) => out.line(read.doc())?,
                Err(why) => tally.wrong(&line.origin, &why, out)?,
            }
        }
        return tally.end();
    }
    let session = Session::open(global)?;
    let space = session.space().await?;
    while let Some(line) = next_good(&mut lines, &mut tally, out).await? {
        send(&session, &space, line, &mut lines, &mut tally, out).await?;
    }
    match tally.end()? {
        Exit::Done => write::confirm_all(&session, &space, args.confirm).await,
        other => Ok(other),
    }
}

/// One line of the input, read or wrong.
struct Line {
    origin: String,
    read: Result<BatchLine, String>,
}

/// Reads lines on a thread of its own, since standard input blocks.
fn lines(file: Option<PathBuf>) -> Result<mpsc::Receiver<Line>, Failure> {
    let path = file.filter(|path| path.as_os_str() != "-");
    let (name, source): (String, Box<dyn Read + Send>) = match path {
        None => ("-".to_owned(), Box::new(std::io::stdin())),
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::File::open(&path)
                .map_err(|error| Failure::usage(format!("cannot read {name}")).caused_by(&error))?;
            (name, Box::new(file))
        }
    };
    let (sender, receiver) = mpsc::channel(LINES_READ_MAX);
    std::thread::spawn(move || {
        let mut source = BufReader::new(source);
        for number in 1_u64.. {
            let origin = format!("{name}:{number}");
            let line = match read_line(&mut source) {
                Ok(None) => return,
                Ok(Some(text)) if text.trim_ascii().is_empty() => continue,
                Ok(Some(text)) => Line { origin, read: parse(&text) },
                Err(why) => Line { origin, read: Err(why) },
            };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// One line within the bound of length; what is longer is read to its end and thrown away.
fn read_line(source: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    let most = input::BODY_BYTES_MAX;
    let read = source.take(most + 1).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    if line.len() as u64 > most && line.last() != Some(&b'\n') {
        source.skip_until(b'\n').map_err(|error| error.to_string())?;
        return Err(format!("longer than the {most} bytes a line may have"));
    }
    Ok(Some(line))
}

fn parse(line: &[u8]) -> Result<BatchLine, String> {
    let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let value = strict_json(text).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

async fn next_good(
    lines: &mut mpsc::Receiver<Line>,
    tally: &mut Tally,
    out: &mut Output,
) -> Result<Option<(String, BatchLine)>, Failure> {
    while let Some(line) = lines.recv().await {
        match line.read {
            Ok(read) => return Ok(Some((line.origin, read))),
            Err(why) => tally.wrong(&line.origin, &why, out)?,
        }
    }
    Ok(None)
}

/// Sends lines in one request until there are none for a while, and takes their results.
async fn send(
    session: &Session,
    space: &str,
    first: (String, BatchLine),
    lines: &mut mpsc::Receiver<Line>,
    tally: &mut Tally,
    out: &mut Output,
) -> Result<(), Failure> {
    let (sender, mut results) = session.client.batch(space).await?;
    let (sent, mut unanswered) = mpsc::channel(LINES_UNANSWERED_MAX);
    let mut wrong = Vec::new();
    let send = async {
        let mut next = Some(first);
        while let Some((origin, line)) = next.take() {
            let line = (sent.send(origin).await.is_ok(), sender.send(&line).await.is_ok());
            if line != (true, true) {
                break;
            }
            while let Ok(Some(line)) = tokio::time::timeout(IDLE_TIME_MAX, lines.recv()).await {
                match line.read {
                    Ok(read) => {
                        next = Some((line.origin, read));
                        break;
                    }
                    Err(why) if wrong.len() < COMPLAINTS_MAX => wrong.push((line.origin, why)),
                    Err(_) => wrong.push((line.origin, String::new())),
                }
            }
        }
        drop((sender, sent));
    };
    let read = async {
        while let Some(result) = results.next().await? {
            let origin = unanswered.recv().await.unwrap_or_else(|| "?".to_owned());
            tally.result(&origin, &result, out)?;
        }
        Ok::<(), Failure>(())
    };
    let ((), outcome) = tokio::join!(send, read);
    for (origin, why) in &wrong {
        tally.wrong(origin, why, out)?;
    }
    outcome?;
    match unanswered.recv().await {
        None => Ok(()),
        Some(origin) => Err(Failure::failed(format!("the node gave no answer from {origin} on"))
            .because("whether those lines were written is not known")),
    }
}

/// Complaints printed one by one; the rest are counted.
const COMPLAINTS_MAX: usize = 50;

/// What became of the lines.
#[derive(Default)]
struct Tally {
    written: u64,
    refused: u64,
    exit: Option<Exit>,
}

impl Tally {
    fn result(&mut self, origin: &str, result: &BatchResult, out: &mut Output) -> Result<(), Failure> {
        let name = result.doc.as_deref().unwrap_or("?");
        match &result.outcome {
            Ok(heads) => {
                self.written += 1;
                if !out.is_json() {
                    out.rows(&[], [vec![name.to_owned(), heads.to_string()]])?;
                }
            }
            Err(problem) => self.refuse(problem.exit_code(), &format!("{origin}: {name}: {}", said(problem))),
        }
        if out.is_json() {
            out.json_line(result)?;
        }
        Ok(())
    }

    fn wrong(&mut self, origin: &str, why: &str, out: &mut Output) -> Result<(), Failure> {
        self.refuse(Exit::Usage, &format!("{origin}: {why}"));
        if out.is_json() {
            out.json_line(&json!({ "ok": false, "from": origin, "why": why }))?;
        }
        Ok(())
    }

    fn refuse(&mut self, exit: Exit, complaint: &str) {
        self.refused += 1;
        self.exit.get_or_insert(exit);
        match self.refused.cmp(&(COMPLAINTS_MAX as u64 + 1)) {
            std::cmp::Ordering::Less => note(complaint),
            std::cmp::Ordering::Equal => note("further complaints are only counted"),
            std::cmp::Ordering::Greater => {}
        }
    }

    fn end(self) -> Outcome {
        match self.exit {
            None => Ok(Exit::Done),
            Some(exit) => Err(Failure::new(
                exit,
                "partly-refused",
                format!("{} refused, {} written", counted(self.refused, "line"), self.written),
            )
            .because("the lines refused are named above")),
        }
    }
}

fn said(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem} ({hint})"),
        None => problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_one_after_a_long_one_is_read() {
        let long = "x".repeat(usize::try_from(input::BODY_BYTES_MAX).expect("it fits") + 1);
        let text = format!("a\n{long}\nb");
        let mut source = text.as_bytes();
        assert_eq!(read_line(&mut source), Ok(Some(b"a\n".to_vec())));
        assert!(read_line(&mut source).is_err());
        assert_eq!(read_line(&mut source), Ok(Some(b"b".to_vec())));
        assert_eq!(read_line(&mut source), Ok(None));
    }

    #[test]
    fn a_line_must_say_what_it_does() {
        assert_eq!(parse(br#"{"op":"delete","doc":"a"}"#), Ok(BatchLine::Delete { doc: "a".into() }));
        for wrong in ["{}", "[]", r#"{"op":"burn","doc":"a"}"#, r#"{"op":"delete","doc":"a","doc":"b"}"#, "x"]
        {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
