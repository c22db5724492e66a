//! Changes of others into a document: validated one by one, applied in one batch.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change};
use sha2::{Digest, Sha256};

use super::{Document, bridge, validate};
use crate::chunk::ChangeChunk;
use crate::id::ChangeHash;

/// Bytes before the hashed part of a change chunk: magic and checksum.
const UNHASHED_BYTES: usize = 8;

/// A change that a document was built without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// The change.
    pub hash: ChangeHash,
    /// Why it is left out.
    pub reason: PoisonReason,
}

/// Why a change is not part of its document. Every reason but [`PoisonReason::Fork`] and
/// [`PoisonReason::Crash`] follows from the change and its causal past, so every node finds the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoisonReason {
    /// It stands on a change that is not part of the document.
    #[error("stands on change {0}, which is not part of the document")]
    Dependency(ChangeHash),
    /// The bytes are no change that this protocol admits.
    #[error("no change that this protocol admits")]
    Malformed,
    /// Its dependencies hold not exactly its actor's change before it.
    #[error("does not follow its actor's change before it")]
    Sequence,
    /// Its actor made another change with its sequence number. Which of the two came first decides
    /// here, so forks must be cut before a document is built.
    #[error("another change of its actor has its sequence number")]
    Fork,
    /// Its first operation counter is not one above the largest in its causal past.
    #[error("operation counters that do not follow its causal past")]
    StartOp,
    /// It writes into something that is no object in its causal past.
    #[error("writes into something that is no object in its causal past")]
    UnknownObject,
    /// It refers to something that is no element of the list or text in its causal past.
    #[error("refers to something that is no element in its causal past")]
    UnknownElement,
    /// A name used in a list or text, or an element used in a map.
    #[error("a key that does not fit the object")]
    KeyKind,
    /// A predecessor that is missing, repeated, or no earlier value at the same place in its
    /// causal past.
    #[error("predecessors that are not earlier values at the same place")]
    Predecessor,
    /// An increment of something that is no counter.
    #[error("increments something that is no counter")]
    NoCounter,
    /// A counter that starts, or an increment that moves one, farther than the limits allow.
    #[error("a counter or an increment out of range")]
    CounterRange,
    /// Something other than one character inserted into a text.
    #[error("something other than characters in a text")]
    NotText,
    /// A number that is infinite or none, which JSON cannot say.
    #[error("a number that is not finite")]
    NotFinite,
    /// A mark, a table, or a value of an unknown type.
    #[error("a mark, a table, or a value of an unknown type")]
    Unsupported,
    /// Nested deeper than a document may be.
    #[error("nested too deep")]
    TooDeep,
    /// Automerge failed on a change that the validator accepts: a defect of this program, found on
    /// this node alone, which then shows another document than others may.
    #[error("automerge fails on it, though it is valid: a defect of this program")]
    Crash,
}

impl PoisonReason {
    /// A short, stable name for the quarantine and for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dependency(_) => "poison-dependency",
            Self::Malformed => "poison-malformed",
            Self::Sequence => "poison-sequence",
            Self::Fork => "poison-fork",
            Self::StartOp => "poison-start-op",
            Self::UnknownObject => "poison-object",
            Self::UnknownElement => "poison-element",
            Self::KeyKind => "poison-key",
            Self::Predecessor => "poison-predecessor",
            Self::NoCounter => "poison-counter",
            Self::CounterRange => "poison-counter-range",
            Self::NotText => "poison-text",
            Self::NotFinite => "poison-number",
            Self::Unsupported => "poison-unsupported",
            Self::TooDeep => "poison-depth",
            Self::Crash => "poison-crash",
        }
    }

    /// Whether other nodes may judge otherwise, so that this one must be shown as diverged.
    pub fn diverges(&self) -> bool {
        matches!(self, Self::Crash)
    }
}

impl Document {
    /// Applies `changes`, given in causal order, in one batch. Changes already applied are skipped.
    /// Those that are refused, and those that stand on them, are left out and returned; all others
    /// are part of the document afterwards.
    ///
    /// The changes should have passed [`super::canonical`]: one that has not may be accepted with
    /// bytes that automerge would write differently. Whatever they are, nothing panics.
    ///
    /// Should automerge fail on a change that the validator accepts, which is a defect of this
    /// program, then a document without changes finds it and goes on without it. A document that
    /// already held some is damaged ([`Document::is_damaged`]), and finds it when it is built anew:
    /// a copy to go back to would cost more than applying. A damaged document takes no changes.
    pub fn apply(&mut self, changes: &[&[u8]]) -> Vec<Poison> {
        let mut poison = Vec::new();
        if self.damaged {
            return poison;
        }
        let was_empty = self.changes() == 0;
        let mut accepted = Vec::with_capacity(changes.len());
        for bytes in changes {
            match self.validate(bytes) {
                Ok(Some(change)) => accepted.push(change),
                Ok(None) => {}
                Err(refused) => poison.push(refused),
            }
        }
        if was_empty {
            self.apply_from_nothing(accepted, &mut poison, applied);
        } else if !accepted.is_empty() {
            let automerge = &mut self.automerge;
            let outcome = catch_unwind(AssertUnwindSafe(|| automerge.apply_changes(accepted)));
            self.damaged = !matches!(outcome, Ok(Ok(())));
        }
        poison
    }

