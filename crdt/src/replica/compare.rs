//! Comparing with one connected member: what differs, down to the change, without fetching any of it.
//!
//! A comparison asks how the other node stands, finds the items that differ by the same ranges that repair
//! uses, and ends with a second look that names what this node does not know. It only reads, at either side,
//! and repair goes on meanwhile: so it tells between which states it was made, and leaves out what arrived
//! before it ended.
//!
//! Promises: bounded in time by what it was given, in memory by [`COMPARED_ITEMS_MAX`]; a name is told only
//! if it fits its key, so the other side cannot invent any. Leaves out whom a name stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::rand_core::Rng;

use super::core::Core;
use super::effect::{Compared, Comparison, Difference, Held, Refusal, Reply, Unasked};
use super::input::{CompareId, RequestTicket};
use super::repair::Asked;
use super::space::Space;
use super::step::Step;
use crate::budget::Offence;
use crate::exchange::{ItemName, Look, Reconciliation, Request, Response, Standing, encode_message};
use crate::gossip::ScreenedAnswer;
use crate::history::{ItemKey, Items};
use crate::id::{Actor, AuthorKey, DocumentName, SpaceId};
use crate::limits::{COMPARED_ITEMS_MAX, COMPARISONS_MAX};
use crate::store::StoreError;
use crate::time::Moment;

/// After a question was lost or the other node was busy, whatever time it named.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is to be compared.
pub(super) struct Wish {
    pub(super) id: CompareId,
    pub(super) space: SpaceId,
    pub(super) document: Option<DocumentName>,
    pub(super) peer: AuthorKey,
    pub(super) timeout: Duration,
}

/// A comparison under way.
pub(super) struct Comparing {
    ticket: RequestTicket,
    wish: Wish,
    began: Moment,
    until: Moment,
    /// When to ask next; absent while a question is out.
    ask_at: Option<Moment>,
    stage: Stage,
    /// This node when the comparison began.
    ours: Held,
    round_trips: u32,
    sent: u64,
    received: u64,
}

/// What a comparison asks next.
enum Stage {
    /// How the other node stands.
    Look,
    /// Which ranges differ.
    Ranges { theirs: Standing, run: Box<Reconciliation> },
    /// How it stands now, and what the items are that this node does not know.
    Name { theirs: Standing, found: Found },
}

/// Items that differ, with the sequence numbers of the other side.
struct Found {
    items: BTreeMap<ItemKey, u64>,
    forked: BTreeSet<ItemKey>,
    /// How many there are at least.
    count: u64,
    complete: bool,
    /// Those of which this node knows no name, in the order in which they are asked about.
    unknown: Vec<ItemKey>,
}

/// Which comparison a question was asked for.
#[derive(Clone, Copy)]
pub(super) struct Question(RequestTicket);

impl Core {
    /// Starts to compare.
    pub(super) fn compare(
        &mut self,
        step: &mut Step<'_>,
        ticket: RequestTicket,
        wish: Wish,
    ) -> Result<(), Refusal> {
        let space = self.space(wish.space)?;
        if wish.peer == self.identity.key() {
            return Err(Refusal::ThisNode);
        }
        if self.comparisons.len() >= COMPARISONS_MAX {
            return Err(Refusal::TooMany { what: "comparisons" });
        }
        let began = step.now.monotonic;
        let ours = Held { position: self.position_of(step), fingerprint: space.items.fingerprint() };
        self.comparisons.push(Comparing {
            ticket,
            began,
            until: began + wish.timeout,
            wish,
            ask_at: Some(began),
            stage: Stage::Look,
            ours,
            round_trips: 0,
            sent: 0,
            received: 0,
        });
        Ok(())
    }

    /// Ends comparisons that nobody waits for any more.
    pub(super) fn stop_comparing(&mut self, id: CompareId) -> Reply {
        self.comparisons.retain(|comparing| comparing.wish.id != id);
        Reply::Done
    }

    /// When a comparison has something to do next.
    pub(super) fn compare_wakeup(&self) -> Option<Moment> {
        let due =
            |comparing: &Comparing| comparing.ask_at.map_or(comparing.until, |at| at.min(comparing.until));
        self.comparisons.iter().map(due).min()
    }

    /// Asks what is due, and ends comparisons whose time is over or whose peer is gone.
    pub(super) fn compare_tick(&mut self, step: &mut Step<'_>) {
        let mut comparisons = std::mem::take(&mut self.comparisons);
        comparisons.retain_mut(|comparing| match self.compare_step(step, comparing) {
            None => true,
            Some(reply) => {
                step.reply(comparing.ticket, reply);
                false
            }
        });
        comparisons.append(&mut self.comparisons);
        self.comparisons = comparisons;
    }

