//! The answering side of exchanges: from what this node holds, keeping nothing about who asked.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;

use super::core::Core;
use super::effect::{Counted, Effect, Note};
use super::space::Space;
use super::statements::WitnessFault;
use super::step::Step;
use crate::budget::{Offence, OverBudget, Usage};
use crate::charter::JoinRequest;
use crate::codec;
use crate::exchange::{
    DocumentHeads, Greeting, ItemName, Look, MessageError, RefusalCode, Request, Response, Standing, Want,
    answer_ranges, encode_message,
};
use crate::gossip::ScreenedRequest;
use crate::history::{Item, ItemKey, stored_delta};
use crate::id::{Actor, AuthorKey, DocumentName, SpaceId, StatementId};
use crate::incarnation::Incarnation;
use crate::limits::{COMPARED_ITEMS_MAX, EXCHANGE_CHUNK_BYTES, FETCH_WANTS_MAX, STATEMENT_TIPS_TOLD_MAX};
use crate::store::StoreError;
use crate::store::tables::DeltaRecord;

/// Counted for messages of a version or kind that this node does not know.
pub(super) const UNSUPPORTED: &str = "unsupported";
/// When to ask again after this node could not read its own rows.
const FAULT_RETRY_MS: u32 = 5_000;
/// Runs of one document read side by side for an answer, each with one delta in memory.
const CURSORS_MAX: usize = 64;
/// What one item costs in a reconciliation, as bytes served: its key, number and hash are read.
const ITEM_COST: u64 = 72;
/// Documents one confirmation may ask about.
const CONFIRMED_DOCUMENTS_MAX: usize = 16;

fn refused(code: RefusalCode, reason: impl Into<String>) -> Response {
    Response::Refused { code, reason: reason.into() }
}

fn not_admitted() -> Response {
    refused(RefusalCode::NotAdmitted, "this node shares no such space with you")
}

impl Core {
    /// Answers a peer's question.
    pub(super) fn asked(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        id: u64,
        request: Result<ScreenedRequest, MessageError>,
    ) -> Result<(), StoreError> {
        let now = step.now.monotonic;
        let response = match self.budget.charge(now, peer, Usage::Request) {
            Err(over) => {
                if self.budget.charge(now, peer, Usage::Refusal).is_err() {
                    self.offend(step, peer, Offence::Flood, "too_many_requests");
                }
                busy(over)
            }
            Ok(()) => match request {
                Err(error) => self.unreadable(step, peer, error),
                Ok(request) => self.respond(step, peer, request).unwrap_or_else(|error| {
                    step.note(Note::StoreFault { error });
                    Response::Busy { retry_after_ms: FAULT_RETRY_MS }
                }),
            },
        };
        step.effects.push(Effect::Answer { peer, id, body: encode_message(&response) });
        Ok(())
    }

    fn unreadable(&mut self, step: &mut Step<'_>, peer: AuthorKey, error: MessageError) -> Response {
        if error.is_newer() {
            step.count(Counted::Refused(UNSUPPORTED), 1);
            return refused(RefusalCode::Unsupported, error.to_string());
        }
        self.offend(step, peer, Offence::Garbage, "malformed_request");
        refused(RefusalCode::Malformed, error.to_string())
    }

    fn respond(
        &mut self,
        step: &mut Step<'_>,
        peer: AuthorKey,
        request: ScreenedRequest,
    ) -> Result<Response, StoreError> {
        let request = match request {
            // A statement speaks for itself, whoever brings it: so a new member shows its own join.
            ScreenedRequest::TakeStatements { space, statements } if self.spaces.contains_key(&space) => {
                self.take_statements(step, space, peer, statements);
                return Ok(Response::Done);
            }
            ScreenedRequest::TakeStatements { .. } => return Ok(not_admitted()),
            ScreenedRequest::Plain(request) => request,
        };
        Ok(match request {
            Request::Hello(greetings) => self.greet(step, peer, &greetings),
            Request::Join(request) => self.answer_join(step, peer, &request),
            // Whatever is of this kind was told apart above.
            Request::TakeStatements { .. } => not_admitted(),
            Request::Statements { space, tips, after } => {
                self.answer_statements(step, peer, space, &tips, after)
            }
            Request::Reconcile { space, salt, ranges } => {
                let Some(items) = self.reading(peer, space).map(|space| space.items.len() as u64) else {
                    return Ok(not_admitted());
                };
                let usage = Usage::BytesServed(items * ITEM_COST);
                if let Err(over) = self.budget.charge(step.now.monotonic, peer, usage) {
                    return Ok(busy(over));
                }
                match self.reading(peer, space) {
                    None => not_admitted(),
                    Some(space) => Response::Ranges(answer_ranges(&space.items, salt, &ranges)),
                }
            }
            Request::Fetch { space, wants } => match self.reading(peer, space) {
                None => not_admitted(),
                Some(space) => {
                    let (chunk, faults) = deltas(step, space, &wants);
                    faults.into_iter().for_each(|error| step.note(Note::StoreFault { error }));
                    self.charge_chunk(step, peer, chunk)
                }
            },
            Request::Offer { space, items } => {
                if self.reading(peer, space).is_none() {
                    return Ok(not_admitted());
                }
                self.take_offer(step.now.monotonic, peer, space, &items);
                Response::Done
            }
            Request::Look(Look { space, items }) => {
                let usage = Usage::BytesServed(items.len() as u64 * ITEM_COST);
                if let Err(over) = self.budget.charge(step.now.monotonic, peer, usage) {
                    return Ok(busy(over));
                }
                match self.reading(peer, space) {
                    None => not_admitted(),
                    Some(space) => Response::Looked(self.standing(step, space, &items)),
                }
            }
            Request::Confirm { space, documents, items } => {
                if self.reading(peer, space).is_none() {
                    return Ok(not_admitted());
                }
                self.confirm(step, space, &documents, items)?
            }
        })
    }

