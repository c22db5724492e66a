//! Whether the validator suffices: changes forged from pieces of honest ones, in every causal order
//! and batching, either all fail alike or build one document whose file loads.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Automerge, Change, ExpandedChange, ObjType, ScalarValue};
use starling_crdt::chunk::ChangeChunk;
use starling_crdt::document::{Commit, Document, Edit, Json, Pointer, PoisonReason, canonical};
use starling_crdt::id::{Actor, ChangeHash};

/// SplitMix64: a seed gives one sequence on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A change and what a forger needs to know of it.
#[derive(Clone)]
struct Known {
    bytes: Vec<u8>,
    chunk: ChangeChunk,
    ops: Vec<(OpId, Op)>,
}

fn known(bytes: Vec<u8>) -> Known {
    let chunk = canonical(&bytes).expect("made by the test");
    let change = Change::try_from(bytes.as_slice()).expect("made by the test");
    let expanded = change.decode();
    let start = expanded.start_op.get();
    let id = |place| OpId::new(start + place as u64, &expanded.actor_id);
    let ops = expanded.operations.iter().enumerate().map(|(place, op)| (id(place), op.clone())).collect();
    Known { bytes, chunk, ops }
}

const VALUES: [&str; 9] = [
    "1",
    "2.5",
    r#""s""#,
    r#"{"a": 1}"#,
    r#"["x", "y"]"#,
    r#"{"$counter": 2}"#,
    r#"{"$text": "abc"}"#,
    "null",
    r#"{"m": {"n": [1, {"$text": "q"}]}}"#,
];
const PATHS: [&str; 9] = ["/a", "/b", "/a/a", "/a/m", "/b/0", "/b/-", "/a/m/n", "/b/1", "/c"];

fn random_edit(dice: &mut Dice) -> Edit {
    let pointer: Pointer = dice.pick(&PATHS).parse().expect("valid");
    let value = Json::parse(dice.pick(&VALUES)).expect("valid");
    match dice.below(12) {
        0 => Edit::Remove,
        1..=3 => Edit::Increment { pointer, by: dice.below(9) as i64 - 4 },
        4 | 5 => {
            let members =
                ["a", "b", "c"].map(|key| (key.to_owned(), Json::parse(dice.pick(&VALUES)).expect("valid")));
            Edit::Put { value: Json::Map(BTreeMap::from(members)), base: None }
        }
        _ => Edit::Set { pointer, value },
    }
}

/// An honest history by three actors who sometimes hear of each other.
fn honest_history(dice: &mut Dice, edits: usize) -> Vec<Known> {
    let mut replicas = [Document::new(), Document::new(), Document::new()];
    let mut history: Vec<Known> = Vec::new();
    for time in 0..edits {
        let who = dice.below(replicas.len());
        if dice.one_in(2) {
            let all: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
            assert!(replicas[who].apply(&all).is_empty());
        }
        let commit = Commit { actor: Actor([who as u8 + 1; 16]), time_seconds: time as i64, message: None };
        // Paths that lead nowhere are part of the game.
        if let Ok(edited) = replicas[who].edit(commit, &random_edit(dice)) {
            history.extend(edited.changes.into_iter().map(|change| known(change.bytes)));
        }
    }
    history
}

/// Everything the given changes stand on, themselves included.
fn closure(history: &[Known], tips: &[usize]) -> BTreeSet<usize> {
    let place: BTreeMap<ChangeHash, usize> =
        history.iter().enumerate().map(|(place, known)| (known.chunk.hash, place)).collect();
    let mut seen = BTreeSet::new();
    let mut walk = tips.to_vec();
    while let Some(next) = walk.pop() {
        if seen.insert(next) {
            walk.extend(history[next].chunk.dependencies.iter().map(|hash| place[hash]));
        }
    }
    seen
}

fn random_action(dice: &mut Dice) -> OpType {
    match dice.below(10) {
        0 => OpType::Make(dice.pick(&[ObjType::Map, ObjType::List, ObjType::Text])),
        1 | 2 => OpType::Delete,
        3 => OpType::Increment(dice.below(5) as i64),
        4 => OpType::Put(ScalarValue::counter(3)),
        5 => OpType::Put("c".into()),
        _ => OpType::Put(7.into()),
    }
}

