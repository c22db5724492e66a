//! Families of histories: a start everybody knows, who may sign what after it, and how much.

use super::behaviour::{authorised, floor, holdings, honest_change, honest_statement, hostile_changes};
use super::records::{Change, Document, Effect, History, Key, Kind, Known, Prefix, Record, Role, Statement};
use super::set::Set;
use std::collections::BTreeSet;

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds one to the counter.
    Count,
    /// Writes the register.
    Put,
    /// Deletes the document.
    Delete,
}

impl Edit {
    fn effect(self, name: usize) -> Effect {
        match self {
            Self::Count => Effect { increments: Set::one(name), ..Effect::default() },
            Self::Put => Effect { put: Some(name), ..Effect::default() },
            Self::Delete => Effect { deletes: true, ..Effect::default() },
        }
    }
}

/// Something a participant may do at any time.
#[derive(Clone, Debug)]
pub enum Move {
    /// An honest author edits what it shows.
    Write(Key, Document, Edit),
    /// A hostile author signs any sound change.
    Forge(Key, Document, Edit),
    /// An honest admin or member issues a statement.
    Issue(Key, Kind),
    /// A hostile one does, from any past, accepting everything it cites or nothing.
    Plot(Key, Kind),
    /// A key joins by any invite with this witness.
    Join(Key, Key),
}

/// A start, who does what after it, and how many records are added.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name in messages.
    pub name: &'static str,
    /// What has happened before.
    pub start: History,
    /// What everybody knows.
    pub common: Known,
    /// Records added.
    pub depth: usize,
    /// Most statements added.
    pub statements_max: usize,
    /// Most changes added.
    pub changes_max: usize,
    /// What may happen.
    pub moves: Vec<Move>,
    /// Interchangeable keys: permutations under which the start and the moves are the same.
    pub permutations: Vec<Vec<Key>>,
    /// Keys that behave.
    pub honest: Set,
    /// Whether hostile authors also sign what they have no right to.
    pub unauthorised: bool,
    /// Whether lost edits are to be re-issued.
    pub recovers: bool,
    /// The two nodes that re-issue, each by the keys it has had in turn.
    pub recovering: [Vec<Key>; 2],
}

impl Family {
    /// A family with nothing allowed yet: a founder, key 0, and the grants it made one after the
    /// other.
    #[must_use]
    pub fn new(name: &'static str, grants: &[(Key, Role)]) -> Self {
        let mut start = History { founders: Set::one(0), ..History::default() };
        for &(to, role) in grants {
            let past = Set::below(start.statements.len());
            start.add_statement(Statement {
                issuer: 0,
                past,
                kind: Kind::Grant { to, role, prefix: Prefix::All },
                time: 0,
            });
        }
        let common = start.all();
        Self {
            name,
            start,
            common,
            depth: 0,
            statements_max: 0,
            changes_max: 0,
            moves: Vec::new(),
            permutations: vec![Vec::new()],
            honest: Set::below(3),
            unauthorised: false,
            recovers: false,
            recovering: [vec![1], vec![2]],
        }
    }

    /// A change everybody knows, on everything before it.
    ///
    /// # Panics
    ///
    /// When the start gave the author no right to it.
    #[must_use]
    pub fn with_change(mut self, author: Key, edit: Edit) -> Self {
        let effect = edit.effect(self.start.changes.len());
        let made = honest_change(&self.start, &self.start.all(), author, 0, effect);
        self.start.add_change(made.expect("the start grants its writers their right"));
        self.common = self.start.all();
        self
    }

    /// A statement everybody knows.
    ///
    /// # Panics
    ///
    /// When the start gave the issuer no right to it.
    #[must_use]
    pub fn with_statement(mut self, issuer: Key, kind: Kind) -> Self {
        let made = honest_statement(&self.start, &self.start.all(), issuer, kind);
        self.start.add_statement(made.expect("the start grants its admins their right"));
        self.common = self.start.all();
        self
    }

    /// Every history with one record more, and that record.
    #[must_use]
    pub fn extend(&self, history: &History) -> Vec<(History, Record)> {
        let statements_left = history.statements.len() < self.start.statements.len() + self.statements_max;
        let changes_left = history.changes.len() < self.start.changes.len() + self.changes_max;
        let mut extended = Vec::new();
        for next in &self.moves {
            match next {
                Move::Write(..) | Move::Forge(..) if changes_left => {
                    for change in self.changes(history, next) {
                        let mut longer = history.clone();
                        let id = longer.add_change(change);
                        extended.push((longer, Record::Change(id)));
                    }
                }
                Move::Issue(..) | Move::Plot(..) | Move::Join(..) if statements_left => {
                    for statement in self.statements(history, next) {
                        let mut longer = history.clone();
                        let id = longer.add_statement(statement);
                        extended.push((longer, Record::Statement(id)));
                    }
                }
                _ => {}
            }
        }
        extended
    }

    fn changes(&self, history: &History, next: &Move) -> BTreeSet<Change> {
        let name = history.changes.len();
        match *next {
            Move::Write(author, document, edit) => {
                let held = holdings(history, floor(history, self.common, author));
                let made = held
                    .iter()
                    .filter_map(|known| honest_change(history, known, author, document, edit.effect(name)));
                made.collect()
            }
            Move::Forge(author, document, edit) => {
                hostile_changes(history, self.common, author, document, edit.effect(name), self.unauthorised)
                    .into_iter()
                    .collect()
            }
            _ => BTreeSet::new(),
        }
    }

