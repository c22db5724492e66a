//! What documents show: read at every honest node, and held against what is known of their writes.
//!
//! Heads are read everywhere. JSON is read at a sample of the nodes, and at the first node that
//! shows something no other node in the sample does, so that no state of a document goes unread.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use starling_crdt::document::Document;
use starling_crdt::id::{ChangeHash, DocumentName};
use starling_crdt::store::tables::{QuarantineRecord, record};
use starling_crdt::store::{StoreRead, Table};

use super::judge::Occasion;
use super::run::Run;
use super::workload::{PlannedEdit, PlannedWrite};
use crate::oracle::causal::{Causality, Past};
use crate::oracle::chunk::Hash;
use crate::properties::durability::{self, Effect, Hidden, Place, Reading};
use crate::properties::panics::Misbehaved;
use crate::properties::{availability, convergence, idempotence, panics};
use crate::world::founding::document_name;
use crate::world::process;

/// Nodes of which every document is read as JSON in one sweep; of larger fleets, as many evenly spread.
const JSON_NODES_MAX: usize = 24;

/// An acknowledged write and the change that it became.
pub(super) struct Written {
    place: Place,
    value: String,
    hash: Hash,
    /// Its node may have forgotten the request and done it again.
    may_repeat: bool,
}

/// One document, with everything known of it.
struct Subject {
    number: u32,
    name: DocumentName,
    causality: Causality,
    /// What each set of heads rests on.
    pasts: BTreeMap<Vec<Hash>, Past>,
    perhaps: Vec<(Place, String)>,
    /// Everything that anybody was asked to write.
    asked: BTreeSet<(Place, String)>,
}

/// Why a document could not be read.
enum Unread {
    /// No process is there that could read it.
    NoProcess,
    /// The node says why.
    Refused(String),
    /// Reading it panicked.
    Panicked(String),
}

/// Where a planned write puts its value; nowhere if it adds to a counter.
fn place_of(write: &PlannedWrite) -> Option<Place> {
    match write.what {
        PlannedEdit::Map(member) => Some(Place::Member(member)),
        PlannedEdit::List => Some(Place::Item),
        PlannedEdit::Text => Some(Place::Text),
        PlannedEdit::Counter(_) => None,
    }
}

