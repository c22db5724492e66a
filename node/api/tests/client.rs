//! The client against a small server that answers as each test says.

use std::{
    convert::Infallible,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use starling_api::{
    Client, ClientError, Code, ExitCode, NodeAddress, Problem,
    client::{Read, ReadOptions, WriteOptions},
    document::{BatchLine, Operation, WatchQuery},
};
use tokio::{net::UnixListener, sync::mpsc, time::timeout};

/// Far above what any of these needs; passing it is a failure, not a pace.
const DEADLINE: Duration = Duration::from_secs(20);

/// A response body that ends when its sender is dropped.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn stream() -> (mpsc::Sender<Bytes>, Pieces) {
    let (sender, receiver) = mpsc::channel(64);
    (sender, Pieces(receiver))
}

fn whole(status: u16, text: impl Into<Bytes>) -> Response<Pieces> {
    let (sender, body) = stream();
    sender.try_send(text.into()).expect("room for one piece");
    Response::builder().status(status).body(body).expect("a response")
}

/// A server on a Unix socket, and how many connections it accepted.
struct Server {
    directory: tempfile::TempDir,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<Pieces>> + Send + 'static,
    {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("api.sock")).expect("a socket");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = answer(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    // A test may break the connection; the client's side says what matters.
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { directory, accepted }
    }

    fn address(&self) -> NodeAddress {
        socket_in(self.directory.path())
    }

