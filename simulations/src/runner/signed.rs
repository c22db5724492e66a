//! Signatures, checked anew: whether what a node takes for somebody's work was signed by them, and whether
//! a fork that it speaks of is one.

use sha2::{Digest, Sha256};
use starling_crdt::codec;
use starling_crdt::delta::Delta;
use starling_crdt::id::{Actor, AuthorKey, DocumentName};
use starling_crdt::incarnation::Incarnation;
use starling_crdt::store::tables::{DeltaRecord, ForkRecord, delta_key, record};
use starling_crdt::store::{StoreRead, Table};

use super::run::Run;
use crate::oracle::ledger::{RunKey, Wrong};
use crate::oracle::{self, chunk};
use crate::properties::Finding;
use crate::properties::authenticity::{self, Signed, Taken};
use crate::scenario::Role;

impl Run<'_> {
    /// While somebody lies, signatures are looked at with every change, so that what is found is found
    /// next to its cause; otherwise sweeps do.
    pub(super) fn look_at_authors(&mut self, node: usize, document: &str) {
        if !self.is_honest(node) || self.world.nodes().iter().all(|node| node.hostile.is_none()) {
            return;
        }
        let Some(reader) = self.world.node(node).reader() else { return };
        let Some(holding) = self.oracle.ledger.holdings().get(node) else { return };
        let (first, last) = ((document.to_owned(), [0; 16]), (document.to_owned(), [0xff; 16]));
        let keys = holding.tips.range(first..=last).map(|(key, _)| key);
        let found: Vec<Finding> = keys.flat_map(|key| self.unsigned(node, reader.store(), key)).collect();
        self.count_check(5);
        for finding in found {
            self.find(finding);
        }
    }

    /// Deltas of a run that nobody signed who may.
    pub(super) fn unsigned(&self, node: usize, store: &dyn StoreRead, key: &RunKey) -> Vec<Finding> {
        let index = self.oracle.space_index();
        let actor = Actor(key.1);
        let Ok(name) = DocumentName::new(key.0.as_str()) else { return Vec::new() };
        let Ok(rows) = oracle::rows(store, Table::Deltas, &index.actor_rows(&name, actor)) else {
            return Vec::new();
        };
        let Some(author) = self.author_in(store, actor) else {
            return vec![
                Finding::at(5, node, "shows changes of an actor without an author").in_document(&key.0),
            ];
        };
        let mut found = Vec::new();
        for (row, value) in rows {
            let digest: [u8; 32] = Sha256::digest([row.as_slice(), &value].concat()).into();
            if delta_key(&row).is_none() || self.oracle.has_verified(&digest) {
                continue;
            }
            let Ok(delta) = record::<DeltaRecord>(&value, "delta record") else { continue };
            let chunks = delta.changes.iter().map(|bytes| bytes.as_slice());
            let Some(signed) = self.signed(node, key, author, chunks, delta.signature, Taken::Work) else {
                continue;
            };
            match self.judged(&signed, author) {
                Some(finding) => found.push(finding),
                None => self.oracle.note_verified(digest),
            }
        }
        found
    }

    /// The author that a node's store names for an actor.
    fn author_in(&self, store: &dyn StoreRead, actor: Actor) -> Option<AuthorKey> {
        let key = self.oracle.space_index().incarnation(actor);
        let certificate = store.value(Table::Incarnations, &key).ok().flatten()?;
        record::<Incarnation>(&certificate, "incarnation").ok().map(|incarnation| incarnation.author)
    }

    /// Changes and their signature, as a node takes them.
    fn signed<'a>(
        &self,
        node: usize,
        key: &RunKey,
        author: AuthorKey,
        chunks: impl Iterator<Item = &'a [u8]>,
        signature: [u8; 64],
        taken: Taken,
    ) -> Option<Signed> {
        let changes: Vec<chunk::Change> = chunks.map(chunk::read).collect::<Option<_>>()?;
        let last = changes.last()?;
        let place = self.world.nodes_of(author).next();
        let may_write =
            place.and_then(|place| self.plans.get(place)).is_some_and(|plan| plan.group.role != Role::Reader);
        Some(Signed {
            taken,
            node,
            space: self.founding.space.0,
            document: key.0.clone(),
            actor: key.1,
            last_seq: last.seq,
            last_hash: last.hash,
            author: author.0,
            signature,
            may_write,
            is_chain: authenticity::is_chain(&key.1, &changes),
        })
    }

    /// What is wrong with them, with the node in whose name they were made and the one that sent them.
    fn judged(&self, signed: &Signed, author: AuthorKey) -> Option<Finding> {
        let found = authenticity::check(signed)?;
        let sender = self.world.forger(&signed.last_hash, &signed.signature).or(self.only_liar());
        let found = found.sent_by(sender);
        Some(match self.world.nodes_of(author).next() {
            Some(place) => found.about(place).since(0),
            None => found,
        })
    }

    /// The one node that did not keep to the protocol, if only one did not.
    fn only_liar(&self) -> Option<usize> {
        let mut liars = self.oracle.hostile.iter();
        liars.next().copied().filter(|_| liars.next().is_none())
    }

    /// What is forged about a fork that a node speaks of; nothing if its author really signed both sides.
    pub(super) fn forged_fork(&self, node: usize, wrong: &Wrong) -> Vec<Finding> {
        let Wrong::Forked { author, actor, document, seq } = wrong else { return Vec::new() };
        let Some(reader) = self.world.node(node).reader() else { return Vec::new() };
        let store = reader.store();
        let own = actor.map(|actor| self.unsigned(node, store, &(document.clone(), actor)));
        let own = own.unwrap_or_default();
        if own.is_empty() { self.forged_proofs(node, store, document, (*author, *seq)) } else { own }
    }

    /// Deltas among a node's proofs that one author forked at one place of a document, and did not sign.
    fn forged_proofs(
        &self,
        node: usize,
        store: &dyn StoreRead,
        document: &str,
        (author, seq): (usize, u64),
    ) -> Vec<Finding> {
        let Ok(name) = DocumentName::new(document) else { return Vec::new() };
        let prefix = self.oracle.space_index().document_rows(&name);
        let rows = oracle::rows(store, Table::Forks, &prefix).unwrap_or_default();
        let mut found = Vec::new();
        for (row, value) in rows {
            let Some((actor, proven)) = delta_key(&row) else { continue };
            let Some(key) = self.author_in(store, actor) else { continue };
            if proven != seq || key != self.world.node(author).key {
                continue;
            }
            let Ok(proof) = record::<ForkRecord>(&value, "fork record") else { continue };
            for side in [&proof.first, &proof.second] {
                let Ok(delta) = codec::decode::<Delta>(side, "delta") else { continue };
                let chunks = delta.changes.iter().map(|bytes| bytes.as_slice());
                let run = (document.to_owned(), actor.0);
                let signed = self.signed(node, &run, key, chunks, delta.signature.0, Taken::Proof);
                found.extend(signed.and_then(|signed| self.judged(&signed, key)));
            }
        }
        found
    }
}
