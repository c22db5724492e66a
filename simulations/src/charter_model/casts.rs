//! The families that are searched, each around one thing that can go wrong.
//!
//! Key 0 is the founder; 1 and 2 are honest unless a family says otherwise; 3 is hostile; larger
//! keys are successors, joiners and puppets.

use super::families::{Edit, Family, Move};
use super::records::{Key, Kind, Prefix, Role};
use super::set::Set;

/// How far to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// What the test run can afford.
    Usual,
    /// One record more everywhere.
    Larger,
}

/// Every family under a bound.
#[must_use]
pub fn all(bound: Bound) -> Vec<Family> {
    let mut families = vec![
        removals(),
        ranks(),
        puppets(),
        successions(),
        tickets(),
        admin_tickets(),
        prefixes(),
        revocation(),
        endorsement(),
        forks(),
        recovery(),
        lowering(),
        disputed(),
        rotation(),
        overwriting(),
        readmission(),
        existence(),
    ];
    if bound == Bound::Larger {
        for family in &mut families {
            family.depth += 1;
            family.statements_max += 1;
            family.changes_max += 1;
        }
    }
    families
}

fn revoke(of: Key) -> Kind {
    Kind::Revoke { of, scope: Prefix::All, accepts: Set::EMPTY, frontier: Set::EMPTY }
}

fn grant(to: Key, role: Role) -> Kind {
    Kind::Grant { to, role, prefix: Prefix::All }
}

fn succeed(to: Key) -> Kind {
    Kind::Succession { to, accepts: Set::EMPTY, frontier: Set::EMPTY }
}

fn clear(of: Key) -> Kind {
    Kind::Clear { of, proofs: Set::EMPTY, frontier: Set::EMPTY }
}

fn bounded(mut family: Family, depth: usize, statements: usize, changes: usize) -> Family {
    family.depth = depth;
    family.statements_max = statements;
    family.changes_max = changes;
    family
}

/// Three admins who remove each other in every way, knowing or not, accepting or not.
#[must_use]
pub fn removals() -> Family {
    let mut family = Family::new("removals", &[(1, Role::Admin), (2, Role::Admin), (3, Role::Admin)])
        .with_change(1, Edit::Count)
        .with_change(2, Edit::Count)
        .with_change(3, Edit::Count);
    for issuer in 1..=3 {
        for of in (1..=3).filter(|of| *of != issuer) {
            family.moves.push(Move::Plot(issuer, revoke(of)));
        }
    }
    family.permutations = vec![
        vec![0, 1, 2, 3],
        vec![0, 1, 3, 2],
        vec![0, 2, 1, 3],
        vec![0, 2, 3, 1],
        vec![0, 3, 1, 2],
        vec![0, 3, 2, 1],
    ];
    family.honest = Set::one(0);
    bounded(family, 3, 3, 0)
}

/// A founder, an admin it made and an admin that one made, removing each other.
#[must_use]
pub fn ranks() -> Family {
    let mut family = Family::new("ranks", &[(1, Role::Admin), (2, Role::Admin)])
        .with_statement(1, grant(3, Role::Admin))
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    for (issuer, of) in [(0, 1), (1, 0), (1, 2), (1, 3), (3, 1), (3, 2), (2, 1), (2, 3), (3, 0)] {
        family.moves.push(Move::Plot(issuer, revoke(of)));
    }
    family.moves.push(Move::Plot(2, grant(3, Role::Admin)));
    family.honest = Set::one(0);
    bounded(family, 3, 3, 0)
}

/// An admin who is removed has made puppets, which write.
#[must_use]
pub fn puppets() -> Family {
    let mut family =
        Family::new("puppets", &[(1, Role::Writer), (3, Role::Admin)]).with_change(3, Edit::Count);
    family.moves = vec![
        Move::Plot(3, grant(4, Role::Writer)),
        Move::Plot(3, grant(4, Role::Admin)),
        Move::Issue(0, revoke(3)),
        Move::Plot(0, Kind::Revoke { of: 3, scope: Prefix::All, accepts: Set::EMPTY, frontier: Set::EMPTY }),
        Move::Plot(4, grant(3, Role::Writer)),
        Move::Forge(4, 0, Edit::Count),
        Move::Write(1, 0, Edit::Count),
    ];
    family.honest = Set::below(2);
    bounded(family, 4, 3, 3)
}

