//! One document: its deltas, and every row that follows from them.

use std::collections::{BTreeMap, BTreeSet};

use super::space::SpaceCheck;
use super::{Finding, Loss, Mend};
use crate::admission::screen_delta;
use crate::chunk::ChangeChunk;
use crate::delta::VerifiedDelta;
use crate::history::{DocumentHistory, Misfit};
use crate::id::{Actor, AuthorKey, ChangeHash, DocumentName};
use crate::store::tables::{
    DeltaRecord, DocumentRecord, ForkRecord, FrontierRecord, MetaRecord, QuarantineRecord, delta_key,
    frontier_key, record, walk_prefix,
};
use crate::store::{StoreError, StoreRead, Table};
use crate::time::WallTime;

/// What the check of one document gives.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) deltas: u64,
    pub(super) changes: u64,
    pub(super) findings: Vec<Finding>,
    pub(super) losses: Vec<Loss>,
    pub(super) mend: Mend,
}

/// A stored delta that is what its author signed.
struct Good {
    key: Vec<u8>,
    stored: DeltaRecord,
    delta: VerifiedDelta,
}

/// The last change in the order of arrival: whom the document's record names.
struct Latest {
    author: AuthorKey,
    time: WallTime,
}

/// One document on its way through verification.
pub(super) struct DocumentCheck<'c> {
    space: &'c SpaceCheck,
    name: DocumentName,
    done: Checked,
    good: Vec<Good>,
    history: DocumentHistory,
    latest: Option<Latest>,
}

impl<'c> DocumentCheck<'c> {
    pub(super) fn new(space: &'c SpaceCheck, name: DocumentName) -> Self {
        Self {
            space,
            name,
            done: Checked::default(),
            good: Vec::new(),
            history: DocumentHistory::default(),
            latest: None,
        }
    }

    /// Checks the document.
    pub(super) fn run(mut self, store: &dyn StoreRead, meta: MetaRecord) -> Result<Checked, StoreError> {
        self.deltas(store, meta)?;
        self.admit();
        self.covers();
        self.frontiers(store)?;
        self.quarantine(store)?;
        self.forks(store)?;
        self.record(store, meta)?;
        self.done.changes = self.history.changes();
        Ok(self.done)
    }

    fn found(&mut self, code: &'static str, what: impl Into<String>) {
        let (space, document) = (Some(self.space.id), Some(self.name.clone()));
        self.done.findings.push(Finding { code, space, document, what: what.into(), mendable: true });
    }

    /// Verifies every stored delta; what is none is set aside.
    fn deltas(&mut self, store: &dyn StoreRead, meta: MetaRecord) -> Result<(), StoreError> {
        let prefix = self.space.index.document_rows(&self.name);
        let (space, name) = (self.space, self.name.clone());
        let (mut good, mut bad, mut seen) = (Vec::new(), Vec::new(), 0);
        walk_prefix(store, Table::Deltas, &prefix, |key, value| {
            seen += 1;
            match verified(space, &name, key, value) {
                Ok(delta) => good.push(delta),
                Err(what) => bad.push((key.to_vec(), value.to_vec(), what)),
            }
            Ok(())
        })?;
        self.done.deltas = seen;
        for (key, value, what) in bad {
            self.found("delta", what);
            self.done.mend.set_aside(Table::Deltas, &key, &value);
        }
        if let Some(last) = good.iter().map(|good: &Good| good.stored.arrival).max()
            && last > meta.arrival
        {
            self.found(
                "arrival",
                format!("a delta arrived as number {last}, after the last the store counts"),
            );
            let counted = MetaRecord { arrival: last, ..meta };
            self.done.mend.put(Table::Meta, crate::store::tables::META_KEY.to_vec(), &counted);
        }
        self.good = good;
        Ok(())
    }

    /// Builds history from what the deltas' records say is admitted, in the order of arrival; what
    /// comes before its dependencies waits for them.
    fn admit(&mut self) {
        self.good.sort_by_key(|good| good.stored.arrival);
        let mut waiting: BTreeMap<ChangeHash, Vec<(ChangeChunk, AuthorKey)>> = BTreeMap::new();
        let mut misfits = Vec::new();
        for good in &self.good {
            let admitted = usize::try_from(good.stored.admitted).unwrap_or(usize::MAX);
            for chunk in good.delta.chunks().iter().take(admitted) {
                let mut ready = vec![(chunk.clone(), good.delta.author())];
                while let Some((chunk, author)) = ready.pop() {
                    match self.history.check(&chunk) {
                        Ok(()) => {
                            self.history.insert(&chunk);
                            let time = WallTime(chunk.time.saturating_mul(1_000));
                            self.latest = Some(Latest { author, time });
                            ready.extend(waiting.remove(&chunk.hash).unwrap_or_default());
                        }
                        Err(Misfit::Known) => {}
                        Err(Misfit::Missing(missing)) => {
                            let first = missing.first().copied().unwrap_or(chunk.hash);
                            waiting.entry(first).or_default().push((chunk, author));
                        }
                        Err(misfit) => {
                            misfits.push(format!("change {} of {}: {misfit}", chunk.seq, chunk.actor))
                        }
                    }
                }
            }
        }
        let unfounded: usize = waiting.values().map(Vec::len).sum();
        if unfounded > 0 {
            self.found("dependency", format!("{unfounded} changes rest on changes that are not there"));
        }
        misfits.into_iter().for_each(|what| self.found("misfit", what));
    }

