//! The event trace as people and programs read it: one JSON object a line for each event that the
//! trace hash covers, in order, each with the hash over everything up to and including it.
//!
//! So the last line's hash is the run's trace hash, and the first line in which two traces differ is
//! where their runs parted. Lines are written as things happen and held nowhere; past
//! [`LINES_MAX`] they are only counted.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::queue::Time;
use starling_crdt::connect::DialTarget;
use starling_crdt::id::AuthorKey;
use starling_crdt::replica::{Effect, Verdict};

/// Most lines of one run's trace: some two hundred megabytes, more than anyone reads. A trace that is
/// longer says at its end how many events it left out.
pub const LINES_MAX: u64 = 1_000_000;

/// Where the events of one run are written; handles share one sink.
#[derive(Clone)]
pub struct EventLog {
    sink: Arc<Mutex<Sink>>,
}

struct Sink {
    out: Box<dyn Write + Send>,
    nodes: Vec<String>,
    keys: BTreeMap<AuthorKey, String>,
    lines: u64,
    lines_max: u64,
    left_out: u64,
    error: Option<io::Error>,
}

/// What a trace had in the end.
#[derive(Debug)]
pub struct Written {
    /// Events written.
    pub lines: u64,
    /// Events that found no room.
    pub left_out: u64,
}

/// What one line says beside its time, node and hash.
pub(super) struct Line<'a> {
    event: String,
    about: Map<String, Value>,
    peer: Option<&'a AuthorKey>,
    place: Place,
}

/// What the number of an event's node stands for.
enum Place {
    /// A node.
    Node,
    /// A fault, by its place in the record.
    Fault,
    /// Nothing: it happened to the whole fleet.
    Fleet,
}

impl EventLog {
    /// A log that writes to `out`.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self::bounded(out, LINES_MAX)
    }

    fn bounded(out: Box<dyn Write + Send>, lines_max: u64) -> Self {
        let sink = Sink {
            out,
            nodes: Vec::new(),
            keys: BTreeMap::new(),
            lines: 0,
            lines_max,
            left_out: 0,
            error: None,
        };
        Self { sink: Arc::new(Mutex::new(sink)) }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        // A thread that panicked while it wrote left at worst half a line behind.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns the name of the next node, and whose key it has.
    pub(super) fn introduce(&self, key: AuthorKey, name: &str) {
        let mut sink = self.sink();
        sink.nodes.push(name.to_owned());
        sink.keys.entry(key).or_insert_with(|| name.to_owned());
    }

    pub(super) fn write(&self, at: Time, node: usize, line: Line<'_>, hash: &str) {
        self.sink().write(at, node, line, hash);
    }

    /// Writes out what is still held back.
    ///
    /// # Errors
    /// The first thing that went wrong while writing.
    pub fn finish(self) -> io::Result<Written> {
        let mut sink = self.sink();
        if let Some(error) = sink.error.take() {
            return Err(error);
        }
        sink.out.flush()?;
        Ok(Written { lines: sink.lines, left_out: sink.left_out })
    }
}

impl Sink {
    fn write(&mut self, at: Time, node: usize, line: Line<'_>, hash: &str) {
        if self.lines >= self.lines_max || self.error.is_some() {
            self.left_out += 1;
            return;
        }
        self.lines += 1;
        let mut members = line.about;
        if let Some(peer) = line.peer {
            let name = self.keys.get(peer).cloned().unwrap_or_else(|| peer.to_string());
            members.insert("peer".into(), name.into());
        }
        match line.place {
            Place::Node => {
                let name = self.nodes.get(node).cloned().unwrap_or_else(|| node.to_string());
                members.insert("node".into(), name.into());
            }
            Place::Fault => {
                members.insert("fault".into(), node.into());
            }
            Place::Fleet => {}
        }
        members.insert("at_us".into(), at.into());
        members.insert("event".into(), line.event.into());
        members.insert("hash".into(), hash.into());
        if let Err(error) = writeln!(self.out, "{}", Value::Object(members)) {
            self.error = Some(error);
        }
    }
}

impl<'a> Line<'a> {
    /// A line about something that whoever drives the world did; the words say what.
    pub(super) fn noted(words: &[u8]) -> Self {
        let event = String::from_utf8_lossy(words).replace(' ', "-");
        let place = match event.as_str() {
            "fault-begins" | "fault-ends" => Place::Fault,
            "cut" | "mend" => Place::Fleet,
            _ => Place::Node,
        };
        Self { event, about: Map::new(), peer: None, place }
    }

