//! How the node is: for people, for service managers, for Prometheus.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use starling_api::status::{Health, Status, StoreStatus, Warning};
use starling_crdt::replica;

use super::{
    answer::{Answer, Refused},
    limits::{ROOM_LOW_BYTES, ROOM_OUT_BYTES},
    report,
    state::Api,
};
use crate::metrics::METRICS_MEDIA_TYPE;

pub(super) async fn status(State(api): State<Api>) -> Result<Answer<Status>, Refused> {
    let core = api.node.status().await?;
    let (bytes, room) = (api.facts.store_bytes(), api.facts.room());
    let answer = Status {
        name: core.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key: core.key.to_string(),
        peer_id: crate::network::address::peer_id_text(&core.key),
        listen: api.node.listening(),
        advertise: api.facts.advertise.clone(),
        spaces: core.spaces.iter().map(report::space).collect(),
        peers: core.peers as u64,
        store: StoreStatus {
            bytes,
            room,
            grown: Some(bytes.saturating_sub(api.facts.store_bytes_began)),
            position: report::position(core.position),
        },
        warnings: warnings(&core, room),
        started: report::time(api.facts.clock.started_wall()).unwrap_or_default(),
        uptime_ms: u64::try_from(api.facts.clock.uptime().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Answer(StatusCode::OK, answer))
}

/// What an operator should look at, most urgent first.
fn warnings(status: &replica::Status, room: Option<u64>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    warnings.extend(room.and_then(low_room));
    for space in status.spaces.iter().filter(|space| space.membership.is_none()) {
        let why = space.join_refused.as_ref().map_or("no member could be reached yet".to_owned(), |reason| {
            format!("the last member asked refused: {reason}")
        });
        warnings.push(Warning {
            code: "not-joined".to_owned(),
            message: format!("this node is not yet a member of {:?}: {why}", space.name),
            command: Some("starling peers".to_owned()),
        });
    }
    if status.peers == 0 && status.spaces.iter().any(|space| space.members > 1) {
        warnings.push(Warning {
            code: "no-peers".to_owned(),
            message: "no other node is connected: what is written stays here until one is".to_owned(),
            command: Some("starling peers add HOST".to_owned()),
        });
    }
    warnings
}

/// What a nearly full disk means for writers.
fn low_room(room: u64) -> Option<Warning> {
    let (code, what) = match room {
        ROOM_LOW_BYTES.. => return None,
        ROOM_OUT_BYTES.. => ("low-room", "when it is used up, writes are refused and reads go on"),
        _ => ("no-room", "writes may be refused now; reads go on, and writes work again once there is room"),
    };
    Some(Warning {
        code: code.to_owned(),
        message: format!("{} MiB are left on the file system of the store: {what}", room / (1024 * 1024)),
        command: Some("df -h".to_owned()),
    })
}

pub(super) async fn health() -> Answer<Health> {
    Answer(StatusCode::OK, Health { status: "ok".to_owned() })
}

pub(super) async fn ready(State(api): State<Api>) -> Result<Answer<Health>, Refused> {
    api.node.status().await.map(|_| Answer(StatusCode::OK, Health { status: "ok".to_owned() }))
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    api.metrics.store_room(api.facts.store_bytes(), api.facts.room());
    ([(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], api.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_warned_of_in_time_and_more_urgently_at_the_end() {
        assert_eq!(low_room(ROOM_LOW_BYTES), None);
        let code = |room| low_room(room).map(|warning| warning.code);
        assert_eq!(code(ROOM_LOW_BYTES - 1).as_deref(), Some("low-room"));
        assert_eq!(code(ROOM_OUT_BYTES).as_deref(), Some("low-room"));
        assert_eq!(code(0).as_deref(), Some("no-room"));
        assert!(low_room(100 * 1024 * 1024).is_some_and(|warning| warning.message.starts_with("100 MiB")));
    }
}