impl Run<'_> {
    /// Notes which change an acknowledged write became.
    pub(super) fn note_written(&mut self, node: usize, write: &PlannedWrite, heads: &[Hash]) {
        // A write joins all heads of its document, so that one is left: the write itself.
        let (Some(place), [hash]) = (place_of(write), heads) else { return };
        let value = write.value(self.scenario.workload.value.0);
        let may_repeat = self.destroyed_ever(node);
        self.written.entry(write.document).or_default().push(Written {
            place,
            value,
            hash: *hash,
            may_repeat,
        });
    }

    /// Reads every document at every honest node.
    pub(super) fn read_all(&mut self, occasion: Occasion) {
        let nodes = self.sound();
        let every = nodes.len().div_ceil(JSON_NODES_MAX).max(1);
        let sample: BTreeSet<usize> = nodes.iter().copied().step_by(every).collect();
        let mut perhaps = self.unanswered();
        let mut asked = self.asked_values();
        for number in 0..self.scenario.workload.documents {
            let name = document_name(number);
            let mut subject = Subject {
                number,
                causality: Causality::of(&self.oracle.ledger, name.as_str()),
                name,
                pasts: BTreeMap::new(),
                perhaps: perhaps.remove(&number).unwrap_or_default(),
                asked: asked.remove(&number).unwrap_or_default(),
            };
            self.read_one(&mut subject, &nodes, &sample, occasion);
        }
    }

    /// Writes that were asked for and not acknowledged, by document: each may have happened.
    fn unanswered(&self) -> BTreeMap<u32, Vec<(Place, String)>> {
        let mut all: BTreeMap<u32, Vec<(Place, String)>> = BTreeMap::new();
        for asked in self.asked.values() {
            let write = &self.writes[asked.planned];
            if let Some(place) = place_of(write).filter(|_| !self.replies.contains_key(&write.number)) {
                let value = write.value(self.scenario.workload.value.0);
                all.entry(write.document).or_default().push((place, value));
            }
        }
        all
    }

    /// What anybody was asked to write until now, by document.
    fn asked_values(&self) -> BTreeMap<u32, BTreeSet<(Place, String)>> {
        let mut all: BTreeMap<u32, BTreeSet<(Place, String)>> = BTreeMap::new();
        for asked in self.asked.values() {
            let write = &self.writes[asked.planned];
            if let Some(place) = place_of(write) {
                let value = write.value(self.scenario.workload.value.0);
                all.entry(write.document).or_default().insert((place, value));
            }
        }
        all
    }

    fn read_one(
        &mut self,
        subject: &mut Subject,
        nodes: &[usize],
        sample: &BTreeSet<usize>,
        occasion: Occasion,
    ) {
        let mut shown = Vec::new();
        let mut read: BTreeSet<Vec<Hash>> = BTreeSet::new();
        for node in nodes {
            let mut here = match self.heads_at(*node, subject) {
                Ok(here) => here,
                Err(unread) => {
                    self.unread(*node, subject, unread, occasion);
                    continue;
                }
            };
            self.hidden(*node, subject, &here);
            if read.insert(here.heads.clone()) || sample.contains(node) {
                match self.json_at(*node, &subject.name) {
                    Ok(json) => here.json = Some(json),
                    Err(unread) => self.unread(*node, subject, unread, occasion),
                }
                self.shows(*node, subject, &here, occasion);
            }
            shown.push(here);
        }
        self.count_check(1);
        if convergence::check(&shown).is_empty() {
            return;
        }
        // A node builds what others changed when it rests or when somebody looks: look at each.
        for here in &mut shown {
            if let Some(heads) = self.built_heads_at(here.node, subject) {
                here.heads = heads;
            }
        }
        for finding in convergence::check(&shown) {
            self.find(finding);
        }
    }

    /// A document that a node could not read.
    fn unread(&mut self, node: usize, subject: &Subject, unread: Unread, occasion: Occasion) {
        let why = match unread {
            Unread::NoProcess => return,
            Unread::Panicked(words) => {
                let found = panics::check(node, &Misbehaved::Panicked(words));
                self.find(found.in_document(subject.name.as_str()));
                return;
            }
            Unread::Refused(why) => why,
        };
        // A disk that failed until a moment ago is read again after the next commit; one whose bits rotted may
        // have lost anything, and one that was lost may not hold it yet.
        let harmed = occasion == Occasion::Heal || self.is_rotten(node) || self.bare.contains(&node);
        self.count_check(13);
        if let Some(found) = availability::check_read(node, subject.name.as_str(), harmed, &why) {
            self.find(found);
        }
    }

    /// Reads a document as somebody on a node's host does, through any partition.
    pub(super) fn read_locally(&mut self, node: usize, number: u32) {
        let name = document_name(number);
        let read = self.json_at(node, &name);
        let harmed = self.is_rotten(node) || self.bare.contains(&node);
        self.count_check(13);
        let found = match read {
            Ok(_) | Err(Unread::NoProcess) => None,
            Err(Unread::Panicked(words)) => Some(panics::check(node, &Misbehaved::Panicked(words))),
            Err(Unread::Refused(why)) => availability::check_read(node, name.as_str(), harmed, &why),
        };
        if let Some(found) = found {
            self.find(found);
        }
    }

    /// Builds a document at a node and looks at it, as a reader on its host does.
    fn view_at<T>(
        &self,
        node: usize,
        name: &DocumentName,
        look: impl FnOnce(&Document) -> T,
    ) -> Result<T, Unread> {
        let reader = self.world.node(node).reader().ok_or(Unread::NoProcess)?;
        let view = || reader.view(self.founding.space, name, |view, _| look(view.document()));
        match catch_unwind(AssertUnwindSafe(view)) {
            Ok(Ok((seen, _))) => Ok(seen),
            Ok(Err(fault)) => Err(Unread::Refused(fault.to_string())),
            Err(panic) => Err(Unread::Panicked(process::words(&*panic))),
        }
    }

    /// The heads that whoever reads a document at a node is shown.
    fn built_heads_at(&self, node: usize, subject: &Subject) -> Option<Vec<Hash>> {
        let heads = self.view_at(node, &subject.name, |document| document.heads()).ok()?;
        Some(heads.into_iter().map(|head| head.0).collect())
    }

    /// What a node holds of a document and which heads it shows.
    fn heads_at(&self, node: usize, subject: &Subject) -> Result<convergence::Shown, Unread> {
        let reader = self.world.node(node).reader().ok_or(Unread::NoProcess)?;
        let document = subject.name.as_str().to_owned();
        let of = [document.as_bytes(), &[0]].concat();
        // From the same commit as the heads: the ledger may hear of the node's last step only later.
        let tips = self.oracle.frontiers(reader.store(), &of).map_err(Unread::Refused)?;
        let records = tips.into_iter().map(|(key, seq, hash)| (key.1, seq, hash)).collect();
        let known = reader.document(self.founding.space, &subject.name);
        let known = known.map_err(|fault| Unread::Refused(fault.to_string()))?;
        let heads = known.heads.iter().map(|head| head.0).collect();
        Ok(convergence::Shown { node, document, records, heads, json: None })
    }

    fn json_at(&self, node: usize, name: &DocumentName) -> Result<String, Unread> {
        let read =
            self.view_at(node, name, |document| document.read(None, None).map(|json| json.to_text()))?;
        read.map_err(|fault| Unread::Refused(fault.to_string()))
    }

    /// What a node holds, does not show, and gives no reason for.
    fn hidden(&mut self, node: usize, subject: &mut Subject, here: &convergence::Shown) {
        if self.is_rotten(node) {
            return;
        }
        let causality = &subject.causality;
        let past =
            subject.pasts.entry(here.heads.clone()).or_insert_with_key(|heads| causality.past_of(heads));
        let mut without_reason = Vec::new();
        for (actor, held, _) in &here.records {
            let key = (here.document.clone(), *actor);
            let shown = past.get(actor).copied().unwrap_or(0);
            if shown >= *held || self.oracle.ledger.is_founding(&key) {
                continue;
            }
            let Some(reader) = self.world.node(node).reader() else { return };
            let run = self.oracle.ledger.run(&key).map_or(&[][..], Vec::as_slice);
            for (place, entry) in run.iter().enumerate().take(*held as usize).skip(shown as usize) {
                if !self.has_reason(reader.store(), &subject.name, entry.hash) {
                    without_reason.push(place as u64 + 1);
                }
            }
        }
        self.count_check(3);
        let hidden = Hidden { node, document: here.document.clone(), without_reason };
        if let Some(found) = durability::check_hidden(&hidden) {
            self.find(found);
        }
    }

    /// Whether a node keeps a change out of a document and says why.
    pub(super) fn is_quarantined(&self, node: usize, document: &str, hash: Hash) -> bool {
        let reader = self.world.node(node).reader();
        let name = DocumentName::new(document).ok();
        reader.zip(name).is_some_and(|(reader, name)| self.has_reason(reader.store(), &name, hash))
    }

    fn has_reason(&self, store: &dyn StoreRead, name: &DocumentName, hash: Hash) -> bool {
        let key = self.oracle.space_index().quarantined(name, ChangeHash(hash));
        let value = store.value(Table::Quarantine, &key).ok().flatten();
        let kept = value.and_then(|value| record::<QuarantineRecord>(&value, "quarantine record").ok());
        kept.is_some_and(|kept| !kept.reason.is_empty())
    }

    /// Holds the JSON of a document against the acknowledged writes in its view.
    fn shows(&mut self, node: usize, subject: &Subject, here: &convergence::Shown, occasion: Occasion) {
        let Some(json) = here.json.as_deref().and_then(|text| serde_json::from_str(text).ok()) else {
            return;
        };
        if occasion == Occasion::End {
            self.counts_right(node, subject, &json);
        }
        let Some(past) = subject.pasts.get(&here.heads) else { return };
        let in_view = |written: &&Written| {
            let change = self.oracle.ledger.change(subject.name.as_str(), &written.hash);
            change.is_some_and(|(key, seq, _)| past.get(&key.1).is_some_and(|shown| *shown >= seq))
        };
        let written: Vec<&Written> =
            self.written.get(&subject.number).into_iter().flatten().filter(in_view).collect();
        let effects = written.iter().map(|one| {
            let by = |other: &&&Written| {
                other.place == one.place && subject.causality.rests_on(&one.hash, &other.hash)
            };
            Effect {
                place: one.place,
                value: one.value.clone(),
                replaced: one.place != Place::Item && written.iter().any(|other| by(&other)),
                may_repeat: one.may_repeat,
            }
        });
        let document = here.document.clone();
        let (perhaps, asked) = (subject.perhaps.clone(), subject.asked.clone());
        let reading = Reading { node, document, effects: effects.collect(), json, perhaps, asked };
        *self.checks.entry(3).or_default() += reading.effects.len() as u64;
        for finding in durability::check_shown(&reading) {
            self.find(finding);
        }
    }

    /// Holds a counter against the increments that were made.
    fn counts_right(&mut self, node: usize, subject: &Subject, json: &serde_json::Value) {
        let destroyed = (0..self.world.nodes().len()).any(|node| self.destroyed_ever(node));
        let Some((sure, perhaps)) = self.increments.get(&subject.number).copied() else { return };
        let value = json.get("counter").map(|value| value.get("$counter").unwrap_or(value));
        let value = value.and_then(|value| value.as_i64());
        if destroyed || self.oracle.ledger.missing(node) > 0 {
            return;
        }
        self.count_check(9);
        let name = subject.name.as_str();
        if let Some(found) = idempotence::check_counter(node, name, value, sure, perhaps) {
            self.find(found);
        }
    }
}
