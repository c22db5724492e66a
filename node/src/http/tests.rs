use std::time::Duration;

use axum::routing::{get, post};
use starling_api::{Client, ClientError, NodeAddress, Problem, route, status::Health};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use super::{
    answer::{Answer, Whole},
    *,
};
use crate::{
    config::ConfigOverrides,
    shutdown::{self, ShutdownTrigger},
};

/// Far above what any of these needs; passing it is a failure, not a pace.
const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    directory: tempfile::TempDir,
    tcp: SocketAddr,
    metrics: Metrics,
    trigger: ShutdownTrigger,
    server: JoinHandle<()>,
}

async fn run(routes: Router) -> Running {
    let directory = tempfile::tempdir().expect("a directory");
    let overrides = ConfigOverrides {
        data_dir: Some(directory.path().to_owned()),
        http: "127.0.0.1:0".parse().ok(),
        ..ConfigOverrides::default()
    };
    let config = Config::load(overrides, |_| None).expect("a configuration");
    let http = Http::bind(&config).await.expect("sockets");
    let tcp = http.tcp_address().expect("a TCP address");
    let metrics = Metrics::new();
    let (trigger, shutdown) = shutdown::channel();
    let server = tokio::spawn(http.serve_routes(routes, metrics.clone(), shutdown));
    Running { directory, tcp, metrics, trigger, server }
}

impl Running {
    fn client(&self) -> Client {
        Client::new(NodeAddress::Unix(self.directory.path().join("api.sock")))
    }

    fn tcp_client(&self) -> Client {
        Client::new(NodeAddress::Http { host: self.tcp.ip().to_string(), port: self.tcp.port() })
    }

    async fn stop(self) {
        self.trigger.request();
        timeout(DEADLINE, self.server).await.expect("it stops in time").expect("it does not panic");
        assert!(!self.directory.path().join("api.sock").exists(), "the socket goes with the server");
    }
}

fn healthy() -> Router {
    let ok = || async { Answer(axum::http::StatusCode::OK, Health { status: "ok".into() }) };
    Router::new().route(route::READY, get(ok)).route(route::STATUS, get(ok))
}

fn code(error: &ClientError) -> Option<Code> {
    error.problem().map(|problem| problem.code)
}

/// Sends raw bytes and reads until the server closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("in time").expect("text");
    answer
}

