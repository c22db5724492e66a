//! What came to nodes by gossip and was not held afterwards: changes that wait for others, and changes that
//! vanished although the node said that it has them.

use std::collections::BTreeMap;

use starling_crdt::replica::Verdict;

use super::run::Run;
use crate::oracle::ledger::RunKey;
use crate::properties::{authenticity, durability};
use crate::record::Received;
use crate::world::queue::Time;

/// Receipts that are remembered; what came later is told without them.
const RECEIPTS_MAX: usize = 20_000;

/// The first receipt of each delta that its receiver did not hold then, by receiver, run and last change, with the
/// place of its first.
pub(super) type Receipts = BTreeMap<(usize, RunKey, u64), (u64, Received)>;

impl Run<'_> {
    /// A node judged a change that came by gossip.
    pub(super) fn took(&mut self, at: Time, node: usize, from: usize, message: u32, verdict: Verdict) {
        if !self.is_honest(node) {
            return;
        }
        let Some(delta) = self.world.delta_of(message) else { return };
        let sent = delta.delta();
        let (key, seq) = ((sent.document.as_str().to_owned(), sent.actor.0), delta.last_seq());
        let (first, hash, signature) = (sent.first_seq, delta.last_hash().0, sent.signature.0);
        let (author, accepted) = (delta.author(), verdict == Verdict::Accept);
        if accepted && let Some(liar) = self.world.forger(&hash, &signature) {
            let author = self.world.nodes_of(author).next().unwrap_or(liar);
            let found = authenticity::accepted(node, &key.0, author, seq).sent_by(Some(liar));
            self.find(found);
        }
        self.count_check(3);
        if self.holds(node, &key, seq) {
            return;
        }
        let Some((_, _, entry)) = self.oracle.ledger.change(&key.0, &hash) else { return };
        let (write, author) = (entry.number, entry.author);
        let lacking = entry.dependencies.iter().filter_map(|on| self.oracle.ledger.change(&key.0, on));
        let lacking =
            lacking.filter(|(key, seq, _)| !self.holds(node, key, *seq)).min_by_key(|one| one.2.number);
        let before = lacking.map(|(_, _, entry)| (entry.number, entry.author));
        if accepted && !self.is_harmed(node) && !self.stores(node, &key, seq) {
            let name = |node: usize| self.world.node(node).name.clone();
            let vanished = durability::Vanished {
                node,
                document: key.0.clone(),
                author,
                write,
                from: name(from),
                before: before.map(|(write, author)| (write, name(author))),
            };
            let found = durability::check_vanished(&vanished);
            self.find(found);
        }
        if self.receipts.len() < RECEIPTS_MAX {
            let before = before.map(|(write, _)| write);
            let received = Received { at_us: at, from: from as u32, accepted, before };
            self.receipts.entry((node, key, seq)).or_insert((first, received));
        }
    }

    /// Whether a node is known to hold a change.
    fn holds(&self, node: usize, key: &RunKey, seq: u64) -> bool {
        let held = self.oracle.ledger.holdings().get(node).and_then(|holding| holding.tips.get(key));
        held.is_some_and(|(held, _)| *held >= seq)
    }

    /// Whether a node's store says that it holds a change, whatever has been heard of it.
    fn stores(&self, node: usize, key: &RunKey, seq: u64) -> bool {
        let Some(reader) = self.world.node(node).reader() else { return true };
        let of = [key.0.as_bytes(), &[0]].concat();
        // A store that cannot be read says nothing.
        let Ok(tips) = self.oracle.frontiers(reader.store(), &of) else { return true };
        tips.iter().any(|(held, last, _)| held == key && *last >= seq)
    }

    /// How a change came to a node that was without it.
    pub(super) fn received(&self, node: usize, key: &RunKey, seq: u64) -> Option<Received> {
        let (from, to) = ((node, key.clone(), seq), (node, key.clone(), u64::MAX));
        let mut later = self.receipts.range(from..=to).map(|(_, receipt)| receipt);
        later.find(|(first, _)| *first <= seq).map(|(_, received)| received.clone())
    }
}
