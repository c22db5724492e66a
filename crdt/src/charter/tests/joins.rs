//! Invites and joins: who may witness what, and what is void.

use super::*;

#[test]
fn a_join_is_witnessed_and_says_who_invited_and_who_witnessed() {
    let mut charter = charter();
    add(&mut charter, 1, grant(2, Role::Writer, ""));
    let id = add(&mut charter, 1, invite(50, Role::Writer, "", Some(2)));
    let request = JoinRequest::new(&ticket(&charter, id, 50), &who(3), label("node-3"));
    let Ok(Some(body)) = charter.witness(&request, who(2).key(), TIME) else {
        panic!("the join was refused");
    };
    let joined = add(&mut charter, 2, body);
    let member = charter.member(who(3).key()).unwrap();
    assert_eq!(member.name, Some(label("node-3")));
    assert_eq!(member.rights, [right(Role::Writer, "")]);
    let (invited_by, witness) = (who(1).key(), who(2).key());
    assert_eq!(member.admitted, Admitted::Joined { statement: joined, invite: id, invited_by, witness });
    let state = charter.invite(id).unwrap();
    assert_eq!(state.joined(), BTreeSet::from([who(3).key()]));
    assert!(!state.is_used_up() && !state.is_overrun());
    // Asked again, the same node is told that it is a member.
    assert_eq!(charter.witness(&request, who(2).key(), TIME), Ok(None));
}

#[test]
fn a_witness_refuses_with_the_reason() {
    let mut charter = charter();
    add(&mut charter, 1, grant(2, Role::Reader, ""));
    let open = add(&mut charter, 1, invite(50, Role::Writer, "", Some(1)));
    let closed = add(&mut charter, 1, invite(51, Role::Reader, "", None));
    add(&mut charter, 1, StatementBody::CloseInvite(CloseInvite { invite: closed }));
    let expiring = StatementBody::Invite(Invite {
        invite_key: who(52).key(),
        role: Role::Reader,
        prefix: None,
        uses: None,
        expires: Some(TIME),
    });
    let expiring = add(&mut charter, 1, expiring);
    let request = |invite, secret, member| {
        JoinRequest::new(&ticket(&charter, invite, secret), &who(member), label("n"))
    };
    let (founder, reader) = (who(1).key(), who(2).key());
    let good = request(open, 50, 3);
    let mut foreign = good.clone();
    foreign.space = SpaceId([0; 32]);
    let mut renamed = good.clone();
    renamed.name = label("other");
    let mut stolen = good.clone();
    stolen.member = who(4).key();
    let rows = [
        (foreign, founder, JoinRefused::ForeignSpace(SpaceId([0; 32]))),
        (request(StatementId([0; 32]), 50, 3), founder, JoinRefused::UnknownInvite),
        (request(open, 51, 3), founder, JoinRefused::BadSignature),
        (renamed, founder, JoinRefused::BadSignature),
        (stolen, founder, JoinRefused::BadSignature),
        (request(open, 50, 50), founder, JoinRefused::InviteKeyJoins),
        (request(closed, 51, 3), founder, JoinRefused::Closed),
        (request(expiring, 52, 3), founder, JoinRefused::Expired),
        (good.clone(), reader, JoinRefused::WitnessTooWeak),
    ];
    for (request, witness, expected) in rows {
        assert_eq!(charter.witness(&request, witness, TIME), Err(expected), "{}", expected.code());
    }
    let before = WallTime(TIME.0 - 1);
    assert!(charter.witness(&request(expiring, 52, 3), founder, before).is_ok());
    let late = request(open, 50, 5);
    let body = join(&charter, open, 50, 3);
    add(&mut charter, 1, body);
    assert_eq!(charter.witness(&late, founder, TIME), Err(JoinRefused::UsedUp));
}

