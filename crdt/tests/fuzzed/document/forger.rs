//! Changes by hostile actors on top of random parts of a history, most of them on sound ones.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use starling_crdt::document::{Document, canonical};
use starling_crdt::id::{Actor, ChangeHash};

use super::super::choices::Choices;
use super::history::{Known, known};

/// Forged changes in one history, at most.
const FORGED_MAX: usize = 24;

/// Operations of one forged change, at most.
const OPERATIONS_MAX: usize = 4;

type Operations = Vec<(OpId, Op)>;

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

fn action(choices: &mut Choices<'_>) -> OpType {
    match choices.below(20) {
        0 | 1 => OpType::Make(choices.pick(&[ObjType::Map, ObjType::List, ObjType::Text])),
        2..=4 => OpType::Delete,
        5 => OpType::Increment(choices.below(5) as i64),
        6 => OpType::Put(ScalarValue::counter(3)),
        7 | 8 => OpType::Put("c".into()),
        9 => OpType::Put("🎈é".into()),
        10 => OpType::Put(choices.pick(&[0.5, f64::NAN, f64::INFINITY, -0.0]).into()),
        11 => OpType::Increment(choices.pick(&[1 << 40, (1 << 40) + 1, i64::MIN])),
        12 => OpType::Put(ScalarValue::counter(choices.pick(&[1 << 62, (1 << 62) + 1, i64::MIN]))),
        13 => OpType::Put(ScalarValue::Bytes(choices.take(2).to_vec())),
        14 => OpType::Put(ScalarValue::Unknown { type_code: 11, bytes: choices.take(2).to_vec() }),
        15 => OpType::Put(ScalarValue::Uint(u64::MAX)),
        16 => OpType::Put(ScalarValue::Timestamp(choices.pick(&[0, i64::MAX, i64::MIN]))),
        _ => OpType::Put(7.into()),
    }
}

/// What an operation may replace at the same place.
fn predecessors(choices: &mut Choices<'_>, op: &Op, id: OpId, visible: &Operations) -> SortedVec<OpId> {
    let same = |other: &&(OpId, Op)| {
        other.1.obj == op.obj
            && other.1.key == op.key
            && !matches!(other.1.action, OpType::Delete | OpType::Increment(_))
    };
    let mut found: Vec<OpId> = Vec::new();
    if choices.one_in(2) {
        found.extend(visible.iter().filter(same).map(|(id, _)| id.clone()));
    }
    if !found.contains(&id) {
        found.push(id);
    }
    SortedVec::from(found)
}

/// An operation at a place that exists, then made wrong here and there.
fn forge_op(choices: &mut Choices<'_>, visible: &Operations, anything: &Operations) -> Op {
    let from = if visible.is_empty() || choices.one_in(12) { anything } else { visible };
    let (id, model) = choices.pick(from);
    let key = match &model.key {
        Key::Seq(_) if model.insert => Key::Seq(ElementId::Id(id.clone())),
        other => other.clone(),
    };
    let (action, obj) = (action(choices), model.obj.clone());
    let mut op = Op { action, obj, key, insert: false, pred: SortedVec::new() };
    if matches!(model.action, OpType::Make(_)) && choices.one_in(2) {
        op.obj = ObjectId::Id(id.clone());
        let head = Key::head();
        (op.key, op.insert) = if choices.one_in(2) { (head, true) } else { (Key::Map("a".into()), false) };
    } else if matches!(op.key, Key::Seq(_)) && choices.one_in(2) {
        op.insert = true;
    } else if !matches!(model.action, OpType::Delete | OpType::Increment(_)) && !choices.one_in(4) {
        op.pred = predecessors(choices, &op, id, visible);
    }
    if choices.one_in(20) {
        match choices.below(5) {
            0 => op.obj = choices.pick(anything).1.obj,
            1 => op.obj = ObjectId::Id(choices.pick(anything).0),
            2 => op.key = choices.pick(anything).1.key,
            3 => op.pred = SortedVec::from(vec![choices.pick(anything).0]),
            _ => op.insert = !op.insert,
        }
    }
    op
}

