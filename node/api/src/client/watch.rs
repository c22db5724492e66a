//! A watch: Server-Sent Events read from a node, resumed at the last position after a break.

use std::{collections::VecDeque, time::Duration};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::{Client, connection::Connection, error::ClientError};
use crate::{
    Position,
    document::{POSITION_HEADER, WatchEvent, WatchQuery},
    route,
};

/// Silence after which a watch counts as broken: the node sends a comment every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// How long a watch tries to come back before it tells its caller.
const RESUME_TIME_MAX: Duration = Duration::from_secs(30);

/// First and longest pause between two tries to come back.
const RESUME_PAUSE_MIN: Duration = Duration::from_millis(50);
const RESUME_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Longest event that is read; a node sends far shorter ones.
const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A running watch of one space.
///
/// A broken connection is opened again at the last position seen, for half a minute unless told
/// otherwise; so no event is missed or given twice unless the node forgot that position, which it says
/// with a problem.
pub struct Watch<'client> {
    client: &'client Client,
    space: String,
    query: WatchQuery,
    position: Option<Position>,
    open: Option<Open>,
    patience: Duration,
}

/// One connection of a watch. Dropping it tells the node that nobody watches any more.
struct Open {
    body: Incoming,
    parser: EventParser,
    _connection: Connection,
}

impl<'client> Watch<'client> {
    pub(super) async fn start(
        client: &'client Client,
        space: &str,
        query: WatchQuery,
    ) -> Result<Self, ClientError> {
        let mut watch = Self {
            client,
            space: space.to_owned(),
            query,
            position: None,
            open: None,
            patience: RESUME_TIME_MAX,
        };
        watch.open = Some(watch.connect().await?);
        Ok(watch)
    }

    /// The position after the last event given, or where the watch began.
    #[must_use]
    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Sets how long [`Watch::next`] tries to come back before it tells. With no patience it tries once:
    /// for a caller that says what happens and calls [`Watch::reconnect`] at its own pace.
    pub const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Comes back at the last position, if the connection is broken: tried once.
    ///
    /// # Errors
    /// Why the node cannot be reached, or its refusal.
    pub async fn reconnect(&mut self) -> Result<(), ClientError> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        Ok(())
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// The node's refusal, or that it could not be reached again in time. The next call tries anew.
    pub async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            let Some(open) = &mut self.open else {
                self.open = Some(self.resume().await?);
                continue;
            };
            if let Some(event) = open.parser.next() {
                if let Some(id) = event.id {
                    self.position = Some(Position(id));
                }
                if event.data.is_empty() {
                    continue;
                }
                return serde_json::from_str(&event.data)
                    .map_err(|error| self.not_understood(&error.to_string()));
            }
            match timeout(SILENCE_MAX, open.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let taken = frame.data_ref().map_or(Ok(()), |bytes| open.parser.push(bytes));
                    if let Err(what) = taken {
                        self.open = None;
                        return Err(self.not_understood(what));
                    }
                }
                Ok(Some(Err(_)) | None) | Err(_) => self.open = None,
            }
        }
    }

    async fn resume(&mut self) -> Result<Open, ClientError> {
        let give_up = Instant::now() + self.patience;
        let mut pause = RESUME_PAUSE_MIN;
        loop {
            match self.connect().await {
                Err(error) if may_pass(&error) && Instant::now() + pause < give_up => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RESUME_PAUSE_MAX);
                }
                outcome => return outcome,
            }
        }
    }

    async fn connect(&mut self) -> Result<Open, ClientError> {
        let path = route::with_query(
            &route::watch(&self.space),
            &[("prefix", self.query.prefix.as_deref()), ("since", self.query.since.as_deref())],
        );
        let last = self.position.as_ref().map(|position| position.0.as_str());
        let (response, connection) = self.client.open_watch(&path, last).await?;
        if self.position.is_none() {
            let began = response.headers().get(POSITION_HEADER).and_then(|value| value.to_str().ok());
            self.position = began.map(|text| Position(text.to_owned()));
        }
        Ok(Open { body: response.into_body(), parser: EventParser::default(), _connection: connection })
    }

    fn not_understood(&self, what: &str) -> ClientError {
        ClientError::NotUnderstood {
            address: self.client.address().clone(),
            status: 200,
            what: format!("an event that cannot be read: {what}"),
        }
    }
}

/// Whether waiting a little may mend it: the node restarts, or is busy.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Lost { .. } | ClientError::TimedOut { .. } => true,
        ClientError::Refused(problem) => problem.exit_code() == crate::ExitCode::TryLater,
        ClientError::NotUnderstood { .. } | ClientError::BadRequest(_) => false,
    }
}

/// One event as the stream spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    data: String,
}

/// Reads `text/event-stream` (WHATWG HTML, section 9.2) from bytes in any division. Comments, event
/// types and retry times are skipped, for this API uses none.
#[derive(Debug, Default)]
struct EventParser {
    /// Bytes of the line that has not ended yet.
    line: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed right after it ends nothing.
    after_return: bool,
    event: Event,
    has_data: bool,
    ready: VecDeque<Event>,
}

impl EventParser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for &byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.end_line(&String::from_utf8_lossy(&line));
                }
                byte => self.line.push(byte),
            }
            if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return Err("it is longer than any event may be");
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    fn end_line(&mut self, line: &str) {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) || event.id.is_some() {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = EventParser::default();
        for piece in pieces {
            parser.push(piece).expect("short enough");
        }
        std::iter::from_fn(|| parser.next()).collect()
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_divided() {
        let text = b": hello\n\nid: s-7\ndata: {\"a\":\ndata: 1}\n\nretry: 5\r\ndata:x\r\n\r\nid: s-8\r\rdata: unfinished";
        let whole = events(&[text]);
        assert_eq!(
            whole,
            [
                Event { id: Some("s-7".into()), data: "{\"a\":\n1}".into() },
                Event { id: None, data: "x".into() },
                Event { id: Some("s-8".into()), data: String::new() },
            ]
        );
        for cut in 0..text.len() {
            assert_eq!(events(&[&text[..cut], &text[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = EventParser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX];
        assert_eq!(parser.push(&piece), Ok(()));
        assert!(parser.push(b"x").is_err());
    }
}
