//! What a person or a script is told when a command does not succeed.
//!
//! Promises: every failure says what happened, why, and what to do next where something can be done,
//! and carries the exit code; a reader that closed the pipe ends the command quietly. Leaves out: logs,
//! which only `up` writes.

use std::error::Error;
use std::io::{self, Write};

use serde::Serialize;
use starling_api::client::ClientError;
use starling_api::{ExitCode as Exit, Problem};

use crate::escape;
use crate::output::Format;

/// A command that did not do what was asked.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    exit: Exit,
    code: String,
    #[serde(rename = "exit")]
    exit_code: u8,
    what: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    why: Vec<String>,
    #[serde(rename = "next", skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip)]
    quiet: bool,
}

/// How a command ends: with a code, or with a failure to report.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with its stable code (as in the HTTP API's problems) and what happened.
    pub(crate) fn new(exit: Exit, code: &str, what: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.to_owned(),
            exit_code: exit.number(),
            what: what.into(),
            why: Vec::new(),
            advice: None,
            quiet: false,
        }
    }

    /// Wrong usage or bad input.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "bad-usage", what)
    }

    /// A plain failure of this process.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", what)
    }

    /// A failure that was reported already, line by line: only its code is left to give.
    pub(crate) fn reported(exit: Exit) -> Self {
        Self { quiet: true, ..Self::new(exit, "reported", "") }
    }

    /// Adds one reason.
    pub(crate) fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// Adds an error and everything that caused it, one reason each.
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            if self.why.last() != Some(&text) {
                self.why.push(text);
            }
            cause = error.source();
        }
        self
    }

    /// Says what to do next.
    pub(crate) fn next(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What happened and why, in one line.
    pub(crate) fn told(&self) -> String {
        [std::slice::from_ref(&self.what), &self.why].concat().join(": ")
    }

    /// The code the process ends with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes the report: three kinds of line for people, one object for programs.
    pub(crate) fn write(&self, to: &mut impl Write, format: Format, colour: bool) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        if format == Format::Json {
            let text = serde_json::to_string(&serde_json::json!({ "error": self })).unwrap_or_default();
            return writeln!(to, "{text}");
        }
        let (red, plain) = if colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        writeln!(to, "{red}error:{plain} {}", escape::one_line(&self.what))?;
        for why in &self.why {
            writeln!(to, "  why: {}", escape::one_line(why))?;
        }
        match &self.advice {
            Some(advice) => writeln!(to, "  next: {}", escape::one_line(advice)),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::reported(Exit::Done);
        }
        Self::failed("cannot write the output").caused_by(&error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = error.exit_code();
        match error {
            ClientError::Refused(problem) => Self::from(*problem),
            ClientError::Unreachable(attempts) => {
                let start = Self::new(exit, "unreachable", "no node answers");
                attempts
                    .iter()
                    .fold(start, |failure, attempt| {
                        failure.because(format!("{}: {}", attempt.address, attempt.error))
                    })
                    .next("start a node with `starling up`, or say where it is with --node or --data-dir")
            }
            ClientError::Lost { .. } | ClientError::TimedOut { .. } => {
                Self::new(exit, "connection-lost", "the node stopped answering")
                    .caused_by(&error)
                    .next("look with `starling status`; a write with --request-id is safe to repeat")
            }
            ClientError::NotUnderstood { .. } => {
                Self::new(exit, "not-understood", "what answers is no node of this version").caused_by(&error)
            }
            ClientError::BadRequest(_) => Self::usage("the request cannot be sent").caused_by(&error),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = problem.exit_code();
        let mut failure = Self::new(exit, problem.code.name(), problem.title).because(problem.detail);
        if !problem.candidates.is_empty() {
            failure = failure.because(format!("candidates: {}", problem.candidates.join(", ")));
        }
        failure.advice = problem.hint;
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use crate::output::Format;
    use starling_api::ExitCode as Exit;

    fn rendered(failure: &Failure, format: Format) -> String {
        let mut text = Vec::new();
        failure.write(&mut text, format, false).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn people_read_what_why_and_next() {
        let failure = Failure::new(Exit::NotFound, "unknown-document", "no document \u{1b}x")
            .because("nobody wrote it")
            .next("list what there is with `starling ls`");
        assert_eq!(
            rendered(&failure, Format::Table),
            "error: no document \\u{1b}x\n  why: nobody wrote it\n  next: list what there is with `starling ls`\n"
        );
    }

    #[test]
    fn programs_read_one_object_without_nulls() {
        let failure = Failure::usage("bad");
        assert_eq!(
            rendered(&failure, Format::Json),
            "{\"error\":{\"code\":\"bad-usage\",\"exit\":2,\"what\":\"bad\"}}\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_no_failure() {
        let failure = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit(), Exit::Done);
        assert_eq!(rendered(&failure, Format::Table), "");
    }
}
