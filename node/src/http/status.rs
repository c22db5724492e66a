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
    report,
    state::Api,
};
use crate::metrics::METRICS_MEDIA_TYPE;

pub(super) async fn status(State(api): State<Api>) -> Result<Answer<Status>, Refused> {
    let core = api.node.status().await?;
    let answer = Status {
        name: core.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key: core.key.to_string(),
        peer_id: crate::network::address::peer_id_text(&core.key),
        listen: api.node.listening(),
        advertise: api.facts.advertise.clone(),
        spaces: core.spaces.iter().map(report::space).collect(),
        peers: core.peers as u64,
        store: StoreStatus { bytes: api.facts.store_bytes(), position: report::position(core.position) },
        warnings: warnings(&core),
        started: report::time(api.facts.clock.started_wall()).unwrap_or_default(),
        uptime_ms: u64::try_from(api.facts.clock.uptime().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Answer(StatusCode::OK, answer))
}

/// What an operator should look at, most urgent first.
fn warnings(status: &replica::Status) -> Vec<Warning> {
    let mut warnings = Vec::new();
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

pub(super) async fn health() -> Answer<Health> {
    Answer(StatusCode::OK, Health { status: "ok".to_owned() })
}

pub(super) async fn ready(State(api): State<Api>) -> Result<Answer<Health>, Refused> {
    api.node.status().await.map(|_| Answer(StatusCode::OK, Health { status: "ok".to_owned() }))
}

pub(super) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_MEDIA_TYPE)], api.metrics.render())
}
