//! Requests under way, ours and theirs.
//!
//! Promises: a request of ours gets exactly one response event; one of theirs keeps its place until
//! its answer is sent or given up, so that a peer cannot have more in work than its share.

use std::collections::BTreeMap;

use libp2p::PeerId;
use libp2p::request_response::{
    Behaviour, Event as ExchangeEvent, InboundRequestId, Message, OutboundFailure, OutboundRequestId,
    ResponseChannel,
};
use starling_crdt::id::AuthorKey;

use super::counters::SharedCounters;
use super::event::{Event, Offence, RequestFailure};
use super::exchange::{Frame, FrameCodec};
use super::limits::{
    INBOUND_REQUESTS_MAX, INBOUND_REQUESTS_PER_PEER_MAX, OUTBOUND_REQUESTS_MAX,
    OUTBOUND_REQUESTS_PER_PEER_MAX,
};
use super::outbox::Outbox;
use super::peer;

type Exchange = Behaviour<FrameCodec>;

/// The requests under way.
pub(super) struct Requests {
    asked: BTreeMap<OutboundRequestId, Asked>,
    answerable: BTreeMap<u64, Answerable>,
    numbers: BTreeMap<InboundRequestId, u64>,
    next_number: u64,
    counters: SharedCounters,
}

/// A request of ours.
struct Asked {
    peer: AuthorKey,
    id: u64,
}

/// A request of theirs.
struct Answerable {
    peer: AuthorKey,
    /// None once the answer is on its way.
    channel: Option<ResponseChannel<Frame>>,
}

impl Requests {
    pub(super) fn new(counters: SharedCounters) -> Self {
        Self {
            asked: BTreeMap::new(),
            answerable: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_number: 1,
            counters,
        }
    }

    /// Asks a peer; the event is the response if it is clear at once.
    pub(super) fn ask(
        &mut self,
        exchange: &mut Exchange,
        peer: AuthorKey,
        id: u64,
        body: Vec<u8>,
    ) -> Option<Event> {
        let fail = |failure| Some(Event::Response { peer, id, result: Err(failure) });
        let target = peer::peer_id(&peer);
        if !exchange.is_connected(&target) {
            return fail(RequestFailure::NotConnected);
        }
        let with_peer = self.asked.values().filter(|asked| asked.peer == peer).count();
        if self.asked.len() >= OUTBOUND_REQUESTS_MAX || with_peer >= OUTBOUND_REQUESTS_PER_PEER_MAX {
            return fail(RequestFailure::Busy);
        }
        let request = exchange.send_request(&target, Frame::new(body));
        self.asked.insert(request, Asked { peer, id });
        None
    }

    /// Answers request `id` of `peer`, if it still waits.
    pub(super) fn respond(&mut self, exchange: &mut Exchange, peer: AuthorKey, id: u64, body: Vec<u8>) {
        let waiting = self.answerable.get_mut(&id).filter(|answerable| answerable.peer == peer);
        let Some(channel) = waiting.and_then(|answerable| answerable.channel.take()) else {
            tracing::debug!(event = "answer_late", %peer, id, "an answer comes too late");
            return;
        };
        if exchange.send_response(channel, Frame::new(body)).is_err() {
            tracing::debug!(event = "answer_late", %peer, id, "an answer comes too late");
        }
    }

    /// Drops request `id` of `peer` unanswered. Its place is free when the peer has been told.
    pub(super) fn decline(&mut self, peer: AuthorKey, id: u64) {
        let waiting = self.answerable.get_mut(&id).filter(|answerable| answerable.peer == peer);
        if let Some(answerable) = waiting {
            answerable.channel = None;
        }
    }