    fn client(&self) -> Client {
        Client::new(self.address())
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn socket_in(directory: &Path) -> NodeAddress {
    NodeAddress::Unix(directory.join("api.sock"))
}

const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn written() -> String {
    json!({"heads": [HASH], "position": "s-1", "changed": true}).to_string()
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let server = Server::start(|_| async { whole(200, r#"{"items":[]}"#) });
    let client = server.client();
    for _ in 0..20 {
        assert!(client.spaces().await.expect("an answer").items.is_empty());
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_the_node_closed_is_replaced() {
    let server = Server::start(|_| async {
        let mut response = whole(200, r#"{"items":[]}"#);
        response.headers_mut().insert("connection", "close".parse().expect("a value"));
        response
    });
    let client = server.client();
    for _ in 0..3 {
        client.spaces().await.expect("an answer");
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn a_refusal_arrives_as_the_problem_the_node_wrote() {
    let problem =
        Problem::new(Code::AmbiguousSpace, "two match").with_candidates(vec!["a".into(), "b".into()]);
    let body = serde_json::to_string(&problem).expect("json");
    let server = Server::start(move |_| {
        let body = body.clone();
        async move { whole(400, body) }
    });
    let error = server.client().space("x").await.expect_err("a refusal");
    assert_eq!(error.problem(), Some(&problem));
    assert_eq!(error.exit_code(), ExitCode::Usage);
}

#[tokio::test]
async fn an_answer_of_another_program_is_not_taken_for_ours() {
    let server = Server::start(|_| async { whole(502, "<html>bad gateway</html>") });
    let error = server.client().status().await.expect_err("no problem document");
    assert!(matches!(error, ClientError::NotUnderstood { status: 502, .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::Failed);
}

#[tokio::test]
async fn a_document_comes_with_its_heads_and_its_tag() {
    let server = Server::start(|request: Request<Incoming>| async move {
        assert_eq!(request.uri(), "/v1/spaces/shop/docs/a/b%20c?pointer=%2Fx");
        if request.headers().contains_key("if-none-match") {
            return whole(304, "");
        }
        let mut response = whole(200, "18446744073709551615");
        response.headers_mut().insert("starling-heads", HASH.parse().expect("a value"));
        response.headers_mut().insert("etag", "\"t\"".parse().expect("a value"));
        response
    });
    let client = server.client();
    let mut options = ReadOptions { pointer: Some("/x".into()), ..ReadOptions::default() };
    let Read::Found(document) = client.read("shop", "a/b c", &options).await.expect("an answer") else {
        panic!("it was found");
    };
    assert_eq!(document.value, json!(u64::MAX));
    assert_eq!(document.heads.hashes(), [HASH]);
    options.unless_etag = document.etag;
    assert_eq!(options.unless_etag.as_deref(), Some("\"t\""));
    assert_eq!(client.read("shop", "a/b c", &options).await.expect("an answer"), Read::NotModified);
}

#[tokio::test]
async fn a_write_carries_its_conditions() {
    let server = Server::start(|request: Request<Incoming>| async move {
        let header =
            |name: &str| request.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        match *request.method() {
            Method::PUT => {
                assert_eq!(request.uri().query(), Some(format!("base={HASH}&if_heads={HASH}").as_str()));
                assert_eq!(header("if-match").as_deref(), Some("\"t\""));
                assert_eq!(header("idempotency-key").as_deref(), Some("once"));
            }
            Method::DELETE => assert_eq!(request.uri().query(), None),
            _ => assert_eq!(header("if-none-match").as_deref(), Some("*")),
        }
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        let expected = [&b""[..], b"{\"a\":1}", br#"{"op":"increment","pointer":"/n","by":-2}"#];
        assert!(expected.contains(&body.as_ref()), "{body:?}");
        whole(200, written())
    });
    let client = server.client();
    let heads = HASH.parse().ok();
    let options = WriteOptions {
        base: heads.clone(),
        if_heads: heads,
        if_etag: Some("\"t\"".into()),
        if_absent: false,
        request_id: Some("once".into()),
        confirm: None,
    };
    assert!(client.put("s", "d", "{\"a\":1}", &options).await.expect("written").changed);
    client.delete("s", "d", &WriteOptions::default()).await.expect("written");
    let absent = WriteOptions { if_absent: true, ..WriteOptions::default() };
    let increment = Operation::Increment { pointer: "/n".into(), by: -2 };
    client.operate("s", "d", &increment, &absent).await.expect("written");
}

#[tokio::test]
async fn a_request_id_with_a_line_break_is_never_sent() {
    let server = Server::start(|_| async { whole(200, written()) });
    let options = WriteOptions { request_id: Some("a\r\nb: c".into()), ..WriteOptions::default() };
    let error = server.client().put("s", "d", "{}", &options).await.expect_err("a bad id");
    assert!(matches!(error, ClientError::BadRequest(_)));
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn the_first_address_that_answers_is_used_and_else_all_are_named() {
    let server = Server::start(|_| async { whole(200, r#"{"items":[]}"#) });
    let empty = tempfile::tempdir().expect("a directory");
    let silent = socket_in(empty.path());
    let refused = NodeAddress::Http { host: "127.0.0.1".into(), port: unused_port() };
    let client = Client::connect_first(&[silent.clone(), server.address()]).await.expect("the second");
    assert_eq!(client.address(), &server.address());
    client.spaces().await.expect("an answer");
    assert_eq!(server.accepted(), 1);

    let error =
        Client::connect_first(&[silent.clone(), refused.clone()]).await.err().expect("nobody listens");
    let text = error.to_string();
    assert!(text.contains(&silent.to_string()) && text.contains(&refused.to_string()), "{text}");
    assert_eq!(error.exit_code(), ExitCode::Unreachable);
}

fn unused_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_node_that_does_not_answer_runs_into_the_limit() {
    let server = Server::start(|_| std::future::pending());
    let client = server.client().with_request_time_max(Duration::from_millis(50));
    let error = client.status().await.expect_err("silence");
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
}

fn event(name: &str, position: &str) -> Bytes {
    let data = json!({"space": "s", "name": name, "heads": [HASH], "position": position});
    format!("id: {position}\ndata: {data}\n\n").into()
}

#[tokio::test]
async fn a_watch_comes_back_at_the_position_it_reached() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |request: Request<Incoming>| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        async move {
            let last = request.headers().get("last-event-id").map(|id| id.to_str().expect("text").to_owned());
            let expected = [None, Some("s-0"), Some("s-2")];
            assert_eq!(last.as_deref(), expected.get(call).copied().flatten(), "call {call}");
            let (sender, body) = stream();
            match call {
                // Breaks before any event: only the header says where the watch began.
                0 => {}
                1 => {
                    for piece in [event("a", "s-1"), event("b", "s-2")] {
                        sender.try_send(piece).expect("room");
                    }
                    sender.try_send("id: s-9\ndata: half an ev".into()).expect("room");
                }
                _ => {
                    sender.try_send(": comment\n\n".into()).expect("room");
                    sender.try_send(event("c", "s-3")).expect("room");
                    tokio::spawn(async move { sender.closed().await });
                }
            }
            Response::builder().header("starling-position", "s-0").body(body).expect("a response")
        }
    });
    let client = server.client();
    let mut watch = client.watch("s", WatchQuery::default()).await.expect("a watch");
    for (name, position) in [("a", "s-1"), ("b", "s-2"), ("c", "s-3")] {
        let event = timeout(DEADLINE, watch.next()).await.expect("in time").expect("an event");
        assert_eq!((event.name.as_str(), event.position.0.as_str()), (name, position));
        assert_eq!(watch.position(), Some(&event.position));
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn a_watch_whose_position_is_gone_says_so_at_once() {
    let problem = Problem::new(Code::PositionOfAnotherStore, "the store was restored");
    let body = serde_json::to_string(&problem).expect("json");
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        let body = body.clone();
        async move { if first { whole(200, event("a", "s-1")) } else { whole(410, body) } }
    });
    let client = server.client();
    let mut watch = client.watch("s", WatchQuery::default()).await.expect("a watch");
    watch.next().await.expect("an event");
    let error = timeout(DEADLINE, watch.next()).await.expect("in time").expect_err("gone");
    assert_eq!(error.problem().map(|problem| problem.code), Some(Code::PositionOfAnotherStore));
}

/// Answers each line with a result as soon as it is read.
async fn echo_batch(request: Request<Incoming>) -> Response<Pieces> {
    let (sender, body) = stream();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        let mut read = Vec::new();
        while let Some(Ok(frame)) = incoming.frame().await {
            read.extend_from_slice(frame.data_ref().expect("data"));
            while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                let line: BatchLine = serde_json::from_slice(&line).expect("a line");
                let result = match line {
                    BatchLine::Put { doc, .. } => json!({"doc": doc, "ok": true, "heads": [HASH]}),
                    other => {
                        json!({"doc": other.doc(), "error": Problem::new(Code::BadOperation, "no")})
                    }
                };
                // In two pieces, for a line may arrive in any division.
                let text = format!("{result}\n");
                let (head, tail) = text.split_at(text.len() / 2);
                for piece in [head, tail] {
                    sender.send(Bytes::copy_from_slice(piece.as_bytes())).await.expect("a reader");
                }
            }
        }
    });
    Response::new(body)
}

#[tokio::test]
async fn batch_results_come_while_lines_are_still_being_sent() {
    let server = Server::start(echo_batch);
    let client = server.client();
    let (lines, mut results) = client.batch("s").await.expect("a batch");
    for name in ["a", "b"] {
        lines.send(&BatchLine::Put { doc: name.into(), value: json!({}), base: None }).await.expect("open");
        let result =
            timeout(DEADLINE, results.next()).await.expect("in time").expect("read").expect("a result");
        assert_eq!(result.doc.as_deref(), Some(name));
        assert_eq!(result.outcome.expect("ok").hashes(), [HASH]);
    }
    drop(lines);
    assert_eq!(timeout(DEADLINE, results.next()).await.expect("in time").expect("read"), None);
}

#[tokio::test]
async fn a_long_batch_gives_one_result_for_each_line_in_order() {
    let server = Server::start(echo_batch);
    let client = server.client();
    let lines = (0..3_000).map(|n| match n % 3 {
        0 => BatchLine::Delete { doc: n.to_string() },
        _ => BatchLine::Put { doc: n.to_string(), value: json!({"n": n}), base: None },
    });
    let mut results = Vec::new();
    let work = client.batch_all("s", lines, |result| results.push(result));
    assert_eq!(timeout(DEADLINE, work).await.expect("in time").expect("read"), 3_000);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.doc.as_deref(), Some(n.to_string().as_str()));
        assert_eq!(result.outcome.is_err(), n % 3 == 0);
    }
}

#[tokio::test]
async fn a_batch_for_an_unknown_space_is_refused_as_a_whole() {
    let body = serde_json::to_string(&Problem::new(Code::UnknownSpace, "none")).expect("json");
    let server = Server::start(move |_| {
        let body = body.clone();
        async move { whole(404, body) }
    });
    let error = server.client().batch("s").await.err().expect("a refusal");
    assert_eq!(error.exit_code(), ExitCode::NotFound);
}
