//! The lines of a body, each within its bounds of length and patience.

use std::collections::VecDeque;

use axum::body::BodyDataStream;
use futures::StreamExt as _;
use starling_api::{Code, Problem};

use crate::{
    http::{
        answer::{Refused, refused},
        limits::{LINE_BYTES_MAX, LINE_TIME_MAX},
    },
    shutdown::Shutdown,
};

/// A body, divided into lines.
pub(super) struct Lines {
    body: BodyDataStream,
    shutdown: Shutdown,
    /// What of the present line has arrived.
    read: Vec<u8>,
    ready: VecDeque<Result<Vec<u8>, Refused>>,
    /// The present line is too long: it was answered, and the rest of it is thrown away.
    skipping: bool,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: BodyDataStream, shutdown: Shutdown) -> Self {
        Self { body, shutdown, read: Vec::new(), ready: VecDeque::new(), skipping: false, ended: false }
    }

    /// A line that has arrived; nothing also where one may come.
    pub(super) fn arrived(&mut self) -> Option<Result<Vec<u8>, Refused>> {
        self.ready.pop_front()
    }

    /// Whether no line comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.ready.is_empty()
    }

    /// Waits until more has arrived, or nothing more comes. Given up half way it loses nothing.
    pub(super) async fn wait(&mut self) {
        while self.ready.is_empty() && !self.ended {
            let frame = tokio::select! {
                frame = tokio::time::timeout(LINE_TIME_MAX, self.body.next()) => frame,
                () = self.shutdown.requested() => {
                    let detail = "the node stops; lines after this were not written";
                    return self.end(Some(Problem::new(Code::Stopping, detail)));
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
    use axum::body::{Body, Bytes};
    use futures::stream;

    use super::*;

    fn lines(pieces: Vec<Result<Bytes, std::io::Error>>) -> Lines {
        let (trigger, shutdown) = crate::shutdown::channel();
        // Nobody asks to stop in these tests; a dropped trigger would.
        std::mem::forget(trigger);
        let body = Body::from_stream(stream::iter(pieces)).into_data_stream();
        Lines::new(body, shutdown)
    }

    async fn all(mut lines: Lines) -> Vec<Result<String, Code>> {
        let mut found = Vec::new();
        while !lines.is_over() {
            lines.wait().await;
            while let Some(line) = lines.arrived() {
                found.push(
                    line.map(|line| String::from_utf8(line).expect("text")).map_err(|refused| refused.0.code),
                );
            }
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
}