    /// The failures of all requests of ours, for the end.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = Event> + use<> {
        let failed =
            |Asked { peer, id }| Event::Response { peer, id, result: Err(RequestFailure::Disconnected) };
        std::mem::take(&mut self.asked).into_values().map(failed)
    }

    /// Handles what happened on the exchange streams.
    pub(super) fn happened(&mut self, event: ExchangeEvent<Frame, Frame>, outbox: &mut Outbox) {
        match event {
            ExchangeEvent::Message { peer, message, .. } => match message {
                Message::Request { request_id, request, channel } => {
                    self.requested(&peer, request_id, request, channel, outbox);
                }
                Message::Response { request_id, response } => {
                    self.answered(request_id, response, outbox);
                }
            },
            ExchangeEvent::OutboundFailure { request_id, error, .. } => {
                self.settle(request_id, Err(failure(error)), outbox);
            }
            ExchangeEvent::InboundFailure { request_id, .. }
            | ExchangeEvent::ResponseSent { request_id, .. } => self.free(request_id),
        }
    }

    fn requested(
        &mut self,
        peer: &PeerId,
        request: InboundRequestId,
        frame: Frame,
        channel: ResponseChannel<Frame>,
        outbox: &mut Outbox,
    ) {
        let Some(peer) = peer::author_key(peer) else {
            return;
        };
        let body = match frame {
            Frame::Whole(body, _share) => body,
            Frame::Oversized(bytes) => return self.oversized(peer, bytes, outbox),
            Frame::NoRoom => return self.counters.requests_no_room.increment(),
        };
        let of_peer = self.answerable.values().filter(|waiting| waiting.peer == peer).count();
        if self.answerable.len() >= INBOUND_REQUESTS_MAX || of_peer >= INBOUND_REQUESTS_PER_PEER_MAX {
            return self.counters.requests_no_room.increment();
        }
        let id = self.next_number;
        self.next_number += 1;
        if !outbox.offer(Event::Request { peer, id, body }) {
            return self.counters.requests_no_room.increment();
        }
        self.counters.requests_delivered.increment();
        self.answerable.insert(id, Answerable { peer, channel: Some(channel) });
        self.numbers.insert(request, id);
    }

    fn answered(&mut self, request: OutboundRequestId, frame: Frame, outbox: &mut Outbox) {
        let result = match frame {
            Frame::Whole(body, _share) => Ok(body),
            Frame::NoRoom => Err(RequestFailure::Overloaded),
            Frame::Oversized(bytes) => {
                if let Some(asked) = self.asked.get(&request) {
                    self.oversized(asked.peer, bytes, outbox);
                }
                Err(RequestFailure::Oversized(bytes))
            }
        };
        self.settle(request, result, outbox);
    }

    fn settle(
        &mut self,
        request: OutboundRequestId,
        result: Result<Vec<u8>, RequestFailure>,
        outbox: &mut Outbox,
    ) {
        if let Some(Asked { peer, id }) = self.asked.remove(&request) {
            outbox.insist(Event::Response { peer, id, result });
        }
    }

    fn oversized(&self, peer: AuthorKey, bytes: usize, outbox: &mut Outbox) {
        self.counters.frames_oversized.increment();
        tracing::debug!(event = "oversized_frame", %peer, bytes, "a peer sent an oversized frame");
        outbox.mention(Event::Offence { peer, offence: Offence::OversizedFrame { bytes } });
    }

    fn free(&mut self, request: InboundRequestId) {
        if let Some(id) = self.numbers.remove(&request) {
            self.answerable.remove(&id);
        }
    }
}

fn failure(error: OutboundFailure) -> RequestFailure {
    match error {
        OutboundFailure::DialFailure => RequestFailure::NotConnected,
        OutboundFailure::Timeout => RequestFailure::Timeout,
        OutboundFailure::ConnectionClosed => RequestFailure::Disconnected,
        OutboundFailure::UnsupportedProtocols => RequestFailure::Unsupported,
        // The peer closed the stream before an answer's first byte.
        OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            RequestFailure::Declined
        }
        OutboundFailure::Io(error) => RequestFailure::Stream(error.to_string()),
    }
}
