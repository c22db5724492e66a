//! Whether a statement takes effect: decided by its closure alone.

use super::graph::Closure;
use super::{
    Charter, CloseInvite, Invite, Join, MissingTips, Prefix, Right, Role, Statement, StatementBody, covers,
};
use crate::id::{AuthorKey, StatementId};

/// Why a statement has no effect. It never will have: what it cites is fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum VoidReason {
    /// It cites a statement without effect, which no honest node does.
    #[error("it cites a statement that has no effect")]
    CitesVoid,
    /// By what it cites, its issuer was no admin where it grants, invites or closes.
    #[error("its issuer is no admin there by the statements it cites")]
    NotAdmin,
    /// By what it cites there is no such invite.
    #[error("it names an invite that the statements it cites do not hold")]
    UnknownInvite,
    /// The signature in the join is by another key than the invite's.
    #[error("the join is signed by another key than the invite's")]
    WrongInviteKey,
    /// The invite's key joins itself: everyone with the ticket would be that member.
    #[error("the key of the invite itself joins")]
    InviteKeyJoins,
    /// By what it cites, its issuer lacks the right the invite gives, and cannot witness.
    #[error("its witness has less than the invited right by the statements it cites")]
    WitnessTooWeak,
    /// By what it cites, the invite was closed.
    #[error("the statements it cites close the invite")]
    InviteClosed,
    /// By what it cites, the invite had been used as often as it may be.
    #[error("the statements it cites use the invite up")]
    InviteUsedUp,
}

impl VoidReason {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            VoidReason::CitesVoid => "cites_void",
            VoidReason::NotAdmin => "not_admin",
            VoidReason::UnknownInvite => "unknown_invite",
            VoidReason::WrongInviteKey => "wrong_invite_key",
            VoidReason::InviteKeyJoins => "invite_key_joins",
            VoidReason::WitnessTooWeak => "witness_too_weak",
            VoidReason::InviteClosed => "invite_closed",
            VoidReason::InviteUsedUp => "invite_used_up",
        }
    }
}

impl Charter {
    /// The verdict on a statement all of whose tips were judged before.
    pub(super) fn judge(&self, statement: &Statement) -> Result<(), VoidReason> {
        let cited = self.cited(&statement.tips).map_err(|_| VoidReason::CitesVoid)?;
        match &statement.body {
            StatementBody::Grant(grant) => self.judge_admin(statement.issuer, grant.prefix.as_ref(), &cited),
            StatementBody::Invite(Invite { prefix, .. }) => {
                self.judge_admin(statement.issuer, prefix.as_ref(), &cited)
            }
            StatementBody::CloseInvite(CloseInvite { invite }) => {
                let invite = self.invite_within(*invite, &cited)?;
                self.judge_admin(statement.issuer, invite.invite().prefix.as_ref(), &cited)
            }
            StatementBody::Join(join) => self.judge_join(statement.issuer, join, &cited),
        }
    }

    /// The closure of `tips`.
    pub(super) fn cited(&self, tips: &[StatementId]) -> Result<Closure, MissingTips> {
        let missing = self.graph.missing(tips);
        let void: Vec<_> = tips.iter().filter(|tip| self.graph.is_void(**tip)).copied().collect();
        if !missing.is_empty() || !void.is_empty() {
            return Err(MissingTips { missing, void });
        }
        let positions: Vec<usize> = tips.iter().filter_map(|tip| self.graph.position(*tip)).collect();
        Ok(self.graph.closure(&positions))
    }

    pub(super) fn rights_within(&self, author: AuthorKey, cited: &Closure) -> Vec<Right> {
        let grounds = self.grounds.get(&author).into_iter().flatten();
        let known = grounds.filter(|grounds| cited.contains(grounds.statement));
        self.with_founding(author, known.map(|grounds| grounds.right.clone()))
    }

    fn judge_admin(
        &self,
        issuer: AuthorKey,
        prefix: Option<&Prefix>,
        cited: &Closure,
    ) -> Result<(), VoidReason> {
        let rights = self.rights_within(issuer, cited);
        if covers(&rights, Role::Admin, prefix) { Ok(()) } else { Err(VoidReason::NotAdmin) }
    }

    fn invite_within(&self, id: StatementId, cited: &Closure) -> Result<&super::InviteState, VoidReason> {
        let position = self.graph.position(id).ok_or(VoidReason::UnknownInvite)?;
        let invite = self.invites.get(&id).ok_or(VoidReason::UnknownInvite)?;
        if cited.contains(position) { Ok(invite) } else { Err(VoidReason::UnknownInvite) }
    }

    fn judge_join(&self, witness: AuthorKey, join: &Join, cited: &Closure) -> Result<(), VoidReason> {
        let state = self.invite_within(join.invite, cited)?;
        let Invite { invite_key, role, prefix, .. } = state.invite();
        if *invite_key != join.invite_key {
            return Err(VoidReason::WrongInviteKey);
        }
        if join.member == join.invite_key {
            return Err(VoidReason::InviteKeyJoins);
        }
        if !covers(&self.rights_within(witness, cited), *role, prefix.as_ref()) {
            return Err(VoidReason::WitnessTooWeak);
        }
        if state.closed_within(cited) {
            return Err(VoidReason::InviteClosed);
        }
        if state.used_up_within(cited, join.member) {
            return Err(VoidReason::InviteUsedUp);
        }
        Ok(())
    }
}
