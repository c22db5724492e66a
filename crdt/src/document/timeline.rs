//! A document's changes in causal order, and earlier states of it by hash or by claimed time.
//!
//! Promises: order and selection follow from the set of changes alone, so every node that has the same
//! changes answers alike. Times are what authors claim: they select, they never order. Leaves out the
//! bytes and signatures of changes, which the store has.

pub use super::index::PastChange;

use super::Document;
use super::read::ReadError;
use crate::id::{Actor, ChangeHash};

/// Fewest hex digits that stand for a whole hash.
const PREFIX_DIGITS_MIN: usize = 4;
/// Most candidates named for an ambiguous prefix.
const CANDIDATES_MAX: usize = 8;

/// Why a text names no heads of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadsFault {
    /// It is no hash in hex, and no beginning of one.
    #[error("{0:?} is no change: write at least {PREFIX_DIGITS_MIN} hex digits of its hash")]
    NotAHash(String),
    /// No change begins with it.
    #[error("the document has no change {0}")]
    Unknown(String),
    /// Several changes begin with it.
    #[error("several changes of the document begin with {digits}")]
    Ambiguous {
        /// What was asked for.
        digits: String,
        /// Some of them.
        candidates: Vec<ChangeHash>,
    },
}

impl Document {
    /// The changes that these texts stand for: hashes in hex, or unique beginnings of at least four
    /// digits. Sorted and distinct.
    ///
    /// # Errors
    /// [`HeadsFault`] of the first text that stands for none or for several.
    pub fn heads_named<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<ChangeHash>, HeadsFault> {
        let mut heads =
            texts.into_iter().map(|text| self.change_named(text)).collect::<Result<Vec<_>, _>>()?;
        heads.sort_unstable();
        heads.dedup();
        Ok(heads)
    }

    fn change_named(&self, text: &str) -> Result<ChangeHash, HeadsFault> {
        let digits = text.to_ascii_lowercase();
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hex || !(PREFIX_DIGITS_MIN..=2 * ChangeHash::LEN).contains(&digits.len()) {
            return Err(HeadsFault::NotAHash(text.chars().take(2 * ChangeHash::LEN).collect()));
        }
        let candidates = self.index.with_prefix(&digits, CANDIDATES_MAX);
        match candidates.as_slice() {
            [hash] => Ok(*hash),
            [] => Err(HeadsFault::Unknown(digits)),
            _ => Err(HeadsFault::Ambiguous { digits, candidates }),
        }
    }

    /// Heads of the document as of a time, by the claims of its authors: of the largest part of its
    /// history in which every change claims a time up to this one. Empty when no change does.
    pub fn heads_up_to(&self, time_seconds: i64) -> Vec<ChangeHash> {
        self.index.heads_up_to(time_seconds)
    }

    /// The earliest time that any change claims, in seconds since 1970.
    pub fn earliest_claim(&self) -> Option<i64> {
        self.index.earliest_claim()
    }