    /// A line about what a step did.
    pub(super) fn of(effect: &'a Effect) -> Self {
        let (event, about, peer) = match effect {
            Effect::Reply { ticket, reply } => {
                let event = if reply.is_ok() { "reply" } else { "refusal" };
                let refused = reply.as_ref().err().map(ToString::to_string);
                (event, json!({ "ticket": ticket.0, "why": refused }), None)
            }
            Effect::Subscribe(topic) => ("subscribe", json!({ "topic": topic.to_string() }), None),
            Effect::Unsubscribe(topic) => ("unsubscribe", json!({ "topic": topic.to_string() }), None),
            Effect::Publish { payload, .. } => ("publish", json!({ "bytes": payload.len() }), None),
            Effect::Verdict { token, verdict } => {
                let event = match verdict {
                    Verdict::Accept => "accept",
                    Verdict::Ignore => "ignore",
                    Verdict::Reject => "reject",
                };
                (event, json!({ "message": token.0 }), None)
            }
            Effect::Ask { peer, id, body } => {
                ("ask", json!({ "question": id, "bytes": body.len() }), Some(peer))
            }
            Effect::Answer { peer, id, body } => {
                ("answer", json!({ "question": id, "bytes": body.len() }), Some(peer))
            }
            Effect::Changed(change) => {
                let heads: Vec<String> = change.heads.iter().map(ToString::to_string).collect();
                ("changed", json!({ "document": change.document.as_str(), "heads": heads }), None)
            }
            Effect::Dial { target, peer, addresses } => {
                let first = addresses.first().map(|address| address.as_str().to_owned());
                let known = match target {
                    DialTarget::Peer(key) => Some(key),
                    DialTarget::Seed(_) => peer.as_ref(),
                };
                ("dial", json!({ "address": first }), known)
            }
            Effect::Disconnect { peer, reason } => ("disconnect", json!({ "why": reason }), Some(peer)),
            Effect::Block(peer) => ("block", json!({}), Some(peer)),
            Effect::Unblock(peer) => ("unblock", json!({}), Some(peer)),
            Effect::Offence { peer, code, .. } => ("offence", json!({ "code": code }), Some(peer)),
            Effect::MemberChanged { change, .. } => {
                ("member-changed", json!({ "state": change.to.name() }), Some(&change.author))
            }
            Effect::Count { .. } | Effect::Note(_) => ("note", json!({}), None),
        };
        let about = match about {
            Value::Object(members) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        };
        Self { event: event.to_owned(), about, peer, place: Place::Node }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::Trace;
    use super::*;

    /// A writer whose text can be read afterwards.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn lines(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let text = String::from_utf8(bytes).expect("a trace is text");
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
        }
    }

    fn traced(lines_max: u64) -> (Vec<Value>, Written, String) {
        let out = Shared::default();
        let log = EventLog::bounded(Box::new(out.clone()), lines_max);
        log.introduce(AuthorKey([1; 32]), "east-0");
        let mut trace = Trace::default();
        trace.log_to(log.clone());
        trace.note(5, 1, 0, b"start");
        trace.note(7, 1, 3, b"fault begins");
        trace.effects(9, 0, &[Effect::Block(AuthorKey([1; 32]))]);
        (out.lines(), log.finish().expect("memory takes all"), trace.hash())
    }

    #[test]
    fn the_chain_of_hashes_ends_in_the_trace_hash_and_reading_along_changes_nothing() {
        let (lines, written, hash) = traced(LINES_MAX);
        assert_eq!(lines[2]["hash"], json!(hash));
        assert_ne!(lines[1]["hash"], lines[2]["hash"]);
        assert_eq!((written.lines, written.left_out), (3, 0));
        let mut unread = Trace::default();
        unread.note(5, 1, 0, b"start");
        unread.note(7, 1, 3, b"fault begins");
        unread.effects(9, 0, &[Effect::Block(AuthorKey([1; 32]))]);
        assert_eq!(unread.hash(), hash);
    }

    #[test]
    fn lines_name_what_happened_where_and_with_whom() {
        let (lines, ..) = traced(LINES_MAX);
        assert_eq!((&lines[0]["event"], &lines[0]["node"]), (&json!("start"), &json!("east-0")));
        assert_eq!((&lines[1]["event"], &lines[1]["fault"]), (&json!("fault-begins"), &json!(3)));
        assert!(lines[1].get("node").is_none());
        assert_eq!((&lines[2]["event"], &lines[2]["peer"]), (&json!("block"), &json!("east-0")));
    }

    #[test]
    fn a_trace_that_is_too_long_says_what_it_left_out() {
        let (lines, written, _) = traced(2);
        assert_eq!((lines.len(), written.lines, written.left_out), (2, 2, 1));
    }
}