    /// Lets one comparison go on; gives the reply with which it ends.
    fn compare_step(
        &mut self,
        step: &mut Step<'_>,
        comparing: &mut Comparing,
    ) -> Option<Result<Reply, Refusal>> {
        let now = step.now.monotonic;
        if !self.spaces.contains_key(&comparing.wish.space) {
            return Some(Err(Refusal::UnknownSpace(comparing.wish.space)));
        }
        let unasked = |why| Some(Ok(Reply::Compared(Compared::Unasked(why))));
        if !self.peers.contains_key(&comparing.wish.peer) {
            return unasked(if comparing.round_trips == 0 { Unasked::NotConnected } else { Unasked::Lost });
        }
        if now >= comparing.until {
            return unasked(Unasked::TimedOut);
        }
        if comparing.ask_at.is_some_and(|at| at <= now) {
            let space = comparing.wish.space;
            let request = match &mut comparing.stage {
                Stage::Look => Request::Look(Look { space, items: Vec::new() }),
                Stage::Ranges { run, .. } => {
                    // A question that was lost is asked again as it was.
                    let ranges = run.repeat_ranges().or_else(|| run.next_ranges()).unwrap_or_default();
                    Request::Reconcile { space, salt: run.salt(), ranges }
                }
                Stage::Name { found, .. } => Request::Look(Look { space, items: found.unknown.clone() }),
            };
            comparing.ask_at = None;
            comparing.sent += encode_message(&request).len() as u64;
            self.ask(step, comparing.wish.peer, Asked::Compare(Question(comparing.ticket)), &request);
        }
        None
    }

    /// A question was not sent, or its peer is gone: it is asked again if the peer is there.
    pub(super) fn compare_unasked(&mut self, now: Moment, Question(ticket): Question) {
        if let Some(comparing) = self.comparisons.iter_mut().find(|comparing| comparing.ticket == ticket) {
            comparing.ask_at = Some(now + ASK_AGAIN.0);
        }
    }

    /// Takes the answer to a question of a comparison.
    pub(super) fn compare_answered(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        question: Question,
        answer: Result<ScreenedAnswer, String>,
    ) -> Result<(), StoreError> {
        let Some(place) = self.comparisons.iter().position(|known| known.ticket == question.0) else {
            return Ok(());
        };
        let now = step.now.monotonic;
        let response = match answer {
            Err(_) => {
                self.compare_unasked(now, question);
                return Ok(());
            }
            Ok(ScreenedAnswer::Plain(Response::Busy { retry_after_ms })) => {
                let pause = Duration::from_millis(retry_after_ms.into()).clamp(ASK_AGAIN.0, ASK_AGAIN.1);
                self.comparisons[place].ask_at = Some(now + pause);
                return Ok(());
            }
            Ok(ScreenedAnswer::Plain(Response::Refused { reason, .. })) => {
                self.end_comparison(step, place, Ok(Compared::Unasked(Unasked::Refused(reason))));
                return Ok(());
            }
            Ok(ScreenedAnswer::Malformed(error)) => {
                if !error.is_newer() {
                    self.offend(step, peer, Offence::Garbage, "malformed_answer");
                }
                let why = Unasked::Refused(error.to_string());
                self.end_comparison(step, place, Ok(Compared::Unasked(why)));
                return Ok(());
            }
            Ok(ScreenedAnswer::Plain(response)) => response,
            Ok(_) => Response::Done,
        };
        let mut comparing = self.comparisons.swap_remove(place);
        comparing.round_trips += 1;
        comparing.received += encode_message(&response).len() as u64;
        match self.compare_on(step, &mut comparing, response) {
            Ok(None) => {
                comparing.ask_at = Some(now);
                self.comparisons.push(comparing);
            }
            Ok(Some(compared)) => step.reply(comparing.ticket, compared.map(Reply::Compared)),
            Err(error) => step.reply(comparing.ticket, Err(Refusal::Store(error))),
        }
        Ok(())
    }

    fn end_comparison(&mut self, step: &mut Step<'_>, place: usize, outcome: Result<Compared, Refusal>) {
        let comparing = self.comparisons.swap_remove(place);
        step.reply(comparing.ticket, outcome.map(Reply::Compared));
    }

    /// Goes from one stage to the next; gives what was found at the end.
    fn compare_on(
        &mut self,
        step: &mut Step<'_>,
        comparing: &mut Comparing,
        response: Response,
    ) -> Result<Option<Result<Compared, Refusal>>, StoreError> {
        let Some(space) = self.spaces.get(&comparing.wish.space) else {
            return Ok(Some(Err(Refusal::UnknownSpace(comparing.wish.space))));
        };
        let stage = std::mem::replace(&mut comparing.stage, Stage::Look);
        match (stage, response) {
            (Stage::Look, Response::Looked(theirs)) => {
                if theirs.items == space.items.fingerprint() {
                    let found = Found::nothing();
                    return self.compared(step, comparing, &theirs, &theirs, found).map(Some);
                }
                let range = comparing.wish.document.as_ref().map(ItemKey::range_of);
                let salt = self.rng.next_u64();
                let run = Reconciliation::within(&space.items, salt, range, COMPARED_ITEMS_MAX);
                comparing.stage = Stage::Ranges { theirs, run: Box::new(run) };
            }
            (Stage::Ranges { theirs, mut run }, Response::Ranges(answers)) => {
                run.take_answers(&space.items, answers);
                comparing.stage = if run.is_done() {
                    Stage::Name { theirs, found: Found::of(&space.items, *run) }
                } else {
                    Stage::Ranges { theirs, run }
                };
            }
            (Stage::Name { theirs, found }, Response::Looked(after)) => {
                return self.compared(step, comparing, &theirs, &after, found).map(Some);
            }
            _ => {
                self.offend(step, comparing.wish.peer, Offence::Garbage, "unexpected_answer");
                let why = Unasked::Refused("it answered another question".to_owned());
                return Ok(Some(Ok(Compared::Unasked(why))));
            }
        }
        Ok(None)
    }

