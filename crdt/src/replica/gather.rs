//! Increments of one counter that wait together become one.
//!
//! A counter costs a visit of every increment it ever had, each time it is touched, and many clients that
//! count at once are what counters are for. What they add in one step is one change: its sum is the same, its
//! author and its time are the same, and each of them has its reply.

use std::collections::BTreeMap;

use super::core::Core;
use super::effect::{Counted, Note, Reply};
use super::input::{Condition, Input, LocalRequest, RequestTicket, Write};
use super::step::Step;
use crate::document::Edit;
use crate::id::{DocumentName, SpaceId};

/// What one step does at a time.
#[expect(
    clippy::large_enum_variant,
    reason = "most are inputs, each moved once: a box for each would cost more"
)]
pub(super) enum Work {
    /// An input on its own.
    One(Input),
    /// Increments of one counter, all up or all down.
    Increments {
        /// Who asked, and for how much.
        each: Vec<(RequestTicket, i64)>,
        /// The first of them, by the sum of all.
        write: Box<Write>,
    },
}

/// The inputs of a step in order, but for increments, which are done with the first of their counter that
/// waits. Between them lies nothing that could tell the difference: no other write to their document, and no
/// request but writes.
pub(super) fn gathered(inputs: Vec<Input>) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::with_capacity(inputs.len());
    let mut open: BTreeMap<(SpaceId, DocumentName), usize> = BTreeMap::new();
    for input in inputs {
        match input {
            Input::Local { ticket, request: LocalRequest::Write(write) } => {
                let Some(by) = increment(&write) else {
                    if !open.is_empty() {
                        open.remove(&(write.space, write.document.clone()));
                    }
                    let request = LocalRequest::Write(write);
                    works.push(Work::One(Input::Local { ticket, request }));
                    continue;
                };
                let key = (write.space, write.document.clone());
                let joined = open.get(&key).and_then(|at| works.get_mut(*at));
                if joined.is_none_or(|work| !join(work, ticket, &write)) {
                    open.insert(key, works.len());
                    works.push(Work::Increments { each: vec![(ticket, by)], write });
                }
            }
            other => {
                if matches!(other, Input::Local { .. }) {
                    open.clear();
                }
                works.push(Work::One(other));
            }
        }
    }
    works
}

/// By how much a write adds to a counter, if that is all it asks for.
fn increment(write: &Write) -> Option<i64> {
    match write.edit {
        Edit::Increment { by, .. }
            if write.request_id.is_none() && write.condition == Condition::default() =>
        {
            Some(by)
        }
        _ => None,
    }
}

/// Adds an increment to those of its document, if they are of the same counter and their sum is no less than
/// each of them.
fn join(work: &mut Work, ticket: RequestTicket, more: &Write) -> bool {
    let Work::Increments { each, write } = work else { return false };
    let (Edit::Increment { pointer, by: sum }, Edit::Increment { pointer: other, by }) =
        (&mut write.edit, &more.edit)
    else {
        return false;
    };
    let Some(new) = sum.checked_add(*by).filter(|_| pointer == other && sum.signum() * by.signum() == 1)
    else {
        return false;
    };
    *sum = new;
    each.push((ticket, *by));
    true
}

impl Core {
    /// Does one thing of a step.
    pub(super) fn work(&mut self, step: &mut Step<'_>, work: Work) {
        match work {
            Work::One(input) => {
                if let Err(error) = self.handle(step, input) {
                    step.note(Note::StoreFault { error });
                }
            }
            Work::Increments { each, write } => self.increments(step, &each, *write),
        }
    }

    fn increments(&mut self, step: &mut Step<'_>, each: &[(RequestTicket, i64)], mut write: Write) {
        if let [(first, _), rest @ ..] = each
            && !rest.is_empty()
            && let Ok(written) = self.try_write(step, &write)
        {
            let mut later = written.clone();
            later.created = false;
            step.count(Counted::Written, if written.changed { rest.len() as u64 } else { 0 });
            step.reply(*first, Ok(Reply::Written(written)));
            for (ticket, _) in rest {
                step.reply(*ticket, Ok(Reply::Written(later.clone())));
            }
            return;
        }
        // One by one, since some may succeed where the sum does not.
        for (ticket, one) in each {
            if let Edit::Increment { by, .. } = &mut write.edit {
                *by = *one;
            }
            self.write(step, *ticket, &write);
        }
    }
}