#[tokio::test]
async fn both_sockets_serve_the_same_routes() {
    let running = run(healthy()).await;
    for client in [running.client(), running.tcp_client()] {
        assert_eq!(client.ready().await.expect("an answer").status, "ok");
        let error = client.space("a").await.expect_err("no such route");
        assert_eq!(code(&error), Some(Code::UnknownRoute));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let running = run(healthy()).await;
    let answer =
        raw(running.tcp, "DELETE /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(
        answer.contains("allow: GET,HEAD") && answer.contains("\"code\":\"method-not-allowed\""),
        "{answer}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_web_page_cannot_use_the_tcp_socket() {
    let running = run(healthy()).await;
    let cases = [
        ("Host: localhost", "200"),
        ("Host: localhost\r\nOrigin: http://127.0.0.1:8080", "200"),
        ("Host: evil.example", "403"),
        ("Host: localhost\r\nOrigin: https://evil.example", "403"),
        ("X: y", "403"),
    ];
    for (headers, status) in cases {
        let answer =
            raw(running.tcp, &format!("GET /readyz HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n"))
                .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers}: {answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_answered_and_refused_is_counted_by_route() {
    let running = run(healthy()).await;
    let client = running.client();
    client.ready().await.expect("an answer");
    client.space("a secret name").await.expect_err("no such route");
    let text = running.metrics.render();
    assert!(text.contains("starling_http_requests_total{route=\"/readyz\",status=\"200\"} 1"), "{text}");
    assert!(text.contains("starling_http_requests_total{route=\"other\",status=\"404\"} 1"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    running.stop().await;
}

#[tokio::test]
async fn garbage_is_answered_and_the_server_lives_on() {
    let running = run(healthy()).await;
    for garbage in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        raw(running.tcp, garbage).await;
    }
    let endless = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let mut stream = TcpStream::connect(running.tcp).await.expect("a connection");
    // The server may close before it has read everything.
    let _ = stream.write_all(endless.as_bytes()).await;
    drop(stream);
    running.tcp_client().ready().await.expect("an answer");
    running.stop().await;
}

#[tokio::test]
async fn a_handler_that_panics_costs_one_request() {
    async fn fall() -> Answer<Health> {
        panic!("planted");
    }
    let running = run(healthy().route(route::SPACES, get(fall))).await;
    let client = running.client();
    assert_eq!(code(&client.spaces().await.expect_err("a panic")), Some(Code::Internal));
    client.ready().await.expect("an answer");
    running.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    async fn swallow(Whole(bytes): Whole) -> Answer<usize> {
        Answer(axum::http::StatusCode::OK, bytes.len())
    }
    let running = run(Router::new().route("/swallow", post(swallow))).await;
    let mut stream =
        UnixStream::connect(running.directory.path().join("api.sock")).await.expect("a connection");
    let head = format!(
        "POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        limits::BODY_BYTES_MAX + 1
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = vec![0; 4_096];
    let read = timeout(DEADLINE, stream.read(&mut answer)).await.expect("in time").expect("bytes");
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body-too-large"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn whoever_sends_all_of_a_body_over_the_limit_before_reading_is_told_why() {
    async fn swallow(Whole(bytes): Whole) -> Answer<usize> {
        Answer(axum::http::StatusCode::OK, bytes.len())
    }
    let running = run(Router::new().route("/swallow", post(swallow))).await;
    // Far more than the socket holds, announced and in chunks.
    let body = vec![b'x'; 8 * limits::BODY_BYTES_MAX];
    let announced = format!("POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let chunked = format!(
        "POST /swallow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    for (head, end) in [(announced, ""), (chunked, "\r\n0\r\n\r\n")] {
        let mut stream =
            UnixStream::connect(running.directory.path().join("api.sock")).await.expect("a connection");
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.write_all(end.as_bytes()).await
        };
        timeout(DEADLINE, sent).await.expect("in time").expect("the node takes what it refuses");
        let mut answer = vec![0; 4_096];
        let read = timeout(DEADLINE, stream.read(&mut answer)).await.expect("in time").expect("bytes");
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body-too-large"), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn requests_above_the_bound_are_told_to_come_back_and_health_still_answers() {
    let arrived = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let go = std::sync::Arc::new(Notify::new());
    let (count, gate) = (arrived.clone(), go.clone());
    let slow = move || async move {
        count.add_permits(1);
        gate.notified().await;
        Answer(axum::http::StatusCode::OK, starling_api::space::SpaceList::default())
    };
    let running = run(healthy().route(route::SPACES, get(slow))).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..limits::REQUESTS_MAX {
        let client = running.client();
        waiting.spawn(async move { client.spaces().await });
    }
    let all = u32::try_from(limits::REQUESTS_MAX).expect("it fits");
    timeout(DEADLINE, arrived.acquire_many(all)).await.expect("in time").expect("open").forget();
    let client = running.client();
    assert_eq!(code(&client.spaces().await.expect_err("no room")), Some(Code::Busy));
    client.ready().await.expect("health is not bounded");
    while !waiting.is_empty() {
        go.notify_waiters();
        if let Ok(Some(answer)) = timeout(Duration::from_millis(10), waiting.join_next()).await {
            answer.expect("no panic").expect("an answer");
        }
    }
    assert_eq!(code(&client.status().await.expect_err("it is no status")), None);
    running.stop().await;
}

#[tokio::test]
async fn a_request_in_progress_is_answered_when_the_node_stops() {
    let started = std::sync::Arc::new(Notify::new());
    let go = std::sync::Arc::new(Notify::new());
    let (begun, gate) = (started.clone(), go.clone());
    let slow = move || async move {
        begun.notify_one();
        gate.notified().await;
        Answer(axum::http::StatusCode::OK, starling_api::space::SpaceList::default())
    };
    let running = run(Router::new().route(route::SPACES, get(slow))).await;
    let client = running.client();
    let idle = running.client();
    idle.ready().await.expect_err("no such route, but a connection that stays open");
    let request = tokio::spawn(async move { client.spaces().await });
    started.notified().await;
    running.trigger.request();
    go.notify_one();
    request.await.expect("no panic").expect("an answer");
    running.stop().await;
}

#[tokio::test]
async fn a_second_server_on_one_socket_is_refused() {
    let running = run(healthy()).await;
    let overrides =
        ConfigOverrides { data_dir: Some(running.directory.path().to_owned()), ..ConfigOverrides::default() };
    let config = Config::load(overrides, |_| None).expect("a configuration");
    let error = Http::bind(&config).await.err().expect("in use");
    assert!(matches!(error, ListenError::SocketInUse(_)), "{error}");
    running.client().ready().await.expect("the first serves on");
    running.stop().await;
}

#[test]
fn a_problem_is_never_without_its_code() {
    let problem = Problem::new(Code::Busy, "x");
    assert_eq!(*answer::Refused::from(problem.clone()).0, problem);
}
