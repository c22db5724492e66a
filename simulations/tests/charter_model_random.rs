//! The charter model on histories far larger than the search can exhaust: six keys, up to fourteen
//! statements and thirty changes, arriving in random orders.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use starling_simulations::charter_model::behaviour::{
    authorised, floor, honest_change, honest_statement, next_holdings,
};
use starling_simulations::charter_model::charter::Charter;
use starling_simulations::charter_model::incremental::Incremental;
use starling_simulations::charter_model::properties::{Case, check_set};
use starling_simulations::charter_model::records::{
    Change, Effect, History, Key, Kind, Known, Prefix, Role, Statement,
};
use starling_simulations::charter_model::reissue::reissue;
use starling_simulations::charter_model::rules::Rules;
use starling_simulations::charter_model::set::Set;

const STATEMENTS_MAX: usize = 14;
const CHANGES_MAX: usize = 30;
const KEYS: usize = 9;
/// Keys that behave: the founder and two admins. The others sign whatever parses.
const HONEST: usize = 3;

/// One step of a random history; `choice` decides everything the step leaves open.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    who: u8,
    choice: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..10u8, any::<u8>(), any::<u64>()).prop_map(|(kind, who, choice)| Step { kind, who, choice });
    prop::collection::vec(step, 1..64)
}

/// A small generator for the choices within one step.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
    }
}

fn start() -> History {
    let mut history = History { founders: Set::one(0), ..History::default() };
    for (to, role) in
        [(1, Role::Admin), (2, Role::Admin), (3, Role::Writer), (4, Role::Writer), (5, Role::Admin)]
    {
        let past = Set::below(history.statements.len());
        let kind = Kind::Grant { to, role, prefix: Prefix::All };
        history.add_statement(Statement { issuer: 0, past, kind, time: 0 });
    }
    history
}

fn common() -> Known {
    start().all()
}

/// What a node holds: what it must, and a random part of what else there is.
fn random_holding(history: &History, floor: Known, dice: &mut Dice) -> Known {
    let mut known = floor;
    let more = dice.below(history.statements.len() + history.changes.len() + 1);
    for _ in 0..more {
        let next: Vec<Known> = next_holdings(history, &known).collect();
        match next.len() {
            0 => break,
            count => known = next[dice.below(count)],
        }
    }
    known
}

fn apply(history: &mut History, step: Step) {
    let mut dice = Dice(step.choice);
    let honest = usize::from(step.who) % HONEST;
    let hostile = HONEST + usize::from(step.who) % 4;
    match step.kind {
        0..=2 if history.changes.len() < CHANGES_MAX => {
            let known = random_holding(history, floor(history, common(), honest), &mut dice);
            let effect = random_effect(history, &mut dice);
            if let Some(change) = honest_change(history, &known, honest, dice.below(2), effect) {
                history.add_change(change);
            }
        }
        3..=4 if history.changes.len() < CHANGES_MAX => forge(history, hostile, &mut dice),
        5 if history.changes.len() < CHANGES_MAX => {
            let known = match dice.below(2) {
                0 => history.all(),
                _ => random_holding(history, floor(history, common(), honest), &mut dice),
            };
            let made = reissue(&Charter::new(history, Rules::INTENDED), &known, honest, dice.below(2));
            if let Some(change) = made {
                history.add_change(change);
            }
        }
        6..=7 if history.statements.len() < STATEMENTS_MAX => {
            let known = random_holding(history, floor(history, common(), honest), &mut dice);
            let kind = random_kind(history, honest, &mut dice);
            if let Some(statement) = honest_statement(history, &known, honest, kind) {
                history.add_statement(statement);
            }
        }
        8..=9 if history.statements.len() < STATEMENTS_MAX => {
            let known = random_holding(history, common(), &mut dice);
            let kind = random_kind(history, hostile, &mut dice);
            let statement = Statement { issuer: hostile, past: known.statements, kind, time: 0 };
            if let Some(statement) = authorised(history, statement) {
                history.add_statement(statement);
            }
        }
        _ => {}
    }
}

fn random_effect(history: &History, dice: &mut Dice) -> Effect {
    let name = history.changes.len();
    match dice.below(5) {
        0 => Effect { deletes: true, ..Effect::default() },
        1 => Effect { put: Some(name), ..Effect::default() },
        _ => Effect { increments: Set::one(name), ..Effect::default() },
    }
}

/// A hostile change: any past, citing anything, continuing, branching or starting a run.
fn forge(history: &mut History, author: Key, dice: &mut Dice) {
    let document = dice.below(2);
    let known = random_holding(history, common(), dice);
    let past = known.changes.intersection(history.of_document(document));
    let own: Vec<usize> =
        history.of_author(author).intersection(history.of_document(document)).iter().collect();
    let (actor, cites, sequence) = match own.len() {
        count if count > 0 && dice.below(5) > 0 => {
            let model = &history.changes[own[dice.below(count)]];
            let run = past.iter().filter(|&id| history.changes[id].actor == model.actor);
            let last = run.map(|id| history.changes[id].sequence).max().unwrap_or_default();
            (model.actor, model.cites, last + 1)
        }
        _ => (history.changes.len(), known.statements, 1),
    };
    let effect = random_effect(history, dice);
    let (answers, gives_up) = (Set::EMPTY, Set::EMPTY);
    history.add_change(Change {
        author,
        actor,
        cites,
        document,
        sequence,
        past,
        answers,
        gives_up,
        effect,
        time: 0,
    });
}

