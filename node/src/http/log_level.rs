//! What is logged, shown and changed while the node runs.

use axum::{extract::State, http::StatusCode};
use starling_api::{Code, Problem, status::LogLevel};

use super::{
    answer::{Answer, Refused, Shaped, refused},
    state::Api,
};
use crate::telemetry::{self, TelemetryError};

/// Longest filter that is taken, in bytes: a real one has a few dozen.
const FILTER_BYTES_MAX: usize = 4_096;

pub(super) async fn show(State(api): State<Api>) -> Result<Answer<LogLevel>, Refused> {
    Ok(Answer(StatusCode::OK, LogLevel { filter: level(&api)?.current() }))
}

pub(super) async fn set(
    State(api): State<Api>,
    Shaped(asked): Shaped<LogLevel>,
) -> Result<Answer<LogLevel>, Refused> {
    if asked.filter.trim().is_empty() || asked.filter.len() > FILTER_BYTES_MAX {
        let detail = format!("a log filter has 1 to {FILTER_BYTES_MAX} bytes");
        return Err(refused(Code::BadRequest, detail));
    }
    let level = level(&api)?;
    level.set(&asked.filter).map_err(wrong)?;
    let filter = level.current();
    tracing::info!(event = "log_level", filter, "the log's filter was changed over the API");
    Ok(Answer(StatusCode::OK, LogLevel { filter }))
}

fn level(api: &Api) -> Result<&telemetry::LogLevel, Refused> {
    let level = api.facts.log_level.as_ref();
    level.ok_or_else(|| refused(Code::Internal, "the log of this process is not the node's own"))
}

fn wrong(error: TelemetryError) -> Refused {
    match error {
        TelemetryError::BadFilter { .. } => Problem::new(Code::BadRequest, error.to_string())
            .with_hint("for example `starling log-level info,starling_node=debug`")
            .into(),
        TelemetryError::AlreadyInstalled | TelemetryError::Gone => refused(Code::Internal, error.to_string()),
    }
}
