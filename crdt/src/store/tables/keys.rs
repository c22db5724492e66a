//! Keys of the tables, made and taken apart.

use minicbor::{Decode, Encode};

use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, StatementId};

/// Number of a space within one store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct SpaceIndex(#[n(0)] pub u32);

impl SpaceIndex {
    pub(super) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(4 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.extend_from_slice(&self.0.to_be_bytes());
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    /// Key of a document's row in `Table::Documents`; of all documents with a name prefix, if cut short.
    pub fn document(self, name: &str) -> Vec<u8> {
        self.key(&[name.as_bytes()])
    }

    /// Start of the keys of one document's rows in `Table::Deltas`, `Table::Frontiers` and `Table::Quarantine`.
    /// The zero byte ends the name, which cannot hold one.
    pub fn document_rows(self, name: &DocumentName) -> Vec<u8> {
        self.key(&[name.as_str().as_bytes(), &[0]])
    }

    /// Key in `Table::Frontiers`; start of the actor's keys in `Table::Deltas`.
    pub fn actor_rows(self, name: &DocumentName, actor: Actor) -> Vec<u8> {
        self.key(&[name.as_str().as_bytes(), &[0], &actor.0])
    }

    /// Key in `Table::Deltas`, and in `Table::Forks`. The number stands behind its length in bytes, without
    /// zero bytes before it: so short ones are short, and all sort as numbers.
    pub fn delta(self, name: &DocumentName, actor: Actor, first_seq: u64) -> Vec<u8> {
        let zeros = first_seq.leading_zeros() / u8::BITS;
        let number = &first_seq.to_be_bytes()[zeros as usize..];
        self.key(&[name.as_str().as_bytes(), &[0], &actor.0, &[number.len() as u8], number])
    }

    /// Key in `Table::Quarantine`.
    pub fn quarantined(self, name: &DocumentName, hash: ChangeHash) -> Vec<u8> {
        self.key(&[name.as_str().as_bytes(), &[0], &hash.0])
    }

    /// Key in `Table::Statements`.
    pub fn statement(self, id: StatementId) -> Vec<u8> {
        self.key(&[&id.0])
    }

    /// Key in `Table::Incarnations`.
    pub fn incarnation(self, actor: Actor) -> Vec<u8> {
        self.key(&[&actor.0])
    }

    /// Key in `Table::Sightings`.
    pub fn sighting(self, member: AuthorKey) -> Vec<u8> {
        self.key(&[&member.0])
    }

    /// Key in `Table::Changed`.
    pub fn changed(self, commit: u64, name: &DocumentName) -> Vec<u8> {
        self.key(&[&commit.to_be_bytes(), name.as_str().as_bytes()])
    }

    /// Where the keys in `Table::Changed` of this commit begin.
    pub fn changed_from(self, commit: u64) -> Vec<u8> {
        self.key(&[&commit.to_be_bytes()])
    }

    /// Start of every key of this space.
    pub fn all(self) -> Vec<u8> {
        self.key(&[])
    }
}

/// Splits a key of `Table::Frontiers` into its document and actor.
pub fn frontier_key(key: &[u8]) -> Option<(DocumentName, Actor)> {
    let (name, actor) = key.get(4..)?.split_last_chunk::<16>()?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    Some((DocumentName::new(name).ok()?, Actor(*actor)))
}

/// Parts a key that holds a document's name before a zero byte into that name and what follows the byte.
pub fn named_key(key: &[u8]) -> Option<(&str, &[u8])> {
    let key = key.get(4..)?;
    // A name holds no zero byte, so the first one ends it.
    let end = key.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&key[..end]).ok()?, &key[end + 1..]))
}

/// Actor and first sequence number of a key of `Table::Deltas`.
pub fn delta_key(key: &[u8]) -> Option<(Actor, u64)> {
    let (_, rest) = named_key(key)?;
    let (actor, number) = rest.split_first_chunk::<16>()?;
    let (length, number) = number.split_first()?;
    let is_short = number.len() == usize::from(*length) && number.first() != Some(&0);
    let mut bytes = [0; 8];
    let place = bytes.len().checked_sub(number.len()).filter(|_| is_short)?;
    bytes[place..].copy_from_slice(number);
    Some((Actor(*actor), u64::from_be_bytes(bytes)))
}

/// Splits a key of `Table::Changed` into its commit and document.
pub fn changed_key(key: &[u8]) -> Option<(u64, DocumentName)> {
    let (commit, name) = key.get(4..)?.split_first_chunk::<8>()?;
    let name = DocumentName::new(std::str::from_utf8(name).ok()?).ok()?;
    Some((u64::from_be_bytes(*commit), name))
}
