//! Errors as the API says them: RFC 9457 problem documents with a stable code and a hint.
//!
//! A code never changes its meaning, its status or its exit code. A client meets codes newer than
//! itself as [`Code::Unrecognised`] and then goes by the status.

use serde::{Deserialize, Serialize};

use crate::ExitCode;

/// The media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Makes [`Code`] and everything that must stay in step with it from one table.
macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, $status:literal, $exit:ident, $title:literal; )+) => {
        /// Why a request was refused, as a stable word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $( $(#[doc = $doc])+ $variant, )+
            /// A code this build does not know, from a newer node: go by the status.
            Unrecognised,
        }

        impl Code {
            /// Every code a node of this version answers with.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The word in the problem's `code` member.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ Self::Unrecognised => "unrecognised" }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $( Self::$variant => $status, )+ Self::Unrecognised => 500 }
            }

            /// The exit code of a command that meets it.
            #[must_use]
            pub const fn exit_code(self) -> ExitCode {
                match self { $( Self::$variant => ExitCode::$exit, )+ Self::Unrecognised => ExitCode::Failed }
            }

            /// What it means in a few words, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $( Self::$variant => $title, )+ Self::Unrecognised => "unrecognised problem" }
            }

            /// The code of that name; [`Code::Unrecognised`] where there is none.
            #[must_use]
            pub fn of_name(name: &str) -> Self {
                match name { $( $name => Self::$variant, )+ _ => Self::Unrecognised }
            }
        }
    };
}

codes! {
    /// The request cannot be understood: a missing or malformed parameter or header.
    BadRequest = "bad-request", 400, Usage, "malformed request";
    /// The body is not JSON.
    BadJson = "bad-json", 400, Usage, "body is not valid JSON";
    /// The document name breaks the rules for names.
    BadDocumentName = "bad-document-name", 400, Usage, "not a document name";
    /// The space name breaks the rules for names.
    BadSpaceName = "bad-space-name", 400, Usage, "not a space name";
    /// The pointer is not an RFC 6901 pointer, or cannot lead where it was used.
    BadPointer = "bad-pointer", 400, Usage, "not a usable pointer";
    /// The root of a document must be an object.
    RootNotObject = "root-not-object", 400, Usage, "a document's root must be an object";
    /// A value this store cannot hold: an integer out of range, a malformed special form, a duplicate member.
    BadValue = "bad-value", 400, Usage, "value cannot be stored";
    /// A document nests deeper than the protocol allows.
    DocumentTooDeep = "document-too-deep", 400, Usage, "document nests too deep";
    /// Heads that are not comma separated hashes in hex.
    BadHeads = "bad-heads", 400, Usage, "not heads";
    /// More than one change of the document begins with the digits given.
    AmbiguousHeads = "ambiguous-heads", 400, Usage, "more than one change matches";
    /// A time that is not RFC 3339.
    BadTime = "bad-time", 400, Usage, "not a time";
    /// A position that is not one.
    BadPosition = "bad-position", 400, Usage, "not a position";
    /// The operation does not fit the value it was aimed at, such as an increment of a string.
    BadOperation = "bad-operation", 400, Usage, "operation does not fit the value";
    /// The body is not a JSON Patch.
    BadPatch = "bad-patch", 400, Usage, "not a JSON Patch";
    /// More than one space answers to the name or id prefix.
    AmbiguousSpace = "ambiguous-space", 400, Usage, "more than one space matches";
    /// More than one peer or member answers to the name or prefix.
    AmbiguousPeer = "ambiguous-peer", 400, Usage, "more than one peer matches";
    /// The ticket cannot be read.
    BadTicket = "bad-ticket", 400, Usage, "not a ticket";
    /// The address cannot be read.
    BadAddress = "bad-address", 400, Usage, "not an address";
    /// The key of an earlier write was sent again with another request.
    RequestIdReused = "request-id-reused", 400, Usage, "request id belongs to another request";
    /// The document has used up its operation counters: it can be read, never written again.
    DocumentExhausted = "document-exhausted", 400, Usage, "document is exhausted";
    /// The charter already holds what was asked for, or forbids it for ever.
    WithoutEffect = "without-effect", 400, Usage, "would have no effect";
    /// The charter gives this key no such right.
    NotAllowed = "not-allowed", 403, NotAllowed, "not allowed";
    /// A web page of another origin asked.
    ForeignOrigin = "foreign-origin", 403, NotAllowed, "request comes from a web page";
    /// The Host header names something other than this machine's loopback.
    ForeignHost = "foreign-host", 403, NotAllowed, "host is not loopback";
    /// The space refused the join: the invite is closed, expired or used up.
    JoinRefused = "join-refused", 403, NotAllowed, "join refused";
    /// No route answers to this path.
    UnknownRoute = "unknown-route", 404, NotFound, "no such route";
    /// No space answers to the name or id prefix.
    UnknownSpace = "unknown-space", 404, NotFound, "no such space";
    /// The document does not exist here, or is deleted.
    UnknownDocument = "unknown-document", 404, NotFound, "no such document";
    /// The document has nothing at that pointer.
    UnknownPointer = "unknown-pointer", 404, NotFound, "nothing at that pointer";
    /// A change named in heads is not held here.
    UnknownHeads = "unknown-heads", 404, NotFound, "heads not held here";
    /// No peer answers to the name, key or prefix.
    UnknownPeer = "unknown-peer", 404, NotFound, "no such peer";
    /// The route exists, but not for this method.
    MethodNotAllowed = "method-not-allowed", 405, Usage, "method not allowed here";
    /// The request did not arrive in time.
    RequestTimeout = "request-timeout", 408, TryLater, "request did not arrive in time";
    /// A position of another store, of another node or from before a restore.
    PositionOfAnotherStore = "position-of-another-store", 410, NotFound, "position of another store";
    /// If-Match, If-None-Match or if_heads did not hold; nothing was written.
    PreconditionFailed = "precondition-failed", 412, Precondition, "precondition failed";
    /// The patch tests for a value that is not there; nothing was written.
    PatchTestFailed = "patch-test-failed", 412, Precondition, "a test of the patch failed";
    /// No other node is known to hold what would be removed here.
    OnlyCopy = "only-copy", 412, Precondition, "this node may hold the only copy";
    /// The body is longer than a request may be.
    BodyTooLarge = "body-too-large", 413, Usage, "body too large";
    /// The write would be one change above the protocol's limit.
    ChangeTooLarge = "change-too-large", 413, Usage, "change too large";
    /// The body is of a media type that the route does not take.
    UnsupportedMediaType = "unsupported-media-type", 415, Usage, "media type not taken here";
    /// The node is busy; the answer carries Retry-After.
    Busy = "busy", 503, TryLater, "busy";
    /// As many watchers as the node serves are connected.
    TooManyWatchers = "too-many-watchers", 503, TryLater, "too many watchers";
    /// The node is shutting down.
    Stopping = "stopping", 503, TryLater, "node is stopping";
    /// A bound on what this node keeps is reached.
    LimitReached = "limit-reached", 507, TryLater, "a limit of this node is reached";
    /// The disk is full; reads go on.
    StorageFull = "storage-full", 507, TryLater, "storage is full";
    /// The space holds as much as this node keeps of one; reads go on.
    SpaceFull = "space-full", 507, TryLater, "space is full";
    /// The store failed; the write is not durable.
    StoreFailed = "store-failed", 500, Failed, "store failed";
    /// A defect of this program.
    Internal = "internal", 500, Failed, "internal error";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::of_name(&name))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong with one request, for a program (`code`) and for a person (`detail`, `hint`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URI that names the kind of problem; absent means `about:blank`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// What the code means, the same for every occurrence.
    pub title: String,
    /// The HTTP status, repeated so that a stored problem is whole.
    pub status: u16,
    /// What happened this time, and why.
    pub detail: String,
    /// The stable word for programs.
    pub code: Code,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The names that would all match, for the codes that say `ambiguous`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub candidates: Vec<String>,
}

