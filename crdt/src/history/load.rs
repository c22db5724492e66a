//! History from the store: deltas, their changes in causal order, and a document's index.

use std::collections::{BTreeMap, BTreeSet};

use super::{DocumentHistory, Misfit};
use crate::chunk::ChangeChunk;
use crate::delta::{Delta, VerifiedDelta};
use crate::id::{Actor, ChangeHash, DocumentName, SpaceId};
use crate::identity::Signature;
use crate::incarnation::VerifiedIncarnation;
use crate::limits::DELTA_CHANGES_MAX;
use crate::store::tables::{DeltaRecord, FrontierRecord, SpaceIndex, delta_key, record, walk_prefix};
use crate::store::{KeyRange, StoreError, StoreRead, Table};

/// An admitted change as it lies in the store.
#[derive(Clone, Debug)]
pub struct StoredChange {
    /// Its header.
    pub chunk: ChangeChunk,
    /// Its bytes.
    pub bytes: Vec<u8>,
    arrival: (u64, u64),
}

fn corrupt(document: &DocumentName, what: &str) -> StoreError {
    StoreError::Corrupt(format!("document {document:?}: {what}"))
}

/// The frontier of one document.
///
/// # Errors
/// [`StoreError`] of the store.
pub fn frontier(
    store: &dyn StoreRead,
    space: SpaceIndex,
    document: &DocumentName,
) -> Result<BTreeMap<Actor, FrontierRecord>, StoreError> {
    let mut frontier = BTreeMap::new();
    let prefix = space.document_rows(document);
    walk_prefix(store, Table::Frontiers, &prefix, |key, value| {
        let actor = key.get(prefix.len()..).and_then(Actor::from_slice);
        let actor = actor.ok_or_else(|| corrupt(document, "a frontier key is malformed"))?;
        frontier.insert(actor, record(value, "frontier record")?);
        Ok(())
    })?;
    Ok(frontier)
}

/// A document's admitted changes past `known` (per actor, the last sequence number already held), in
/// an order in which every change follows its dependencies; `held` tells which of those outside the
/// result are there already. A reader beside the writer may see a change before what it rests on:
/// such a change is left out, and is there the next time.
///
/// # Errors
/// [`StoreError`], also when a stored delta is damaged or one the frontier promises is missing.
pub fn stored_changes(
    store: &dyn StoreRead,
    space: SpaceIndex,
    document: &DocumentName,
    known: &BTreeMap<Actor, u64>,
    held: &dyn Fn(&ChangeHash) -> bool,
) -> Result<Vec<StoredChange>, StoreError> {
    let mut changes = Vec::new();
    for (actor, tip) in frontier(store, space, document)? {
        let after = known.get(&actor).copied().unwrap_or(0);
        if tip.seq > after {
            actor_changes(store, space, document, actor, after, tip, &mut changes)?;
        }
    }
    changes.sort_by_key(|change: &StoredChange| change.arrival);
    Ok(causal_order(changes, held))
}

/// Orders changes so that each follows what it rests on, keeping the given order otherwise, and
/// leaves out those that rest on what is neither among them nor `held`. The given order is nearly
/// causal: only the late part of a delta may have been admitted after deltas that arrived later.
fn causal_order(changes: Vec<StoredChange>, held: &dyn Fn(&ChangeHash) -> bool) -> Vec<StoredChange> {
    let mut placed = BTreeSet::new();
    let mut waiting: BTreeMap<ChangeHash, Vec<StoredChange>> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(changes.len());
    for change in changes {
        let mut ready = vec![change];
        while let Some(change) = ready.pop() {
            let lacks = |hash: &&ChangeHash| !placed.contains(*hash) && !held(hash);
            match change.chunk.dependencies.iter().find(lacks).copied() {
                Some(missing) => waiting.entry(missing).or_default().push(change),
                None => {
                    placed.insert(change.chunk.hash);
                    let woken = waiting.remove(&change.chunk.hash).unwrap_or_default();
                    ready.extend(woken.into_iter().rev());
                    ordered.push(change);
                }
            }
        }
    }
    ordered
}