/// An operation at a place that exists, then made wrong here and there.
fn forge_op(dice: &mut Dice, visible: &[(OpId, Op)], anything: &[(OpId, Op)]) -> Op {
    let (id, model) =
        if visible.is_empty() || dice.one_in(12) { dice.pick(anything) } else { dice.pick(visible) };
    let key = match &model.key {
        Key::Seq(_) if model.insert => Key::Seq(ElementId::Id(id.clone())),
        other => other.clone(),
    };
    let mut op = Op {
        action: random_action(dice),
        obj: model.obj.clone(),
        key,
        insert: false,
        pred: SortedVec::new(),
    };
    if matches!(model.action, OpType::Make(_)) && dice.one_in(2) {
        op.obj = ObjectId::Id(id.clone());
        let head = Key::head();
        (op.key, op.insert) = if dice.one_in(2) { (head, true) } else { (Key::Map("a".into()), false) };
    } else if matches!(op.key, Key::Seq(_)) && dice.one_in(2) {
        op.insert = true;
    } else if !matches!(model.action, OpType::Delete | OpType::Increment(_)) && !dice.one_in(4) {
        let same = |other: &&(OpId, Op)| {
            other.1.obj == op.obj
                && other.1.key == op.key
                && !matches!(other.1.action, OpType::Delete | OpType::Increment(_))
        };
        let others = visible.iter().filter(same).map(|(id, _)| id.clone());
        let mut pred: Vec<OpId> = if dice.one_in(2) { others.collect() } else { vec![] };
        if !pred.contains(&id) {
            pred.push(id);
        }
        op.pred = SortedVec::from(pred);
    }
    if dice.one_in(20) {
        match dice.below(5) {
            0 => op.obj = dice.pick(anything).1.obj,
            1 => op.obj = ObjectId::Id(dice.pick(anything).0),
            2 => op.key = dice.pick(anything).1.key,
            3 => op.pred = SortedVec::from(vec![dice.pick(anything).0]),
            _ => op.insert = !op.insert,
        }
    }
    op
}

/// Changes by hostile actors on top of random parts of the history, most of them on sound ones.
fn forge(dice: &mut Dice, history: &mut Vec<Known>, count: usize) {
    let mut scratch = Document::new();
    let honest: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
    assert!(scratch.apply(&honest).is_empty());
    for round in 0..count {
        let sound: Vec<usize> =
            (0..history.len()).filter(|place| scratch.contains(&history[*place].chunk.hash)).collect();
        let anywhere: Vec<usize> = (0..history.len()).collect();
        let choices = if dice.one_in(10) { &anywhere } else { &sound };
        // An actor goes on until it has made something that stays out.
        let actor = Actor([0xe0 + dice.below(1 + round / 2) as u8; 16]);
        let own = history.iter().rposition(|known| known.chunk.actor == actor);
        if own.is_some_and(|place| !sound.contains(&place)) && !dice.one_in(10) {
            continue;
        }
        let mut tips = vec![dice.pick(choices), dice.pick(choices)];
        tips.extend(own);
        let past = closure(history, &tips);
        let covered: BTreeSet<usize> = past
            .iter()
            .flat_map(|place| {
                let dependencies = &history[*place].chunk.dependencies;
                past.iter()
                    .copied()
                    .filter(|other| dependencies.contains(&history[*other].chunk.hash))
                    .collect::<Vec<_>>()
            })
            .collect();
        // The heads of the past, and the own last change even if another stands on it.
        let depends: BTreeSet<usize> = past.difference(&covered).copied().chain(own).collect();
        let visible: Vec<_> = past.iter().flat_map(|place| history[*place].ops.clone()).collect();
        let anything: Vec<_> = history.iter().flat_map(|known| known.ops.clone()).collect();
        if anything.is_empty() {
            return;
        }
        let start_op = 1 + depends.iter().map(|place| history[*place].chunk.max_op()).max().unwrap_or(0);
        let mut operations: Vec<Op> = Vec::new();
        let mut reachable = visible;
        for place in 0..1 + dice.below(4) {
            let op = forge_op(dice, &reachable, &anything);
            reachable.push((OpId::new(start_op + place as u64, &ActorId::from(actor.0)), op.clone()));
            operations.push(op);
        }
        let change = Change::from(ExpandedChange {
            operations,
            actor_id: ActorId::from(actor.0),
            hash: None,
            seq: own.map_or(1, |place| history[place].chunk.seq + 1),
            start_op: NonZeroU64::new(start_op).expect("not zero"),
            time: 0,
            message: None,
            deps: depends.iter().map(|place| automerge::ChangeHash(history[*place].chunk.hash.0)).collect(),
            extra_bytes: vec![],
            author: None,
        });
        // What the admission before refuses never gets here.
        if canonical(change.raw_bytes()).is_ok() {
            scratch.apply(&[change.raw_bytes()]);
            history.push(known(change.raw_bytes().to_vec()));
        }
    }
}

/// The changes in another order that keeps dependencies before dependents.
fn causal_shuffle(dice: &mut Dice, history: &[Known]) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..history.len()).collect();
    let mut placed = BTreeSet::new();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let ready =
            |place: &usize| history[*place].chunk.dependencies.iter().all(|hash| placed.contains(hash));
        let choices: Vec<usize> = (0..waiting.len()).filter(|slot| ready(&waiting[*slot])).collect();
        let next = waiting.remove(dice.pick(&choices));
        placed.insert(history[next].chunk.hash);
        order.push(next);
    }
    order
}

type Verdicts = BTreeMap<ChangeHash, PoisonReason>;

