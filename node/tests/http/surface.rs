//! What holds of every route: what is described is served, what is refused is a problem, and what a
//! client without this program's own library sees of conditions and watches.

use starling_api::route;
use tokio::io::AsyncReadExt as _;

use super::*;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "PATCH", "DELETE"];

/// The first line and head of an answer that may never end.
async fn head_of(node: &Running, request: &str) -> String {
    let mut stream = connect(node).await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut read = Vec::new();
    while !read.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut piece = [0; 1_024];
        let count = timeout(DEADLINE, stream.read(&mut piece)).await.expect("in time").expect("readable");
        assert!(count > 0, "{request}: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_that_is_served_is_described_and_every_other_is_refused_in_order() {
    let node = start().await;
    let answer = raw(&node, &get(route::OPENAPI)).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let described: Value = serde_json::from_str(body).expect("JSON");
    for pattern in route::ALL {
        let path = pattern.replace("{space}", "none").replace("{*name}", "n").replace("{id}", "none");
        let operations = &described["paths"][pattern.replace("{*", "{")];
        for method in METHODS {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let head = head_of(&node, &request).await;
            let is_served = !head.starts_with("HTTP/1.1 405 ");
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(is_served, is_described, "{method} {pattern}: {head}");
            if !is_served {
                assert!(head.contains("content-type: application/problem+json"), "{head}");
                assert!(head.contains("\r\nallow: "), "{method} {pattern}: {head}");
            }
            let status = &head["HTTP/1.1 ".len()..][..3];
            if is_served {
                let statuses = &operations[method.to_lowercase()]["responses"];
                assert!(
                    statuses.get(status).is_some(),
                    "{method} {pattern} answers {status}, which is not described"
                );
            }
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_route_is_a_problem_too() {
    let node = start().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/spaces/shop/docs/", "/v2/status", "/openapi.yaml"] {
        let answer = raw(&node, &get(path)).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        assert!(head.contains("content-type: application/problem+json"), "{path}: {head}");
        let problem: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&problem["code"], &problem["status"]), (&json!("unknown-route"), &json!(404)), "{path}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_work_as_plain_http_has_them() {
    let node = start().await;
    let heads = node.put("d", json!({"n": 1})).await;
    let path = "/v1/spaces/shop/docs/d";
    let answer = raw(&node, &get(path)).await;
    let field = |answer: &str, name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name}: {answer}"))
    };
    let etag = field(&answer, "etag");
    assert_eq!(field(&answer, "starling-heads"), heads.to_string());
    let ask = |method: &str, header: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let rows = [
        ("GET", format!("If-None-Match: {etag}"), "", 304),
        ("GET", format!("If-None-Match: \"x\", W/{etag}"), "", 304),
        ("HEAD", format!("If-None-Match: {etag}"), "", 304),
        ("GET", "If-None-Match: \"x\"".to_owned(), "", 200),
        ("PUT", "If-None-Match: *".to_owned(), "{\"n\":2}", 412),
        ("PUT", "If-Match: \"00000000000000000000000000000000\"".to_owned(), "{\"n\":2}", 412),
        ("DELETE", "If-Match: \"x\"".to_owned(), "", 412),
        ("PUT", format!("If-Match: {etag}\r\nIdempotency-Key: once"), "{\"n\":3}", 200),
        // The same write again: the condition no longer holds, and the answer is the first one.
        ("PUT", format!("If-Match: {etag}\r\nIdempotency-Key: once"), "{\"n\":3}", 200),
        ("PUT", "Idempotency-Key: once".to_owned(), "{\"n\":4}", 400),
        ("GET", format!("If-None-Match: {etag}"), "", 200),
        ("PUT", "If-Match: *".to_owned(), "{\"n\":5}", 200),
    ];
    for (method, header, body, status) in rows {
        let answer = raw(&node, &ask(method, &header, body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {header}: {answer}");
        if status == 304 {
            assert_eq!(field(&answer, "etag"), etag);
            assert!(answer.ends_with("\r\n\r\n"), "a 304 has no body: {answer}");
        }
    }
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, json!({"n": 5}));
    let answer =
        raw(&node, &ask("PUT", "X-None: x", "{}").replace("docs/d ", &format!("docs/d?base={heads} "))).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Against what was read, the body removes n; somebody gave it another value since, which stays.
    assert_eq!(node.client.document("shop", "d").await.expect("found").value, json!({"n": 5}));
    node.stop().await;
}

async fn watch_raw(node: &Running, query: &str, header: &str) -> tokio::net::UnixStream {
    let mut stream = connect(node).await;
    let request = format!("GET /v1/spaces/shop/watch{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

/// Reads until the text has come.
async fn read_until(stream: &mut tokio::net::UnixStream, wanted: &str) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if text.contains(wanted) {
            return text;
        }
        let mut piece = [0; 1_024];
        let count = timeout(DEADLINE, stream.read(&mut piece)).await.expect("in time").expect("readable");
        assert!(count > 0, "the stream ended: {text}");
        read.extend_from_slice(&piece[..count]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_resumes_by_last_event_id_which_wins_over_since() {
    let node = start().await;
    let begin = node.client.status().await.expect("a status").store.position;
    node.put("a", json!({})).await;
    let mut first = watch_raw(&node, &format!("?since={begin}"), "").await;
    let told = read_until(&mut first, "\"name\":\"a\"").await;
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("content-type: text/event-stream"), "{told}");
    let id = told.lines().find_map(|line| line.strip_prefix("id: ")).expect("a position").to_owned();
    node.put("b", json!({})).await;
    let header = format!("Last-Event-ID: {id}\r\n");
    let mut again = watch_raw(&node, &format!("?since={begin}"), &header).await;
    let told = read_until(&mut again, "\"name\":\"b\"").await;
    assert!(!told.contains("\"name\":\"a\""), "it was told before: {told}");
    let (store, commit) = id.split_once('-').expect("a store and a commit");
    let foreign = format!("Last-Event-ID: {}-{commit}\r\n", "0".repeat(store.len()));
    let mut refused = watch_raw(&node, "", &foreign).await;
    let told = read_until(&mut refused, "hint").await;
    assert!(told.starts_with("HTTP/1.1 410 ") && told.contains("position-of-another-store"), "{told}");
    drop((first, again, refused));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_watch_is_told_every_fifteen_seconds_that_it_lives() {
    let node = start().await;
    let mut stream = watch_raw(&node, "", "").await;
    read_until(&mut stream, "\r\n\r\n").await;
    let began = tokio::time::Instant::now();
    let told = read_until(&mut stream, "\n\n").await;
    assert!(told.contains("\n: still here\n\n") || told.contains(": still here"), "{told}");
    assert!(began.elapsed() > Duration::from_secs(10), "a comment is no flood");
    drop(stream);
    node.stop().await;
}
