//! The charter of a space: who may do what, as a pure function of signed statements.
//!
//! A space begins with a [`Genesis`], whose hash is its [`SpaceId`] and whose founders are its first
//! admins. Everything after is a [`Statement`], signed by its issuer and citing the statement tips
//! the issuer knew: a DAG. Whether a statement takes effect follows from its own closure alone
//! (what it cites, what that cites, and so on to the genesis), so equal sets of statements give
//! equal verdicts, whatever the order of arrival.
//!
//! Promises: no clock decides (expiry of an invite is checked once, by the witness of a join); a
//! [`VerifiedStatement`] exists only with checked signatures; statements without effect are never
//! counted in fingerprints and never passed on; everything is bounded.
//!
//! Leaves out: revocation, succession and clearing, which are further kinds of statement. A kind
//! this version does not know is refused by name, and what cites it waits.

mod genesis;
mod graph;
mod invite;
mod label;
mod members;
mod right;
mod statement;
mod ticket;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

pub use genesis::{Genesis, GenesisError, Policy};
pub use invite::{InviteState, JoinRefused, JoinRequest};
pub use label::{Label, LabelError};
pub use members::{Admitted, Member};
pub use right::{Prefix, PrefixError, Right, Role, covers};
pub use statement::{
    CloseInvite, Grant, Invite, Join, Statement, StatementBody, StatementError, VerifiedStatement,
};
pub use ticket::{Ticket, TicketError};
pub use verdict::VoidReason;

use graph::Graph;
use members::Grounds;

use crate::codec::Signable;
use crate::id::{AuthorKey, DocumentName, SpaceId, StatementId};
use crate::identity::{BadSignature, Identity};
use crate::limits::{STATEMENT_TIPS_TOLD_MAX, STATEMENTS_JOINS_MAX, STATEMENTS_MAX, TIPS_MAX};
use crate::time::WallTime;

/// What became of a statement that was inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It was judged, and with it the waiting statements it released. It is itself the first of one
    /// of the two lists.
    New {
        /// Statements that took effect, in causal order.
        effective: Vec<StatementId>,
        /// Statements without effect, with the reason.
        void: Vec<(StatementId, VoidReason)>,
    },
    /// It was held already.
    Known,
    /// It cites statements that are not here yet, and waits for them.
    Waiting {
        /// What to ask others for.
        missing: Vec<StatementId>,
    },
}

/// Why a statement was not taken in at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// It belongs to another space.
    #[error("the statement belongs to space {0}")]
    ForeignSpace(SpaceId),
    /// This node's bound on statements is reached. The charter stays as it is.
    #[error("the charter is full: it holds {0} statements")]
    Full(usize),
}

