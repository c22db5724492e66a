//! The validator: whether a change makes sense on top of its causal past.
//!
//! Promises: the verdict is a function of the change and its causal past alone, so every node gives
//! the same one in any order of arrival; what it accepts, automerge applies in every causal order
//! and batch to one document whose file loads. Each rule has a [`PoisonReason`].
//!
//! Leaves out: rules that need no past (`chunk`, `canonical`), and authors' budgets (`view`).

use automerge::legacy::{ElementId, Key, ObjectId, Op as ForeignOp, OpId, OpType};
use automerge::{ExpandedChange, ObjType, ScalarValue};

use super::apply::PoisonReason;
use super::bridge;
use super::index::{ActorRef, Clock, Effect, Index, Kind, NewChange, Object, ObjectRef, Op, OpRef, ROOT};
use super::is_deletion;
use crate::id::ChangeHash;
use crate::limits::{COUNTER_START_MAX, COUNTER_STEP_MAX, DOCUMENT_DEPTH_MAX, OP_COUNTER_MAX};

/// Checks `change` and adds it to the index, or leaves the index as it was.
pub(super) fn admit(
    index: &mut Index,
    hash: ChangeHash,
    change: &ExpandedChange,
    bytes: usize,
) -> Result<(), PoisonReason> {
    let dependencies: Vec<ChangeHash> = change.deps.iter().map(bridge::hash).collect();
    let actor = bridge::actor(&change.actor_id).ok_or(PoisonReason::Malformed)?;
    if let Some(missing) = dependencies.iter().find(|hash| !index.contains(hash)) {
        return Err(PoisonReason::Dependency(*missing));
    }
    let start_op = check_place(index, change, &dependencies)?;
    let clock = index.past(&dependencies);
    let mark = index.mark();
    let actor_ref = index.enter_actor(actor);
    let mut checker = Checker { index, clock: &clock, actor: actor_ref, start_op, first: None };
    if let Err(reason) = change.operations.iter().try_for_each(|op| checker.op(op)) {
        index.reset(mark);
        return Err(reason);
    }
    let deletion = is_deletion(change.message.as_deref());
    let new = NewChange {
        hash,
        actor,
        seq: change.seq,
        start_op,
        dependencies: &dependencies,
        deletion,
        time: change.time,
        bytes,
    };
    index.commit(&new, mark, clock);
    Ok(())
}

/// The change's place in its actor's run and among the counters, and its first counter.
fn check_place(
    index: &Index,
    change: &ExpandedChange,
    dependencies: &[ChangeHash],
) -> Result<u32, PoisonReason> {
    let actor = bridge::actor(&change.actor_id).ok_or(PoisonReason::Malformed)?;
    // None and the first, or exactly one and the next.
    let own = index.own_seqs(actor, dependencies);
    let follows = match own.as_slice() {
        [] => change.seq == 1,
        [last] => change.seq == last + 1,
        _ => false,
    };
    if !follows {
        return Err(PoisonReason::Sequence);
    }
    if index.tip(actor).map_or(0, |tip| tip.seq) >= change.seq {
        return Err(PoisonReason::Fork);
    }
    let past_max = dependencies.iter().filter_map(|hash| index.max_op(hash)).max().unwrap_or(0);
    let start_op = u32::try_from(change.start_op.get()).map_err(|_| PoisonReason::StartOp)?;
    let end = u64::from(start_op) + change.operations.len() as u64;
    if start_op != past_max + 1 || end >= OP_COUNTER_MAX {
        return Err(PoisonReason::StartOp);
    }
    Ok(start_op)
}

struct Checker<'a> {
    index: &'a mut Index,
    clock: &'a Clock,
    actor: ActorRef,
    start_op: u32,
    /// Place of the change's first operation, known from the first one on.
    first: Option<OpRef>,
}

