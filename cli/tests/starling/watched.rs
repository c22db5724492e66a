//! A real node of which every refusal is held to account: what the client is told, the one line in the
//! log, and the figure that moved.
//!
//! Leaves out: nodes that do not start, which serve no figures.

use std::io::{Read, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use starling_api::address::SOCKET_FILE;
use starling_api::{Client, Code, NodeAddress};

use crate::support::{Node, Ran};

/// An answer that takes longer never comes.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// A node that logs everything, as JSON.
pub struct Watched(Node);

impl Deref for Watched {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Watched {
    #[track_caller]
    pub fn start(directory: &Path, more: &[&str]) -> Self {
        let logging = ["--log-level", "debug", "--log-format", "json"];
        Self(Node::start(directory, &[&logging[..], more].concat()))
    }

    /// Runs a command whose request the node must refuse with this code, and gives what it printed.
    #[track_caller]
    pub fn refuses(&self, args: &[&str], code: Code) -> Ran {
        let what = format!("{:.200}", format!("{args:?}"));
        let args: Vec<_> = ["--output", "json"].iter().chain(args).copied().collect();
        let ran = self.refused(&what, code, || self.run(&args));
        assert_eq!(ran.code, Some(i32::from(code.exit_code().number())), "{what}: {}", ran.stderr);
        let failure = ran.failure();
        assert_eq!(failure["code"], code.name(), "{what}: {failure}");
        assert!(failure["what"].as_str().is_some_and(|what| !what.is_empty()), "{what}: {failure}");
        ran
    }

    /// Sends a request that no command would send, which the node must refuse with this code.
    #[track_caller]
    pub fn refuses_request(&self, line: &str, header: &str, body: &[u8], code: Code) {
        let (status, problem) = self.refused(line, code, || self.send(line, header, body));
        assert_eq!(status, code.status(), "{line}: {problem}");
        assert_eq!(problem["status"], code.status(), "{line}: {problem}");
        assert_eq!(problem["code"], code.name(), "{line}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{line}: {problem}");
    }

    /// Asserts that the node logs one refusal, with this code, and counts it while `ask` runs.
    #[track_caller]
    fn refused<T>(&self, what: &str, code: Code, ask: impl FnOnce() -> T) -> T {
        let (before, logged) = (self.requests_with(code.status()), self.log().len());
        let told = ask();
        let log = self.log();
        let lines = log[logged..].lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let refusals: Vec<_> = lines.filter(|line| line["event"] == "request_refused").collect();
        assert_eq!(refusals.len(), 1, "{what}: {}", &log[logged..]);
        assert_eq!(refusals[0]["code"], code.name(), "{what}: {}", refusals[0]);
        assert_eq!(refusals[0]["status"], code.status(), "{what}: {}", refusals[0]);
        assert_eq!(self.requests_with(code.status()), before + 1, "{what}: the figure of {}", code.status());
        told
    }

    /// How many requests were answered with a status, over all routes.
    fn requests_with(&self, status: u16) -> u64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = Client::new(NodeAddress::Unix(self.directory.join(SOCKET_FILE)));
        let figures = runtime.block_on(client.metrics()).expect("the node serves its figures");
        let label = format!("status=\"{status}\"");
        figures
            .lines()
            .filter(|line| line.starts_with("starling_http_requests_total{") && line.contains(&label))
            .map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count"))
            .sum()
    }

    /// The status and the JSON body of the answer to one request, as written.
    fn send(&self, line: &str, header: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = UnixStream::connect(self.directory.join(SOCKET_FILE)).expect("the node listens");
        stream.set_read_timeout(Some(ANSWER_TIME_MAX)).expect("a timeout");
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).expect("the node reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the node answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }
}
