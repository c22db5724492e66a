//! What is kept out of documents, and which authors contradicted themselves: evidence, as the store holds it.
//!
//! Promises: every answer is bounded; of a change that is told, who wrote it is checked by a signature.
//! Leaves out why a rule is as it is, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{ReadFault, Reader};
use crate::chunk::ChangeChunk;
use crate::codec;
use crate::delta::Delta;
use crate::document::{PastChange, PoisonReason};
use crate::history::{stored_changes, stored_delta};
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName, SpaceId};
use crate::incarnation::Incarnation;
use crate::proof::{ForkProof, ProvenFork};
use crate::store::tables::{ForkRecord, QuarantineRecord, SpaceIndex, delta_key, record, walk_prefix};
use crate::store::{KeyRange, Row, StoreError, StoreRead, Table, after_prefix};
use crate::time::WallTime;

/// Changes of one document that are told. Past it the others are only counted.
const DOCUMENT_CHANGES_MAX: usize = 1_000;
/// Changes of one document for which is told how much rests on them: each walks the graph.
const HELD_BACK_TOLD_MAX: usize = 64;
/// Rows of proofs looked at for one page.
const FORK_ROWS_MAX: usize = 256;

/// A change that is kept out of its document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptOut {
    /// Which.
    pub change: ChangeHash,
    /// Why, in words.
    pub reason: String,
    /// Why, as a stable word; absent where it only rests on others, and where a repair lost it.
    pub code: Option<String>,
    /// When this node found it, by its own clock.
    pub since: Option<WallTime>,
    /// Who made it, by a signature that was checked.
    pub writer: KeptOutWriter,
    /// Those of the changes it rests on directly that are kept out as well.
    pub rests_on: Vec<ChangeHash>,
    /// How many changes are kept out because they rest on it; absent where that was not counted.
    pub holds_back: Option<u64>,
}

/// Who made a change that is kept out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptOutWriter {
    /// The author.
    pub author: AuthorKey,
    /// As which actor.
    pub actor: Actor,
    /// Its place among the actor's changes of the document.
    pub seq: u64,
    /// Seconds since 1970, as the author claims.
    pub time_seconds: i64,
}

/// What is kept out of one document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptOutDocument {
    /// The document.
    pub document: DocumentName,
    /// In causal order; those at fault themselves come first.
    pub changes: Vec<KeptOut>,
    /// How many more there are.
    pub more: u64,
}

/// A proven fork as this node keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFork {
    /// What is proven.
    pub fork: ProvenFork,
    /// Which of the two changes is in this node's history.
    pub held: Option<ChangeHash>,
    /// When this node found it, by its own clock.
    pub since: Option<WallTime>,
    /// The proof, for others to check.
    pub proof: ForkProof,
}

/// Names a place in the order of forks.
pub type ForkPlace = (DocumentName, Actor, u64);

/// How much is kept out of the documents of a space. What is [`KeptOutCounts::MOST`] may be more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeptOutCounts {
    /// Changes in quarantine.
    pub quarantined: u64,
    /// Those among them that this node alone could not build: a defect.
    pub diverged: u64,
    /// Proven forks.
    pub forks: u64,
}

impl KeptOutCounts {
    /// How far is counted.
    pub const MOST: u64 = 1_000;
}

impl Reader {
    /// How much is kept out of the documents of a space.
    ///
    /// # Errors
    /// [`ReadFault`].
    pub fn kept_out_counts(&self, space: SpaceId) -> Result<KeptOutCounts, ReadFault> {
        let all = self.space(space)?.index.all();
        let end = after_prefix(&all);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = KeyRange { start: Bound::Included(&all), end };
        let most = usize::try_from(KeptOutCounts::MOST).unwrap_or(usize::MAX);
        let quarantined = self.store().rows(Table::Quarantine, range, most)?;
        let diverged = quarantined.iter().filter(|(_, value)| {
            // A row that cannot be read is for `verify` to tell of.
            record::<QuarantineRecord>(value, "quarantine record")
                .is_ok_and(|row| row.code.as_deref() == Some(PoisonReason::Crash.code()))
        });
        let diverged = diverged.count() as u64;
        let forks = self.store().rows(Table::Forks, range, most)?.len() as u64;
        Ok(KeptOutCounts { quarantined: quarantined.len() as u64, diverged, forks })
    }