impl Checker<'_> {
    fn op(&mut self, op: &ForeignOp) -> Result<(), PoisonReason> {
        let own = self.index.next_op();
        let first = *self.first.get_or_insert(own);
        let counter = self.start_op + (own - first);
        let object = self.object(&op.obj)?;
        let holder = self.index.object(object);
        let (effect, makes) = effect(&op.action)?;
        let key = self.key(op, object, holder.kind, own)?;
        if holder.kind == Kind::Text {
            check_text(op, effect)?;
        }
        let made = match makes {
            None => None,
            Some(kind) => Some(Object { kind, depth: deeper(holder.depth)? }),
        };
        self.check_predecessors(op, object, key, effect, counter)?;
        self.index.push_op(Op { object, key, effect, insert: op.insert }, made);
        Ok(())
    }

    /// The operation with this id, if it lies in the causal past or earlier in this change.
    fn resolve(&self, id: &OpId) -> Option<OpRef> {
        let counter = u32::try_from(id.counter()).ok()?;
        let actor = self.index.actor(bridge::actor(id.actor())?)?;
        if actor == self.actor && counter >= self.start_op {
            let place = self.first?.checked_add(counter - self.start_op)?;
            return (place < self.index.next_op()).then_some(place);
        }
        if !self.clock.covers(actor, counter) {
            return None;
        }
        self.index.find(actor, counter)
    }

    fn object(&self, object: &ObjectId) -> Result<ObjectRef, PoisonReason> {
        match object {
            ObjectId::Root => Ok(ROOT),
            ObjectId::Id(id) => {
                let op = self.resolve(id).ok_or(PoisonReason::UnknownObject)?;
                self.index.made(op).ok_or(PoisonReason::UnknownObject)
            }
        }
    }

    /// The key as the index names it.
    fn key(
        &mut self,
        op: &ForeignOp,
        object: ObjectRef,
        kind: Kind,
        own: OpRef,
    ) -> Result<u32, PoisonReason> {
        match (&op.key, kind) {
            (Key::Map(name), Kind::Map) if !op.insert => Ok(self.index.intern(name)),
            (Key::Seq(ElementId::Head), Kind::List | Kind::Text) if op.insert => Ok(own),
            (Key::Seq(ElementId::Id(id)), Kind::List | Kind::Text) => {
                let element = self.resolve(id).ok_or(PoisonReason::UnknownElement)?;
                let found = self.index.op(element);
                if found.object != object || !found.insert {
                    return Err(PoisonReason::UnknownElement);
                }
                Ok(if op.insert { own } else { element })
            }
            _ => Err(PoisonReason::KeyKind),
        }
    }

    fn check_predecessors(
        &self,
        op: &ForeignOp,
        object: ObjectRef,
        key: u32,
        effect: Effect,
        counter: u32,
    ) -> Result<(), PoisonReason> {
        let needed = matches!(effect, Effect::Delete | Effect::Increment);
        if (op.insert && !op.pred.is_empty()) || (needed && op.pred.is_empty()) {
            return Err(PoisonReason::Predecessor);
        }
        let mut counters = 0;
        let mut last: Option<&OpId> = None;
        for id in op.pred.iter() {
            // Sorted when decoded, so equal ones lie side by side.
            if last == Some(id) || id.counter() >= u64::from(counter) {
                return Err(PoisonReason::Predecessor);
            }
            last = Some(id);
            let found = self.index.op(self.resolve(id).ok_or(PoisonReason::Predecessor)?);
            if found.object != object || found.key != key || !found.effect.is_value() {
                return Err(PoisonReason::Predecessor);
            }
            counters += usize::from(found.effect == Effect::Counter);
        }
        if effect == Effect::Increment && counters == 0 {
            return Err(PoisonReason::NoCounter);
        }
        Ok(())
    }
}

fn deeper(depth: u8) -> Result<u8, PoisonReason> {
    let deeper = depth.checked_add(1).filter(|depth| usize::from(*depth) <= DOCUMENT_DEPTH_MAX);
    deeper.ok_or(PoisonReason::TooDeep)
}

fn within(number: i64, bound: i64) -> bool {
    number.unsigned_abs() <= bound.unsigned_abs()
}

/// What an action does, and what it makes.
fn effect(action: &OpType) -> Result<(Effect, Option<Kind>), PoisonReason> {
    match action {
        OpType::Make(ObjType::Map) => Ok((Effect::Make, Some(Kind::Map))),
        OpType::Make(ObjType::List) => Ok((Effect::Make, Some(Kind::List))),
        OpType::Make(ObjType::Text) => Ok((Effect::Make, Some(Kind::Text))),
        OpType::Delete => Ok((Effect::Delete, None)),
        OpType::Increment(by) if !within(*by, COUNTER_STEP_MAX) => Err(PoisonReason::CounterRange),
        OpType::Increment(_) => Ok((Effect::Increment, None)),
        OpType::Put(ScalarValue::Counter(start)) if !within(i64::from(start), COUNTER_START_MAX) => {
            Err(PoisonReason::CounterRange)
        }
        OpType::Put(ScalarValue::Counter(_)) => Ok((Effect::Counter, None)),
        OpType::Put(ScalarValue::Unknown { .. }) => Err(PoisonReason::Unsupported),
        OpType::Put(ScalarValue::F64(number)) if !number.is_finite() => Err(PoisonReason::NotFinite),
        OpType::Put(_) => Ok((Effect::Scalar, None)),
        OpType::Make(ObjType::Table) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => {
            Err(PoisonReason::Unsupported)
        }
    }
}

/// A text takes insertions of one character and deletions, so that its positions are characters.
fn check_text(op: &ForeignOp, effect: Effect) -> Result<(), PoisonReason> {
    let fits = match &op.action {
        OpType::Put(ScalarValue::Str(text)) => op.insert && text.chars().count() == 1,
        _ => effect == Effect::Delete && !op.insert,
    };
    if fits { Ok(()) } else { Err(PoisonReason::NotText) }
}
