//! What the charter promises, at its surface.

mod order;

use super::*;
use crate::address::Address;
use crate::codec::CodecError;
use crate::identity::Signature;
use crate::limits::{ADDRESSES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_VOID_MAX, STATEMENTS_WAITING_MAX};
use crate::seal::EpochKey;

const TIME: WallTime = WallTime(1_700_000_000_000);

fn who(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn prefix(text: &str) -> Option<Prefix> {
    (!text.is_empty()).then(|| Prefix::new(text).unwrap())
}

fn name(text: &str) -> DocumentName {
    DocumentName::new(text).unwrap()
}

fn right(role: Role, text: &str) -> Right {
    Right { role, prefix: prefix(text) }
}

/// A space founded by `who(1)`.
fn charter() -> Charter {
    Charter::new(Genesis::new(label("fleet"), TIME, [9; 16], vec![who(1).key()]).unwrap())
}

fn grant(member: u8, role: Role, limit: &str) -> StatementBody {
    let name = Some(label(&format!("node-{member}")));
    StatementBody::Grant(Grant { member: who(member).key(), role, prefix: prefix(limit), name })
}

fn invite(secret: u8, role: Role, limit: &str, uses: Option<u32>) -> StatementBody {
    let prefix = prefix(limit);
    StatementBody::Invite(Invite { invite_key: who(secret).key(), role, prefix, uses, expires: None })
}

fn ticket(charter: &Charter, invite: StatementId, secret: u8) -> Ticket {
    let key = EpochKey::from_bytes([7; 32]);
    let addresses = vec![Address::new("/ip4/10.0.0.1/tcp/4710").unwrap()];
    Ticket::new(charter.genesis().clone(), key, invite, &who(secret), addresses)
}

fn join(charter: &Charter, invite: StatementId, secret: u8, member: u8) -> StatementBody {
    let name = label(&format!("node-{member}"));
    let request = JoinRequest::new(&ticket(charter, invite, secret), &who(member), name);
    StatementBody::Join(Join {
        invite,
        invite_key: who(secret).key(),
        member: request.member,
        name: request.name,
        invite_signature: request.invite_signature,
        member_signature: request.member_signature,
    })
}

/// Signs `body` whether it has an effect or not, citing what `charter` knows.
fn say(charter: &Charter, issuer: u8, body: StatementBody) -> VerifiedStatement {
    let tips = charter.tips_for(who(issuer).key());
    Statement::sign(&who(issuer), charter.space(), tips, TIME, body).verify().unwrap()
}

/// Issues and inserts a statement that takes effect.
fn add(charter: &mut Charter, issuer: u8, body: StatementBody) -> StatementId {
    let statement = charter.issue(&who(issuer), TIME, body).unwrap();
    let id = statement.id();
    let effective = vec![id];
    assert_eq!(charter.insert(statement), Ok(Inserted::New { effective, void: vec![] }));
    id
}

fn void_reason(charter: &mut Charter, statement: VerifiedStatement) -> VoidReason {
    let id = statement.id();
    match charter.insert(statement) {
        Ok(Inserted::New { effective, void }) if effective.is_empty() => {
            assert_eq!(charter.statement(id), None);
            assert_eq!(void.len(), 1);
            assert!(charter.void().any(|listed| listed == void[0]));
            void[0].1
        }
        other => panic!("expected a void statement, found {other:?}"),
    }
}

#[test]
fn founders_administer_everything_and_strangers_nothing() {
    let charter = charter();
    let (founder, stranger) = (who(1).key(), who(2).key());
    assert!(charter.is_admin(founder) && charter.is_member(founder));
    assert!(charter.may_write(founder, &name("a")) && charter.may_read(founder, &name("a")));
    assert!(!charter.is_admin(stranger) && !charter.is_member(stranger));
    assert!(!charter.may_read(stranger, &name("a")));
    assert_eq!(charter.rights_of(founder), [Right::FOUNDER]);
    assert_eq!(charter.rights_at(founder, &[]), Ok(vec![Right::FOUNDER]));
    assert!(charter.is_empty() && charter.tips().is_empty());
    let members: Vec<Member> = charter.members().collect();
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].admitted, members[0].since), (Admitted::Founder, TIME));
}

