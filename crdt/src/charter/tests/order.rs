//! Equal sets of statements give equal charters: against random orders, and against a model that
//! judges each statement from its closure by plain recursion.

use proptest::prelude::*;

use super::*;

/// One thing somebody says, with whatever right.
#[derive(Debug, Clone)]
struct Saying {
    replica: usize,
    issuer: u8,
    what: u8,
    target: usize,
    role: usize,
    prefix: usize,
    /// Cite something arbitrary instead of the replica's tips.
    astray: bool,
    /// Afterwards this replica learns what that one holds.
    sync: Option<usize>,
}

const REPLICAS: usize = 3;
const PREFIXES: [&str; 4] = ["", "a/", "a/b/", "c/"];

fn sayings() -> impl Strategy<Value = Vec<Saying>> {
    let one = (
        0..REPLICAS,
        prop_oneof![3 => Just(1_u8), 3 => 2..6_u8],
        0..8_u8,
        0..64_usize,
        0..3_usize,
        0..4_usize,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.3, 0..REPLICAS),
    )
        .prop_map(|(replica, issuer, what, target, role, prefix, astray, sync)| Saying {
            replica,
            issuer,
            what,
            target,
            role,
            prefix,
            astray,
            sync,
        });
    prop::collection::vec(one, 1..40)
}

fn body(charter: &Charter, saying: &Saying) -> StatementBody {
    let invites: Vec<&InviteState> = charter.invites().collect();
    let role = Role::ALL[saying.role];
    let member = (saying.target % 7) as u8 + 1;
    let chosen = invites.get(saying.target % invites.len().max(1));
    match (saying.what, chosen) {
        (0..3, _) | (_, None) if saying.what < 5 => grant(member, role, PREFIXES[saying.prefix]),
        (5, _) | (_, None) => invite(50, role, PREFIXES[saying.prefix], Some(saying.target as u32 % 3)),
        (6, Some(invite)) => StatementBody::CloseInvite(CloseInvite { invite: invite.statement() }),
        (_, Some(invite)) => join(charter, invite.statement(), 50, member),
    }
}

fn play(sayings: &[Saying]) -> Vec<VerifiedStatement> {
    let mut replicas = vec![charter(); REPLICAS];
    let mut said: Vec<VerifiedStatement> = Vec::new();
    for (index, saying) in sayings.iter().enumerate() {
        let replica = &replicas[saying.replica];
        let tips = match said.get(saying.target % said.len().max(1)) {
            Some(other) if saying.astray => vec![other.id()],
            _ => replica.tips_for(who(saying.issuer).key()),
        };
        let body = body(replica, saying);
        let time = WallTime(index as i64);
        let statement = Statement::sign(&who(saying.issuer), replica.space(), tips, time, body).verify();
        said.push(statement.unwrap());
        replicas[saying.replica].insert(said[index].clone()).unwrap();
        if let Some(from) = saying.sync {
            let known: Vec<_> = replicas[from].statements().cloned().collect();
            for statement in known {
                replicas[saying.replica].insert(statement).unwrap();
            }
        }
    }
    said
}

type View = (
    Vec<StatementId>,
    [u8; 8],
    Vec<StatementId>,
    Vec<Member>,
    Vec<String>,
    BTreeMap<StatementId, VoidReason>,
);

/// All that a charter shows, in a form that does not depend on its insides.
fn view(charter: &Charter) -> View {
    let invites = charter.invites().map(|invite| {
        let flags = (invite.is_closed(), invite.is_used_up(), invite.is_overrun());
        format!("{:?} {:?} {flags:?} {:?}", invite.statement(), invite.invite(), invite.joined())
    });
    (
        charter.ids().collect(),
        charter.fingerprint(),
        charter.tips(),
        charter.members().collect(),
        invites.collect(),
        charter.void().collect(),
    )
}

fn charter_of<'a>(statements: impl IntoIterator<Item = &'a VerifiedStatement>) -> Charter {
    let mut charter = charter();
    for statement in statements {
        charter.insert(statement.clone()).unwrap();
    }
    charter
}

/// The rules once more, by recursion over sets: slow, plain, and sharing no code with the charter.
struct Model<'a> {
    all: BTreeMap<StatementId, &'a VerifiedStatement>,
    genesis: &'a Genesis,
}