#[test]
fn joins_without_ground_are_void() {
    let mut charter = charter();
    add(&mut charter, 1, grant(2, Role::Reader, ""));
    let before_invite = charter.tips();
    let once = add(&mut charter, 1, invite(50, Role::Writer, "", Some(1)));
    let closed = add(&mut charter, 1, invite(51, Role::Reader, "", None));
    add(&mut charter, 1, StatementBody::CloseInvite(CloseInvite { invite: closed }));
    let blind = Statement::sign(&who(1), charter.space(), before_invite, TIME, join(&charter, once, 50, 3));
    let weak = say(&charter, 2, join(&charter, once, 50, 3));
    let wrong_key = say(&charter, 1, join(&charter, once, 51, 3));
    let own_key = say(&charter, 1, join(&charter, once, 50, 50));
    let too_late = say(&charter, 1, join(&charter, closed, 51, 3));
    let unknown = say(&charter, 1, join(&charter, StatementId([1; 32]), 50, 3));
    let no_invite =
        say(&charter, 1, StatementBody::CloseInvite(CloseInvite { invite: StatementId([1; 32]) }));
    for (statement, expected) in [
        (blind.verify().unwrap(), VoidReason::UnknownInvite),
        (weak, VoidReason::WitnessTooWeak),
        (wrong_key, VoidReason::WrongInviteKey),
        (own_key, VoidReason::InviteKeyJoins),
        (too_late, VoidReason::InviteClosed),
        (unknown, VoidReason::UnknownInvite),
        (no_invite, VoidReason::UnknownInvite),
    ] {
        assert_eq!(void_reason(&mut charter, statement), expected);
    }
    let first = join(&charter, once, 50, 3);
    add(&mut charter, 1, first);
    let second = say(&charter, 1, join(&charter, once, 50, 4));
    assert_eq!(void_reason(&mut charter, second), VoidReason::InviteUsedUp);
    // The same member again uses nothing up.
    let again = join(&charter, once, 50, 3);
    add(&mut charter, 1, again);
}

#[test]
fn concurrent_joins_overrun_an_invite_visibly() {
    let mut here = charter();
    add(&mut here, 1, grant(2, Role::Writer, ""));
    let id = add(&mut here, 1, invite(50, Role::Writer, "", Some(1)));
    let mut there = here.clone();
    let mine = say(&here, 1, join(&here, id, 50, 3));
    let theirs = say(&there, 2, join(&there, id, 50, 4));
    here.insert(mine.clone()).unwrap();
    there.insert(theirs.clone()).unwrap();
    here.insert(theirs).unwrap();
    there.insert(mine).unwrap();
    assert_eq!(here.fingerprint(), there.fingerprint());
    for charter in [&here, &there] {
        assert!(charter.is_member(who(3).key()) && charter.is_member(who(4).key()));
        assert!(charter.invite(id).unwrap().is_overrun());
    }
}

#[test]
fn a_join_whose_inner_signatures_are_wrong_is_never_verified() {
    let mut charter = charter();
    let id = add(&mut charter, 1, invite(50, Role::Reader, "", None));
    let StatementBody::Join(good) = join(&charter, id, 50, 3) else { unreachable!() };
    let mut bent_invite = good.clone();
    bent_invite.invite_signature.0[5] ^= 1;
    let mut bent_member = good.clone();
    bent_member.member_signature = good.invite_signature;
    let mut renamed = good;
    renamed.name = label("other");
    for bent in [bent_invite, bent_member, renamed] {
        let body = StatementBody::Join(bent);
        let issued = charter.issue(&who(1), TIME, body.clone());
        assert_eq!(issued.unwrap_err(), IssueError::Signature(BadSignature));
        let statement = Statement::sign(&who(1), charter.space(), charter.tips(), TIME, body);
        assert_eq!(statement.verify().unwrap_err(), BadSignature);
    }
}

#[test]
fn a_member_shows_its_latest_name_and_its_first_admission() {
    let mut charter = charter();
    let first = add(&mut charter, 1, grant(2, Role::Reader, ""));
    let renamed = StatementBody::Grant(Grant {
        member: who(2).key(),
        role: Role::Reader,
        prefix: None,
        name: Some(label("new name")),
    });
    add(&mut charter, 1, renamed);
    let member = charter.member(who(2).key()).unwrap();
    assert_eq!(member.name, Some(label("new name")));
    assert_eq!(member.admitted, Admitted::Granted { statement: first, by: who(1).key() });
    assert_eq!(charter.member(who(9).key()), None);
}
