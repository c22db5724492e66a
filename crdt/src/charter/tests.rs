//! What the charter promises, at its surface.

mod forms;
mod joins;
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
fn nobody_issues_what_would_have_no_effect() {
    let charter = charter();
    let refused = charter.issue(&who(2), TIME, grant(3, Role::Reader, "")).unwrap_err();
    assert_eq!(refused, IssueError::Void(VoidReason::NotAdmin));
    let close = StatementBody::CloseInvite(CloseInvite { invite: StatementId([1; 32]) });
    let refused = charter.issue(&who(1), TIME, close).unwrap_err();
    assert_eq!(refused, IssueError::Void(VoidReason::UnknownInvite));
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