impl Model<'_> {
    fn closure(&self, tips: &[StatementId]) -> BTreeSet<StatementId> {
        let below = |tip: &StatementId| self.closure(&self.all[tip].tips);
        tips.iter().flat_map(|tip| below(tip).into_iter().chain([*tip])).collect()
    }

    fn holds(&self, who: AuthorKey, role: Role, within: &str, seen: &BTreeSet<StatementId>) -> bool {
        let reaches = |given: Role, limit: &Option<Prefix>| {
            given >= role
                && limit.as_ref().is_none_or(|limit| !within.is_empty() && within.starts_with(limit.as_str()))
        };
        self.genesis.founders().contains(&who)
            || seen.iter().any(|id| match &self.all[id].body {
                StatementBody::Grant(g) => g.member == who && reaches(g.role, &g.prefix),
                StatementBody::Join(j) => {
                    let StatementBody::Invite(i) = &self.all[&j.invite].body else {
                        return false;
                    };
                    j.member == who && reaches(i.role, &i.prefix)
                }
                _ => false,
            })
    }

    fn effective(&self, id: StatementId) -> bool {
        let statement = self.all[&id];
        if !statement.tips.iter().all(|tip| self.effective(*tip)) {
            return false;
        }
        let seen = self.closure(&statement.tips);
        let text = |limit: &Option<Prefix>| limit.as_ref().map_or(String::new(), |p| p.to_string());
        let invite = |id: &StatementId| match self.all.get(id).map(|s| &s.body) {
            Some(StatementBody::Invite(invite)) if seen.contains(id) => Some(invite),
            _ => None,
        };
        let issuer = statement.issuer;
        match &statement.body {
            StatementBody::Grant(g) => self.holds(issuer, Role::Admin, &text(&g.prefix), &seen),
            StatementBody::Invite(i) => self.holds(issuer, Role::Admin, &text(&i.prefix), &seen),
            StatementBody::CloseInvite(c) => {
                invite(&c.invite).is_some_and(|i| self.holds(issuer, Role::Admin, &text(&i.prefix), &seen))
            }
            StatementBody::Join(j) => invite(&j.invite).is_some_and(|i| {
                let mut joined = BTreeSet::new();
                let mut closed = false;
                for id in &seen {
                    match &self.all[id].body {
                        StatementBody::Join(other) if other.invite == j.invite => {
                            joined.insert(other.member);
                        }
                        StatementBody::CloseInvite(c) => closed |= c.invite == j.invite,
                        _ => {}
                    }
                }
                let room = i.uses.is_none_or(|uses| joined.len() < uses as usize);
                !closed
                    && (room || joined.contains(&j.member))
                    && i.invite_key == j.invite_key
                    && self.holds(issuer, i.role, &text(&i.prefix), &seen)
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equal_sets_give_equal_charters_in_any_order(
        sayings in sayings(),
        order in any::<prop::sample::Index>(),
        seed in any::<[u8; 32]>(),
    ) {
        use rand_chacha::rand_core::SeedableRng;
        let said = play(&sayings);
        let expected = view(&charter_of(&said));
        let mut rng = rand_chacha::ChaCha8Rng::from_seed(seed);
        for _ in 0..4 {
            let mut shuffled = said.clone();
            // Some come twice.
            shuffled.push(said[order.index(said.len())].clone());
            crate::jitter::shuffle(&mut rng, &mut shuffled);
            prop_assert_eq!(&view(&charter_of(&shuffled)), &expected);
        }
    }

    #[test]
    fn verdicts_agree_with_the_plain_model(sayings in sayings()) {
        let said = play(&sayings);
        let charter = charter_of(&said);
        let all = said.iter().map(|statement| (statement.id(), statement)).collect();
        let model = Model { all, genesis: charter.genesis() };
        for statement in &said {
            let id = statement.id();
            prop_assert_eq!(charter.statement(id).is_some(), model.effective(id), "{:?}", statement);
            if model.effective(id) {
                let seen = model.closure(&[id]);
                for member in 1..8_u8 {
                    let key = who(member).key();
                    let rights = charter.rights_at(key, &[id]).unwrap();
                    for (role, limit) in Role::ALL.iter().flat_map(|r| PREFIXES.map(|p| (*r, p))) {
                        prop_assert_eq!(
                            covers(&rights, role, prefix(limit).as_ref()),
                            model.holds(key, role, limit, &seen)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
        let _ = VerifiedStatement::from_bytes(&bytes);
        let _ = crate::seal::open(&EpochKey::from_bytes([1; 32]), &bytes);
        let _ = Ticket::parse(&text);
        let _ = Ticket::parse(&format!("starling-ticket-0:{text}"));
        let _ = Identity::from_pem(&text);
    }

    #[test]
    fn damaged_statements_never_verify_as_something_else(
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let source = charter();
        let good = say(&source, 1, grant(2, Role::Reader, "a/"));
        let mut bytes = good.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = VerifiedStatement::from_bytes(&bytes) {
            prop_assert_eq!(read, good);
        }
    }
}

#[test]
fn the_random_histories_exercise_every_verdict() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut reasons = BTreeSet::new();
    let (mut kinds, mut overrun) = (BTreeSet::new(), false);
    for _ in 0..150 {
        let said = play(&sayings().new_tree(&mut runner).unwrap().current());
        let charter = charter_of(&said);
        reasons.extend(charter.void().map(|(_, reason)| reason.code()));
        kinds.extend(charter.statements().map(|statement| statement.body.kind()));
        overrun |= charter.invites().any(InviteState::is_overrun);
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    for reason in [
        VoidReason::CitesVoid,
        VoidReason::NotAdmin,
        VoidReason::UnknownInvite,
        VoidReason::WitnessTooWeak,
        VoidReason::InviteClosed,
        VoidReason::InviteUsedUp,
    ] {
        assert!(reasons.contains(reason.code()), "{} never came up: {reasons:?}", reason.code());
    }
    assert!(overrun, "no invite was ever overrun");
}
