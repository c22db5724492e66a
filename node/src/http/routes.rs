//! Which path leads where. The patterns are those the client fills in.

use axum::{
    Router,
    routing::{MethodRouter, get, post, put},
};
use starling_api::route;

use super::{
    batch, compare, documents, keep, log_level, openapi, past, peers, spaces, state::Api, status, watch,
    writes,
};

/// Every route of the API.
pub(super) fn routes(api: Api) -> Router {
    let router =
        table().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router.with_state(api)
}

/// The routes, as a list that a test can compare with what is described.
fn table() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        (route::STATUS, get(status::status)),
        (route::SPACES, get(spaces::list).post(spaces::create)),
        (route::SPACE, get(spaces::show).delete(spaces::leave)),
        (route::DOCUMENTS, get(documents::list)),
        (route::DOCUMENT, get(documents::read).put(writes::put).patch(writes::patch).delete(writes::delete)),
        (route::OPERATIONS, post(writes::operate)),
        (route::CONFLICTS, get(past::conflicts)),
        (route::SPACE_CONFLICTS, get(past::space_conflicts)),
        (route::HISTORY, get(past::history)),
        (route::SPACE_HISTORY, get(past::space_history)),
        (route::BLAME, get(past::blame)),
        (route::DIFF, get(past::diff)),
        (route::QUARANTINE, get(past::quarantine)),
        (route::FORKS, get(past::forks)),
        (route::BATCH, post(batch::run)),
        (route::WATCH, get(watch::watch)),
        (route::MEMBERS, get(spaces::members)),
        (route::INVITES, post(spaces::invite)),
        (route::WAIT, post(spaces::wait)),
        (route::COMPARE, post(compare::compare)),
        (route::JOIN, post(spaces::join)),
        (route::PEERS, get(peers::list).post(peers::add)),
        (route::PEER_BLOCK, put(peers::block).delete(peers::unblock)),
        (route::BACKUP, get(keep::backup)),
        (route::VERIFY, post(keep::verify)),
        (route::COMPACT, post(keep::compact)),
        (route::LOG_LEVEL, get(log_level::show).put(log_level::set)),
        (route::HEALTH, get(status::health)),
        (route::READY, get(status::ready)),
        (route::METRICS, get(status::metrics)),
        (route::OPENAPI, get(openapi::serve)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_routed_is_what_the_client_knows() {
        let routed: BTreeSet<&str> = table().iter().map(|(path, _)| *path).collect();
        assert_eq!(routed, route::ALL.iter().copied().collect());
    }
}
