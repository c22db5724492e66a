//! Watches: changes of documents as Server-Sent Events, resumable at a position.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures::{Stream, stream};
use starling_api::{
    Code,
    document::{POSITION_HEADER, WatchQuery},
};
use starling_crdt::id::Position;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    answer::{Asked, Names, Refused, header_text, refused},
    limits::COMMENT_PERIOD,
    node::{Changes, Event},
    report,
    state::Api,
};
use crate::{metrics::WatcherGuard, shutdown::Shutdown};

const COMMENT: Bytes = Bytes::from_static(b": still here\n\n");

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) async fn watch(
    State(api): State<Api>,
    Names(space): Names<String>,
    Asked(query): Asked<WatchQuery>,
    parts: Parts,
) -> Result<Response, Refused> {
    let space = api.node.space(&space).await?;
    let since =
        header_text(&parts, &LAST_EVENT_ID)?.or(query.since).map(|text| position(&text)).transpose()?;
    let room = api.room_to_watch()?;
    let (began, changes) = api.node.watch(space, query.prefix, since).await?;
    let watcher =
        Watcher { changes, shutdown: api.shutdown.clone(), _room: room, _counted: api.metrics.watcher() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (HeaderName::from_static(POSITION_HEADER), position_header(began)?),
    ];
    Ok((headers, Body::from_stream(events(watcher))).into_response())
}

fn position(text: &str) -> Result<Position, Refused> {
    text.parse().map_err(|_| refused(Code::BadPosition, format!("{text:?} is not a position of this API")))
}

fn position_header(position: Position) -> Result<HeaderValue, Refused> {
    HeaderValue::try_from(position.to_string()).map_err(|error| refused(Code::Internal, error.to_string()))
}

/// One open watch, and what it holds while it is open.
struct Watcher {
    changes: Changes,
    shutdown: Shutdown,
    _room: OwnedSemaphorePermit,
    _counted: WatcherGuard,
}

/// Ends when the node stops or the watcher is too slow; its client comes back where it was.
fn events(watcher: Watcher) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(watcher, |mut watcher| async move {
        let next = tokio::select! {
            next = timeout(COMMENT_PERIOD, watcher.changes.next()) => next,
            () = watcher.shutdown.requested() => return None,
        };
        let bytes = match next {
            Ok(Some(change)) => event(&change),
            Ok(None) => return None,
            Err(_) => COMMENT,
        };
        Some((Ok(bytes), watcher))
    })
}

/// The position goes with the last event of a commit: who resumes there has them all.
fn event(event: &Event) -> Bytes {
    // An event holds texts only, and such a thing always has a JSON form.
    let data = serde_json::to_string(&report::watch_event(&event.change)).unwrap_or_default();
    if event.completes {
        format!("id: {}\ndata: {data}\n\n", event.change.position).into()
    } else {
        format!("data: {data}\n\n").into()
    }
}