/// Builds the document in a random causal order, in random batches, with repetitions.
fn build(dice: &mut Dice, history: &[Known]) -> (Document, Verdicts) {
    let order = causal_shuffle(dice, history);
    let mut document = Document::new();
    let mut verdicts = Verdicts::new();
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(1 + dice.below(rest.len()));
        let mut changes: Vec<&[u8]> = batch.iter().map(|place| history[*place].bytes.as_slice()).collect();
        if dice.one_in(3) {
            changes.insert(0, history[order[0]].bytes.as_slice());
        }
        for poison in document.apply(&changes) {
            verdicts.insert(poison.hash, poison.reason);
        }
        rest = later;
    }
    (document, verdicts)
}

/// The document's file loads, to the same heads and the same value.
fn check_file(seed: u64, document: &Document, shown: &Json) {
    let loaded = Automerge::load(&document.to_automerge_file());
    let loaded = loaded.unwrap_or_else(|error| panic!("seed {seed}: the file does not load: {error}"));
    let changes = loaded.get_changes(&[]);
    let mut again = Document::new();
    let bytes: Vec<&[u8]> = changes.iter().map(Change::raw_bytes).collect();
    assert_eq!(again.apply(&bytes), [], "seed {seed}");
    assert_eq!(again.heads(), document.heads(), "seed {seed}");
    assert_eq!(again.read(None, None).as_ref(), Ok(shown), "seed {seed}");
}

/// Four builds of one history agree on everything.
fn check_one_document(seed: u64, dice: &mut Dice, history: &[Known], tally: &mut (usize, usize)) {
    let (document, verdicts) = build(dice, history);
    let shown = document.read(None, None).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    document.conflicts().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    for (hash, reason) in &verdicts {
        assert!(!reason.diverges(), "seed {seed}: automerge fails on {hash}");
    }
    for _ in 0..3 {
        let (other, others_verdicts) = build(dice, history);
        assert_eq!(verdicts, others_verdicts, "seed {seed}");
        assert_eq!(document.heads(), other.heads(), "seed {seed}");
        assert_eq!(Ok(&shown), other.read(None, None).as_ref(), "seed {seed}");
        assert_eq!(document.conflicts(), other.conflicts(), "seed {seed}");
        check_file(seed, &other, &shown);
    }
    check_file(seed, &document, &shown);
    tally.0 += document.changes();
    tally.1 += verdicts.len();
}

#[test]
fn accepted_changes_build_one_document_in_every_order() {
    let mut tally = (0, 0);
    let mut forged = 0;
    let runs: u64 =
        std::env::var("STARLING_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(150);
    let first: u64 = std::env::var("STARLING_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    for seed in first..first + runs {
        let mut dice = Dice(seed);
        let mut history = honest_history(&mut dice, 12);
        if history.is_empty() {
            continue;
        }
        let honest = history.len();
        forge(&mut dice, &mut history, 24);
        forged += history.len() - honest;
        check_one_document(seed, &mut dice, &history, &mut tally);
    }
    let (accepted, refused) = tally;
    println!("{accepted} changes accepted, {refused} refused, {forged} forged");
    assert!(refused > forged / 10, "the forger makes something wrong: {refused} of {forged}");
    assert!(forged - refused > forged / 10, "the forger makes something right: {refused} of {forged}");
}

#[test]
fn mutated_bytes_never_panic_and_the_document_lives_on() {
    let mut dice = Dice(77);
    let history = honest_history(&mut dice, 40);
    let all: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
    let (mut passed, mut applied) = (0, 0);
    for round in 0..6_000 {
        let victim = dice.below(history.len());
        let mut bytes = history[victim].bytes.clone();
        for _ in 0..1 + dice.below(3) {
            let place = dice.below(bytes.len());
            match dice.below(4) {
                0 => bytes[place] ^= 1 << dice.below(8),
                1 => bytes[place] = dice.next() as u8,
                2 => {
                    bytes.remove(place);
                }
                _ => bytes.insert(place, dice.next() as u8),
            }
        }
        if round % 8 != 0 {
            repair_frame(&mut bytes);
        }
        if canonical(&bytes).is_ok() {
            passed += 1;
        }
        let mut document = Document::new();
        assert!(document.apply(&all[..victim]).is_empty());
        let before = document.changes();
        // Also what is not canonical: it must be contained as well.
        document.apply(&[&bytes]);
        applied += document.changes() - before;
        assert!(document.read(None, None).is_ok());
        assert!(document.apply(&all[victim..]).iter().all(|poison| !poison.reason.diverges()));
    }
    assert!(passed > 0 && applied > 0, "some mutations survive: {passed} canonical, {applied} applied");
}

/// Sets length, hash and checksum right, so that a mutation gets past the frame.
fn repair_frame(bytes: &mut Vec<u8>) {
    use sha2::Digest as _;
    let Some(length_bytes) = bytes.get(9..).and_then(|rest| rest.iter().position(|byte| byte & 0x80 == 0))
    else {
        return;
    };
    let content = bytes[9 + length_bytes + 1..].to_vec();
    let mut hashed = vec![1];
    let mut length = content.len();
    while length >= 0x80 {
        hashed.push(length as u8 | 0x80);
        length >>= 7;
    }
    hashed.push(length as u8);
    hashed.extend(&content);
    let hash = sha2::Sha256::digest(&hashed);
    *bytes = [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat();
}