#[test]
fn grants_give_rights_from_where_they_are_cited() {
    let mut charter = charter();
    let first = add(&mut charter, 1, grant(2, Role::Reader, ""));
    let second = add(&mut charter, 1, grant(2, Role::Writer, "team/"));
    let member = who(2).key();
    let (reader, writer) = (right(Role::Reader, ""), right(Role::Writer, "team/"));
    assert_eq!(charter.rights_of(member), [reader.clone(), writer.clone()]);
    assert_eq!(charter.rights_at(member, &[]), Ok(vec![]));
    assert_eq!(charter.rights_at(member, &[first]), Ok(vec![reader.clone()]));
    assert_eq!(charter.rights_at(member, &[second]), Ok(vec![reader, writer]));
    assert!(charter.may_write(member, &name("team/a")));
    assert!(!charter.may_write(member, &name("other")));
    assert!(charter.may_read(member, &name("other")));
    assert_eq!(charter.tips(), [second]);
}

#[test]
fn unknown_and_void_tips_are_told_apart() {
    let mut charter = charter();
    let absent = StatementId([3; 32]);
    let void = say(&charter, 2, grant(3, Role::Reader, ""));
    let void_id = void.id();
    assert_eq!(void_reason(&mut charter, void), VoidReason::NotAdmin);
    let fault = charter.rights_at(who(1).key(), &[absent, void_id]).unwrap_err();
    assert_eq!(fault, MissingTips { missing: vec![absent], void: vec![void_id] });
}

#[test]
fn an_admin_of_a_prefix_acts_within_it_only() {
    let mut charter = charter();
    add(&mut charter, 1, grant(2, Role::Admin, "team/"));
    add(&mut charter, 2, grant(3, Role::Writer, "team/web/"));
    assert!(charter.may_write(who(3).key(), &name("team/web/a")));
    assert!(!charter.is_admin(who(2).key()));
    for body in
        [grant(4, Role::Reader, ""), grant(4, Role::Reader, "teams/"), invite(50, Role::Reader, "", None)]
    {
        let statement = say(&charter, 2, body);
        assert_eq!(void_reason(&mut charter, statement), VoidReason::NotAdmin);
    }
}

#[test]
fn a_right_gained_later_does_not_help_what_was_said_before() {
    let mut charter = charter();
    let early = say(&charter, 2, grant(3, Role::Reader, ""));
    add(&mut charter, 1, grant(2, Role::Admin, ""));
    assert_eq!(void_reason(&mut charter, early), VoidReason::NotAdmin);
    assert!(!charter.is_member(who(3).key()));
    add(&mut charter, 2, grant(3, Role::Reader, ""));
    assert!(charter.is_member(who(3).key()));
}

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
fn nobody_issues_what_would_have_no_effect() {
    let charter = charter();
    let refused = charter.issue(&who(2), TIME, grant(3, Role::Reader, "")).unwrap_err();
    assert_eq!(refused, IssueError::Void(VoidReason::NotAdmin));
    let close = StatementBody::CloseInvite(CloseInvite { invite: StatementId([1; 32]) });
    let refused = charter.issue(&who(1), TIME, close).unwrap_err();
    assert_eq!(refused, IssueError::Void(VoidReason::UnknownInvite));
}

#[test]
fn a_changed_statement_is_refused() {
    let charter = charter();
    let good = say(&charter, 1, grant(2, Role::Reader, "a/"));
    let bytes = good.to_bytes();
    assert_eq!(VerifiedStatement::from_bytes(&bytes), Ok(good));
    for byte in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[byte] ^= 1;
        assert!(VerifiedStatement::from_bytes(&bent).is_err(), "byte {byte}");
    }
    for length in 0..bytes.len() {
        let cut = VerifiedStatement::from_bytes(&bytes[..length]);
        assert!(matches!(cut, Err(StatementError::Codec(_))), "length {length}");
    }
}

#[test]
fn statements_of_newer_versions_are_named_not_garbled() {
    let charter = charter();
    let bytes = say(&charter, 1, grant(2, Role::Reader, "")).to_bytes();
    // Key 4 is the kind: replace kind 0 by kind 9.
    let at = bytes.windows(2).position(|pair| pair == [4, 0]).unwrap();
    let mut newer = bytes.clone();
    newer[at + 1] = 9;
    let error = Statement::from_bytes(&newer).unwrap_err();
    assert_eq!(error, StatementError::UnknownKind(9));
    assert_eq!(error.to_string(), "unknown kind 9 of statement, made by a newer version");
    // A field this version does not know is skipped.
    let mut wider = bytes.clone();
    wider[0] += 1;
    wider.extend_from_slice(&[0x18, 99, 0x61, b'x']);
    assert_eq!(Statement::from_bytes(&wider), Statement::from_bytes(&bytes));
    let long = vec![0; STATEMENT_BYTES_MAX + 1];
    assert_eq!(Statement::from_bytes(&long), Err(StatementError::TooLong(long.len())));
}

