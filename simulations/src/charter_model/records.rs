//! What is signed: statements, changes and fork proofs, numbered in the order they were made.
//!
//! A record names only records with smaller numbers, as a hash can only name what exists. Every
//! reference is stored as its closure. [`Known`] is what one node holds; it is *closed* when
//! everything a held record needs is held too, which is when a real node counts it as known.

use super::set::Set;

/// A signing key of a member, or the secret key of a ticket.
pub type Key = usize;
/// Number of a statement.
pub type StatementId = usize;
/// Number of a change.
pub type ChangeId = usize;
/// Number of a fork proof.
pub type ProofId = usize;
/// Number of a document.
pub type Document = usize;

/// What a member may do, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Reader,
    /// May read and write documents.
    Writer,
    /// May also issue statements.
    Admin,
}

/// The documents a right or a removal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prefix {
    /// Every document.
    All,
    /// One document, standing for a name prefix.
    Only(Document),
}

impl Prefix {
    /// Whether everything under `other` is under this prefix.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Gives a right.
    Grant {
        /// To whom.
        to: Key,
        /// Which role.
        role: Role,
        /// Over which documents.
        prefix: Prefix,
    },
    /// Takes every right under `scope` that was not given in knowledge of this statement.
    Revoke {
        /// From whom.
        of: Key,
        /// Over which documents.
        scope: Prefix,
        /// The statements the issuer accepts, closed.
        accepts: Set,
        /// The changes the issuer accepts, closed.
        frontier: Set,
    },
    /// Lets whoever holds the ticket's secret join.
    Invite {
        /// With which role.
        role: Role,
        /// Over which documents.
        prefix: Prefix,
        /// How many keys may join, a soft bound.
        uses: usize,
    },
    /// Admits a key by a ticket.
    Join {
        /// The invite whose secret signed this.
        invite: StatementId,
        /// The member who checked expiry and count.
        witness: Key,
    },
    /// Ends a ticket.
    Close {
        /// Which invite.
        invite: StatementId,
        /// The statements, joins among them, the issuer accepts, closed.
        accepts: Set,
    },
    /// The issuer's rights go to a new key; the issuer's own end.
    Succession {
        /// The new key.
        to: Key,
        /// The issuer's own statements that stay, closed.
        accepts: Set,
        /// The issuer's own changes that stay, closed.
        frontier: Set,
    },
    /// An equivocating author may be built on again.
    Clear {
        /// Whom.
        of: Key,
        /// The proofs this answers.
        proofs: Set,
        /// The changes that no fork takes away any more, closed.
        frontier: Set,
    },
}

/// A signed statement. The issuer of a [`Kind::Join`] is the joiner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// The signing key.
    pub issuer: Key,
    /// Every statement in the causal past.
    pub past: Set,
    /// What it says.
    pub kind: Kind,
    /// What the issuer claims the time to be; nothing may depend on it.
    pub time: usize,
}

/// What a change does to its document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// Counter increments of one, each named by the user's edit it carries out.
    pub increments: Set,
    /// A value written to the document's one register, named by the edit.
    pub put: Option<usize>,
    /// Whether it deletes the document.
    pub deletes: bool,
}

/// An automerge change with the facts of its incarnation beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The key that signed the incarnation and the change.
    pub author: Key,
    /// The incarnation; two of them never share a number.
    pub actor: usize,
    /// The statements the incarnation cites, closed.
    pub cites: Set,
    /// The document.
    pub document: Document,
    /// Position in the actor's run in this document, from one.
    pub sequence: usize,
    /// Every change in the causal past.
    pub past: Set,
    /// Proofs that a re-issue answers; it is not admitted before they are held.
    pub answers: Set,
    /// Own changes this one replaces.
    pub gives_up: Set,
    /// What it does.
    pub effect: Effect,
    /// What the author claims the time to be; nothing may depend on it.
    pub time: usize,
}

/// Two signed changes with one (document, actor, sequence number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    /// The smaller of the two.
    pub one: ChangeId,
    /// The larger.
    pub other: ChangeId,
}

/// Everything ever signed in one space.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct History {
    /// Keys named by the genesis.
    pub founders: Set,
    /// Statements by number.
    pub statements: Vec<Statement>,
    /// Changes by number.
    pub changes: Vec<Change>,
    /// Fork proofs by number.
    pub proofs: Vec<Proof>,
}

/// A set of records held by one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// Statements held.
    pub statements: Set,
    /// Changes held.
    pub changes: Set,
    /// Proofs held.
    pub proofs: Set,
}

