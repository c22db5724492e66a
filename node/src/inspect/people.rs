//! Who is behind a change.

use std::collections::BTreeMap;

use starling_api::{Code, Problem, past::Writer};
use starling_crdt::{
    document::PastChange,
    id::{AuthorKey, ChangeHash},
};

use super::{Inspected, Inspector, moment, problem};

/// Fewest hex digits that stand for a whole key.
const PREFIX_DIGITS_MIN: usize = 4;

impl Inspector<'_> {
    /// The key that a name, a key or a unique beginning of a key stands for.
    pub(super) fn author(&self, text: &str) -> Inspected<AuthorKey> {
        if let Ok(key) = text.parse::<AuthorKey>() {
            return Ok(key);
        }
        let named: Vec<_> = self.names.iter().filter(|(_, name)| *name == text).collect();
        let digits = text.to_ascii_lowercase();
        let found = if named.is_empty() && digits.len() >= PREFIX_DIGITS_MIN {
            self.names.iter().filter(|(key, _)| key.to_string().starts_with(&digits)).collect()
        } else {
            named
        };
        match found.as_slice() {
            [(key, _)] => Ok(**key),
            [] => Err(Box::new(
                Problem::new(Code::UnknownPeer, format!("no member answers to {text:?}"))
                    .with_hint("`starling members` lists them; the key of one who left is given whole"),
            )),
            several => Err(Box::new(
                Problem::new(Code::AmbiguousPeer, format!("{} members answer to {text:?}", several.len()))
                    .with_candidates(several.iter().map(|(key, name)| format!("{name} {key}")).collect()),
            )),
        }
    }

    pub(super) fn writer(&self, change: &PastChange, author: AuthorKey) -> Writer {
        Writer {
            change: change.hash.to_string(),
            author: author.to_string(),
            author_name: self.names.get(&author).cloned(),
            actor: change.actor.to_string(),
            claimed_time: moment::rfc3339(change.time_seconds),
        }
    }
}

/// Who wrote each of some changes.
pub(super) struct Writers(pub(super) BTreeMap<ChangeHash, Writer>);

impl Writers {
    pub(super) fn of(&self, change: &ChangeHash) -> Inspected<Writer> {
        let found = self.0.get(change).cloned();
        found.ok_or_else(|| problem(Code::Internal, format!("change {change} is not in the document")))
    }
}
