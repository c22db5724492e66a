//! Which path leads where. The patterns are those the client fills in.

use axum::{
    Router,
    routing::{get, post, put},
};
use starling_api::route;

use super::{batch, documents, keep, log_level, past, peers, spaces, state::Api, status, watch};

/// Every route of the API.
pub(super) fn routes(api: Api) -> Router {
    Router::new()
        .route(route::STATUS, get(status::status))
        .route(route::SPACES, get(spaces::list).post(spaces::create))
        .route(route::SPACE, get(spaces::show).delete(spaces::leave))
        .route(route::DOCUMENTS, get(documents::list))
        .route(route::DOCUMENT, get(documents::read).put(documents::put).delete(documents::delete))
        .route(route::OPERATIONS, post(documents::operate))
        .route(route::CONFLICTS, get(past::conflicts))
        .route(route::SPACE_CONFLICTS, get(past::space_conflicts))
        .route(route::HISTORY, get(past::history))
        .route(route::SPACE_HISTORY, get(past::space_history))
        .route(route::BLAME, get(past::blame))
        .route(route::DIFF, get(past::diff))
        .route(route::BATCH, post(batch::run))
        .route(route::WATCH, get(watch::watch))
        .route(route::MEMBERS, get(spaces::members))
        .route(route::INVITES, post(spaces::invite))
        .route(route::WAIT, post(spaces::wait))
        .route(route::JOIN, post(spaces::join))
        .route(route::PEERS, get(peers::list).post(peers::add))
        .route(route::PEER_BLOCK, put(peers::block).delete(peers::unblock))
        .route(route::BACKUP, get(keep::backup))
        .route(route::VERIFY, post(keep::verify))
        .route(route::COMPACT, post(keep::compact))
        .route(route::LOG_LEVEL, get(log_level::show).put(log_level::set))
        .route(route::HEALTH, get(status::health))
        .route(route::READY, get(status::ready))
        .route(route::METRICS, get(status::metrics))
        .with_state(api)
}