#[test]
fn the_longest_statement_fits_its_bound() {
    let tips: Vec<StatementId> = (0..TIPS_MAX + 5).map(|n| StatementId([n as u8; 32])).collect();
    let mut tips: Vec<StatementId> = tips;
    for (n, tip) in tips.iter_mut().enumerate() {
        tip.0[..8].copy_from_slice(&(n as u64).to_be_bytes());
    }
    let body = StatementBody::Grant(Grant {
        member: who(2).key(),
        role: Role::Admin,
        prefix: prefix(&"x".repeat(512)),
        name: Some(label(&"y".repeat(64))),
    });
    let statement = Statement::sign(&who(1), SpaceId([1; 32]), tips, WallTime(i64::MIN), body);
    assert_eq!(statement.tips.len(), TIPS_MAX);
    let bytes = statement.to_bytes();
    assert!(bytes.len() <= STATEMENT_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Statement::from_bytes(&bytes), Ok(statement));
}

#[test]
fn lists_that_are_unsorted_or_too_long_do_not_decode() {
    let charter = charter();
    let mut statement = (*say(&charter, 1, grant(2, Role::Reader, ""))).clone();
    statement.tips = vec![StatementId([2; 32]), StatementId([1; 32])];
    assert!(matches!(Statement::from_bytes(&statement.to_bytes()), Err(StatementError::Codec(_))));
    statement.tips = vec![StatementId([2; 32]); 2];
    assert!(matches!(Statement::from_bytes(&statement.to_bytes()), Err(StatementError::Codec(_))));
    let mut many = ticket(&charter, StatementId([1; 32]), 50);
    many.addresses = vec![Address::new("a:1").unwrap(); ADDRESSES_MAX + 1];
    assert!(matches!(Ticket::parse(&many.to_text()), Err(TicketError::Malformed(_))));
}

#[test]
fn statements_wait_for_what_they_cite_and_then_cascade() {
    let mut source = charter();
    let a = add(&mut source, 1, grant(2, Role::Admin, ""));
    let b = add(&mut source, 2, grant(3, Role::Admin, ""));
    let c = add(&mut source, 3, grant(4, Role::Reader, ""));
    let statement = |id| source.statement(id).unwrap().clone();
    let mut target = charter();
    assert_eq!(target.insert(statement(c)), Ok(Inserted::Waiting { missing: vec![b] }));
    assert_eq!(target.insert(statement(b)), Ok(Inserted::Waiting { missing: vec![a] }));
    assert_eq!(target.insert(statement(c)), Ok(Inserted::Known));
    assert_eq!(target.wanted(), BTreeSet::from([a]));
    assert!(target.is_empty());
    assert_eq!(target.rights_at(who(4).key(), &[c]).unwrap_err().missing, [a]);
    let effective = vec![a, b, c];
    assert_eq!(target.insert(statement(a)), Ok(Inserted::New { effective, void: vec![] }));
    assert_eq!(target.fingerprint(), source.fingerprint());
    assert!(target.wanted().is_empty());
    assert_eq!(target.insert(statement(a)), Ok(Inserted::Known));
}

#[test]
fn what_cites_a_void_statement_is_void_in_any_order() {
    let source = charter();
    let bad = say(&source, 2, grant(3, Role::Reader, ""));
    let tips = vec![bad.id()];
    let body = grant(4, Role::Reader, "");
    let on_top = Statement::sign(&who(1), source.space(), tips, TIME, body).verify().unwrap();
    let expected = vec![(bad.id(), VoidReason::NotAdmin), (on_top.id(), VoidReason::CitesVoid)];
    let mut one = charter();
    one.insert(bad.clone()).unwrap();
    one.insert(on_top.clone()).unwrap();
    let mut two = charter();
    two.insert(on_top).unwrap();
    assert_eq!(two.insert(bad), Ok(Inserted::New { effective: vec![], void: expected.clone() }));
    for charter in [one, two] {
        assert_eq!(charter.void().collect::<Vec<_>>(), expected);
        assert!(charter.is_empty() && charter.fingerprint() == [0; 8]);
    }
}