    /// What a comparison found, as of now.
    fn compared(
        &self,
        step: &Step<'_>,
        comparing: &Comparing,
        before: &Standing,
        after: &Standing,
        found: Found,
    ) -> Result<Result<Compared, Refusal>, StoreError> {
        let Some(space) = self.spaces.get(&comparing.wish.space) else {
            return Ok(Err(Refusal::UnknownSpace(comparing.wish.space)));
        };
        let (differences, arrived) = differences(step, space, &comparing.wish, &found, after)?;
        let held = |standing: &Standing| Held { position: standing.position, fingerprint: standing.items };
        Ok(Ok(Compared::With(Box::new(Comparison {
            ours: comparing.ours,
            ours_after: Held { position: self.position_of(step), fingerprint: space.items.fingerprint() },
            theirs: held(before),
            theirs_after: held(after),
            charters_equal: after.statements == space.charter.fingerprint(),
            differing: found.count.saturating_sub(arrived).max(differences.len() as u64),
            complete: found.complete,
            differences,
            round_trips: comparing.round_trips,
            sent: comparing.sent,
            received: comparing.received,
            took: step.now.monotonic.since(comparing.began),
        }))))
    }
}

/// What still differs of what was found, by document and actor, and how much does no longer.
fn differences(
    step: &Step<'_>,
    space: &Space,
    wish: &Wish,
    found: &Found,
    after: &Standing,
) -> Result<(Vec<Difference>, u64), StoreError> {
    let told = names(&found.unknown, after);
    let mut authors: BTreeMap<Actor, Option<AuthorKey>> = BTreeMap::new();
    let (mut differences, mut arrived) = (Vec::new(), 0);
    for (key, theirs) in &found.items {
        let item = space.items.item(*key);
        let (ours, forked) = (item.map_or(0, |item| item.tip.seq), found.forked.contains(key));
        if ours == *theirs && !forked {
            arrived += 1;
            continue;
        }
        let held = item.map(|item| ItemName { document: (*item.document).clone(), actor: item.actor });
        let name = held.or_else(|| told.get(key).cloned());
        let is_other =
            |name: &ItemName| wish.document.as_ref().is_some_and(|wanted| *wanted != name.document);
        if name.as_ref().is_some_and(is_other) {
            continue;
        }
        let (document, actor) = name.map(|name| (name.document, name.actor)).unzip();
        if let Some(actor) = actor.filter(|actor| !authors.contains_key(actor)) {
            let incarnation = space.incarnation(&step.transaction, actor)?;
            authors.insert(actor, incarnation.map(|incarnation| incarnation.author()));
        }
        let author = actor.and_then(|actor| authors.get(&actor).copied().flatten());
        differences.push(Difference { document, actor, author, ours, theirs: *theirs, forked });
    }
    differences.sort_by(|a, b| (&a.document, a.actor).cmp(&(&b.document, b.actor)));
    Ok((differences, arrived))
}

/// The names told of items, as far as each fits its key.
fn names(asked: &[ItemKey], told: &Standing) -> BTreeMap<ItemKey, ItemName> {
    let pairs = asked.iter().zip(&told.named).filter_map(|(key, name)| Some((*key, name.clone()?)));
    pairs.filter(|(key, name)| ItemKey::of(&name.document, name.actor) == *key).collect()
}

impl Found {
    fn nothing() -> Self {
        Self {
            items: BTreeMap::new(),
            forked: BTreeSet::new(),
            count: 0,
            complete: true,
            unknown: Vec::new(),
        }
    }

    fn of(items: &Items, run: Reconciliation) -> Self {
        let complete = run.is_complete();
        let Reconciliation { wants, offers, forked, .. } = run;
        let seq = |key: &ItemKey| items.item(*key).map_or(0, |item| item.tip.seq);
        let count = (wants.len() + offers.len() + forked.len()) as u64;
        let forks = forked.iter().map(|key| (*key, seq(key)));
        let less = offers.iter().map(|offer| (offer.mine.key, offer.theirs));
        let all: BTreeMap<ItemKey, u64> = wants.into_iter().chain(less).chain(forks).collect();
        let told: BTreeMap<ItemKey, u64> = all.into_iter().take(COMPARED_ITEMS_MAX).collect();
        let unknown = told.keys().filter(|key| items.item(**key).is_none()).copied().collect();
        let forked = forked.into_iter().collect();
        Self { complete: complete && count <= told.len() as u64, items: told, forked, count, unknown }
    }
}
