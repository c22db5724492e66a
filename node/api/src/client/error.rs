//! What can go wrong between a client and a node.

use crate::{ExitCode, NodeAddress, Problem};

/// One address that did not answer, and why.
#[derive(Debug)]
pub struct Attempt {
    /// What was tried.
    pub address: NodeAddress,
    /// What the operating system said.
    pub error: std::io::Error,
}

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node answers at any address tried; nothing was sent.
    #[error("no node answers: {}", said(.0))]
    Unreachable(Vec<Attempt>),
    /// The connection broke before the answer was whole; a write may or may not have happened.
    #[error("the connection to {address} broke; a write may or may not have happened")]
    Lost {
        /// The node.
        address: NodeAddress,
        /// What the connection said.
        source: hyper::Error,
    },
    /// No whole answer within the client's time limit; a write may or may not have happened.
    #[error("no answer from {address} within {seconds} s; a write may or may not have happened")]
    TimedOut {
        /// The node.
        address: NodeAddress,
        /// The limit.
        seconds: u64,
    },
    /// The node refused and said why.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// Something answers that does not speak this API.
    #[error("{address} answered with status {status} and {what}")]
    NotUnderstood {
        /// Who answered.
        address: NodeAddress,
        /// The HTTP status.
        status: u16,
        /// What was wrong with the answer.
        what: String,
    },
    /// The request itself cannot be put on the wire, such as an id with a line break in it.
    #[error("the request cannot be sent: {0}")]
    BadRequest(String),
}

impl ClientError {
    /// How a command that meets this ends.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unreachable(_) | Self::Lost { .. } | Self::TimedOut { .. } => ExitCode::Unreachable,
            Self::Refused(problem) => problem.exit_code(),
            Self::NotUnderstood { .. } => ExitCode::Failed,
            Self::BadRequest(_) => ExitCode::Usage,
        }
    }

    /// The node's problem document, where the node refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

fn said(attempts: &[Attempt]) -> String {
    let each: Vec<_> =
        attempts.iter().map(|attempt| format!("{} ({})", attempt.address, attempt.error)).collect();
    if each.is_empty() {
        "there was no address to try".to_owned()
    } else {
        format!("tried {}", each.join(", "))
    }
}
