//! What every request passes: where it comes from, how many there are, what is counted and logged.

use std::{net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use starling_api::{Code, Problem, route};
use tokio::sync::Semaphore;

use super::{
    answer::{Refused, refused},
    limits::REQUESTS_MAX,
};
use crate::metrics::Metrics;

/// What counts and bounds requests.
#[derive(Clone)]
pub(super) struct Guard {
    metrics: Metrics,
    requests: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, requests: Arc::new(Semaphore::new(REQUESTS_MAX)) }
    }
}

/// Bounds, counts and logs one request. A handler that panics answers with a problem; its request is
/// lost, the node lives on.
pub(super) async fn watch_over(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = known_route(matched);
    let method = request.method().clone();
    let bounded = ![route::HEALTH, route::READY, route::METRICS].contains(&route);
    let room = if bounded { guard.requests.clone().try_acquire_owned().ok() } else { None };
    let response = if bounded && room.is_none() {
        refused(Code::Busy, format!("{REQUESTS_MAX} requests are being answered already")).into_response()
    } else {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answered
            .unwrap_or_else(|_| refused(Code::Internal, "the handler of this request failed").into_response())
    };
    drop(room);
    let status = response.status().as_u16();
    guard.metrics.http_request(route, status);
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    match response.extensions().get::<Problem>() {
        Some(problem) if status >= 500 => {
            if let Code::Busy | Code::TooManyWatchers = problem.code {
                guard.metrics.busy(&problem.detail);
            }
            tracing::warn!(event = "request_failed", %method, route, status, micros, code = %problem.code, detail = problem.detail, "request failed");
        }
        Some(problem) => {
            tracing::info!(event = "request_refused", %method, route, status, micros, code = %problem.code, detail = problem.detail, "request refused");
        }
        None => {
            tracing::debug!(event = "request_answered", %method, route, status, micros, "request answered")
        }
    }
    response
}

/// The pattern as the program spells it: what a client sends never becomes a label.
fn known_route(matched: Option<&str>) -> &'static str {
    route::ALL.iter().find(|known| Some(**known) == matched).copied().unwrap_or("other")
}

/// Refuses what a web page may have sent: on loopback TCP a browser can reach us, and no page of
/// another origin may read or write here.
pub(super) async fn keep_web_pages_out(request: Request, next: Next) -> Response {
    match judge_origin(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn judge_origin(uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default());
    // A page whose own name was made to resolve to loopback (DNS rebinding) gives itself away here.
    let host = uri.authority().map(axum::http::uri::Authority::as_str).or_else(|| text(header::HOST));
    if !host.is_some_and(is_loopback) {
        let said = host.unwrap_or("nothing");
        let detail = format!("the request asks for host {said:?}, and only loopback is served");
        return Err(Problem::new(Code::ForeignHost, detail).with_hint("ask http://127.0.0.1:PORT").into());
    }
    if let Some(origin) = text(header::ORIGIN) {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !authority.is_some_and(is_loopback) {
            return Err(refused(Code::ForeignOrigin, format!("pages of {origin:?} may not use this API")));
        }
    }
    Ok(())
}

/// Whether `HOST` or `HOST:PORT` is this machine's loopback.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("x"))),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port_is_fine = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let host_is_fine =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    port_is_fine && host_is_fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_in_every_spelling_and_nothing_else_is() {
        for good in
            ["127.0.0.1", "127.0.0.1:4711", "127.9.9.9", "[::1]", "[::1]:4711", "localhost", "LocalHost:80"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            "example.org",
            "127.0.0.1.example.org",
            "localhost.example.org",
            "10.0.0.1:4711",
            "[::]",
            "[::1",
            "::1:80x",
            "[::1]x",
            "127.0.0.1:",
            "localhost:80:80",
            "user@localhost",
            "localhost/",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    fn judge(uri: &str, headers: &[(&'static str, &str)]) -> Result<(), Code> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        judge_origin(&uri.parse().expect("a path"), &map).map_err(|refused| refused.0.code)
    }

    #[test]
    fn a_web_page_of_another_origin_is_refused() {
        let host = ("host", "127.0.0.1:4711");
        assert_eq!(judge("/", &[host]), Ok(()));
        assert_eq!(judge("/", &[host, ("origin", "http://localhost:3000")]), Ok(()));
        assert_eq!(judge("http://localhost/", &[]), Ok(()));
        for origin in ["https://example.org", "null", "http://localhost.example.org", "file://"] {
            assert_eq!(judge("/", &[host, ("origin", origin)]), Err(Code::ForeignOrigin), "{origin}");
        }
        assert_eq!(judge("/", &[]), Err(Code::ForeignHost));
        assert_eq!(judge("/", &[("host", "evil.example:4711")]), Err(Code::ForeignHost));
        assert_eq!(judge("http://evil.example/", &[host]), Err(Code::ForeignHost));
    }

    #[test]
    fn a_label_is_always_one_of_the_routes() {
        assert_eq!(known_route(Some("/v1/status")), route::STATUS);
        assert_eq!(known_route(Some("/v1/status/x")), "other");
        assert_eq!(known_route(None), "other");
    }
}