/// Where a forged change stands: its actor's last change, and what it depends on.
struct Ground {
    actor: Actor,
    own: Option<usize>,
    past: BTreeSet<usize>,
    depends: BTreeSet<usize>,
}

fn ground(choices: &mut Choices<'_>, history: &[Known], sound: &[usize], round: usize) -> Option<Ground> {
    // An actor goes on until it has made something that stays out.
    let actor = Actor([0xe0 + choices.below(1 + round / 2) as u8; 16]);
    let own = history.iter().rposition(|known| known.chunk.actor == actor);
    if own.is_some_and(|place| !sound.contains(&place)) && !choices.one_in(10) {
        return None;
    }
    let anywhere: Vec<usize> = (0..history.len()).collect();
    let from = if sound.is_empty() || choices.one_in(10) { &anywhere } else { sound };
    let mut tips = vec![choices.pick(from), choices.pick(from)];
    tips.extend(own);
    let past = closure(history, &tips);
    let below = past.iter().flat_map(|place| &history[*place].chunk.dependencies).collect::<BTreeSet<_>>();
    let is_head = |place: &usize| !below.contains(&history[*place].chunk.hash);
    // The heads of the past, and the own last change even if another stands on it.
    let mut depends: BTreeSet<usize> = past.iter().copied().filter(is_head).chain(own).collect();
    if choices.one_in(30) {
        depends.pop_first();
    }
    Some(Ground { actor, own, past, depends })
}

fn forge_change(choices: &mut Choices<'_>, history: &[Known], ground: &Ground) -> Change {
    let Ground { actor, own, past, depends } = ground;
    let mut reachable: Operations = past.iter().flat_map(|place| history[*place].ops.clone()).collect();
    let anything: Operations = history.iter().flat_map(|known| known.ops.clone()).collect();
    let highest = depends.iter().map(|place| history[*place].chunk.max_op()).max().unwrap_or(0);
    let start_op = 1 + highest + u64::from(choices.one_in(30));
    let mut operations: Vec<Op> = Vec::new();
    for place in 0..choices.below(OPERATIONS_MAX + 1) {
        let op = forge_op(choices, &reachable, &anything);
        reachable.push((OpId::new(start_op + place as u64, &ActorId::from(actor.0)), op.clone()));
        operations.push(op);
    }
    let message = choices.pick(&[None, None, None, None, Some("m"), Some("delete")]);
    let mut deps: Vec<_> =
        depends.iter().map(|place| automerge::ChangeHash(history[*place].chunk.hash.0)).collect();
    deps.sort_unstable();
    Change::from(ExpandedChange {
        operations,
        actor_id: ActorId::from(actor.0),
        hash: None,
        seq: own.map_or(1, |place| history[place].chunk.seq + 1),
        start_op: NonZeroU64::new(start_op).expect("not zero"),
        time: choices.pick(&[0, 0, 1, -1, i64::MAX]),
        message: message.map(str::to_owned),
        deps,
        extra_bytes: vec![],
        author: None,
    })
}

/// Adds forged changes to the history until the choices are spent.
pub fn forge(choices: &mut Choices<'_>, history: &mut Vec<Known>) {
    let mut scratch = Document::new();
    let honest: Vec<&[u8]> = history.iter().map(|known| known.bytes.as_slice()).collect();
    assert_eq!(scratch.apply(&honest), [], "honest changes are refused");
    for round in 0..FORGED_MAX {
        if choices.are_spent() || history.iter().all(|known| known.ops.is_empty()) {
            return;
        }
        let sound: Vec<usize> =
            (0..history.len()).filter(|place| scratch.contains(&history[*place].chunk.hash)).collect();
        let Some(ground) = ground(choices, history, &sound, round) else { continue };
        let change = forge_change(choices, history, &ground);
        // What the admission before refuses never gets here.
        if canonical(change.raw_bytes()).is_ok() {
            scratch.apply(&[change.raw_bytes()]);
            history.push(known(change.raw_bytes().to_vec()));
        }
    }
}