    /// The first document after `after`, or the named one, of which changes are kept out; none at the end.
    ///
    /// # Errors
    /// [`ReadFault`], also when its history cannot be read.
    pub fn kept_out(
        &self,
        space: SpaceId,
        document: Option<&DocumentName>,
        after: Option<&DocumentName>,
    ) -> Result<Option<KeptOutDocument>, ReadFault> {
        let index = self.space(space)?.index;
        let name = match document {
            Some(name) if after.is_none() => name.clone(),
            Some(_) => return Ok(None),
            None => match first_document(self.store(), index, Table::Quarantine, after)? {
                Some(name) => name,
                None => return Ok(None),
            },
        };
        let mut rows: BTreeMap<ChangeHash, QuarantineRecord> = BTreeMap::new();
        let prefix = index.document_rows(&name);
        walk_prefix(self.store(), Table::Quarantine, &prefix, |key, value| {
            let hash = key.get(prefix.len()..).and_then(ChangeHash::from_slice);
            let hash = hash.ok_or_else(|| StoreError::Corrupt("a quarantine key is malformed".into()))?;
            rows.insert(hash, record(value, "quarantine record")?);
            Ok(())
        })?;
        if rows.is_empty() {
            return Ok(None);
        }
        let stored = stored_changes(self.store(), index, &name, &BTreeMap::new(), &|_| true)?;
        let chunks: Vec<ChangeChunk> = stored.into_iter().map(|change| change.chunk).collect();
        let found = self.kept_out_of(space, &name, rows, &chunks)?;
        Ok(Some(found))
    }

    fn kept_out_of(
        &self,
        space: SpaceId,
        name: &DocumentName,
        mut rows: BTreeMap<ChangeHash, QuarantineRecord>,
        chunks: &[ChangeChunk],
    ) -> Result<KeptOutDocument, ReadFault> {
        let kept: BTreeSet<ChangeHash> = rows.keys().copied().collect();
        let above = above(chunks, &kept);
        let mut told: Vec<&ChangeChunk> = chunks.iter().filter(|chunk| kept.contains(&chunk.hash)).collect();
        // Stable: causal order within both kinds.
        told.sort_by_key(|chunk| rows.get(&chunk.hash).is_none_or(|row| row.code.is_none()));
        told.truncate(DOCUMENT_CHANGES_MAX);
        let past = told.iter().map(|chunk| PastChange {
            hash: chunk.hash,
            actor: chunk.actor,
            seq: chunk.seq,
            time_seconds: chunk.time,
            step: 0,
            deletes: chunk.deletes(),
        });
        let mut signed = self.witness(space)?.signed(name, past)?;
        let mut changes = Vec::with_capacity(told.len());
        for chunk in told {
            let (Some(row), Some(signed)) = (rows.remove(&chunk.hash), signed.remove(&chunk.hash)) else {
                continue;
            };
            let counted = row.code.is_some() && changes.len() < HELD_BACK_TOLD_MAX;
            changes.push(KeptOut {
                change: chunk.hash,
                reason: row.reason,
                code: row.code,
                since: row.since,
                writer: KeptOutWriter {
                    author: signed.author,
                    actor: chunk.actor,
                    seq: chunk.seq,
                    time_seconds: chunk.time,
                },
                rests_on: chunk.dependencies.iter().filter(|hash| kept.contains(*hash)).copied().collect(),
                holds_back: counted.then(|| reached(&above, chunk.hash)),
            });
        }
        Ok(KeptOutDocument { document: name.clone(), changes, more: rows.len() as u64 })
    }