    /// Every actor that changed the document.
    pub fn actors(&self) -> impl Iterator<Item = Actor> + '_ {
        self.index.all_actors()
    }

    /// One change of the document.
    pub fn change(&self, hash: &ChangeHash) -> Option<PastChange> {
        self.index.past_change(hash)
    }

    /// The changes of the document, or those in and below the heads `at`: newest first, so that each
    /// comes before everything it rests on. Changes that do not rest on each other are ordered by how
    /// much they rest on, then by hash.
    ///
    /// # Errors
    /// [`ReadError::UnknownHead`].
    pub fn timeline(&self, at: Option<&[ChangeHash]>) -> Result<Vec<PastChange>, ReadError> {
        if let Some(heads) = at {
            self.known_heads(heads)?;
        }
        let mut changes = self.index.past_changes(at);
        changes.sort_unstable_by_key(|change| std::cmp::Reverse((change.step, change.hash)));
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Commit, Edit, Json};

    fn set(document: &mut Document, actor: u8, time: i64, key: &str) -> (ChangeHash, Vec<u8>) {
        let commit = Commit { actor: Actor([actor; 16]), time_seconds: time, message: None };
        let pointer = [key.to_owned()].into_iter().collect();
        let edit = Edit::Set { pointer, value: Json::Integer(time) };
        let change = document.edit(commit, &edit).expect("fits").changes.remove(0);
        (change.chunk.hash, change.bytes)
    }

    /// Two changes by actor 1 at 10 and 30; beside the second one by actor 2, whose clock is behind.
    fn branched() -> (Document, [ChangeHash; 3]) {
        let mut here = Document::new();
        let (first, bytes) = set(&mut here, 1, 10, "a");
        let mut there = Document::new();
        assert!(there.apply(&[&bytes]).is_empty());
        let (second, _) = set(&mut here, 1, 30, "b");
        let (third, bytes) = set(&mut there, 2, 5, "c");
        assert!(here.apply(&[&bytes]).is_empty());
        (here, [first, second, third])
    }

    #[test]
    fn each_change_comes_before_what_it_rests_on() {
        let (mut document, [first, second, third]) = branched();
        let (last, _) = set(&mut document, 2, 7, "d");
        let order: Vec<_> =
            document.timeline(None).expect("sound").into_iter().map(|change| change.hash).collect();
        let middle = if second > third { [second, third] } else { [third, second] };
        assert_eq!(order, [last, middle[0], middle[1], first]);
        let below = document.timeline(Some(&[third])).expect("known");
        assert_eq!(below.iter().map(|change| change.step).collect::<Vec<_>>(), [2, 1]);
        assert!(document.timeline(Some(&[ChangeHash([9; 32])])).is_err());
    }

    #[test]
    fn a_state_by_time_holds_only_what_rests_on_earlier_claims() {
        let (document, [first, second, third]) = branched();
        let mut both = vec![second, third];
        both.sort_unstable();
        assert_eq!(document.heads_up_to(9), [], "the late clock rests on a change that claims 10");
        assert_eq!(document.heads_up_to(10), [third]);
        assert_eq!(document.heads_up_to(30), both);
        assert_eq!(document.earliest_claim(), Some(5));
        assert!(document.contains(&first));
    }

    #[test]
    fn unique_beginnings_stand_for_a_hash() {
        let (document, [first, second, _]) = branched();
        let whole = first.to_string();
        assert_eq!(document.heads_named([&whole[..8]]), Ok(vec![first]));
        assert_eq!(document.heads_named([whole.to_uppercase().as_str(), &whole[..10]]), Ok(vec![first]));
        let mut two = vec![first, second];
        two.sort_unstable();
        assert_eq!(document.heads_named([whole.as_str(), &second.to_string()[..12]]), Ok(two));
        for text in ["abc", "xyz12345", "", &format!("{whole}0")] {
            let named = document.heads_named([text]);
            assert!(matches!(named, Err(HeadsFault::NotAHash(_))), "{text}: {named:?}");
        }
        let mut absent = whole.clone();
        absent.replace_range(..8, if whole.starts_with("00000000") { "11111111" } else { "00000000" });
        assert_eq!(document.heads_named([absent.as_str()]), Err(HeadsFault::Unknown(absent.clone())));
    }

    #[test]
    fn an_ambiguous_beginning_names_its_candidates() {
        let mut document = Document::new();
        // Of 2,000 hashes some share their first four digits.
        let hashes: Vec<_> = (0..2_000).map(|n| set(&mut document, 1, n, "n").0.to_string()).collect();
        let mut digits: Vec<_> = hashes.iter().map(|hash| &hash[..4]).collect();
        digits.sort_unstable();
        let twice = digits.windows(2).find(|pair| pair[0] == pair[1]).expect("a shared beginning")[0];
        let Err(HeadsFault::Ambiguous { digits, candidates }) = document.heads_named([twice]) else {
            panic!("{twice} is not ambiguous");
        };
        assert_eq!(digits, twice);
        assert!(candidates.len() >= 2 && candidates.len() <= CANDIDATES_MAX);
        assert!(candidates.iter().all(|hash| hash.to_string().starts_with(twice)));
    }
}