#[test]
fn waiting_and_void_statements_are_bounded() {
    let mut charter = charter();
    let space = charter.space();
    let orphan = |n: u64| {
        let mut tip = StatementId([0xee; 32]);
        tip.0[..8].copy_from_slice(&n.to_be_bytes());
        let body = grant(2, Role::Reader, "");
        Statement::sign(&who(1), space, vec![tip], TIME, body).verify().unwrap()
    };
    let total = STATEMENTS_WAITING_MAX as u64 + 10;
    for n in 0..total {
        assert!(matches!(charter.insert(orphan(n)), Ok(Inserted::Waiting { .. })));
    }
    assert_eq!(charter.wanted().len(), STATEMENTS_WAITING_MAX);
    assert!(matches!(charter.insert(orphan(0)), Ok(Inserted::Waiting { .. })), "dropped first");
    assert_eq!(charter.insert(orphan(total - 1)), Ok(Inserted::Known));
    for n in 0..STATEMENTS_VOID_MAX as i64 + 10 {
        let body = grant(3, Role::Reader, "");
        let void = Statement::sign(&who(2), space, vec![], WallTime(n), body).verify().unwrap();
        void_reason(&mut charter, void);
    }
    assert_eq!(charter.void().count(), STATEMENTS_VOID_MAX);
    assert!(charter.is_empty());
}

#[test]
fn a_charter_full_of_joins_still_takes_what_admins_say() {
    let mut charter = charter();
    let id = add(&mut charter, 1, invite(50, Role::Reader, "", None));
    charter.joins = STATEMENTS_JOINS_MAX;
    let late = say(&charter, 1, join(&charter, id, 50, 3));
    let before = charter.fingerprint();
    assert_eq!(charter.insert(late), Err(InsertError::Full(1)));
    assert_eq!(charter.fingerprint(), before);
    add(&mut charter, 1, StatementBody::CloseInvite(CloseInvite { invite: id }));
}

#[test]
fn statements_of_another_space_stay_out() {
    let mut charter = charter();
    let body = grant(2, Role::Reader, "");
    let foreign = Statement::sign(&who(1), SpaceId([5; 32]), vec![], TIME, body).verify().unwrap();
    assert_eq!(charter.insert(foreign), Err(InsertError::ForeignSpace(SpaceId([5; 32]))));
}

#[test]
fn a_peer_is_sent_what_it_lacks_in_causal_order() {
    let mut source = charter();
    let ids: Vec<StatementId> =
        (2..10).map(|member| add(&mut source, 1, grant(member, Role::Reader, ""))).collect();
    // Each cites the one before it; what is not known here is passed over.
    let unknown = StatementId([9; 32]);
    let sent: Vec<StatementId> = source.beyond(&[unknown, ids[3], ids[1]]).map(|s| s.id()).collect();
    assert_eq!(sent, ids[4..]);
    assert_eq!(source.told_tips(), ids[7..]);
    assert_eq!(source.beyond(&source.told_tips()).count(), 0);
    assert_eq!(source.ids().collect::<BTreeSet<_>>(), ids.iter().copied().collect());
    let mut target = charter();
    for statement in source.beyond(&[]) {
        assert!(matches!(target.insert(statement.clone()), Ok(Inserted::New { .. })));
    }
    assert_eq!(target.fingerprint(), source.fingerprint());
}

