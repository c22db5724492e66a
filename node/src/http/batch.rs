//! A batch: many writes in one request, each its own change, answered in the order they came.
//!
//! Lines go to the node as they arrive and are committed in groups; a line that is wrong gets its own
//! problem and the rest goes on. Lines about one document happen in their order. Those of different
//! documents may not: while more arrive than the node takes, each document has all that came for it at one
//! turn, and they share a signature. Nothing is atomic across lines. A client that does not read its
//! results is not read from either.

mod lines;
mod turns;

use std::collections::BTreeMap;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{header, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream, stream::FuturesUnordered};
use starling_api::{
    Code,
    document::{BatchResult, NDJSON_MEDIA_TYPE},
};
use starling_crdt::{
    document::body,
    id::SpaceId,
    limits::REQUEST_ID_BYTES_MAX,
    replica::{Condition, Write, Written},
};
use tokio::sync::OwnedSemaphorePermit;

use self::{lines::Lines, turns::Turns};
use super::{
    answer::{Names, Refused, refused},
    input,
    node::{Node, Pending},
    report,
    state::Api,
};

/// Writes of one batch that are under way at once: enough to fill a commit group. It also bounds how many
/// new documents of an import are built at once, each of which takes some 20 KiB until its step ends.
const LINES_UNDER_WAY_MAX: usize = 512;

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
    let lines = Lines::new(body.into_data_stream(), api.shutdown.clone());
    let results = results(Batch::new(target, api.node, lines), room);
    Ok(([(header::CONTENT_TYPE, NDJSON_MEDIA_TYPE)], Body::from_stream(results)).into_response())
}

/// Where the lines of a batch go.
struct Target {
    space: SpaceId,
    /// What makes the batch safe to send again.
    id: Option<String>,
}

impl Target {
    /// The id of a line's write: its place among the lines, from 1 on, tells it from the others.
    fn request_id(&self, number: u64) -> Option<String> {
        self.id.as_ref().map(|id| format!("{id}:{}", number + 1))
    }
}

/// The id of a batch, which leaves room for the number of a line.
fn batch_id(parts: &Parts) -> Result<Option<String>, Refused> {
    let id = input::request_id(parts)?;
    if let Some(id) = id.as_ref().filter(|id| id.len() > BATCH_ID_BYTES_MAX) {
        let detail =
            format!("Idempotency-Key of a batch has 1 to {BATCH_ID_BYTES_MAX} bytes, not {}", id.len());
        return Err(refused(Code::BadRequest, detail));
    }
    Ok(id)
}

fn results(
    batch: Batch,
    room: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold((batch, room), |(mut batch, room)| async move {
        let results = batch.results().await?;
        Some((Ok(results), (batch, room)))
    })
}

/// A result as a line, and the number of the line it answers.
type Answer = (u64, Vec<u8>);

/// A batch on its way. Nothing happens in it but while somebody waits for its results.
struct Batch {
    target: Target,
    node: Node,
    lines: Lines,
    /// Lines read.
    read: u64,
    waiting: Turns,
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Answers whose turn has not come: to lines that were read and do not wait, no more than
    /// [`turns::LINES_MAX`] before the last one read.
    answers: BTreeMap<u64, Vec<u8>>,
    /// Lines answered.
    answered: u64,
}

impl Batch {
    fn new(target: Target, node: Node, lines: Lines) -> Self {
        Self {
            target,
            node,
            lines,
            read: 0,
            waiting: Turns::default(),
            under_way: FuturesUnordered::new(),
            answers: BTreeMap::new(),
            answered: 0,
        }
    }

    /// The next results, in the order of their lines; none when every line was answered.
    async fn results(&mut self) -> Option<Bytes> {
        loop {
            self.read_arrived();
            self.submit().await;
            let results = self.in_order();
            if !results.is_empty() {
                return Some(results.into());
            }
            let reads = self.has_room() && !self.lines.is_over();
            if !reads && self.under_way.is_empty() {
                return None;
            }
            tokio::select! {
                Some(answer) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.answer(answer);
                    // What one commit made durable is there at once.
                    while let Some(Some(answer)) = self.under_way.next().now_or_never() {
                        self.answer(answer);
                    }
                }
                () = self.lines.wait(), if reads => {}
            }
        }
    }

    /// Whether another line may be read: neither those that wait nor the answers kept back grow without end.
    fn has_room(&self) -> bool {
        self.read - self.answered < turns::LINES_MAX && self.waiting.has_room()
    }

    fn read_arrived(&mut self) {
        while self.has_room()
            && let Some(line) = self.lines.arrived()
        {
            let number = self.read;
            self.read += 1;
            let bytes = line.as_ref().map_or(0, Vec::len);
            let (doc, write) = match line {
                Ok(line) => read_line(&self.target, number, &line),
                Err(refused) => (None, Err(refused)),
            };
            match write {
                Ok(write) => self.waiting.push(number, bytes, write),
                Err(refused) => self.answer((number, result(doc, Err(refused)))),
            }
        }
    }

    async fn submit(&mut self) {
        while self.under_way.len() < LINES_UNDER_WAY_MAX
            && let Some((number, write)) = self.waiting.pop()
        {
            let doc = Some(write.document.as_str().to_owned());
            match self.node.submit(write).await {
                Ok(pending) => self.under_way.push(Box::pin(finish(number, doc, pending))),
                Err(refused) => self.answer((number, result(doc, Err(refused)))),
            }
        }
    }

    fn answer(&mut self, (number, answer): Answer) {
        self.answers.insert(number, answer);
    }

    fn in_order(&mut self) -> Vec<u8> {
        let mut results = Vec::new();
        for _ in 0..RESULTS_TOGETHER_MAX {
            let Some(answer) = self.answers.remove(&self.answered) else { break };
            self.answered += 1;
            results.extend(answer);
        }
        results
    }
}

async fn finish(number: u64, doc: Option<String>, pending: Pending) -> Answer {
    (number, result(doc, pending.written().await))
}

fn result(doc: Option<String>, outcome: Result<Written, Refused>) -> Vec<u8> {
    let outcome = outcome.map(|written| report::heads(&written.heads));
    let result = BatchResult { doc, outcome: outcome.map_err(|refused| *refused.0) };
    // A result holds texts only, and such a thing always has a JSON form.
    let mut text = serde_json::to_vec(&result).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The document a line is about, as far as it can be read, and the write it asks for.
fn read_line(target: &Target, number: u64, line: &[u8]) -> (Option<String>, Result<Write, Refused>) {
    let (doc, read) = body::batch_line(line);
    let write = read.map_err(input::wrong_body).map(|(document, edit)| Write {
        space: target.space,
        document,
        edit,
        condition: Condition::default(),
        request_id: target.request_id(number),
    });
    (doc, write)
}

#[cfg(test)]
mod tests {
    use starling_crdt::document::Edit;

    use super::*;

    #[test]
    fn a_line_names_its_document_even_where_it_is_wrong() {
        let target = Target { space: SpaceId([1; 32]), id: None };
        let read = |text: &str| {
            let (doc, write) = read_line(&target, 0, text.as_bytes());
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