    /// The space, if the peer may read it.
    fn reading(&self, peer: AuthorKey, space: SpaceId) -> Option<&Space> {
        self.spaces.get(&space).filter(|space| space.charter.is_member(peer))
    }

    fn greet(&mut self, step: &mut Step<'_>, peer: AuthorKey, greetings: &[Greeting]) -> Response {
        let own = self.identity.key();
        let common: BTreeSet<SpaceId> = greetings
            .iter()
            .take(crate::limits::SPACES_MAX)
            .filter_map(|greeting| self.greeted_space(peer, own, greeting.tag))
            .filter(|space| self.reading(peer, *space).is_some())
            .collect();
        common.iter().for_each(|space| self.greeted(step, *space, peer));
        let mine = self.greetings(peer).into_iter().filter(|greeting| {
            self.greeted_space(own, peer, greeting.tag).is_some_and(|space| common.contains(&space))
        });
        Response::Hello(mine.collect())
    }

    fn answer_join(&mut self, step: &mut Step<'_>, peer: AuthorKey, request: &[u8]) -> Response {
        if let Err(over) = self.budget.charge(step.now.monotonic, peer, Usage::Join) {
            return busy(over);
        }
        let request: JoinRequest = match codec::decode(request, "join request") {
            Ok(request) => request,
            Err(error) => {
                self.offend(step, peer, Offence::Garbage, "malformed_join");
                return refused(RefusalCode::Malformed, error.to_string());
            }
        };
        match self.witness(step, peer, &request) {
            Ok(statements) => Response::Joined(statements.into_iter().map(ByteVec::from).collect()),
            Err(WitnessFault::UnknownSpace) => not_admitted(),
            Err(WitnessFault::Refused(reason)) if reason.is_passing() => {
                refused(RefusalCode::NotAdmitted, reason.to_string())
            }
            Err(WitnessFault::Refused(reason)) => refused(RefusalCode::JoinRefused, reason.to_string()),
            Err(WitnessFault::Failed) => refused(RefusalCode::NotAdmitted, "this node cannot witness now"),
        }
    }

    fn answer_statements(
        &mut self,
        step: &Step<'_>,
        peer: AuthorKey,
        space: SpaceId,
        tips: &[StatementId],
        after: u64,
    ) -> Response {
        let Some(space) = self.reading(peer, space) else { return not_admitted() };
        let (response, bytes) = statements(space, tips, after);
        let usage = Usage::BytesServed(bytes as u64);
        self.budget.charge(step.now.monotonic, peer, usage).map_or_else(busy, |()| response)
    }

    /// Tells what is durable here. What this very step takes in is durable when the answer leaves.
    fn confirm(
        &mut self,
        step: &mut Step<'_>,
        id: SpaceId,
        documents: &[DocumentHeads],
        items: Option<u64>,
    ) -> Result<Response, StoreError> {
        let Some(space) = self.spaces.get(&id) else { return Ok(not_admitted()) };
        let mut held = vec![items.is_none_or(|items| items == space.items.fingerprint())];
        for DocumentHeads { document, heads } in documents.iter().take(CONFIRMED_DOCUMENTS_MAX) {
            self.load_history(step, id, document)?;
            let history = self.loaded_history(id, document);
            held.push(history.is_ok_and(|history| heads.iter().all(|head| history.contains(head))));
        }
        Ok(Response::Confirmed(held))
    }

    /// How this node stands in a space, and what these items are of.
    fn standing(&self, step: &Step<'_>, space: &Space, items: &[ItemKey]) -> Standing {
        let named = items.iter().take(COMPARED_ITEMS_MAX).map(|key| {
            let item = space.items.item(*key)?;
            Some(ItemName { document: (*item.document).clone(), actor: item.actor })
        });
        Standing {
            position: self.position_of(step),
            statements: space.charter.fingerprint(),
            items: space.items.fingerprint(),
            named: named.collect(),
        }
    }