#[test]
fn more_tips_than_may_be_cited_still_carry_the_own_right() {
    let mut hub = charter();
    let base = add(&mut hub, 1, grant(2, Role::Admin, ""));
    // Many concurrent statements, all resting on the first.
    for n in 0..TIPS_MAX as i64 + 20 {
        let body = grant(3, Role::Reader, "");
        let tips = vec![base];
        let statement = Statement::sign(&who(1), hub.space(), tips, WallTime(n), body);
        hub.insert(statement.verify().unwrap()).unwrap();
    }
    let admin = who(2).key();
    let cited = hub.tips_for(admin);
    assert_eq!(cited.len(), TIPS_MAX);
    assert!(cited.contains(&base) && cited.is_sorted());
    assert!(covers(&hub.rights_at(admin, &cited).unwrap(), Role::Admin, None));
    add(&mut hub, 2, grant(4, Role::Reader, ""));
    assert!(hub.tips().len() < 30, "one statement draws the tips together");
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

#[test]
fn a_ticket_survives_white_space_and_says_what_is_wrong_otherwise() {
    let mut charter = charter();
    let id = add(&mut charter, 1, invite(50, Role::Reader, "", None));
    let ticket = ticket(&charter, id, 50);
    let text = ticket.to_text();
    assert!(text.starts_with("starling-ticket-0:"));
    let broken_line = format!("\n\t {}\n  {} \r\n", &text[..70], &text[70..]);
    for form in [text.as_str(), &broken_line] {
        let read = Ticket::parse(form).unwrap();
        assert_eq!(read.genesis, ticket.genesis);
        assert_eq!(read.invite_identity().key(), who(50).key());
        assert!(read.epoch_key == ticket.epoch_key && read.addresses == ticket.addresses);
    }
    let last = text.len() - 1;
    let mut typo = text.to_string();
    let wrong = if typo.as_bytes()[40] == b'A' { "B" } else { "A" };
    typo.replace_range(40..41, wrong);
    let long = format!("{}{}", text.as_str(), "A".repeat(20_000));
    let newer = text.replace("starling-ticket-0:", "starling-ticket-7:");
    for (bad, expected) in [
        ("", TicketError::NotATicket),
        ("/ip4/10.0.0.1/tcp/4710", TicketError::NotATicket),
        ("starling-ticket-x:AAAA", TicketError::NotATicket),
        ("starling-ticket-0", TicketError::Mistyped),
        ("starling-ticket-0:", TicketError::Mistyped),
        ("starling-ticket-0:!!!!", TicketError::Mistyped),
        (&text[..last], TicketError::Mistyped),
        (&text[..60], TicketError::Mistyped),
        (&typo, TicketError::Mistyped),
        (&newer, TicketError::Newer(7)),
        (&long, TicketError::TooLong),
    ] {
        assert_eq!(Ticket::parse(bad).unwrap_err(), expected, "{bad:.60}");
    }
}

#[test]
fn a_ticket_with_a_right_checksum_and_wrong_content_is_malformed() {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let write = |content: &[u8]| {
        let sum = Sha256::digest(content);
        let bytes = [content, &sum[..4]].concat();
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        format!("starling-ticket-0:{text}")
    };
    let parse = |content: &[u8]| Ticket::parse(&write(content)).unwrap_err();
    assert!(matches!(parse(&[0, 0xff]), TicketError::Malformed(CodecError::Malformed { .. })));
    assert_eq!(parse(&[3, 0xa0]), TicketError::Newer(3));
    assert_eq!(parse(&[]), TicketError::Mistyped);
}

#[test]
fn debug_forms_show_no_secret() {
    let charter = charter();
    let shown = format!("{:?}", ticket(&charter, StatementId([1; 32]), 50));
    assert!(!shown.contains("50, 50") && !shown.contains("7, 7") && !shown.contains("3232"));
    assert!(shown.contains("fleet"), "{shown}");
}

#[test]
fn a_genesis_needs_founders_and_obeys_its_bounds() {
    let make = |founders| Genesis::new(label("a"), TIME, [0; 16], founders);
    assert_eq!(make(vec![]).unwrap_err(), GenesisError::NoFounder);
    let many: Vec<AuthorKey> = (0..65).map(|n| AuthorKey([n; 32])).collect();
    assert_eq!(make(many).unwrap_err(), GenesisError::TooManyFounders);
    let (one, two) = (who(1).key(), who(2).key());
    assert_eq!(make(vec![one, two, one]), make(vec![two, one]));
    let bytes = crate::codec::encode(&make(vec![one]).unwrap());
    let read: Genesis = crate::codec::decode(&bytes, "genesis").unwrap();
    assert_eq!(read, make(vec![one]).unwrap());
    // Key 4 is the policy, an empty map at the end: a rule in it cannot be obeyed.
    assert_eq!(bytes.last(), Some(&0xa0));
    let mut ruled = bytes[..bytes.len() - 1].to_vec();
    ruled.extend_from_slice(&[0xa1, 0, 1]);
    let error = crate::codec::decode::<Genesis>(&ruled, "genesis").unwrap_err();
    assert!(error.to_string().contains("policy of a newer version"), "{error}");
}

#[test]
fn unsigned_bytes_are_no_statement() {
    let charter = charter();
    let mut statement = (*say(&charter, 1, grant(2, Role::Reader, ""))).clone();
    statement.signature = Signature([0; 64]);
    assert_eq!(statement.clone().verify(), Err(BadSignature));
    statement.issuer = AuthorKey([0xff; 32]);
    assert_eq!(statement.verify(), Err(BadSignature));
}