    /// Proven forks after a place, in order of document and actor, and where to go on; of one document only
    /// if one is named.
    ///
    /// # Errors
    /// [`ReadFault`], also when a stored proof proves nothing.
    pub fn forks(
        &self,
        space: SpaceId,
        document: Option<&DocumentName>,
        after: Option<&ForkPlace>,
    ) -> Result<(Vec<KeptFork>, Option<ForkPlace>), ReadFault> {
        let index = self.space(space)?.index;
        let all = document.map_or_else(|| index.all(), |name| index.document_rows(name));
        let end = after_prefix(&all);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let after = after.map(|(name, actor, seq)| index.delta(name, *actor, *seq));
        let start = after.as_deref().filter(|after| *after >= all.as_slice());
        let start = start.map_or(Bound::Included(all.as_slice()), Bound::Excluded);
        let rows = self.store().rows(Table::Forks, KeyRange { start, end }, FORK_ROWS_MAX)?;
        let full = rows.len() == FORK_ROWS_MAX;
        let forks: Vec<KeptFork> =
            rows.iter().map(|row| self.fork(index, row)).collect::<Result<_, ReadFault>>()?;
        let next = forks
            .last()
            .filter(|_| full)
            .map(|kept| (kept.fork.document.clone(), kept.fork.actor, kept.fork.seq));
        Ok((forks, next))
    }

    fn fork(&self, index: SpaceIndex, (key, value): &Row) -> Result<KeptFork, ReadFault> {
        let corrupt = |what: String| StoreError::Corrupt(format!("a stored proof of a fork: {what}"));
        let row: ForkRecord = record(value, "fork record")?;
        let delta: Delta = codec::decode(&row.first, "delta").map_err(|error| corrupt(error.to_string()))?;
        let certificate = self.store().value(Table::Incarnations, &index.incarnation(delta.actor))?;
        let certificate = certificate.ok_or_else(|| corrupt("its author's certificate is missing".into()))?;
        let incarnation: Incarnation = record(&certificate, "incarnation")?;
        let proof = ForkProof::new(incarnation, row.first, row.second);
        let fork = proof.verify().map_err(|fault| corrupt(fault.to_string()))?;
        // The key is the place by which a page goes on.
        let seq = delta_key(key).map_or(fork.seq, |(_, seq)| seq);
        let held = stored_delta(self.store(), index, &fork.document, fork.actor, fork.seq)?;
        let held = held.and_then(|(first, delta)| {
            let place = usize::try_from(fork.seq.checked_sub(first)?).ok()?;
            ChangeChunk::parse_stored(delta.changes.get(place)?).ok().map(|chunk| chunk.hash)
        });
        let held = held.filter(|hash| fork.changes.iter().any(|change| change.hash == *hash));
        Ok(KeptFork { fork: ProvenFork { seq, ..fork }, held, since: row.since, proof })
    }
}

/// The first document after another of which a table keyed by documents has rows.
fn first_document(
    store: &dyn StoreRead,
    index: SpaceIndex,
    table: Table,
    after: Option<&DocumentName>,
) -> Result<Option<DocumentName>, StoreError> {
    let all = index.all();
    let end = after_prefix(&all);
    let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let past = after.and_then(|name| after_prefix(&index.document_rows(name)));
    let start = Bound::Included(past.as_deref().unwrap_or(&all));
    let first = store.rows(table, KeyRange { start, end }, 1)?;
    let Some((key, _)) = first.first() else { return Ok(None) };
    let name = key.get(all.len()..).and_then(|rest| rest.split(|byte| *byte == 0).next());
    let name =
        name.and_then(|name| std::str::from_utf8(name).ok()).and_then(|name| DocumentName::new(name).ok());
    name.map(Some).ok_or_else(|| StoreError::Corrupt("a quarantine key is malformed".into()))
}

/// Of each change that is kept out, those directly on it that are kept out, too.
fn above(chunks: &[ChangeChunk], kept: &BTreeSet<ChangeHash>) -> BTreeMap<ChangeHash, Vec<ChangeHash>> {
    let mut above: BTreeMap<ChangeHash, Vec<ChangeHash>> = BTreeMap::new();
    for chunk in chunks.iter().filter(|chunk| kept.contains(&chunk.hash)) {
        for below in chunk.dependencies.iter().filter(|below| kept.contains(*below)) {
            above.entry(*below).or_default().push(chunk.hash);
        }
    }
    above
}

/// How many changes lie above one.
fn reached(above: &BTreeMap<ChangeHash, Vec<ChangeHash>>, from: ChangeHash) -> u64 {
    let (mut seen, mut walk) = (BTreeSet::new(), vec![from]);
    while let Some(hash) = walk.pop() {
        let next = above.get(&hash).into_iter().flatten();
        walk.extend(next.filter(|hash| seen.insert(**hash)).copied());
    }
    seen.len() as u64
}