    /// The change, with its operations in the index; none when it is known already.
    fn validate(&mut self, bytes: &[u8]) -> Result<Option<Change>, Poison> {
        let Ok(chunk) = ChangeChunk::parse(bytes) else {
            let hash = Sha256::digest(bytes.get(UNHASHED_BYTES..).unwrap_or_default());
            return Err(Poison { hash: ChangeHash(hash.into()), reason: PoisonReason::Malformed });
        };
        let hash = chunk.hash;
        if self.index.contains(&hash) {
            return Ok(None);
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let change = Change::try_from(bytes).ok()?;
            let expanded = change.decode();
            Some((change, expanded))
        }));
        let Ok(Some((change, expanded))) = decoded else {
            return Err(Poison { hash, reason: PoisonReason::Malformed });
        };
        match validate::admit(&mut self.index, hash, &expanded, bytes.len()) {
            Ok(()) => Ok(Some(change)),
            Err(reason) => Err(Poison { hash, reason }),
        }
    }

    /// Applies changes to a document that holds none. Should automerge fail, then halving finds the
    /// changes on which it does; they and all that stand on them are left out.
    fn apply_from_nothing(
        &mut self,
        changes: Vec<Change>,
        poison: &mut Vec<Poison>,
        applied: impl Fn(&Automerge, &[Change]) -> Option<Automerge>,
    ) {
        let mut dropped: BTreeSet<ChangeHash> = BTreeSet::new();
        // Halves still to apply, the earlier one on top.
        let mut waiting = vec![changes];
        while let Some(mut part) = waiting.pop() {
            part.retain(|change| {
                let mut dependencies = change.deps().iter().map(bridge::hash);
                let Some(culprit) = dependencies.find(|hash| dropped.contains(hash)) else {
                    return true;
                };
                let hash = bridge::hash(&change.hash());
                dropped.insert(hash);
                let reason = PoisonReason::Dependency(culprit);
                poison.push(Poison { hash, reason });
                false
            });
            if part.is_empty() {
                continue;
            }
            if let Some(automerge) = applied(&self.automerge, &part) {
                self.automerge = automerge;
            } else if part.len() == 1 {
                let hash = bridge::hash(&part[0].hash());
                let reason = PoisonReason::Crash;
                dropped.insert(hash);
                poison.push(Poison { hash, reason });
            } else {
                let later = part.split_off(part.len() / 2);
                waiting.push(later);
                waiting.push(part);
            }
        }
        if !dropped.is_empty() {
            self.rebuild_index();
        }
    }

    /// Builds the index anew from the changes automerge holds.
    pub(super) fn rebuild_index(&mut self) {
        self.index = super::Index::new();
        for change in self.automerge.get_changes(&[]) {
            let hash = bridge::hash(&change.hash());
            let admitted = validate::admit(&mut self.index, hash, &change.decode(), change.raw_bytes().len());
            // Each of them was admitted before, on the same past.
            self.damaged |= admitted.is_err();
        }
    }
}

/// The document with the changes, or none when automerge fails. Works on a copy, since a failure
/// can leave anything behind; copying shares what does not change.
fn applied(automerge: &Automerge, changes: &[Change]) -> Option<Automerge> {
    catch_unwind(AssertUnwindSafe(|| {
        let mut next = automerge.clone();
        next.apply_changes(changes.to_vec()).ok()?;
        Some(next)
    }))
    .ok()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Commit, Edit, EditError, Json, ReadError};
    use crate::id::Actor;

    fn history(document: &mut Document, actor: u8, members: &[&str]) -> Vec<Vec<u8>> {
        let commit = Commit { actor: Actor([actor; 16]), time_seconds: 0, message: None };
        let set = |key: &&str| {
            let pointer = [(*key).to_owned()].into_iter().collect();
            let edit = Edit::Set { pointer, value: Json::Bool(true) };
            document.edit(commit, &edit).expect("fits").changes.remove(0).bytes
        };
        members.iter().map(set).collect()
    }

    #[test]
    fn a_change_on_which_automerge_fails_is_left_out_with_what_stands_on_it() {
        let mut others = history(&mut Document::new(), 1, &["a", "b", "c", "d", "e"]);
        let bystander = history(&mut Document::new(), 2, &["x", "y"]);
        others.splice(2..2, bystander);
        let mut document = Document::new();
        let changes: Vec<Change> =
            others.iter().map(|bytes| document.validate(bytes).expect("sound").expect("new")).collect();
        // The change that sets `c`, wherever it comes.
        let failing = changes[4].hash();
        let mut poison = Vec::new();
        document.apply_from_nothing(changes, &mut poison, |automerge, part| {
            let fails = part.iter().any(|change| change.hash() == failing);
            if fails { None } else { applied(automerge, part) }
        });
        let reasons: Vec<_> = poison.iter().map(|poison| poison.reason.code()).collect();
        assert_eq!(reasons, ["poison-crash", "poison-dependency", "poison-dependency"]);
        let left = Json::parse(r#"{"a": true, "b": true, "x": true, "y": true}"#);
        assert_eq!(document.read(None, None).ok(), left.ok());
        assert_eq!(document.changes(), 4);
        assert_eq!(document.heads().len(), 2);
        assert!(!document.is_damaged());
        assert_eq!(history(&mut document, 3, &["z"]).len(), 1);
    }

    #[test]
    fn a_damaged_document_refuses_everything_until_it_is_built_anew() {
        let mut document = Document::new();
        let changes = history(&mut document, 1, &["a"]);
        document.damaged = true;
        assert_eq!(document.read(None, None), Err(ReadError::Damaged));
        assert!(document.apply(&[&changes[0]]).is_empty());
        let commit = Commit { actor: Actor([1; 16]), time_seconds: 0, message: None };
        assert_eq!(document.edit(commit, &Edit::Remove), Err(EditError::Damaged));
    }
}
