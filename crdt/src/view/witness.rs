//! Changes as their authors signed them.
//!
//! Promises: a [`SignedChange`] is made only when a signature of its author covers it, checked for this
//! answer: that of its own delta, or that of the same actor's next change, which names it by hash.
//! Nothing is taken from an index. Leaves out whether the author may write: admission decided that.

use std::collections::BTreeMap;

use crate::chunk::ChangeChunk;
use crate::delta::VerifiedDelta;
use crate::document::PastChange;
use crate::history::stored_delta;
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::identity::Signature;
use crate::incarnation::{Incarnation, VerifiedIncarnation};
use crate::store::tables::{DeltaRecord, SpaceIndex, record};
use crate::store::{StoreError, StoreRead, Table};

/// A change of a document, its author, and the delta by which it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedChange {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the bytes say of themselves.
    pub chunk: ChangeChunk,
    /// Whose it is.
    pub author: AuthorKey,
    /// Sequence number of the first change of its delta.
    pub delta_first: u64,
    /// Sequence number of the last one, over which the author signed.
    pub delta_last: u64,
    /// The delta's signature.
    pub signature: Signature,
}

/// Finds changes in the store of one space, and checks who signed them.
pub struct Witness<'a> {
    store: &'a dyn StoreRead,
    space: SpaceId,
    index: SpaceIndex,
    incarnations: BTreeMap<Actor, VerifiedIncarnation>,
    checked: u64,
}

/// The delta looked at last.
struct Open {
    actor: Actor,
    first_seq: u64,
    delta: DeltaRecord,
    verified: bool,
}

/// Whether something that was checked names a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Its actor's next change does, by hash.
    NamedByNext,
    /// Nothing yet: its own delta must be checked.
    Wanted,
}

impl<'a> Witness<'a> {
    /// Of the changes in a space of the store.
    pub fn new(store: &'a dyn StoreRead, space: SpaceId, index: SpaceIndex) -> Self {
        Self { store, space, index, incarnations: BTreeMap::new(), checked: 0 }
    }

    /// Signatures of deltas checked so far.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Whose actor it is, by a certificate that the author signed.
    ///
    /// # Errors
    /// [`StoreError`], also when the certificate is missing or not signed.
    pub fn author(&mut self, actor: Actor) -> Result<AuthorKey, StoreError> {
        self.incarnation(actor).map(VerifiedIncarnation::author)
    }

    fn incarnation(&mut self, actor: Actor) -> Result<&VerifiedIncarnation, StoreError> {
        if !self.incarnations.contains_key(&actor) {
            let corrupt =
                |what: &str| StoreError::Corrupt(format!("the incarnation of actor {actor}: {what}"));
            let value = self.store.value(Table::Incarnations, &self.index.incarnation(actor))?;
            let value = value.ok_or_else(|| corrupt("missing"))?;
            let stored: Incarnation = record(&value, "incarnation")?;
            let verified =
                VerifiedIncarnation::verify(stored).map_err(|fault| corrupt(&fault.to_string()))?;
            if verified.actor() != actor || verified.space() != self.space {
                return Err(corrupt("another one lies in its place"));
            }
            self.incarnations.insert(actor, verified);
        }
        // Put there above, unless it was there.
        self.incarnations.get(&actor).ok_or_else(|| StoreError::Corrupt("an incarnation is missing".into()))
    }

    /// These changes of a document as they are signed, by hash.
    ///
    /// # Errors
    /// [`StoreError`], also when one of them is missing, damaged or not signed.
    pub fn signed(
        &mut self,
        document: &DocumentName,
        changes: impl IntoIterator<Item = PastChange>,
    ) -> Result<BTreeMap<ChangeHash, SignedChange>, StoreError> {
        let mut wanted: Vec<PastChange> = changes.into_iter().collect();
        // Of each actor the last one first: what follows is then mostly named by what was checked.
        wanted.sort_unstable_by_key(|change| (change.actor, std::cmp::Reverse(change.seq)));
        wanted.dedup();
        let mut found: BTreeMap<ChangeHash, SignedChange> = BTreeMap::new();
        let mut open: Option<Open> = None;
        let mut later: Option<(Actor, u64, Vec<ChangeHash>)> = None;
        for change in wanted {
            let named = later.take().is_some_and(|(actor, seq, dependencies)| {
                actor == change.actor && seq == change.seq + 1 && dependencies.contains(&change.hash)
            });
            let proof = if named { Proof::NamedByNext } else { Proof::Wanted };
            let signed = self.one(document, change, &mut open, proof)?;
            later = Some((change.actor, change.seq, signed.chunk.dependencies.clone()));
            found.insert(change.hash, signed);
        }
        Ok(found)
    }

    fn one(
        &mut self,
        document: &DocumentName,
        change: PastChange,
        open: &mut Option<Open>,
        proof: Proof,
    ) -> Result<SignedChange, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("document {document:?}: {what}"));
        let covers = |open: &Open| {
            let last = open.delta.last_admitted(open.first_seq);
            open.actor == change.actor && (open.first_seq..=last).contains(&change.seq)
        };
        let mut current = match open.take().filter(covers) {
            Some(current) => current,
            None => {
                let found = stored_delta(self.store, self.index, document, change.actor, change.seq)?;
                let (first_seq, delta) = found.ok_or_else(|| corrupt("the delta of a change is missing"))?;
                Open { actor: change.actor, first_seq, delta, verified: false }
            }
        };
        let (space, author) = (self.space, self.author(change.actor)?);
        if proof == Proof::Wanted && !current.verified {
            let delta = current.delta.clone();
            let delta = delta.into_delta(space, document.clone(), change.actor, current.first_seq);
            self.checked += 1;
            VerifiedDelta::verify_stored(delta, self.incarnation(change.actor)?)
                .map_err(|fault| corrupt(&fault.to_string()))?;
            current.verified = true;
        }
        let place = usize::try_from(change.seq - current.first_seq).ok();
        let bytes = place.and_then(|place| current.delta.changes.get(place));
        let bytes = bytes.ok_or_else(|| corrupt("a delta is shorter than it says"))?.to_vec();
        let chunk = ChangeChunk::parse_stored(&bytes).map_err(|error| corrupt(&error.to_string()))?;
        if chunk.hash != change.hash || chunk.actor != change.actor || chunk.seq != change.seq {
            return Err(corrupt("another change lies in the place of one that is shown"));
        }
        let delta_last = current.first_seq + current.delta.changes.len() as u64 - 1;
        let (delta_first, signature) = (current.first_seq, Signature(current.delta.signature));
        *open = Some(current);
        Ok(SignedChange { bytes, chunk, author, delta_first, delta_last, signature })
    }
}
