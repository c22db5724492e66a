//! Joining by invite: what the joiner asks, what the witness checks, what the charter counts.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::graph::Closure;
use super::{Charter, Invite, Join, Label, StatementBody, Ticket, covers};
use crate::id::{AuthorKey, SpaceId, StatementId};
use crate::identity::{Identity, Signature};
use crate::time::WallTime;

/// What the charter knows about one invite.
#[derive(Debug, Clone)]
pub struct InviteState {
    statement: StatementId,
    issuer: AuthorKey,
    time: WallTime,
    invite: Invite,
    /// Position of each join, and who joined.
    joins: Vec<(usize, AuthorKey)>,
    /// Position of each close.
    closes: Vec<usize>,
}

impl InviteState {
    /// The statement that opened it.
    pub fn statement(&self) -> StatementId {
        self.statement
    }

    /// The admin who opened it.
    pub fn issuer(&self) -> AuthorKey {
        self.issuer
    }

    /// When, by the issuer's clock.
    pub fn time(&self) -> WallTime {
        self.time
    }

    /// What it offers.
    pub fn invite(&self) -> &Invite {
        &self.invite
    }

    /// Who joined by it, as far as known here.
    pub fn joined(&self) -> BTreeSet<AuthorKey> {
        self.joins.iter().map(|(_, member)| *member).collect()
    }

    /// Whether a close is known here.
    pub fn is_closed(&self) -> bool {
        !self.closes.is_empty()
    }

    /// Whether as many joined as may.
    pub fn is_used_up(&self) -> bool {
        self.used_up_within(&Closure::All, self.invite.invite_key)
    }

    /// Whether more joined than may, which happens when joins on two sides of a partition meet.
    pub fn is_overrun(&self) -> bool {
        self.invite.uses.is_some_and(|uses| self.joined().len() > uses as usize)
    }

    /// Whether `wall` lies past its end.
    pub fn is_expired(&self, wall: WallTime) -> bool {
        self.invite.expires.is_some_and(|expires| wall >= expires)
    }

    pub(super) fn closed_within(&self, cited: &Closure) -> bool {
        self.closes.iter().any(|position| cited.contains(*position))
    }

    /// Whether the joins within `cited` leave no room for `joiner`, who needs none if among them.
    pub(super) fn used_up_within(&self, cited: &Closure, joiner: AuthorKey) -> bool {
        let Some(uses) = self.invite.uses else {
            return false;
        };
        let known = self.joins.iter().filter(|(position, _)| cited.contains(*position));
        let joined: BTreeSet<AuthorKey> = known.map(|(_, member)| *member).collect();
        joined.len() >= uses as usize && !joined.contains(&joiner)
    }
}

/// Books what the statement at `position` does to invites.
pub(super) fn apply(charter: &mut Charter, position: usize) {
    let statement = charter.graph.statement(position);
    match &statement.body {
        StatementBody::Invite(invite) => {
            let state = InviteState {
                statement: statement.id(),
                issuer: statement.issuer,
                time: statement.time,
                invite: invite.clone(),
                joins: Vec::new(),
                closes: Vec::new(),
            };
            charter.invites.insert(state.statement, state);
        }
        StatementBody::CloseInvite(close) => {
            if let Some(state) = charter.invites.get_mut(&close.invite) {
                state.closes.push(position);
            }
        }
        StatementBody::Join(join) => {
            charter.joins += 1;
            if let Some(state) = charter.invites.get_mut(&join.invite) {
                state.joins.push((position, join.member));
            }
        }
        StatementBody::Grant(_) => {}
    }
}

/// What somebody with a ticket asks a member to witness.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct JoinRequest {
    /// The space.
    #[n(0)]
    pub space: SpaceId,
    /// The invite.
    #[n(1)]
    pub invite: StatementId,
    /// Who asks.
    #[n(2)]
    pub member: AuthorKey,
    /// What it calls itself.
    #[n(3)]
    pub name: Label,
    /// By the secret in the ticket, over [`Join::signable`].
    #[n(4)]
    pub invite_signature: Signature,
    /// By the asking node, over [`Join::signable`].
    #[n(5)]
    pub member_signature: Signature,
}