/// Keys rotate while they are removed, stolen or rotated elsewhere.
#[must_use]
pub fn successions() -> Family {
    let mut family = Family::new("successions", &[(1, Role::Admin), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    family.moves = vec![
        Move::Plot(3, succeed(4)),
        Move::Plot(3, succeed(5)),
        Move::Plot(1, succeed(6)),
        Move::Issue(0, revoke(3)),
        Move::Plot(1, revoke(3)),
        Move::Plot(6, revoke(3)),
        Move::Issue(0, grant(4, Role::Writer)),
        Move::Issue(0, grant(3, Role::Admin)),
        Move::Plot(3, grant(7, Role::Writer)),
        Move::Plot(3, revoke(1)),
        Move::Issue(0, revoke(1)),
        Move::Forge(4, 0, Edit::Count),
    ];
    family.honest = Set::one(0);
    bounded(family, 4, 3, 2)
}

/// Tickets, their joins, witnesses and ends.
#[must_use]
pub fn tickets() -> Family {
    let invite = Kind::Invite { role: Role::Writer, prefix: Prefix::All, uses: 1 };
    let close = Kind::Close { invite: 0, accepts: Set::EMPTY };
    let mut family = Family::new("tickets", &[(1, Role::Admin), (2, Role::Writer), (3, Role::Writer)])
        .with_statement(1, invite);
    family.moves = vec![
        Move::Join(4, 2),
        Move::Join(5, 2),
        Move::Join(4, 3),
        Move::Join(5, 3),
        Move::Join(3, 2),
        Move::Issue(0, revoke(1)),
        Move::Issue(0, revoke(3)),
        Move::Issue(0, revoke(4)),
        Move::Plot(0, close),
        Move::Write(4, 0, Edit::Count),
    ];
    family.permutations = vec![vec![0, 1, 2, 3, 4, 5]];
    bounded(family, 4, 4, 1)
}

/// A ticket that makes admins: those it lets in, its witness and its maker strike at each other.
#[must_use]
pub fn admin_tickets() -> Family {
    let invite = Kind::Invite { role: Role::Admin, prefix: Prefix::All, uses: 1 };
    let close = Kind::Close { invite: 0, accepts: Set::EMPTY };
    let mut family =
        Family::new("admin_tickets", &[(1, Role::Admin), (3, Role::Admin)]).with_statement(1, invite);
    family.moves = vec![
        Move::Join(4, 3),
        Move::Plot(4, revoke(1)),
        Move::Plot(4, revoke(3)),
        Move::Plot(4, grant(5, Role::Writer)),
        Move::Plot(3, revoke(4)),
        Move::Plot(3, revoke(1)),
        Move::Plot(3, close.clone()),
        Move::Plot(1, close),
        Move::Issue(1, revoke(3)),
    ];
    family.honest = Set::below(2);
    bounded(family, 3, 3, 0)
}

/// A removed writer back-dates, an honest one knows of it or not.
#[must_use]
pub fn revocation() -> Family {
    let mut family = Family::new("revocation", &[(1, Role::Admin), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(2, Edit::Count);
    family.moves = vec![
        Move::Issue(1, revoke(3)),
        Move::Issue(0, revoke(1)),
        Move::Issue(1, grant(3, Role::Writer)),
        Move::Forge(3, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
    ];
    bounded(family, 4, 2, 4)
}

/// Those who built on a removed author's work are removed in turn, with their work accepted.
#[must_use]
pub fn endorsement() -> Family {
    let mut family = Family::new("endorsement", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)]);
    family.moves = vec![
        Move::Issue(0, revoke(3)),
        Move::Issue(0, revoke(2)),
        Move::Forge(3, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
        Move::Write(1, 0, Edit::Count),
    ];
    bounded(family, 4, 2, 4)
}

/// A writer equivocates before and after it is removed or cleared.
#[must_use]
pub fn forks() -> Family {
    let mut family = Family::new("forks", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    family.moves = vec![
        Move::Forge(3, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
        Move::Issue(0, revoke(3)),
        Move::Issue(0, clear(3)),
    ];
    bounded(family, 4, 2, 4)
}

/// Two honest writers lose edits to forks and carry them over, whatever each of them holds.
#[must_use]
pub fn recovery() -> Family {
    let mut family = Family::new("recovery", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    family.moves = vec![
        Move::Forge(3, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
        Move::Issue(0, revoke(3)),
        Move::Issue(0, clear(3)),
    ];
    family.recovers = true;
    bounded(family, 3, 1, 3)
}

/// An equivocator proves itself at ever lower places of a run that others built on.
#[must_use]
pub fn lowering() -> Family {
    let mut family = Family::new("lowering", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    family.moves =
        vec![Move::Forge(3, 0, Edit::Count), Move::Write(2, 0, Edit::Count), Move::Write(1, 0, Edit::Count)];
    family.recovers = true;
    bounded(family, 3, 0, 3)
}

/// Two admins remove or clear an equivocator, each knowing what it knows.
#[must_use]
pub fn disputed() -> Family {
    let mut family = Family::new("disputed", &[(1, Role::Admin), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count);
    family.moves = vec![
        Move::Forge(3, 0, Edit::Count),
        Move::Write(1, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
        Move::Issue(0, revoke(3)),
        Move::Issue(1, revoke(3)),
        Move::Issue(1, clear(3)),
        Move::Issue(0, revoke(1)),
    ];
    family.recovers = true;
    bounded(family, 4, 2, 3)
}

/// A writer rotates its key around the fork that takes its edits away.
#[must_use]
pub fn rotation() -> Family {
    let mut family = Family::new("rotation", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Count)
        .with_change(1, Edit::Count);
    family.moves = vec![
        Move::Issue(1, succeed(4)),
        Move::Issue(0, revoke(3)),
        Move::Write(1, 0, Edit::Count),
        Move::Write(4, 0, Edit::Count),
        Move::Forge(3, 0, Edit::Count),
    ];
    family.recovers = true;
    family.recovering = [vec![1, 4], vec![2]];
    bounded(family, 4, 2, 3)
}

/// As `recovery`, with a register that the equivocator overwrites.
#[must_use]
pub fn overwriting() -> Family {
    let mut family = Family::new("overwriting", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(3, Edit::Put);
    family.moves =
        vec![Move::Forge(3, 0, Edit::Put), Move::Write(1, 0, Edit::Put), Move::Write(2, 0, Edit::Put)];
    family.recovers = true;
    bounded(family, 4, 0, 4)
}

/// Three writers create, delete, revive and create again, from whatever each of them shows.
#[must_use]
pub fn existence() -> Family {
    let mut family = Family::new("existence", &[(1, Role::Writer), (2, Role::Writer), (3, Role::Writer)])
        .with_change(1, Edit::Count)
        .with_change(2, Edit::Delete);
    for author in 1..=3 {
        family.moves.push(Move::Write(author, 0, Edit::Count));
        family.moves.push(Move::Write(author, 0, Edit::Delete));
    }
    family.honest = Set::below(4);
    bounded(family, 5, 0, 5)
}

/// A writer is removed and let in again while others build on what it wrote meanwhile.
#[must_use]
pub fn readmission() -> Family {
    let mut family =
        Family::new("readmission", &[(1, Role::Writer), (2, Role::Writer)]).with_change(1, Edit::Count);
    family.moves = vec![
        Move::Write(1, 0, Edit::Count),
        Move::Write(2, 0, Edit::Count),
        Move::Issue(0, revoke(2)),
        Move::Issue(0, grant(2, Role::Writer)),
    ];
    family.recovers = true;
    bounded(family, 5, 2, 4)
}

/// Rights over one document beside rights over all, narrowed by a revocation and a grant.
#[must_use]
pub fn prefixes() -> Family {
    let only = |document| Prefix::Only(document);
    let mut family = Family::new("prefixes", &[(1, Role::Admin), (2, Role::Writer)]);
    family = family.with_statement(0, Kind::Grant { to: 3, role: Role::Admin, prefix: only(1) });
    let narrow = |document| Kind::Grant { to: 2, role: Role::Writer, prefix: only(document) };
    family.moves = vec![
        Move::Plot(3, Kind::Revoke { of: 2, scope: only(1), accepts: Set::EMPTY, frontier: Set::EMPTY }),
        Move::Plot(3, revoke(2)),
        Move::Plot(3, grant(4, Role::Writer)),
        Move::Plot(3, Kind::Grant { to: 4, role: Role::Writer, prefix: only(1) }),
        Move::Issue(1, revoke(2)),
        Move::Issue(1, narrow(0)),
        Move::Forge(2, 0, Edit::Count),
        Move::Forge(2, 1, Edit::Count),
        Move::Forge(4, 0, Edit::Count),
        Move::Forge(4, 1, Edit::Count),
    ];
    family.honest = Set::below(2);
    family.unauthorised = true;
    bounded(family, 3, 2, 2)
}
