//! A batch: lines sent as they come, results read as they come.

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::sync::mpsc;

use super::{connection::Connection, error::ClientError};
use crate::{
    NodeAddress,
    document::{BatchLine, BatchResult},
};

/// Lines handed over but not yet written to the connection; sending waits while so many stand.
pub(super) const LINES_WAITING_MAX: usize = 256;

/// Longest line of an answer that is read.
const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// The half of a batch that sends lines. Dropping it ends the batch.
pub struct BatchLines {
    pub(super) sender: mpsc::Sender<Bytes>,
}

/// The node no longer takes lines; the results say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node no longer takes lines of this batch")]
pub struct BatchClosed;

impl BatchLines {
    /// Sends one line, waiting while the node is slower than the caller. Somebody must read the
    /// results meanwhile, or both sides wait for each other.
    ///
    /// # Errors
    /// When the connection is gone; the results say why.
    pub async fn send(&self, line: &BatchLine) -> Result<(), BatchClosed> {
        // A line holds strings, numbers and JSON values only, and such a thing always has a JSON form.
        let mut text = serde_json::to_vec(line).map_err(|_| BatchClosed)?;
        text.push(b'\n');
        self.sender.send(text.into()).await.map_err(|_| BatchClosed)
    }
}

/// The half of a batch that reads results, one for each line in the order sent.
pub struct BatchResults {
    pub(super) address: NodeAddress,
    pub(super) body: Incoming,
    pub(super) read: Vec<u8>,
    /// How much of `read` was given out.
    pub(super) given: usize,
    pub(super) _connection: Connection,
}

impl BatchResults {
    /// Waits for the next result; nothing after the last.
    ///
    /// # Errors
    /// When the connection broke or the answer cannot be read: what became of the lines without a
    /// result is not known.
    pub async fn next(&mut self) -> Result<Option<BatchResult>, ClientError> {
        let mut searched = self.given;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.given..searched + end;
                self.given = searched + end + 1;
                searched = self.given;
                if !self.read[line.clone()].trim_ascii().is_empty() {
                    return self.parse(&self.read[line]).map(Some);
                }
                continue;
            }
            self.read.drain(..self.given);
            self.given = 0;
            searched = self.read.len();
            if searched > RESULT_BYTES_MAX {
                return Err(self.not_understood("a line longer than any result may be".to_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.read.extend_from_slice(bytes);
                    }
                }
                Some(Err(source)) => {
                    return Err(ClientError::Lost { address: self.address.clone(), source });
                }
                None if self.read.trim_ascii().is_empty() => return Ok(None),
                None => {
                    let line = std::mem::take(&mut self.read);
                    return self.parse(&line).map(Some);
                }
            }
        }
    }

    fn parse(&self, line: &[u8]) -> Result<BatchResult, ClientError> {
        serde_json::from_slice(line)
            .map_err(|error| self.not_understood(format!("a result that cannot be read: {error}")))
    }

    fn not_understood(&self, what: String) -> ClientError {
        ClientError::NotUnderstood { address: self.address.clone(), status: 200, what }
    }
}