impl JoinRequest {
    /// Signs a request with the ticket's secret and the node's own key.
    pub fn new(ticket: &Ticket, member: &Identity, name: Label) -> Self {
        let secret = ticket.invite_identity();
        let (space, invite) = (ticket.genesis.space_id(), ticket.invite);
        let signable = Join::signable(space, invite, secret.key(), member.key(), &name);
        Self {
            space,
            invite,
            member: member.key(),
            name,
            invite_signature: secret.sign(&signable),
            member_signature: member.sign(&signable),
        }
    }
}

/// Why a join is not witnessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefused {
    /// The request is for another space.
    #[error("the request is for space {0}")]
    ForeignSpace(SpaceId),
    /// The invite is not known here. It may be on its way.
    #[error("the invite is not known here, or not yet")]
    UnknownInvite,
    /// A signature in the request is wrong.
    #[error("the request is not signed by the ticket's secret and the joining node")]
    BadSignature,
    /// The ticket's own key asks to become a member.
    #[error("the key of the ticket itself cannot join")]
    InviteKeyJoins,
    /// An admin closed the invite.
    #[error("the invite was closed")]
    Closed,
    /// Its time has passed by the clock of this node.
    #[error("the invite has expired")]
    Expired,
    /// Nobody else may join by it.
    #[error("the invite was used as often as it may be")]
    UsedUp,
    /// This node has less than the invited right: ask another.
    #[error("this node has less than the invited right and cannot witness; ask another member")]
    WitnessTooWeak,
}

impl JoinRefused {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            JoinRefused::ForeignSpace(_) => "foreign_space",
            JoinRefused::UnknownInvite => "unknown_invite",
            JoinRefused::BadSignature => "bad_signature",
            JoinRefused::InviteKeyJoins => "invite_key_joins",
            JoinRefused::Closed => "invite_closed",
            JoinRefused::Expired => "invite_expired",
            JoinRefused::UsedUp => "invite_used_up",
            JoinRefused::WitnessTooWeak => "witness_too_weak",
        }
    }

    /// Whether another member, or this one later, may answer otherwise.
    pub fn is_passing(self) -> bool {
        matches!(self, JoinRefused::UnknownInvite | JoinRefused::WitnessTooWeak)
    }
}

impl Charter {
    /// Checks a request as the member `witness`, whose clock shows `wall`, and returns what the
    /// witness is to issue: nothing if the asking node has what the invite gives.
    ///
    /// # Errors
    /// [`JoinRefused`] with the first reason found.
    pub fn witness(
        &self,
        request: &JoinRequest,
        witness: AuthorKey,
        wall: WallTime,
    ) -> Result<Option<StatementBody>, JoinRefused> {
        if request.space != self.space() {
            return Err(JoinRefused::ForeignSpace(request.space));
        }
        let state = self.invite(request.invite).ok_or(JoinRefused::UnknownInvite)?;
        let Invite { invite_key, role, prefix, .. } = state.invite();
        let join = Join {
            invite: request.invite,
            invite_key: *invite_key,
            member: request.member,
            name: request.name.clone(),
            invite_signature: request.invite_signature,
            member_signature: request.member_signature,
        };
        join.verify(self.space()).map_err(|_| JoinRefused::BadSignature)?;
        if join.member == join.invite_key {
            return Err(JoinRefused::InviteKeyJoins);
        }
        if covers(&self.rights_of(join.member), *role, prefix.as_ref()) {
            return Ok(None);
        }
        if state.is_closed() {
            return Err(JoinRefused::Closed);
        }
        if state.is_expired(wall) {
            return Err(JoinRefused::Expired);
        }
        if state.used_up_within(&Closure::All, join.member) {
            return Err(JoinRefused::UsedUp);
        }
        if !covers(&self.rights_of(witness), *role, prefix.as_ref()) {
            return Err(JoinRefused::WitnessTooWeak);
        }
        Ok(Some(StatementBody::Join(join)))
    }
}