fn actor_changes(
    store: &dyn StoreRead,
    space: SpaceIndex,
    document: &DocumentName,
    actor: Actor,
    after: u64,
    tip: FrontierRecord,
    changes: &mut Vec<StoredChange>,
) -> Result<(), StoreError> {
    let mut next = after + 1;
    while next <= tip.seq {
        let (first_seq, delta) = stored_delta(store, space, document, actor, next)?
            .ok_or_else(|| corrupt(document, "a delta that its frontier promises is missing"))?;
        let last = delta.last_admitted(first_seq).min(tip.seq);
        for (seq, bytes) in (first_seq..=last).zip(delta.changes) {
            if seq < next {
                continue;
            }
            let chunk =
                ChangeChunk::parse_stored(&bytes).map_err(|error| corrupt(document, &error.to_string()))?;
            if chunk.actor != actor || chunk.seq != seq || (seq == tip.seq && chunk.hash != tip.hash) {
                return Err(corrupt(document, "a delta holds another change than its frontier says"));
            }
            changes.push(StoredChange { chunk, bytes: bytes.into(), arrival: (delta.arrival, seq) });
            next = seq + 1;
        }
    }
    Ok(())
}

/// The stored delta by which change `seq` of `actor` is in history, with its first sequence number.
///
/// # Errors
/// [`StoreError`], also when the delta found is damaged.
pub fn stored_delta(
    store: &dyn StoreRead,
    space: SpaceIndex,
    document: &DocumentName,
    actor: Actor,
    seq: u64,
) -> Result<Option<(u64, DeltaRecord)>, StoreError> {
    // Deltas overlap only when their author signed a number more than once, so the first row looked
    // at is nearly always the one.
    let earliest = seq.saturating_sub(DELTA_CHANGES_MAX as u64);
    let start = space.delta(document, actor, earliest);
    let mut past = space.delta(document, actor, seq.saturating_add(1));
    loop {
        let range = KeyRange::between(&start, &past);
        let Some((key, value)) = store.last_row(Table::Deltas, range)? else {
            return Ok(None);
        };
        let (_, first_seq) = delta_key(&key).ok_or_else(|| corrupt(document, "a delta key is malformed"))?;
        let delta: DeltaRecord = record(&value, "delta record")?;
        if seq <= delta.last_admitted(first_seq) {
            return Ok(Some((first_seq, delta)));
        }
        past = key;
    }
}

/// A delta that was stored whole although its end is not in history yet.
pub struct Pending {
    /// The delta.
    pub delta: VerifiedDelta,
    /// What its first change outside history rests on and is missing; none when all of it came.
    pub missing: Option<ChangeHash>,
}

impl DeltaRecord {
    /// The delta as it travels.
    pub fn into_delta(self, space: SpaceId, document: DocumentName, actor: Actor, first_seq: u64) -> Delta {
        Delta {
            space,
            document,
            actor,
            first_seq,
            changes: self.changes,
            signature: Signature(self.signature),
        }
    }
}

/// A document's index, with what is quarantined excluded. Every stored delta is verified again, so
/// that a damaged page cannot forge history; `incarnation` finds the certificate of an actor. Beside
/// it the deltas whose end still waits for something.
///
/// # Errors
/// [`StoreError`], also when what is stored is no history or is not signed.
pub fn load_verified(
    store: &dyn StoreRead,
    space: SpaceIndex,
    id: SpaceId,
    document: &DocumentName,
    incarnation: &dyn Fn(Actor) -> Result<Option<VerifiedIncarnation>, StoreError>,
) -> Result<(DocumentHistory, Vec<Pending>), StoreError> {
    let mut history = DocumentHistory::default();
    for change in stored_changes(store, space, document, &BTreeMap::new(), &|_| false)? {
        history.check(&change.chunk).map_err(|misfit| corrupt(document, &misfit.to_string()))?;
        history.insert(&change.chunk);
    }
    let mut pending = Vec::new();
    verify_deltas(store, space, id, document, incarnation, &mut |delta| {
        // The first change that is not in history decides; one that does not fit never will.
        let mut checked = delta.chunks().iter().map(|chunk| history.check(chunk));
        match checked.find(|checked| *checked != Err(Misfit::Known)) {
            // What turned out to contradict history is looked at once more, for the proof.
            Some(Ok(()) | Err(Misfit::Fork { .. })) => pending.push(Pending { delta, missing: None }),
            Some(Err(Misfit::Missing(missing))) => {
                pending.push(Pending { delta, missing: missing.first().copied() });
            }
            Some(Err(_)) | None => {}
        }
    })?;
    let prefix = space.document_rows(document);
    let mut quarantined = Vec::new();
    walk_prefix(store, Table::Quarantine, &prefix, |key, _| {
        let hash = key.get(prefix.len()..).and_then(ChangeHash::from_slice);
        quarantined.push(hash.ok_or_else(|| corrupt(document, "a quarantine key is malformed"))?);
        Ok(())
    })?;
    history.exclude(quarantined);
    Ok((history, pending))
}

