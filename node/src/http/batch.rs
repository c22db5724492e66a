//! A batch: many writes in one request, each its own change, answered in the order they came.
//!
//! Lines go to the node as they arrive and are committed in groups; a line that is wrong gets its own
//! problem and the rest goes on. Nothing is atomic across lines. A client that does not read its
//! results is not read from either.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{Request, State},
    http::{header, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _, stream};
use starling_api::{
    Code, Problem,
    document::{BatchResult, NDJSON_MEDIA_TYPE},
};
use starling_crdt::{
    id::SpaceId,
    limits::REQUEST_ID_BYTES_MAX,
    replica::{Condition, Write},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::{Names, Refused, refused},
    input::{self, Members},
    limits::{LINE_BYTES_MAX, LINE_TIME_MAX},
    node::Pending,
    report,
    state::Api,
};

/// Writes of one batch that are under way at once: enough to fill a commit group. It also bounds how many
/// new documents of an import are built at once, each of which takes some 20 KiB until its step ends.
const LINES_UNDER_WAY_MAX: usize = 256;

/// Longest `Idempotency-Key` of a batch: what is left for it beside the number of a line.
const BATCH_ID_BYTES_MAX: usize = REQUEST_ID_BYTES_MAX - 21;

/// Results that leave in one piece when they are there at once, as those of one commit are.
const RESULTS_TOGETHER_MAX: usize = 256;

pub(super) async fn run(
    State(api): State<Api>,
    Names(space): Names<String>,
    request: Request,
) -> Result<Response, Refused> {
    let space = api.node.space(&space).await?;
    let room = api.room_for_a_batch()?;
    let (parts, body) = request.into_parts();
    let target = Target { space, id: batch_id(&parts)? };
    let results = results(api, target, room, body.into_data_stream());
    Ok(([(header::CONTENT_TYPE, NDJSON_MEDIA_TYPE)], Body::from_stream(results)).into_response())
}

/// Where the lines of a batch go.
#[derive(Clone)]
struct Target {
    space: SpaceId,
    /// What makes the batch safe to send again.
    id: Option<Arc<str>>,
}

impl Target {
    /// The id of a line's write: its place among the lines tells it from the others.
    fn request_id(&self, number: u64) -> Option<String> {
        self.id.as_ref().map(|id| format!("{id}:{number}"))
    }
}

/// The id of a batch, which leaves room for the number of a line.
fn batch_id(parts: &Parts) -> Result<Option<Arc<str>>, Refused> {
    let id = input::request_id(parts)?;
    if let Some(id) = id.as_ref().filter(|id| id.len() > BATCH_ID_BYTES_MAX) {
        let detail =
            format!("Idempotency-Key of a batch has 1 to {BATCH_ID_BYTES_MAX} bytes, not {}", id.len());
        return Err(refused(Code::BadRequest, detail));
    }
    Ok(id.map(Arc::from))
}

/// One line that was handed to the node, or why it was not.
struct Submitted {
    doc: Option<String>,
    write: Result<Pending, Refused>,
}

fn results(
    api: Api,
    target: Target,
    room: OwnedSemaphorePermit,
    body: BodyDataStream,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let room = Arc::new(room);
    let lines = Lines {
        body,
        shutdown: api.shutdown.clone(),
        read: Vec::new(),
        ready: VecDeque::new(),
        skipping: false,
        ended: false,
    };
    let submitted = stream::unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        Some((line, lines))
    })
    .zip(stream::iter(1_u64..))
    // One after the other, so that two lines about one document happen in their order.
    .then(move |(line, number)| {
        let (node, target) = (api.node.clone(), target.clone());
        async move {
            match line {
                Ok(line) => {
                    let (doc, write) = read_line(&target, number, &line);
                    let write = match write {
                        Ok(write) => node.submit(write).await,
                        Err(refused) => Err(refused),
                    };
                    Submitted { doc, write }
                }
                Err(refused) => Submitted { doc: None, write: Err(refused) },
            }
        }
    });
    submitted
        .map(move |submitted| {
            let room = room.clone();
            async move {
                let line = finish(submitted).await;
                drop(room);
                line
            }
        })
        .buffered(LINES_UNDER_WAY_MAX)
        .ready_chunks(RESULTS_TOGETHER_MAX)
        .map(|lines| Ok(lines.concat().into()))
}