    fn statements(&self, history: &History, next: &Move) -> BTreeSet<Statement> {
        match *next {
            Move::Issue(issuer, ref kind) => self.issued(history, issuer, kind),
            Move::Plot(issuer, ref kind) => self.plotted(history, issuer, kind),
            Move::Join(joiner, witness) => self.joined(history, joiner, witness),
            _ => BTreeSet::new(),
        }
    }

    fn issued(&self, history: &History, issuer: Key, kind: &Kind) -> BTreeSet<Statement> {
        let mut made = BTreeSet::new();
        for known in holdings(history, floor(history, self.common, issuer)) {
            for kind in self.concretely(history, kind) {
                let statement = honest_statement(history, &known, issuer, kind);
                made.extend(statement.into_iter().flat_map(|made| with_distrust(history, made)));
            }
        }
        made
    }

    fn plotted(&self, history: &History, issuer: Key, kind: &Kind) -> BTreeSet<Statement> {
        let mut made = BTreeSet::new();
        for past in self.statement_pasts(history) {
            let kinds = self.concretely(history, kind);
            for kind in kinds.iter().flat_map(|kind| plots(kind, past, self.start.all().changes)) {
                let statement = Statement { issuer, past, kind, time: 0 };
                let inert = self.unauthorised.then(|| statement.clone());
                made.extend(authorised(history, statement).or(inert));
            }
        }
        made
    }

    fn joined(&self, history: &History, joiner: Key, witness: Key) -> BTreeSet<Statement> {
        let mut made = BTreeSet::new();
        for past in self.statement_pasts(history) {
            for kind in self.concretely(history, &Kind::Join { invite: 0, witness }) {
                let join = Statement { issuer: joiner, past, kind, time: 0 };
                let known = Known { statements: past, ..Known::default() };
                if !self.honest.contains(witness) || self.would_witness(history, &known, &join) {
                    made.extend(authorised(history, join));
                }
            }
        }
        made
    }

    /// An honest witness counts the joins it knows and lets no removed key in.
    fn would_witness(&self, history: &History, known: &Known, join: &Statement) -> bool {
        let Kind::Join { invite, witness } = join.kind else {
            return false;
        };
        let Kind::Invite { uses, .. } = history.statements[invite].kind else {
            return false;
        };
        let witnessed_before = floor(history, self.common, witness).statements.is_subset(known.statements);
        let joiners: Set = known
            .statements
            .iter()
            .filter(
                |&id| matches!(history.statements[id].kind, Kind::Join { invite: of, .. } if of == invite),
            )
            .map(|id| history.statements[id].issuer)
            .collect();
        let removed = known
            .statements
            .iter()
            .any(|id| matches!(history.statements[id].kind, Kind::Revoke { of, .. } if of == join.issuer));
        witnessed_before && joiners.without(join.issuer).len() < uses && !removed
    }

    /// Every closed set of statements that contains the common ones.
    fn statement_pasts(&self, history: &History) -> Vec<Set> {
        let statements = History { changes: Vec::new(), proofs: Vec::new(), ..history.clone() };
        let floor = Known { statements: self.common.statements, ..Known::default() };
        holdings(&statements, floor).into_iter().map(|known| known.statements).collect()
    }

    /// A kind for every invite it may speak of, if it speaks of one.
    fn concretely(&self, history: &History, kind: &Kind) -> Vec<Kind> {
        let invites = (0..history.statements.len())
            .filter(|&id| matches!(history.statements[id].kind, Kind::Invite { .. }));
        match *kind {
            Kind::Join { witness, .. } => invites.map(|invite| Kind::Join { invite, witness }).collect(),
            Kind::Close { accepts, .. } => invites.map(|invite| Kind::Close { invite, accepts }).collect(),
            ref kind => vec![kind.clone()],
        }
    }
}

/// The statement, and for a revocation the same by an admin who accepts nothing the key stated.
fn with_distrust(history: &History, statement: Statement) -> Vec<Statement> {
    let Kind::Revoke { of, scope, accepts, frontier } = statement.kind else {
        return vec![statement];
    };
    let by = |id: usize| history.statements[id].issuer == of;
    let untouched = |&id: &usize| !by(id) && !history.statements[id].past.iter().any(by);
    let accepts = accepts.iter().filter(untouched).collect();
    vec![Statement { kind: Kind::Revoke { of, scope, accepts, frontier }, ..statement.clone() }, statement]
}

/// What a hostile issuer may accept: all it cites and all everybody knows, or nothing.
fn plots(kind: &Kind, past: Set, common: Set) -> Vec<Kind> {
    match *kind {
        Kind::Revoke { of, scope, .. } => vec![
            Kind::Revoke { of, scope, accepts: past, frontier: common },
            Kind::Revoke { of, scope, accepts: Set::EMPTY, frontier: Set::EMPTY },
        ],
        Kind::Succession { to, .. } => vec![Kind::Succession { to, accepts: past, frontier: common }],
        Kind::Close { invite, .. } => {
            vec![Kind::Close { invite, accepts: past }, Kind::Close { invite, accepts: Set::EMPTY }]
        }
        ref kind => vec![kind.clone()],
    }
}