fn verify_deltas(
    store: &dyn StoreRead,
    space: SpaceIndex,
    id: SpaceId,
    document: &DocumentName,
    incarnation: &dyn Fn(Actor) -> Result<Option<VerifiedIncarnation>, StoreError>,
    unfinished: &mut dyn FnMut(VerifiedDelta),
) -> Result<(), StoreError> {
    walk_prefix(store, Table::Deltas, &space.document_rows(document), |key, value| {
        let (actor, first_seq) =
            delta_key(key).ok_or_else(|| corrupt(document, "a delta key is malformed"))?;
        let stored: DeltaRecord = record(value, "delta record")?;
        let certificate =
            incarnation(actor)?.ok_or_else(|| corrupt(document, "an incarnation is missing"))?;
        let whole = stored.admitted == stored.changes.len() as u64;
        let delta = stored.into_delta(id, document.clone(), actor, first_seq);
        let delta = VerifiedDelta::verify_stored(delta, &certificate)
            .map_err(|fault| corrupt(document, &fault.to_string()))?;
        if !whole {
            unfinished(delta);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u64) -> ChangeHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        ChangeHash(hash)
    }

    fn change(number: u64, dependencies: &[u64]) -> StoredChange {
        let chunk = ChangeChunk {
            hash: hash(number),
            dependencies: dependencies.iter().map(|number| hash(*number)).collect(),
            actor: Actor([1; 16]),
            seq: 1,
            start_op: 1,
            ops: 1,
            time: 0,
            message: None,
            other_actors: Vec::new(),
            bytes: 100,
        };
        StoredChange { chunk, bytes: Vec::new(), arrival: (number, 0) }
    }

    fn order(changes: Vec<StoredChange>, held: &[u64]) -> Vec<u64> {
        let held: Vec<ChangeHash> = held.iter().map(|number| hash(*number)).collect();
        let ordered = causal_order(changes, &|hash| held.contains(hash));
        let number = |change: &StoredChange| {
            u64::from_be_bytes(*change.chunk.hash.0.first_chunk::<8>().expect("32 bytes"))
        };
        ordered.iter().map(number).collect()
    }

    #[test]
    fn a_causal_order_stays_as_it_is() {
        assert_eq!(order(vec![change(3, &[]), change(1, &[3]), change(2, &[1, 3])], &[]), [3, 1, 2]);
    }

    #[test]
    fn what_comes_early_waits_for_all_it_rests_on() {
        let changes =
            vec![change(4, &[1, 2]), change(5, &[4]), change(3, &[2]), change(1, &[]), change(2, &[1])];
        let ordered = order(changes, &[]);
        assert_eq!(ordered.len(), 5);
        let place = |number| ordered.iter().position(|found| *found == number).unwrap();
        for (later, earlier) in [(4, 1), (4, 2), (5, 4), (3, 2), (2, 1)] {
            assert!(place(later) > place(earlier), "{ordered:?}");
        }
    }

    #[test]
    fn what_rests_on_what_is_nowhere_is_left_out() {
        let changes = || vec![change(1, &[]), change(2, &[9]), change(3, &[2]), change(4, &[1])];
        assert_eq!(order(changes(), &[]), [1, 4]);
        assert_eq!(order(changes(), &[9]), [1, 2, 3, 4]);
    }

    #[test]
    fn a_long_chain_in_reverse_is_ordered() {
        let count = 20_000;
        let changes =
            (1..=count).rev().map(|n| change(n, if n == 1 { vec![] } else { vec![n - 1] }.as_slice()));
        let ordered = order(changes.collect(), &[]);
        assert_eq!(ordered, (1..=count).collect::<Vec<u64>>());
    }
}