    /// Each delta must say how much of it is in history.
    fn covers(&mut self) {
        let mut wrong = Vec::new();
        for good in &self.good {
            let leading = good.delta.chunks().iter().take_while(|chunk| self.history.contains(&chunk.hash));
            let admitted = leading.count() as u64;
            if admitted < good.stored.admitted {
                wrong.push((good.key.clone(), DeltaRecord { admitted, ..good.stored.clone() }));
            }
        }
        for (key, stored) in wrong {
            self.done.mend.put(Table::Deltas, key, &stored);
        }
    }

    fn frontiers(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let prefix = self.space.index.document_rows(&self.name);
        let mut rows = BTreeMap::new();
        walk_prefix(store, Table::Frontiers, &prefix, |key, value| {
            if let Some((_, actor)) = frontier_key(key) {
                rows.insert(actor, record::<FrontierRecord>(value, "frontier record").ok());
            }
            Ok(())
        })?;
        let mut actors: BTreeSet<Actor> = rows.keys().copied().collect();
        actors.extend(self.good.iter().map(|good| good.delta.delta().actor));
        for actor in actors {
            let tip = self.history.tip(actor).map(|(seq, hash)| FrontierRecord { seq, hash });
            let said = rows.get(&actor);
            if said.copied() != tip.map(Some) {
                self.frontier(actor, said.copied(), tip);
            }
        }
        Ok(())
    }

    /// The frontier of one actor is not what its changes make it. `said` is absent without a row, and
    /// holds nothing where the row cannot be read.
    fn frontier(&mut self, actor: Actor, said: Option<Option<FrontierRecord>>, tip: Option<FrontierRecord>) {
        let reached = tip.map_or(0, |tip| tip.seq);
        let what = match said {
            None => format!("actor {actor} has {reached} changes and no frontier"),
            Some(None) => format!("the frontier of actor {actor} cannot be read"),
            Some(Some(said)) => {
                format!("the frontier of actor {actor} says {}, its changes end at {reached}", said.seq)
            }
        };
        self.found("frontier", what);
        if let Some(Some(said)) = said.filter(|said| said.is_some_and(|said| said.seq > reached)) {
            let author = self.space.incarnation(actor).map(|incarnation| incarnation.author());
            let (first, last) = (reached + 1, said.seq);
            let (space, document) = (self.space.id, self.name.clone());
            self.done.losses.push(Loss { space, document, actor, author, first, last });
        }
        let key = self.space.index.actor_rows(&self.name, actor);
        match tip {
            Some(tip) => self.done.mend.put(Table::Frontiers, key, &tip),
            None => self.done.mend.batch.remove(Table::Frontiers, key),
        }
    }

    fn quarantine(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let prefix = self.space.index.document_rows(&self.name);
        let (mut hashes, mut damaged) = (BTreeSet::new(), Vec::new());
        walk_prefix(store, Table::Quarantine, &prefix, |key, value| {
            let hash = key.get(prefix.len()..).and_then(ChangeHash::from_slice);
            let known = hash.filter(|hash| self.history.contains(hash));
            let readable = record::<QuarantineRecord>(value, "quarantine record").is_ok();
            match known.filter(|_| readable) {
                Some(hash) => drop(hashes.insert(hash)),
                None => damaged.push((known, key.to_vec(), value.to_vec())),
            }
            Ok(())
        })?;
        for (known, key, value) in damaged {
            match known {
                Some(hash) => {
                    self.found(
                        "quarantine",
                        format!("the reason of the quarantined change {hash} cannot be read"),
                    );
                    hashes.insert(hash);
                    let reason = "its reason was lost with a damaged row".to_owned();
                    let row = QuarantineRecord { reason, code: None, since: None };
                    self.done.mend.put(Table::Quarantine, key, &row);
                }
                None => {
                    self.found("quarantine", "a change is in quarantine that is not in history");
                    self.done.mend.set_aside(Table::Quarantine, &key, &value);
                }
            }
        }
        for hash in self.history.exclude(hashes.clone()) {
            if !hashes.contains(&hash) {
                self.found("quarantine", format!("change {hash} rests on a quarantined one and is shown"));
                let row = QuarantineRecord::of_what_rests(None);
                let key = self.space.index.quarantined(&self.name, hash);
                self.done.mend.put(Table::Quarantine, key, &row);
            }
        }
        Ok(())
    }