impl Problem {
    /// A problem of that code, with what happened this time.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: None,
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            hint: None,
            candidates: Vec::new(),
        }
    }

    /// The same problem with advice on what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with the names that would all match.
    #[must_use]
    pub fn with_candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// How a command that meets this problem ends.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self.code {
            Code::Unrecognised => ExitCode::of_status(self.status),
            code => code.exit_code(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_finds_itself_by_it() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::of_name(code.name()), *code);
            assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn status_and_exit_code_agree_with_the_documented_table() {
        let table = [
            (400, ExitCode::Usage),
            (403, ExitCode::NotAllowed),
            (404, ExitCode::NotFound),
            (405, ExitCode::Usage),
            (408, ExitCode::TryLater),
            (410, ExitCode::NotFound),
            (412, ExitCode::Precondition),
            (413, ExitCode::Usage),
            (415, ExitCode::Usage),
            (500, ExitCode::Failed),
            (503, ExitCode::TryLater),
            (507, ExitCode::TryLater),
        ];
        for code in Code::ALL {
            let row = table.iter().find(|(status, _)| *status == code.status());
            assert_eq!(row.map(|(_, exit)| *exit), Some(code.exit_code()), "{code}");
            assert_eq!(ExitCode::of_status(code.status()), code.exit_code(), "{code}");
        }
    }

    #[test]
    fn a_code_of_a_newer_node_is_judged_by_its_status() {
        let problem: Problem =
            serde_json::from_str(r#"{"title":"t","status":412,"detail":"d","code":"made-next-year"}"#)
                .expect("a problem");
        assert_eq!(problem.code, Code::Unrecognised);
        assert_eq!(problem.exit_code(), ExitCode::Precondition);
    }

    #[test]
    fn a_problem_says_only_what_it_has() {
        let problem = Problem::new(Code::UnknownSpace, "no space matches \"x\"");
        let json = serde_json::to_value(&problem).expect("json");
        assert_eq!(
            json,
            serde_json::json!({"title": "no such space", "status": 404,
                "detail": "no space matches \"x\"", "code": "unknown-space"})
        );
        let hinted = problem.with_hint("run `starling space list`").with_candidates(vec!["a".into()]);
        let json = serde_json::to_string(&hinted).expect("json");
        assert_eq!(serde_json::from_str::<Problem>(&json).expect("round trip"), hinted);
    }
}