/// Why a statement cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// It would have no effect.
    #[error("the statement would have no effect: {0}")]
    Void(#[from] VoidReason),
    /// The signatures inside a join do not match.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// An incarnation cites statements this charter cannot judge by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} cited statements are missing here, {} are without effect", missing.len(), void.len())]
pub struct MissingTips {
    /// What to ask others for.
    pub missing: Vec<StatementId>,
    /// Cited although without effect: asking for them does not help, no honest node cites them.
    pub void: Vec<StatementId>,
}

/// The charter of one space as this node knows it.
#[derive(Debug, Clone)]
pub struct Charter {
    genesis: Genesis,
    space: SpaceId,
    graph: Graph,
    grounds: BTreeMap<AuthorKey, Vec<Grounds>>,
    invites: BTreeMap<StatementId, InviteState>,
    joins: usize,
    fingerprint: u64,
}

impl Charter {
    /// The charter that holds nothing but its genesis.
    pub fn new(genesis: Genesis) -> Self {
        let space = genesis.space_id();
        Self {
            genesis,
            space,
            graph: Graph::default(),
            grounds: BTreeMap::new(),
            invites: BTreeMap::new(),
            joins: 0,
            fingerprint: 0,
        }
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// Takes a statement in. Idempotent; any order of arrival ends in the same charter.
    ///
    /// # Errors
    /// [`InsertError`] when it belongs elsewhere or the charter is full; nothing has changed then.
    pub fn insert(&mut self, statement: VerifiedStatement) -> Result<Inserted, InsertError> {
        if statement.space != self.space {
            return Err(InsertError::ForeignSpace(statement.space));
        }
        let id = statement.id();
        if self.graph.holds(id) {
            return Ok(Inserted::Known);
        }
        let missing = self.graph.missing(&statement.tips);
        if !missing.is_empty() {
            self.graph.wait(statement);
            return Ok(Inserted::Waiting { missing });
        }
        self.room_for(&statement.body)?;
        let (mut effective, mut void) = (Vec::new(), Vec::new());
        let mut ready = vec![statement];
        // Each round judges one statement and takes it from what waits, so it ends.
        while let Some(statement) = ready.pop() {
            let id = statement.id();
            if self.room_for(&statement.body).is_err() {
                continue;
            }
            match self.judge(&statement) {
                Ok(()) => {
                    self.take_effect(statement);
                    effective.push(id);
                }
                Err(reason) => {
                    self.graph.set_void(id, reason);
                    void.push((id, reason));
                }
            }
            ready.extend(self.graph.release(id));
        }
        Ok(Inserted::New { effective, void })
    }

    /// Signs `body` as `issuer`, citing what this charter knows. The statement is not inserted.
    ///
    /// # Errors
    /// [`IssueError`] when the statement would have no effect, or a join's signatures are wrong.
    pub fn issue(
        &self,
        issuer: &Identity,
        time: WallTime,
        body: StatementBody,
    ) -> Result<VerifiedStatement, IssueError> {
        let tips = self.citing(issuer.key(), body.invite());
        let statement = Statement::sign(issuer, self.space, tips, time, body).verify()?;
        self.judge(&statement)?;
        Ok(statement)
    }

    /// The statements in effect that no other in effect cites, sorted: what a new incarnation or
    /// statement cites. At most [`TIPS_MAX`]; of more, those that took effect here first.
    pub fn tips(&self) -> Vec<StatementId> {
        self.graph.tips(TIPS_MAX, &[])
    }

    /// As [`Self::tips`], and certain to carry the rights of `author` even when there are more tips
    /// than may be cited.
    pub fn tips_for(&self, author: AuthorKey) -> Vec<StatementId> {
        self.citing(author, None)
    }

    /// What `author` may do by all statements known, without rights that others imply.
    pub fn rights_of(&self, author: AuthorKey) -> Vec<Right> {
        let granted = self.grounds.get(&author).into_iter().flatten();
        self.with_founding(author, granted.map(|grounds| grounds.right.clone()))
    }

    /// What `author` may do by the closure of `tips`: what an incarnation that cites them may rest
    /// on.
    ///
    /// # Errors
    /// [`MissingTips`] when some tips are not here, or are here without effect.
    pub fn rights_at(&self, author: AuthorKey, tips: &[StatementId]) -> Result<Vec<Right>, MissingTips> {
        let cited = self.cited(tips)?;
        Ok(self.rights_within(author, &cited))
    }

    /// Whether `author` may read `document`.
    pub fn may_read(&self, author: AuthorKey, document: &DocumentName) -> bool {
        self.may(author, Role::Reader, document)
    }

    /// Whether `author` may write `document`.
    pub fn may_write(&self, author: AuthorKey, document: &DocumentName) -> bool {
        self.may(author, Role::Writer, document)
    }

    /// Whether `author` administers the whole space.
    pub fn is_admin(&self, author: AuthorKey) -> bool {
        covers(&self.rights_of(author), Role::Admin, None)
    }

    /// Whether any statement in effect, or the genesis, admits `author`.
    pub fn is_member(&self, author: AuthorKey) -> bool {
        self.genesis.is_founder(author) || self.grounds.contains_key(&author)
    }

    /// Order-independent sum over the statements in effect: equal sets give equal fingerprints. For
    /// comparing with a peer, not a proof: it is 64 bits, and a sum rather than an exclusive or
    /// because subsets that vanish under the latter are found by plain linear algebra.
    pub fn fingerprint(&self) -> [u8; 8] {
        self.fingerprint.to_be_bytes()
    }

    /// Number of statements in effect.
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// Whether there is nothing but the genesis.
    pub fn is_empty(&self) -> bool {
        self.graph.len() == 0
    }

    /// The statements in effect, sorted.
    pub fn ids(&self) -> impl Iterator<Item = StatementId> + '_ {
        self.graph.ids()
    }

    /// A statement in effect.
    pub fn statement(&self, id: StatementId) -> Option<&VerifiedStatement> {
        self.graph.position(id).map(|position| self.graph.statement(position))
    }

    /// The statements in effect in causal order: each after those it cites.
    pub fn statements(&self) -> impl Iterator<Item = &VerifiedStatement> {
        self.graph.statements()
    }

    /// Tips to tell a peer, sorted, at most [`STATEMENT_TIPS_TOLD_MAX`]: whoever holds all of them holds
    /// this charter.
    pub fn told_tips(&self) -> Vec<StatementId> {
        self.graph.tips(STATEMENT_TIPS_TOLD_MAX, &[])
    }

    /// The statements in effect that neither are among `tips` nor cited by them, in causal order: what to
    /// send a peer that holds those. Tips that are not in effect here are passed over.
    pub fn beyond(&self, tips: &[StatementId]) -> impl Iterator<Item = &VerifiedStatement> {
        let known: Vec<usize> = tips.iter().filter_map(|tip| self.graph.position(*tip)).collect();
        let held = self.graph.closure(&known);
        let statements = self.graph.statements().enumerate();
        statements.filter(move |(position, _)| !held.contains(*position)).map(|(_, statement)| statement)
    }

    /// Statements known to be without effect, the longest known first, with the reason.
    pub fn void(&self) -> impl Iterator<Item = (StatementId, VoidReason)> + '_ {
        self.graph.void()
    }

    /// What waiting statements wait for.
    pub fn wanted(&self) -> BTreeSet<StatementId> {
        self.graph.wanted()
    }

    /// Founders and everyone a statement in effect admitted, ordered by key.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        let admitted = self.grounds.keys().copied();
        let keys: BTreeSet<AuthorKey> = self.genesis.founders().iter().copied().chain(admitted).collect();
        keys.into_iter().filter_map(|key| self.member(key))
    }

    /// One member.
    pub fn member(&self, key: AuthorKey) -> Option<Member> {
        members::member(self, key)
    }

    /// All invites in effect, ordered by statement.
    pub fn invites(&self) -> impl Iterator<Item = &InviteState> {
        self.invites.values()
    }

    /// One invite.
    pub fn invite(&self, invite: StatementId) -> Option<&InviteState> {
        self.invites.get(&invite)
    }

    /// What to cite so that the rights of `author` and the invite spoken of are in the closure.
    fn citing(&self, author: AuthorKey, invite: Option<StatementId>) -> Vec<StatementId> {
        let invite = invite.and_then(|invite| self.graph.position(invite));
        let grounds = self.grounds.get(&author).into_iter().flatten();
        let needed = invite.into_iter().chain(grounds.map(|grounds| grounds.statement));
        self.graph.tips(TIPS_MAX, &needed.collect::<Vec<_>>())
    }

    fn may(&self, author: AuthorKey, role: Role, document: &DocumentName) -> bool {
        if self.genesis.is_founder(author) {
            return true;
        }
        let grounds = self.grounds.get(&author).into_iter().flatten();
        grounds.map(|grounds| &grounds.right).any(|right| right.allows(role, document))
    }

    fn room_for(&self, body: &StatementBody) -> Result<(), InsertError> {
        let held = self.graph.len();
        let full = match body {
            StatementBody::Join(_) => self.joins >= STATEMENTS_JOINS_MAX,
            _ => held >= STATEMENTS_MAX,
        };
        if full || held >= STATEMENTS_MAX { Err(InsertError::Full(held)) } else { Ok(()) }
    }

    fn with_founding(&self, author: AuthorKey, granted: impl Iterator<Item = Right>) -> Vec<Right> {
        let founding = self.genesis.is_founder(author).then_some(Right::FOUNDER);
        right::strongest(founding.into_iter().chain(granted))
    }

    fn take_effect(&mut self, statement: VerifiedStatement) {
        let id = statement.id();
        let salted = Signable::new("starling/statement-fingerprint")
            .bytes(self.space.as_bytes())
            .bytes(id.as_bytes())
            .hash();
        let [a, b, c, d, e, f, g, h, ..] = salted;
        let term = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        self.fingerprint = self.fingerprint.wrapping_add(term);
        let position = self.graph.push(statement);
        members::apply(self, position);
        invite::apply(self, position);
    }
}

#[cfg(test)]
mod tests;