/// One record of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// A statement.
    Statement(StatementId),
    /// A change.
    Change(ChangeId),
    /// A fork proof.
    Proof(ProofId),
}

impl Known {
    /// Whether everything held here is held by `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.statements.is_subset(other.statements)
            && self.changes.is_subset(other.changes)
            && self.proofs.is_subset(other.proofs)
    }

    /// What either of two nodes holds.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            statements: self.statements.union(other.statements),
            changes: self.changes.union(other.changes),
            proofs: self.proofs.union(other.proofs),
        }
    }

    /// This and one more record.
    #[must_use]
    pub fn with(mut self, record: Record) -> Self {
        match record {
            Record::Statement(id) => self.statements = self.statements.with(id),
            Record::Change(id) => self.changes = self.changes.with(id),
            Record::Proof(id) => self.proofs = self.proofs.with(id),
        }
        self
    }

    /// Whether the record is held.
    #[must_use]
    pub fn contains(&self, record: Record) -> bool {
        self.with(record) == *self
    }
}

impl History {
    /// Every record.
    #[must_use]
    pub fn all(&self) -> Known {
        Known {
            statements: Set::below(self.statements.len()),
            changes: Set::below(self.changes.len()),
            proofs: Set::below(self.proofs.len()),
        }
    }

    /// Every record, statements first.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let statements = (0..self.statements.len()).map(Record::Statement);
        let changes = (0..self.changes.len()).map(Record::Change);
        let proofs = (0..self.proofs.len()).map(Record::Proof);
        statements.chain(changes).chain(proofs)
    }

    /// Whether a node that holds `known` can take `record` in.
    #[must_use]
    pub fn is_ready(&self, known: &Known, record: Record) -> bool {
        match record {
            Record::Statement(id) => self.statements[id].past.is_subset(known.statements),
            Record::Change(id) => {
                let change = &self.changes[id];
                change.cites.is_subset(known.statements)
                    && change.past.is_subset(known.changes)
                    && change.answers.is_subset(self.proofs_seen(known))
            }
            Record::Proof(_) => true,
        }
    }

    /// Proofs held, and those a node can make from two changes it holds.
    #[must_use]
    pub fn proofs_seen(&self, known: &Known) -> Set {
        let made = (0..self.proofs.len()).filter(|&id| {
            known.changes.contains(self.proofs[id].one) && known.changes.contains(self.proofs[id].other)
        });
        made.collect::<Set>().union(known.proofs)
    }

    /// The members of `changes` that no other member depends on.
    #[must_use]
    pub fn heads(&self, changes: Set) -> Set {
        changes.iter().fold(changes, |heads, id| heads.minus(self.changes[id].past))
    }

    /// Whether two changes occupy one place in one actor's run.
    #[must_use]
    pub fn are_siblings(&self, one: ChangeId, other: ChangeId) -> bool {
        let (a, b) = (&self.changes[one], &self.changes[other]);
        one != other && a.actor == b.actor && a.document == b.document && a.sequence == b.sequence
    }

    /// Adds a change and the proofs its arrival makes possible; returns its number.
    pub fn add_change(&mut self, change: Change) -> ChangeId {
        let id = self.changes.len();
        self.changes.push(change);
        let siblings = (0..id).filter(|&other| self.are_siblings(other, id));
        let proofs: Vec<_> = siblings.map(|one| Proof { one, other: id }).collect();
        self.proofs.extend(proofs);
        id
    }

    /// Adds a statement; returns its number.
    pub fn add_statement(&mut self, statement: Statement) -> StatementId {
        self.statements.push(statement);
        self.statements.len() - 1
    }

    /// Changes of one document.
    #[must_use]
    pub fn of_document(&self, document: Document) -> Set {
        (0..self.changes.len()).filter(|&id| self.changes[id].document == document).collect()
    }

    /// The changes an author signed.
    #[must_use]
    pub fn of_author(&self, author: Key) -> Set {
        (0..self.changes.len()).filter(|&id| self.changes[id].author == author).collect()
    }

    /// What must be held for `changes` to be admitted.
    #[must_use]
    pub fn needs(&self, changes: Set) -> Known {
        let all = changes.iter().fold(changes, |all, id| all.union(self.changes[id].past));
        all.iter().fold(Known::default(), |needs, id| {
            let change = &self.changes[id];
            let own =
                Known { statements: change.cites, changes: change.past.with(id), proofs: change.answers };
            needs.union(&own)
        })
    }
}