async fn finish(submitted: Submitted) -> Vec<u8> {
    let outcome = match submitted.write {
        Ok(pending) => pending.written().await.map(|written| report::heads(&written.heads)),
        Err(refused) => Err(refused),
    };
    let result = BatchResult { doc: submitted.doc, outcome: outcome.map_err(|refused| *refused.0) };
    // A result holds texts only, and such a thing always has a JSON form.
    let mut text = serde_json::to_vec(&result).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The document a line is about, as far as it can be read, and the write it asks for.
fn read_line(target: &Target, number: u64, line: &[u8]) -> (Option<String>, Result<Write, Refused>) {
    let mut doc = None;
    let write = input::value(line).and_then(Members::of).and_then(|mut members| {
        let name = members.text("doc")?;
        doc = Some(name.clone());
        let document = input::document_name(&name)?;
        let operation = members.text("op")?;
        let edit = members.edit(&operation)?;
        members.nothing_else()?;
        let (space, request_id) = (target.space, target.request_id(number));
        Ok(Write { space, document, edit, condition: Condition::default(), request_id })
    });
    (doc, write)
}

/// The lines of a body, each within its bounds of length and patience.
struct Lines {
    body: BodyDataStream,
    shutdown: crate::shutdown::Shutdown,
    /// What of the present line has arrived.
    read: Vec<u8>,
    ready: VecDeque<Result<Vec<u8>, Refused>>,
    /// The present line is too long: it was answered, and the rest of it is thrown away.
    skipping: bool,
    ended: bool,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<Vec<u8>, Refused>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            let frame = tokio::select! {
                frame = tokio::time::timeout(LINE_TIME_MAX, self.body.next()) => frame,
                () = self.shutdown.requested() => {
                    self.end(Some(Problem::new(Code::Stopping, "the node stops; lines after this were not written")));
                    continue;
                }
            };
            match frame {
                Ok(Some(Ok(bytes))) => self.take(&bytes),
                Ok(None) => self.end(None),
                Ok(Some(Err(error))) => {
                    self.end(Some(Problem::new(Code::BadRequest, format!("the body broke off: {error}"))));
                }
                Err(_) => {
                    let detail = format!("no line came for {} s", LINE_TIME_MAX.as_secs());
                    self.end(Some(Problem::new(Code::RequestTimeout, detail)));
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    fn extend(&mut self, piece: &[u8]) {
        if self.skipping {
            return;
        }
        if self.read.len() + piece.len() > LINE_BYTES_MAX {
            self.skipping = true;
            self.read = Vec::new();
            let detail = format!("a line of the batch is longer than {LINE_BYTES_MAX} bytes");
            self.ready.push_back(Err(refused(Code::BodyTooLarge, detail)));
            return;
        }
        self.read.extend_from_slice(piece);
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.read);
        if !std::mem::take(&mut self.skipping) && !line.trim_ascii().is_empty() {
            self.ready.push_back(Ok(line));
        }
    }

    /// No more lines come. A line that broke off half way is not written.
    fn end(&mut self, problem: Option<Problem>) {
        self.ended = true;
        match problem {
            None => self.end_line(),
            Some(problem) => self.ready.push_back(Err(problem.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use starling_crdt::document::Edit;

    use super::*;

    fn lines(pieces: Vec<Result<Bytes, std::io::Error>>) -> Lines {
        let (trigger, shutdown) = crate::shutdown::channel();
        // Nobody asks to stop in these tests; a dropped trigger would.
        std::mem::forget(trigger);
        let body = Body::from_stream(stream::iter(pieces)).into_data_stream();
        Lines { body, shutdown, read: Vec::new(), ready: VecDeque::new(), skipping: false, ended: false }
    }

    async fn all(mut lines: Lines) -> Vec<Result<String, Code>> {
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(
                line.map(|line| String::from_utf8(line).expect("text")).map_err(|refused| refused.0.code),
            );
        }
        found
    }

    #[tokio::test]
    async fn lines_are_the_same_however_the_body_is_divided() {
        let text = b"one\n\n  \r\ntwo\nlast without end";
        let expected = vec![Ok("one".to_owned()), Ok("two".to_owned()), Ok("last without end".to_owned())];
        for cut in 0..=text.len() {
            let pieces = [&text[..cut], &text[cut..]].map(|piece| Ok(Bytes::copy_from_slice(piece)));
            assert_eq!(all(lines(pieces.into())).await, expected, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_line_too_long_is_answered_and_skipped() {
        let long = "x".repeat(LINE_BYTES_MAX);
        let pieces =
            vec![Ok(Bytes::from(format!("a\n{long}"))), Ok(Bytes::from("y")), Ok(Bytes::from("z\nb\n"))];
        assert_eq!(
            all(lines(pieces)).await,
            [Ok("a".to_owned()), Err(Code::BodyTooLarge), Ok("b".to_owned())]
        );
        let fits = vec![Ok(Bytes::from(long.clone())), Ok(Bytes::from("\n"))];
        assert_eq!(all(lines(fits)).await, [Ok(long)]);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_leaves_its_last_line_unwritten() {
        let pieces = vec![Ok(Bytes::from("a\nhalf")), Err(std::io::Error::other("gone"))];
        assert_eq!(all(lines(pieces)).await, [Ok("a".to_owned()), Err(Code::BadRequest)]);
    }

    #[test]
    fn a_line_names_its_document_even_where_it_is_wrong() {
        let target = Target { space: SpaceId([1; 32]), id: None };
        let read = |text: &str| {
            let (doc, write) = read_line(&target, 1, text.as_bytes());
            (doc, write.map(|write| write.edit).map_err(|refused| refused.0.code))
        };
        let a = || Some("a".to_owned());
        assert_eq!(read(r#"{"op":"delete","doc":"a"}"#), (a(), Ok(Edit::Remove)));
        assert_eq!(read(r#"{"op":"burn","doc":"a"}"#), (a(), Err(Code::BadRequest)));
        assert_eq!(read(r#"{"op":"put","doc":"a","value":1}"#), (a(), Err(Code::RootNotObject)));
        assert_eq!(
            read(r#"{"op":"delete","doc":"/a"}"#),
            (Some("/a".to_owned()), Err(Code::BadDocumentName))
        );
        assert_eq!(read(r#"{"op":"delete"}"#), (None, Err(Code::BadRequest)));
        assert_eq!(read("not json"), (None, Err(Code::BadJson)));
    }
}