    fn forks(&mut self, store: &dyn StoreRead) -> Result<(), StoreError> {
        let mut damaged = Vec::new();
        walk_prefix(store, Table::Forks, &self.space.index.document_rows(&self.name), |key, value| {
            let proof = record::<ForkRecord>(value, "fork record").ok();
            if !proof.is_some_and(|proof| proves(self.space, &self.name, key, &proof)) {
                damaged.push((key.to_vec(), value.to_vec()));
            }
            Ok(())
        })?;
        for (key, value) in damaged {
            self.found("fork", "a fork proof proves nothing");
            self.done.mend.set_aside(Table::Forks, &key, &value);
        }
        Ok(())
    }

    /// The document's record, and its place in the order of changes.
    fn record(&mut self, store: &dyn StoreRead, meta: MetaRecord) -> Result<(), StoreError> {
        let index = self.space.index;
        let key = index.document(self.name.as_str());
        let row = store.value(Table::Documents, &key)?;
        let old = row.as_deref().map(|row| record::<DocumentRecord>(row, "document record"));
        let heads = self.history.view_heads();
        let known = match (&old, &self.latest) {
            (Some(Ok(old)), _) => Some((old.commit.min(meta.commit), old.author, old.time)),
            (_, Some(latest)) => Some((meta.commit, latest.author, latest.time)),
            _ => None,
        };
        let changes = self.history.changes();
        let right = known.filter(|_| changes > 0).map(|(commit, author, time)| {
            let deleted = self.history.deleted() || heads.is_empty();
            let bytes = Some(self.history.change_bytes());
            DocumentRecord { heads, deleted, changes, commit, author, time, bytes }
        });
        let agrees = match (&old, &right) {
            // A release before this one did not count bytes.
            (Some(Ok(old)), Some(right)) => {
                DocumentRecord { bytes: old.bytes.or(right.bytes), ..old.clone() } == *right
            }
            (None, None) => true,
            _ => false,
        };
        if !agrees {
            self.found("document", record_fault(&old, right.as_ref()));
            match &right {
                Some(right) => self.done.mend.put(Table::Documents, key, right),
                None => self.done.mend.batch.remove(Table::Documents, key),
            }
        }
        if let Some(right) = right {
            let place = index.changed(right.commit, &self.name);
            if store.value(Table::Changed, &place)?.is_none() {
                self.found("order", "the document is missing in the order of changes");
                self.done.mend.put(Table::Changed, place, &());
            }
        }
        Ok(())
    }
}

fn record_fault(old: &Option<Result<DocumentRecord, StoreError>>, right: Option<&DocumentRecord>) -> String {
    match (old, right) {
        (None, _) => "the document has changes and no record".to_owned(),
        (Some(Err(error)), _) => format!("its record cannot be read: {error}"),
        (Some(Ok(_)), None) => "the document has a record and no change".to_owned(),
        (Some(Ok(old)), Some(right)) => format!(
            "its record tells of {} changes with {} heads, its history has {} with {}",
            old.changes,
            old.heads.len(),
            right.changes,
            right.heads.len()
        ),
    }
}

/// Reads and checks one row of deltas; otherwise what is wrong with it.
fn verified(space: &SpaceCheck, name: &DocumentName, key: &[u8], value: &[u8]) -> Result<Good, String> {
    let (actor, first_seq) = delta_key(key).ok_or("a key of the deltas is malformed")?;
    let place = format!("the delta of actor {actor} from change {first_seq}");
    let stored: DeltaRecord =
        record(value, "delta record").map_err(|error| format!("{place} cannot be read: {error}"))?;
    let incarnation = space.incarnation(actor).ok_or_else(|| format!("{place} has no incarnation"))?;
    let delta = stored.clone().into_delta(space.id, name.clone(), actor, first_seq);
    let delta = screen_delta(delta, incarnation).map_err(|error| format!("{place}: {error}"))?;
    if stored.admitted > delta.chunks().len() as u64 {
        return Err(format!("{place} says that more of it is in history than it holds"));
    }
    if !space.may_write(actor, name) {
        return Err(format!("{place} is by an author whom the charter does not let write here"));
    }
    Ok(Good { key: key.to_vec(), stored, delta })
}

/// Whether both runs are signed and disagree at the number the key names.
fn proves(space: &SpaceCheck, name: &DocumentName, key: &[u8], proof: &ForkRecord) -> bool {
    let Some((actor, seq)) = delta_key(key) else { return false };
    let Some(incarnation) = space.incarnation(actor) else { return false };
    let change_at = |bytes: &[u8]| {
        let delta = crate::admission::screen_encoded_delta(bytes).ok()?;
        let delta = VerifiedDelta::verify(delta, incarnation).ok()?;
        let of_here = delta.delta().document == *name;
        let at = |chunk: &&ChangeChunk| chunk.seq == seq;
        of_here.then(|| delta.chunks().iter().find(at).map(|chunk| chunk.hash)).flatten()
    };
    match (change_at(&proof.first), change_at(&proof.second)) {
        (Some(first), Some(second)) => first != second,
        _ => false,
    }
}
