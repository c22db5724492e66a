//! How the node is: for people, for service managers, for Prometheus.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use starling_api::status::{Health, Status, StoreStatus};

use super::{
    answer::{Answer, Refused},
    report,
    state::Api,
    watchman,
};
use crate::metrics::METRICS_MEDIA_TYPE;

pub(super) async fn status(State(api): State<Api>) -> Result<Answer<Status>, Refused> {
    let picture = watchman::picture(&api).await?;
    let (core, bytes) = (&picture.status, api.facts.store_bytes());
    let answer = Status {
        name: core.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key: core.key.to_string(),
        peer_id: crate::network::address::peer_id_text(&core.key),
        listen: api.node.listening(),
        advertise: api.facts.advertise.clone(),
        spaces: core.spaces.iter().map(report::space).collect(),
        peers: core.peers as u64,
        lag: picture.spaces.iter().filter_map(report::lag).collect(),
        store: StoreStatus {
            bytes,
            room: picture.room,
            grown: Some(bytes.saturating_sub(api.facts.store_bytes_began)),
            position: report::position(core.position),
        },
        warnings: picture.warnings(),
        started: report::time(api.facts.clock.started_wall()).unwrap_or_default(),
        uptime_ms: u64::try_from(api.facts.clock.uptime().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Answer(StatusCode::OK, answer))
}

pub(super) async fn health() -> Answer<Health> {
    Answer(StatusCode::OK, Health { status: "ok".to_owned() })
}

pub(super) async fn ready(State(api): State<Api>) -> Result<Answer<Health>, Refused> {
    api.node.status().await.map(|_| Answer(StatusCode::OK, Health { status: "ok".to_owned() }))
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    api.metrics.store_room(api.facts.store_bytes(), api.facts.room());
    // A node too busy to look keeps what it saw last.
    if let Ok(picture) = watchman::picture(&api).await {
        watchman::count(&api, &picture.warnings());
    }
    ([(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], api.metrics.render())
}