fn random_kind(history: &History, issuer: Key, dice: &mut Dice) -> Kind {
    let other = (issuer + 1 + dice.below(KEYS - 1)) % KEYS;
    let prefix = if dice.below(3) == 0 { Prefix::Only(dice.below(2)) } else { Prefix::All };
    let role = if dice.below(3) == 0 { Role::Admin } else { Role::Writer };
    let invites: Vec<usize> = (0..history.statements.len())
        .filter(|&id| matches!(history.statements[id].kind, Kind::Invite { .. }))
        .collect();
    let some = |dice: &mut Dice| {
        let held = random_holding(history, common(), dice);
        (held.statements, held.changes)
    };
    match dice.below(8) {
        0 => Kind::Grant { to: other, role, prefix },
        1..=3 => {
            let (accepts, frontier) = some(dice);
            let other = (issuer + 1 + dice.below(6)) % 7;
            Kind::Revoke { of: other, scope: prefix, accepts, frontier }
        }
        4 => Kind::Invite { role, prefix, uses: 1 },
        5 => {
            let (accepts, frontier) = some(dice);
            Kind::Succession { to: other, accepts, frontier }
        }
        6 if !invites.is_empty() => Kind::Join { invite: invites[dice.below(invites.len())], witness: other },
        7 if !invites.is_empty() => {
            Kind::Close { invite: invites[dice.below(invites.len())], accepts: some(dice).0 }
        }
        _ => {
            let (_, frontier) = some(dice);
            Kind::Clear { of: other, proofs: Set::below(history.proofs.len()), frontier }
        }
    }
}

fn history_of(steps: &[Step]) -> History {
    let mut history = start();
    for &step in steps {
        apply(&mut history, step);
    }
    for (author, document) in (0..HONEST).flat_map(|author| [(author, 0), (author, 1)]) {
        let all = history.all();
        let made = reissue(&Charter::new(&history, Rules::INTENDED), &all, author, document);
        if let Some(change) = made {
            history.add_change(change);
        }
    }
    history
}

/// The same histories in every run; `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for others.
fn config() -> ProptestConfig {
    let rng_seed = match std::env::var_os("PROPTEST_RNG_SEED") {
        Some(_) => ProptestConfig::default().rng_seed,
        None => RngSeed::Fixed(0),
    };
    ProptestConfig { rng_seed, failure_persistence: None, ..ProptestConfig::with_cases(cases()) }
}

/// How many histories: two thousand unless asked for more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(2_000)
}

proptest! {
    #![proptest_config(config())]

    /// Every arrival order, taken in one record at a time, ends where judging from scratch ends,
    /// and every property of a set holds on the way.
    #[test]
    fn random_histories_are_judged_alike_in_any_order(steps in steps(), order in any::<u64>()) {
        let history = history_of(&steps);
        let charter = Charter::new(&history, Rules::INTENDED);
        let mut dice = Dice(order);
        let mut node = Incremental::default();
        loop {
            let ready: Vec<_> = history
                .records()
                .filter(|record| !node.known.contains(*record) && history.is_ready(&node.known, *record))
                .collect();
            if ready.is_empty() {
                break;
            }
            node.take(&charter, ready[dice.below(ready.len())]);
            let scratch = Incremental::at(&charter, node.known);
            prop_assert_eq!(&node.judgement, &scratch.judgement);
        }
        prop_assert_eq!(node.known, history.all());
        for known in [random_holding(&history, Known::default(), &mut dice), history.all()] {
            let case = Case { charter: &charter, known, honest: Set::below(HONEST) };
            if let Err((property, reason)) = check_set(&case) {
                return Err(TestCaseError::fail(format!("{property}: {reason}\n{history:#?}")));
            }
        }
    }
}

/// The generator reaches what the property above is about; without this it could pass on nothing.
#[test]
fn random_histories_contain_what_matters() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut standing, mut void, mut forked, mut reissued, mut excluded, mut largest) = (0, 0, 0, 0, 0, 0);
    for _ in 0..400 {
        let tree = steps().new_tree(&mut runner).expect("the strategy has no filters");
        let history = history_of(&proptest::strategy::ValueTree::current(&tree));
        let charter = Charter::new(&history, Rules::INTENDED);
        let verdict = charter.evaluate(history.all().statements);
        let judgement = Incremental::at(&charter, history.all()).judgement;
        let revocations = (0..history.statements.len())
            .filter(|&id| matches!(history.statements[id].kind, Kind::Revoke { .. }))
            .collect::<Set>();
        standing += usize::from(!verdict.removals.is_empty());
        void += usize::from(!revocations.is_subset(verdict.removals));
        forked += usize::from(!history.proofs.is_empty());
        reissued += usize::from(history.changes.iter().any(|change| !change.gives_up.is_empty()));
        excluded += usize::from(judgement.clean != history.all().changes);
        largest = largest.max(history.statements.len() + history.changes.len());
    }
    println!(
        "standing {standing}, void {void}, forked {forked}, reissued {reissued}, excluded {excluded}, largest {largest}"
    );
    assert!(standing > 100 && void > 10 && forked > 100 && reissued > 20 && excluded > 100 && largest > 30);
}
