//! Who belongs to a space, by which statements.

use super::{Charter, Label, Right, StatementBody};
use crate::id::{AuthorKey, StatementId};
use crate::time::WallTime;

/// One statement that gives somebody a right.
#[derive(Debug, Clone)]
pub(super) struct Grounds {
    /// Its position in the graph.
    pub(super) statement: usize,
    pub(super) right: Right,
}

/// How somebody became a member first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// Named in the genesis.
    Founder,
    /// By a grant.
    Granted {
        /// The grant.
        statement: StatementId,
        /// The admin who gave it.
        by: AuthorKey,
    },
    /// By an invite.
    Joined {
        /// The join.
        statement: StatementId,
        /// The invite.
        invite: StatementId,
        /// The admin who opened the invite.
        invited_by: AuthorKey,
        /// The member who witnessed the join.
        witness: AuthorKey,
    },
}

/// One member of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub key: AuthorKey,
    /// The name in the latest statement that names it. Not unique.
    pub name: Option<Label>,
    /// What it may do, without rights that others imply.
    pub rights: Vec<Right>,
    /// How it came in.
    pub admitted: Admitted,
    /// When, by the clock of whoever issued that statement or made the genesis.
    pub since: WallTime,
}

/// Books what the statement at `position` gives.
pub(super) fn apply(charter: &mut Charter, position: usize) {
    let (member, right) = match &charter.graph.statement(position).body {
        StatementBody::Grant(grant) => {
            (grant.member, Right { role: grant.role, prefix: grant.prefix.clone() })
        }
        StatementBody::Join(join) => match charter.invites.get(&join.invite) {
            Some(state) => {
                let invite = state.invite();
                (join.member, Right { role: invite.role, prefix: invite.prefix.clone() })
            }
            None => return,
        },
        StatementBody::Invite(_) | StatementBody::CloseInvite(_) => return,
    };
    let grounds = Grounds { statement: position, right };
    charter.grounds.entry(member).or_default().push(grounds);
}

pub(super) fn member(charter: &Charter, key: AuthorKey) -> Option<Member> {
    if !charter.is_member(key) {
        return None;
    }
    let mut positions: Vec<usize> =
        charter.grounds.get(&key).into_iter().flatten().map(|grounds| grounds.statement).collect();
    positions.sort_by_key(|position| charter.graph.rank(*position));
    let name = positions.iter().rev().find_map(|position| name_in(charter, *position));
    let (admitted, since) = match positions.first() {
        Some(first) if !charter.genesis.is_founder(key) => admission(charter, *first),
        _ => (Admitted::Founder, charter.genesis.time()),
    };
    Some(Member { key, name, rights: charter.rights_of(key), admitted, since })
}

fn name_in(charter: &Charter, position: usize) -> Option<Label> {
    match &charter.graph.statement(position).body {
        StatementBody::Grant(grant) => grant.name.clone(),
        StatementBody::Join(join) => Some(join.name.clone()),
        StatementBody::Invite(_) | StatementBody::CloseInvite(_) => None,
    }
}

fn admission(charter: &Charter, position: usize) -> (Admitted, WallTime) {
    let statement = charter.graph.statement(position);
    let (id, by) = (statement.id(), statement.issuer);
    let invite = match &statement.body {
        StatementBody::Join(join) => charter.invite(join.invite),
        _ => None,
    };
    let admitted = match invite {
        Some(state) => Admitted::Joined {
            statement: id,
            invite: state.statement(),
            invited_by: state.issuer(),
            witness: by,
        },
        None => Admitted::Granted { statement: id, by },
    };
    (admitted, statement.time)
}