    fn charge_chunk(&mut self, step: &mut Step<'_>, peer: AuthorKey, chunk: Chunk) -> Response {
        let now = step.now.monotonic;
        match self.budget.charge(now, peer, Usage::BytesServed(chunk.bytes as u64)) {
            Err(over) => busy(over),
            Ok(()) => {
                step.count(Counted::ServedBytes, chunk.bytes as u64);
                Response::Deltas { incarnations: chunk.incarnations, deltas: chunk.deltas, more: chunk.more }
            }
        }
    }
}

fn busy(over: OverBudget) -> Response {
    Response::Busy { retry_after_ms: u32::try_from(over.retry_after.as_millis()).unwrap_or(u32::MAX) }
}

/// A page of what a holder of `tips` lacks, and its bytes.
fn statements(space: &Space, tips: &[StatementId], after: u64) -> (Response, usize) {
    let tips = tips.get(..STATEMENT_TIPS_TOLD_MAX).unwrap_or(tips);
    let lacking = tips.iter().filter(|tip| space.charter.statement(**tip).is_none()).copied().collect();
    let (mut statements, mut bytes, mut more) = (Vec::new(), 0, false);
    for statement in space.charter.beyond(tips).skip(usize::try_from(after).unwrap_or(usize::MAX)) {
        let encoded = statement.to_bytes();
        if bytes + encoded.len() > EXCHANGE_CHUNK_BYTES {
            more = true;
            break;
        }
        bytes += encoded.len();
        statements.push(ByteVec::from(encoded));
    }
    (Response::Statements { statements, lacking, more, tips: space.charter.told_tips() }, bytes)
}

/// What one answer to a fetch carries.
#[derive(Default)]
struct Chunk {
    incarnations: Vec<Incarnation>,
    /// Actors whose incarnations it carries.
    told: BTreeSet<Actor>,
    deltas: Vec<ByteVec>,
    bytes: usize,
    more: bool,
}

/// Deltas of the wanted runs, document by document, each document's in the order in which they
/// arrived here, which is nearly a causal order. Documents that cannot be read are left out, each
/// with its fault.
fn deltas(step: &Step<'_>, space: &Space, wants: &[Want]) -> (Chunk, Vec<StoreError>) {
    let mut by_document: BTreeMap<&DocumentName, Vec<(&Item, u64)>> = BTreeMap::new();
    for want in wants.iter().take(FETCH_WANTS_MAX) {
        if let Some(item) = space.items.item(want.key) {
            by_document.entry(&item.document).or_default().push((item, want.after));
        }
    }
    let (mut chunk, mut faults) = (Chunk::default(), Vec::new());
    for runs in by_document.into_values() {
        faults.extend(document_deltas(step, space, &runs, &mut chunk).err());
        if chunk.more {
            break;
        }
    }
    (chunk, faults)
}

fn document_deltas(
    step: &Step<'_>,
    space: &Space,
    runs: &[(&Item, u64)],
    chunk: &mut Chunk,
) -> Result<(), StoreError> {
    // One cursor per run; the one whose next delta arrived first here goes first.
    let mut cursors: BTreeMap<u64, (&Item, u64, u64, DeltaRecord)> = BTreeMap::new();
    let next = |item: &Item, after: u64| -> Result<Option<(u64, DeltaRecord)>, StoreError> {
        if after >= item.tip.seq {
            return Ok(None);
        }
        stored_delta(&step.transaction, space.index, &item.document, item.actor, after + 1)
    };
    let mut until = u64::MAX;
    for (item, after) in runs {
        if let Some((first_seq, delta)) = next(item, *after)? {
            cursors.insert(delta.arrival, (item, *after, first_seq, delta));
        }
        // Of very many runs those that arrived first go first, since what comes later may rest on them. The
        // rest follows when these are held: the asker asks again.
        if cursors.len() > CURSORS_MAX {
            until = cursors.pop_last().map_or(until, |(arrival, _)| until.min(arrival));
        }
    }
    while let Some((arrival, (item, after, first_seq, delta))) = cursors.pop_first() {
        if arrival > until {
            break;
        }
        let last = delta.last_admitted(first_seq);
        let encoded =
            codec::encode(&delta.into_delta(space.id, (*item.document).clone(), item.actor, first_seq));
        if !chunk.deltas.is_empty() && chunk.bytes + encoded.len() > EXCHANGE_CHUNK_BYTES {
            chunk.more = true;
            return Ok(());
        }
        if after == 0
            && let Some(incarnation) = space.incarnation(&step.transaction, item.actor)?
        {
            let certificate = incarnation.certificate();
            if chunk.told.insert(item.actor) {
                chunk.bytes += codec::encode(certificate).len();
                chunk.incarnations.push(certificate.clone());
            }
        }
        chunk.bytes += encoded.len();
        chunk.deltas.push(ByteVec::from(encoded));
        if let Some((first_seq, delta)) = next(item, last)? {
            cursors.insert(delta.arrival, (item, last, first_seq, delta));
        }
    }
    chunk.more = until < u64::MAX;
    Ok(())
}
