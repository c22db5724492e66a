//! Codes: what stands for a hash in the model.
//!
//! A record's code is mixed from its content and the codes of what it names, so the same records
//! made in another order have the same codes. Claimed times and the names of edits are left out:
//! nothing may depend on them.

use super::records::{ChangeId, History, Kind, Known, Prefix, StatementId};
use super::set::Set;

/// The codes of a history's records under every permutation of interchangeable keys.
pub struct Codes {
    by_permutation: Vec<Coder>,
}

impl Codes {
    /// Computes the codes of every record.
    #[must_use]
    pub fn of(history: &History, permutations: &[Vec<usize>]) -> Self {
        let code = |keys: &Vec<usize>| {
            let mut coder = Coder {
                statements: vec![None; history.statements.len()],
                changes: vec![None; history.changes.len()],
                proofs: Vec::new(),
            };
            for id in 0..history.statements.len() {
                coder.statement(history, keys, id);
            }
            for id in 0..history.changes.len() {
                coder.change(history, keys, id);
            }
            coder.code_proofs(history);
            coder
        };
        Self { by_permutation: permutations.iter().map(code).collect() }
    }

    /// The code of a set of records: the least over the permutations.
    #[must_use]
    pub fn of_set(&self, known: &Known) -> u128 {
        self.by_permutation.iter().map(|coder| coder.sum(known)).min().unwrap_or_default()
    }
}

struct Coder {
    statements: Vec<Option<u128>>,
    changes: Vec<Option<u128>>,
    proofs: Vec<u128>,
}

impl Coder {
    fn sum(&self, known: &Known) -> u128 {
        let part = |codes: &[Option<u128>], set: Set| {
            set.iter().fold(0u128, |sum, id| sum.wrapping_add(codes[id].unwrap_or_default()))
        };
        let proofs = known.proofs.iter().fold(0u128, |sum, id| sum.wrapping_add(self.proofs[id]));
        part(&self.statements, known.statements)
            .wrapping_add(part(&self.changes, known.changes))
            .wrapping_add(proofs)
    }

    fn statements(&mut self, history: &History, keys: &[usize], set: Set) -> u128 {
        set.iter().fold(0, |sum, id| sum.wrapping_add(self.statement(history, keys, id)))
    }

    fn changes(&mut self, history: &History, keys: &[usize], set: Set) -> u128 {
        set.iter().fold(0, |sum, id| sum.wrapping_add(self.change(history, keys, id)))
    }

    fn statement(&mut self, history: &History, keys: &[usize], id: StatementId) -> u128 {
        if let Some(code) = self.statements[id] {
            return code;
        }
        let statement = &history.statements[id];
        let key = |key: usize| keys.get(key).copied().unwrap_or(key) as u128;
        let mut mix = Mix::new(1);
        mix.take(key(statement.issuer)).take(self.statements(history, keys, statement.past));
        match statement.kind {
            Kind::Grant { to, role, prefix } => {
                mix.take(1).take(key(to)).take(role as u128).take(of_prefix(prefix))
            }
            Kind::Revoke { of, scope, accepts, frontier } => {
                mix.take(2).take(key(of)).take(of_prefix(scope));
                mix.take(self.statements(history, keys, accepts)).take(self.changes(history, keys, frontier))
            }
            Kind::Invite { role, prefix, uses } => {
                mix.take(3).take(role as u128).take(of_prefix(prefix)).take(uses as u128)
            }
            Kind::Join { invite, witness } => {
                mix.take(4).take(self.statement(history, keys, invite)).take(key(witness))
            }
            Kind::Close { invite, accepts } => mix
                .take(5)
                .take(self.statement(history, keys, invite))
                .take(self.statements(history, keys, accepts)),
            Kind::Succession { to, accepts, frontier } => {
                mix.take(6).take(key(to));
                mix.take(self.statements(history, keys, accepts)).take(self.changes(history, keys, frontier))
            }
            Kind::Clear { of, proofs, frontier } => {
                let pairs =
                    proofs.iter().map(|id| Set::one(history.proofs[id].one).with(history.proofs[id].other));
                let named =
                    pairs.fold(0u128, |sum, pair| sum.wrapping_add(self.changes(history, keys, pair)));
                mix.take(7).take(key(of)).take(named).take(self.changes(history, keys, frontier))
            }
        };
        self.statements[id] = Some(mix.0);
        mix.0
    }

    fn change(&mut self, history: &History, keys: &[usize], id: ChangeId) -> u128 {
        if let Some(code) = self.changes[id] {
            return code;
        }
        let change = &history.changes[id];
        let run = if change.actor == id { 0 } else { self.change(history, keys, change.actor) };
        let effect = change.effect;
        let mut mix = Mix::new(2);
        mix.take(keys.get(change.author).copied().unwrap_or(change.author) as u128).take(run);
        mix.take(self.statements(history, keys, change.cites)).take(change.document as u128);
        mix.take(change.sequence as u128).take(self.changes(history, keys, change.past));
        mix.take(self.changes(history, keys, change.gives_up)).take(effect.increments.len() as u128);
        mix.take(u128::from(effect.put.is_some())).take(u128::from(effect.deletes));
        self.changes[id] = Some(mix.0);
        mix.0
    }

    fn code_proofs(&mut self, history: &History) {
        let changes = &self.changes;
        let code = |id: ChangeId| changes[id].unwrap_or_default();
        let proof = |pair: &super::records::Proof| {
            let mut mix = Mix::new(3);
            mix.take(code(pair.one).wrapping_add(code(pair.other)));
            mix.0
        };
        self.proofs = history.proofs.iter().map(proof).collect();
    }
}

fn of_prefix(prefix: Prefix) -> u128 {
    match prefix {
        Prefix::All => 0,
        Prefix::Only(document) => document as u128 + 1,
    }
}

/// A mixing function over 128 bits: enough that two states sharing a code is no concern.
struct Mix(u128);

impl Mix {
    fn new(start: usize) -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d ^ start as u128)
    }

    fn take(&mut self, part: u128) -> &mut Self {
        let mixed = (self.0 ^ part).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        self.0 = (mixed ^ mixed >> 61).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 ^= self.0 >> 64;
        self
    }
}
